"""Calls that are charged with a mark-up, at moments that a test chooses."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from msgspec.structs import replace

from tollkeeper import ledger, pricing
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.base.settings import Provider, Settings
from tollkeeper.metering import Call, failed_call, new_charge
from tollkeeper.pricing import Markup, PriceVersion, Rate, rate, seal
from whole import Answer, Customer, Whole

# After the wallets of this test were made: times never run backwards in one.
START = datetime(2100, 3, 26, 12, tzinfo=UTC)
SETTINGS = Settings(providers={"toy": Provider(kind="sandbox")})
_FROM = datetime(2026, 1, 1, tzinfo=UTC)


def _priced(provider: str, model: str, rates: dict[str, Rate], **said: Any) -> PriceVersion:
    return seal(
        PriceVersion(
            provider=provider,
            model=model,
            effective_from=_FROM,
            source="a test",
            rates=rates,
            **said,
        )
    )


# 1 and 10 USD for a million tokens; fractions of a nano; a cent; and a model that is simulated.
_GPT_RATES = {"input": Rate(10**9, 10**6), "output": Rate(10**10, 10**6)}
GPT = _priced("openai", "gpt-5", _GPT_RATES, aliases=("gpt-5-2025-08-07",))
ODD = _priced("anthropic", "odd", {"input": Rate(1, 3), "output": Rate(10**9, 70_001)})
OWN = _priced("own", "page", {"request": Rate(10_000_000, 1)})
TOY = _priced("toy", "toy", {"input": Rate(10**9, 10**6)})
WITH_IMAGES = seal(
    PriceVersion(
        provider="openai",
        model="gpt-5",
        effective_from=datetime(2026, 1, 2, tzinfo=UTC),
        source="a test",
        rates={**_GPT_RATES, "image": Rate(20_000_000, 1)},
    )
)
ALL = (GPT, ODD, OWN, TOY)


async def publish(whole: Whole) -> None:
    async with whole.database.transaction() as tx:
        await pricing.publish(tx, ALL, "test", whole.app.rooms.clock.now())
    await whole.app.rooms.books.refresh()


def move_to(whole: Whole, at: datetime) -> None:
    clock = cast("MovableClock", whole.app.rooms.clock)
    clock.advance(at - clock.now())


async def wallet_of(whole: Whole, org_id: UUID, *, livemode: bool) -> UUID:
    async with whole.database.connection() as connection:
        wallets = await ledger.wallets_of(connection, org_id)
    return next(wallet.wallet_id for wallet in wallets if wallet.livemode == livemode)


async def call(
    whole: Whole,
    customer: Customer,
    version: PriceVersion,
    usage: dict[str, int],
    *,
    began: datetime | None = None,
    usage_id: UUID | None = None,
    overage: Mapping[str, tuple[int, int]] | None = None,
    livemode: bool = True,
) -> int:
    """Charge a call, now: list price, half of it, and a thousandth of a dollar. Returns that."""
    named = await _call(whole, customer, version, began, livemode=livemode)
    named = replace(named, usage_id=usage_id or named.usage_id)
    rating = rate(version, usage, markup=Markup(500_000, 1_000_000), overage=overage)
    await whole.app.rooms.meter.settle(new_charge(named, rating))
    return rating.cost_nanos


async def fail(whole: Whole, customer: Customer, version: PriceVersion) -> None:
    named = await _call(whole, customer, version, None, livemode=True)
    await whole.app.rooms.meter.settle(failed_call(named, status=500, error="no"))


async def _call(
    whole: Whole,
    customer: Customer,
    version: PriceVersion,
    began: datetime | None,
    *,
    livemode: bool,
) -> Call:
    return Call(
        org_id=customer.org_id,
        wallet_id=await wallet_of(whole, customer.org_id, livemode=livemode),
        usage_id=uuid7(),
        started_at=began or whole.app.rooms.clock.now(),
        provider=version.provider,
        model=version.model,
    )


def openai_costs(*days: tuple[datetime, dict[str | None, Any]]) -> str:
    """An answer of OpenAI's costs, by line item."""
    data = [
        {
            "object": "bucket",
            "start_time": int(day.timestamp()),
            "end_time": int(day.timestamp()) + 86_400,
            "results": [
                {
                    "object": "organization.costs.result",
                    "amount": {"value": value, "currency": "usd"},
                    "line_item": item,
                    "project_id": None,
                }
                for item, value in items.items()
            ],
        }
        for day, items in days
    ]
    page = {"object": "page", "data": data, "has_more": False, "next_page": None}
    return msgspec.json.encode(page).decode()


def table(answer: Answer) -> list[dict[str, str]]:
    assert answer.status == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))
