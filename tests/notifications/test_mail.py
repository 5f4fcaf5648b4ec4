"""Mails over a real SMTP server."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import aiosmtplib
import pytest
from house import LOW, House

from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.jobs import Handler
from tollkeeper.notifications import (
    Courier,
    CreditPurchaseFailed,
    MailServer,
    SmtpMailer,
    notification_handlers,
    notify,
    write_address,
)
from tollkeeper.notifications.examples import EXAMPLES


def handlers(house: House, courier: Courier, port: int) -> dict[str, Handler]:
    server = MailServer(
        host="127.0.0.1", port=port, sender="Tollkeeper <billing@example.org>", security="none"
    )
    made = notification_handlers(
        house.database,
        house.clock,
        courier,
        mailer=SmtpMailer(server),
        sender=server.sender,
        manage_url="https://console.example.org/notifications",
    )
    return {handler.task.name: handler for handler in made}


async def work(house: House, by: dict[str, Handler]) -> list[tuple[str, dict[str, Any]]]:
    """Do every job that waits, and what follows from it; return them all."""
    done: list[tuple[str, dict[str, Any]]] = []
    while jobs := await house.jobs():
        for name, arguments in jobs:
            await by[name].run(**arguments)
            done.append((name, dict(arguments)))
    return done


async def test_1_a_notice_vanishes_with_its_cause(house: House) -> None:
    class Undone(Exception):
        pass

    with pytest.raises(Undone):
        async with house.database.transaction() as tx:
            await notify(tx, house.org_id, LOW, now=house.clock.now())
            raise Undone
    assert await house.jobs() == []


async def test_1_one_notice_per_cause(house: House) -> None:
    cause = uuid7()
    await house.say(notice_id=cause)
    await house.say(notice_id=cause)
    assert len(await house.jobs()) == 1


async def test_a_mail_reaches_those_whom_billing_concerns(
    house: House, courier: Courier, post: Any
) -> None:
    await house.say()
    await work(house, handlers(house, courier, post.port))
    (mail,) = post.mails
    assert mail["To"].addresses[0].addr_spec == "ada@example.com"
    assert mail["Subject"] == "Credit is running low"
    plain = mail.get_body(("plain",)).get_content()
    html = mail.get_body(("html",)).get_content()
    assert "$4.50 of credit is left." in plain
    assert "$4.50 of credit is left." in html


async def test_3_a_mail_job_that_runs_again_sends_nothing_more(
    house: House, courier: Courier, post: Any
) -> None:
    by = handlers(house, courier, post.port)
    await house.say()
    done = await work(house, by)
    for name, arguments in done:
        await by[name].run(**arguments)
    assert await work(house, by) == []
    assert len(post.mails) == 1


async def test_3_a_mail_that_is_refused_is_sent_at_the_next_try_under_the_same_id(
    house: House, courier: Courier, post: Any
) -> None:
    by = handlers(house, courier, post.port)
    await house.say()
    ((_, fan_out),) = await house.jobs()
    await by["notifications.fan_out"].run(**fan_out)
    ((name, arguments),) = await house.jobs()
    post.refuses = True
    with pytest.raises(aiosmtplib.SMTPException):
        await by[name].run(**arguments)
    post.refuses = False
    await by[name].run(**arguments)
    (mail,) = post.mails
    notice_id = UUID(str(arguments["notice_id"]))
    assert mail["Message-ID"].startswith(f"<{notice_id.hex}.")


async def test_8_customers_text_is_escaped_and_begins_no_header(
    house: House, courier: Courier, post: Any
) -> None:
    evil = CreditPurchaseFailed(
        purchase_id="pur_1",
        amount=LOW.available,
        currency="USD",
        reason="card_declined",
        message="No.\r\nBcc: eve@example.com\r\n\r\n<script>alert(1)</script>",
    )
    await house.say(evil)
    await work(house, handlers(house, courier, post.port))
    (mail,) = post.mails
    html = mail.get_body(("html",)).get_content()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "Ada &lt;b&gt;L&lt;/b&gt;" in html
    assert mail["Bcc"] is None
    assert "\nBcc:" not in mail.get_body(("plain",)).get_content()


async def test_every_type_makes_a_mail(house: House, courier: Courier, post: Any) -> None:
    for event in EXAMPLES.values():
        await house.say(event)
    await work(house, handlers(house, courier, post.port))
    assert {str(mail["Subject"]) for mail in post.mails} == {e.title for e in EXAMPLES.values()}


@pytest.mark.parametrize(
    ("address", "goes_to"),
    [
        ("jörg@example.com", "jörg@example.com"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("jörg@exämple.example", "jörg@xn--exmple-cua.example"),
        ("a,b@example.com", '"a,b"@example.com'),
        ('"a,b"@example.com', '"a,b"@example.com'),
    ],
)
async def test_a_mail_reaches_an_address_whatever_its_signs(
    house: House, owner: Connection, courier: Courier, post: Any, address: str, goes_to: str
) -> None:
    post.utf8 = not address.startswith("a")
    await owner.execute(
        "UPDATE member SET name = 'Jörg', email = %s WHERE member_id = %s",
        (address, house.owner.member_id),
    )
    await house.say()
    await work(house, handlers(house, courier, post.port))
    assert post.recipients == [goes_to]


def test_a_domain_that_cannot_be_is_refused() -> None:
    with pytest.raises(UnicodeError):
        write_address("Ada", "ada@exä mple.example")
