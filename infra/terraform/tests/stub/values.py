"""What a provider decides: unknown while planning, invented once applied."""

import json
from collections.abc import Iterator
from typing import Any

import msgpack

# Attributes that configurations decode or cut, or whose form counts: a certificate in base64, a
# URL, brokers with the port that MSK gives clients of IAM.
SHAPED = {
    "bootstrap_brokers_sasl_iam": "b-1.invented.example:9098,b-2.invented.example:9098",
    "data": "aW52ZW50ZWQ=",
    "endpoint": "https://invented.example",
    "issuer": "https://invented.example/id",
}
UNKNOWN = msgpack.ExtType(0, b"\x00")


def invented(kind: Any, name: str) -> Any:
    if isinstance(kind, list):
        container, inner = kind[0], kind[1]
        if container in ("list", "set"):
            # Computed lists of objects nearly always have one member (endpoints, certificates).
            one = isinstance(inner, list) and inner[0] == "object"
            return [invented(inner, name)] if one else []
        if container == "object":
            return {key: invented(value, key) for key, value in inner.items()}
        return {}
    if kind == "string" and name in SHAPED:
        return SHAPED[name]
    return {"string": f"invented-{name}", "number": 0, "bool": False}.get(kind)


def completed(block: dict[str, Any], value: Any, *, planning: bool, name: str = "") -> Any:
    """`value` with what the provider computes: unknown when planning, invented otherwise."""
    if not isinstance(value, dict):
        return value
    out = dict(value)
    for key, spec in block["attributes"].items():
        given = out.get(key)
        missing = given is None or (not planning and isinstance(given, msgpack.ExtType))
        if spec.get("write_only"):
            out[key] = None
        elif spec.get("computed") and missing:
            out[key] = UNKNOWN if planning else invented(spec.get("type", "dynamic"), key)
        else:
            out.setdefault(key, None)
    for key, nested in block["block_types"].items():
        given = out.get(key)
        if isinstance(given, list):
            out[key] = [completed(nested["block"], x, planning=planning, name=key) for x in given]
        elif isinstance(given, dict) and nested["nesting_mode"] == "single":
            out[key] = completed(nested["block"], given, planning=planning, name=key)
    return out


def without_write_only(block: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """What may stand in a plan or a state. All we use are at the top of their resource."""
    secret = {key for key, spec in block["attributes"].items() if spec.get("write_only")}
    return {key: None if key in secret else given for key, given in value.items()}


def read_only_set(
    block: dict[str, Any], value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[str | int, ...]]:
    """Paths that only the provider may set. Real ones refuse them; Terraform does not."""
    given = value or {}
    for key, spec in block["attributes"].items():
        if spec.get("computed") and not spec.get("optional") and given.get(key) is not None:
            yield (*path, key)
    for key, nested in block["block_types"].items():
        members = given.get(key)
        for index, member in enumerate(members if isinstance(members, list) else []):
            if isinstance(member, dict):
                yield from read_only_set(nested["block"], member, (*path, key, index))


def policy_json(config: dict[str, Any]) -> str:
    """The JSON an aws_iam_policy_document stands for, so that plans carry real policies."""
    statements: list[dict[str, Any]] = []
    sources = (config.get("source_policy_documents") or []) + (
        config.get("override_policy_documents") or []
    )
    for source in sources:
        if isinstance(source, str) and source.startswith("{"):
            statements += json.loads(source).get("Statement", [])
    statements += [statement_json(s) for s in config.get("statement") or []]
    return json.dumps({"Version": config.get("version") or "2012-10-17", "Statement": statements})


def statement_json(statement: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {"Effect": statement.get("effect") or "Allow"}
    if statement.get("sid"):
        out["Sid"] = statement["sid"]
    for key, source in (
        ("Action", "actions"),
        ("NotAction", "not_actions"),
        ("Resource", "resources"),
        ("NotResource", "not_resources"),
    ):
        if values := statement.get(source):
            out[key] = sorted(str(v) for v in values)
    for principal in statement.get("principals") or []:
        kind = principal["type"]
        known = out.setdefault("Principal", {})
        known.setdefault(kind, []).extend(str(i) for i in principal["identifiers"])
    for condition in statement.get("condition") or []:
        test = out.setdefault("Condition", {}).setdefault(condition["test"], {})
        test[condition["variable"]] = [str(v) for v in condition["values"]]
    return out
