"""What operators ask of the hub, answered in JSON's types and without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecap.config.hub import accepted
from ecap.config.hub.accepted import Accepted
from ecap.config.hub.history import Entry, History
from ecap.config.hub.hub import TRIAL, Hub
from ecap.config.hub.proposals import HUB, Outcome
from ecap.config.hub.requests import Change, Return
from ecap.config.layers import keys, overrides, redaction, schema
from ecap.config.layers.overrides import Edit
from ecap.errors import Conflict, EcapError, Invalid, Misconfigured, NotFound, Unavailable


class Desk:
    def __init__(self, hub: Hub, history: History) -> None:
        self._hub = hub
        self._history = history

    async def settings(self, prefix: str) -> dict[str, Any]:
        """Those at or below `prefix`. Raises NotFound with the nearest known name."""
        if prefix and not schema.is_branch(prefix):
            _find(prefix)
        found = self._hub.accepted()
        shown = [_shown(found, key) for key in found.leaves if keys.within(key, prefix)]
        return {"version": found.version, "settings": shown}

    async def setting(self, key: str) -> dict[str, Any]:
        _find(key)
        found = self._hub.accepted()
        return {"version": found.version, "setting": _shown(found, key)}

    async def change(self, change: Change) -> dict[str, Any]:
        """Raises NotFound, Invalid, Conflict, PreconditionFailed, Unavailable."""
        touched = (*change.edit.sets, *change.edit.unsets)
        for key in touched:
            _find(key)
        try:
            outcome = await self._hub.edit(
                change.edit,
                author=change.author,
                reason=change.reason,
                canary=change.canary,
                if_version=change.version,
                dry_run=change.dry_run,
                sections=change.sections,
                origin=change.origin,
            )
        except Misconfigured as exc:
            # The operator's value, not the installation, is what is wrong.
            said = overrides.placeless(exc.detail, author=change.author, reason=change.reason)
            field = next((key for key in touched if key in said), touched[0])
            raise Invalid(said, field=field) from exc
        return _outcome(outcome)

    async def roll_back(self, wish: Return) -> dict[str, Any]:
        try:
            outcome = await self._hub.roll_back(
                wish.to,
                author=wish.author,
                reason=wish.reason,
                if_version=wish.version,
                sections=wish.sections,
                origin=wish.origin,
            )
        except Misconfigured as exc:
            raise Conflict(f"what was set then does not fit any more: {exc.detail}") from exc
        return _outcome(outcome)

    async def validate(self, edit: Edit) -> dict[str, Any]:
        """What a change would change, or why it would be refused; nobody is asked to run it."""
        before = self._hub.accepted()
        try:
            for key in (*edit.sets, *edit.unsets):
                _find(key)
            after = await self._hub.trial(edit)
        except Unavailable:
            raise
        except EcapError as exc:
            said = overrides.placeless(exc.detail, author=HUB, reason=TRIAL)
            return {"version": before.version, "problem": said, "changes": {}}
        changes = redaction.changes(before.leaves, after.leaves)
        return {"version": before.version, "problem": None, "changes": changes}

    async def history(self, *, before: int | None, limit: int) -> dict[str, Any]:
        """The newest first; `before` is a `seq`."""
        if before is None:
            last = await self._history.last()
            before = 1 if last is None else last.seq + 1
        first = max(0, before - 1 - limit)
        found = await self._history.entries(after_seq=first, limit=min(limit, before - 1 - first))
        entries = [_entry(entry) for entry in reversed(found)]
        return {"entries": entries, "next": first + 1 if first else None}

    async def diff(self, left: int, right: int) -> dict[str, Any]:
        """Raises NotFound for a version that never ran."""
        sides = [await self._hub.leaves(version) for version in (left, right)]
        return {"changes": redaction.changes(*sides)}

    async def members(self) -> dict[str, Any]:
        return {"version": self._hub.accepted().version, "members": self._hub.standing()}


def _find(key: str) -> None:
    if schema.known(key) is None:
        if schema.is_branch(key):
            raise NotFound(f"{key} is a section, not a setting", field=key)
        raise NotFound(schema.unknown(key), field=key)


def _shown(found: Accepted, key: str) -> dict[str, Any]:
    override = found.overrides.get(key)
    return {
        **accepted.explain(found.found, found.leaves, found.since, key),
        "expires_at": override.expires_at if override else None,
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "version": outcome.version,
        "changed": list(outcome.changed),
        "behind": list(outcome.behind),
        "skipped": list(outcome.skipped),
    }


def _entry(entry: Entry) -> dict[str, Any]:
    body: Mapping[str, Any] = entry.body
    members = body.get("members")
    return {
        "seq": entry.seq,
        "version": entry.version,
        "what": entry.kind,
        "at": entry.at,
        "author": entry.author,
        "reason": entry.reason,
        "why": body.get("why"),
        "changes": body.get("changes") or {},
        "undoes": body.get("undoes"),
        "members": members if isinstance(members, dict) else {},
        "hash": entry.hash,
    }
