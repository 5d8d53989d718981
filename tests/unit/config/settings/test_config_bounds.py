"""Whatever value is accepted, ECAP still serves: every number has a least and a most."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import ValidationError
from unit.config.hub.cluster import default

from ecap.config import Settings
from ecap.config.layers import keys, schema
from ecap.config.layers.schema import Setting

LIVE = [one for one in schema.settings().values() if one.fixed is None]
NUMBERS = [one.key for one in LIVE if one.mentions(int) or one.mentions(float)]
# Without a most or a least of its own, and why.
EXCEPT = {"flags.checkout": "true, false or a share that is read as a text"}


def _limits(setting: Setting) -> Iterator[Any]:
    yield from setting.limits
    for part in typing.get_args(setting.annotation):  # Annotated[int, Field(ge=0)] in a mapping
        yield from getattr(part, "metadata", ())


def _bounds(setting: Setting) -> tuple[bool, bool]:
    found = list(_limits(setting))
    least = any(isinstance(one, Ge | Gt) for one in found)
    return least, any(isinstance(one, Le | Lt) for one in found)


@pytest.mark.parametrize("key", [key for key in NUMBERS if key not in EXCEPT])
def test_a_number_that_is_live_has_a_least_and_a_most(key: str) -> None:
    assert _bounds(schema.find(key)) == (True, True), "write Field(..., ge=..., le=...)"


def test_the_exceptions_are_settings() -> None:
    assert EXCEPT.keys() <= {one.key for one in LIVE}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("postgres.acquire_timeout_s", 1e-9),
        ("postgres.statement_timeout_s", 1e-9),
        ("postgres.pool_max_size", 10**30),
        ("http.max_body_bytes", 1),
        ("http.request_timeout_s", 1e-9),
        ("limits.principal.burst", 1),
        ("limits.credentials.rate_per_s", 1e-9),
        ("hub.hold_s", 1e9),
        ("stream.heartbeat_s", 1e9),
        ("stream.heartbeat_s", 3.5),  # of a lease of six
        ("services.gateway.min_replicas", 0),
        ("fraud.spend_window_s", 31 * 366 * 86400),
        ("auth.argon2_memory_kib", 10**9),
    ],
)
def test_a_value_that_locks_out_is_refused(key: str, value: float) -> None:
    tree = {**keys.flatten(Settings().model_dump()), key: value}
    with pytest.raises(ValidationError):
        Settings.model_validate(keys.unflatten(tree))
    assert default(key) != value
