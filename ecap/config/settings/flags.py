"""Switches of features: on, off, or on for a share of those who ask."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

_SHARE = re.compile(r"(100|\d{1,2}(?:\.\d{1,3})?)%")
_WORDS = {"true": True, "false": False, "on": True, "off": False, "yes": True, "no": False}


def _read(value: Any) -> bool | str:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if _SHARE.fullmatch(value):
            return value
        if value.lower() in _WORDS:
            return _WORDS[value.lower()]
    raise ValueError("write true, false or a share such as 25%")


FlagName = Literal["checkout"]
"""Each is the name of a `Feature`: one that nothing asks for would be a slip of the pen."""
Flag = Annotated[bool | str, BeforeValidator(_read)]


@dataclass(frozen=True)
class Feature:
    """`default` holds where `flags.<name>` is not set."""

    name: str
    default: bool

    def on(self, flags: Mapping[Any, bool | str], who: str) -> bool:
        """The same for one `who` at any time and in any process; a larger share keeps
        everybody of a smaller one."""
        flag = flags.get(self.name, self.default)
        if isinstance(flag, bool):
            return flag
        return _place(self.name, who) < float(flag[:-1]) / 100


def _place(name: str, who: str) -> float:
    """Evenly spread over [0, 1), and for each feature otherwise."""
    digest = hashlib.sha256(f"{name}\0{who}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
