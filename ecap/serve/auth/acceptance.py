"""Which passwords are taken, and as which text they are compared: OpaqueString of RFC 8265."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib import resources

from pydantic import SecretStr

from ecap.errors import Invalid

_LEAST, _MOST = 10, 128
_LEAST_DIFFERENT = 4
# Of what is left without the words of the name and the e-mail.
_LEAST_OF_ONES_OWN = 6
_SHORTEST_WORD = 3
# Controls, and what stands for nothing. The joiners of some scripts are format characters, too.
_UNFIT = {"Cc", "Cf", "Cn", "Co", "Cs"}
_JOINERS = "\u200c\u200d"


def normalised(password: SecretStr) -> str:
    """Two ways to type the same are the same."""
    text = password.get_secret_value()
    spaced = "".join(" " if unicodedata.category(one) == "Zs" else one for one in text)
    return unicodedata.normalize("NFC", spaced)


def acceptable(password: SecretStr, *, email: str, name: str, field: str) -> str:
    """A new password, normalised. Raises Invalid with what is wrong."""
    text = normalised(password)
    why = _trouble(text, email=email, name=name)
    if why is not None:
        raise Invalid(f"the password {why}", field=field)
    return text


def _trouble(text: str, *, email: str, name: str) -> str | None:
    if not _LEAST <= len(text) <= _MOST:
        return f"takes {_LEAST} to {_MOST} characters"
    if any(unicodedata.category(one) in _UNFIT and one not in _JOINERS for one in text):
        return "holds characters that cannot be typed"
    folded = text.casefold()
    if len(set(folded)) < _LEAST_DIFFERENT:
        return f"has fewer than {_LEAST_DIFFERENT} different characters"
    if folded.strip() in _common():
        return "is one of the commonest"
    if len(_own(folded, email=email, name=name)) < _LEAST_OF_ONES_OWN:
        return "is hardly more than the name or e-mail of the account"
    return None


def _own(folded: str, *, email: str, name: str) -> str:
    """What is left without them, their words and what stands between."""
    whole = unicodedata.normalize("NFC", f"{email} {name}").casefold()
    words = {email.casefold(), name.casefold(), *re.split(r"[\W_]+", whole)}
    left = folded
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= _SHORTEST_WORD:
            left = left.replace(word, "")
    return folded if left == folded else re.sub(r"[\W_]+", "", left)


@cache
def _common() -> frozenset[str]:
    text = resources.files(__package__).joinpath("common_passwords.txt").read_text()
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))
