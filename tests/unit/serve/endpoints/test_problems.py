"""Problem documents say what the caller can use, and no more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ecap import errors
from ecap.errors import EcapError, Fenced, Invalid, Misconfigured, RateLimited, Unauthenticated
from ecap.serve.endpoints import problems


def made(error: EcapError) -> tuple[int, dict[str, Any], dict[bytes, bytes]]:
    status, body, headers = problems.of(error, request_id="r-1")
    return status, json.loads(body), dict(headers)


def every(kind: type[EcapError]) -> list[type[EcapError]]:
    return [kind, *(found for sub in kind.__subclasses__() for found in every(sub))]


OURS = [kind for kind in every(EcapError) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_document(kind: type[EcapError]) -> None:
    status, body, headers = made(kind("what happened"))
    assert body["status"] == status == kind.status
    assert body["type"].startswith("urn:ecap:problem:")
    assert body["instance"] == "r-1"
    assert headers[b"content-type"] == b"application/problem+json"
    assert (b"retry-after" in headers) == issubclass(kind, errors.Retryable)
    if status >= 500 and not issubclass(kind, errors.Retryable):
        assert "what happened" not in body["detail"]
    else:
        assert body["detail"] == "what happened"


def test_slugs_are_not_shared() -> None:
    visible = [kind.slug for kind in OURS if kind.status != 500]
    assert len(visible) == len(set(visible))


@pytest.mark.parametrize("error", [Misconfigured("x", key="s3cret"), Fenced("x", owner="s3cret")])
def test_facts_of_a_500_stay_inside(error: EcapError) -> None:
    assert b"s3cret" not in problems.of(error, request_id="r")[1]


def test_one_field_becomes_a_list() -> None:
    _, body, _ = made(Invalid("too long", field="name"))
    assert body["errors"] == [{"field": "name", "message": "too long"}]
    assert "field" not in body


@pytest.mark.parametrize(("wait_s", "said"), [(0.0, b"1"), (1.0, b"1"), (1.01, b"2")])
def test_retry_after_is_whole_seconds(wait_s: float, said: bytes) -> None:
    assert made(RateLimited("wait", retry_after_s=wait_s))[2][b"retry-after"] == said


def test_401_says_how() -> None:
    assert made(Unauthenticated("who?"))[2][b"www-authenticate"] == b'Bearer realm="ecap"'


def test_a_bare_status() -> None:
    status, body, _ = problems.of_status(405, detail="no", request_id="r-1")
    assert (status, json.loads(body)["type"]) == (405, "urn:ecap:problem:method-not-allowed")
