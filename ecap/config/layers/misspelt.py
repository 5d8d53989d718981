"""Variables that were meant for ECAP and would be ignored: refused, with the right spelling.

Everything else that begins with ECAP is somebody else's; Kubernetes makes such variables
for each Service.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import cache

from ecap.config.layers import schema
from ecap.errors import Misconfigured

OTHERS = frozenset(
    {
        "ECAP_BATCH",
        "ECAP_BOOT_ID",
        "ECAP_CONFIG_DIR",
        "ECAP_ENVIRONMENT",
        "ECAP_FORK_SERVER",
        "ECAP_IGNORE_OVERRIDES",
        "ECAP_JOB_LOG",
        "ECAP_JOB_RECORD",
        "ECAP_KEYRING",
        "ECAP_TOKEN",
        "ECAP_URL",
    }
)
"""Variables that set something and are no settings: the one list of them."""
_MUST_SAY = frozenset({"ECAP_CONFIG_DIR", "ECAP_ENVIRONMENT"})
_LINK = re.compile(r"(tcp|udp|sctp)://")  # of a Service, as ECAP_HTTP_PORT of the one `ecap-http`


def refuse(name: str, text: str) -> None:
    """Raises Misconfigured for a near miss, and for one of `_MUST_SAY` that says nothing.
    `text` is never shown."""
    if name in OTHERS:
        if not text and name in _MUST_SAY:
            raise Misconfigured(f"{name} is set to nothing: give it a value or unset it")
        return
    if not name.lower().startswith("ecap") or _LINK.match(text):
        return
    right = _spellings().get(_squeezed(name))
    if right is None and "__" in name:
        near = difflib.get_close_matches(_squeezed(name), _spellings(), n=1, cutoff=0.75)
        right = _spellings()[near[0]] if near else "ECAP__SECTION__NAME"
    if right is not None:
        raise Misconfigured(f"{name} sets nothing: write {right}, or unset it")


def _squeezed(name: str) -> str:
    """As it sounds: letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@cache
def _spellings() -> Mapping[str, str]:
    settings = ("ECAP__" + key.upper().replace(".", "__") for key in schema.settings())
    return {_squeezed(name): name for name in (*settings, *OTHERS)}
