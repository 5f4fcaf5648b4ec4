"""Which wallet pays, and how much of it, for any wallets, values and costs (V2, L6)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from metered import DOLLAR, GPT, Purse, open_purse

from tollkeeper import ledger, metering, pricing
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Database
from tollkeeper.ledger import ChargeOutcome, ChargeResult
from tollkeeper.metering import Call, Meter, Purses, new_charge, paid_from, pay_first
from tollkeeper.metering import Purse as Payer
from tollkeeper.metering.worth import convert, convert_rating, worth_of
from tollkeeper.pricing import Rating, rate

NANO = 10**9
values = st.integers(1, 10**15) | st.sampled_from([1, NANO - 1, NANO, NANO + 1, 300_000_000])
costs = st.integers(0, 2**61)
usages = st.dictionaries(
    st.sampled_from(["input", "cache_read", "output"]), st.integers(0, 10**7), max_size=3
)


@given(cost=costs, usd_value=values)
@example(cost=2**61, usd_value=1)
def test_what_is_deducted_is_worth_its_price_and_hardly_more(cost: int, usd_value: int) -> None:
    deducted = convert(cost, usd_value)
    if deducted < 2**63 - 1:
        assert cost * NANO <= deducted * usd_value < cost * NANO + usd_value


@given(nanos=st.integers(0, 2**61), usd_value=values)
def test_what_a_balance_affords_it_covers(nanos: int, usd_value: int) -> None:
    assert convert(worth_of(nanos, usd_value), usd_value) <= nanos


@given(usage=usages, usd_value=st.integers(100, 10**15) | st.sampled_from([NANO - 1, NANO]))
def test_converted_lines_add_up_to_the_converted_cost(
    usage: dict[str, int], usd_value: int
) -> None:
    dollars = rate(GPT, usage)
    paid = convert_rating(dollars, usd_value)
    assert sum(line.amount_nanos for line in paid.lines) == paid.cost_nanos
    assert paid.cost_nanos == convert(dollars.cost_nanos, usd_value)
    for before, after in zip(dollars.lines, paid.lines, strict=True):
        assert after.price_nanos == before.price_nanos
        assert abs(after.amount_nanos * usd_value - before.amount_nanos * NANO) < usd_value


@dataclass(frozen=True)
class Bench:
    """Organizations whose wallets are made by an example."""

    database: Database
    clock: MovableClock

    async def open(self, balances: dict[str, int]) -> tuple[UUID, dict[str, Purse]]:
        org_id, found = uuid7(), dict[str, Purse]()
        for currency, amount in balances.items():
            found[currency] = await open_purse(
                self.database, self.clock, amount, org_id=org_id, currency=currency
            )
        return org_id, found

    async def posted(self, purse: Purse) -> int:
        async with self.database.connection() as connection:
            return (await ledger.find_wallet(connection, purse.org_id, purse.wallet_id)).posted


@pytest.fixture
async def bench(database: Database) -> Bench:
    clock = MovableClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
    async with database.transaction() as tx:
        await pricing.publish(tx, [GPT], "test", clock.now())
    return Bench(database, clock)


async def pay(
    meter: Meter, org_id: UUID, rating: Rating, now: datetime
) -> metering.Paid[ChargeResult]:
    call = Call(org_id=org_id, wallet_id=org_id, usage_id=uuid7(), started_at=now)

    async def attempt(purse: Payer) -> ChargeResult:
        return await meter.charge(new_charge(paid_from(call, purse), rating))

    return await pay_first(meter.purses, org_id, False, attempt)


@given(
    balances=st.dictionaries(
        st.sampled_from(["A", "B", "C"]), st.integers(0, 10 * NANO), max_size=3
    ),
    dollars=st.integers(0, NANO),
    worth=st.lists(st.integers(10**6, 10**12), min_size=3, max_size=3),
    calls=st.lists(usages, min_size=1, max_size=4),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_the_first_that_covers_pays(
    bench: Bench,
    balances: dict[str, int],
    dollars: int,
    worth: list[int],
    calls: list[dict[str, int]],
) -> None:
    spending = {**dict(zip("ABC", worth, strict=True)), "USD": NANO}
    org_id, purses = await bench.open({**balances, "USD": dollars})
    left = {currency: (balances | {"USD": dollars})[currency] for currency in purses}
    async with Meter.open(bench.database, bench.clock, spending=spending) as meter:
        for usage in calls:
            rating = rate(GPT, usage)
            price = {code: convert(rating.cost_nanos, spending[code]) for code in purses}
            expected = next((c for c in spending if c in left and price[c] <= left[c]), None)
            paid = await pay(meter, org_id, rating, bench.clock.now())
            if expected is None:
                assert paid.result.outcome is ChargeOutcome.INSUFFICIENT
                assert paid.purse.currency == "USD"
                best = max(worth_of(left[code], spending[code]) for code in left)
                assert paid.affordable == best
                continue
            assert paid.purse.currency == expected
            left[expected] -= price[expected]
            assert paid.result.balance_after == left[expected]
        assert meter.unsettled == 0
    assert {code: await bench.posted(purse) for code, purse in purses.items()} == left
    async with bench.database.connection() as connection:
        found = [one async for one in metering.verify_costs(connection, org_id=org_id)]
    assert found == []


async def test_a_new_wallet_is_noticed_beside_the_calls(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wallet that is known answers meanwhile; one that has dollars only is asked once."""
    org_id, _ = await bench.open({"USD": DOLLAR})
    several = Purses(bench.database, {"A": NANO, "USD": NANO})
    only = Purses(bench.database)
    for purses in (several, only):
        assert [purse.currency for purse in await purses.of(org_id, False)] == ["USD"]
    await open_purse(bench.database, bench.clock, 1, org_id=org_id, currency="A")
    assert len(await several.of(org_id, False)) == 1
    monkeypatch.setattr("tollkeeper.metering.paying._FRESH_SECONDS", 0.0)
    for _ in range(500):
        if len(await several.of(org_id, False)) > 1:
            break
        await asyncio.sleep(0.01)
    assert [purse.currency for purse in await several.of(org_id, False)] == ["A", "USD"]
    assert len(await only.of(org_id, False)) == 1
    with pytest.raises(NotFound):
        await several.of(uuid7(), False)
    with pytest.raises(NotFound):
        await several.of(org_id, True)
