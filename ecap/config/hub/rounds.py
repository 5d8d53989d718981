"""One change from its proposal to its settlement: the history first, then the members."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ecap import logs, metrics
from ecap.config.hub import states
from ecap.config.hub.accepted import Accepted
from ecap.config.hub.history import Event, Kind
from ecap.config.hub.journal import Journal
from ecap.config.hub.proposals import HUB, Outcome, Proposal
from ecap.config.layers import redaction
from ecap.config.protocol import Snapshot
from ecap.config.rollout.ledger import Ledger
from ecap.config.rollout.rollout import Rollout
from ecap.errors import Conflict

_log = logs.get("ecap.config")

# A member that nobody has heard for this long will not be back under its name.
_FORGET_S = 3600.0


class Rounds:
    """`accepted` is the version that is decided; members run it or are about to."""

    def __init__(
        self,
        accepted: Accepted,
        *,
        journal: Journal,
        ledger: Ledger,
        clock: Callable[[], float],
    ) -> None:
        self.accepted = accepted
        self._journal = journal
        self._ledger = ledger
        self.rollout = Rollout(
            _snapshot(accepted), ledger=ledger, clock=clock, timing=accepted.settings.hub
        )

    def take(self, found: Accepted) -> None:
        """With the `enc:` values of its overrides under the first key of now."""
        self.accepted = states.renewed(found, self._journal.keys.ring)

    async def bring(self, found: Accepted, proposal: Proposal, canaries: frozenset[str]) -> Outcome:
        """Two phases, and between them the canary. Raises Conflict with the refusals."""
        before, version = self.accepted, found.version
        changed = redaction.changes(before.leaves, found.leaves)
        body = {
            "edit": proposal.safe_edit(),
            "changes": changed,
            "canary": proposal.safe_canary(),
            "members": sorted(member.name for member in self.rollout.live()),
        }
        started = time.perf_counter()
        proposed = [self._journal.event("proposed", version, proposal, body)]
        snapshot = _snapshot(found)
        asked = self.rollout.concerned(snapshot)
        # In the history before anybody hears of it: members keep what they were asked about by its
        # number, and a hub that did not know the number would give it to another change.
        if asked:
            await self._journal.write(*proposed)
            proposed = []
            refusals = await self.rollout.ask(snapshot, asked)
            if refusals:
                why = "; ".join(refusals)
                await self._write("refused", version, proposal, {"why": why})
                metrics.config_rounds.labels("refused").inc()
                raise Conflict(why, version=version)
        if proposal.canary is not None:
            tried = self._journal.event("canary", version, proposal, {"members": sorted(canaries)})
            await self._journal.write(*proposed, tried)
            proposed = []
            failure = await self.rollout.try_on(snapshot, canaries, proposal.canary)
            if failure is not None:
                await self.undo(before, version, failure)
                raise Conflict(f"undone after the canary: {failure}", version=version)
            started = time.perf_counter()
        body = {"changes": changed, "edit": proposal.safe_edit()}
        # What nobody has to be asked about is proposed and decided in one breath.
        applied = self._journal.event("applied", version, proposal, body)
        await self._accept(found, *proposed, applied)
        failure = await self.commit(before)
        if failure is not None:
            raise Conflict(f"undone: {failure}", version=version)
        metrics.config_rounds.labels("applied").inc()
        metrics.config_publish_seconds.observe(time.perf_counter() - started)
        return Outcome(version, tuple(changed), self._behind())

    async def rehearse(self, found: Accepted, proposal: Proposal) -> Outcome:
        """Ask whoever may refuse, and leave it at that. Raises Conflict with the refusals.

        What members have prepared goes by its version, so that one is used up.
        """
        changed = redaction.changes(self.accepted.leaves, found.leaves)
        snapshot = _snapshot(found)
        asked = self.rollout.concerned(snapshot)
        if asked:
            body: dict[str, Any] = {
                "edit": proposal.safe_edit(),
                "changes": changed,
                "canary": None,
                "members": sorted(member.name for member in self.rollout.live()),
                "dry_run": True,
            }
            await self._write("proposed", found.version, proposal, body)
            refusals = await self.rollout.ask(snapshot, asked)
            why = "; ".join(refusals)
            body = {"why": why or "a dry run: nobody refuses", "dry_run": True}
            await self._write("refused", found.version, proposal, body)
            if refusals:
                raise Conflict(why, version=found.version)
        return Outcome(self.accepted.version, tuple(changed), self._behind())

    async def commit(self, before: Accepted | None) -> str | None:
        """Bring what was decided to all members. When one refuses, go back to `before`,
        if there is one, and say why."""
        refusals = await self.rollout.commit(_snapshot(self.accepted))
        if refusals and before is not None:
            why = "; ".join(refusals)
            await self.undo(before, self.accepted.version, why)
            return why
        await self._settled(refusals)
        return None

    async def undo(self, before: Accepted, undone: int, why: str, *, again: bool = False) -> None:
        """As a version of its own, so that no member ever goes back in numbers. `again`
        says that the change was not at fault."""
        version = self._journal.version + 1
        current = self.accepted
        restored = replace(
            before,
            version=version,
            since={
                key: version if current.leaves.get(key) != value else before.since.get(key, version)
                for key, value in before.leaves.items()
            },
        )
        body = {
            "undoes": undone,
            "again": again,
            "changes": redaction.changes(current.leaves, before.leaves),
        }
        event = self._journal.event("rolled-back", version, Proposal(HUB, why), body)
        await self._accept(restored, event)
        metrics.config_rounds.labels("undone").inc()
        _log.warning("configuration undone", extra={"version": undone, "why": why})
        # Who refuses this as well is only written down: there is nothing left to go back to.
        await self._settled(await self.rollout.commit(_snapshot(restored)))

    async def _write(
        self, kind: Kind, version: int, proposal: Proposal, body: dict[str, Any]
    ) -> None:
        await self._journal.write(self._journal.event(kind, version, proposal, body))

    async def _accept(self, found: Accepted, *events: Event) -> None:
        # Sealed in one go: a key may be retired when nobody can write with it any more.
        found = states.renewed(found, self._journal.keys.ring)
        await self._journal.write(*events, accepted=found)
        # After the write: what runs is in the history first. Once more under the first key, because
        # the keyring may have changed while it was written.
        self.take(found)
        self.rollout.timing = found.settings.hub

    async def _settled(self, refusals: list[str]) -> None:
        body = {
            "members": {member.name: member.running for member in self._ledger},
            "refusals": refusals,
        }
        await self._write("settled", self.accepted.version, Proposal(HUB, ""), body)
        self._ledger.forget(silent_s=_FORGET_S)

    def _behind(self) -> tuple[str, ...]:
        version = self.accepted.version
        return tuple(sorted(m.name for m in self._ledger if m.running != version))


def _snapshot(accepted: Accepted) -> Snapshot:
    return Snapshot.of(accepted.version, accepted.leaves, accepted.ends)
