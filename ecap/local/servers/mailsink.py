"""A place for outgoing mail on a laptop: accepts everything, delivers nothing.

`python -m ecap.local.servers.mailsink FOLDER SMTP_PORT WEB_PORT`: each message becomes
`FOLDER/<number>.eml` and a line of `FOLDER/index.jsonl`; a read-only page on
loopback shows them.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import html
import json
import signal
import sys
import time
from collections.abc import Iterator
from email.message import EmailMessage
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

_SHOWN = 200
_MAX_BYTES = 1 << 20
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;"
    "border-bottom:1px solid #ddd}pre{white-space:pre-wrap;background:#f6f6f6;padding:1rem}"
)


class Mailbox:
    """In a folder that exists."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = folder / "index.jsonl"
        self._next = 1 + max((int(p.stem) for p in folder.glob("*.eml")), default=0)

    def add(self, envelope: Envelope, *, now: float) -> int:
        content = envelope.original_content or b""
        number, self._next = self._next, self._next + 1
        (self._folder / f"{number}.eml").write_bytes(content)
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        line = {
            "number": number,
            "received_at": now,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": str(parsed.get("Subject", "")),
            "message_id": str(parsed.get("Message-ID", "")),
        }
        with self._index.open("a") as file:
            file.write(json.dumps(line) + "\n")
        return number

    def latest(self, count: int) -> list[dict[str, Any]]:
        if not self._index.exists():
            return []
        lines = self._index.read_text().splitlines()[-count:]
        return [json.loads(line) for line in reversed(lines)]

    def total(self) -> int:
        return self._next - 1

    def read(self, number: int) -> EmailMessage | None:
        path = self._folder / f"{number}.eml"
        if not path.exists():
            return None
        parsed = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


class Receiver:
    """The aiosmtpd handler."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(  # noqa: N802  aiosmtpd looks the method up by this name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        return f"250 kept as message {self._mailbox.add(envelope, now=time.time())}"


class Page(BaseHTTPRequestHandler):
    """`/` lists, `/<number>` shows one as text, `/index.json` is for programs."""

    def __init__(self, mailbox: Mailbox, *args: Any) -> None:
        self._mailbox = mailbox
        super().__init__(*args)

    def do_GET(self) -> None:
        if self.headers.get("Host", "").partition(":")[0] not in {"127.0.0.1", "localhost"}:
            # A web site that resolves its own name to loopback could read mail here.
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, "ask for 127.0.0.1", "text/plain")
        elif self.path == "/":
            self._answer(HTTPStatus.OK, "".join(self._list()), "text/html")
        elif self.path == "/index.json":
            body = {"total": self._mailbox.total(), "latest": self._mailbox.latest(_SHOWN)}
            self._answer(HTTPStatus.OK, json.dumps(body), "application/json")
        elif self.path[1:].isdecimal() and (message := self._mailbox.read(int(self.path[1:]))):
            self._answer(HTTPStatus.OK, "".join(_show(message)), "text/html")
        else:
            self._answer(HTTPStatus.NOT_FOUND, "no such message", "text/plain")

    def _list(self) -> Iterator[str]:
        yield _head(f"Mail ({self._mailbox.total()})")
        yield "<table><tr><th>Time<th>To<th>Subject"
        for line in self._mailbox.latest(_SHOWN):
            clock = time.strftime("%H:%M:%S", time.localtime(line["received_at"]))
            subject = html.escape(line["subject"] or "(no subject)")
            yield f"<tr><td>{clock}<td>{html.escape(', '.join(line['to']))}"
            yield f'<td><a href="/{line["number"]}">{subject}</a>'
        yield "</table>"

    def _answer(self, status: HTTPStatus, body: str, kind: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  inherited name
        """Silent: a page somebody reloads is no event."""


def _head(title: str) -> str:
    return (
        f"<!doctype html><html lang=en><title>{html.escape(title)}</title>"
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>"
    )


def _show(message: EmailMessage) -> Iterator[str]:
    yield _head(str(message.get("Subject", "(no subject)")))
    yield "<table>"
    for name in ("From", "To", "Date", "Message-ID"):
        yield f"<tr><th>{name}<td>{html.escape(str(message.get(name, '')))}"
    body = message.get_body(preferencelist=("plain", "html"))
    text = body.get_content() if body else ""
    yield f'</table><pre>{html.escape(text)}</pre><p><a href="/">all messages</a>'


async def run(folder: Path, smtp_port: int, web_port: int) -> None:
    mailbox = Mailbox(folder)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopped.set)
    web = ThreadingHTTPServer(("127.0.0.1", web_port), partial(Page, mailbox))
    web.daemon_threads = True
    Thread(target=web.serve_forever, name="page", daemon=True).start()
    smtp = await loop.create_server(
        partial(SMTP, Receiver(mailbox), data_size_limit=_MAX_BYTES, hostname="localhost"),
        "127.0.0.1",
        smtp_port,
    )
    async with smtp:
        await stopped.wait()
    web.shutdown()


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(mode=0o700, exist_ok=True)
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
