"""Configuration for operators: what counts, who runs it, and changes to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ecap.errors import Conflict, Invalid, NotFound, PreconditionFailed
from ecap.serve.endpoints.preconditions import IF_MATCH, IF_NONE_MATCH, required_version
from ecap.serve.endpoints.routing import Api, Call, Reply
from ecap.serve.gateway.config.desk import CHANGE_S, WRITE, HubDesk
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
    SettingsQuery,
    Sources,
    Trial,
    UnsetQuery,
)


class HasHub(Protocol):
    """Of what a gateway replica holds, what these need."""

    @property
    def hub(self) -> HubDesk: ...


api = Api("gateway", prefix="/api/v1/config", title="ECAP configuration")
# A scope for a section, as `config:write:fraud`, is enough for the settings there.
_WRITE: Mapping[str, Any] = {
    "scope": WRITE,
    "by_section": True,
    "errors": (NotFound, Conflict, PreconditionFailed, Invalid),
    "headers": IF_MATCH,
    "timeout_s": CHANGE_S,
}


@api.get("", scope="config:read", errors=(NotFound,), headers=IF_NONE_MATCH)
async def get_config(call: Call[HasHub], query: SettingsQuery) -> Reply[Settings]:
    """Get settings with the source of each.

    The ETag is the version that runs.
    """
    found = await call.state.hub.settings(query.prefix)
    return Reply(found, etag=str(found.version))


@api.patch("", **_WRITE)
async def change_config(call: Call[HasHub], body: Edits) -> Reply[Applied]:
    """Set and unset several settings in one change: all of them count, or none.

    Answers when every member runs it, or with what refused it. With `dry_run` every check is
    made, those of members too, and nothing changes. Send the ETag of what you saw as If-Match.
    """
    done = await call.state.hub.patch(
        body, by=call.principal, version=await required_version(call, call.state.hub.version)
    )
    return Reply(done, etag=str(done.version))


@api.get("/history", scope="config:read")
async def get_config_history(call: Call[HasHub], query: HistoryQuery) -> History:
    """List who changed what, and why, the newest first.

    Every entry is sealed by the hash of the one before.
    """
    return await call.state.hub.history(query)


@api.get("/diff", scope="config:read", errors=(NotFound,))
async def get_config_diff(call: Call[HasHub], query: DiffQuery) -> Diff:
    """Compare two versions."""
    return await call.state.hub.diff(query)


@api.get("/members", scope="config:read")
async def get_config_members(call: Call[HasHub]) -> Members:
    """List every replica and actor with the version it runs."""
    return await call.state.hub.members()


@api.get("/sources", scope="config:read")
async def get_config_sources(call: Call[HasHub]) -> Sources:
    """List where configuration comes from, and how each source is."""
    return await call.state.hub.sources()


@api.post("/validate", scope="config:read")
async def validate_config(call: Call[HasHub], body: Trial) -> Judged:
    """Find out what a change would change, or why it would be refused.

    Nothing changes. Members are not asked: they may still refuse the change itself.
    """
    return await call.state.hub.validate(body)


@api.post("/rollback", **_WRITE)
async def roll_back_config(call: Call[HasHub], body: RollbackWish) -> Reply[Applied]:
    """Restore what was set by operators in an earlier version, as a new version.

    With the ends that were given then; what has ended since stays away. What files and other
    sources say is not touched.

    Send the ETag of what you saw as If-Match.
    """
    done = await call.state.hub.roll_back(
        body, by=call.principal, version=await required_version(call, call.state.hub.version)
    )
    return Reply(done, etag=str(done.version))


@api.get("/{key}", scope="config:read", errors=(NotFound,), headers=IF_NONE_MATCH)
async def get_setting(call: Call[HasHub], key: str) -> Reply[Setting]:
    """Get a setting, where it has its value from, and what it hides."""
    found, version = await call.state.hub.setting(key)
    return Reply(found, etag=str(version))


@api.put("/{key}", **_WRITE)
async def set_setting(call: Call[HasHub], key: str, body: NewValue) -> Reply[Applied]:
    """Set a setting above every other source.

    Answers when every member runs it, or with what refused it. Send the ETag of what
    you saw as If-Match.
    """
    done = await call.state.hub.put(
        key, body, by=call.principal, version=await required_version(call, call.state.hub.version)
    )
    return Reply(done, etag=str(done.version))


@api.delete("/{key}", **_WRITE)
async def unset_setting(call: Call[HasHub], key: str, query: UnsetQuery) -> Reply[Applied]:
    """Remove what was set; the source below counts again. Send the ETag as If-Match."""
    done = await call.state.hub.unset(
        key,
        by=call.principal,
        reason=query.reason,
        version=await required_version(call, call.state.hub.version),
    )
    return Reply(done, etag=str(done.version))
