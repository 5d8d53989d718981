"""The hub: one place that decides which configuration runs, and brings it to every member.

A change goes proposed -> validated -> asked of all members -> (tried on some) ->
applied -> acknowledged by all, or it is undone. Each step is in the history before
it is taken, so a hub that dies at any point is replaced by one that reads the
history and goes on. Changes are made one after another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from ecap import logs
from ecap.config import accepted as accepting
from ecap.config import canary as canaries
from ecap.config import deciding, overrides, redaction
from ecap.config.accepted import Accepted, Packed, Sealer
from ecap.config.canary import Canary
from ecap.config.deciding import Secrets
from ecap.config.history import DECISIONS, Entry, Event, History, Kind, verify
from ecap.config.layers import Layer, Source
from ecap.config.ledger import Ledger
from ecap.config.overrides import Edit, Overrides
from ecap.config.protocol import Order, Report, Snapshot
from ecap.config.references import Reference
from ecap.config.rollout import Rollout
from ecap.errors import (
    Conflict,
    EcapError,
    Fatal,
    Invalid,
    Misconfigured,
    NotFound,
    PreconditionFailed,
    Unavailable,
)

_log = logs.get("ecap.config")

# A member that nobody has heard for this long will not be back under its name.
_FORGET_S = 3600.0
_HUB = "hub"


@dataclass(frozen=True)
class Outcome:
    version: int
    changed: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    """Known members that were silent; they take it when they are back."""
    skipped: tuple[str, ...] = ()
    """Keys a rollback could not restore."""


@dataclass
class _Job:
    author: str
    reason: str
    given: Mapping[Source, Layer] = field(default_factory=dict)
    edit: Edit | None = None
    back_to: int | None = None
    canary: Canary | None = None
    if_version: int | None = None
    done: asyncio.Future[Outcome] | None = None


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
        self._history = history
        self._sealer = sealer
        self._secrets = secrets
        self._environ = environ
        self._given = given
        self._boot_id = boot_id
        self._clock = clock
        self._wall = wall
        self._accepted: Accepted | None = None
        self._last: Entry | None = None
        self._version = 0
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._started = asyncio.Event()
        self.ledger = Ledger(clock=clock)
        self._rollout: Rollout | None = None
        self._interrupted: _Job | None = None

    # What members and operators call

    async def exchange(self, report: Report) -> Order:
        await self._started.wait()
        assert self._rollout is not None
        return await self._rollout.answer(report)

    async def leave(self, member: str, incarnation: str) -> None:
        self.ledger.leave(member, incarnation)

    async def offer(self, layers: Mapping[Source, Layer], *, reason: str) -> Outcome:
        """What sources say now. Raises what refuses it; the last good version stays."""
        return await self._submit(_Job(author=_author(layers), reason=reason, given=layers))

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
            _Job(author, reason, edit=edit, canary=canary, if_version=if_version)
        )

    async def roll_back(
        self, version: int, *, author: str, reason: str, if_version: int | None = None
    ) -> Outcome:
        """To the settings of `version`, as a new version. Raises NotFound."""
        return await self._submit(_Job(author, reason, back_to=version, if_version=if_version))

    def accepted(self) -> Accepted:
        """Raises Unavailable while the hub starts."""
        if self._accepted is None:
            raise Unavailable("the configuration hub is starting")
        return self._accepted

    def snapshot(self) -> Snapshot:
        found = self.accepted()
        return Snapshot(found.version, found.leaves)

    def use(self, sealer: Sealer) -> None:
        """From now on; after a key was added, promoted or retired."""
        self._sealer = sealer

    async def _submit(self, job: _Job) -> Outcome:
        job.done = asyncio.get_running_loop().create_future()
        # Whoever asked may have gone away; the outcome is in the history.
        job.done.add_done_callback(lambda done: done.cancelled() or done.exception())
        await self._jobs.put(job)
        return await asyncio.shield(job.done)

    # The one task that decides

    async def run(self) -> None:
        """Until cancelled. Raises Fenced when another hub works on the same history,
        Misconfigured when the history was altered or cannot be opened."""
        job: _Job | None = None
        try:
            await self._recover()
            self._started.set()
            while True:
                job = await self._next()
                await self._serve(job)
        finally:
            # Whoever waits here must not wait for ever; the history says what became of it.
            lost = Unavailable("the configuration hub has stopped; look at the history")
            while not self._jobs.empty():
                _settle(self._jobs.get_nowait(), error=lost)
            if job is not None:
                _settle(job, error=lost)

    async def _serve(self, job: _Job) -> None:
        try:
            outcome = await self._do(job)
        except Fatal as exc:
            _settle(job, error=exc)
            if not isinstance(exc, Misconfigured):
                raise
        except EcapError as exc:
            _settle(job, error=exc)
        else:
            _settle(job, outcome=outcome)

    async def _next(self) -> _Job:
        if self._interrupted is not None:
            job, self._interrupted = self._interrupted, None
            return job
        while True:
            due = overrides.next_expiry(self.accepted().overrides)
            left = None if due is None else max(0.0, due - self._wall())
            try:
                async with asyncio.timeout(left):
                    return await self._jobs.get()
            except TimeoutError:
                gone = overrides.expired(self.accepted().overrides, now=self._wall())
                if gone:
                    return _Job(_HUB, "the override has expired", edit=Edit(unsets=gone))

    async def _do(self, job: _Job) -> Outcome:
        before = self.accepted()
        if job.if_version is not None and job.if_version != before.version:
            raise PreconditionFailed(
                f"version {before.version} runs, not {job.if_version}", version=before.version
            )
        version = self._version + 1
        skipped: tuple[str, ...] = ()
        try:
            if job.back_to is not None:
                job.edit, skipped = await self._way_back(before, job.back_to)
            present = self._edited(before, job)
            given = {**before.given, **job.given}
            known = {} if _brings_secrets(job) else before.read
            found = await self._candidate(before, version, given, present, known)
            names: frozenset[str] = frozenset()
            if job.canary is not None:
                names = canaries.chosen(job.canary, self._rolling().live(), version=version)
        except Unavailable:
            raise
        except EcapError as exc:
            await self._write("refused", version, job, {"edit": _safe(job), "why": exc.detail})
            raise
        if job.edit is None and found.leaves == before.leaves:
            # Another source says the same, or what changed is hidden: nothing to bring anywhere.
            since = {key: min(at, before.version) for key, at in found.since.items()}
            self._accepted = replace(found, version=before.version, since=since)
            return Outcome(before.version)
        outcome = await self._bring(before, found, job, names)
        return replace(outcome, skipped=skipped)

    def _edited(self, before: Accepted, job: _Job) -> Overrides:
        if job.edit is None:
            return before.overrides
        return overrides.edited(
            before.overrides, job.edit, author=job.author, reason=job.reason, now=self._wall()
        )

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
        then = await self._state(version)
        if then is None:
            raise NotFound(f"no version {version} ever ran")
        target = overrides.known(then.overrides)
        trial = await self._candidate(None, version, before.given, target, before.read)
        return deciding.way_back(before, then, trial.leaves)

    async def _bring(
        self, before: Accepted, found: Accepted, job: _Job, names: frozenset[str]
    ) -> Outcome:
        """Two phases, and between them the canary."""
        version = found.version
        snapshot = Snapshot(version, found.leaves)
        rolling = self._rolling()
        changed = redaction.changes(before.leaves, found.leaves)
        body = {
            "edit": _safe(job),
            "changes": changed,
            "canary": None if job.canary is None else _canary(job.canary),
            "members": sorted(member.name for member in rolling.live()),
        }
        await self._write("proposed", version, job, body)
        refusals = await rolling.ask(snapshot)
        if refusals:
            await self._write("refused", version, job, {"why": "; ".join(refusals)})
            raise Conflict("; ".join(refusals), version=version)
        if job.canary is not None:
            await self._write("canary", version, job, {"members": sorted(names)})
            why = await rolling.try_on(snapshot, names, job.canary)
            if why is not None:
                await self._undo(before, version, why)
                raise Conflict(f"undone after the canary: {why}", version=version)
        await self._accept("applied", found, job, {"changes": changed, "edit": _safe(job)})
        why = await self._commit(before)
        if why is not None:
            raise Conflict(f"undone: {why}", version=version)
        return Outcome(version, tuple(changed), self._behind())

    async def _commit(self, before: Accepted | None) -> str | None:
        """Bring what was decided to all members; undo it when one refuses."""
        found = self.accepted()
        refusals = await self._rolling().commit(Snapshot(found.version, found.leaves))
        if refusals and before is not None:
            why = "; ".join(refusals)
            await self._undo(before, found.version, why)
            return why
        await self._settled(refusals)
        return None

    async def _undo(self, before: Accepted, undone: int, why: str, *, again: bool = False) -> None:
        """As a version of its own, so that no member ever goes back in numbers."""
        version = self._version + 1
        current = self.accepted()
        restored = replace(
            before,
            version=version,
            since={
                key: version if current.leaves.get(key) != value else before.since.get(key, version)
                for key, value in before.leaves.items()
            },
        )
        job = _Job(_HUB, why)
        body = {
            "undoes": undone,
            "again": again,
            "changes": redaction.changes(current.leaves, before.leaves),
            "overrides": sorted(before.overrides),
        }
        await self._accept("rolled-back", restored, job, body)
        _log.warning("configuration undone", extra={"version": undone, "why": why})
        refusals = await self._rolling().commit(Snapshot(version, restored.leaves))
        await self._settled(refusals)

    async def _settled(self, refusals: list[str]) -> None:
        body = {
            "members": {member.name: member.running for member in self.ledger},
            "refusals": refusals,
        }
        await self._write("settled", self.accepted().version, _Job(_HUB, ""), body)
        self.ledger.forget(silent_s=_FORGET_S)

    def _behind(self) -> tuple[str, ...]:
        version = self.accepted().version
        return tuple(sorted(m.name for m in self.ledger if m.running != version))

    def _rolling(self) -> Rollout:
        assert self._rollout is not None
        return self._rollout

    # The history

    async def _write(
        self, kind: Kind, version: int, job: _Job, body: dict[str, Any], state: bytes | None = None
    ) -> None:
        event = Event(version, kind, self._wall(), job.author, job.reason, body)
        self._last = await self._history.append(event, after=self._last, state=state)
        self._version = max(self._version, version)

    async def _accept(self, kind: Kind, found: Accepted, job: _Job, body: dict[str, Any]) -> None:
        state = accepting.pack(found, self._sealer)
        await self._write(kind, found.version, job, body, state)
        self._accepted = found
        self._rolling().timing = found.settings.hub

    async def _state(self, version: int) -> Packed | None:
        token = await self._history.state(version)
        if token is None:
            return None
        return accepting.unpack(token, self._sealer, where=f"configuration version {version}")

    async def _recover(self) -> None:
        entries = list(await self._history.entries())
        verify(entries)
        self._last = entries[-1] if entries else None
        self._version = max((entry.version for entry in entries), default=0)
        decided = [entry for entry in entries if entry.kind in DECISIONS]
        boots = [entry for entry in entries if entry.kind == "booted"]
        if not boots or boots[-1].body["boot_id"] != self._boot_id:
            await self._boot(decided)
        else:
            await self._resume(entries, decided)

    async def _boot(self, decided: list[Entry]) -> None:
        """A new start of the cluster: what the sources say now, and the overrides kept."""
        kept: Overrides = {}
        if decided:
            then = await self._state(decided[-1].version)
            kept = overrides.known(then.overrides) if then else {}
        version = self._version + 1
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
        self._rollout = Rollout(self.ledger, clock=self._clock, timing=found.settings.hub)
        body = {"boot_id": self._boot_id, "dropped": list(dropped)}
        await self._accept("booted", found, _Job(_HUB, "the cluster started"), body)
        self._start(found)

    async def _resume(self, entries: list[Entry], decided: list[Entry]) -> None:
        """The hub died and the cluster did not."""
        last = decided[-1]
        found = await self._restored(last.version)
        self._rollout = Rollout(self.ledger, clock=self._clock, timing=found.settings.hub)
        self._accepted = found
        self.ledger.expect(_members(entries))
        self._start(found)
        before = await self._restored(decided[-2].version) if len(decided) > 1 else None
        self._started.set()
        if last.kind in ("applied", "rolled-back") and entries[-1] is last:
            # Nothing is written between a decision and its settlement.
            await self._commit(before if last.kind == "applied" else None)
        proposed = _open(entries)
        if proposed is None:
            return
        if entries[-1].kind == "canary":
            why = "the hub was lost during the canary"
            await self._undo(found, proposed.version, why, again=True)
        self._interrupted = _again(proposed)

    async def _restored(self, version: int) -> Accepted:
        packed = await self._state(version)
        if packed is None:
            raise Misconfigured(f"the configuration history has no state of version {version}")
        try:
            return deciding.restored(packed, self._environ)
        except ValidationError as exc:
            raise Misconfigured(
                f"configuration version {version} does not fit this release"
                f" ({exc.error_count()} settings); restart the cluster"
            ) from None

    def _start(self, found: Accepted) -> None:
        self._rolling().start(Snapshot(found.version, found.leaves))


def _settle(job: _Job, *, outcome: Outcome | None = None, error: EcapError | None = None) -> None:
    if job.done is None or job.done.done():
        if job.done is None and error is not None:
            _log.error("configuration change failed", extra={"why": error.detail})
        return
    if error is not None:
        job.done.set_exception(error)
    else:
        assert outcome is not None
        job.done.set_result(outcome)


def _brings_secrets(job: _Job) -> bool:
    """Whether it comes from where secrets are kept; its references are read again then."""
    return job.edit is None and not job.given.keys() & {"base", "environment-file"}


def _author(layers: Mapping[Source, Layer]) -> str:
    return ", ".join(layers)


def _safe(job: _Job) -> dict[str, Any] | None:
    return None if job.edit is None else overrides.safe(job.edit)


def _canary(canary: Canary) -> dict[str, Any]:
    return {
        "members": list(canary.members),
        "share": canary.share,
        "bake_s": canary.bake_s,
        "max_error_ratio": canary.max_error_ratio,
        "min_requests": canary.min_requests,
    }


def _open(entries: list[Entry]) -> Entry | None:
    """The last proposal, if nothing was decided about it but to try again."""
    for entry in reversed(entries):
        if entry.kind == "proposed":
            return entry
        if entry.kind in ("refused", "applied", "booted"):
            return None
        if entry.kind == "rolled-back" and not entry.body["again"]:
            return None
    return None


def _again(proposed: Entry) -> _Job | None:
    """An operator's change once more; sources say by themselves what they want."""
    edit = proposed.body["edit"]
    if edit is None:
        return None
    canary = proposed.body["canary"]
    return _Job(
        proposed.author,
        proposed.reason,
        edit=Edit(edit["sets"], tuple(edit["unsets"]), edit["expires_at"]),
        canary=None
        if canary is None
        else Canary(**{**canary, "members": tuple(canary["members"])}),
    )


def _members(entries: list[Entry]) -> list[str]:
    for entry in reversed(entries):
        if entry.kind in ("proposed", "settled"):
            return list(entry.body["members"])
    return []
