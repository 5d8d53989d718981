"""What is of the right type and makes no sense is refused, with what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ecap.config import load
from ecap.config.settings.flags import FlagName
from ecap.errors import Misconfigured
from ecap.serve.orders.placement import CHECKOUT


def loaded(tmp_path: Path, key: str, value: str) -> Any:
    section, _, name = key.rpartition(".")
    above = section.split(".")
    text = "".join(f"{part}: {{" for part in above) + f"{name}: {value}" + "}" * len(above)
    (tmp_path / "base.yaml").write_text(text)
    (tmp_path / "development.yaml").write_text("")
    found: Any = load({"ECAP_CONFIG_DIR": str(tmp_path)}, secrets=False)
    for part in key.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    return found


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("fraud.amount_deny", "-1", "greater than 0"),
        ("fraud.amount_deny", "0", "greater than 0"),
        ("fraud.amount_review", "-0.01", "greater than 0"),
        ("fraud.spend_amount", "'-5'", "greater than 0"),
        ("fraud.card_small_amount", "-1", "greater than or equal to 0"),
        ("fraud.takeover_amount", "-1", "greater than or equal to 0"),
        ("fraud.amount_deny", "1e30", "less than or equal"),
        ("fraud.amount_deny", "'0.000001'", "decimal places"),
        ("fraud.velocity_window_s", "1000000000", "2678400"),
        ("fraud.spend_window_s", "1000000000", "2678400"),
        ("fraud.card_window_s", "1000000000", "2678400"),
        ("http.trusted_proxies", "[0.0.0.0/0]", "half the world"),
        ("http.trusted_proxies", "['::/0']", "half the world"),
        ("http.trusted_proxies", "[0.0.0.0/1, 128.0.0.0/1]", "half the world"),
        ("http.trusted_proxies", "['::ffff:0:0/96']", "half the world"),
        ("http.trusted_proxies", "['::ffff:0.0.0.0/97']", "half the world"),
        ("http.trusted_proxies", "[nowhere]", "write a network"),
        ("http.trusted_proxies", "[10.0.0.1/8]", "write a network"),
        ("http.cors.origins", "[shop.example]", "write a URL"),
        ("http.cors.origins", "['https://shop.example/path']", "scheme, host and port alone"),
        ("http.host", "'http://0.0.0.0'", "without port and scheme"),
        ("webhook.url", "http://shop.example/hook", "https"),
        ("webhook.url", "ftp://shop.example/hook", "write a URL"),
        ("webhook.url", "shop.example", "write a URL"),
        ("webhook.url", "'https://'", "write a URL"),
        ("webhook.url", "'https://a b/'", "write a URL"),
        ("webhook.url", "'https://a:b/'", "write a URL"),
        ("webhook.url", "'https://user:canary@shop.example/'", "no user and no password"),
        ("telemetry.otlp_endpoint", "collector:4318", "write a URL"),
        ("vault.address", "vault.example", "write a URL"),
        ("auth.jwks_url", "keys.example/jwks", "write a URL"),
        ("auth.admin_email", "admin", "write an e-mail address"),
        ("smtp.sender", "'x y@z.example'", "write an e-mail address"),
        ("smtp.host", "'mail.example:25'", "without port and scheme"),
        ("postgres.host", "'a b'", "without port and scheme"),
        ("kafka.bootstrap_servers", "kafka.example", "write HOST:PORT"),
        ("kafka.bootstrap_servers", "'kafka.example:70000'", "write HOST:PORT"),
        ("flags.chekout", "true", "did you mean flags.checkout"),
        ("fraud.weights.velocty", "5", "did you mean fraud.weights.velocity"),
        ("stream.shards.fruad", "2", "did you mean stream.shards.fraud"),
        ("http.request_timeout_s", "61", "request_timeout_s is above max_request_timeout_s"),
        ("outbox.poll_min_s", "1", "poll_min_s is above poll_max_s"),
        ("hub.hold_s", ".inf", "infinity"),
        ("hub.hold_s", "'inf'", "finite number"),
        ("orders.max_lines", "010", "leading 0"),
        ("hub.hold_s", "1:30", "decimal digits"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, key: str, value: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said) as caught:
        loaded(tmp_path, key, value)
    assert "base.yaml" in caught.value.detail
    assert key.split(".")[0] in caught.value.detail
    assert "canary" not in caught.value.detail


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("webhook.url", "https://shop.example/hook"),
        ("webhook.url", "http://127.0.0.1:9/hook"),
        ("webhook.url", "http://localhost/hook"),
        ("webhook.url", "'http://[::1]:9/hook'"),
        ("http.trusted_proxies", "[10.0.0.0/8, 'fc00::/7', 192.0.2.1, '2001:db8::/32']"),
        ("http.cors.origins", "['*', 'https://shop.example', 'http://localhost:3000']"),
        ("kafka.bootstrap_servers", "'a.example:9092, b.example:9092,[::1]:9092'"),
        ("postgres.host", "db_1.internal"),
        ("http.host", "'::'"),
        ("smtp.sender", "orders@localhost"),
        ("fraud.amount_deny", "9999.995"),
        ("fraud.takeover_amount", "0"),
    ],
)
def test_what_makes_sense_passes(tmp_path: Path, key: str, value: str) -> None:
    assert loaded(tmp_path, key, value) is not None


def test_every_flag_has_somebody_who_asks() -> None:
    assert FlagName.__args__ == (CHECKOUT.name,)  # type: ignore[attr-defined]
