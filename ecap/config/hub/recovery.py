"""From the history to a hub that goes on: after a start of the cluster, or after its own death."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from ecap import logs
from ecap.config.hub import proposals
from ecap.config.hub.accepted import Accepted, Packed
from ecap.config.hub.candidates import Candidates
from ecap.config.hub.history import DECISIONS, Entry
from ecap.config.hub.journal import Journal
from ecap.config.hub.proposals import HUB, Proposal
from ecap.config.hub.rounds import Rounds
from ecap.config.layers import overrides
from ecap.config.layers.layer import Layer, Source
from ecap.config.layers.overrides import Override, Overrides
from ecap.config.rollout.ledger import Ledger
from ecap.errors import Invalid, Misconfigured

_log = logs.get("ecap.config")

_STORES: tuple[Source, ...] = ("kubernetes", "vault")


class Recovery:
    """`begin`, then `finish`: in between, members may ask."""

    def __init__(
        self,
        journal: Journal,
        candidates: Candidates,
        ledger: Ledger,
        *,
        given: Mapping[Source, Layer],
        boot_id: str,
        clock: Callable[[], float],
        ignore_overrides: bool = False,
    ) -> None:
        self._journal = journal
        self._candidates = candidates
        self._ledger = ledger
        self._given = given
        self._boot_id = boot_id
        self._clock = clock
        self._ignore_overrides = ignore_overrides
        self._entries: list[Entry] = []
        """Those that are left to be finished."""

    async def begin(self) -> Rounds:
        """What runs. Raises Misconfigured when the history was altered or cannot be opened."""
        entries = await self._journal.open()
        decided = [entry for entry in entries if entry.kind in DECISIONS]
        boots = [entry for entry in decided if entry.kind == "booted"]
        if not boots or boots[-1].body["boot_id"] != self._boot_id:
            return self._rounds(await self._boot(decided))
        self._entries = entries
        # Before anybody has reported: a round that is finished with an empty ledger would find
        # nobody behind, and settle what no member has taken.
        self._ledger.expect(proposals.members(entries))
        return self._rounds(await self._restored(decided[-1].version))

    async def finish(self, rounds: Rounds) -> Proposal | None:
        """Ends the round that was under way when the hub died; the change to try again."""
        if not self._entries:
            return None
        entries = self._entries
        decided = [entry for entry in entries if entry.kind in DECISIONS]
        last, found = decided[-1], rounds.accepted
        if last.kind != "booted" and entries[-1] is last:
            # Nothing is written between a decision and its settlement.
            # What came before a `rolled-back` is what was refused: nothing leads back there.
            undoable = last.kind == "applied" and len(decided) > 1
            before = await self._restored(decided[-2].version) if undoable else None
            await rounds.commit(before)
        proposed = proposals.unfinished(entries)
        if proposed is None:
            return None
        # Only the lost hub knew how the canaries fared, and they still run it. Taken back first;
        # the second attempt has a number of its own.
        if entries[-1].kind == "canary":
            why = "the hub was lost during the canary"
            await rounds.undo(found, proposed.version, why, again=True)
        return proposals.again(proposed)

    async def _boot(self, decided: list[Entry]) -> Accepted:
        """A new start of the cluster: what the sources say now, and the overrides kept."""
        then = await self._journal.state(decided[-1].version) if decided else None
        present: Overrides = overrides.known(then.overrides) if then else {}
        ignored = tuple(sorted(present)) if self._ignore_overrides else ()
        gone = overrides.expired(present, now=self._journal.now())
        kept = {key: one for key, one in present.items() if key not in (*gone, *ignored)}
        version = self._journal.version + 1
        found, dropped = await self._fresh(version, then, kept)
        body = {"boot_id": self._boot_id, "dropped": list(dropped), "ignored": list(ignored)}
        if ignored:
            body["why"] = f"as asked, without the overrides {', '.join(ignored)}"
        proposal = Proposal(HUB, "the cluster started")
        booted = self._journal.event("booted", version, proposal, body)
        await self._journal.write(booted, accepted=found)
        return found

    async def _fresh(
        self, version: int, then: Packed | None, kept: Overrides
    ) -> tuple[Accepted, tuple[str, ...]]:
        """And the overrides that had to go."""
        given = self._given
        try:
            return await self._candidates.fresh(version, given, kept), ()
        except (Misconfigured, Invalid) as exc:
            if then is None:
                raise
            try:
                await self._candidates.fresh(version, given, {})
            except (Misconfigured, Invalid):
                # What Vault or a ConfigMap says is no reason not to start: the last counts.
                given = {**given, **{s: then.given[s] for s in _STORES if s in then.given}}
                _log.error("sources are refused, the last they said counts: %s", exc.detail)
        # Nor is what was set under an older release or another file.
        fits: dict[str, Override] = {}
        for key, one in kept.items():
            with suppress(Misconfigured, Invalid):
                await self._candidates.fresh(version, given, {**fits, key: one})
                fits[key] = one
        dropped = tuple(sorted(kept.keys() - fits.keys()))
        if dropped:
            _log.error("overrides no longer fit and were dropped", extra={"keys": dropped})
        return await self._candidates.fresh(version, given, fits), dropped

    async def _restored(self, version: int) -> Accepted:
        packed = await self._journal.state(version)
        if packed is None:
            raise Misconfigured(f"the configuration history has no state of version {version}")
        return self._candidates.restored(packed)

    def _rounds(self, found: Accepted) -> Rounds:
        return Rounds(found, journal=self._journal, ledger=self._ledger, clock=self._clock)
