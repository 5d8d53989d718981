"""Arguments against the real schemas, without Terraform: unknown, missing, of the wrong kind."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from findings import Finding
from hcl import Block, Document, Expression, read
from trees import SCHEMAS, TERRAFORM, documents

META = {"count", "depends_on", "for_each", "lifecycle", "provider", "provisioner", "timeouts"}
PROVIDERS = ("aws_", "helm_", "vault_")


def load(schemas: Path = SCHEMAS) -> dict[str, dict[str, Any]]:
    """Schema blocks by "resource TYPE" and "data TYPE"."""
    table: dict[str, dict[str, Any]] = {}
    for path in schemas.glob("*.json.gz"):
        schema = json.loads(gzip.decompress(path.read_bytes()))
        for kind, key in (("resource", "resource_schemas"), ("data", "data_source_schemas")):
            table |= {f"{kind} {name}": spec["block"] for name, spec in schema[key].items()}
    return table


def kind_agrees(kind: Any, given: Any) -> bool:
    if given is None or isinstance(given, Expression) or kind == "dynamic":
        return True
    if isinstance(kind, list):
        return isinstance(given, dict) if kind[0] in ("map", "object") else isinstance(given, list)
    if kind == "bool":
        return isinstance(given, bool) or given in ("true", "false")
    if kind == "number":
        number = isinstance(given, int | float) and not isinstance(given, bool)
        return number or (isinstance(given, str) and given.replace(".", "", 1).isdigit())
    return isinstance(given, str | int | float | bool)


def blocks_in(body: dict[str, Any]) -> tuple[dict[str, list[dict[str, Any]]], set[str]]:
    """Nested blocks by name, and which of them are written as `dynamic`."""
    found: dict[str, list[dict[str, Any]]] = {}
    dynamic: set[str] = set()
    for name, given in body.items():
        members = given if isinstance(given, list) else [given]
        if name == "dynamic":
            for member in members:
                (inner, spec), *_ = (
                    member.body.items() if isinstance(member, Block) else member.items()
                )
                spec = spec.body if isinstance(spec, Block) else spec
                content = [c.body for c in spec.get("content", [])]
                found.setdefault(inner, []).extend(content)
                dynamic.add(inner)
        elif members and all(isinstance(member, Block) for member in members):
            found.setdefault(name, []).extend(member.body for member in members)
    return found, dynamic


def body_faults(
    schema: dict[str, Any], body: dict[str, Any], where: str
) -> Iterator[tuple[str, str]]:
    attributes, block_types = schema["attributes"], schema["block_types"]
    blocks, dynamic = blocks_in(body)
    arguments = {k: v for k, v in body.items() if k not in blocks and k != "dynamic"}
    for name, given in arguments.items():
        spec = attributes.get(name)
        if name in META and name not in block_types:
            continue
        if spec is None:
            hint = "is a block" if name in block_types else "is no argument of this type"
            yield f"{where}.{name}", hint
        elif not (spec.get("optional") or spec.get("required")):
            yield f"{where}.{name}", "is decided by the provider"
        elif "type" in spec and not kind_agrees(spec["type"], given):
            yield f"{where}.{name}", f"must be of type {json.dumps(spec['type'])[:60]}"
    for name, members in blocks.items():
        if name in META:
            continue
        if name not in block_types:
            hint = (
                "is an argument, written as a block"
                if name in attributes
                else "is no block of this type"
            )
            yield f"{where}.{name}", hint
            continue
        most = block_types[name].get("max_items")
        if most and len(members) > most and name not in dynamic:
            yield f"{where}.{name}", f"may stand {most} time(s)"
        for member in members:
            yield from body_faults(block_types[name]["block"], member, f"{where}.{name}")
    for name, spec in attributes.items():
        if spec.get("required") and name not in arguments:
            yield where, f"{name} is required"
    for name, spec in block_types.items():
        if spec.get("min_items") and name not in blocks:
            yield where, f"a block {name} is required"


def faults(document: Document, table: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for kind in ("resource", "data"):
        for (type_name, name), body in document.labelled(kind):
            schema = table.get(f"{kind} {type_name}")
            where = f"{kind} {type_name}.{name}"
            if schema is not None:
                yield from body_faults(schema, body, where)
            elif type_name.startswith(PROVIDERS):
                yield where, "is no type of the provider (or not in tests/schema: run rebuild.py)"


def check(tree: Path = TERRAFORM) -> list[Finding]:
    table = load()
    return [
        Finding("schema", f"{path.relative_to(tree)}: {where}", what)
        for path in documents(tree)
        for where, what in faults(read(path), table)
    ]
