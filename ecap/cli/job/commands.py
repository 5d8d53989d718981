"""`ecap job`: batch jobs, here or on a cluster."""

from __future__ import annotations

import json as jsonlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ecap.cli.failure import fail
from ecap.cli.job import places
from ecap.cli.job.face import Place
from ecap.cli.options import Json
from ecap.cli.told import by_command, told
from ecap.config import load
from ecap.errors import EcapError
from ecap.local import jobs as local
from ecap.local.state.running import settings_here
from ecap.pipelines.batch.jobs import JOBS, find, parse

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Run jobs over history, here or on a cluster.",
)

Arguments = Annotated[
    list[str] | None, typer.Option("--arg", help="key=value; repeat for more", show_default=False)
]
Cluster = Annotated[bool, typer.Option("--cluster", help="on Kubernetes, by your kubeconfig")]
Context = Annotated[str | None, typer.Option(help="context of the kubeconfig")]
Namespace = Annotated[str, typer.Option(help="where ECAP is installed on the cluster")]
Release = Annotated[str, typer.Option(help="name of the Helm release")]
Id = Annotated[str, typer.Argument(help="what `submit` answered", show_default=False)]
_COPY = "ECAP_JOB_LOG"


@app.command("list")
def show() -> None:
    """The jobs there are, and what each takes."""
    for job in JOBS.values():
        print(f"{job.name}\n  {job.sentence}")
        for name, field in job.arguments.model_fields.items():
            note = " (needed)" if field.is_required() else ""
            print(f"    {name:<20} {field.description}{note}")


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="see `ecap job list`", show_default=False)],
    arg: Arguments = None,
    json: Json = False,
) -> None:
    """Run a job in this process, on the Ray that RAY_ADDRESS names.

    Exit code 3: it ran, and found what must not be.
    """
    for signum in (signal.SIGINT, signal.SIGTERM):
        # A job started by a script in the background would ignore Ctrl-C.
        signal.signal(signum, signal.default_int_handler)
    with _recorded() as end, _telling() as tell:
        try:
            job = find(name)
            arguments = parse(job, arg or ())
            if local.RECORD not in os.environ:
                told(
                    "stream",
                    load,
                    lambda: None,
                    lambda _: by_command("job.begun", subject=name, job=name),
                )
            # Late: `ecap job list` need not wait for Ray.
            from ecap.pipelines.batch.frame.driver import drive

            outcome = drive(job, load(), arguments, tell=_nothing if json else tell)
        except KeyboardInterrupt:
            tell(f"{name}: stopped")
            end(local.STOPPED)
            raise typer.Exit(local.STOPPED) from None
        except EcapError as exc:
            end(1)
            raise fail(exc) from exc
        if json:
            tell(jsonlib.dumps(outcome.document, default=str, indent=2))
        for line in () if json else outcome.lines:
            tell(line)
        code = 0 if outcome.good else local.DIFFERS
        end(code)
    raise typer.Exit(code)


@app.command()
def submit(
    name: Annotated[str, typer.Argument(help="see `ecap job list`", show_default=False)],
    arg: Arguments = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="follow it to its end; Ctrl-C stops it")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="most workers on a cluster; default: the chart's")
    ] = None,
    cluster: Cluster = False,
    context: Context = None,
    namespace: Namespace = "ecap",
    release: Release = "ecap",
) -> None:
    """Start a job beside the running `ecap up`, or as a RayJob on a cluster."""
    with _failing():
        parse(find(name), arg or ())  # a mistake is cheapest here
        place = places.of(cluster, context=context, namespace=namespace, release=release)
        job = _submitted(place, name, arg or (), workers=workers, cluster=cluster)
        if not watch:
            print(f"{job}: submitted")
            print(f"`ecap job logs {job}{' --cluster' if cluster else ''}` shows what it says")
            return
        code = _watched(place, job)
    raise typer.Exit(code)


@app.command()
def status(
    job: Annotated[str | None, typer.Argument(help="one; default: all")] = None,
    json: Json = False,
    cluster: Cluster = False,
    context: Context = None,
    namespace: Namespace = "ecap",
    release: Release = "ecap",
) -> None:
    """What became of the jobs that were submitted, newest first."""
    with _failing():
        place = places.of(cluster, context=context, namespace=namespace, release=release)
        rows = place.rows(job)
    if json:
        print(jsonlib.dumps(rows, default=str, indent=2))
    for row in () if json else rows:
        print("  ".join(str(value) for value in row.values() if value not in (None, "")))
    if not rows and not json:
        print("no jobs")


@app.command()
def logs(
    job: Id,
    follow: Annotated[bool, typer.Option("--follow", help="until it ends")] = False,
    cluster: Cluster = False,
    context: Context = None,
    namespace: Namespace = "ecap",
    release: Release = "ecap",
) -> None:
    """What a job has said."""
    with _failing():
        place = places.of(cluster, context=context, namespace=namespace, release=release)
        place.follow(job, _say, to_the_end=follow)


@app.command()
def stop(
    job: Id,
    cluster: Cluster = False,
    context: Context = None,
    namespace: Namespace = "ecap",
    release: Release = "ecap",
) -> None:
    """End a job and its tasks; what it had not completed leaves no trace."""
    with _failing():
        place = places.of(cluster, context=context, namespace=namespace, release=release)
        print(f"{job}: {place.stop(job)}")


def _submitted(
    place: Place, name: str, arguments: Sequence[str], *, workers: int | None, cluster: bool
) -> str:
    def submit() -> str:
        return place.submit(name, arguments, workers=workers)

    # The database of this machine is not the cluster's: there the run tells of itself.
    if cluster:
        return submit()
    return told(
        "stream",
        settings_here,
        submit,
        lambda job: by_command("job.submitted", subject=job, job=name),
    )


def _watched(place: Place, job: str) -> int:
    try:
        print(f"{job}: submitted", flush=True)
        return place.follow(job, _say, to_the_end=True)
    except KeyboardInterrupt:
        print(f"\n{job}: {place.stop(job)}")
        return local.STOPPED


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except EcapError as exc:
        raise fail(exc) from exc


@contextmanager
def _recorded() -> Iterator[Callable[[int], None]]:
    """Of a job that `submit` started."""
    folder = os.environ.get(local.RECORD)
    if folder is None:
        yield lambda code: None
        return
    with local.recorded(Path(folder)) as recording:
        yield recording.end


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Lines for whoever reads; in a pod also on the output of its container, which is
    what Kubernetes shows of it."""
    copy: Any = None
    if os.environ.get(_COPY):
        copy = Path(os.environ[_COPY]).open("a", buffering=1)  # noqa: SIM115  closed below

    def tell(line: str) -> None:
        print(line, flush=True)
        if copy:
            copy.write(f"{line}\n")

    try:
        yield tell
    finally:
        if copy:
            copy.close()


def _say(text: str) -> None:
    print(text, end="", flush=True)


def _nothing(line: str) -> None:
    pass
