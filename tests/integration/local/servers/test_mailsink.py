"""The mail sink, spoken to over SMTP and looked at over HTTP."""

from __future__ import annotations

from email.message import EmailMessage

import aiosmtplib
import httpx
import pytest

from ecap.local.state.runtime import Runtime


@pytest.fixture
def page(servers: Runtime) -> str:
    return f"http://127.0.0.1:{servers.ports['mail_page']}"


async def test_a_message_is_kept_and_shown_without_its_markup(servers: Runtime, page: str) -> None:
    message = EmailMessage()
    message["From"] = "orders@ecap.example"
    message["To"] = "customer@example.com"
    message["Subject"] = "Order <b>1</b>"
    message["Message-ID"] = "<one@ecap.example>"
    message.set_content("Thank you & <script>alert(1)</script>")
    mail = servers.server("mail")
    assert mail is not None
    await aiosmtplib.send(message, hostname=mail.host, port=mail.port, start_tls=False)
    async with httpx.AsyncClient(base_url=page) as client:
        index = (await client.get("/index.json")).json()
        (line,) = [m for m in index["latest"] if m["message_id"] == "<one@ecap.example>"]
        shown = await client.get(f"/{line['number']}")
        listed = await client.get("/")
    assert line["to"] == ["customer@example.com"]
    assert "<script>" not in shown.text
    assert "Thank you &amp;" in shown.text
    assert "Order &lt;b&gt;1&lt;/b&gt;" in listed.text


async def test_the_page_answers_loopback_names_only(page: str) -> None:
    async with httpx.AsyncClient(base_url=page) as client:
        rebound = await client.get("/", headers={"host": "evil.example"})
        missing = await client.get("/999999")
        outside = await client.get("/../index.jsonl")
    assert rebound.status_code == 421
    assert missing.status_code == 404
    assert outside.status_code == 404
