"""A plan as JSON, seen as resources: what is planned, what is unknown, the policies in it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True)
class Resource:
    address: str
    type: str
    name: str
    index: str | int | None
    values: dict[str, Any]
    unknown: dict[str, Any]

    def at(self, path: str) -> Any:
        """The value at "a.b.c", first members of lists; None where it is absent or unknown."""
        found: Any = self.values
        for part in path.split("."):
            if isinstance(found, list):
                found = found[0] if found else None
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def is_given(self, path: str) -> bool:
        """Known and not empty, or to be known after the apply."""
        if self.at(path) not in (None, "", []):
            return True
        found: Any = self.unknown
        for part in path.split("."):
            if found is True:
                return True
            if isinstance(found, list):
                found = found[0] if found else None
            found = found.get(part) if isinstance(found, dict) else None
        return found is True or (isinstance(found, list) and True in found)


@dataclass(frozen=True)
class Policy:
    """One statement of an IAM policy, and where it stands."""

    where: str
    sid: str
    effect: str
    actions: list[str]
    resources: list[str]
    principals: dict[str, list[str]]
    conditions: dict[str, list[str]]
    negated: bool


@dataclass(frozen=True)
class Plan:
    name: str
    body: dict[str, Any]

    def resources(self, *types: str) -> list[Resource]:
        changes = [c for c in self.body["resource_changes"] if c["mode"] == "managed"]
        return [
            Resource(
                c["address"],
                c["type"],
                c["name"],
                c.get("index"),
                c["change"]["after"] or {},
                c["change"].get("after_unknown") or {},
            )
            for c in changes
            if not types or c["type"] in types
        ]

    def statements(self) -> Iterator[Policy]:
        """From every aws_iam_policy_document, also those that wait for a value of the apply."""
        for address, values in self.documents():
            for statement in values.get("statement") or []:
                yield policy(address, statement)

    def documents(self) -> Iterator[tuple[str, dict[str, Any]]]:
        kind = "aws_iam_policy_document"
        for change in self.body["resource_changes"]:
            if change["mode"] == "data" and change["type"] == kind:
                yield change["address"], change["change"]["after"]
        prior = self.body.get("prior_state", {}).get("values", {}).get("root_module", {})
        for resource in walk(prior):
            if resource["mode"] == "data" and resource["type"] == kind:
                yield resource["address"], resource["values"]

    def releases(self) -> dict[str, tuple[Resource, dict[str, Any]]]:
        """Helm releases by name, with their values merged."""
        found = {}
        for release in self.resources("helm_release"):
            merged: dict[str, Any] = {}
            for text in release.values.get("values") or []:
                merged = overlaid(merged, yaml.safe_load(text) or {})
            found[str(release.values["name"])] = (release, merged)
        return found


def overlaid(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """As Helm lays values over values."""
    out = dict(below)
    for key, value in above.items():
        under = out.get(key)
        both = isinstance(under, dict) and isinstance(value, dict)
        out[key] = overlaid(under, value) if both else value
    return out


def walk(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from walk(child)


def policy(where: str, statement: dict[str, Any]) -> Policy:
    principals: dict[str, list[str]] = {}
    for principal in statement.get("principals") or []:
        kept = [i for i in principal.get("identifiers") or [] if i]
        principals.setdefault(principal["type"], []).extend(kept)
    conditions = {
        c["variable"]: [v for v in c.get("values") or [] if v]
        for c in statement.get("condition") or []
    }
    return Policy(
        where=where,
        sid=statement.get("sid") or "",
        effect=statement.get("effect") or "Allow",
        actions=[a for a in statement.get("actions") or [] if a],
        resources=[r for r in statement.get("resources") or [] if r],
        principals=principals,
        conditions=conditions,
        negated=bool(statement.get("not_actions") or statement.get("not_resources")),
    )


def load(name: str, text: str) -> Plan:
    return Plan(name, json.loads(text))
