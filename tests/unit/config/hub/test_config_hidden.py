"""Secrets planted everywhere, and every output searched for them."""

from __future__ import annotations

import logging
import pickle
import traceback
from typing import Any

import msgspec
import pytest
from unit.config.hub.cluster import Cluster, layer
from virtual_time import run

from ecap import logs, metrics
from ecap.config import Settings
from ecap.config.hub import accepted
from ecap.config.layers import schema
from ecap.config.layers.layer import Given, Layer
from ecap.config.layers.overrides import Edit
from ecap.config.sources.source import SourceHealth
from ecap.errors import EcapError

CANARIES = ("canary-env-1", "canary-vault-2", "canary-shelf-3", "canary-k8s-4", "canary-set-5")


def test_no_output_shows_a_secret(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs: list[str] = []
    caplog.set_level(logging.DEBUG)
    run(_live(outputs))
    outputs += [caplog.text, *(repr(vars(record)) for record in caplog.records)]
    for style in (logs.JsonFormatter(service="t"), logs.TerminalFormatter(service="t")):
        outputs += [style.format(record) for record in caplog.records]
    captured = capsys.readouterr()
    outputs += [captured.out, captured.err, metrics.exposition().decode()]
    assert sum(map(len, outputs)) > 10_000
    for canary in CANARIES:
        for output in outputs:
            assert canary not in output


async def _live(outputs: list[str]) -> None:
    cluster = Cluster()
    cluster.secrets.values["vault:a#b"] = "canary-shelf-3"
    cluster.given = {
        "environment": layer("environment", postgres__password="canary-env-1"),
        "vault": Layer(
            "vault",
            {"webhook.signing_key": Given("canary-vault-2", "vault:x#webhook", final=True)},
        ),
        "kubernetes": Layer(
            "kubernetes",
            {"auth.admin_password": Given("canary-k8s-4", "secret s/k", final=True)},
        ),
        "base": layer("base", smtp__password="vault:a#b", webhook__signing_key="vault:a#b"),
    }
    hub = await cluster.start_hub()
    member = cluster.add("a")
    await cluster.joined()
    assert secrets_of(member.settings) == {*CANARIES} - {"canary-set-5"}

    async def tells_all(old: Any, new: Any) -> None:
        raise ValueError(f"no: {old} {new} {secrets_of(member.settings)} {new.get_secret_value()}")

    member.subscribe_entry("smtp.password", object, tells_all)
    bad = [
        Edit({"smtp.password": "canary-set-5"}),
        Edit({"smtp.pasword": "canary-set-5"}),
        Edit({"auth.admin_password": "vault:missing#x"}),
        Edit({"smtp.password": None}),
    ]
    for edit in bad:
        await _refused(hub.edit(edit, author="ann", reason="bad"), outputs)
    cluster.secrets.values["vault:a#b"] = "canary-shelf-3 and more"
    await _refused(hub.offer({}, reason="it changed"), outputs)
    await hub.edit(Edit({"log.level": "DEBUG"}), author="ann", reason="fine")
    await cluster.agree()
    report, found = member.report(), hub.accepted()
    outputs += [
        repr(await cluster.entries()),
        msgspec.json.encode(await cluster.entries()).decode(),
        *map(repr, (hub, found, member, report, member.settings, found.found)),
        repr(await hub.exchange(report_of(member))),
        str(member.settings),
        member.settings.model_dump_json(),
        repr(accepted.values(found.found, found.leaves, "")),
        repr(SourceHealth("x", wall=lambda: 0.0).shown()),
        *(repr(accepted.explain(found.found, found.leaves, found.since, k)) for k in all_keys()),
        *(repr(state) for state in cluster.history.history._states.values()),  # type: ignore[attr-defined]
    ]
    await cluster.stop()


async def _refused(call: Any, outputs: list[str]) -> None:
    with pytest.raises(EcapError) as caught:
        await call
    outputs.append("".join(traceback.format_exception(caught.value)))
    outputs.append(repr(pickle.dumps(caught.value)))


def all_keys() -> list[str]:
    return [key for key in schema.settings() if "*" not in key]


def report_of(member: Any) -> Any:
    """Of one that has just started: it is sent everything."""
    return msgspec.structs.replace(member.report(), member="fresh", running=0, prepared=None)


def secrets_of(settings: Settings) -> set[str]:
    found = {
        settings.postgres.password,
        settings.webhook.signing_key,
        settings.auth.admin_password,
        settings.smtp.password,
    }
    return {secret.get_secret_value() for secret in found if secret is not None}
