"""What the documents say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ecap.cli.main import COMMANDS
from ecap.cli.openapi import whole
from ecap.serve.endpoints import apidoc

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_api_page_is_current() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    assert page == apidoc.markdown(whole()), "run: ecap openapi --markdown > docs/api.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    for command in re.findall(r"(?:^|`|bin/)ecap ([a-z]+)", page.read_text(), re.MULTILINE):
        assert command in COMMANDS, f"{page.name} names `ecap {command}`"


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for target in re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", page.read_text(), re.MULTILINE):
            assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), (page.name, target)


def test_every_curl_path_of_the_readme_is_served() -> None:
    paths = whole()["paths"]
    for path in re.findall(r"\$API(/[a-z/-]+)", (ROOT / "README.md").read_text()):
        assert f"/api/v1{path}" in paths
