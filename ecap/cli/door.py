"""A running ECAP, over HTTP: the one of this machine, or one at a URL."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from ecap.config import load
from ecap.errors import EcapError, Misconfigured, NotFound, Refused, Unavailable
from ecap.local.state import runtime
from ecap.local.state.folder import open_state

TOKEN = "ECAP_TOKEN"  # noqa: S105  the variable's name
CONFIG = "/api/v1/config"
_ACCOUNTS = "/api/v1/auth/users/"
# A change with a canary takes as long as it bakes.
_TIMEOUT_S = 180.0


@dataclass(frozen=True)
class Answer:
    document: Mapping[str, Any]
    version: int | None
    """The ETag: what runs."""


class Door:
    """`below`: where its paths begin."""

    def __init__(self, client: httpx.Client, *, below: str) -> None:
        self._client = client
        self._below = below

    def get(self, path: str = "", **params: Any) -> Answer:
        given = {name: value for name, value in params.items() if value is not None}
        return self._ask("GET", path, params=given)

    def post(self, path: str, *, body: Any) -> Answer:
        return self._ask("POST", path, json=body)

    def write(
        self, method: str, path: str, *, version: int | None, body: Any = None, **params: Any
    ) -> Answer:
        headers = {"if-match": f'"{version}"'}
        return self._ask(method, path, json=body, params=params, headers=headers)

    def email(self, account: str) -> str:
        """Of an account, by its id. Raises as `get`."""
        return str(self._ask("GET", account, root=_ACCOUNTS).document["email"])

    def _ask(self, method: str, path: str, *, root: str | None = None, **options: Any) -> Answer:
        """Raises Refused with what is said, Unavailable without an answer."""
        try:
            answer = self._client.request(method, (root or self._below) + path, **options)
        except httpx.TransportError as exc:
            raise Unavailable(f"{self._client.base_url} does not answer: {exc}") from exc
        document = _document(answer)
        if answer.is_success:
            etag = answer.headers.get("etag", "").strip('"')
            return Answer(document, int(etag) if etag.isdigit() else None)
        detail = str(document.get("detail") or document.get("title") or answer.text[:200])
        if answer.status_code >= 500 or answer.status_code == 429:
            raise Unavailable(detail)
        if answer.status_code == 412:
            raise Refused(f"{detail}; somebody was faster: look again, then repeat it")
        raise Refused(detail)


def _document(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def open_door(
    url: str | None, *, below: str = CONFIG, timeout_s: float = _TIMEOUT_S
) -> Iterator[Door]:
    """At `url` with the token of the environment; without one, here as the administrator.

    Raises Misconfigured, NotFound when nothing runs here, Unavailable.
    """
    if url is not None:
        token = os.environ.get(TOKEN)
        if not token:
            raise Misconfigured(f"set {TOKEN} to an access token that may do it")
        with httpx.Client(base_url=url, timeout=timeout_s, headers=_bearer(token)) as client:
            yield Door(client, below=below)
        return
    found = running_here()
    with httpx.Client(base_url=found.front_door, timeout=timeout_s) as client:
        client.headers.update(_bearer(_log_in(client, {**os.environ, **found.environ})))
        yield Door(client, below=below)


def running_here() -> runtime.Runtime:
    """Raises NotFound when no `ecap up` runs from this folder."""
    state = open_state(load(secrets=False).state_dir)
    found = runtime.read(state) if state.run.exists() and state.owner() else None
    if found is None:
        raise NotFound("nothing runs here; start it with `ecap up`, or name one with --url")
    return found


def _log_in(client: httpx.Client, environ: Mapping[str, str]) -> str:
    auth = load(environ).auth
    if auth.admin_email is None or auth.admin_password is None:
        raise Misconfigured("there is no administrator here: set auth.admin_email and its password")
    body = {"email": auth.admin_email, "password": auth.admin_password.get_secret_value()}
    try:
        answer = client.post("/api/v1/auth/login", json=body)
    except httpx.TransportError as exc:
        raise Unavailable(f"{client.base_url} does not answer: {exc}") from exc
    if answer.status_code != 200:
        kind: type[EcapError] = Unavailable if answer.status_code >= 429 else Refused
        raise kind(f"cannot log in as {auth.admin_email}: {_document(answer).get('detail')}")
    return str(answer.json()["access_token"])


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
