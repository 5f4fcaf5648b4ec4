"""A customer's books to export, written at moments that a test chooses."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import msgspec

from tollkeeper import invoices, ledger
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.base.money import NumberText
from tollkeeper.invoices import Content, DocumentType, Line, NewInvoice, Numbering, Party
from tollkeeper.metering import Call, new_charge
from tollkeeper.pricing import PriceVersion, Rate, rate, seal
from whole import Answer, Customer, Whole

# After the wallets of this test were made: times never run backwards in one.
START = datetime(2100, 3, 26, 12, tzinfo=UTC)
GPT = seal(
    PriceVersion(
        provider="openai",
        model="gpt-5",
        effective_from=datetime(2026, 1, 1, tzinfo=UTC),
        source="a test",
        rates={"input": Rate(1_250_000_000, 1_000_000), "output": Rate(10**10, 1_000_000)},
    )
)
_decode = msgspec.json.Decoder(float_hook=NumberText).decode


def move_to(whole: Whole, at: datetime) -> None:
    clock = cast("MovableClock", whole.app.rooms.clock)
    clock.advance(at - clock.now())


async def call(whole: Whole, customer: Customer, *, livemode: bool = True, **said: Any) -> None:
    """Charge a call of two lines, now."""
    rooms = whole.app.rooms
    asked: dict[str, Any] = {"project_id": customer.project_id, "operation": "chat", **said}
    named = Call(
        org_id=customer.org_id,
        wallet_id=await wallet_of(whole, customer.org_id, livemode=livemode),
        usage_id=uuid7(),
        started_at=rooms.clock.now(),
        provider="openai",
        model="gpt-5",
        **asked,
    )
    await rooms.meter.settle(new_charge(named, rate(GPT, {"input": 1000, "output": 7})))


async def wallet_of(whole: Whole, org_id: UUID, *, livemode: bool) -> UUID:
    async with whole.database.connection() as connection:
        wallets = await ledger.wallets_of(connection, org_id)
    return next(wallet.wallet_id for wallet in wallets if wallet.livemode == livemode)


async def calls_each_hour(whole: Whole, customer: Customer, hours: int) -> None:
    clock = cast("MovableClock", whole.app.rooms.clock)
    for _ in range(hours):
        await call(whole, customer)
        clock.advance(timedelta(hours=1))


async def invoice(whole: Whole, org_id: UUID, cause: str) -> None:
    seller = Party(name="Harbourlight", address=("Hamburg",))
    new = NewInvoice(
        org_id=org_id,
        invoice_id=uuid7(),
        livemode=True,
        type=DocumentType.INVOICE,
        cause=cause,
        currency="USD",
        content=Content(
            seller=seller,
            buyer=Party(name="Northwind", address=("Dublin",)),
            lines=(Line(description="Prepaid credit", net_minor=25_05),),
            taxes=(),
        ),
        purchase_id=uuid7(),
    )
    async with whole.database.transaction() as tx:
        await invoices.issue(tx, new, Numbering(), whole.app.rooms.clock.now())


async def grant(whole: Whole, customer: Customer, reason: str) -> None:
    body = {"amount": 5, "reason": reason}
    path = f"/organizations/{customer.id}/grants"
    assert (await whole.operate("POST", path, body)).status == 201


async def count_entries(whole: Whole, org_id: UUID) -> int:
    async with whole.database.connection() as connection:
        wallets = await ledger.wallets_of(connection, org_id)
        return sum(
            [
                len(await ledger.entries(connection, org_id, wallet.wallet_id, limit=1000))
                for wallet in wallets
            ]
        )


def ndjson(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.text
    return [_decode(line) for line in answer.text.splitlines()]


def table(answer: Answer) -> list[dict[str, str]]:
    assert answer.status == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))
