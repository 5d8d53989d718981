"""The jobs there are and what each takes. Imports neither Ray nor pyarrow: listing is instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ecap.config import Settings
from ecap.config.settings.services.fraud import Fraud
from ecap.errors import Invalid, NotFound
from ecap.pipelines.batch.spreading import Spread


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


class Outcome(msgspec.Struct, frozen=True):
    """`good` is false when the job found what must not be."""

    good: bool
    lines: Sequence[str]
    document: Mapping[str, Any]


class Run(Protocol):
    def __call__(self, settings: Settings, arguments: Any, spread: Spread) -> Outcome: ...


@dataclass(frozen=True)
class Job:
    name: str
    sentence: str
    arguments: type[BaseModel]

    @property
    def run(self) -> Run:
        found: Run = import_module(f"ecap.pipelines.batch.{self.name.replace('-', '_')}").run
        return found


JOBS: Mapping[str, Job] = {
    job.name: job
    for job in (
        Job("revenue", "Recompute revenue and orders by minute; name every cell that differs from the stream's.", Revenue),  # noqa: E501  one line a job
        Job("fraud-rescore", "Judge every order again with other thresholds; show how decisions would change.", Rescore),  # noqa: E501
        Job("archive", "Write the transactions to Parquet by day, each event once, before the outbox forgets them.", Archive),  # noqa: E501
    )
}  # fmt: skip


def find(name: str) -> Job:
    if name not in JOBS:
        raise NotFound(f"no job {name}; there are {', '.join(JOBS)}")
    return JOBS[name]


def parse(job: Job, pairs: Iterable[str]) -> BaseModel:
    """From `key=value` texts. Raises Invalid that names the key."""
    given: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise Invalid(f"{pair!r}: write it as key=value")
        given[key.replace("-", "_")] = value
    try:
        return job.arguments.model_validate(given)
    except ValidationError as exc:
        first = exc.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = ", ".join(job.arguments.model_fields)
        what = "is not known" if first["type"] == "extra_forbidden" else first["msg"]
        raise Invalid(f"{job.name}: {key}: {what}; it takes {known}", field=key) from None
