"""`ecap job --cluster` against the few answers it needs of a Kubernetes API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner, Result

from ecap.cli.job import cluster
from ecap.cli.job.commands import app

_JOBS = "/apis/ray.io/v1/namespaces/ecap/rayjobs"
_TEMPLATE = {
    "apiVersion": "ray.io/v1",
    "kind": "RayJob",
    "metadata": {"generateName": "ecap-", "labels": {"a": "b"}},
    "spec": {"rayClusterSpec": {"workerGroupSpecs": [{"maxReplicas": 1}]}},
}


class Api:
    """Finishes a job at its second look."""

    def __init__(self) -> None:
        self.jobs: dict[str, Any] = {}
        self.looks = 0
        self.refusing = 0
        self.message = ""

    async def template(self, request: web.Request) -> web.Response:
        if self.refusing:
            return web.json_response({"reason": "Forbidden"}, status=self.refusing)
        return web.json_response({"data": {"rayjob.json": json.dumps(_TEMPLATE)}})

    async def create(self, request: web.Request) -> web.Response:
        job = await request.json()
        job["metadata"] |= {"name": job["metadata"]["generateName"] + "abcde"}
        job["metadata"]["creationTimestamp"] = "2026-03-01T00:00:00Z"
        self.jobs[job["metadata"]["name"]] = job
        return web.json_response(job, status=201)

    async def list(self, request: web.Request) -> web.Response:
        assert request.query["labelSelector"] == "ecap.io/job"
        return web.json_response({"items": list(self.jobs.values())})

    async def find(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["name"])
        if job is None:
            return web.json_response({"reason": "NotFound"}, status=404)
        self.looks += 1
        ended = self.looks > 1
        status = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING", "rayClusterName": "c"}
        if ended and self.message:
            status |= {"jobStatus": "FAILED", "message": self.message}
        elif ended:
            status |= {"jobStatus": "SUCCEEDED"}
        return web.json_response({**job, "status": status})

    async def delete(self, request: web.Request) -> web.Response:
        return web.json_response(self.jobs.pop(request.match_info["name"]))

    async def pods(self, request: web.Request) -> web.Response:
        assert request.query["labelSelector"] == "ray.io/cluster=c,ray.io/node-type=worker"
        return web.json_response({"items": [{"metadata": {"name": "w"}}]})

    async def log(self, request: web.Request) -> web.Response:
        return web.Response(text="the stream equals the recomputation\n")


@asynccontextmanager
async def serving(api: Api) -> AsyncIterator[int]:
    server = web.Application()
    core = "/api/v1/namespaces/ecap"
    server.add_routes(
        [
            web.get(f"{core}/configmaps/ecap-rayjob", api.template),
            web.get(f"{core}/pods", api.pods),
            web.get(f"{core}/pods/w/log", api.log),
            web.post(_JOBS, api.create),
            web.get(_JOBS, api.list),
            web.get(f"{_JOBS}/{{name}}", api.find),
            web.delete(f"{_JOBS}/{{name}}", api.delete),
        ]
    )
    runner = web.AppRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    made = Api()
    async with serving(made) as port:
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(config))
        monkeypatch.setenv("KUBECONFIG", str(path))
        monkeypatch.setattr(cluster, "_POLL_S", 0.01)
        yield made


async def ecap(*arguments: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, [*arguments, "--cluster"]))


async def test_one_command_to_the_end(api: Api) -> None:
    done = await ecap("submit", "revenue", "--arg", "slice_events=5", "--workers", "4", "--watch")
    assert done.exit_code == 0, done.stderr
    assert "ecap-revenue-abcde: submitted" in done.stdout
    assert "the stream equals the recomputation" in done.stdout
    job = api.jobs["ecap-revenue-abcde"]
    assert job["spec"]["entrypoint"] == "ecap job run revenue --arg slice_events=5"
    assert job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplicas"] == 4
    assert job["metadata"]["labels"] == {"a": "b", "ecap.io/job": "revenue"}
    assert "ecap-revenue-abcde" in (await ecap("status")).stdout
    assert (await ecap("stop", "ecap-revenue-abcde")).exit_code == 0
    assert api.jobs == {}


async def test_a_job_that_fails_and_what_cannot_be_had(api: Api) -> None:
    api.message = "exit code 3"
    done = await ecap("submit", "revenue", "--watch")
    assert done.exit_code == 1
    assert "FAILED" in done.stdout
    missing = await ecap("logs", "nobody")
    assert missing.exit_code == 1
    assert "there is none" in missing.stderr
    api.refusing = 403
    refused = await ecap("submit", "revenue")
    assert refused.exit_code == 1
    assert "Role for jobs" in refused.stderr
