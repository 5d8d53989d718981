"""Secret references in values: `vault:path#key`, `k8s:name/key`, `enc:token`, `file:/path`.

Only a setting of secret type may hold one: what any other setting holds is shown.
What a reference stands for is final: it is never read as a reference again, so
whoever may write a secret cannot make it point elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ecap.errors import Misconfigured

_SCHEMES = ("vault:", "k8s:", "enc:", "file:")
_REMEDY = {
    "vault": "write it as vault:path#key",
    "k8s": "write it as k8s:name/key",
    "enc": "write it as enc:TOKEN, made by `ecap secrets put`",
    "file": "write it as file:/path",
}


@dataclass(frozen=True, slots=True)
class Reference:
    scheme: str
    target: str = field(repr=False)
    """Path, name or token."""
    item: str = ""

    @property
    def name(self) -> str:
        """For messages: says where to look, never a secret or a token."""
        if self.scheme == "vault":
            return f"vault:{self.target}#{self.item}"
        if self.scheme == "k8s":
            return f"k8s:{self.target}/{self.item}"
        return "enc:..." if self.scheme == "enc" else f"file:{self.target}"


Read = Callable[[Reference], str]
"""Reads one reference. Raises Misconfigured (not there) or Unavailable (store away)."""


def is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_SCHEMES)


def well_formed(value: Any) -> bool:
    if not is_reference(value):
        return False
    try:
        parse(value, where="")
    except Misconfigured:
        return False
    return True


def refers(value: Any) -> bool:
    """Whether it is a reference, or a list with one in it."""
    if isinstance(value, list | tuple):
        return any(map(refers, value))
    return is_reference(value)


def parse(text: str, *, where: str) -> Reference:
    """Raises Misconfigured naming `where`."""
    scheme, _, rest = text.partition(":")
    if scheme in ("enc", "file") and rest:
        return Reference(scheme, rest)
    target, mark, item = rest.rpartition("#" if scheme == "vault" else "/")
    if not (target and mark and item):
        raise Misconfigured(f"{where}: {_REMEDY[scheme]}")
    return Reference(scheme, target, item)


def collect(value: Any, *, where: str) -> Iterator[Reference]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from collect(item, where=where)
    elif is_reference(value):
        yield parse(value, where=where)


def substitute(value: Any, read: Mapping[Reference, str] | Read, *, where: str) -> Any:
    if isinstance(value, list | tuple):
        return [substitute(item, read, where=where) for item in value]
    if not is_reference(value):
        return value
    reference = parse(value, where=where)
    return trimmed(read[reference] if isinstance(read, Mapping) else read(reference))


def trimmed(secret: str) -> str:
    """Without the line ends that editors, `echo` and `kubectl --from-file` leave behind it.

    The same for every store; spaces, and line ends inside it, belong to the secret.
    """
    return secret.rstrip("\r\n")
