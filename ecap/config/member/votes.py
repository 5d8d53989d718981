"""What a member says about a version: yes, or what refuses it, with no secret in it."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from ecap.config.layers import redaction
from ecap.config.member import subscriptions
from ecap.config.member.subscriptions import Subscription
from ecap.config.protocol import Vote, leaves_of
from ecap.config.settings.tree import Settings


def vote(
    version: int,
    old: Settings,
    new: Settings,
    concerned: list[Subscription[Any]],
    results: list[BaseException | None],
) -> Vote:
    reasons = []
    for item, result in zip(concerned, results, strict=True):
        if isinstance(result, Exception):
            reasons.append(f"{item.prefix or 'all'}: {subscriptions.refusal(result)}")
        elif isinstance(result, BaseException):
            raise result
    return Vote(version) if not reasons else Vote(version, scrubbed("; ".join(reasons), old, new))


def scrubbed(text: str, old: Settings, new: Settings) -> str:
    """Without the secrets of both: a subscriber may speak of what it had and was to have."""
    hidden = redaction.secrets(leaves_of(new)) | redaction.secrets(leaves_of(old))
    return redaction.scrub(text, hidden)


def invalid(error: ValidationError) -> str:
    """A member of another release may know other settings than the hub."""
    keys = sorted({".".join(map(str, item["loc"])) for item in error.errors(include_input=False)})
    return f"not valid here: {', '.join(keys)}"
