"""Reconciling whole histories, at the sandbox and at Stripe's fake: clean as they are, and one row
broken by hand is one difference, named."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from banks import FakeBank
from shops import VISA, Shop

from tollkeeper import ledger
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.credits.reconciling import store
from tollkeeper.credits.reconciling.comparing import reconcile
from tollkeeper.credits.reconciling.model import About, Kind, Reconciliation, Window
from tollkeeper.db import Connection
from tollkeeper.ledger import EntryKind, LotKind, NewLot, Posting
from tollkeeper.payments import (
    NewRefund,
    catch_up,
    charge,
    handle_pending,
    intend_refund,
    refund,
    to_nanos,
)
from tollkeeper.payments.model import (
    DisputeChanged,
    DisputeStatus,
    Payment,
    PaymentChanged,
    PaymentStatus,
    RefundChanged,
    RefundStatus,
)


@dataclass
class Books:
    """A shop whose payments become credit, as plainly as can be."""

    shop: Shop
    owner: Connection
    wallet_id: UUID

    def listen(self) -> None:
        handlers = self.shop.till.handlers
        handlers.on(PaymentChanged, self._paid)
        handlers.on(RefundChanged, self._refunded)
        handlers.on(DisputeChanged, self._disputed)

    async def _paid(self, tx: Connection, change: PaymentChanged) -> None:
        payment = change.payment
        if payment.status is PaymentStatus.SUCCEEDED:
            amount = to_nanos(payment.amount_minor, payment.currency)
            await self._post(
                tx, EntryKind.PURCHASE, amount, f"payment:{payment.payment_id}", payment.subject_id
            )

    async def _refunded(self, tx: Connection, change: RefundChanged) -> None:
        made = change.refund
        if made.status is RefundStatus.SUCCEEDED:
            amount = to_nanos(made.amount_minor, made.currency)
            await self._post(tx, EntryKind.REFUND, -amount, f"refund:{made.refund_id}")

    async def _disputed(self, tx: Connection, change: DisputeChanged) -> None:
        dispute = change.dispute
        amount = to_nanos(dispute.amount_minor, dispute.currency)
        if dispute.status in (DisputeStatus.OPEN, DisputeStatus.LOST):
            await self._post(tx, EntryKind.DISPUTE, -amount, f"dispute:{dispute.dispute_id}")
        taken = await ledger.entry_by_source(tx, self.shop.org_id, f"dispute:{dispute.dispute_id}")
        if dispute.status is DisputeStatus.WON and taken is not None:
            await self._post(tx, EntryKind.DISPUTE, amount, f"dispute_won:{dispute.dispute_id}")

    async def _post(
        self, tx: Connection, kind: EntryKind, amount: int, source: str, bought: UUID | None = None
    ) -> None:
        posting = Posting(
            org_id=self.shop.org_id,
            wallet_id=self.wallet_id,
            entry_id=bought or uuid7(),
            kind=kind,
            amount=amount,
            lot=NewLot(kind=LotKind.PURCHASED) if bought else None,
            source=source,
        )
        await ledger.post(tx, posting, self.shop.clock.now())

    async def pay(self, card: str = VISA, amount_minor: int = 2500) -> Payment:
        method = await self.shop.on_file(card)
        payment = await self.shop.intend(
            method_id=method.method_id, off_session=True, amount_minor=amount_minor
        )
        return await charge(self.shop.till, payment.org_id, payment.payment_id)

    async def refund(self, payment: Payment, amount_minor: int) -> UUID:
        new = NewRefund(
            org_id=payment.org_id,
            refund_id=uuid7(),
            payment_id=payment.payment_id,
            amount_minor=amount_minor,
            reason="asked for it",
        )
        async with self.shop.database.transaction() as tx:
            await intend_refund(tx, new, self.shop.clock.now())
        await refund(self.shop.till, new.org_id, new.refund_id)
        return new.refund_id

    async def hear(self) -> None:
        await self.shop.wait(1)
        await catch_up(self.shop.till)
        while await handle_pending(self.shop.till):
            pass

    async def reconcile(self, days: int = 2) -> Reconciliation:
        now = self.shop.clock.now()
        window = Window(now - timedelta(days=days), now + timedelta(seconds=1))
        return await reconcile(self.shop.till, self.shop.bank.processor, window)

    async def break_row(self, statement: str, *given: object) -> None:
        """As the superuser, past everything that keeps rows right."""
        done = await self.owner.execute(statement.encode(), given)
        assert done.rowcount == 1


@pytest.fixture
async def books(shop: Shop, owner: Connection) -> Books:
    made = Books(shop, owner, uuid7())
    async with shop.database.transaction() as tx:
        await ledger.open_wallet(
            tx,
            org_id=shop.org_id,
            wallet_id=made.wallet_id,
            livemode=False,
            currency="USD",
            now=shop.clock.now(),
        )
    made.listen()
    return made


def found(made: Reconciliation) -> list[tuple[Kind, About, str]]:
    return [(one.kind, one.about, one.name) for one in made.differences]


async def test_a_history_of_everything_is_clean(books: Books) -> None:
    chance = random.Random(11)  # noqa: S311 (no secret)
    paid = [await books.pay(amount_minor=chance.randrange(500, 5_000)) for _ in range(6)]
    await books.pay("pm_card_chargeCustomerFail")
    await books.shop.intend(method_id=(await books.shop.on_file()).method_id)
    await books.shop.wait(hours=7)
    for payment in paid[:3]:
        await books.refund(payment, chance.randrange(1, payment.amount_minor // 2))
    await books.shop.bank.refund_by_hand(paid[3].ref or "")
    lost = await books.shop.bank.open_dispute(paid[4].ref or "")
    won = await books.shop.bank.open_dispute(paid[5].ref or "")
    await books.hear()
    await books.shop.wait(hours=20)
    await books.shop.bank.move_dispute(lost, DisputeStatus.LOST)
    await books.shop.bank.move_dispute(won, DisputeStatus.WON)
    await books.hear()
    made = await books.reconcile(days=3)
    assert found(made) == []
    assert made.clean
    assert sum(day.payments for day in made.days) == sum(day.booked for day in made.days) == 6
    for day in made.days:
        assert (day.paid_minor, day.refunded_minor) == (
            day.booked_minor,
            day.booked_refunded_minor,
        )
    assert sum(day.paid_minor for day in made.days) == sum(p.amount_minor for p in paid)
    fees = sum((payment.amount_minor * 29 + 500) // 1000 + 30 for payment in paid)
    assert sum(day.fees_minor for day in made.days) == fees + 2 * 1500
    async with books.shop.database.connection() as connection:
        assert await store.newest(connection, 10, None) == [made]
        kept = await connection.execute("SELECT count(*) FROM reconciliation_line")
        assert await kept.fetchone() == (0,)


async def test_money_that_nobody_told_us_of(books: Books) -> None:
    """The webhook has not come, and nobody has asked: it is paid there, and not here."""
    payment = await books.pay()
    await books.break_row(
        "UPDATE payment SET status = 'processing', settled_at = NULL, check_at = now()"
        " WHERE payment_id = %s",
        payment.payment_id,
    )
    name = show_id("pay", payment.payment_id)
    assert (Kind.STATUS_DIFFERS, About.PAYMENT, name) in found(await books.reconcile())


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ("amount_minor = amount_minor + 1", Kind.AMOUNT_DIFFERS),
        ("currency = 'EUR'", Kind.CURRENCY_DIFFERS),
    ],
)
async def test_a_payment_changed_by_hand(books: Books, broken: str, expected: Kind) -> None:
    payment = await books.pay()
    await books.pay()
    await books.break_row(
        f"UPDATE payment SET {broken} WHERE payment_id = %s",
        payment.payment_id,
    )
    (first, *_) = (await books.reconcile()).differences
    assert (first.kind, first.name) == (expected, show_id("pay", payment.payment_id))


async def test_a_payment_removed_by_hand(books: Books) -> None:
    payment = await books.pay()
    await books.break_row("DELETE FROM payment WHERE payment_id = %s", payment.payment_id)
    made = await books.reconcile()
    name = show_id("pay", payment.payment_id)
    assert found(made) == [(Kind.MISSING_HERE, About.PAYMENT, name)]
    assert show_id("ent", payment.subject_id) in made.differences[0].said


async def test_a_refund_that_names_nothing_belongs_to_the_charge_that_does(books: Books) -> None:
    """Made by hand of a payment whose row is gone: it is ours all the same."""
    payment = await books.pay()
    await books.shop.bank.refund_by_hand(payment.ref or "")
    await books.break_row("DELETE FROM payment WHERE payment_id = %s", payment.payment_id)
    made = await books.reconcile()
    assert sorted(one.about for one in made.differences) == [About.PAYMENT, About.REFUND]
    assert made.counts == {Kind.MISSING_HERE: 2}
    assert [(day.foreign, day.refunds) for day in made.days] == [(0, 1)]


async def test_a_payment_that_the_processor_never_saw(books: Books) -> None:
    payment = await books.pay()
    await books.break_row(
        "UPDATE payment SET ref = 'pi_invented' WHERE payment_id = %s", payment.payment_id
    )
    # It still names itself at the processor, by our id.
    assert found(await books.reconcile()) == []
    await books.shop.wait(days=40)
    ours = await books.shop.intend(method_id=payment.method_id, off_session=True)
    await books.break_row(
        "UPDATE payment SET status = 'succeeded', settled_at = %s, check_at = NULL,"
        " ref = 'pi_invented' WHERE payment_id = %s",
        books.shop.clock.now(),
        ours.payment_id,
    )
    name = show_id("pay", ours.payment_id)
    assert found(await books.reconcile()) == [
        (Kind.MISSING_AT_PROCESSOR, About.PAYMENT, name),
        (Kind.PAYMENT_WITHOUT_CREDIT, About.PAYMENT, name),
    ]


async def test_entries_changed_by_hand(books: Books) -> None:
    uncredited, twice = await books.pay(), await books.pay()
    given_back = await books.refund(await books.pay(), 700)
    await books.break_row("DELETE FROM entry WHERE source = %s", f"payment:{uncredited.payment_id}")
    await books.break_row("DELETE FROM entry WHERE source = %s", f"refund:{given_back}")
    async with books.shop.database.transaction() as tx:
        await books._post(tx, EntryKind.PURCHASE, 10**9, f"purchase:{twice.subject_id}", uuid7())
        gift = uuid7()
        await books._post(tx, EntryKind.PURCHASE, 10**9, "payment:by-hand", gift)
    assert sorted(found(await books.reconcile())) == sorted(
        [
            (Kind.PAYMENT_WITHOUT_CREDIT, About.PAYMENT, show_id("pay", uncredited.payment_id)),
            (Kind.CREDITED_TWICE, About.PAYMENT, show_id("pay", twice.payment_id)),
            (Kind.REFUND_WITHOUT_ENTRY, About.REFUND, show_id("ref", given_back)),
            (Kind.CREDIT_WITHOUT_PAYMENT, About.ENTRY, show_id("ent", gift)),
        ]
    )


PURCHASE = """
INSERT INTO purchase (
    org_id, purchase_id, wallet_id, livemode, origin, status, credit_nanos, price_minor, fee_minor,
    tax_minor, total_minor, currency, actor, created_at, succeeded_at, balance_after, paged, taxes,
    buyer
) VALUES (%s, %s, %s, false, 'purchase', 'succeeded', %s, 2500, 0, 0, 2500, 'USD', 'test', now(),
          now(), 0, false, '[]', '{}')
