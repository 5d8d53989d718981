"""After any changes a process is as if it had started with the last settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from cryptography.fernet import MultiFernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration.live_members import BARE, Alone, Feed, actor, changed, replica
from joserfc.jwk import OctKey
from pydantic import BaseModel, SecretStr

from ecap.config.member.follows import Follow
from ecap.config.member.member import Member
from ecap.config.protocol import leaves_of
from ecap.config.settings.tree import Settings
from ecap.local.up import SERVICES

# The pool is not among them: to change it there has to be a PostgreSQL.
CHANGES: Mapping[str, tuple[Any, ...]] = {
    "http.max_body_bytes": (20_000, 30_000),
    "http.request_timeout_s": (1.0, 2.0),
    "http.trusted_proxies": (["10.0.0.0/8"], []),
    "http.cors.origins": (["*"], ["http://a"]),
    "http.metrics_token": ("one", "two"),
    "limits.enabled": (True, False),
    "limits.principal.rate_per_s": (1.0, 7.0),
    "limits.lease_s": (0.5, 3.0),
    "mesh.default.timeout_s": (0.1, 0.2),
    "mesh.default.max_concurrency": (1, 9),
    "mesh.callees.auth.attempts": (7, 8),
    "mesh.callees.fraud-0.breaker.open_s": (1.5, 2.5),
    "auth.access_ttl_s": (30, 60),
    "auth.refresh_ttl_s": (400, 500),
    "auth.signing_key_ttl_s": (3600, 7200),
    "auth.argon2_iterations": (1, 2),
    "auth.clock_skew_s": (1.0, 2.0),
    "auth.admin_email": ("a@example.com", "b@example.com"),
    "auth.admin_password": ("pw-one", "pw-two"),
    "orders.max_lines": (3, 4),
    "flags.checkout": (False, "25%"),
    "fraud.review_score": (10, 20),
    "fraud.weights.velocity": (0, 99),
    "fraud.provisional_ttl_s": (1.0, 2.0),
    "stream.batch_max_events": (1, 2),
    "stream.lease_ttl_s": (5.0, 7.0),
    "stream.late_after_s": (1, 2),
    "outbox.poll_max_s": (0.2, 0.3),
    "notifications.claim_s": (5.0, 6.0),
    "notifications.max_attempts": (1, 2),
    "smtp.sender": ("a@example.com", "b@example.com"),
    "smtp.password": ("one", "two"),
    "webhook.url": ("https://a", "https://b"),
    "webhook.signing_key": ("one", "two"),
}
BASE = changed(BARE, {"webhook.signing_key": "zero"})
_steps = st.lists(
    st.dictionaries(st.sampled_from(sorted(CHANGES)), st.integers(0, 1), min_size=1, max_size=12),
    min_size=1,
    max_size=2,
)
# What a component knows from its own life: tokens of a retry budget, its last trouble.
LEARNT = ("__dict__", "__weakref__", "_tokens", "trouble", "_trouble")
# Made once for the process that holds it, or not from settings at all.
ABOUT_THE_RUN = (Alone, Feed, Member, Follow)


@pytest.mark.parametrize(
    "name",
    ["auth", "orders", "analytics", "fraud-0", "streams-0", "relay"],
)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=_steps)
async def test_changed_equals_fresh(name: str, steps: list[dict[str, int]]) -> None:
    last = BASE
    feed = Feed()
    async with AsyncExitStack() as stack:
        running = await _open(stack, name, last, feed)
        for step in steps:
            last = changed(last, {key: CHANGES[key][at] for key, at in step.items()})
            await feed.tell(last)
            assert feed.refusals == {}
        fresh, again = [await _open(stack, name, last, Feed()) for _ in range(2)]
        assert _differences(running, fresh) <= _differences(again, fresh)


async def test_every_one_of_these_changes_reaches_something() -> None:
    """Otherwise the test above would compare nothing."""
    untouched = set(CHANGES)
    # Read from `Process.settings`, which is the member's.
    untouched -= {"orders.max_lines", "flags.checkout"}
    for name in ("fraud-0", "streams-0", "relay", "orders", "auth"):
        async with AsyncExitStack() as stack:
            before, again = [await _open(stack, name, BASE, Feed()) for _ in range(2)]
            noise = _differences(before, again)
            for key in sorted(untouched):
                value = next(v for v in CHANGES[key] if v != leaves_of(BASE).get(key))
                other = await _open(stack, name, changed(BASE, {key: value}), Feed())
                if _differences(before, other) - noise:
                    untouched.discard(key)
    assert untouched == set()


async def test_a_refused_change_leaves_everything_as_it_was() -> None:
    feed = Feed()
    async with AsyncExitStack() as stack:
        bad: dict[str, Any] = {
            "fraud.review_score": 90,
            "stream.late_after_s": 5,
            "smtp.host": None,
        }
        bad |= {"mesh.service_key": "no key", "http.max_body_bytes": 77_000}
        names = ("orders", "fraud-0", "streams-0")
        running = {name: await _open(stack, name, BASE, feed) for name in names}
        await feed.tell(changed(BASE, bad))
        assert "mesh" in feed.refusals["orders"]
        assert "fraud.review_score (90) is above fraud.deny_score (80)" in feed.refusals["fraud-0"]
        assert "smtp.host" in feed.refusals["streams-0"]
        for name, found in running.items():
            fresh, again = [await _open(stack, name, BASE, Feed()) for _ in range(2)]
            assert _differences(found, fresh) <= _differences(again, fresh)


async def _open(stack: AsyncExitStack, name: str, settings: Settings, feed: Feed) -> Any:
    found: Any
    if name in SERVICES:
        found = await stack.enter_async_context(replica(name, settings, feed))
    else:
        found = await stack.enter_async_context(actor(name, settings, feed))
    await feed.heard(name)
    return found


def _differences(one: Any, other: Any) -> set[str]:
    left, right = dict(_walk(one, "", set())), dict(_walk(other, "", set()))
    return {path for path in left.keys() | right.keys() if left.get(path) != right.get(path)}


def _walk(thing: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Every value that a component holds, by the way to it."""
    if thing is None or isinstance(thing, bool | int | float | str | bytes | timedelta):
        yield path, thing
        return
    if id(thing) in seen or isinstance(thing, ABOUT_THE_RUN):
        return
    seen.add(id(thing))
    if isinstance(thing, SecretStr):
        yield path, thing.get_secret_value()
    elif isinstance(thing, Settings):
        return  # what a process started with; what it uses of it is what it made
    elif isinstance(thing, BaseModel):
        yield path, repr(sorted(_plain(thing).items()))
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from _walk(value, f"{path}[{key!r}]", seen)
    elif isinstance(thing, list | tuple):
        for at, value in enumerate(thing):
            yield from _walk(value, f"{path}[{at}]", seen)
    elif isinstance(thing, OctKey):
        yield path, thing.raw_value
    elif isinstance(thing, MultiFernet):
        yield path, [fernet._signing_key for fernet in thing._fernets]
    elif isinstance(thing, PasswordHasher):
        yield path, (thing.time_cost, thing.memory_cost)
    elif type(thing).__module__.startswith("ecap."):
        for name, value in _attributes(thing):
            yield from _walk(value, f"{path}.{name}", seen)


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    names = [*getattr(thing, "__dict__", ()), *getattr(type(thing), "__slots__", ())]
    for name in names:
        if name not in LEARNT and hasattr(thing, name):
            yield name, getattr(thing, name)


def _plain(section: BaseModel) -> dict[str, Any]:
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in section
    }
