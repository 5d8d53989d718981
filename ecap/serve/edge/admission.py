"""Who may pass: identity, scope and limits, in the order that costs least."""

from __future__ import annotations

from ecap.config.settings.limits import Bucket, Limits
from ecap.errors import Forbidden, RateLimited, Unauthenticated
from ecap.mesh.http import SERVICE_TOKEN
from ecap.mesh.identity import Principal
from ecap.serve.edge import limits
from ecap.serve.edge.parts import EdgeParts
from ecap.serve.edge.received import Received
from ecap.serve.edge.tokens import bearer
from ecap.serve.endpoints.routing import Endpoint

_SERVICE_TOKEN = SERVICE_TOKEN.encode()


async def admit(parts: EdgeParts, rate: Limits, request: Received, endpoint: Endpoint) -> None:
    """Raises Unauthenticated, Forbidden or RateLimited."""
    service = _calling_service(parts, request)
    token = bearer(request.headers.get(b"authorization"))
    if token is not None:
        if service is None and parts.verifier.cached(token) is None:
            # A token costs a signature check: strangers are limited first.
            await limit_address(parts, rate, request)
        request.principal = await parts.verifier.verify(token)
        request.bearer = token
    elif service is not None:
        request.principal = service
    _require(endpoint, request.principal)
    if service is not None:
        return
    if endpoint.limit == "credentials":
        await _limit(parts, rate, request, "c:" + request.client, rate.credentials)
    elif token is None:
        await limit_address(parts, rate, request)
    else:
        await _limit(parts, rate, request, "p:" + request.principal.subject, rate.principal)


async def limit_address(parts: EdgeParts, rate: Limits, request: Received) -> None:
    """Raises RateLimited."""
    await _limit(parts, rate, request, "a:" + request.client, rate.address)


async def _limit(
    parts: EdgeParts, rate: Limits, request: Received, key: str, bucket: Bucket
) -> None:
    if parts.limiter is None or not rate.enabled:
        return
    ruling = await limits.take(parts.limiter, key, bucket)
    # Before the refusal: whoever is refused wants to know most.
    request.limits = limits.headers(ruling, bucket)
    if not ruling.allowed:
        raise RateLimited("too many requests", retry_after_s=ruling.retry_after_s)


def _require(endpoint: Endpoint, principal: Principal) -> None:
    scope = endpoint.scope
    if scope is None or principal.has(scope):
        return
    # The handler looks at what it is for.
    if endpoint.by_section and principal.sections(scope):
        return
    if principal.kind == "anonymous":
        raise Unauthenticated("this needs an access token")
    raise Forbidden(f"this needs the scope {scope}", scope=scope)


def _calling_service(parts: EdgeParts, request: Received) -> Principal | None:
    token = request.headers.get(_SERVICE_TOKEN)
    if token is None or parts.identity is None:
        return None
    return parts.identity.verify(token.decode("latin-1"))
