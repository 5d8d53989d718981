"""A question and its answer as bytes: the same through Ray and over a socket.

Packed here, because Ray takes seven times as long to pickle what is not bytes.
"""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ecap import logs
from ecap.errors import EcapError

_log = logs.get("ecap.actors")

Handle = Callable[[str, Any, Mapping[str, str]], Awaitable[Any]]


@dataclass(frozen=True)
class Raised:
    """An error of ours on its way to the caller; Ray would wrap what is raised."""

    error: EcapError


def opened(answer: Any) -> Any:
    if isinstance(answer, Raised):
        raise answer.error
    return answer


def question(method: str, payload: Any, headers: Mapping[str, str]) -> bytes:
    return packed((method, payload, dict(headers)))


def packed(value: Any) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def unpacked(answer: bytes) -> Any:
    """Raises what the actor raised."""
    return opened(pickle.loads(answer))  # noqa: S301  from our own processes


async def answered(actor: str, handle: Handle, asked: bytes) -> bytes:
    """Never raises: whatever goes wrong with a question is its answer."""
    method = "a question"
    try:
        method, payload, headers = pickle.loads(asked)  # noqa: S301  from our own processes
        try:
            answer = await handle(method, payload, headers)
        except EcapError as exc:
            answer = Raised(exc)
        return packed(answer)
    except Exception as exc:  # noqa: BLE001  the caller has to hear of it
        _log.error("%s failed", method, exc_info=exc)
        return packed(Raised(EcapError(f"{actor}: {method} failed: {exc!r}")))
