from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

import msgspec
import pytest
from unit.pipelines.stream.happenings import START, placed, record

from ecap.config.settings.tree import Settings
from ecap.domain.events.orders import OrderCancelled
from ecap.errors import Misconfigured, Refused, Unavailable
from ecap.pipelines.stream.notifications.channels import Channels
from ecap.pipelines.stream.notifications.claims import Delivery
from ecap.pipelines.stream.notifications.mail import compose
from ecap.pipelines.stream.notifications.pipeline import Notice, build
from ecap.pipelines.stream.notifications.webhook import signature

DELIVERY = Delivery(
    id=UUID(int=7),
    event_id=UUID(int=8),
    user_id=UUID(int=9),
    order_id=UUID(int=10),
    kind="order_approved",
    channel="email",
    subject="Your order is confirmed",
    facts={"order_id": UUID(int=10), "units": 2, "amount": "20.00", "currency": "USD"},
    attempt=1,
    occurred_at=START,
    email="ana@example.com",
    display_name="Ana",
)


@pytest.mark.parametrize(
    ("decision", "kind"),
    [
        ("approve", "order_approved"),
        ("review", "order_placed"),
        ("deny", "order_denied"),
        (None, "order_placed"),
    ],
)
def test_every_order_makes_one_notice(decision: str | None, kind: str) -> None:
    notice = build(Settings()).apply(None, record(placed(1, decision=decision), 0))
    assert isinstance(notice, Notice)
    assert notice.kind == kind


def test_a_change_makes_one_too() -> None:
    order = placed(1)
    cancelled = OrderCancelled(
        order_id=order.order_id,
        user_id=order.user_id,
        previous="approved",
        amount_minor=order.amount_minor,
        currency="USD",
        lines=order.lines,
        placed_at=START,
    )
    notice = build(Settings()).apply(None, record(cancelled, 0))
    assert isinstance(notice, Notice)
    assert notice.kind == "order_cancelled"


def test_a_repeated_mail_is_the_same_to_the_byte() -> None:
    again = msgspec.structs.replace(DELIVERY, attempt=2)
    first, second = (compose(one, sender="shop@ecap.example") for one in (DELIVERY, again))
    assert first["Message-ID"] == second["Message-ID"] == f"<{DELIVERY.id}@ecap.example>"
    assert first.as_bytes() == second.as_bytes()


def read(delivery: Delivery) -> EmailMessage:
    sent = compose(delivery, sender="shop@ecap.example").as_bytes()
    return message_from_bytes(sent, policy=policy.default)


def test_a_mail_reads_well_in_any_language() -> None:
    message = read(msgspec.structs.replace(DELIVERY, display_name='Zoë "Z" Müller, Dr.'))
    assert message["To"].addresses[0].addr_spec == "ana@example.com"
    assert message["To"].addresses[0].display_name == 'Zoë "Z" Müller, Dr.'
    plain = message.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().startswith('Hello Zoë "Z" Müller, Dr.,')


def test_a_mail_cannot_be_bent_by_a_name() -> None:
    """Neither its headers nor its HTML."""
    html = read(msgspec.structs.replace(DELIVERY, display_name="<b>Eve</b>")).get_body(("html",))
    assert html is not None
    assert "&lt;b&gt;Eve" in html.get_content()
    with pytest.raises(Refused):
        read(msgspec.structs.replace(DELIVERY, display_name="Eve\r\nBcc: all@example.com"))


@pytest.mark.parametrize("address", ["", "nobody", "a@b\r\nBcc: c@d", "a b@c"])
def test_an_address_that_is_none_is_refused_for_good(address: str) -> None:
    with pytest.raises(Refused):
        compose(msgspec.structs.replace(DELIVERY, email=address), sender="shop@ecap.example")


def test_a_missing_registration_is_waited_for() -> None:
    with pytest.raises(Unavailable):
        compose(msgspec.structs.replace(DELIVERY, email=None), sender="shop@ecap.example")


def test_the_signature_is_that_of_any_hmac() -> None:
    # printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
    assert signature(b"secret", b'{"a":1}', at=1_700_000_000) == (
        "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"
    )


def test_a_webhook_without_a_key_refuses_to_start() -> None:
    settings = Settings(smtp={"host": "127.0.0.1"}, webhook={"url": "https://example.com/hook"})
    with pytest.raises(Misconfigured, match=r"webhook\.signing_key"):
        Channels(settings.smtp, settings.webhook)
