"""What looks like a secret where none belongs: refused before it is written anywhere.

A plain setting is shown to whoever may read, and stands in the history for ever. Only shapes
that nothing else has are known here; a plain word can be a password as well.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

_SHAPES = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # JSON Web Token
    r"|\bgAAAAA[\w-]{40,}={0,2}"  # Fernet
    r"|\b(hvs|hvb|hvr|s|b|r)\.[A-Za-z0-9_-]{20,}"  # Vault, OpenBao
    r"|\b(AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\b(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|npm_|pypi-)[\w-]{16,}"
    r"|\b(sk|rk|pk|whsec)_(live_|test_)?\w{16,}"
    r"|://[^/\s:@]*:[^/\s@]+@"  # a password in a URL
    r"|\$argon2i?d?\$|\$2[aby]\$\d\d\$"
)
_WORD = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
_LOWEST_BITS = 3.8  # per letter; names and paths of that length stay below


def looks_secret(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(looks_secret, value))
    if not isinstance(value, str):
        return False
    return bool(_SHAPES.search(value)) or any(map(_random, _WORD.findall(value)))


def _random(word: str) -> bool:
    kinds = (str.islower, str.isupper, str.isdigit)
    if not all(any(kind(letter) for letter in word) for kind in kinds):
        return False
    counts = Counter(word).values()
    return -sum(n / len(word) * math.log2(n / len(word)) for n in counts) > _LOWEST_BITS
