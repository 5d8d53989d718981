"""The jobs there are. Imports neither Ray nor pyarrow: listing is instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ValidationError

from ecap.errors import Invalid, NotFound
from ecap.pipelines.batch.frame.arguments import Archive, Rescore, Revenue
from ecap.pipelines.batch.frame.job import Job, Run


def _revenue() -> Run:
    from ecap.pipelines.batch.analytics.revenue import run

    return run


def _rescore() -> Run:
    from ecap.pipelines.batch.fraud.rescore import run

    return run


def _archive() -> Run:
    from ecap.pipelines.batch.lake.archive import run

    return run


JOBS: Mapping[str, Job] = {
    job.name: job
    for job in (
        Job("revenue", "Recompute revenue and orders by minute; name every cell that differs from the stream's.", Revenue, _revenue),  # noqa: E501  one line a job
        Job("fraud-rescore", "Judge every order again with other thresholds; show how decisions would change.", Rescore, _rescore),  # noqa: E501
        Job("archive", "Write the transactions to Parquet by day, each event once, before the outbox forgets them.", Archive, _archive),  # noqa: E501
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
