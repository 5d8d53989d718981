"""From what counts now and what is wanted to a candidate, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ecap.config import protocol
from ecap.config.hub import accepted
from ecap.config.hub.accepted import Accepted, Packed
from ecap.config.hub.incremental import Incremental
from ecap.config.layers import assembly, references
from ecap.config.layers.layer import Layer, Source
from ecap.config.layers.overrides import Overrides
from ecap.config.layers.references import Reference


class Secrets(Protocol):
    async def fetch(self, wanted: Mapping[Reference, str]) -> Mapping[Reference, str]:
        """Every reference's secret; the values of `wanted` say where each stands.

        Raises Misconfigured naming the place and the remedy, Unavailable when a store is away.
        """
        ...


class Unread:
    """Asks no store."""

    async def fetch(self, wanted: Mapping[Reference, str]) -> Mapping[Reference, str]:
        return {reference: reference.name for reference in wanted}


async def candidate(
    before: Accepted | None,
    *,
    version: int,
    given: Mapping[Source, Layer],
    present: Overrides,
    incremental: Incremental,
    secrets: Secrets,
    environ: Mapping[str, str],
    known: Mapping[Reference, str],
) -> Accepted:
    """References in `known` are not read again: a secret that was refused must not come
    back with every other change.

    Raises Misconfigured with the place, Conflict for what only a restart can change.
    """
    draft = assembly.drafted(incremental.found(given, present), environ)
    wanted = draft.references()
    unknown = {ref: where for ref, where in wanted.items() if ref not in known}
    # The only wait. A trial may come in between and leave its own values in `incremental`, which
    # compares with whatever was made last and is right for both.
    fetched = await secrets.fetch(unknown) if unknown else {}
    read = {ref: fetched[ref] if ref in fetched else known[ref] for ref in wanted}
    settings, leaves = incremental.settings(draft.leaves(read), draft.found)
    if before is not None:
        accepted.refuse_fixed(before.leaves, leaves)
    return Accepted(
        version=version,
        given=given,
        overrides=present,
        leaves=leaves,
        since=accepted.since(before, version, draft.found, leaves),
        settings=settings,
        found=draft.found,
        read=read,
    )


def restored(packed: Packed, environ: Mapping[str, str]) -> Accepted:
    """A state of the history, as it was: nothing is read again.

    Raises ValidationError when this release no longer knows its settings.
    """
    found = Incremental().found(packed.given, packed.overrides)
    draft = assembly.drafted(found, environ)
    return Accepted(
        version=packed.version,
        given=packed.given,
        overrides=packed.overrides,
        leaves=packed.leaves,
        since=packed.since,
        settings=protocol.settings_of(packed.leaves),
        found=draft.found,
        read=_pairs(draft.values, packed.leaves, draft.references()),
        ends=packed.ends,
    )


def _pairs(
    values: Mapping[str, Any], leaves: Mapping[str, Any], wanted: Mapping[Reference, str]
) -> dict[Reference, str]:
    """What the references stood for, from what they were replaced by."""
    found: dict[Reference, str] = {}
    for key, value in values.items():
        written = value if isinstance(value, list | tuple) else [value]
        resolved = leaves.get(key)
        texts = resolved if isinstance(resolved, list) else [resolved]
        for item, text in zip(written, texts, strict=False):
            if references.is_reference(item) and isinstance(text, str):
                found[references.parse(item, where=key)] = text
    return {reference: text for reference, text in found.items() if reference in wanted}
