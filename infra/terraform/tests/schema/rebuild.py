"""Rebuilds the schemas in this folder from the providers' CDK Terrain bindings, cut to the types in use.

    pip download --no-deps cdktn-provider-aws==25.8.1 cdktn-provider-helm==15.1.0 cdktn-provider-vault==18.3.0
    python rebuild.py cdktn_provider_*.whl

The generated bindings keep, for each attribute, a comment `// name - computed: b, optional: b,
required: b` and a typed getter, and in index.d.ts a `* name block` comment for nested blocks. That is
all of `terraform providers schema -json` but descriptions and sensitivity. Run it again when a check
says that a type is missing. Licence and versions: README.md beside this file.
"""

import gzip
import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TERRAFORM = HERE.parent.parent

ATTRIBUTE = re.compile(r"^    // (\w+) - computed: (\w+), optional: (\w+), required: (\w+)$", re.M)
CLASS = re.compile(r"^class (\w+) extends cdktn?f?\.?(\w+)", re.M)
GETTER = re.compile(
    r"(cdktn?f?\.Fn\.tolist\()?this\.get(String|Number|Boolean|List|NumberList|StringMap|NumberMap|BooleanMap|AnyMap)Attribute\('"
)
COMPLEX = re.compile(
    r"^    _\w+ = new (?:cdktn?f?\.)?(\w+)\(this, \"(\w+)\"(?:, (true|false))?\);", re.M
)
SYNTHESIS = re.compile(
    r"^ +(\w+): \{\n +value: [^\n]*\n +isBlock: (true|false),\n +type: \"(\w+)\",\n +storageClassType: \"(\w+)\",",
    re.M,
)
SCALAR = {
    "String": "string", "Number": "number", "Boolean": "bool",
    "string": "string", "number": "number", "boolean": "bool", "any": "dynamic",
}  # fmt: skip
MAPS = {"StringMap", "BooleanMap", "NumberMap", "AnyMap"}
Block = dict[str, Any]


def empty() -> Block:
    return {"attributes": {}, "block_types": {}}


class Bindings:
    """One resource's generated classes. `nested`: protocol 6 attributes may have attributes."""

    def __init__(self, javascript: str, declarations: str, *, nested: bool) -> None:
        starts = list(CLASS.finditer(javascript))
        ends = [s.start() for s in starts[1:]] + [len(javascript)]
        self.classes = {
            s.group(1): (s.group(2), javascript[s.start() : end])
            for s, end in zip(starts, ends, strict=True)
        }
        self.nested = nested
        self.block_names = documented_blocks(declarations)

    def top(self) -> str:
        bases = ("TerraformResource", "TerraformDataSource")
        return next(name for name, (base, _) in self.classes.items() if base in bases)

    def block(self, name: str, interface: str) -> Block:
        _, body = self.classes[name]
        out = empty()
        heads = list(ATTRIBUTE.finditer(body))
        ends = [*(h.start() for h in heads[1:]), len(body)][: len(heads)]
        for head, end in zip(heads, ends, strict=True):
            attribute = head.group(1)
            flags = dict(zip(("computed", "optional", "required"), head.groups()[1:], strict=True))
            given = {key: True for key, flag in flags.items() if flag == "true"}
            text = body[head.end() : end]
            composed = COMPLEX.search(text)
            if composed and composed.group(2) == attribute:
                kind, spec = self.composed(composed, attribute, interface, given)
            else:
                kind, spec = "attributes", {"type": simple_type(text), **given}
            if attribute.endswith("_wo"):
                spec["write_only"] = True
            out[kind][attribute] = spec
        return out

    def composed(
        self, found: re.Match[str], attribute: str, interface: str, given: dict[str, bool]
    ) -> tuple[str, dict[str, Any]]:
        name, is_set = found.group(1), found.group(3) == "true"
        if name in MAPS:
            return "attributes", {"type": ["map", SCALAR[name[:-3].replace("Any", "any")]], **given}
        if name.endswith("MapList"):
            return "attributes", {"type": ["list", ["map", "string"]], **given}
        base = re.sub(r"(OutputReference|List|Map)$", "", name)
        reference = f"{base}OutputReference"
        inner = self.block(reference, base) if reference in self.classes else empty()
        many = name.endswith("List") and f"{name[:-4]}OutputReference" in self.classes
        mode = "set" if is_set else "list"
        if attribute in self.block_names.get(interface, set()):
            return "block_types", nested_block(attribute, inner, mode, many, "required" in given)
        nesting = "map" if name.endswith("Map") else mode if many else "single"
        if self.nested and ("optional" in given or "required" in given):
            spec = {"nesting_mode": nesting, "attributes": inner["attributes"]}
            return "attributes", {"nested_type": spec, **given}
        return "attributes", {
            "type": [nesting if nesting != "single" else "list", as_object(inner)],
            **given,
        }


