"""Who an author is: the history keeps ids, and people know each other by e-mail address."""

from __future__ import annotations

from uuid import UUID

from ecap.cli.door import Door
from ecap.errors import EcapError


class Names:
    """Asked of the auth service with the token of who looks, each once; without a `door`, or
    where it does not say, an author is its id."""

    def __init__(self, door: Door | None) -> None:
        self._door = door
        self._known: dict[str, str] = {}

    def of(self, author: str) -> str:
        if author not in self._known:
            self._known[author] = self._asked(author) if _is_id(author) else author
        return self._known[author]

    def _asked(self, author: str) -> str:
        if self._door is None:
            return author
        try:
            return self._door.email(author)
        except EcapError:
            return author  # not allowed to know, or the account is gone


def _is_id(author: str) -> bool:
    try:
        UUID(author)
    except ValueError:
        return False
    return True
