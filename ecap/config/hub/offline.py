"""An override removed while no hub runs: the last way out of one that keeps the hub away.

The history is written as a hub writes it, behind its last entry. If there was a hub after
all, its next write is refused: it ends, and the one after it reads what stands here.
"""

from __future__ import annotations

from collections.abc import Callable

from ecap.config.hub.accepted import Accepted, Packed
from ecap.config.hub.candidates import Candidates
from ecap.config.hub.history import DECISIONS, History
from ecap.config.hub.journal import Journal
from ecap.config.hub.proposals import Proposal
from ecap.config.layers import overrides, redaction
from ecap.config.layers.overrides import Edit
from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.errors import Misconfigured, NotFound


async def unset(
    key: str,
    *,
    history: History,
    keys: LiveKeyring,
    candidates: Candidates,
    author: str,
    reason: str,
    wall: Callable[[], float],
) -> int:
    """The version that counts from the next start on. Raises NotFound when nothing was set,
    Fenced when a hub writes meanwhile, Misconfigured, Unavailable."""
    journal = Journal(history, keys=keys, wall=wall)
    decided = [entry for entry in await journal.open() if entry.kind in DECISIONS]
    then = await journal.state(decided[-1].version) if decided else None
    if then is None:
        raise NotFound("no configuration has run yet")
    proposal = Proposal(author, reason, edit=Edit(unsets=(key,)))
    found = await _without(then, journal.version + 1, proposal, candidates, now=wall())
    body = {
        "edit": proposal.safe_edit(),
        "changes": redaction.changes(then.leaves, found.leaves),
        "offline": True,
    }
    # Settled too: there is nobody who could refuse it, and the next hub has nothing to finish.
    await journal.write(
        journal.event("applied", found.version, proposal, body),
        journal.event("settled", found.version, proposal, {"members": {}, "refusals": []}),
        accepted=found,
    )
    return found.version


async def _without(
    then: Packed, version: int, proposal: Proposal, candidates: Candidates, *, now: float
) -> Accepted:
    try:
        before = candidates.restored(then)
    except Misconfigured:
        # It does not even fit this release. Without what is removed it may.
        assert proposal.edit is not None
        left = overrides.edited(
            overrides.known(then.overrides), proposal.edit, author="", reason="", now=now
        )
        return await candidates.fresh(version, then.given, left)
    return await candidates.wanted(before, version, proposal, now=now)
