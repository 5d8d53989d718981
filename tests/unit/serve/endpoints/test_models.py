"""Cursors, amounts, preconditions: what comes in and goes out of every service."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ecap.errors import Invalid, PreconditionFailed, PreconditionRequired
from ecap.mesh import ANONYMOUS
from ecap.serve.endpoints.answers import accepts_gzip
from ecap.serve.endpoints.models import Amount, Model, Text
from ecap.serve.endpoints.pages import decode_cursor, encode_cursor, moment_cursor
from ecap.serve.endpoints.preconditions import required_version
from ecap.serve.endpoints.routing import Call


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))))
def test_a_cursor_comes_back(parts: list[str]) -> None:
    assert decode_cursor(encode_cursor(*parts), parts=len(parts)) == parts


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: base64.b64encode(b).decode()))
def test_any_other_text_is_no_cursor(text: str) -> None:
    for decode in (lambda: decode_cursor(text, parts=2), lambda: moment_cursor(text)):
        with pytest.raises(Invalid):
            decode()


@pytest.mark.parametrize(
    "cursor",
    [
        encode_cursor("one"),
        encode_cursor("a\x00b", "c"),
        base64.urlsafe_b64encode(b'["\\ud800", "x"]').decode(),
        base64.urlsafe_b64encode(b'["a", 1]').decode(),
        base64.urlsafe_b64encode(b'{"a": "b"}').decode(),
    ],
)
def test_near_cursors(cursor: str) -> None:
    with pytest.raises(Invalid) as raised:
        decode_cursor(cursor, parts=2)
    assert raised.value.facts["field"] == "cursor"


def test_moments() -> None:
    at, item = datetime(2026, 11, 22, 12, 30, 0, 123456, tzinfo=UTC), uuid4()
    assert moment_cursor(encode_cursor(at, item)) == (at, item)
    east = at.astimezone(timezone(timedelta(hours=5)))
    assert moment_cursor(encode_cursor(east, item)) == (at, item)


@pytest.mark.parametrize(
    ("at", "item"),
    [
        ("2026-11-22", str(UUID(int=1))),
        ("0001-01-01T00:00:00+23:59", str(UUID(int=1))),
        ("9999-12-31T23:59:59-23:59", str(UUID(int=1))),
        ("2026-11-22T00:00:00+00:00", "x"),
    ],
)
def test_moments_out_of_this_world(at: str, item: str) -> None:
    with pytest.raises(Invalid):
        moment_cursor(encode_cursor(at, item))


class Price(Model):
    amount: Amount
    name: Text = "x"


@pytest.mark.parametrize("text", ['"12.34"', "12.34", '"0"', '"9999999999.99"'])
def test_amounts_are_exact(text: str) -> None:
    price = Price.model_validate_json(f'{{"amount": {text}}}')
    assert price.amount == Decimal(text.strip('"'))
    assert f'"{price.amount:.2f}"' in price.model_dump_json()


@pytest.mark.parametrize(
    "text", ['"1.005"', "-1", '"NaN"', "NaN", '"1e99"', '"10000000000"', "true"]
)
def test_other_amounts_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Price.model_validate_json(f'{{"amount": {text}}}', strict=True)


def test_texts_are_trimmed_and_not_empty() -> None:
    assert Price(amount=Decimal(1), name="  a b ").name == "a b"
    for name in ("", "   ", "x" * 201):
        with pytest.raises(ValidationError):
            Price(amount=Decimal(1), name=name)


def call(if_match: bytes | None) -> Call[None]:
    headers = {} if if_match is None else {b"if-match": if_match}
    return Call(None, ANONYMOUS, headers, "", "", "", "/")


async def seven() -> int:
    return 7


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        (b'"3"', 3),
        (b' "3-17" ', 3),
        (b'"0"', 0),
        (b'W/"7", "3"', 3),
        (b'"3", "7-1"', 7),
        (b'"7","3"', 7),
        (b'"3", "4"', 3),
    ],
)
async def test_a_version(tag: bytes, version: int) -> None:
    assert await required_version(call(tag), seven) == version


@pytest.mark.parametrize(
    "tag", [b"3", b'"x"', b'"3-"', b'"-1"', b'W/"3"', b'"3" "4"', b'"' + b"9" * 19 + b'"']
)
async def test_no_version_of_ours(tag: bytes) -> None:
    with pytest.raises(PreconditionFailed):
        await required_version(call(tag), seven)


@pytest.mark.parametrize("tag", [None, b"", b" ", b"*"])
async def test_no_version(tag: bytes | None) -> None:
    with pytest.raises(PreconditionRequired):
        await required_version(call(tag), seven)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (b"gzip", True),
        (b"br, gzip;q=0.5", True),
        (b"GZIP", True),
        (b"deflate, gzip ; q=1.0", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000, br", False),
        (b"identity", False),
        (b"x-gzip", False),
        (b"", False),
    ],
)
def test_accepts_gzip(header: bytes, wanted: bool) -> None:
    assert accepts_gzip(header) is wanted
