"""Outcomes in their order of checking: each wins over all that stand below it in its enum."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from ledger_purse import NOW, Purse, open_purse
from tollkeeper import ledger
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.ledger import ChargeOutcome, Draw, EndOutcome, HoldOutcome, NewHold

TOO_MUCH = 1_000
FULL = (Draw(limit_id=uuid7(), livemode=True, period_start=NOW, ceiling=0, amount=1),)


async def frozen_and_poor(connection: Connection) -> Purse:
    """What is new is refused for two reasons at once."""
    purse = await open_purse(connection, 10)
    await ledger.freeze(connection, *purse.address, "disputed")
    return purse


@pytest.fixture
async def purse(connection: Connection) -> Purse:
    return await open_purse(connection, 10)


async def held(connection: Connection, purse: Purse) -> NewHold:
    hold = purse.hold(3)
    await ledger.hold(connection, [hold], NOW)
    return hold


async def test_the_outcomes_of_a_hold(connection: Connection, purse: Purse) -> None:
    """In the enum's order: what makes each true is true for the next ones too, where it can be."""
    unknown = Purse(purse.org_id, uuid7())
    open_hold = await held(connection, purse)
    charged = await held(connection, purse)
    await ledger.charge(connection, [purse.charge(1, charged.hold_id)], NOW)
    await ledger.freeze(connection, *purse.address, "disputed")
    expected = {
        HoldOutcome.WALLET_UNKNOWN: unknown.hold(TOO_MUCH, charged.hold_id),
        HoldOutcome.ALREADY_CHARGED: charged,
        HoldOutcome.EXISTS: open_hold,
        HoldOutcome.EXISTS_WITH_OTHER_AMOUNT: purse.hold(TOO_MUCH, open_hold.hold_id),
        HoldOutcome.FROZEN: purse.hold(TOO_MUCH),
    }
    results = await ledger.hold(connection, list(expected.values()), NOW)
    assert [result.outcome for result in results] == list(expected)
    await ledger.unfreeze(connection, *purse.address)
    rest = {
        HoldOutcome.LIMITED: purse.hold(TOO_MUCH, draws=FULL),
        HoldOutcome.INSUFFICIENT: purse.hold(TOO_MUCH),
        HoldOutcome.PLACED: purse.hold(1),
    }
    results = await ledger.hold(connection, list(rest.values()), NOW)
    assert [result.outcome for result in results] == list(rest)
    assert [*expected, *rest] == list(HoldOutcome)


async def test_the_outcomes_of_a_charge(connection: Connection, purse: Purse) -> None:
    first = purse.charge(1, fingerprint=7)
    await ledger.charge(connection, [first], NOW)
    await ledger.freeze(connection, *purse.address, "disputed")
    unknown = Purse(purse.org_id, uuid7())
    expected = {
        ChargeOutcome.WALLET_UNKNOWN: unknown.charge(TOO_MUCH, first.usage_id),
        ChargeOutcome.EXISTS: purse.charge(TOO_MUCH, first.usage_id, fingerprint=7),
        ChargeOutcome.EXISTS_WITH_OTHER_FINGERPRINT: purse.charge(TOO_MUCH, first.usage_id),
        ChargeOutcome.FROZEN: purse.charge(TOO_MUCH),
    }
    results = await ledger.charge(connection, list(expected.values()), NOW)
    assert [result.outcome for result in results] == list(expected)
    await ledger.unfreeze(connection, *purse.address)
    rest = {
        ChargeOutcome.LIMITED: purse.charge(TOO_MUCH, draws=FULL),
        ChargeOutcome.INSUFFICIENT: purse.charge(TOO_MUCH),
        ChargeOutcome.POSTED: purse.charge(1),
    }
    results = await ledger.charge(connection, list(rest.values()), NOW)
    assert [result.outcome for result in results] == list(rest)
    late = purse.settlement(purse.hold(1), 1)
    (result,) = await ledger.settle(connection, [late], NOW)
    assert result.outcome is ChargeOutcome.POSTED_LATE
    assert [*expected, *rest, result.outcome] == list(ChargeOutcome)


