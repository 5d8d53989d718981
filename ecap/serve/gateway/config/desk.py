"""The configuration hub, as operators reach it through the gateway."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ecap.actors.hub_link import CONFIG
from ecap.config.hub.requests import Change, Return
from ecap.config.layers import keys
from ecap.config.layers.overrides import Edit
from ecap.config.rollout.canary import Canary
from ecap.errors import Forbidden, Unavailable
from ecap.mesh import CallPolicy, MeshClient, Principal, current
from ecap.mesh.policy import BreakerPolicy
from ecap.serve.gateway.config.models import (
    Applied,
    Diff,
    DiffQuery,
    Edits,
    History,
    HistoryQuery,
    Judged,
    Members,
    NewValue,
    RollbackWish,
    Setting,
    Settings,
    Sources,
    Trial,
)
from ecap.serve.replica.process import Process

# A change with a canary takes as long as it bakes.
CHANGE_S = 120.0
WRITE = "config:write"
_POLICY = CallPolicy(attempts=1, timeout_s=CHANGE_S, breaker=BreakerPolicy(slow_call_s=CHANGE_S))


class HubDesk:
    """Without a `client` nothing can be asked."""

    def __init__(self, client: MeshClient | None) -> None:
        self._client = client

    @classmethod
    def of(cls, process: Process) -> HubDesk:
        if process.actors is None:
            return cls(None)
        return cls(MeshClient(CONFIG, process.actors.transport(CONFIG), _POLICY))

    async def _ask(self, method: str, payload: Any = None) -> Mapping[str, Any]:
        if self._client is None:
            raise Unavailable("no configuration hub runs here")
        answer: Mapping[str, Any] = await self._client.call(method, payload)
        return answer

    async def settings(self, prefix: str) -> Settings:
        return Settings.model_validate(await self._ask("settings", prefix))

    async def version(self) -> int:
        """Which runs."""
        return (await self.settings("hub")).version

    async def setting(self, key: str) -> tuple[Setting, int]:
        found = await self._ask("setting", key)
        return Setting.model_validate(found["setting"]), found["version"]

    async def put(self, key: str, body: NewValue, *, by: Principal, version: int) -> Applied:
        wish = Edits(
            sets={key: body.value},
            reason=body.reason,
            expires_s=body.expires_s,
            canary=body.canary,
        )
        return await self.patch(wish, by=by, version=version)

    async def patch(self, body: Edits, *, by: Principal, version: int) -> Applied:
        sections = _sections(by, *body.sets, *body.unsets)
        expires_at = None if body.expires_s is None else time.time() + body.expires_s
        change = Change(
            edit=Edit(dict(body.sets), body.unsets, expires_at),
            author=by.subject,
            reason=body.reason,
            version=version,
            canary=None if body.canary is None else Canary(**body.canary.model_dump()),
            dry_run=body.dry_run,
            sections=sections,
            origin=_origin(),
        )
        return Applied.model_validate(await self._ask("change", change))

    async def unset(self, key: str, *, by: Principal, reason: str, version: int) -> Applied:
        change = Change(
            edit=Edit(unsets=(key,)),
            author=by.subject,
            reason=reason,
            version=version,
            sections=_sections(by, key),
            origin=_origin(),
        )
        return Applied.model_validate(await self._ask("change", change))

    async def roll_back(self, body: RollbackWish, *, by: Principal, version: int) -> Applied:
        """Only the hub knows which settings that changes."""
        wish = Return(
            to=body.version,
            author=by.subject,
            reason=body.reason,
            version=version,
            sections=_sections(by),
            origin=_origin(),
        )
        return Applied.model_validate(await self._ask("roll_back", wish))

    async def validate(self, body: Trial) -> Judged:
        found = await self._ask("validate", Edit(dict(body.sets), body.unsets))
        return Judged(
            valid=found["problem"] is None,
            problem=found["problem"],
            changes=_sides(found["changes"]),
        )

    async def history(self, query: HistoryQuery) -> History:
        found = await self._ask("history", query.model_dump())
        entries = [{**one, "changes": _sides(one["changes"])} for one in found["entries"]]
        return History.model_validate({**found, "entries": entries})

    async def diff(self, query: DiffQuery) -> Diff:
        found = await self._ask("diff", (query.left, query.right))
        return Diff(changes=_sides(found["changes"]))

    async def members(self) -> Members:
        return Members.model_validate(await self._ask("members"))

    async def sources(self) -> Sources:
        return Sources.model_validate(await self._ask("sources"))


def _sections(by: Principal, *touched: str) -> tuple[str, ...]:
    """Where the caller may change settings. Raises Forbidden when one is elsewhere."""
    sections = by.sections(WRITE)
    for key in touched:
        if not any(keys.within(key, section) for section in sections):
            raise Forbidden(f"{key} needs the scope {WRITE}", scope=WRITE)
    return sections


def _origin() -> dict[str, str]:
    """Of the request that is being answered, for the security log."""
    context = current()
    return {
        "kind": context.principal.kind,
        "address": context.address,
        "request_id": context.request_id,
    }


def _sides(changes: Mapping[str, Mapping[str, Any]]) -> Any:
    names = {"from": "left", "to": "right"}
    return {
        key: {names[side]: value for side, value in change.items()}
        for key, change in changes.items()
    }
