"""Jobs on a cluster: RayJobs made from the template that the installed chart left there.

The chart keeps its RayJob, complete but for name and entry point, in a ConfigMap. So a
data scientist needs no chart and no Helm, and the job gets the image, settings, secrets
and network rules of what is installed.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import msgspec
from kubernetes.aio import client

from ecap.config.settings.connections.kubernetes import Kubernetes
from ecap.config.sources.kubernetes_api import configured
from ecap.errors import Forbidden, Invalid, NotFound, Unavailable

_GROUP, _VERSION, _PLURAL = "ray.io", "v1", "rayjobs"
TEMPLATE = "rayjob.json"
JOB_LABEL = "ecap.io/job"
# RayJob names become label values and get suffixes.
_NAME_MAX = 47


class ClusterJob(msgspec.Struct, frozen=True):
    """`state` and `message` are Ray's and KubeRay's words."""

    name: str
    job: str
    state: str
    begun_at: str
    cluster: str
    message: str

    @property
    def code(self) -> int | None:
        """None while it runs."""
        return {"SUCCEEDED": 0, "FAILED": 1, "STOPPED": 130}.get(self.state)


class RayJobs:
    def __init__(self, api: client.ApiClient, *, namespace: str, release: str) -> None:
        # The client's annotations of both end at `object`.
        self._custom: Any = client.CustomObjectsApi(api)
        self._core: Any = client.CoreV1Api(api)
        self._namespace = namespace
        self._release = release

    async def submit(self, job: str, command: Sequence[str], *, workers: int | None) -> str:
        """Answers the RayJob's name."""
        body = submission(await self._template(), job, command, workers=workers)
        with _translated(f"create a RayJob in {self._namespace}"):
            made = await self._custom.create_namespaced_custom_object(
                _GROUP, _VERSION, self._namespace, _PLURAL, body
            )
        return str(made["metadata"]["name"])

    async def all(self) -> list[ClusterJob]:
        """Newest first."""
        with _translated(f"list RayJobs in {self._namespace}"):
            found = await self._custom.list_namespaced_custom_object(
                _GROUP, _VERSION, self._namespace, _PLURAL, label_selector=JOB_LABEL
            )
        jobs = [_job(item) for item in found["items"]]
        return sorted(jobs, key=lambda job: job.begun_at, reverse=True)

    async def find(self, name: str) -> ClusterJob:
        with _translated(f"read the RayJob {name}"):
            return _job(
                await self._custom.get_namespaced_custom_object(
                    _GROUP, _VERSION, self._namespace, _PLURAL, name
                )
            )

    async def stop(self, name: str) -> None:
        """KubeRay ends its cluster with it."""
        with _translated(f"delete the RayJob {name}"):
            await self._custom.delete_namespaced_custom_object(
                _GROUP, _VERSION, self._namespace, _PLURAL, name
            )

    async def log(self, name: str) -> str:
        """What its pods have said; they are gone some minutes after its end."""
        job = await self.find(name)
        with _translated(f"read the logs of {name}"):
            chosen = f"ray.io/cluster={job.cluster},ray.io/node-type=worker"
            pods = await self._core.list_namespaced_pod(self._namespace, label_selector=chosen)
            texts = [
                await self._core.read_namespaced_pod_log(
                    pod.metadata.name, self._namespace, container="ray"
                )
                for pod in (pods.items if job.cluster else ())
            ]
        return "".join(texts) or job.message

    async def _template(self) -> Mapping[str, Any]:
        name = f"{self._release}-rayjob"
        with _translated(f"read the ConfigMap {name}"):
            found = await self._core.read_namespaced_config_map(name, self._namespace)
        template: Mapping[str, Any] = json.loads(found.data[TEMPLATE])
        return template


@asynccontextmanager
async def open_rayjobs(
    settings: Kubernetes, *, namespace: str, release: str
) -> AsyncIterator[RayJobs]:
    """Raises Misconfigured when there is no way into a cluster."""
    async with client.ApiClient(await configured(settings)) as api:
        yield RayJobs(api, namespace=namespace, release=release)


def submission(
    template: Mapping[str, Any], job: str, command: Sequence[str], *, workers: int | None
) -> dict[str, Any]:
    """The chart's RayJob for one command. Raises Invalid when a name is too long."""
    body: dict[str, Any] = json.loads(json.dumps(template))
    metadata = body["metadata"]
    metadata["generateName"] = f"{metadata['generateName']}{job}-"
    if len(metadata["generateName"]) + 5 > _NAME_MAX:  # what Kubernetes appends
        raise Invalid(f"{metadata['generateName']}...: too long for a RayJob")
    metadata.setdefault("labels", {})[JOB_LABEL] = job
    body["spec"]["entrypoint"] = shlex.join(command)
    if workers is not None:
        body["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplicas"] = workers
    return body


def _job(found: Mapping[str, Any]) -> ClusterJob:
    metadata, status = found["metadata"], found.get("status") or {}
    deployment = str(status.get("jobDeploymentStatus") or "Waiting")
    return ClusterJob(
        name=metadata["name"],
        job=(metadata.get("labels") or {}).get(JOB_LABEL, ""),
        # Without a pod to run on, only KubeRay's word says that it failed.
        state="FAILED" if deployment == "Failed" else str(status.get("jobStatus") or deployment),
        begun_at=str(metadata.get("creationTimestamp", "")),
        cluster=str(status.get("rayClusterName") or ""),
        message=str(status.get("message") or status.get("reason") or ""),
    )


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except client.ApiException as exc:
        if exc.status == 404:
            raise NotFound(f"Kubernetes: cannot {what}: there is none") from exc
        if exc.status in (401, 403):
            raise Forbidden(
                f"Kubernetes refuses to {what} ({exc.status}): you need the chart's Role for jobs"
            ) from exc
        if exc.status in (400, 422):
            raise Invalid(f"Kubernetes refuses to {what}: {exc.body}") from exc
        raise Unavailable(f"Kubernetes: cannot {what} ({exc.status})") from exc
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        raise Unavailable(f"Kubernetes: cannot {what} ({type(exc).__name__})") from exc