async def test_the_outcomes_of_a_void(connection: Connection, purse: Purse) -> None:
    settled, voided, expired = [await held(connection, purse) for _ in range(3)]
    await ledger.charge(connection, [purse.charge(1, settled.hold_id)], NOW)
    await ledger.void(connection, [purse.void(voided)], NOW)
    assert await ledger.expire_holds(connection, NOW + timedelta(hours=1)) == 2
    running = await held(connection, purse)
    asked = [settled, running, voided, expired, purse.hold(1)]
    outcomes = await ledger.void(connection, [purse.void(hold) for hold in asked], NOW)
    assert outcomes == [
        EndOutcome.SETTLED,
        EndOutcome.VOIDED,
        EndOutcome.VOIDED,
        EndOutcome.EXPIRED,
        EndOutcome.UNKNOWN,
    ]
    assert sorted(set(outcomes), key=list(EndOutcome).index) == list(EndOutcome)


async def test_a_hold_says_what_there_is_to_spend(connection: Connection, purse: Purse) -> None:
    await held(connection, purse)
    (refused,) = await ledger.hold(connection, [purse.hold(8)], NOW)
    assert (refused.outcome, refused.spendable) == (HoldOutcome.INSUFFICIENT, 7)
    batch = [purse.hold(2), purse.hold(6), purse.hold(1)]
    results = await ledger.hold(connection, batch, NOW)
    assert [(result.outcome, result.spendable) for result in results] == [
        (HoldOutcome.PLACED, 7),
        (HoldOutcome.INSUFFICIENT, 5),
        (HoldOutcome.PLACED, 5),
    ]


async def test_a_charge_says_what_is_left_to_spend(connection: Connection, purse: Purse) -> None:
    hold = await held(connection, purse)
    (settled,) = await ledger.settle(connection, [purse.settlement(hold, 1)], NOW)
    assert (settled.amount, settled.balance_after, settled.spendable) == (1, 9, 9)
    (refused,) = await ledger.charge(connection, [purse.charge(10)], NOW)
    assert (refused.amount, refused.balance_after, refused.spendable) == (0, 0, 9)
    (posted,) = await ledger.charge(connection, [purse.charge(4)], NOW)
    assert (posted.amount, posted.balance_after, posted.spendable) == (4, 5, 5)


async def test_a_frozen_and_empty_wallet_is_frozen(connection: Connection) -> None:
    purse = await frozen_and_poor(connection)
    (held_result,) = await ledger.hold(connection, [purse.hold(TOO_MUCH)], NOW)
    (charge_result,) = await ledger.charge(connection, [purse.charge(TOO_MUCH)], NOW)
    assert held_result.outcome is HoldOutcome.FROZEN
    assert charge_result.outcome is ChargeOutcome.FROZEN
    (settled,) = await ledger.settle(connection, [purse.charge(TOO_MUCH)], NOW)
    assert settled.outcome is ChargeOutcome.POSTED


async def test_each_item_is_answered_in_its_place(connection: Connection) -> None:
    purses = [await open_purse(connection, amount) for amount in (5, 0, 5)]
    items = [purses[nth % 3].charge(1) for nth in range(30)]
    results = await ledger.charge(connection, items, NOW)
    for item, result in zip(items, results, strict=True):
        poor = item.wallet_id == purses[1].wallet_id
        left = result.outcome is ChargeOutcome.POSTED
        assert left is not poor or result.outcome is ChargeOutcome.INSUFFICIENT
    assert [await purse.balance(connection) for purse in purses] == [(0, 0)] * 3


async def test_nothing_to_do_is_done(connection: Connection) -> None:
    assert await ledger.hold(connection, [], NOW) == []
    assert await ledger.charge(connection, [], NOW) == []
    assert await ledger.settle(connection, [], NOW) == []
    assert await ledger.void(connection, [], NOW) == []
    assert await ledger.expire_holds(connection, NOW) == 0
    assert await ledger.expire_due_lots(connection, NOW) == 0


async def test_ids_of_other_organizations_are_other_ids(connection: Connection) -> None:
    usage_id = UUID(int=7)
    purses = [await open_purse(connection, 5) for _ in range(2)]
    results = await ledger.charge(connection, [p.charge(5, usage_id) for p in purses], NOW)
    assert [result.outcome for result in results] == [ChargeOutcome.POSTED] * 2
