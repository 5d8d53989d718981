"""The OpenAPI 3.1 document of a service, made from its endpoints, and several merged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

import ecap
from ecap.errors import (
    DeadlineExceeded,
    EcapError,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    PreconditionRequired,
    RateLimited,
    TooLarge,
    TooSlow,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from ecap.serve.endpoints import problems
from ecap.serve.endpoints.routing import Api, Endpoint, Events, Raw

_REF = "#/components/schemas/{model}"
_ALWAYS: tuple[type[EcapError], ...] = (
    Malformed,
    Unauthenticated,
    TooSlow,
    TooLarge,
    RateLimited,
    Unavailable,
    DeadlineExceeded,
)
_RETRYING = (429, 503)
_PATH_SCHEMAS: Mapping[type, Mapping[str, str]] = {
    UUID: {"type": "string", "format": "uuid"},
    str: {"type": "string"},
    int: {"type": "integer"},
}
_HEADER_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    # Proxies trim the spaces around a value.
    "Idempotency-Key": {"pattern": "^[!-~]([ -~]*[!-~])?$", "minLength": 1, "maxLength": 255},
}


def document(api: Api) -> dict[str, Any]:
    """The whole document of one service."""
    schemas, components = _schemas(api)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in api.endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(
            api, endpoint, schemas
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": api.title, "version": ecap.__version__},
        "paths": paths,
        "components": {
            "schemas": {"Problem": dict(problems.SCHEMA), **components},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def merge(documents: Iterable[Mapping[str, Any]], *, title: str) -> dict[str, Any]:
    """One document of several; paths and component names do not collide, see `document`."""
    merged: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": ecap.__version__},
        "paths": {},
        "components": {"schemas": {}, "securitySchemes": {}},
    }
    for one in documents:
        merged["paths"].update(one["paths"])
        for kind, found in one["components"].items():
            merged["components"].setdefault(kind, {}).update(found)
    return merged


Key = tuple[str, str, str]


def _schemas(api: Api) -> tuple[Mapping[Key, Mapping[str, Any]], Mapping[str, Any]]:
    """The schema of every body and answer by (method, path, mode), and the components."""
    inputs: list[tuple[Key, JsonSchemaMode, TypeAdapter[Any]]] = []
    for endpoint in api.endpoints:
        if endpoint.body is not None:
            key = (endpoint.method, endpoint.path, "validation")
            inputs.append((key, "validation", endpoint.body))
        model = endpoint.response
        if isinstance(model, type) and issubclass(model, BaseModel):
            key = (endpoint.method, endpoint.path, "serialization")
            inputs.append((key, "serialization", TypeAdapter(model)))
    if not inputs:
        return {}, {}
    found, shared = TypeAdapter.json_schemas(inputs, ref_template=_REF)
    by_key = {key: _prefixed(schema, api.service) for (key, _), schema in found.items()}
    definitions = {
        f"{api.service}.{name}": _prefixed(schema, api.service)
        for name, schema in shared.get("$defs", {}).items()
    }
    return by_key, definitions


def _prefixed(schema: Any, service: str) -> Any:
    """References renamed, so that two services may have models of the same name."""
    if isinstance(schema, Mapping):
        return {
            k: re.sub(r"^#/components/schemas/", f"#/components/schemas/{service}.", v)
            if k == "$ref" and isinstance(v, str)
            else _prefixed(v, service)
            for k, v in schema.items()
        }
    if isinstance(schema, list):
        return [_prefixed(item, service) for item in schema]
    return schema


def _operation(
    api: Api, endpoint: Endpoint, schemas: Mapping[Key, Mapping[str, Any]]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{api.service}_{endpoint.name}",
        "tags": [api.service],
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint, schemas),
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.scope is not None:
        operation["security"] = [{"token": []}]
        operation["x-scope"] = endpoint.scope
    if endpoint.body is not None:
        schema = schemas[(endpoint.method, endpoint.path, "validation")]
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": dict(_PATH_SCHEMAS[kind])}
        for name, kind in endpoint.params.items()
    ]
    if endpoint.query is not None:
        schema = endpoint.query.model_json_schema()
        required = schema.get("required", ())
        for name, one in schema["properties"].items():
            found.append(
                {"name": name, "in": "query", "required": name in required, "schema": _plain(one)}
            )
    for marked, description in endpoint.headers.items():
        name = marked.rstrip("!")
        found.append(
            {
                "name": name,
                "in": "header",
                "required": marked.endswith("!"),
                "description": description,
                "schema": {"type": "string", **_HEADER_SCHEMAS.get(name, {})},
            }
        )
    return found


def _plain(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """An absent query parameter is None; a present one is never the text "null"."""
    options = schema.get("anyOf")
    if not options:
        return schema
    kinds = [option for option in options if option.get("type") != "null"]
    rest = {k: v for k, v in schema.items() if k not in ("anyOf", "default")}
    return {**rest, **kinds[0]} if len(kinds) == 1 else {**rest, "anyOf": kinds}


def _responses(endpoint: Endpoint, schemas: Mapping[Key, Mapping[str, Any]]) -> dict[str, Any]:
    responses = {str(endpoint.status): _success(endpoint, schemas)}
    if "If-None-Match" in endpoint.headers:
        responses["304"] = {"description": "Not Modified"}
    raised: dict[int, list[str]] = {}
    for error in _errors(endpoint):
        raised.setdefault(error.status, []).append(error.title)
    for status, titles in sorted(raised.items()):
        responses[str(status)] = _problem(status, titles)
    return responses


def _errors(endpoint: Endpoint) -> list[type[EcapError]]:
    errors = list(_ALWAYS)
    if endpoint.scope is not None:
        errors.append(Forbidden)
    if endpoint.params:
        errors.append(NotFound)
    if endpoint.query is not None or endpoint.body is not None:
        errors.append(Invalid)
    if endpoint.body is not None:
        errors.append(UnsupportedMedia)
    if "If-Match!" in endpoint.headers:
        errors.append(PreconditionRequired)
    errors += [error for error in endpoint.errors if error not in errors]
    return errors


def _success(endpoint: Endpoint, schemas: Mapping[Key, Mapping[str, Any]]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(endpoint.status).phrase}
    schema = schemas.get((endpoint.method, endpoint.path, "serialization"))
    if schema is not None:
        answer["content"] = {"application/json": {"schema": schema}}
        if endpoint.media != "application/json":
            answer["content"][endpoint.media] = {"schema": {}}
    elif endpoint.response in (Raw, Events):
        answer["content"] = {endpoint.media: {"schema": {}}}
    return answer


def _problem(status: int, titles: list[str]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": "; ".join(dict.fromkeys(titles)),
        "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}},
    }
    if status in _RETRYING:
        answer["headers"] = {
            "Retry-After": {"description": "seconds", "schema": {"type": "integer"}}
        }
    return answer