"""


async def test_a_purchase_that_says_something_else(books: Books) -> None:
    fine, less, dearer, unpaid = [await books.pay() for _ in range(4)]
    for payment in (fine, less, dearer, unpaid):
        given = (payment.org_id, payment.subject_id, books.wallet_id, to_nanos(2500, "USD"))
        await books.break_row(PURCHASE, *given)
    assert found(await books.reconcile()) == []
    changed = "UPDATE purchase SET {} WHERE purchase_id = %s"
    await books.break_row(changed.format("credit_nanos = 1"), less.subject_id)
    dear = "price_minor = 9, total_minor = 9"
    await books.break_row(changed.format(dear), dearer.subject_id)
    failed = "status = 'failed', succeeded_at = NULL, balance_after = NULL"
    await books.break_row(changed.format(failed), unpaid.subject_id)
    assert sorted(found(await books.reconcile())) == sorted(
        [
            (Kind.CREDIT_DIFFERS, About.ENTRY, show_id("ent", less.subject_id)),
            (Kind.AMOUNT_DIFFERS, About.PURCHASE, show_id("pur", dearer.subject_id)),
            (Kind.STATUS_DIFFERS, About.PURCHASE, show_id("pur", unpaid.subject_id)),
        ]
    )


async def test_refunds_and_disputes_changed_by_hand(books: Books) -> None:
    gone, other = await books.pay(), await books.pay()
    refund_id = await books.refund(gone, 700)
    dispute_ref = await books.shop.bank.open_dispute(other.ref or "")
    await books.hear()
    await books.shop.bank.move_dispute(dispute_ref, DisputeStatus.LOST)
    await books.hear()
    assert found(await books.reconcile()) == []
    (before,) = await _rows(books, "SELECT dispute_id, ref FROM dispute")
    await books.break_row("DELETE FROM entry WHERE source = %s", f"dispute:{before[0]}")
    ((refund_ref,),) = await _rows(books, "SELECT ref FROM refund")
    await books.break_row("DELETE FROM refund WHERE refund_id = %s", refund_id)
    assert sorted(found(await books.reconcile())) == sorted(
        [
            (Kind.DISPUTE_WITHOUT_ENTRY, About.DISPUTE, show_id("dis", before[0])),
            (Kind.MISSING_HERE, About.REFUND, refund_ref),
        ]
    )
    await books.break_row("DELETE FROM dispute WHERE dispute_id = %s", before[0])
    assert (Kind.MISSING_HERE, About.DISPUTE, before[1]) in found(await books.reconcile())


async def _rows(books: Books, query: str) -> list[tuple[Any, ...]]:
    return await (await books.owner.execute(query.encode())).fetchall()


async def test_days_that_end_at_different_times(books: Books) -> None:
    """Paid there just before midnight, heard of here after it: each window has it once, clean."""
    now = books.shop.clock.now()
    midnight = now.replace(hour=0, minute=0, second=0) + timedelta(days=2)
    books.shop.clock.advance(midnight - timedelta(seconds=2) - now)
    payment = await books.pay()
    await books.break_row(
        "UPDATE payment SET settled_at = %s WHERE payment_id = %s",
        midnight + timedelta(hours=3),
        payment.payment_id,
    )
    await books.shop.wait(days=2)
    till, processor = books.shop.till, books.shop.bank.processor
    for since in (midnight - timedelta(days=1), midnight):
        made = await reconcile(till, processor, Window(since, since + timedelta(days=1)))
        assert made.clean, made.differences
        counted = [(day.payments, day.booked) for day in made.days]
        assert counted == ([(1, 1)] if since < midnight else [])


async def test_another_business_on_the_same_account_is_counted_and_no_alarm(
    fake_shop: Shop, fake_bank: FakeBank
) -> None:
    v1 = fake_bank.stripe._client.v1
    other = await v1.customers.create_async({"name": "Other"})
    await v1.payment_intents.create_async(
        {
            "amount": 900,
            "currency": "usd",
            "customer": other.id,
            "payment_method": VISA,
            "confirm": True,
            "return_url": "https://a.test",
        }
    )
    now = fake_shop.clock.now()
    window = Window(now - timedelta(days=1), now + timedelta(seconds=1))
    made = await reconcile(fake_shop.till, fake_bank.processor, window)
    assert made.clean
    assert [(day.foreign, day.foreign_minor, day.payments) for day in made.days] == [(1, 900, 0)]
    assert [day.fees_minor for day in made.days] == [0]
