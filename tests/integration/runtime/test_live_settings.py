"""What is called live is live: somebody follows it, or reads it where it is used."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path

import pytest
from integration.live_members import BARE, Feed, actor, replica

import ecap
from ecap.actors.hub_link import CONFIG
from ecap.config.layers import keys, schema
from ecap.domain.fraud.rules import RULES
from ecap.local.ray.scaling import scaling
from ecap.local.up import SERVICES
from ecap.runtime import roster

PACKAGE = Path(ecap.__file__).parent
DEPLOYER = "deployer"
CODE = (
    "runtime", "serve", "actors", "pipelines", "clients", "mesh", "config", "spans.py", "logs.py"
)  # fmt: skip

# Read where they are used, at each use: the key, and the file that does.
READ = {
    "orders.decision_timeout_s": "serve/orders/placement.py",
    "orders.max_lines": "serve/orders/draft.py",
    "orders.max_quantity": "serve/orders/draft.py",
    "orders.idempotency_ttl_s": "serve/orders/service.py",
    "flags.checkout": "serve/orders/placement.py",
    "hub.hold_s": "config/rollout/rollout.py",
    "hub.stale_after_s": "config/rollout/rollout.py",
    "hub.retry_s": "config/rollout/rollout.py",
    "hub.callback_timeout_s": "config/member/member.py",
    "hub.probation_s": "config/member/member.py",
    # The hub's process follows these; it cannot be opened here.
    "hub.debounce_s": "actors/hub.py",
    "hub.file_poll_s": "actors/hub.py",
    "hub.file_settle_s": "actors/hub.py",
}
# What every process of a kind follows, beside what only it does.
EVERY_REPLICA = {
    "log.level", "http", "limits", "mesh", "postgres", "auth.clock_skew_s", "telemetry.sample_ratio"
}  # fmt: skip
EVERY_ACTOR = {"log.level", "telemetry.sample_ratio"}
EVERY_SHARD = EVERY_ACTOR | {"postgres", "stream"}
FOLLOWED: dict[str, set[str]] = {
    **dict.fromkeys(SERVICES, EVERY_REPLICA),
    "auth": EVERY_REPLICA | {"auth"},
    "analytics": EVERY_REPLICA | {"auth.access_ttl_s"},
    "limits": EVERY_ACTOR,
    "relay": EVERY_ACTOR | {"postgres", "outbox"},
    "fraud-0": EVERY_SHARD | {"fraud"},
    "streams-0": EVERY_SHARD | {"stream.late_after_s", "notifications", "smtp", "webhook", "audit"},
    DEPLOYER: {"services"},
}
# Read as a whole, whichever of their names are given.
MAPPINGS = ("fraud.weights", "flags")
LIVE = [setting.key for setting in schema.settings().values() if setting.fixed is None]


@pytest.fixture(scope="module")
async def followed() -> AsyncIterator[dict[str, set[str]]]:
    """What each member tells its hub that it follows."""
    feed = Feed()
    async with AsyncExitStack() as stack:
        for service in SERVICES:
            await stack.enter_async_context(replica(service, BARE, feed))
        for name in roster.names(BARE):
            if name != CONFIG:
                await stack.enter_async_context(actor(name, BARE, feed))
        await stack.enter_async_context(
            scaling(BARE, SERVICES, deploy=lambda names, settings: None, link=feed)
        )
        await feed.heard(*FOLLOWED)
        yield feed.prefixes


def test_members_follow_exactly_this(followed: dict[str, set[str]]) -> None:
    assert followed == FOLLOWED


@pytest.mark.parametrize("key", LIVE)
def test_a_live_setting_has_somebody(key: str) -> None:
    prefixes = set().union(*FOLLOWED.values())
    somebody = any(keys.within(key, prefix) for prefix in prefixes)
    assert somebody != (key in READ), f"{key} is live: follow it, or read it where it is used"
    branch = key.rpartition(".")[0]
    named = branch if branch in MAPPINGS else key
    leaf = next(part for part in reversed(named.split(".")) if part != schema.ANY)
    assert leaf in _read(*CODE) or key == "log.level"
    if key in READ:
        assert leaf in _read(READ[key]), f"{READ[key]} does not read {key}"


def test_the_table_names_nothing_else() -> None:
    assert READ.keys() <= set(LIVE)
    for prefix in set().union(*FOLLOWED.values()):
        assert any(keys.within(key, prefix) for key in LIVE), f"nothing below {prefix} is live"


def test_a_weight_can_be_given_to_each_rule() -> None:
    known = schema.find("fraud.weights.velocity")
    assert known.fixed is None
    codes = {rule.code for rule in RULES}
    assert set(_codes()) == codes


def _codes() -> tuple[str, ...]:
    from typing import get_args

    from ecap.config.settings.services.fraud import RuleCode

    return get_args(RuleCode)


@cache
def _read(*places: str) -> frozenset[str]:
    """Names that are read as attributes there; the models themselves declare, not read."""
    files = [path for place in places for path in _files(PACKAGE / place)]
    return frozenset(
        node.attr
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    )


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(place.rglob("*.py"))
