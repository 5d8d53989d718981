"""The seam under a call: how a request reaches the callee and its answer comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ecap.errors import Unavailable


class Unreached(Unavailable):
    """The request cannot have reached the callee, so nothing was done."""


class Transport(Protocol):
    async def send(
        self, method: str, payload: Any, headers: Mapping[str, str], timeout_s: float
    ) -> Any:
        """One attempt: the callee's answer, or an error of `ecap.errors`.

        The client cancels the send after `timeout_s`; a transport need not, and uses
        it where the callee or the carrier wants to know. Foreign errors become
        `Unreached` when the request was certainly not received, else `Unavailable`.
        What the callee itself raised is raised again here, facts included.
        """
        ...
