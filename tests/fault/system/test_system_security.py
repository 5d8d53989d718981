"""What must not get in, and what must not get out."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import stat
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psutil
import pytest
from e2e.people import Person, hire, order_body, register
from e2e.system import System
from joserfc import jwt
from joserfc.jwk import OKPKey

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.config.secrets.keyring.ring import Keyring
from ecap.config.secrets.keyring.stores import FileKeyring, Plain
from ecap.demo.shoppers.shelf import Shelf
from ecap.local.process.ports import LOOPBACK

_ME = "/api/v1/auth/me"
_USERS = "/api/v1/users"
_REPLICA_PORTS = range(30000, 31001)
PLANTED = "Ida Canary-Quux"


@pytest.fixture(scope="module")
async def mallory(door: httpx.AsyncClient) -> Person:
    return await register(door, "Mallory Xu")


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    head, body, signature = token.split(".")
    header, claims = (
        json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, body)
    )
    return header, claims, signature


def joined(header: dict[str, Any], claims: dict[str, Any], signature: str) -> str:
    return ".".join([*(_base64(json.dumps(part).encode()) for part in (header, claims)), signature])


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(header: dict[str, Any], claims: dict[str, Any], key: OKPKey) -> str:
    return jwt.encode(header, claims, key, algorithms=["Ed25519"])


def forgeries(token: str, public: bytes) -> Iterator[tuple[str, str]]:
    header, claims, signature = parts(token)
    more = {**claims, "scope": claims["scope"] + " auth:admin", "roles": ["admin"]}
    own = OKPKey.generate_key("Ed25519", parameters={"kid": header["kid"]})
    yield "more scopes under the old signature", joined(header, more, signature)
    yield "no algorithm", joined({**header, "alg": "none"}, claims, "")
    yield "no algorithm, in capitals", joined({**header, "alg": "NONE"}, claims, "")
    yield "somebody else's signature", signed(header, claims, own)
    yield "a key nobody knows", signed({**header, "kid": "mine"}, claims, own)
    yield "its own key", signed({**header, "jwk": own.as_dict(private=False)}, claims, own)
    symmetric = {**header, "alg": "HS256"}
    unsigned = joined(symmetric, claims, "").rpartition(".")[0]
    mac = hmac.digest(public, unsigned.encode(), "sha256")
    yield "the public key as a secret", f"{unsigned}.{_base64(mac)}"
    yield "cut off", token[: -len(signature) // 2]
    yield "no token at all", "x"
    yield "empty parts", ".."


async def test_forged_tokens_are_refused(door: httpx.AsyncClient, mallory: Person) -> None:
    assert (await mallory.ask("GET", _ME)).status_code == 200
    keys = (await door.get("/api/v1/auth/jwks")).json()["keys"]
    public = base64.urlsafe_b64decode(keys[0]["x"] + "=")
    for name, token in forgeries(mallory.token, public):
        answer = await door.get(_ME, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 401, name
        assert answer.headers["content-type"] == "application/problem+json", name
        assert "Bearer" in answer.headers["www-authenticate"], name


async def test_true_signatures_do_not_make_other_tokens_access_tokens(
    system: System, door: httpx.AsyncClient, mallory: Person, books: Pool
) -> None:
    """Signed with the real key, taken from the database with the real keyring."""
    header, claims, _ = parts(mallory.token)
    key = await signing_key(books, system.settings, header["kid"])
    now = int(time.time())
    lasting = {**claims, "iat": now - 60, "exp": now + 60}
    wrong: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "expired": (header, {**claims, "iat": now - 2000, "exp": now - 1000}),
        "not yet valid": (header, {**lasting, "iat": now + 1000, "exp": now + 2000}),
        "for somebody else": (header, {**lasting, "aud": "another shop"}),
        "by somebody else": (header, {**lasting, "iss": "another shop"}),
        "of another type": ({**header, "typ": "JWT"}, lasting),
        "without an end": (header, {k: v for k, v in lasting.items() if k != "exp"}),
        "about nobody": (header, {k: v for k, v in lasting.items() if k != "sub"}),
    }
    good = await door.get(_ME, headers={"authorization": f"Bearer {signed(header, lasting, key)}"})
    assert good.status_code == 200
    for name, (head, body) in wrong.items():
        token = signed(head, body, key)
        answer = await door.get(_ME, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 401, name


async def signing_key(books: Pool, settings: Settings, kid: str) -> OKPKey:
    wrapped = await books.fetchval("SELECT wrapped FROM auth.signing_keys WHERE kid = $1", kid)
    assert settings.keyring.file is not None
    ring = FileKeyring(settings.keyring.file, Plain()).load().ring
    return OKPKey.import_key(json.loads(ring.open(bytes(wrapped), where=kid)))


async def test_a_refresh_token_is_no_access_token(door: httpx.AsyncClient, mallory: Person) -> None:
    answer = await door.get(_ME, headers={"authorization": f"Bearer {mallory.refresh}"})
    assert answer.status_code == 401


async def test_orders_of_others(door: httpx.AsyncClient, mallory: Person, shelf: Shelf) -> None:
    victim = await register(door, "Ada Novak")
    placed = await victim.order(shelf.usual(Random(1), below_minor=100_00), "mine")
    path = f"/api/v1/orders/{placed.json()['id']}"
    for method, target, body, status in (
        ("GET", path, None, 404),
        ("POST", f"{path}/cancel", {}, 404),
        ("POST", f"{path}/review", {"verdict": "approve"}, 403),
        ("GET", f"/api/v1/orders?user_id={victim.id}", None, 403),
        ("GET", "/api/v1/orders?all=true", None, 403),
        ("GET", f"/api/v1/users/{victim.id}", None, 403),
        ("GET", f"/api/v1/auth/users/{victim.id}", None, 403),
        ("GET", f"/api/v1/fraud/decisions?user_id={victim.id}", None, 403),
        ("GET", "/api/v1/notifications/deliveries?status=failed", None, 403),
        ("GET", "/api/v1/analytics/summary", None, 403),
    ):
        answer = await mallory.ask(method, target, json=body)
        assert answer.status_code == status, (method, target, answer.text)
    assert (await victim.get(path))["status"] == placed.json()["status"]


# ---- past the front door


def listening(system: System) -> list[tuple[psutil.Process, str, int]]:
    found = []
    for process in system.processes():
        try:
            sockets = process.net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            continue
        found += [
            (process, socket.laddr.ip, socket.laddr.port)
            for socket in sockets
            if socket.status == psutil.CONN_LISTEN
        ]
    return found


def test_everything_listens_on_loopback_only(system: System) -> None:
    found = listening(system)
    assert len(found) > 20
    outside = [
        (process.name(), ip, port)
        for process, ip, port in found
        if not (getattr(ip_address(ip), "ipv4_mapped", None) or ip_address(ip)).is_loopback
    ]
    assert outside == []
    udp = [
        (process.name(), socket.laddr)
        for process in system.processes()
        for socket in process.net_connections(kind="udp")
        if socket.laddr and not ip_address(socket.laddr.ip).is_loopback
    ]
    assert udp == []
    findings = json.loads(system.ecap("doctor", "--json").stdout)
    (said,) = [one for one in findings if one["check"] == "listening"]
    assert said["level"] == "ok", said


async def test_a_replica_asked_directly_wants_the_same_token(
    system: System, mallory: Person
) -> None:
    replicas = system.replicas("orders")
    ports = [
        port
        for process, _, port in listening(system)
        if process.pid in replicas and port in _REPLICA_PORTS
    ]
    assert ports
    for port in ports:
        async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as past_the_door:
            path = "/api/v1/orders"
            bare = await past_the_door.get(path)
            assert bare.status_code == 401, port
            forged = {"authorization": f"Bearer {next(forgeries(mallory.token, b''))[1]}"}
            assert (await past_the_door.get(path, headers=forged)).status_code == 401
            as_service = {"x-ecap-service": "gateway", "x-ecap-principal": str(mallory.id)}
            assert (await past_the_door.get(path, headers=as_service)).status_code == 401
            own = {"authorization": f"Bearer {mallory.token}"}
            assert (await past_the_door.get(path, headers=own)).status_code == 200
            everybody = await past_the_door.get(f"{path}?all=true", headers=own)
            assert everybody.status_code == 403


async def test_access_ends_in_every_replica_within_a_second(
    system: System, door: httpx.AsyncClient, admin: Person
) -> None:
    """Open event streams too, and for a disabled administrator."""
    who = await hire(admin, "admin")
    own = {"authorization": f"Bearer {who.token}"}
    paths = {
        "orders": "/api/v1/orders",
        "users": f"{_USERS}/me",
        "auth": _ME,
        "analytics": "/api/v1/analytics/summary",
        "gateway": "/api/v1/config",
    }
    replicas = {pid: service for service in paths for pid in system.replicas(service)}
    asked = [
        f"http://{LOOPBACK}:{port}{paths[replicas[process.pid]]}"
        for process, _, port in listening(system)
        if process.pid in replicas and port in _REPLICA_PORTS
    ]
    assert len(asked) >= len(paths)
    for url in asked:
        assert (await door.get(url, headers=own)).status_code == 200, url
    account = f"/api/v1/auth/users/{who.id}"
    etag = (await admin.ask("GET", account)).headers["etag"]
    async with door.stream("GET", "/api/v1/analytics/live", headers=own) as live:
        assert live.status_code == 200
        answer = await admin.ask(
            "PATCH", account, json={"disabled": True}, headers={"if-match": etag}
        )
        assert answer.status_code == 200
        restore = await who.ask(
            "PATCH",
            account,
            json={"disabled": False},
            headers={"if-match": answer.headers["etag"]},
        )
        assert restore.status_code == 401
        async with asyncio.timeout(1.0):
            async for _ in live.aiter_bytes():
                pass
            for url in asked:
                while (await door.get(url, headers=own)).status_code != 401:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


async def test_three_tabs_refresh_at_once(door: httpx.AsyncClient) -> None:
    who = await register(door, "Tab Three")
    body = {"refresh_token": who.refresh}
    answers = await asyncio.gather(
        *(door.post("/api/v1/auth/refresh", json=body) for _ in range(3))
    )
    assert {answer.status_code for answer in answers} == {200}
    (successor,) = {answer.json()["refresh_token"] for answer in answers}
    again = await door.post("/api/v1/auth/refresh", json={"refresh_token": successor})
    assert again.status_code == 200


# ---- what must not get out


def secret_values(system: System) -> dict[str, bytes]:
    """Every generated secret: those in files, and those in Vault alone."""
    found = {
        path.name: path.read_bytes().strip()
        for path in system.state.secrets.iterdir()
        if path.name != "keyring" and not path.name.endswith("role_id")
    }
    settings = system.settings
    assert settings.keyring.file is not None
    ring = FileKeyring(settings.keyring.file, Plain()).load().ring
    found |= {f"key {key.id}": key.material.encode() for key in ring.keys}
    for name, value in (
        ("admin password", settings.auth.admin_password),
        ("service key", settings.mesh.service_key),
        ("webhook key", settings.webhook.signing_key),
        ("metrics token", settings.http.metrics_token),
        ("postgres password", settings.postgres.password),
    ):
        assert value is not None, name
        found[name] = value.get_secret_value().encode()
    assert all(len(value) >= 16 for value in found.values())
    return found


def test_no_secret_in_a_command_line_an_environment_or_a_file(
    system: System, mallory: Person
) -> None:
    """Tokens and passwords of people included."""
    secrets = {
        **secret_values(system),
        "a password": mallory.password.encode(),
        "an access token": mallory.token.encode(),
        "a refresh token": mallory.refresh.encode(),
    }
    places = dict(_processes(system))
    for folder in (system.state.logs, system.state.run):
        places |= {str(path): path.read_bytes() for path in _files(folder)}
    places["what was printed"] = system.output.read_bytes()
    assert len(places) > 60
    leaks = [
        (name, place)
        for place, content in places.items()
        for name, value in secrets.items()
        if value in content
    ]
    assert leaks == []


async def test_nobody_can_be_read_at_rest_or_in_what_is_told(
    system: System, door: httpx.AsyncClient, admin: Person, books: Pool, shelf: Shelf
) -> None:
    """Personal data in no file of PostgreSQL or Vault, log, metric, command line, environment
    or event; before and after the keys are rotated, and nobody notices that they are."""
    ida = await register(door, PLANTED)
    profile = await ida.ask("GET", f"{_USERS}/me")
    change = {"phone": "+4915733344455"}
    etag = {"if-match": profile.headers["etag"]}
    changed = await ida.ask("PATCH", f"{_USERS}/me", json=change, headers=etag)
    assert changed.status_code == 200
    fields = ("label", "recipient", "line1", "line2", "city", "region")
    address = {name: f"{PLANTED} {name}" for name in fields}
    address |= {"postal_code": "PLANT-44", "country": "ZW"}
    added = await ida.ask("POST", f"{_USERS}/me/addresses", json=address)
    assert added.status_code == 201
    basket = shelf.usual(Random(2), below_minor=100_00)
    shipping = {name: text for name, text in address.items() if name != "label"}
    body = {**order_body(basket, card="card_of_mine", device="d"), "shipping": shipping}
    key = {"idempotency-key": "planted"}
    assert (await ida.ask("POST", "/api/v1/orders", json=body, headers=key)).status_code == 201

    rotated = await asyncio.to_thread(system.ecap, "secrets", "rotate-keys", "--retire")
    assert rotated.returncode == 0, rotated.stderr
    assert " 1 keys in the ring" in rotated.stdout
    own = await ida.ask("GET", f"{_USERS}/me/addresses")
    assert own.json()["items"] == [added.json()]
    assert (await ida.ask("GET", f"{_USERS}/me")).json()["display_name"] == PLANTED
    again = await ida.ask("POST", "/api/v1/orders", json=body, headers=key)
    assert again.json()["shipping"] == shipping
    await ida.log_in()
    ring = FileKeyring(system.settings.keyring.file or Path(), Plain()).load().ring
    sealed = await books.fetchval("SELECT sealed FROM users.profiles WHERE user_id = $1", ida.id)
    assert PLANTED.encode() in ring.open(sealed, where="")

    metrics = await admin.ask("GET", "/metrics")
    assert metrics.status_code == 200
    places = dict(_processes(system))
    for folder in (system.state.logs, system.state.run, system.state.data):
        places |= {str(path): path.read_bytes() for path in _files(folder)}
    # The sink stands for her own mailbox.
    mailbox = str(system.state.data / "mail")
    places = {place: content for place, content in places.items() if mailbox not in place}
    places |= {"printed": system.output.read_bytes(), "metrics": metrics.content}
    planted = (PLANTED, ida.email, "+4915733344455", "PLANT-44", *ring_texts(ring))
    leaks = [
        (value[:8], place)
        for place, content in places.items()
        for value in planted
        if value.lower().encode() in content.lower()
    ]
    assert leaks == []


def ring_texts(ring: Keyring) -> list[str]:
    return [key.material for key in ring.keys]


def _processes(system: System) -> Iterator[tuple[str, bytes]]:
    for process in system.processes():
        for kind in ("cmdline", "environ"):
            try:
                yield f"{process.pid} {kind}", Path(f"/proc/{process.pid}/{kind}").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_only_the_owner_can_read_the_state_folder(system: System) -> None:
    state = system.state
    for folder in (state.logs, state.run, state.secrets):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    # As root, the account of PostgreSQL passes through to its data.
    for folder in (state.root, state.data):
        assert stat.S_IMODE(folder.stat().st_mode) in {0o700, 0o710}, folder
    for path in (*_files(state.secrets), state.run / "runtime.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for path in state.data.iterdir():
        assert not path.stat().st_mode & 0o077, path
        assert path.stat().st_uid in {os.geteuid(), state.account.uid if state.account else -1}
