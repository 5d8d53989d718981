"""Who may pass: identity, scope and limits, in the order that costs least."""

from __future__ import annotations

from collections.abc import Sequence

from ecap.config.settings.limits import Bucket, Limits
from ecap.errors import Forbidden, Unauthenticated
from ecap.mesh.http import SERVICE_TOKEN
from ecap.mesh.identity import Principal
from ecap.serve.edge import limits
from ecap.serve.edge.parts import EdgeParts
from ecap.serve.edge.received import Received
from ecap.serve.edge.tokens import bearer
from ecap.serve.endpoints.answers import Header
from ecap.serve.endpoints.routing import Endpoint

_SERVICE_TOKEN = SERVICE_TOKEN.encode()


async def admit(
    parts: EdgeParts, rate: Limits, request: Received, endpoint: Endpoint
) -> Sequence[Header]:
    """Raises Unauthenticated, Forbidden or RateLimited; the headers are for the answer."""
    service = _calling_service(parts, request)
    token = bearer(request.headers.get(b"authorization"))
    if token is not None:
        if service is None and parts.verifier.cached(token) is None:
            # A token costs a signature check: strangers are limited first.
            await limit(parts, rate, "a:" + request.address, rate.address)
        request.principal = await parts.verifier.verify(token)
        request.bearer = token
    elif service is not None:
        request.principal = service
    _require(endpoint, request.principal)
    if service is not None:
        return ()
    if endpoint.limit == "credentials":
        return await limit(parts, rate, "c:" + request.address, rate.credentials)
    if token is None:
        return await limit(parts, rate, "a:" + request.address, rate.address)
    return await limit(parts, rate, "p:" + request.principal.subject, rate.principal)


async def limit(parts: EdgeParts, rate: Limits, key: str, bucket: Bucket) -> Sequence[Header]:
    """Raises RateLimited."""
    if parts.limiter is None or not rate.enabled:
        return ()
    return limits.headers(await limits.admit(parts.limiter, key, bucket), bucket)


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
