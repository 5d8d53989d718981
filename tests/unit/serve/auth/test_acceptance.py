"""Which passwords are taken."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from ecap.errors import Invalid
from ecap.serve.auth.acceptance import acceptable, normalised


def accepted(password: str, *, email: str = "ada.lovelace@example.org") -> str:
    return acceptable(SecretStr(password), email=email, name="Ada Lovelace", field="password")


@pytest.mark.parametrize(
    "password",
    [
        "password123",
        "PassWord123",
        "1234567890",
        "qwertyuiop",
        " " * 10,
        "\u3000" * 10,
        "aaaaaaaaaaab",
        "1212121212",
        "ada.lovelace@example.org",
        "ADA.LOVELACE@EXAMPLE.ORG",
        "Ada Lovelace",
        "adalovelace1815",
        "lovelace_2026",
        "e\u0301" * 9,
        "bell\x07 and whistle",
    ],
)
def test_refused(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        accepted(password)
    assert refused.value.facts["field"] == "password"
    assert password not in refused.value.detail


@pytest.mark.parametrize(
    "password",
    [
        "a long enough password",
        "correct horse battery staple",
        "!@#$ %^&* ()_+",
        "пароль из четырёх слов",
        "नमस्ते दुनिया \u200dकैसे",
        "lovelace likes engines",
    ],
)
def test_taken(password: str) -> None:
    assert accepted(password) == normalised(SecretStr(password))


def test_two_ways_to_type_the_same_are_the_same() -> None:
    typed = SecretStr("cafe\u0301 au\u00a0lait, tr\u00e8s chaud")
    assert normalised(typed) == "caf\u00e9 au lait, tr\u00e8s chaud"
