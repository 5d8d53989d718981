"""What every service answers about itself: alive, ready, and its OpenAPI document."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from pydantic import Field

from ecap import logs
from ecap.config.member.member import Member
from ecap.errors import EcapError, Unavailable
from ecap.serve.endpoints import openapi
from ecap.serve.endpoints.models import Model
from ecap.serve.endpoints.routing import Api, Call, Check, Handler, Raw

_log = logs.get("ecap.health")
# What is dead refuses at once; this is for what hangs. A busy machine is late and well,
# and calling it unready makes it no faster: longer than a request waits for a connection
# or another service by default, shorter than the 5 s that probes commonly wait.
CHECK_TIMEOUT_S = 3.0


class Alive(Model):
    status: Literal["ok"] = "ok"


class Configuration(Model):
    """Of this replica. Old configuration is no reason to refuse anybody."""

    version: int = Field(description="that it runs; 0: what it loaded by itself")
    silence_s: float = Field(description="since the hub was heard last")


class Ready(Model):
    status: Literal["ready"] = "ready"
    checks: dict[str, str] = Field(description="what was asked, and that it is ok")
    configuration: Configuration | None = None


def completed(api: Api) -> Api:
    """The same service with `/healthz`, `/readyz` and `/openapi.json` where it has none."""
    whole = Api(api.service, prefix=api.prefix, title=api.title)
    standard = Api(api.service, prefix=api.prefix, title=api.title)
    standard.get("/healthz", scope=None)(healthz)
    standard.get("/readyz", scope=None)(readyz)
    standard.get("/openapi.json", scope=None)(_document_of(whole))
    taken = {endpoint.path for endpoint in api.endpoints}
    whole.endpoints += api.endpoints
    whole.endpoints += [one for one in standard.endpoints if one.path not in taken]
    return whole


async def healthz(call: Call[Any]) -> Alive:
    """Whether the process answers at all."""
    return Alive()


async def readyz(call: Call[Any]) -> Ready:
    """Whether the service can do its work; 503 with the reasons when it cannot."""
    found = await outcomes(call.checks)
    refuse(found)
    return Ready(checks=found, configuration=configuration(call.member))


def refuse(found: Mapping[str, str]) -> None:
    """Raises Unavailable unless every check is "ok"."""
    bad = sorted(name for name, outcome in found.items() if outcome != "ok")
    if bad:
        raise Unavailable("not ready: " + ", ".join(bad), checks=dict(found))


def configuration(member: Member | None) -> Configuration | None:
    if member is None:
        return None
    return Configuration(version=member.version, silence_s=round(member.silence_s, 3))


async def outcomes(checks: Mapping[str, Check]) -> dict[str, str]:
    """All checks at once; "ok", or what is the matter."""
    found = await asyncio.gather(*(_outcome(name, check) for name, check in checks.items()))
    return dict(zip(checks, found, strict=True))


async def troubles(checks: Mapping[str, Check]) -> dict[str, str]:
    """Of those that are not ok, what is the matter."""
    found = await outcomes(checks)
    return {name: outcome for name, outcome in found.items() if outcome != "ok"}


async def _outcome(name: str, check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except EcapError as exc:
        return exc.detail
    except Exception:  # noqa: BLE001  a check that breaks means that nobody knows
        _log.exception("a readiness check broke", extra={"check": name})
        return "the check broke"
    return "ok"


def _document_of(api: Api) -> Handler:
    async def openapi_document(call: Call[Any]) -> Raw:
        """Get the OpenAPI document of this service."""
        return Raw(msgspec.json.encode(openapi.document(api)), "application/json")

    return openapi_document
