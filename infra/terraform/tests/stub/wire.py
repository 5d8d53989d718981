"""A provider schema (the JSON of `terraform providers schema`) as the protocol's messages."""

import json
from typing import Any

from tf.gen import tfplugin_pb2 as pb

NESTING = {"single": 1, "list": 2, "set": 3, "map": 4, "group": 5}
# Field 11 of Schema.Attribute, true: `write_only`, which protocol 6.8 added later.
WRITE_ONLY = b"\x58\x01"


def attribute(name: str, spec: dict[str, Any]) -> pb.Schema.Attribute:
    flags = {key: spec.get(key, False) for key in ("required", "optional", "computed", "sensitive")}
    out = pb.Schema.Attribute(name=name, **flags)
    if nested := spec.get("nested_type"):
        members = [attribute(n, a) for n, a in sorted(nested["attributes"].items())]
        mode = NESTING[nested["nesting_mode"]]
        out.nested_type.CopyFrom(pb.Schema.Object(nesting=mode, attributes=members))
    else:
        out.type = json.dumps(spec["type"]).encode()
    if spec.get("write_only"):
        out = pb.Schema.Attribute.FromString(out.SerializeToString() + WRITE_ONLY)
    return out


def block(spec: dict[str, Any]) -> pb.Schema.Block:
    out = pb.Schema.Block(version=1)
    out.attributes.extend(attribute(n, a) for n, a in sorted(spec["attributes"].items()))
    for name, nested in sorted(spec["block_types"].items()):
        out.block_types.append(
            pb.Schema.NestedBlock(
                type_name=name,
                block=block(nested["block"]),
                nesting=NESTING[nested["nesting_mode"]],
                min_items=nested.get("min_items", 0),
                max_items=nested.get("max_items", 0),
            )
        )
    return out


def provider_schema(schema: dict[str, Any]) -> bytes:
    """Serialised once: Terraform asks for it at every start."""
    out = pb.GetProviderSchema.Response()
    out.provider.CopyFrom(pb.Schema(version=0, block=block(schema["provider_schema"]["block"])))
    for target, source in (
        (out.resource_schemas, schema["resource_schemas"]),
        (out.data_source_schemas, schema["data_source_schemas"]),
    ):
        for name, spec in source.items():
            target[name].CopyFrom(pb.Schema(version=0, block=block(spec["block"])))
    return bytes(out.SerializeToString())
