"""Real receivers of what is sent, and waiting for PostgreSQL to say so."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from ecap.clients.postgres import Pool


class Mailbox:
    """An aiosmtpd handler; `answers` are given first, one a message, then 250."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.refused: dict[str, str] = {}
        self.messages: list[EmailMessage] = []
        self.encrypted: list[bool] = []
        self.sessions: set[int] = set()
        self.arrived = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.port = 0
        self.protocols: list[SMTP] = []

    async def handle_RCPT(  # noqa: N802  aiosmtpd looks the method up by this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.arrived.set()
        await self.open.wait()
        if self.answers:
            return self.answers.pop(0)
        content = envelope.content
        assert isinstance(content, bytes)
        self.messages.append(message_from_bytes(content, policy=policy.default))
        self.encrypted.append(session.ssl is not None)
        self.sessions.add(id(session))
        return "250 OK"


@asynccontextmanager
async def open_mailbox(tls: ssl.SSLContext | None = None) -> AsyncIterator[Mailbox]:
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()

    def connected() -> SMTP:
        secure = tls is not None
        protocol = SMTP(mailbox, hostname="localhost", tls_context=tls, require_starttls=secure)
        mailbox.protocols.append(protocol)
        return protocol

    server = await loop.create_server(connected, "127.0.0.1", 0)
    mailbox.port = server.sockets[0].getsockname()[1]
    async with server:
        yield mailbox


class Hook:
    """A webhook receiver; `answers` are given first, one a request, then 204."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.url = ""


@contextmanager
def open_hook() -> Iterator[Hook]:
    received = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.requests.append((dict(self.headers.items()), body))
            self.send_response(received.answers.pop(0) if received.answers else 204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.url = f"http://127.0.0.1:{server.server_port}/orders"
        thread = threading.Thread(target=server.serve_forever, name="hook")
        thread.start()
        yield received
        server.shutdown()
        thread.join()


async def until(pool: Pool, query: str, wanted: object, *, within_s: float = 15.0) -> None:
    """Wait until a query answers `wanted`."""
    found: object = None
    try:
        async with asyncio.timeout(within_s):
            while (found := await pool.fetchval(query)) != wanted:  # noqa: ASYNC110  PostgreSQL has no event
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{query} stays {found!r}, not {wanted!r}") from None


async def events_of(pool: Pool, schema: str) -> Sequence[bytes]:
    rows = await pool.fetch(f"SELECT body FROM {schema}.outbox ORDER BY seq")
    return [row["body"] for row in rows]
