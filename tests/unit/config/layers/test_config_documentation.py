"""Every setting is documented, and the page says what the settings say."""

from __future__ import annotations

from pathlib import Path

import ecap
from ecap.config.layers import documentation, schema

PAGE = Path(ecap.__file__).parent.parent / "docs" / "configuration.md"


def test_every_setting_says_what_it_means() -> None:
    silent = [key for key in schema.settings() if not schema.find(key).description]
    assert silent == [], "write Field(..., description=...)"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == documentation.page(), (
        "run: python -m ecap.config.layers.documentation > docs/configuration.md"
    )


def test_each_setting_stands_in_the_page() -> None:
    text = PAGE.read_text()
    for key in schema.settings():
        common = ".".join(["services", "SERVICE", *key.split(".")[2:]])
        assert f"`{key}`" in text or f"`{common}`" in text
