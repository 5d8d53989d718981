"""What stands before a broker of MSK: TLS with SASL/OAUTHBEARER, and the agent of Pod Identity."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from ecap.clients.msk import Credentials, presigned

API_VERSIONS, HANDSHAKE, AUTHENTICATE = 18, 17, 36
AUTHENTICATION_FAILED = 58
SECRET = "only-for-tests"


class Agent:
    """As EKS answers pods on 169.254.170.23: credentials for the token of a service account."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self.life_s = 6 * 3600
        self.uri = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if request.headers.get("Authorization") != "pod-token" or self.status != 200:
            return web.Response(status=401 if self.status == 200 else self.status)
        end = datetime.now(UTC) + timedelta(seconds=self.life_s)
        return web.json_response({
            "AccessKeyId": f"ASIA{self.asked}", "SecretAccessKey": SECRET, "Token": "session/+=",
            "AccountId": "000000000000", "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        })  # fmt: skip


@asynccontextmanager
async def open_agent() -> AsyncIterator[Agent]:
    agent = Agent()
    application = web.Application()
    application.router.add_get("/v1/credentials", agent.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    agent.uri = f"http://127.0.0.1:{port}/v1/credentials"
    try:
        yield agent
    finally:
        await runner.cleanup()


class Door:
    """Lets a connection through to the broker behind it once its token proves the secret."""

    def __init__(self, *, behind: int, region: str) -> None:
        self._behind = behind
        self._region = region
        self.admitted: list[str] = []
        self.refused = 0
        self.connections: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        inner_reader, inner = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            while not await self._logged_in(reader, writer, inner_reader, inner):
                pass
            # A task of its own, since either side may end first.
            back = asyncio.create_task(_copy(inner_reader, writer), name="door-back")
            await _copy(reader, inner)
            inner.close()
            await back
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone, as every test does in the end
        finally:
            inner.close()
            writer.close()
            self.connections.discard(writer)

    async def _logged_in(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        inner_reader: asyncio.StreamReader,
        inner: asyncio.StreamWriter,
    ) -> bool:
        request = await _frame(reader)
        key, version, correlation, name = struct.unpack(">hhih", request[:10])
        body = request[10 + max(name, 0) :]
        if key == API_VERSIONS:
            inner.write(struct.pack(">i", len(request)) + request)
            _send(writer, await _frame(inner_reader))
        elif key == HANDSHAKE:
            _send(writer, struct.pack(">ihi", correlation, 0, 1) + _text("OAUTHBEARER"))
        elif key == AUTHENTICATE:
            right = self._admits(body[4:].decode())
            answer = struct.pack(">ih", correlation, 0 if right else AUTHENTICATION_FAILED)
            answer += struct.pack(">h", -1) + struct.pack(">i", 0)
            _send(writer, answer + (struct.pack(">q", 0) if version else b""))
            if not right:
                await writer.drain()
                raise ConnectionAbortedError
            return True
        else:
            raise ConnectionAbortedError(f"request {key} before the log-in")
        return False

    def _admits(self, said: str) -> bool:
        """As MSK does: signs again with the secret of the key id, and compares."""
        token = said.removeprefix("n,,\x01auth=Bearer ").rstrip("\x01")
        url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        query = {key: value for key, (value,) in parse_qs(urlsplit(url).query).items()}
        at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%S%z")
        key_id = query["X-Amz-Credential"].split("/")[0]
        keys = Credentials(key_id, SECRET, query["X-Amz-Security-Token"], None)
        young = (datetime.now(UTC) - at).total_seconds() < int(query["X-Amz-Expires"])
        if young and url == presigned(self._region, keys, now=at.timestamp()):
            self.admitted.append(key_id)
            return True
        self.refused += 1
        return False


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


def _send(writer: asyncio.StreamWriter, payload: bytes) -> None:
    writer.write(struct.pack(">i", len(payload)) + payload)


def _text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def open_door(
    *, port: int, behind: int, region: str, tls: ssl.SSLContext
) -> AsyncIterator[Door]:
    door = Door(behind=behind, region=region)
    server = await asyncio.start_server(door.serve, "127.0.0.1", port, ssl=tls)
    try:
        yield door
    finally:
        server.close()
        for writer in list(door.connections):
            writer.close()
