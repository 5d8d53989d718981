"""The floor plan: rooms stay small, a name means one thing, and whatever names a module finds it.

Which floor may import which is in the contracts of pyproject.toml.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ecap"
# Aim at 14. A folder that would hold more has two nouns in it.
MOST_MODULES = 22
# The files that every slice of its kind has.
EVERY_SLICE = {
    *("models", "store", "routes", "service", "deployment"),  # a service
    *("pipeline", "sink", "state"),  # a stream
    "commands",  # a group of commands
}
FOLDERS = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))


def _modules(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.py") if path.name != "__init__.py"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_is_seen_at_a_glance(folder: Path) -> None:
    assert len(_modules(folder)) <= MOST_MODULES


@pytest.mark.parametrize(
    "package", [path for path in FOLDERS if path.parent == PACKAGE], ids=lambda path: path.name
)
def test_a_name_is_used_once_in_a_package(package: Path) -> None:
    """Else it is the noun of a folder or of a section of the settings, wherever it stands."""
    stems = Counter(path.stem for folder in FOLDERS for path in _modules(folder)
                    if folder == package or package in folder.parents)  # fmt: skip
    twice = {stem for stem, count in stems.items() if count > 1}
    assert twice <= EVERY_SLICE | _nouns()


@cache
def _nouns() -> set[str]:
    settings = PACKAGE / "config" / "settings"
    sections = {path.stem for path in settings.rglob("*.py")} - {"__init__"}
    return {path.name for path in FOLDERS} | sections


def test_modules_are_imported_where_the_contracts_can_see_it() -> None:
    """A late import is a plain `import` inside a function, with its reason."""
    dodged = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Name) and node.id in {"import_module", "__import__"})
        or (isinstance(node, ast.Attribute) and node.attr == "import_module")
    ]
    assert dodged == []


# ---- names of ours in strings, comments, documents, charts and scripts

_TOP = "|".join(sorted({path.stem for path in PACKAGE.iterdir()} - {"__init__", "__pycache__"}))
_DOTTED = re.compile(rf"(?<![\w./@-])ecap\.(?:{_TOP})(?:[.:]\w+)+")
_PATH = re.compile(r"(?<![\w./-])(?:ecap|tests|bench|docs|deploy|infra|configs)/[\w./-]*\w")
# What Helm calls its own templates, and folders that a cluster or a run makes.
_NOT_OURS = re.compile(r"include \"ecap\.[\w.]+\"|ecap/(?:vault|auth|shop|config)\b")


def _named(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".lock", ".gz", ".png", ".csv"} or not path.is_file():
            continue
        for found in pattern.findall(_NOT_OURS.sub("", path.read_text())):
            yield name, found


def test_every_dotted_name_of_ours_is_there() -> None:
    missing = {(where, name) for where, name in _named(_DOTTED) if not _resolves(name)}
    assert missing == set()


def test_every_path_of_ours_is_there() -> None:
    missing = {
        (where, path)
        for where, path in _named(_PATH)
        if path.endswith((".py", ".sql"))
        and not any((above / path).exists() for above in (ROOT / where).parents)
    }
    assert missing == set()


def _resolves(name: str) -> bool:
    """A module, or something that a module or a class in it defines."""
    parts = re.split(r"[.:]", name)
    for cut in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:cut])
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.exists():
                return cut == len(parts) or parts[cut] in _defined(file)
    return False


@cache
def _defined(file: Path) -> frozenset[str]:
    found: dict[str, None] = defaultdict()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = None
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update({one.id: None for one in targets if isinstance(one, ast.Name)})
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update({(one.asname or one.name): None for one in node.names})
    return frozenset(found)
