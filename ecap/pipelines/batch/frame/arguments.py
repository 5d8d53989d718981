"""What each job takes. Imports neither Ray nor pyarrow: listing is instant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from ecap.config.settings.services.fraud import Fraud


class Arguments(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _absolute(address: str) -> str:
    """Tasks run in other folders."""
    return address if "://" in address else str(Path(address).expanduser().absolute())


Address = Annotated[str, AfterValidator(_absolute)]
OutFile = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
_ARCHIVE = "folder or s3:// address that the job `archive` fills, for older events"
_OUT = "file for the whole report, as JSON"


class Revenue(Arguments):
    since: AwareDatetime | None = Field(None, description="first minute that is compared")
    until: AwareDatetime | None = Field(None, description="first minute that is not any more")
    archive: Address | None = Field(None, description=_ARCHIVE)
    slice_events: int = Field(20_000, ge=1, description="events of one task")
    out: OutFile | None = Field(None, description=_OUT)


class Rescore(Fraud):
    """Every setting of `fraud` can be given; the others stay as they are configured."""

    archive: Address | None = Field(None, description=_ARCHIVE)
    out: OutFile | None = Field(None, description=_OUT)
    examples: int = Field(5, ge=0, description="orders named for each change of a decision")


class Archive(Arguments):
    to: Address = Field(description="folder or s3:// address")
    slice_events: int = Field(20_000, ge=1, description="events of one task, and in memory")
    out: OutFile | None = Field(None, description=_OUT)
