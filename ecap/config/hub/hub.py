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

from ecap.config.hub.accepted import Accepted, Packed
from ecap.config.hub.candidates import Candidates
from ecap.config.hub.decision import Secrets
from ecap.config.hub.history import History
from ecap.config.hub.journal import Journal
from ecap.config.hub.proposals import HUB, Outcome, Proposal
from ecap.config.hub.recovery import Recovery
from ecap.config.hub.rounds import Rounds
from ecap.config.layers import overrides
from ecap.config.layers.layer import Layer, Source
from ecap.config.layers.overrides import Edit
from ecap.config.protocol import Instruction, Report, Vote
from ecap.config.rollout import canary as canaries
from ecap.config.rollout import standing
from ecap.config.rollout.canary import Canary
from ecap.config.rollout.ledger import Ledger
from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.errors import (
    EcapError,
    Fatal,
    Forbidden,
    Misconfigured,
    NotFound,
    PreconditionFailed,
    Unavailable,
)

# Before the hub's own change is tried again, as the end of an override that a member refused.
_AGAIN_S = 10.0

TRIAL = "a trial"
"""Its reason, where messages have to name one."""


class Hub:
    """`given` are the layers as read when it starts. `boot_id` names the cluster's start:
    with a new one, what only a restart can change is taken, and, where
    that is asked for, operators' overrides are left behind.

    `clock` is monotonic, `wall` is Unix time, both in seconds.
    """

    def __init__(
        self,
        *,
        history: History,
        keys: LiveKeyring,
        secrets: Secrets,
        environ: Mapping[str, str],
        given: Mapping[Source, Layer],
        boot_id: str,
        clock: Callable[[], float],
        wall: Callable[[], float],
        ignore_overrides: bool = False,
    ) -> None:
        self.ledger = Ledger(clock=clock)
        self._journal = Journal(history, keys=keys, wall=wall)
        self._candidates = Candidates(secrets=secrets, environ=environ)
        self._recovery = Recovery(
            self._journal,
            self._candidates,
            self.ledger,
            given=given,
            boot_id=boot_id,
            clock=clock,
            ignore_overrides=ignore_overrides,
        )
        self._clock = clock
        self._wall = wall
        self._rounds: Rounds | None = None
        self._started = asyncio.Event()
        self._waiting: asyncio.Queue[Proposal] = asyncio.Queue()
        self._interrupted: Proposal | None = None
        self._idle_until = 0.0
        self._harmful = 0

    # What members and operators call

    async def exchange(self, report: Report) -> Instruction:
        """Raises Fenced for a process that was replaced by another of its name."""
        await self._started.wait()
        rollout = self._open().rollout
        self._hear_of_harm(report)
        return await rollout.answer(report)

    def _hear_of_harm(self, report: Report) -> None:
        vote = report.failed
        if vote is None or vote.back_to is None or vote.version == self._harmful:
            return
        if vote.version == self.accepted().version:
            self._harmful = vote.version
            self._waiting.put_nowait(Proposal(HUB, f"{report.member}: {vote.refusal}", harm=vote))

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
        dry_run: bool = False,
        sections: tuple[str, ...] = ("",),
        origin: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Raises Invalid or NotFound naming the key, Conflict with the refusals, Forbidden for
        a key outside `sections`, PreconditionFailed when another version runs than `if_version`."""
        if canary is not None:
            canaries.check(canary)
        return await self._submit(
            Proposal(
                author,
                reason,
                edit=edit,
                canary=canary,
                if_version=if_version,
                dry_run=dry_run,
                sections=sections,
                origin=origin or {},
            )
        )

    async def roll_back(
        self,
        version: int,
        *,
        author: str,
        reason: str,
        if_version: int | None = None,
        sections: tuple[str, ...] = ("",),
        origin: Mapping[str, str] | None = None,
    ) -> Outcome:
        """To the overrides that there were with `version`, as a new version. Raises NotFound, and
        Forbidden when it would change a key outside `sections`."""
        return await self._submit(
            Proposal(
                author,
                reason,
                back_to=version,
                if_version=if_version,
                sections=sections,
                origin=origin or {},
            )
        )

    def accepted(self) -> Accepted:
        """Raises Unavailable while the hub starts."""
        return self._open().accepted

    async def trial(self, edit: Edit) -> Accepted:
        """What counts if this were set. Nothing changes, no member is asked and no source:
        whoever may only read must not make the hub open files and secrets.

        Raises what refuses it.
        """
        proposal = Proposal(HUB, TRIAL, edit=edit)
        return await self._candidates.tried(
            self.accepted(), self._journal.version + 1, proposal, now=self._wall()
        )

    async def leaves(self, version: int) -> Mapping[str, Any]:
        """Of a version that ran, secrets included. Raises NotFound."""
        return (await self._packed(version)).leaves

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

    def renew(self) -> None:
        """After a key was promoted: what the overrides hold must not need the one before."""
        rounds = self._open()
        rounds.take(rounds.accepted)

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
            self._rounds = await self._recovery.begin()
            # Before `finish`, which waits for reports: no member is answered until this is set, and
            # in the other order each would be waited for until it counts as stale.
            self._started.set()
            self._interrupted = await self._recovery.finish(self._rounds)
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
            if proposal.harm is not None:
                self._harmful = 0  # the member tells it again
            elif proposal.done is None:
                # Nobody asked for it, so it is due again at once: without a pause the hub would
                # try, and be refused, without end.
                self._idle_until = self._clock() + _AGAIN_S
            # Fenced: another hub writes now. Misconfigured is about the proposal; after Unavailable
            # the next write tells whether this one was made (see Journal).
            if isinstance(exc, Fatal) and not isinstance(exc, Misconfigured):
                raise

    async def _next(self) -> Proposal:
        if self._interrupted is not None:
            proposal, self._interrupted = self._interrupted, None
            return proposal
        while True:
            due = overrides.next_expiry(self.accepted().overrides)
            idle_s = self._idle_until - self._clock()
            left = None if due is None else max(0.0, due - self._wall(), idle_s)
            try:
                # A proposal that comes together with the timeout is not lost: `get` takes it only
                # after it has woken, so it is still in the queue.
                async with asyncio.timeout(left):
                    return await self._waiting.get()
            except TimeoutError:
                gone = overrides.expired(self.accepted().overrides, now=self._wall())
                if gone:
                    return Proposal(HUB, "the override has expired", edit=Edit(unsets=gone))

    async def _decide(self, proposal: Proposal) -> Outcome:
        rounds = self._open()
        before = rounds.accepted
        if proposal.harm is not None:
            return await self._withdraw(proposal.harm, why=proposal.reason)
        # Compared when its turn has come, not when it was asked for: changes that stood before it
        # in the queue have been made by now.
        if proposal.if_version is not None and proposal.if_version != before.version:
            raise PreconditionFailed(
                f"version {before.version} runs, not {proposal.if_version}", version=before.version
            )
        version = self._journal.version + 1
        skipped: tuple[str, ...] = ()
        try:
            if proposal.back_to is not None:
                then = await self._packed(proposal.back_to)
                proposal.edit, skipped = overrides.way_back(
                    before.overrides, then.overrides, at=self._wall()
                )
            # Here, where each key is known: a rollback finds them out only now.
            beyond = proposal.beyond()
            if beyond is not None:
                raise Forbidden(f"{proposal.author} may not change {beyond}", field=beyond)
            found = await self._candidates.wanted(before, version, proposal, now=self._wall())
            names: frozenset[str] = frozenset()
            if proposal.canary is not None:
                live = rounds.rollout.live()
                names = canaries.chosen(proposal.canary, live, version=version)
        except Unavailable:
            raise
        except EcapError as exc:
            why = overrides.placeless(exc.detail, author=proposal.author, reason=proposal.reason)
            body = {"edit": proposal.refused_edit(), "why": why}
            await self._journal.write(self._journal.event("refused", version, proposal, body))
            raise
        # An edit is brought even if no value changes: an override has to be in a state of the
        # history, or a hub that replaces this one would not know it. Sources repeat themselves.
        if proposal.edit is None and found.leaves == before.leaves:
            # Another source says the same, or what changed is hidden: nothing to bring anywhere.
            since = {key: min(at, before.version) for key, at in found.since.items()}
            rounds.take(replace(found, version=before.version, since=since))
            return Outcome(before.version)
        if proposal.dry_run:
            return await rounds.rehearse(found, proposal)
        outcome = await rounds.bring(found, proposal, names)
        return replace(outcome, skipped=skipped)

    async def _withdraw(self, harm: Vote, *, why: str) -> Outcome:
        """To what the member that was harmed runs again, for all."""
        rounds = self._open()
        back_to = harm.back_to or 0
        if rounds.accepted.version == harm.version:
            packed = await self._journal.state(back_to)
            while packed is None and back_to > 0:
                back_to -= 1  # only a canary ran it
                packed = await self._journal.state(back_to)
            if packed is not None:
                await rounds.undo(self._candidates.restored(packed), harm.version, why)
        return Outcome(rounds.accepted.version)

    async def _packed(self, version: int) -> Packed:
        packed = await self._journal.state(version)
        if packed is None:
            raise NotFound(f"no version {version} ever ran")
        return packed
