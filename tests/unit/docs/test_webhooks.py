"""The receiver in docs/webhooks.md accepts what is sent, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ecap.pipelines.stream.notifications.webhook import signature

PAGE = Path(__file__).parents[3] / "docs" / "webhooks.md"
KEY, BODY, AT = b"k" * 32, b'{"id": "1"}', 1_800_000_000


@pytest.fixture(scope="module")
def genuine() -> Any:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  our own page
    return names["genuine"]


def test_what_is_sent_is_genuine(genuine: Any) -> None:
    sent = signature(KEY, BODY, at=AT)
    assert genuine(KEY, BODY, sent, AT + 299.0)
    assert genuine(KEY, BODY, sent, AT - 299.0)


def test_what_was_changed_is_not(genuine: Any) -> None:
    sent = signature(KEY, BODY, at=AT)
    assert not genuine(KEY, BODY, sent, AT + 301.0)
    assert not genuine(KEY, BODY + b" ", sent, AT)
    assert not genuine(b"x" * 32, BODY, sent, AT)
    assert not genuine(KEY, BODY, sent.replace(f"t={AT}", f"t={AT + 1}"), AT)
    for wrong in ("", "t=", "v1=", "t=x,v1=y", f"t={AT}", "nonsense", f"t={AT},v1=ü"):
        assert not genuine(KEY, BODY, wrong, AT)
