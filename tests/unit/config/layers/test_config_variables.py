"""A variable that was meant for ECAP counts, or refuses the start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ecap
from ecap.config import load
from ecap.config.layers import environment
from ecap.config.layers.misspelt import OTHERS
from ecap.errors import Misconfigured


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("ECAP_ORDERS__MAX_LINES", "ECAP__ORDERS__MAX_LINES"),
        ("ecap__orders__max_lines", "ECAP__ORDERS__MAX_LINES"),
        ("Ecap__Orders__MaxLines", "ECAP__ORDERS__MAX_LINES"),
        ("ECAP_ORDERS_MAX_LINES", "ECAP__ORDERS__MAX_LINES"),
        ("ECAP_ORDERS__MAX_LINE", "ECAP__ORDERS__MAX_LINES"),
        ("ECAP-ORDERS-MAX-LINES", "ECAP__ORDERS__MAX_LINES"),
        ("ECAP_SMTP_PASSWORD", "ECAP__SMTP__PASSWORD"),
        ("ECAP_HTTP_PORT", "ECAP__HTTP__PORT"),
        ("ecap_environment", "ECAP_ENVIRONMENT"),
        ("ECAP_CONFIGDIR", "ECAP_CONFIG_DIR"),
        ("ECAP_X__Y", "ECAP__SECTION__NAME"),
    ],
)
def test_a_near_miss_refuses_to_start(name: str, right: str) -> None:
    with pytest.raises(Misconfigured, match=f"^{name} sets nothing: write {right}") as caught:
        load({name: "canary"}, secrets=False)
    assert "canary" not in caught.value.detail


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *((name, "1") for name in sorted(OTHERS)),
        ("ECAP_SERVICE_HOST", "10.0.0.1"),
        ("ECAP_PORT", "tcp://10.0.0.1:8000"),
        ("ECAP_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("ECAP_HTTP_PORT", "tcp://10.0.0.1:8000"),
        ("ECAP_HTTP_SERVICE_PORT", "8000"),
        ("ECAP_HEAD_SVC_SERVICE_PORT_GCS", "6379"),
        ("PATH__ECAP", "/bin"),
    ],
)
def test_what_is_somebody_elses_goes_on(name: str, text: str) -> None:
    assert environment.read({name: text}).values == {}


@pytest.mark.parametrize(
    "name",
    ["ECAP__ORDERS__MAX_LINES", "ECAP__SMTP__HOST", "ECAP__SMTP__PASSWORD", "ECAP_ENVIRONMENT"],
)
def test_an_empty_variable_says_so(name: str) -> None:
    with pytest.raises(Misconfigured, match=f"^{name} is set to nothing"):
        load({name: ""}, secrets=False)


def test_the_list_is_whole() -> None:
    files = Path(ecap.__file__).parent.rglob("*.py")
    found = {name for file in files for name in re.findall(r'"(ECAP_[A-Z]\w*)"', file.read_text())}
    assert found - {"ECAP__SECTION__NAME"} == OTHERS
