"""One statement for many callers, through refused items and lost connections (M1 to M5)."""

from __future__ import annotations

import asyncio
import time

import pytest
from metered import DOLLAR, Purse, open_purse
from msgspec import Raw

from outages import hang_up, outage
from tollkeeper import ledger
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.errors import NotFound, Unavailable
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import ChargeOutcome, EndOutcome, HoldOutcome
from tollkeeper.metering import Meter


async def balance(database: Database, purse: Purse) -> tuple[int, int]:
    async with database.connection() as connection:
        wallet = await ledger.find_wallet(connection, purse.org_id, purse.wallet_id)
    return wallet.posted, wallet.held


async def test_a_call_is_held_and_settled(meter: Meter, purse: Purse, database: Database) -> None:
    new = purse.hold(3 * DOLLAR)
    placed = await meter.hold(new)
    assert placed.outcome is HoldOutcome.PLACED
    assert await balance(database, purse) == (100 * DOLLAR, 3 * DOLLAR)
    settled = await meter.settle(purse.charge(2 * DOLLAR, new.hold_id, hold_id=new.hold_id))
    assert (settled.outcome, settled.balance_after) == (ChargeOutcome.POSTED, 98 * DOLLAR)
    assert await balance(database, purse) == (98 * DOLLAR, 0)


async def test_the_wallet_is_looked_up_once(meter: Meter, purse: Purse, owner: Connection) -> None:
    with pytest.raises(NotFound):
        await meter.purses.of(purse.org_id, livemode=True)
    (found,) = await meter.purses.of(purse.org_id, livemode=False)
    assert (found.wallet_id, found.currency) == (purse.wallet_id, "USD")
    async with outage(owner):
        assert await meter.purses.of(purse.org_id, livemode=False) == (found,)


async def test_one_bad_item_does_not_fail_its_neighbours(
    meter: Meter, purse: Purse, database: Database
) -> None:
    items = [purse.charge(1) for _ in range(50)]
    items[7] = purse.charge(1, detail=Raw(b'{"input":"\\u0000"}'))
    items[23] = purse.charge(1, thread_id="a\0b")
    items[31] = purse.charge(2**70)
    results = await asyncio.gather(*map(meter.settle, items), return_exceptions=True)
    failed = [place for place, result in enumerate(results) if isinstance(result, Exception)]
    assert failed == [7, 23, 31]
    assert await balance(database, purse) == (100 * DOLLAR - 47, 0)


async def test_a_list_is_answered_item_by_item(meter: Meter, purse: Purse) -> None:
    items = [purse.charge(1) for _ in range(1200)]
    items[600] = purse.charge(1, thread_id="a\0b")
    items[601] = items[599]
    results = await meter.settle_many(items)
    assert [place for place, result in enumerate(results) if isinstance(result, Exception)] == [600]
    first, again = results[599], results[601]
    assert isinstance(again, ledger.ChargeResult)
    assert isinstance(first, ledger.ChargeResult)
    assert again.outcome is ChargeOutcome.EXISTS
    assert again.balance_after == first.balance_after


async def test_a_list_charge_refuses_what_does_not_fit(
    meter: Meter, database: Database, clock: MovableClock
) -> None:
    purse = await open_purse(database, clock, 10)
    results = await meter.charge_many([purse.charge(3) for _ in range(5)])
    said = [r.outcome.value for r in results if isinstance(r, ledger.ChargeResult)]
    assert said == ["posted"] * 3 + ["insufficient"] * 2


async def test_a_settlement_outlasts_an_outage(
    meter: Meter, purse: Purse, owner: Connection, database: Database
) -> None:
    await meter.settle(purse.charge(1))
    async with outage(owner):
        waiting = [asyncio.ensure_future(meter.settle(purse.charge(1))) for _ in range(20)]
        gone = asyncio.ensure_future(meter.settle(purse.charge(1)))
        await asyncio.sleep(4)
        assert not any(future.done() for future in waiting)
        gone.cancel()
    results = await asyncio.gather(*waiting)
    assert {result.outcome for result in results} == {ChargeOutcome.POSTED}
    assert await balance(database, purse) == (100 * DOLLAR - 22, 0)


