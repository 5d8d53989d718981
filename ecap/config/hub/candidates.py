"""What a proposal would make of the configuration, before anybody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import ValidationError

from ecap import logs
from ecap.config.hub import decision
from ecap.config.hub.accepted import Accepted, Packed
from ecap.config.hub.decision import Secrets, Unread
from ecap.config.hub.incremental import Incremental
from ecap.config.hub.proposals import Proposal
from ecap.config.layers import overrides
from ecap.config.layers.layer import Layer, Source
from ecap.config.layers.overrides import Overrides
from ecap.config.layers.references import Reference
from ecap.config.protocol import End
from ecap.errors import EcapError, Misconfigured

_log = logs.get("ecap.config")


class Candidates:
    def __init__(self, *, secrets: Secrets, environ: Mapping[str, str]) -> None:
        self._secrets = secrets
        self._environ = environ
        self._incremental = Incremental()

    async def wanted(
        self, before: Accepted, version: int, proposal: Proposal, *, now: float
    ) -> Accepted:
        """Raises what refuses it. `now` is Unix time."""
        present = before.overrides
        if proposal.edit is not None:
            present = overrides.edited(
                present, proposal.edit, author=proposal.author, reason=proposal.reason, now=now
            )
        given = {**before.given, **proposal.given}
        known = {} if proposal.brings_secrets() else before.read
        return await self._candidate(before, version, given, present, known)

    async def tried(
        self, before: Accepted, version: int, proposal: Proposal, *, now: float
    ) -> Accepted:
        """As `wanted`, with nothing read: a secret that is not known yet is its own reference."""
        blind = Candidates(secrets=Unread(), environ=self._environ)
        return await blind.wanted(before, version, proposal, now=now)

    async def fresh(
        self, version: int, given: Mapping[Source, Layer], present: Overrides
    ) -> Accepted:
        """At a start: everything is read, and what only a restart can change is taken."""
        return await self._candidate(None, version, given, present, {})

    def restored(self, packed: Packed) -> Accepted:
        """As it ran. Raises Misconfigured when this release does not know its settings."""
        try:
            return decision.restored(packed, self._environ)
        except ValidationError as exc:
            # Not `from`: pydantic quotes the values, and secrets are among them.
            raise Misconfigured(
                f"configuration version {packed.version} does not fit this release"
                f" ({exc.error_count()} settings); restart the cluster"
            ) from None

    async def _candidate(
        self,
        before: Accepted | None,
        version: int,
        given: Mapping[Source, Layer],
        present: Overrides,
        known: Mapping[Reference, str],
    ) -> Accepted:
        async def made(before: Accepted | None, present: Overrides) -> Accepted:
            return await decision.candidate(
                before,
                version=version,
                given=given,
                present=present,
                incremental=self._incremental,
                secrets=self._secrets,
                environ=self._environ,
                known=known,
            )

        ends = []
        for at in overrides.expiries(present):
            gone = overrides.expired(present, now=at)
            left = {key: item for key, item in present.items() if key not in gone}
            try:
                ends.append((at, (await made(None, left)).leaves))
            except EcapError as exc:
                # Nobody can say now what counts then: it is left to the hub of that time.
                _log.warning("an override ends by the hub alone", extra={"why": exc.detail})
        found = await made(before, present)
        return replace(found, ends=tuple(End.of(at, found.leaves, then) for at, then in ends))
