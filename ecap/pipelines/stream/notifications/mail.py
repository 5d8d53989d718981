"""E-mail over SMTP, on connections that are kept for the next message."""

from __future__ import annotations

import contextlib
import re
import time
from email.headerregistry import Address
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime, formataddr

import aiosmtplib

from ecap.config.settings.connections.smtp import Smtp
from ecap.errors import Misconfigured, Refused, Unavailable
from ecap.pipelines.stream.notifications import wording
from ecap.pipelines.stream.notifications.claims import Delivery

_IMPLICIT_TLS_PORT = 465  # RFC 8314
_ASK_AFTER_S = 1.0


class Mailer:
    def __init__(self, settings: Smtp) -> None:
        self._settings = settings
        # With the time each was used last.
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []

    def reconfigure(self, settings: Smtp) -> None:
        """A mail under way goes the old way; no connection of that is used again."""
        self._settings = settings
        idle, self._idle = self._idle, []
        for client, _ in idle:
            client.close()

    async def send(self, delivery: Delivery) -> None:
        """Raises Unavailable or Refused."""
        settings = self._settings
        message = compose(delivery, sender=settings.sender)
        try:
            await self._send(message, settings)
        except aiosmtplib.SMTPException as exc:
            said = _without(_text(exc), delivery.email or "")
            # Not `from`: the error is kept, and what servers say quotes the address.
            if _forever(exc):
                raise Refused(f"smtp: {said}") from None
            raise Unavailable(f"smtp: {said}") from None
        except (OSError, TimeoutError) as exc:
            raise Unavailable(f"smtp: {type(exc).__name__}") from exc

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for client, _ in idle:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
            client.close()

    async def _send(self, message: Message, settings: Smtp) -> None:
        client = await self._reuse() or await self._connect(settings)
        try:
            await client.send_message(message)
        except BaseException:  # a half-sent session is of no use, cancelled or not
            client.close()
            raise
        if settings is self._settings:
            self._idle.append((client, time.monotonic()))
        else:
            client.close()

    async def _reuse(self) -> aiosmtplib.SMTP | None:
        """A server closes what is idle; asking keeps that from costing an attempt."""
        while self._idle:
            client, used_s = self._idle.pop()
            try:
                if not client.is_connected:
                    continue
                if time.monotonic() - used_s > _ASK_AFTER_S:
                    await client.noop()
            except (aiosmtplib.SMTPException, OSError):
                client.close()
                continue
            return client
        return None

    async def _connect(self, settings: Smtp) -> aiosmtplib.SMTP:
        if settings.host is None:
            raise Misconfigured("smtp.host is not set")
        implicit = settings.port == _IMPLICIT_TLS_PORT
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            use_tls=implicit,
            start_tls=settings.starttls and not implicit,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
            timeout=settings.timeout_s,
        )
        try:
            await client.connect()
        except BaseException:  # nobody else will close it
            client.close()
            raise
        return client


def compose(delivery: Delivery, *, sender: str) -> Message:
    """The same bytes each time, so that a repeat is recognised.

    MIMEText and not EmailMessage, which takes a millisecond of CPU for each mail.
    Raises Unavailable while nobody knows the address, Refused when it is none.
    """
    if delivery.email is None:
        raise Unavailable("the customer's registration has not arrived")
    name = delivery.display_name or ""
    message = MIMEMultipart("alternative", delivery.id.hex)
    message["From"] = sender
    message["To"] = _recipient(name, delivery.email)
    message["Subject"] = delivery.subject
    message["Date"] = format_datetime(delivery.occurred_at)
    message["Message-ID"] = f"<{delivery.id}@{sender.rpartition('@')[2]}>"
    message["X-ECAP-Delivery"] = str(delivery.id)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.attach(MIMEText(wording.text(delivery.kind, name, delivery.facts)))
    message.attach(MIMEText(wording.page(delivery.kind, name, delivery.facts), "html"))
    return message


def _recipient(name: str, address: str) -> str:
    """Only Address refuses line breaks; only formataddr encodes names of any language."""
    try:
        Address(display_name=name, addr_spec=address)
        return formataddr((name, address))
    except (ValueError, IndexError) as exc:  # IndexError: the parser's answer to ""
        raise Refused("the customer's address is no e-mail address") from exc


def _forever(exc: aiosmtplib.SMTPException) -> bool:
    """The mailbox or the message is refused, not us."""
    if isinstance(exc, aiosmtplib.SMTPRecipientsRefused):
        return all(refused.code >= 500 for refused in exc.recipients)
    return isinstance(exc, aiosmtplib.SMTPDataError) and exc.code >= 500


def _text(exc: aiosmtplib.SMTPException) -> str:
    if isinstance(exc, aiosmtplib.SMTPRecipientsRefused):
        return "; ".join(f"{one.code} {one.message}" for one in exc.recipients)[:300]
    return f"{type(exc).__name__} {exc}"[:300]


def _without(text: str, address: str) -> str:
    if not address:
        return text
    return re.sub(re.escape(address), "ADDRESS", text, flags=re.IGNORECASE)
