"""Serves stub providers to the stock Terraform binary.

Terraform's `TF_REATTACH_PROVIDERS` points it at providers that already run, so nothing is
installed, no lock file is written, and every command of a check shares one process. The schemas are
the real ones (see ../schema), the behaviour is not: computed attributes are unknown in a plan and
invented after an apply, and a provider's own value checks (enumerations, conflicts, name lengths)
are absent.
"""

import contextlib
import gzip
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import msgpack
from tf.gen import tfplugin_pb2 as pb

from stub.values import completed, policy_json, read_only_set, without_write_only
from stub.wire import provider_schema

HERE = Path(__file__).parent
CALLS = [
    "GetProviderSchema",
    "ValidateProviderConfig",
    "ValidateResourceConfig",
    "ValidateDataResourceConfig",
    "UpgradeResourceState",
    "ConfigureProvider",
    "ReadResource",
    "PlanResourceChange",
    "ApplyResourceChange",
    "ReadDataSource",
    "StopProvider",
]


def packed(value: Any) -> pb.DynamicValue:
    return pb.DynamicValue(msgpack=msgpack.packb(value))


def unpacked(value: pb.DynamicValue) -> Any:
    return msgpack.unpackb(value.msgpack) if value.msgpack else json.loads(value.json or b"null")


def step(part: str | int) -> pb.AttributePath.Step:
    if isinstance(part, str):
        return pb.AttributePath.Step(attribute_name=part)
    return pb.AttributePath.Step(element_key_int=part)


class Provider:
    def __init__(self, schema: dict[str, Any], canned: dict[str, Any]) -> None:
        self.schema = schema
        self.canned = canned
        # SSM parameters that were applied can be read afterwards: how one root hears of another.
        self.parameters: dict[str, str] = {}
        self.deleted: list[tuple[str, dict[str, Any]]] = []
        self.serialised = provider_schema(schema)

    def block(self, request: Any, kind: str = "resource_schemas") -> dict[str, Any]:
        block: dict[str, Any] = self.schema[kind][request.type_name]["block"]
        return block

    def refusals(self, request: Any, kind: str) -> list[pb.Diagnostic]:
        return [
            pb.Diagnostic(
                severity=pb.Diagnostic.ERROR,
                summary="Value for unconfigurable attribute",
                detail=f"{path[-1]!r} is decided by the provider; remove it.",
                attribute=pb.AttributePath(steps=[step(part) for part in path]),
            )
            for path in read_only_set(self.block(request, kind), unpacked(request.config))
        ]

    def GetProviderSchema(self, request: Any) -> bytes:
        return self.serialised

    def ValidateResourceConfig(self, request: Any) -> Any:
        return pb.ValidateResourceConfig.Response(
            diagnostics=self.refusals(request, "resource_schemas")
        )

    def ValidateDataResourceConfig(self, request: Any) -> Any:
        return pb.ValidateDataResourceConfig.Response(
            diagnostics=self.refusals(request, "data_source_schemas")
        )

    def PlanResourceChange(self, request: Any) -> Any:
        wanted, prior = unpacked(request.proposed_new_state), unpacked(request.prior_state)
        if wanted is not None and prior is None:
            wanted = completed(self.block(request), wanted, planning=True)
        elif wanted is not None:
            wanted = without_write_only(self.block(request), wanted)
        return pb.PlanResourceChange.Response(
            planned_state=packed(wanted), planned_private=request.prior_private
        )

    def ApplyResourceChange(self, request: Any) -> Any:
        state = completed(self.block(request), unpacked(request.planned_state), planning=False)
        if state is None:
            self.deleted.append((request.type_name, unpacked(request.prior_state)))
        elif request.type_name == "aws_ssm_parameter":
            self.parameters[state["name"]] = state["value"]
        return pb.ApplyResourceChange.Response(new_state=packed(state), legacy_type_system=True)

    def ReadResource(self, request: Any) -> Any:
        return pb.ReadResource.Response(new_state=request.current_state)

    def UpgradeResourceState(self, request: Any) -> Any:
        return pb.UpgradeResourceState.Response(
            upgraded_state=pb.DynamicValue(json=request.raw_state.json)
        )

    def ReadDataSource(self, request: Any) -> Any:
        block = self.block(request, "data_source_schemas")
        value = completed(block, unpacked(request.config), planning=False)
        value.update(self.canned.get(request.type_name, {}))
        if request.type_name == "aws_ssm_parameter" and value["name"] in self.parameters:
            value["value"] = value["insecure_value"] = self.parameters[value["name"]]
        if request.type_name == "aws_iam_policy_document":
            value["json"] = value["minified_json"] = policy_json(value)
        return pb.ReadDataSource.Response(state=packed(value))


def handlers(provider: Provider) -> Any:
    def handler(name: str) -> Any:
        message = getattr(pb, name)
        answer: Callable[[Any], Any] = getattr(provider, name, lambda _: message.Response())
        return grpc.unary_unary_rpc_method_handler(
            lambda request, _context: answer(request),
            message.Request.FromString,
            lambda reply: reply if isinstance(reply, bytes) else reply.SerializeToString(),
        )

    return grpc.method_handlers_generic_handler(
        "tfplugin6.Provider", {name: handler(name) for name in CALLS}
    )


def load(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


@dataclass
class Serving:
    """Running stubs by provider name, and the environment by which Terraform finds them."""

    providers: dict[str, Provider]
    environment: dict[str, str]


@contextlib.contextmanager
def serving(schemas: Path) -> Iterator[Serving]:
    """Serve every schema in the folder."""
    providers: dict[str, Provider] = {}
    reattach: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        # Short: a unix socket's path may have 108 characters at most.
        sockets = stack.enter_context(tempfile.TemporaryDirectory(prefix="stub-", dir="/tmp"))
        for path in sorted(schemas.glob("*.json.gz")):
            schema = load(path)
            source = schema["provider"]["name"]
            name = source.rsplit("/", 1)[1]
            canned = HERE / f"canned_{name}.json"
            provider = Provider(schema, json.loads(canned.read_text()) if canned.exists() else {})
            providers[name] = provider
            unlimited = [
                ("grpc.max_send_message_length", -1),
                ("grpc.max_receive_message_length", -1),
            ]
            server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=unlimited)
            server.add_generic_rpc_handlers((handlers(provider),))
            socket = f"{sockets}/{name}"
            server.add_insecure_port(f"unix:{socket}")
            server.start()
            stack.callback(server.stop, 0)
            reattach[source] = {
                "Protocol": "grpc",
                "ProtocolVersion": 6,
                "Pid": os.getpid(),
                "Test": True,
                "Addr": {"Network": "unix", "String": socket},
            }
        yield Serving(providers, {"TF_REATTACH_PROVIDERS": json.dumps(reattach)})