async def test_holds_and_charges_fail_fast_in_an_outage(
    meter: Meter, purse: Purse, owner: Connection
) -> None:
    await meter.hold(purse.hold(1))
    async with outage(owner):
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await meter.hold(purse.hold(1))
        first = time.monotonic() - started
        assert 1.5 < first < 10
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await meter.hold(purse.hold(1))
        assert time.monotonic() - started < first, "an outage that is known is told at once"
        with pytest.raises(Unavailable):
            await meter.charge(purse.charge(1))
        with pytest.raises(Unavailable):
            await meter.settle_many([purse.charge(1)])
    assert (await meter.hold(purse.hold(1))).outcome is HoldOutcome.PLACED


async def test_nothing_is_lost_or_done_twice_when_connections_break(
    meter: Meter, purse: Purse, owner: Connection, database: Database
) -> None:
    """Backends end while statements run; what is sent again with the same ids is the same."""
    holds = [purse.hold(10) for _ in range(300)]

    async def call(position: int) -> None:
        await asyncio.sleep(position / 600)
        new = holds[position]
        assert (await meter.hold(new)).outcome is HoldOutcome.PLACED
        await meter.settle(purse.charge(7, new.hold_id, hold_id=new.hold_id))

    async def breaks() -> None:
        for _ in range(12):
            await asyncio.sleep(0.04)
            await hang_up(owner)

    await asyncio.gather(breaks(), *map(call, range(300)))
    assert await balance(database, purse) == (100 * DOLLAR - 2100, 0)


async def test_a_void_after_settlement_says_so(meter: Meter, purse: Purse) -> None:
    new = purse.hold(5)
    await meter.hold(new)
    await meter.settle(purse.charge(5, new.hold_id, hold_id=new.hold_id))
    name = (purse.org_id, purse.wallet_id, new.hold_id)
    assert await meter.void(*name) is EndOutcome.SETTLED
    assert await meter.void(purse.org_id, purse.wallet_id, uuid7()) is EndOutcome.UNKNOWN


async def test_a_stop_answers_everything(
    database: Database, purse: Purse, clock: MovableClock
) -> None:
    async with Meter.open(database, clock) as meter:
        waiting = [asyncio.ensure_future(meter.settle(purse.charge(1))) for _ in range(1000)]
        await asyncio.sleep(0)
    assert all(future.done() for future in waiting)
    assert await balance(database, purse) == (100 * DOLLAR - 1000, 0)


async def test_a_stop_in_an_outage_ends_after_its_grace(
    database: Database, purse: Purse, clock: MovableClock, owner: Connection
) -> None:
    async with outage(owner):
        async with Meter.open(database, clock, grace_seconds=0.5) as meter:
            waiting = asyncio.ensure_future(meter.settle(purse.charge(1)))
            await asyncio.sleep(0.1)
        with pytest.raises(Unavailable):
            await waiting


async def test_a_locked_wallet_keeps_holds_waiting_for_seconds_only(
    database: Database, purse: Purse, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollkeeper.metering.meter.IMPATIENT_STATEMENT_SECONDS", 0.3)
    async with Meter.open(database, clock) as meter:
        async with database.transaction() as tx:
            await ledger.lock_wallet(tx, purse.org_id, purse.wallet_id)
            settling = asyncio.ensure_future(meter.settle(purse.charge(1)))
            with pytest.raises(Unavailable):
                await meter.hold(purse.hold(1))
            assert not settling.done()
        assert (await settling).outcome is ChargeOutcome.POSTED
        assert (await meter.hold(purse.hold(1))).outcome is HoldOutcome.PLACED
