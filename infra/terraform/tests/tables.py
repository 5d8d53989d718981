"""The input and output tables of README.md, written from the modules."""

import re
from pathlib import Path

from findings import Finding
from hcl import folder
from trees import TERRAFORM, modules

START, END = "<!-- tables: written by tests/check.py --write -->", "<!-- end of tables -->"


def cell(text: object, length: int = 400) -> str:
    flat = re.sub(r"\s+", " ", str(text)).replace("|", "\\|").replace("\\\\", "\\")
    return flat if len(flat) <= length else flat[: length - 1] + "…"


def kind(text: str) -> str:
    plain = text.removeprefix("${").removesuffix("}")
    return cell(re.split(r"\(", plain)[0] if len(plain) > 40 else plain)


def table(path: Path) -> str:
    files = folder(path)
    inputs = sorted((labels[0], body) for f in files for labels, body in f.labelled("variable"))
    outputs = sorted((labels[0], body) for f in files for labels, body in f.labelled("output"))
    lines = [f"### {path.name}", "", "| input | type | default | what |", "|---|---|---|---|"]
    for name, body in inputs:
        default = f"`{cell(body['default'], 40)}`" if "default" in body else "required"
        lines.append(
            f"| `{name}` | {kind(str(body['type']))} | {default} | {cell(body['description'])} |"
        )
    lines += ["", "| output | what |", "|---|---|"]
    lines += [f"| `{name}` | {cell(body['description'])} |" for name, body in outputs]
    return "\n".join(lines)


def tables(tree: Path = TERRAFORM) -> str:
    return "\n\n".join(table(path) for path in modules(tree))


def replaced(text: str, tree: Path = TERRAFORM) -> str:
    head, rest = text.split(START)
    _, tail = rest.split(END)
    return f"{head}{START}\n\n{tables(tree)}\n\n{END}{tail}"


def check(tree: Path = TERRAFORM) -> list[Finding]:
    readme = tree / "README.md"
    if readme.read_text() == replaced(readme.read_text(), tree):
        return []
    return [Finding("tables", "README.md", "its tables are old: run tests/check.py --write")]
