"""Tokens for MSK: what is signed, and for how long it is used."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from ecap.clients.kafka import open_producer
from ecap.clients.msk import LIFE_S, Credentials, IamTokens, presigned
from ecap.config.settings.connections.kafka import Kafka
from ecap.errors import Misconfigured

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2Vj/+=abc~ d",
}
# What aws-msk-iam-sasl-signer-python 1.0.2 made of KEYS at 2026-11-22T23:28:14Z, in eu-west-1.
AT = 1_795_390_094.0
SIGNATURE = "d28a09d25fd7c1eef42bc35748bbb229d1881cd44dca079b3551187355af25e7"


class Clock:
    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> float:
        return self.now


def url_of(token: str) -> str:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()


def test_the_signature_is_that_of_aws() -> None:
    key_id, secret, session_token = KEYS.values()
    keys = Credentials(key_id, secret, session_token, expires=None)
    split = urlsplit(presigned("eu-west-1", keys, now=AT))
    query = parse_qs(split.query)
    assert (split.scheme, split.netloc, split.path) == (
        "https",
        "kafka.eu-west-1.amazonaws.com",
        "/",
    )
    assert query["X-Amz-Signature"] == [SIGNATURE]
    assert query["Action"] == ["kafka-cluster:Connect"]
    assert query["X-Amz-Date"] == ["20261122T232814Z"]
    assert query["X-Amz-Expires"] == ["900"]


def test_credentials_do_not_show() -> None:
    shown = repr(Credentials("AKID", "hush", "hush", None))
    assert "AKID" in shown
    assert "hush" not in shown


async def test_a_token_is_used_until_shortly_before_its_end() -> None:
    clock = Clock()
    tokens = IamTokens("eu-west-1", environ=KEYS, wall=clock)
    first = await tokens.current()
    assert parse_qs(urlsplit(url_of(first)).query)["X-Amz-Signature"] == [SIGNATURE]
    clock.now = AT + LIFE_S - 121
    assert await tokens.current() == first
    clock.now = AT + LIFE_S - 120
    second = await tokens.current()
    assert second != first
    assert "X-Amz-Date=20261122T234114Z" in url_of(second)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"security_protocol": "SASL_PLAINTEXT"}, "has to be SASL_SSL"),
        ({"security_protocol": "PLAINTEXT"}, "has to be SASL_SSL"),
        ({"aws_region": None}, "kafka.aws_region is needed"),
        ({}, "there are no AWS credentials"),
    ],
)
async def test_what_is_missing_is_said_before_anything_connects(
    given: dict[str, str | None], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*KEYS, "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    whole = {"security_protocol": "SASL_SSL", "aws_region": "eu-west-1", **given}
    settings = Kafka.model_validate(
        {"bootstrap_servers": "127.0.0.1:1", "sasl_mechanism": "OAUTHBEARER", **whole}
    )
    with pytest.raises(Misconfigured, match=said):
        async with open_producer(settings):
            pass


def test_a_region_is_a_region() -> None:
    with pytest.raises(ValueError, match="aws_region"):
        Kafka.model_validate({"aws_region": "eu-west-1.evil.example/"})
