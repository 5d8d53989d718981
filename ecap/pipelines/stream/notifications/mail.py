"""E-mail over SMTP, on connections that are kept for the next message."""

from __future__ import annotations

import contextlib
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from ecap.config.settings import Smtp
from ecap.errors import Misconfigured, Refused, Unavailable
from ecap.pipelines.stream.notifications import wording
from ecap.pipelines.stream.notifications.claims import Delivery

_IMPLICIT_TLS_PORT = 465  # RFC 8314


class Mailer:
    def __init__(self, settings: Smtp) -> None:
        self._settings = settings
        self._idle: list[aiosmtplib.SMTP] = []

    async def send(self, delivery: Delivery) -> None:
        """Raises Unavailable or Refused."""
        message = compose(delivery, sender=self._settings.sender)
        try:
            await self._send(message)
        except aiosmtplib.SMTPException as exc:
            if _forever(exc):
                raise Refused(f"smtp: {_text(exc)}") from exc
            raise Unavailable(f"smtp: {_text(exc)}") from exc
        except (OSError, TimeoutError) as exc:
            raise Unavailable(f"smtp: {type(exc).__name__}") from exc

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for client in idle:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
            client.close()

    async def _send(self, message: EmailMessage) -> None:
        if self._idle:
            client = self._idle.pop()
            try:
                # A server may have closed it meanwhile; asking first keeps that from
                # counting as an attempt.
                await client.noop()
            except (aiosmtplib.SMTPException, OSError):
                client.close()
                client = await self._connect()
        else:
            client = await self._connect()
        try:
            await client.send_message(message)
        except BaseException:
            client.close()
            raise
        self._idle.append(client)

    async def _connect(self) -> aiosmtplib.SMTP:
        settings = self._settings
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
        except BaseException:
            client.close()
            raise
        return client


def compose(delivery: Delivery, *, sender: str) -> EmailMessage:
    """The same bytes each time but for the boundary: a repeat has the same Message-ID.

    Raises Unavailable while nobody knows the address, Refused when it is none.
    """
    if delivery.email is None:
        raise Unavailable("the customer's registration has not arrived")
    name = delivery.display_name or ""
    message = EmailMessage()
    try:
        message["From"] = sender
        message["To"] = Address(display_name=name, addr_spec=delivery.email)
    except (ValueError, IndexError) as exc:  # IndexError: the parser's answer to ""
        raise Refused("the customer's address is no e-mail address") from exc
    message["Subject"] = delivery.subject
    message["Date"] = format_datetime(delivery.occurred_at)
    message["Message-ID"] = f"<{delivery.id}@{sender.rpartition('@')[2]}>"
    message["X-ECAP-Delivery"] = str(delivery.id)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(wording.text(delivery.kind, name, delivery.facts))
    message.add_alternative(wording.page(delivery.kind, name, delivery.facts), subtype="html")
    return message


def _forever(exc: aiosmtplib.SMTPException) -> bool:
    """The mailbox or the message is refused, not us."""
    if isinstance(exc, aiosmtplib.SMTPRecipientsRefused):
        return all(refused.code >= 500 for refused in exc.recipients)
    return isinstance(exc, aiosmtplib.SMTPDataError) and exc.code >= 500


def _text(exc: aiosmtplib.SMTPException) -> str:
    if isinstance(exc, aiosmtplib.SMTPRecipientsRefused):
        return "; ".join(f"{one.code} {one.message}" for one in exc.recipients)[:300]
    return f"{type(exc).__name__} {exc}"[:300]
