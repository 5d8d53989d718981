"""What an actor does when its configuration changes."""

from __future__ import annotations

from ecap.config import following
from ecap.config.following import LEVEL
from ecap.config.member import Member


def follow(member: Member, actor: object) -> None:
    """Called once, when the actor has started and before it takes part."""
    following.follow(member, (LEVEL, *following.follows(actor)))
