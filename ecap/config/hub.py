"""The hub: one place that decides which configuration runs, and brings it to every member.

A change goes proposed -> validated -> asked of all members -> (tried on some) ->
applied -> acknowledged by all, or it is undone. Each step is in the history before
it is taken, so a hub that dies at any point is replaced by one that reads the
history and goes on. Changes are made one after another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from ecap import logs
from ecap.config import canary as canaries
from ecap.config import deciding, overrides, proposals, standing
from ecap.config.accepted import Accepted, Packed, Sealer
from ecap.config.canary import Canary
from ecap.config.deciding import Secrets
from ecap.config.history import DECISIONS, Entry, History
from ecap.config.journal import Journal
from ecap.config.layers import Layer, Source
from ecap.config.ledger import Ledger
from ecap.config.overrides import Edit, Overrides
from ecap.config.proposals import HUB, Outcome, Proposal
from ecap.config.protocol import Order, Report
from ecap.config.references import Reference
from ecap.config.rounds import Rounds
from ecap.errors import (
    EcapError,
    Fatal,
    Invalid,
    Misconfigured,
    NotFound,
    PreconditionFailed,
    Unavailable,
)

_log = logs.get("ecap.config")


class Hub:
    """`given` are the layers as read when it starts. `boot_id` names the cluster's start:
    with a new one, what only a restart can change is taken.

    `clock` is monotonic, `wall` is Unix time, both in seconds.
    """

    def __init__(
        self,
        *,
        history: History,
        sealer: Sealer,
        secrets: Secrets,
        environ: Mapping[str, str],
        given: Mapping[Source, Layer],
        boot_id: str,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.ledger = Ledger(clock=clock)
        self._journal = Journal(history, sealer=sealer, wall=wall)
        self._secrets = secrets
        self._environ = environ
        self._given = given
        self._boot_id = boot_id
        self._clock = clock
        self._wall = wall
        self._rounds: Rounds | None = None
        self._started = asyncio.Event()
        self._waiting: asyncio.Queue[Proposal] = asyncio.Queue()
        self._interrupted: Proposal | None = None

    # What members and operators call

    async def exchange(self, report: Report) -> Order:
        """Raises Fenced for a process that was replaced by another of its name."""
        await self._started.wait()
        return await self._open().rollout.answer(report)

    async def leave(self, member: str, incarnation: str) -> None:
        self.ledger.leave(member, incarnation)

    async def offer(self, layers: Mapping[Source, Layer], *, reason: str) -> Outcome:
        """What sources say now. Raises what refuses it; the last good version stays."""
        author = ", ".join(layers) or HUB
        return await self._submit(Proposal(author, reason, given=layers))

    async def edit(
        self,
        edit: Edit,
        *,
        author: str,
        reason: str,
        canary: Canary | None = None,
        if_version: int | None = None,
    ) -> Outcome:
        """Raises Invalid or NotFound naming the key, Conflict with the refusals,
        PreconditionFailed when another version runs than `if_version`."""
        if canary is not None:
            canaries.check(canary)
        return await self._submit(
            Proposal(author, reason, edit=edit, canary=canary, if_version=if_version)
        )

    async def roll_back(
        self, version: int, *, author: str, reason: str, if_version: int | None = None
    ) -> Outcome:
        """To the settings of `version`, as a new version. Raises NotFound."""
        return await self._submit(Proposal(author, reason, back_to=version, if_version=if_version))

    def accepted(self) -> Accepted:
        """Raises Unavailable while the hub starts."""
        return self._open().accepted

    async def trial(self, edit: Edit) -> Accepted:
        """What counts if this were set. Nothing changes, and no member is asked.

        Raises what refuses it.
        """
        proposal = Proposal(HUB, "a trial", edit=edit)
        return await self._wanted(self.accepted(), self._journal.version + 1, proposal)

    async def leaves(self, version: int) -> Mapping[str, Any]:
        """Of a version that ran, secrets included. Raises NotFound."""
        packed = await self._journal.state(version)
        if packed is None:
            raise NotFound(f"no version {version} ever ran")
        return packed.leaves

    async def started(self) -> None:
        """Until it has found its place in the history."""
        await self._started.wait()

    def standing(self) -> list[dict[str, Any]]:
        """A row for each member: what it runs, and whether that is what it should."""
        found = self.accepted()
        return standing.shown(
            self.ledger,
            version=found.version,
            now=self._clock(),
            stale_after_s=found.settings.hub.stale_after_s,
        )

    def use(self, sealer: Sealer) -> None:
        """From now on; after a key was added, promoted or retired."""
        self._journal.sealer = sealer

    async def _submit(self, proposal: Proposal) -> Outcome:
        proposal.done = asyncio.get_running_loop().create_future()
        # Whoever asked may have gone away; the outcome is in the history.
        proposal.done.add_done_callback(lambda done: done.cancelled() or done.exception())
        await self._waiting.put(proposal)
        return await asyncio.shield(proposal.done)

    def _open(self) -> Rounds:
        if self._rounds is None:
            raise Unavailable("the configuration hub is starting")
        return self._rounds

    # The one task that decides

    async def run(self) -> None:
        """Until cancelled. Raises Fenced when another hub works on the same history,
        Misconfigured when the history was altered or cannot be opened."""
        proposal: Proposal | None = None
        try:
            await self._recover()
            self._started.set()
            while True:
                proposal = await self._next()
                await self._serve(proposal)
        finally:
            # Whoever waits here must not wait for ever; the history says what became of it.
            lost = Unavailable("the configuration hub has stopped; look at the history")
            while not self._waiting.empty():
                self._waiting.get_nowait().fail(lost)
            if proposal is not None:
                proposal.fail(lost)

    async def _serve(self, proposal: Proposal) -> None:
        try:
            proposal.succeed(await self._decide(proposal))
        except EcapError as exc:
            proposal.fail(exc)
            if isinstance(exc, Fatal) and not isinstance(exc, Misconfigured):
                raise

    async def _next(self) -> Proposal:
        if self._interrupted is not None:
            proposal, self._interrupted = self._interrupted, None
            return proposal
        while True:
            due = overrides.next_expiry(self.accepted().overrides)
            left = None if due is None else max(0.0, due - self._wall())
            try:
                async with asyncio.timeout(left):
                    return await self._waiting.get()
            except TimeoutError:
                gone = overrides.expired(self.accepted().overrides, now=self._wall())
                if gone:
                    return Proposal(HUB, "the override has expired", edit=Edit(unsets=gone))

    async def _decide(self, proposal: Proposal) -> Outcome:
        rounds = self._open()
        before = rounds.accepted
        if proposal.if_version is not None and proposal.if_version != before.version:
            raise PreconditionFailed(
                f"version {before.version} runs, not {proposal.if_version}", version=before.version
            )
        version = self._journal.version + 1
        skipped: tuple[str, ...] = ()
        try:
            if proposal.back_to is not None:
                proposal.edit, skipped = await self._way_back(before, proposal.back_to)
            found = await self._wanted(before, version, proposal)
            names: frozenset[str] = frozenset()
            if proposal.canary is not None:
                live = rounds.rollout.live()
                names = canaries.chosen(proposal.canary, live, version=version)
        except Unavailable:
            raise
        except EcapError as exc:
            body = {"edit": proposal.safe_edit(), "why": exc.detail}
            await self._journal.write("refused", version, proposal, body)
            raise
        if proposal.edit is None and found.leaves == before.leaves:
            # Another source says the same, or what changed is hidden: nothing to bring anywhere.
            since = {key: min(at, before.version) for key, at in found.since.items()}
            rounds.accepted = replace(found, version=before.version, since=since)
            return Outcome(before.version)
        outcome = await rounds.bring(found, proposal, names)
        return replace(outcome, skipped=skipped)

    async def _wanted(self, before: Accepted, version: int, proposal: Proposal) -> Accepted:
        present = before.overrides
        if proposal.edit is not None:
            present = overrides.edited(
                present,
                proposal.edit,
                author=proposal.author,
                reason=proposal.reason,
                now=self._wall(),
            )
        given = {**before.given, **proposal.given}
        known = {} if proposal.brings_secrets() else before.read
        return await self._candidate(before, version, given, present, known)

    async def _candidate(
        self,
        before: Accepted | None,
        version: int,
        given: Mapping[Source, Layer],
        present: Overrides,
        known: Mapping[Reference, str],
    ) -> Accepted:
        return await deciding.candidate(
            before,
            version=version,
            given=given,
            present=present,
            secrets=self._secrets,
            environ=self._environ,
            known=known,
        )

    async def _way_back(self, before: Accepted, version: int) -> tuple[Edit, tuple[str, ...]]:
        then = await self._journal.state(version)
        if then is None:
            raise NotFound(f"no version {version} ever ran")
        target = overrides.known(then.overrides)
        trial = await self._candidate(None, version, before.given, target, before.read)
        return deciding.way_back(before, then, trial.leaves)

    # After a start

    async def _recover(self) -> None:
        entries = await self._journal.open()
        decided = [entry for entry in entries if entry.kind in DECISIONS]
        boots = [entry for entry in decided if entry.kind == "booted"]
        if not boots or boots[-1].body["boot_id"] != self._boot_id:
            await self._boot(decided)
        else:
            await self._resume(entries, decided)

    async def _boot(self, decided: list[Entry]) -> None:
        """A new start of the cluster: what the sources say now, and the overrides kept."""
        then: Packed | None = None
        if decided:
            then = await self._journal.state(decided[-1].version)
        kept: Overrides = overrides.known(then.overrides) if then else {}
        version = self._journal.version + 1
        dropped: tuple[str, ...] = ()
        try:
            found = await self._candidate(None, version, self._given, kept, {})
        except (Misconfigured, Invalid):
            if not kept:
                raise
            # Set under an older release or another file: no reason not to start.
            found = await self._candidate(None, version, self._given, {}, {})
            dropped = tuple(sorted(kept))
            _log.error("overrides no longer fit and were dropped", extra={"keys": dropped})
        body = {"boot_id": self._boot_id, "dropped": list(dropped)}
        proposal = Proposal(HUB, "the cluster started")
        await self._journal.write("booted", version, proposal, body, accepted=found)
        self._rounds = self._begin(found)

    async def _resume(self, entries: list[Entry], decided: list[Entry]) -> None:
        """The hub died and the cluster did not."""
        last = decided[-1]
        found = await self._restored(last.version)
        before = await self._restored(decided[-2].version) if len(decided) > 1 else None
        rounds = self._rounds = self._begin(found)
        self.ledger.expect(proposals.members(entries))
        self._started.set()
        if last.kind != "booted" and entries[-1] is last:
            # Nothing is written between a decision and its settlement.
            await rounds.commit(before if last.kind == "applied" else None)
        proposed = proposals.unfinished(entries)
        if proposed is None:
            return
        if entries[-1].kind == "canary":
            why = "the hub was lost during the canary"
            await rounds.undo(found, proposed.version, why, again=True)
        self._interrupted = proposals.again(proposed)

    async def _restored(self, version: int) -> Accepted:
        packed = await self._journal.state(version)
        if packed is None:
            raise Misconfigured(f"the configuration history has no state of version {version}")
        try:
            return deciding.restored(packed, self._environ)
        except ValidationError as exc:
            raise Misconfigured(
                f"configuration version {version} does not fit this release"
                f" ({exc.error_count()} settings); restart the cluster"
            ) from None

    def _begin(self, found: Accepted) -> Rounds:
        return Rounds(found, journal=self._journal, ledger=self.ledger, clock=self._clock)
