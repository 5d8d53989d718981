"""What an actor does when its configuration changes."""

from __future__ import annotations

from ecap import spans
from ecap.config.member import follows
from ecap.config.member.follows import LEVEL, Follow
from ecap.config.member.member import Member


def follow(member: Member, actor: object) -> None:
    """Called once, when the actor has started and before it takes part."""
    ratio = Follow("telemetry.sample_ratio", float, spans.sample)
    follows.follow(member, (LEVEL, ratio, *follows.follows(actor)))
