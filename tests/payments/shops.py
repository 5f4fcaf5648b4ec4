"""A till with one organization at it, and an ear that writes down what it hears in the same
transaction, so that what was heard and undone is not there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from banks import RETURN, Bank

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.orgs import create_org
from tollkeeper.payments import Owner, Till, intend_payment
from tollkeeper.payments.handlers import Handlers
from tollkeeper.payments.methods import customers, keeping
from tollkeeper.payments.model import (
    DisputeChanged,
    Method,
    MethodAdded,
    MethodRemoved,
    NewPayment,
    Payment,
    PaymentChanged,
    RefundChanged,
)
from tollkeeper.payments.processors import Processors

VISA = "pm_card_visa"
HEARD = """
CREATE TABLE heard (n bigint GENERATED ALWAYS AS IDENTITY, what text, id uuid, was text, now text);
GRANT SELECT, INSERT ON heard TO tollkeeper_app;
"""


class Heard(NamedTuple):
    what: str
    id: UUID
    was: str | None
    now: str


@dataclass
class Shop:
    bank: Bank
    till: Till
    database: Database
    clock: MovableClock
    org_id: UUID

    @property
    def owner(self) -> Owner:
        return Owner(org_id=self.org_id, livemode=False)

    async def on_file(self, card: str = VISA) -> Method:
        """Keep a card, with its bank's consent if it asks for that."""
        self.bank.org_id = self.org_id
        self.bank.customer = await customers.ensure(self.till, self.org_id, livemode=False)
        ref = await self.bank.on_file(card)
        methods = await keeping.sync(self.till, self.owner)
        return next(method for method in methods if method.ref == ref)

    async def intend(self, **more: Any) -> Payment:
        given: dict[str, Any] = {
            "org_id": self.org_id,
            "payment_id": uuid7(),
            "livemode": False,
            "subject_id": uuid7(),
            "amount_minor": 2500,
            "currency": "USD",
            "description": "25 USD of credit",
            "return_url": RETURN,
            **more,
        }
        async with self.database.transaction() as tx:
            return await intend_payment(tx, self.till, NewPayment(**given), self.clock.now())

    async def heard(self, what: str | None = None) -> list[Heard]:
        """What the handlers were told, in order, as far as it was committed."""
        async with self.database.connection() as connection:
            found = await connection.execute("SELECT what, id, was, now FROM heard ORDER BY n")
            rows = [Heard(*row) for row in await found.fetchall()]
        return [row for row in rows if what in (None, row.what)]

    def listen(self) -> None:
        handlers = self.till.handlers
        handlers.on(PaymentChanged, self._payment)
        handlers.on(RefundChanged, self._refund)
        handlers.on(DisputeChanged, self._dispute)
        handlers.on(MethodAdded, self._added)
        handlers.on(MethodRemoved, self._removed)

    async def _payment(self, tx: Connection, change: PaymentChanged) -> None:
        await _write(tx, "payment", change.payment.payment_id, change.was, change.payment.status)

    async def _refund(self, tx: Connection, change: RefundChanged) -> None:
        await _write(tx, "refund", change.refund.refund_id, change.was, change.refund.status)

    async def _dispute(self, tx: Connection, change: DisputeChanged) -> None:
        await _write(tx, "dispute", change.dispute.dispute_id, change.was, change.dispute.status)

    async def _added(self, tx: Connection, change: MethodAdded) -> None:
        await _write(tx, "method", change.method.method_id, None, "added")

    async def _removed(self, tx: Connection, change: MethodRemoved) -> None:
        await _write(tx, "method", change.method.method_id, None, "removed")

    async def wait(self, seconds: float = 0, **more: float) -> None:
        """Let time pass, for us and for the processor."""
        self.clock.advance(timedelta(seconds=seconds, **more))


async def _write(tx: Connection, what: str, id_: UUID, was: str | None, now: str) -> None:
    await tx.execute(
        "INSERT INTO heard (what, id, was, now) VALUES (%s, %s, %s, %s)", (what, id_, was, now)
    )


async def open_shop(bank: Bank, database: Database, owner: Connection) -> Shop:
    await owner.execute(HEARD)
    clock = bank.clock
    till = Till(
        database=database,
        processors=Processors((bank.processor,)),
        clock=clock,
        handlers=Handlers(),
    )
    org_id = uuid7()
    async with database.transaction() as tx:
        await create_org(tx, org_id=org_id, name="Acme", now=clock.now())
    shop = Shop(bank, till, database, clock, org_id)
    shop.listen()
    return shop
