"""The OpenAPI document as a page to read: `docs/api.md`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_SAME_EVERYWHERE = {"400", "401", "408", "413", "429", "503", "504"}

_INTRODUCTION = """\
# HTTP API

Made from the OpenAPI document by `ecap openapi --markdown`; a test fails when it is old. A
running system serves the document at `/openapi.json` and a page of it at `/docs`.

- **Authentication**: `Authorization: Bearer <access token>` where a scope is named. Tokens come
  from `POST /api/v1/auth/login`.
- **Errors** are RFC 9457 problem documents (`application/problem+json`) with a stable `type` and,
  for a wrong field, `errors: [{field, message}]`. Every route may answer 400 (malformed), 401 (a
  token that is not valid), 408 (you left too little time), 413 (body too large), 429 and 503
  (with `Retry-After`) and 504 (the deadline passed).
- **Deadline**: `X-Request-Timeout`, in seconds, bounds the answer. When it passes the answer is
  504, but 408 where it was below one second, or your body took so long that less was left. Both
  leave open whether anything happened.
- **Ids**: `X-Request-Id` and `traceparent` are taken over when they are well formed, and sent back.
- **Pages**: `limit` and `cursor`; `next_cursor` is absent on the last page.
- **Updates** carry the resource's `ETag` as `If-Match`; 412 says that somebody was faster.
- **Money** is decimal text with two places, beside its currency.
"""


def markdown(document: Mapping[str, Any]) -> str:
    return "\n".join([_INTRODUCTION, *_services(document), ""])


def _services(document: Mapping[str, Any]) -> Iterator[str]:
    by_service: dict[str, list[str]] = {}
    for path, operations in sorted(document["paths"].items()):
        for method, operation in operations.items():
            block = "\n".join(_operation(method, path, operation))
            by_service.setdefault(operation["tags"][0], []).append(block)
    for service, blocks in by_service.items():
        yield f"## {service}\n"
        yield from blocks


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`\n"
    yield operation["summary"] + ".\n"
    if "description" in operation:
        yield operation["description"] + "\n"
    if "x-scope" in operation:
        yield f"- scope `{operation['x-scope']}`"
    for parameter in operation["parameters"]:
        yield _parameter(parameter)
    body = operation.get("requestBody")
    if body:
        yield f"- body: {_type(body['content']['application/json']['schema'])}"
    for status, answer in operation["responses"].items():
        if status not in _SAME_EVERYWHERE:
            yield _answer(status, answer)
    yield ""


def _parameter(parameter: Mapping[str, Any]) -> str:
    required = ", required" if parameter["required"] and parameter["in"] != "path" else ""
    text = parameter.get("description") or parameter["schema"].get("description", "")
    default = parameter["schema"].get("default")
    if default is not None:
        text += f" (default {default})"
    return f"- {parameter['in']} `{parameter['name']}`{required}" + (f": {text}" if text else "")


def _answer(status: str, answer: Mapping[str, Any]) -> str:
    content = answer.get("content", {})
    media = next(iter(content), None)
    line = f"- **{status}** {answer['description']}"
    if media == "application/json":
        line += f": {_type(content[media]['schema'])}"
    elif media and media != "application/problem+json":
        line += f": {media}"
    return line


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name: str = schema["$ref"].rsplit("/", 1)[1].partition(".")[2]
        return f"`{name}`"
    if schema.get("type") == "array":
        return "list of " + _type(schema["items"])
    return str(schema.get("title") or schema.get("type") or "JSON")
