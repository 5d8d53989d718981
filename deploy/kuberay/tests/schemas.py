"""Strict check of custom resources: as an API server with fieldValidation=Strict does it.

Unknown fields are errors, unless the schema keeps them. CEL rules are not evaluated.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

_FILE = Path(__file__).with_name("schemas.json.gz")
_META: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63},
        "generateName": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_NOT_OURS = {"default", "nullable", "format"}


def strict(node: Any) -> Any:
    """JSON Schema for a structural schema, with unknown fields refused."""
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    out = {k: v for k, v in node.items() if not k.startswith("x-") and k not in _NOT_OURS}
    fields = node.get("properties")
    if fields is not None:
        out["properties"] = {name: strict(value) for name, value in fields.items()}
        if not node.get("x-kubernetes-preserve-unknown-fields"):
            out["additionalProperties"] = False
        # Defaults are filled in before the check.
        needed = node.get("required", [])
        out["required"] = [name for name in needed if "default" not in fields.get(name, {})]
    if isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = strict(node["additionalProperties"])
    if "items" in node:
        out["items"] = strict(node["items"])
    if node.get("nullable") and "type" in out:
        out["type"] = [out["type"], "null"]
    return out


def without_nulls(value: Any) -> Any:
    """The API server prunes them before it checks."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


@cache
def validators() -> dict[str, jsonschema.Draft202012Validator]:
    found = {}
    for key, schema in json.loads(gzip.decompress(_FILE.read_bytes())).items():
        whole = strict(schema)
        whole["properties"] |= {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": _META,
        }
        whole["properties"].pop("status", None)
        found[key] = jsonschema.Draft202012Validator(whole)
    return found


def knows(doc: dict[str, Any]) -> bool:
    return f"{doc['apiVersion']}/{doc['kind']}" in validators()


def findings(doc: dict[str, Any]) -> Iterator[str]:
    name = doc["metadata"].get("name") or doc["metadata"].get("generateName")
    for error in validators()[f"{doc['apiVersion']}/{doc['kind']}"].iter_errors(without_nulls(doc)):
        where = ".".join(str(part) for part in error.absolute_path) or "(root)"
        yield f"{doc['kind']}/{name}: {where}: {error.message[:160]}"
