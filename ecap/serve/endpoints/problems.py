"""RFC 9457 problem documents, made from the facts of an error and never from its trace."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from ecap.errors import EcapError, Retryable, Unauthenticated

CONTENT_TYPE = b"application/problem+json"
_TYPE = "urn:ecap:problem:"
_encode = msgspec.json.Encoder(enc_hook=str).encode

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem details",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "stable name of the problem"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "the request id"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def of(error: EcapError, *, request_id: str) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """Status, body and headers. What went wrong inside stays in the log."""
    if error.status == EcapError.status:
        error = EcapError("an unexpected error; its request id is in the log")
    body: dict[str, Any] = {
        "type": _TYPE + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": request_id,
    }
    facts = dict(error.facts)
    if "field" in facts and "errors" not in facts:
        facts["errors"] = [{"field": facts.pop("field"), "message": error.detail}]
    body.update(facts)
    headers = [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")]
    if isinstance(error, Retryable):
        body["retry_after_s"] = error.retry_after_s
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after_s))).encode()))
    if isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", b'Bearer realm="ecap"'))
    return error.status, _encode(body), headers


def of_status(status: int, *, detail: str, request_id: str) -> tuple[int, bytes, list[Any]]:
    """A problem that is nothing but its status, such as 404 for a path nobody serves."""
    phrase = HTTPStatus(status).phrase
    body = {
        "type": _TYPE + phrase.lower().replace(" ", "-"),
        "title": phrase,
        "status": status,
        "detail": detail,
        "instance": request_id,
    }
    return status, _encode(body), [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")]
