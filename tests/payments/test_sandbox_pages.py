"""The sandbox's pages: sealed, safe, and they do what their buttons say."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from datetime import timedelta
from html.parser import HTMLParser

import aiohttp
import pytest
from banks import RETURN, SandboxBank
from shops import Shop

from tollkeeper.base.ids import uuid7
from tollkeeper.payments import charge, get_payment, open_page
from tollkeeper.payments.inbox.post import deliver_sandbox
from tollkeeper.payments.model import PageKind, Payment, PaymentStatus
from tollkeeper.payments.processors import CustomerDetails
from tollkeeper.payments.processors.sandbox.cards import CARDS
from tollkeeper.payments.processors.sandbox.html import page as html_page


async def fetch(url: str) -> tuple[int, dict[str, str], str]:
    async with aiohttp.ClientSession() as browser, browser.get(url) as answer:
        return answer.status, dict(answer.headers), await answer.text()


class Structure(HTMLParser):
    """The tags of a page, and whether they are closed in order."""

    VOID = ("meta", "link", "input", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


async def every_page(bank: SandboxBank) -> list[str]:
    """The address of a page of each kind."""
    asking = bank.charge(await bank.on_file("pm_card_authenticationRequired"), off_session=False)
    answer = await bank.processor.pay(asking)
    await bank.processor.pay(bank.charge(await bank.on_file("pm_card_visa")))
    paid = await bank.processor.pay(bank.charge(await bank.on_file("pm_card_visa")))
    await bank.open_dispute(paid.ref)  # type: ignore[union-attr]  (it is paid)
    return [
        (await bank.processor.open_page(bank.page())).url or "",
        answer.url or "",  # type: ignore[union-attr]  (its bank asks)
        await bank.processor.portal_link(bank.customer, RETURN),
        bank.sandbox.dashboard_url,
    ]


async def test_pages_are_plain_whole_and_allowed_nothing(sandbox_bank: SandboxBank) -> None:
    for url in await every_page(sandbox_bank):
        status, headers, text = await fetch(url)
        assert status == 200
        found = Structure(text)
        assert not {"script", "img", "iframe", "object"} & set(found.tags)
        (icon,) = re.findall("<link [^>]*>", text)
        assert icon.startswith('<link rel="icon" type="image/svg+xml" href="data:')
        assert not {name for name in found.attributes if name.startswith("on")}
        assert {"style", "h1", "main", "title"} <= set(found.tags)
        assert "style" not in found.attributes
        (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
        digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert f"style-src 'sha256-{digest}'" in policy
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


async def test_a_form_may_lead_to_where_the_customer_came_from(sandbox_bank: SandboxBank) -> None:
    opened = await sandbox_bank.processor.open_page(sandbox_bank.page())
    _, headers, _ = await fetch(opened.url or "")
    assert "form-action 'self' https://shop.test;" in headers["Content-Security-Policy"]


async def test_what_customers_write_is_only_shown(sandbox_bank: SandboxBank) -> None:
    evil = '<script>alert("1")</script>'
    page = sandbox_bank.page(description=evil, cancel_url='https://a.test/"><script>')
    _, _, text = await fetch((await sandbox_bank.processor.open_page(page)).url or "")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    ref = await sandbox_bank.processor.create_customer(uuid7(), uuid7(), CustomerDetails(name=evil))
    _, _, text = await fetch(await sandbox_bank.processor.portal_link(ref, RETURN))
    assert "<script>" not in text


async def test_nobody_gets_to_a_page_without_its_seal(sandbox_bank: SandboxBank) -> None:
    for url in await every_page(sandbox_bank):
        changed = url[:-1] + ("0" if url[-1] != "0" else "1")
        assert (await fetch(changed))[0] == 404
        assert (await sandbox_bank.click(changed, act="dispute"))[0] == 404
    pay, bank, portal, dashboard = await every_page(sandbox_bank)
    # A seal for one purpose opens nothing else.
    for one, other in [(pay, "bank"), (bank, "pay"), (portal, "dashboard"), (dashboard, "portal")]:
        ticket = one.rsplit("/", 1)[1]
        base = one.split("/sandbox/")[0]
        assert (await fetch(f"{base}/sandbox/{other}/{ticket}"))[0] == 404


async def test_every_card_is_offered_and_no_other_is_taken(sandbox_bank: SandboxBank) -> None:
    opened = await sandbox_bank.processor.open_page(sandbox_bank.page())
    _, _, text = await fetch(opened.url or "")
    assert all(card.number in text for card in CARDS)
    for number in ("4111111111111111", "", "4242 4242 4242 4243", "<b>"):
        assert (await sandbox_bank.submit_page(opened.url or "", number))[0] == 422
    assert (await sandbox_bank.submit_page(opened.url or "", "4242 4242 4242 4242"))[0] == 303


async def test_the_portal_removes_and_chooses(sandbox_bank: SandboxBank) -> None:
    first = await sandbox_bank.on_file("pm_card_visa")
    second = await sandbox_bank.on_file("pm_card_mastercard")
    portal = await sandbox_bank.processor.portal_link(sandbox_bank.customer, RETURN)
    assert (await sandbox_bank.click(portal, act="default", method=second))[0] == 303
    assert (await sandbox_bank.click(portal, act="remove", method=first))[0] == 303
    wallet = await sandbox_bank.processor.list_methods(sandbox_bank.customer)
    assert ([method.ref for method in wallet.methods], wallet.default_ref) == ([second], second)
    _, _, text = await fetch(portal)
    assert "4444" in text
    assert "4242" not in text
    other = await sandbox_bank.processor.create_customer(
        uuid7(), uuid7(), CustomerDetails(name="Other")
    )
    foreign = await sandbox_bank.processor.portal_link(other, RETURN)
    assert (await sandbox_bank.click(foreign, act="remove", method=second))[0] == 404


# ── Webhooks as they are asked for ───────────────────────────────────────────────────────────────


async def paid_with(shop: Shop, bank: SandboxBank, delivery: str) -> Payment:
    payment = await shop.intend(page=PageKind.HOSTED)
    opened = await open_page(shop.till, payment.org_id, payment.payment_id)
    status, _ = await bank.click(
        opened.page_url or "", number="4242424242424242", delivery=delivery
    )
    assert status == 303
    return payment


async def status_of(shop: Shop, payment: Payment) -> PaymentStatus:
    async with shop.database.connection() as connection:
        return (await get_payment(connection, payment.org_id, payment.payment_id)).status


@pytest.mark.parametrize(("delivery", "times"), [("once", 1), ("twice", 2)])
async def test_webhooks_come_as_often_as_asked_and_count_once(
    sandbox_shop: Shop, sandbox_bank: SandboxBank, delivery: str, times: int
) -> None:
    payment = await paid_with(sandbox_shop, sandbox_bank, delivery)
    assert await deliver_sandbox(sandbox_shop.till, sandbox_bank.sandbox) == times
    assert await deliver_sandbox(sandbox_shop.till, sandbox_bank.sandbox) == 0
    assert await status_of(sandbox_shop, payment) is PaymentStatus.SUCCEEDED
    assert len(await sandbox_shop.heard("payment")) == 1


async def test_a_late_webhook_comes_late(sandbox_shop: Shop, sandbox_bank: SandboxBank) -> None:
    payment = await paid_with(sandbox_shop, sandbox_bank, "late")
    assert await deliver_sandbox(sandbox_shop.till, sandbox_bank.sandbox) == 0
    await sandbox_shop.wait(59)
    assert await deliver_sandbox(sandbox_shop.till, sandbox_bank.sandbox) == 0
    await sandbox_shop.wait(2)
    assert await deliver_sandbox(sandbox_shop.till, sandbox_bank.sandbox) == 1
    assert await status_of(sandbox_shop, payment) is PaymentStatus.SUCCEEDED


async def test_a_webhook_that_never_comes_can_be_sent_by_hand(
    sandbox_shop: Shop, sandbox_bank: SandboxBank
) -> None:
    payment = await paid_with(sandbox_shop, sandbox_bank, "never")
    await sandbox_shop.wait(days=1)
    assert await deliver_sandbox(sandbox_shop.till, sandbox_bank.sandbox) == 0
    assert await status_of(sandbox_shop, payment) is PaymentStatus.REQUIRES_PAYMENT
    _, _, text = await fetch(sandbox_bank.sandbox.dashboard_url)
    (event,) = re.findall(r'name="ref" value="(sbevt_[0-9a-f]+)"', text)
    await sandbox_bank.click(sandbox_bank.sandbox.dashboard_url, act="send", ref=event)
    assert await deliver_sandbox(sandbox_shop.till, sandbox_bank.sandbox) == 1
    assert await status_of(sandbox_shop, payment) is PaymentStatus.SUCCEEDED


async def test_the_dashboard_does_each_thing_once(
    sandbox_shop: Shop, sandbox_bank: SandboxBank
) -> None:
    method = await sandbox_shop.on_file()
    payment = await sandbox_shop.intend(method_id=method.method_id)
    paid = await charge(sandbox_shop.till, payment.org_id, payment.payment_id)
    dashboard = sandbox_bank.sandbox.dashboard_url
    for _ in range(3):
        assert (await sandbox_bank.click(dashboard, act="refund", ref=paid.ref or ""))[0] == 303
        assert (await sandbox_bank.click(dashboard, act="dispute", ref=paid.ref or ""))[0] == 303
    assert (await sandbox_bank.click(dashboard, act="explode", ref=paid.ref or ""))[0] == 400
    lines = [
        line
        async for line in sandbox_bank.processor.movements(
            sandbox_shop.clock.now() - timedelta(1), sandbox_shop.clock.now() + timedelta(1)
        )
    ]
    assert sorted(line.amount_minor for line in lines) == [-2500, -2500, 2500]


def test_a_page_escapes_its_title() -> None:
    assert b"<title>&lt;b&gt;" in html_page("<b>", [])
