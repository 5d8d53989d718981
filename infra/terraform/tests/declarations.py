"""Variables, outputs and locals: described, typed, used. And small files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from findings import Finding
from hcl import Block, folder, read
from trees import TERRAFORM, documents, examples, modules, roots

LINES = 120


def code_folders(tree: Path) -> list[Path]:
    return [*modules(tree), *examples(tree), *roots(tree)]


def folder_faults(path: Path) -> Iterator[tuple[str, str]]:
    files = folder(path)
    code = "\n".join(f.text for f in files)
    variables = {labels[0]: body for f in files for labels, body in f.labelled("variable")}
    outputs = {labels[0]: body for f in files for labels, body in f.labelled("output")}
    local_names = [
        name
        for f in files
        for entry in f.body.get("locals", [])
        for name in entry
        if name[0] != "_"
    ]
    for name, body in {**variables, **outputs}.items():
        if len(str(body.get("description", ""))) < 5:
            yield name, "has no description"
    for name, body in variables.items():
        if "type" not in body:
            yield f"var.{name}", "has no type"
        if not used(name, code):
            yield f"var.{name}", "is used nowhere"
    for name in local_names:
        if not re.search(rf"\blocal\.{name}\b", code):
            yield f"local.{name}", "is used nowhere"
    for validation in validations(variables):
        if len(str(validation.get("error_message", ""))) < 20:
            yield "validation", "its error_message does not say what to do"


def validations(variables: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for body in variables.values():
        for block in body.get("validation", []):
            yield block.body if isinstance(block, Block) else block


def used(name: str, code: str) -> bool:
    """Outside its own declaration, or inside it to check another variable."""
    declaration = re.compile(rf'^variable "{name}" \{{.*?^\}}', flags=re.M | re.S)
    own = " ".join(declaration.findall(code))
    checks_another = bool(set(re.findall(r"\bvar\.(\w+)", own)) - {name})
    return checks_another or bool(re.search(rf"\bvar\.{name}\b", declaration.sub("", code)))


def module_calls(path: Path) -> Iterator[tuple[str, str]]:
    """Local module calls name folders that exist, and only inputs that these declare."""
    for document in folder(path):
        for (name,), body in document.labelled("module"):
            source = (path / str(body["source"])).resolve()
            if not source.is_dir():
                yield f"module.{name}", f"its source {body['source']} does not exist"
                continue
            declared = {
                labels[0]: spec for f in folder(source) for labels, spec in f.labelled("variable")
            }
            given = set(body) - {
                "source",
                "count",
                "for_each",
                "depends_on",
                "providers",
                "version",
            }
            for unknown in sorted(given - set(declared)):
                yield f"module.{name}.{unknown}", "is no input of that module"
            for missing, spec in declared.items():
                if "default" not in spec and missing not in given:
                    yield f"module.{name}", f"{missing} is required"


def check(tree: Path = TERRAFORM) -> list[Finding]:
    found = [
        Finding("declarations", f"{path.relative_to(tree)}: {where}", what)
        for path in code_folders(tree)
        for where, what in [*folder_faults(path), *module_calls(path)]
    ]
    for path in documents(tree):
        lines = len(read(path).text.splitlines())
        if lines > LINES:
            what = f"has {lines} lines; split it at {LINES} by concern"
            found.append(Finding("size", str(path.relative_to(tree)), what))
    return found
