"""Ray's HAProxy, corrected by us: its own template, the real program, a real upstream."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import httpx
import psutil
import pytest
from integration.runtime.running_haproxy import (
    LOOPBACK,
    four_ports,
    proxy,
    rendered,
    until_answered,
    upstream,
)
from ray.serve._private.constants import (
    SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER,
    SERVE_INGRESS_ROUTER_HEADER_PREFIX,
    SERVE_MULTIPLEXED_MODEL_ID,
    SERVE_SESSION_ID,
)

from ecap.runtime import haproxy


@pytest.fixture
def chosen() -> tuple[int, int]:
    return four_ports()


async def test_the_address_of_the_caller_reaches_the_replica(
    tmp_path: Path, chosen: tuple[int, int]
) -> None:
    front, behind = chosen
    seen: list[bytes] = []
    with proxy(tmp_path, front=front, upstream=behind):
        async with (
            upstream(behind, seen),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}") as client,
        ):
            answer = await until_answered(client, "/orders", 200)
    assert any(b"x-forwarded-for: 127.0.0.1" in head.lower() for head in seen)
    # Nor does it come out which server the replica runs in.
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([], False),
        (["a-1.b:c_d"], True),
        (['a"}, {"b'], False),
        (["x" * 129], False),
        (["one", "two"], False),
        (["one, two"], False),
    ],
)
async def test_a_request_has_one_well_formed_id(
    tmp_path: Path, chosen: tuple[int, int], given: list[str], kept: bool
) -> None:
    front, behind = chosen
    seen: list[bytes] = []
    headers = [("x-request-id", value) for value in given]
    with proxy(tmp_path, front=front, upstream=behind):
        async with (
            upstream(behind, seen),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}", headers=headers) as client,
        ):
            await until_answered(client, "/orders", 200)
    # Between ours come HAProxy's own, to see whether the replica is well.
    [request, *_] = [head for head in seen if head.startswith(b"GET /orders ")]
    [found] = re.findall(rb"(?im)^x-request-id: (.*)\r$", request)
    assert found.decode() in given if kept else re.fullmatch(rb"[0-9a-f-]{36}", found)
    assert b"\r\nx-request-disconnect-disabled: ?1\r\n" in request


async def test_nobody_outside_steers_serve(tmp_path: Path, chosen: tuple[int, int]) -> None:
    """Serve answers 408 when the time of its header is over, and 500 where one is not UTF-8."""
    front, behind = chosen
    seen: list[bytes] = []
    steering = [
        (SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER, "0.0001"),
        (SERVE_MULTIPLEXED_MODEL_ID, "\xff"),
        (SERVE_MULTIPLEXED_MODEL_ID.replace("_", "-"), "\xff"),
        (SERVE_SESSION_ID, "\xff"),
        (SERVE_SESSION_ID.replace("-", "_"), "\xff"),
        (SERVE_INGRESS_ROUTER_HEADER_PREFIX + "x", "\xff"),
    ]
    headers = [(name.encode(), value.encode("latin-1")) for name, value in steering]
    with proxy(tmp_path, front=front, upstream=behind):
        async with (
            upstream(behind, seen),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}", headers=headers) as client,
        ):
            await until_answered(client, "/orders", 200)
    [request, *_] = [head.lower() for head in seen if head.startswith(b"GET /orders ")]
    assert not [name for name, _ in headers if name.lower() in request]


async def test_failures_are_problems_with_the_right_status(
    tmp_path: Path, chosen: tuple[int, int]
) -> None:
    front, behind = chosen
    with proxy(tmp_path, front=front, upstream=behind):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}") as client:
            missing = await until_answered(client, "/nowhere", 404)
            away = await until_answered(client, "/orders", 503)
    for response in (missing, away):
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
    assert away.headers["retry-after"] == "1"
    assert away.json()["type"] == "urn:ecap:problem:unavailable"


async def test_while_no_service_is_known_nothing_is_called_missing(
    tmp_path: Path, chosen: tuple[int, int]
) -> None:
    front, behind = chosen
    with proxy(tmp_path, front=front, upstream=behind, known=False):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}") as client:
            for path in ("/orders", "/nowhere", "/"):
                early = await until_answered(client, path, 503)
                assert early.headers["content-type"] == "application/problem+json"
                assert early.headers["retry-after"] == "1"
                assert early.json()["type"] == "urn:ecap:problem:unavailable"


async def test_only_a_load_balancer_tells_addresses(
    tmp_path: Path, chosen: tuple[int, int]
) -> None:
    front, behind = chosen
    seen: list[bytes] = []
    claim = {"x-forwarded-for": "203.0.113.7"}
    with proxy(tmp_path, front=front, upstream=behind):
        async with upstream(behind, seen):
            for source in ("127.0.0.2", "127.0.0.1"):
                async with httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{front}",
                    headers=claim,
                    transport=httpx.AsyncHTTPTransport(local_address=source),
                ) as client:
                    await until_answered(client, "/orders", 200)
    requests = [head.lower() for head in seen if head.startswith(b"GET /orders ")]
    told = [re.findall(rb"(?m)^x-forwarded-for: (.*)\r$", head) for head in requests]
    assert told == [[b"127.0.0.2"], [b"203.0.113.7", b"127.0.0.1"]]


async def test_nothing_listens_beyond_loopback(tmp_path: Path, chosen: tuple[int, int]) -> None:
    front, behind = chosen
    with proxy(tmp_path, front=front, upstream=behind) as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}") as client:
            await until_answered(client, "/nowhere", 404)
        listening = {
            (socket.laddr.ip, socket.laddr.port)
            for socket in process.net_connections(kind="tcp")
            if socket.status == psutil.CONN_LISTEN
        }
    assert listening == {("127.0.0.1", front + offset) for offset in range(3)}


def test_rewriting_twice_changes_nothing_more(tmp_path: Path) -> None:
    config = rendered(tmp_path, front=20100, upstream=20101).read_text()
    once = haproxy.rewrite(config, errors=tmp_path, loopback=True, trusted=LOOPBACK)
    assert haproxy.rewrite(once, errors=tmp_path, loopback=True, trusted=LOOPBACK) == once
    assert once != config


def started(told: str | None, folder: Path) -> str:
    """The configuration of a pod, where the list of load balancers is in the environment."""
    config = rendered(folder, front=20100, upstream=20101)
    wrapper = folder / "haproxy.sh"
    haproxy.install(wrapper, loopback=False)
    env = {} if told is None else {"ECAP__HTTP__TRUSTED_PROXIES": told}
    subprocess.run([wrapper, "-c", "-f", config], env=env, check=True, capture_output=True)
    return config.read_text()


@pytest.mark.parametrize(
    ("told", "believed"),
    [
        (None, "127.0.0.1/32 ::1/128"),
        (json.dumps(["10.1.0.0/16", "::1/128"]), "10.1.0.0/16 ::1/128"),
        ("[10.1.0.0/16, '::1/128']", "10.1.0.0/16 ::1/128"),
        ("- 10.1.0.0/16\n- 10.2.0.7", "10.1.0.0/16 10.2.0.7/32"),
        ("[]", "127.255.255.255/32"),
    ],
)
def test_a_pod_reads_the_setting(tmp_path: Path, told: str | None, believed: str) -> None:
    assert f"acl ecap_trusted src {believed}\n" in started(told, tmp_path)


@pytest.mark.parametrize("told", ['["anybody"]', "10.0.0.1/8", '["10.0.0.0/8 or 0.0.0.0/0"]'])
def test_what_is_no_list_of_networks_does_not_start(tmp_path: Path, told: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        started(told, tmp_path)


def test_a_template_that_has_changed_is_refused(tmp_path: Path) -> None:
    config = rendered(tmp_path, front=20100, upstream=20101).read_text()
    with pytest.raises(ValueError, match="no part like"):
        haproxy.rewrite(
            config.replace("option httplog", ""), errors=tmp_path, loopback=True, trusted=LOOPBACK
        )
