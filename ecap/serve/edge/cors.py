"""Cross-origin requests: what a browser is told (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ecap.config.settings.http import Cors
from ecap.serve.endpoints.answers import Answer, Header

_ALLOWED = (
    b"authorization, content-type, idempotency-key, if-match, if-none-match,"
    b" x-request-id, x-request-timeout, traceparent"
)
_EXPOSED = b"etag, location, ratelimit, ratelimit-policy, retry-after, x-request-id"
_VARY = (b"vary", b"origin")


def is_preflight(method: str, headers: Mapping[bytes, bytes]) -> bool:
    return method == "OPTIONS" and b"access-control-request-method" in headers


def preflight(cors: Cors, methods: Iterable[str]) -> Answer:
    return Answer(
        204,
        [
            (b"access-control-allow-methods", ", ".join(sorted(methods)).encode()),
            (b"access-control-allow-headers", _ALLOWED),
            (b"access-control-max-age", str(cors.max_age_s).encode()),
        ],
    )


def headers(cors: Cors, origin: bytes | None) -> Sequence[Header]:
    """Of every answer. Without allowed origins there is nothing to tell apart."""
    if origin is None or not cors.origins:
        return ()
    if "*" not in cors.origins and origin.decode("latin-1") not in cors.origins:
        return (_VARY,)
    return (
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _EXPOSED),
        _VARY,
    )
