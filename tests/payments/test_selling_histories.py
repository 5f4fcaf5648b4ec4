"""Random histories of purchases, refunds and disputes, with a fault at any step: a time-out before
or after, webhooks first, late, often or never, a crash between any two writes. Whatever happened,
in the end: credited = paid - refunded - clawed back, the documents come to what was kept, and
nobody was charged twice for one order.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from banks import FakeBank
from fake_stripe import How
from selling import DOLLAR, Seller, open_seller, verified
from shops import Shop

from tollkeeper import credits, invoices, payments  # noqa: A004 (the room's name)
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.settings import Settings
from tollkeeper.credits import Purchase, PurchaseStatus, PurchaseSucceeded
from tollkeeper.credits.purchases import cancel
from tollkeeper.credits.store import page
from tollkeeper.db import Connection
from tollkeeper.invoices import DocumentType, Typesetter
from tollkeeper.ledger import EntryKind
from tollkeeper.payments import Which
from tollkeeper.payments.model import (
    DisputeChanged,
    PageKind,
    PaymentChanged,
    RefundChanged,
)

_CENT = DOLLAR // 100
_STEPS = 25
_FAULTS = [how for how in How if how is not How.WELL]
_PATHS = [
    ("POST", "/v1/payment_intents"),
    ("POST", "/v1/payment_intents/[^/]+/confirm"),
    ("POST", "/v1/refunds"),
    ("POST", "/v1/checkout/sessions"),
    ("GET", "/v1/payment_intents/[^/]+"),
    ("GET", "/v1/payment_intents"),
    ("GET", "/v1/refunds/[^/]+"),
    ("GET", "/v1/disputes/[^/]+"),
    ("GET", "/v1/events"),
]
_CARDS = [
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_chargeCustomerFail",
    "pm_card_authenticationRequired",
    "pm_card_pendingRefund",
    "pm_card_refundFail",
]


class Crash(Exception):
    """The process died here: nothing of its transaction is left."""


@dataclass
class History:
    seller: Seller
    bank: FakeBank
    chance: random.Random
    crashing: bool = False

    def listen(self) -> None:
        """Die after everything was written, before it is committed."""

        async def crash(_: Connection, __: Any) -> None:
            if self.crashing:
                self.crashing = False
                raise Crash

        handlers = self.seller.shop.till.handlers
        desk = invoices.desk_of(Settings(), Typesetter())

        async def issue(tx: Connection, told: PurchaseSucceeded) -> None:
            await invoices.issue_for_purchase(tx, desk, told)

        self.seller.desk.succeeded.append(issue)
        invoices.hear_of_money_back(handlers, desk)
        handlers.on(PaymentChanged, crash)
        handlers.on(RefundChanged, crash)
        handlers.on(DisputeChanged, crash)

    async def step(self) -> None:
        if self.chance.random() < 0.4:
            method, path = self.chance.choice(_PATHS)
            times = self.chance.choice([1, 2, -1])
            how = self.chance.choice(_FAULTS)
            self.bank.fake.fail(path, how, method=method, times=times)
        self.crashing = self.chance.random() < 0.2
        act = self.chance.choice(self.acts)
        with suppress(TollkeeperError, Crash, TimeoutError):
            # Killed in the middle of anything.
            async with asyncio.timeout(self.chance.choice([0.01, 0.05, 20, 20, 20])):
                await act()
        if self.chance.random() < 0.6:
            self.bank.fake.heal()
        await self.seller.shop.wait(seconds=self.chance.choice([0, 1, 40, 400]))

    @property
    def acts(self) -> list[Callable[[], Awaitable[object]]]:
        return [
            self.buy,
            self.buy,
            self.buy_on_page,
            self.go_on,
            self.refund,
            self.refund_by_hand,
            self.dispute,
            self.end_dispute,
            self.end_refund,
            self.spend,
            self.deliver,
            self.seller.hear,
            self.look_after,
        ]

    async def buy(self) -> None:
        method = await self.seller.card(self.chance.choice(_CARDS))
        order = self.seller.order(self.chance.randrange(5, 50), method_id=method.method_id)
        for _ in range(self.chance.choice([1, 1, 3])):
            await credits.buy(self.seller.desk, order)

    async def buy_on_page(self) -> None:
        _, payment = await self.seller.buy(page=PageKind.HOSTED)
        if payment.page_url is not None and self.chance.random() < 0.7:
            await self.bank.submit_page(payment.page_url, "4242424242424242")

    async def go_on(self) -> None:
        for purchase in await self.purchases(credited=False):
            if self.chance.random() < 0.3:
                await cancel(self.seller.desk, purchase)
            if self.chance.random() < 0.5:
                _, payment = await self.seller.resume(purchase)
                approves = self.chance.random() < 0.7
                if payment.action_url is not None:
                    await self.bank.answer_bank(payment.action_url, approves=approves)

    async def refund(self) -> None:
        for purchase in (await self.purchases(credited=True))[:1]:
            minor = self.chance.choice([None, 100, 1 + purchase.total_minor // 3])
            await self.seller.refund(purchase, minor, force=self.chance.random() < 0.5)

    async def refund_by_hand(self) -> None:
        for charge in self.bank.fake.charges()[-1:]:
            left = charge["amount"] - charge["amount_refunded"]
            if left and not charge["disputed"]:
                intent, part = charge["payment_intent"], self.chance.randint(1, left)
                self.bank.fake.refund_by_hand(intent, part)

    async def dispute(self) -> None:
        for charge in self.bank.fake.charges()[:1]:
            if not charge["disputed"]:
                inquiry = self.chance.random() < 0.3
                self.bank.fake.dispute(charge["payment_intent"], inquiry=inquiry)

    async def end_dispute(self) -> None:
        for dispute in self.bank.fake.state.all("dispute"):
            if dispute["status"] == "warning_needs_response":
                if self.chance.random() < 0.5:
                    self.bank.fake.escalate(dispute)
                else:
                    self.bank.fake.close_dispute(dispute, "warning_closed")
            elif dispute["status"] == "needs_response":
                self.bank.fake.close_dispute(dispute, self.chance.choice(["won", "lost"]))

    async def end_refund(self) -> None:
        for refund in self.bank.fake.state.all("refund"):
            if refund["status"] == "pending":
                succeeds = self.chance.random() < 0.5
                self.bank.fake.finish_refund(refund["id"], succeeds=succeeds)

    async def spend(self) -> None:
        await self.seller.spend(self.chance.randrange(1, 10))

    async def deliver(self) -> None:
        """Webhooks of long ago, some of them twice, in any order."""
        events = self.bank.fake.state.all("event")
        chosen = self.chance.sample(events, min(len(events), 8))
        which = Which(event_ids=tuple(event["id"] for event in chosen))
        await payments.replay(self.seller.shop.till, "stripe", which)
        while await payments.handle_pending(self.seller.shop.till):
            pass

    async def look_after(self) -> None:
        await payments.settle_unfinished(self.seller.shop.till)

    async def purchases(self, *, credited: bool) -> list[Purchase]:
        async with self.seller.shop.database.connection() as connection:
            found = await page(
                connection, self.seller.org_id, livemode=False, below=None, limit=1000
            )
        return [one for one in found if one.status.credited == credited]

    async def finish(self) -> None:
        self.crashing = False
        self.bank.fake.heal()
        await self.seller.settle()
        self.seller.shop.clock.advance(timedelta(days=2))  # pages that nobody paid on
        await self.seller.settle()

    async def on_paper(self) -> dict[str, int]:
        """What the documents of each purchase come to, in cents."""
        found = dict[str, int]()
        async with self.seller.shop.database.connection() as connection:
            documents = await invoices.list_invoices(
                connection, self.seller.org_id, livemode=None, below=None, limit=1000
            )
        for one in documents:
            sign = 1 if one.type is DocumentType.INVOICE else -1
            name = str(one.purchase_id)
            found[name] = found.get(name, 0) + sign * one.total_minor
        return found

    async def kept(self) -> dict[str, int]:
        """What is left of each payment by refunds that succeeded and disputes that are lost."""
        found = dict[str, int]()
        async with self.seller.shop.database.connection() as connection:
            for one in await self.purchases(credited=True):
                which = (self.seller.org_id, one.purchase_id)
                refunds = await payments.refunds_of(connection, *which)
                disputes = await payments.disputes_of(connection, *which)
                back = sum(r.amount_minor for r in refunds if r.status == "succeeded")
                back += sum(d.amount_minor for d in disputes if d.status == "lost")
                found[str(one.purchase_id)] = one.total_minor - min(one.total_minor, back)
        return found

    async def owed(self) -> int:
        """What Stripe's own books say the credit is, less what was spent; in nanos."""
        minor, entries = 0, await self.seller.entries()
        spent = sum(entry.amount for entry in entries if entry.kind is EntryKind.ADJUSTMENT)
        for charge in self.bank.fake.charges():
            back = sum(
                refund["amount"]
                for refund in self.bank.fake.state.all("refund")
                if refund["charge"] == charge["id"] and refund["status"] != "failed"
            )
            back += sum(
                dispute["amount"]
                for dispute in self.bank.fake.state.all("dispute")
                if dispute["charge"] == charge["id"]
                and dispute["status"] in ("needs_response", "lost")
            )
            minor += charge["amount"] - min(charge["amount"], back)
        return minor * _CENT + spent


@pytest.mark.parametrize("seed", range(24))
async def test_credited_is_paid_less_refunded_less_clawed_back(
    fake_shop: Shop, fake_bank: FakeBank, seed: int
) -> None:
    seller = await open_seller(fake_shop)
    history = History(seller, fake_bank, random.Random(seed))  # noqa: S311 (no secret)
    history.listen()
    await seller.hear()  # as a server does when it starts: from here on nothing is missed
    for _ in range(_STEPS):
        await history.step()
    await history.finish()
    bought = await history.purchases(credited=True)
    for purchase in bought + await history.purchases(credited=False):
        charges = await fake_bank.charged(purchase.purchase_id)
        assert len(charges) == int(purchase.status.credited)
    # Each order was told of once, though a transaction that was undone may have told of it before.
    assert set(seller.told) >= {purchase.purchase_id for purchase in bought}
    assert (await seller.wallet()).posted == await history.owed()
    assert await history.on_paper() == await history.kept()
    assert await seller.reconciled() == []
    assert await verified(seller) == []
    for purchase in await history.purchases(credited=False):
        assert purchase.status in (PurchaseStatus.FAILED, PurchaseStatus.REQUIRES_ACTION)