def nested_block(name: str, inner: Block, mode: str, many: bool, required: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {"nesting_mode": mode if many else "list", "block": inner}
    if name == "timeouts" and not many:
        spec["nesting_mode"] = "single"
    elif not many:
        spec["max_items"] = 1
    if required:
        spec["min_items"] = 1
    return spec


def documented_blocks(declarations: str) -> dict[str, set[str]]:
    interfaces = re.finditer(
        r"^export interface (\w+)(?: extends [\w.]+)? \{\n(.*?)^\}", declarations, re.M | re.S
    )
    return {
        i.group(1): set(re.findall(r"^    \* (\w+) block$", i.group(2), re.M)) for i in interfaces
    }


def simple_type(text: str) -> Any:
    getter = GETTER.search(text)
    if not getter:
        return "dynamic"
    to_list, kind = getter.groups()
    if kind in SCALAR:
        return SCALAR[kind]
    if kind.endswith("Map"):
        return ["map", SCALAR[kind[:-3].replace("Any", "any")]]
    return ["set" if to_list else "list", "number" if kind == "NumberList" else "string"]


def type_of(attribute: dict[str, Any]) -> Any:
    if "type" in attribute:
        return attribute["type"]
    nested = attribute["nested_type"]
    members = ["object", {k: type_of(v) for k, v in nested["attributes"].items()}]
    return members if nested["nesting_mode"] == "single" else [nested["nesting_mode"], members]


def as_object(block: Block) -> list[Any]:
    members = {key: type_of(spec) for key, spec in block["attributes"].items()}
    for key, spec in block["block_types"].items():
        mode = "list" if spec["nesting_mode"] == "single" else spec["nesting_mode"]
        members[key] = [mode, as_object(spec["block"])]
    return ["object", members]


def provider_block(javascript: str, declarations: str, *, nested: bool) -> Block:
    """Provider classes have no typed getters: their tables for writing HCL serve instead."""
    blocks = documented_blocks(declarations)
    functions = re.finditer(
        r"^function (\w+)ToHclTerraform\(struct\) \{\n(.*?)^\}", javascript, re.M | re.S
    )
    bodies = {f.group(1).lower(): f.group(2) for f in functions}

    def table(text: str, interface: str) -> Block:
        out = empty()
        for name, is_block, kind, storage in SYNTHESIS.findall(text):
            mode = kind if kind in ("list", "set", "map") else None
            if is_block != "true":
                element = SCALAR.get(re.sub(r"(List|Map)$", "", storage), "dynamic")
                whole = element if kind == "simple" else [kind, element]
                out["attributes"][name] = {"type": whole, "optional": True}
                continue
            base = re.sub(r"List$", "", storage)
            inner = table(bodies.get(base.lower(), ""), base)
            if nested and name not in blocks.get(interface, set()):
                spec = {"nesting_mode": mode or "single", "attributes": inner["attributes"]}
                out["attributes"][name] = {"nested_type": spec, "optional": True}
            else:
                out["block_types"][name] = {"nesting_mode": mode or "list", "block": inner}
        return out

    top = next((name for name in blocks if name.endswith("ProviderConfig")), "")
    return table(javascript[javascript.index("synthesizeHclAttributes() {") :], top)


def without_inner_dynamic(block: Block, top: bool = True) -> Block:
    """Terraform refuses `dynamic` below sets; the bindings only lose a few recursive types."""
    for spec in block["attributes"].values():
        text = json.dumps(spec.get("type"))
        if "dynamic" in text and (not top or spec["type"] != "dynamic"):
            spec["type"] = json.loads(text.replace('"dynamic"', '"string"'))
    for spec in block["block_types"].values():
        without_inner_dynamic(spec["block"], top=False)
    return block


def unpacked(wheel: Path) -> tuple[dict[str, dict[str, str]], dict[str, Any]]:
    """Sources by folder of lib/, and package.json."""
    archive = zipfile.ZipFile(wheel)
    inner = archive.read(next(n for n in archive.namelist() if n.endswith(".jsii.tgz")))
    folders: dict[str, dict[str, str]] = {}
    package: dict[str, Any] = {}
    with tarfile.open(fileobj=io.BytesIO(inner), mode="r:gz") as tar:
        for member in tar:
            parts = member.name.split("/")
            wanted = (
                len(parts) == 4 and parts[1] == "lib" and parts[3] in ("index.js", "index.d.ts")
            )
            if parts[1:] == ["package.json"] or wanted:
                text = tar.extractfile(member).read().decode()  # type: ignore[union-attr]
                if wanted:
                    folders.setdefault(parts[2], {})[parts[3]] = text
                else:
                    package = json.loads(text)
    return folders, package


def used_types() -> set[tuple[str, str]]:
    declared = re.compile(r'^\s*(resource|data)\s+"(\w+)"', re.M)
    files = [f for f in TERRAFORM.rglob("*.tf") if ".terraform" not in f.parts]
    return {found for f in files for found in declared.findall(f.read_text())}


def schema(wheel: Path, used: set[tuple[str, str]]) -> dict[str, Any]:
    folders, package = unpacked(wheel)
    provider = (package.get("cdktn") or package["cdktf"])["provider"]
    nested = not provider["name"].endswith("/aws")
    out: dict[str, Any] = {"provider": provider, "resource_schemas": {}, "data_source_schemas": {}}
    for name, sources in sorted(folders.items()):
        javascript = sources.get("index.js", "").split("//# sourceMappingURL")[0]
        declarations = sources.get("index.d.ts", "")
        declared = re.search(r"static tfResourceType = \"(\w+)\";", javascript)
        if not declared or name.startswith("ephemeral"):
            continue
        if name == "provider":
            block = provider_block(javascript, declarations, nested=nested)
            out["provider_schema"] = {"block": block}
            continue
        kind = "data" if name.startswith("data-") else "resource"
        if (kind, declared.group(1)) in used:
            bindings = Bindings(javascript, declarations, nested=nested)
            top = bindings.top()
            block = without_inner_dynamic(bindings.block(top, f"{top}Config"))
            key = "data_source_schemas" if kind == "data" else "resource_schemas"
            out[key][declared.group(1)] = {"block": block}
    return out


def main(wheels: list[str]) -> None:
    used = used_types()
    for wheel in wheels:
        built = schema(Path(wheel), used)
        name = built["provider"]["name"].rsplit("/", 1)[1]
        text = json.dumps(built, separators=(",", ":"), sort_keys=True).encode()
        target = HERE / f"{name}.json.gz"
        target.write_bytes(gzip.compress(text, 9, mtime=0))
        types = len(built["resource_schemas"]) + len(built["data_source_schemas"])
        print(
            f"{target.name}: {built['provider']['version']}, {types} types, {target.stat().st_size} bytes"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
