"""Where secrets may be read from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from ecap.config.settings.section import AT_START, Section


class Secrets(Section):
    # Not /run/secrets: the pod's own tokens lie there, which are nobody's password.
    folders: Annotated[tuple[Path, ...], AT_START] = Field(
        (Path("secrets"), Path("/etc/ecap/secrets"), Path("/vault/secrets")),
        description="`file:` references are read below these only; a relative one is below"
        " `state_dir`",
    )
