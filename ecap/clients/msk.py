"""Tokens with which Kafka clients log in to MSK by IAM (SASL/OAUTHBEARER).

A token is the presigned URL of kafka-cluster:Connect (AWS Signature Version 4, query form), in
base64. Written out here, since AWS's signer and kubernetes 37 cannot be installed together
(python-dateutil below and above 3), and botocore would weigh 100 MB for one HMAC. A test holds
it against a token that AWS's signer made.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode

import aiohttp

from ecap.errors import Misconfigured, Unavailable

LIFE_S = 900
"""The longest that MSK takes."""
_MARGIN_S = 120
"""A token is signed again so long before it ends: clocks differ, and a log-in takes its time."""
_ANSWER_S = 5.0
_SERVICE = "kafka-cluster"
_AGENT = "AWS_CONTAINER_CREDENTIALS_FULL_URI"


@dataclass(frozen=True, slots=True)
class Credentials:
    key_id: str
    secret: str = field(repr=False)
    session_token: str | None = field(repr=False)
    expires: float | None
    """Seconds since the epoch; None: they do not end."""


def presigned(region: str, credentials: Credentials, *, now: float) -> str:
    """The URL itself."""
    time = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/{region}/{_SERVICE}/aws4_request"
    host = f"kafka.{region}.amazonaws.com"
    query = {
        "Action": "kafka-cluster:Connect",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.key_id}/{scope}",
        "X-Amz-Date": time,
        "X-Amz-Expires": str(LIFE_S),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.session_token is not None:
        query["X-Amz-Security-Token"] = credentials.session_token
    encoded = urlencode(sorted(query.items()), quote_via=quote, safe="-_.~")
    request = f"GET\n/\n{encoded}\nhost:{host}\n\nhost\n{hashlib.sha256(b'').hexdigest()}"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{credentials.secret}".encode()
    for part in (time[:8], region, _SERVICE, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    to_sign = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}".encode()
    signature = hmac.digest(key, to_sign, "sha256").hex()
    # The broker wants to know who asks; it is not part of what is signed.
    return f"https://{host}/?{encoded}&X-Amz-Signature={signature}&User-Agent=ecap"


class IamTokens:
    """The tokens of one client, each signed again before it ends."""

    def __init__(self, region: str, *, environ: Mapping[str, str], wall: Callable[[], float]):
        self._region = region
        self._environ = environ
        self._wall = wall
        self._held = ("", 0.0)

    async def current(self) -> str:
        """Raises Unavailable when credentials cannot be had now, Misconfigured when nothing here
        would give any."""
        token, end = self._held
        if self._wall() < end - _MARGIN_S:
            return token
        credentials = await found(self._environ)
        now = self._wall()
        url = presigned(self._region, credentials, now=now)
        token = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
        # A token dies with the session that signed it.
        self._held = (token, min(now + LIFE_S, credentials.expires or now + LIFE_S))
        return token


async def found(environ: Mapping[str, str]) -> Credentials:
    """Of EKS Pod Identity in a pod; of the environment elsewhere, as `aws configure
    export-credentials --format env` writes it."""
    if uri := environ.get(_AGENT):
        return await _of_agent(uri, environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
    key_id, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not (key_id and secret):
        raise Misconfigured(
            "kafka: there are no AWS credentials to log in to MSK with: associate a role with the"
            " pod's service account (EKS Pod Identity), or set AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY"
        )
    return Credentials(key_id, secret, environ.get("AWS_SESSION_TOKEN"), None)


async def _of_agent(uri: str, token_file: str | None) -> Credentials:
    """The agent of the node keeps them fresh; the token file is the pod's service account."""
    try:
        headers = _authorization(token_file)
        limit = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(uri, headers=headers) as answer,
        ):
            answer.raise_for_status()
            given = json.loads(await answer.read())
        ends = datetime.fromisoformat(given["Expiration"]).timestamp()
        return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["Token"], ends)
    except aiohttp.ClientResponseError as exc:
        raise Unavailable(f"kafka: EKS Pod Identity answers {exc.status}") from None
    except (aiohttp.ClientError, OSError, ValueError, KeyError) as exc:
        # Its text may hold what was answered.
        raise Unavailable(f"kafka: EKS Pod Identity: {type(exc).__name__}") from None


def _authorization(token_file: str | None) -> dict[str, str]:
    """Read each time: the kubelet replaces it."""
    return {"Authorization": Path(token_file).read_text().strip()} if token_file else {}
