"""A statement that waited for its lock reads its wallet anew, and everything else as it was.

Each test holds the lock of one wallet, lets a batch run into it, and changes another wallet of that
batch meanwhile. What the batch then answers must be what some order of all these acts answers.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from ledger_purse import NOW, Connect, findings, locked, open_purse, open_purses, start
from tollkeeper import ledger
from tollkeeper.db import Connection
from tollkeeper.ledger import ChargeOutcome, EndOutcome, HoldOutcome


@pytest.fixture
async def other(connect: Connect) -> Connection:
    return await connect()


@pytest.fixture
async def blocker(connect: Connect) -> Connection:
    return await connect()


async def test_a_call_charged_meanwhile_gets_no_hold(
    connection: Connection, other: Connection, blocker: Connection
) -> None:
    first, second = await open_purses(connection, 100, 100)
    call = second.hold(5)
    neighbour = second.hold(7)
    async with locked(blocker, first):
        batch = [first.hold(1), call, neighbour]
        waiting = await start(connection, ledger.hold(connection, batch, NOW))
        await ledger.hold(other, [call], NOW)
        await ledger.settle(other, [second.settlement(call, 4)], NOW)
    outcomes = [result.outcome for result in await waiting]
    assert outcomes == [HoldOutcome.PLACED, HoldOutcome.ALREADY_CHARGED, HoldOutcome.PLACED]
    assert await second.balance(connection) == (96, 7)
    assert await findings(connection) == []


async def test_a_hold_placed_meanwhile_does_not_make_its_neighbours_insufficient(
    connection: Connection, other: Connection, blocker: Connection
) -> None:
    first, second = await open_purses(connection, 100, 15)
    twice = second.hold(5)
    async with locked(blocker, first):
        batch = [first.hold(1), twice, second.hold(8), second.hold(3)]
        waiting = await start(connection, ledger.hold(connection, batch, NOW))
        await ledger.hold(other, [twice], NOW)
    outcomes = [result.outcome for result in await waiting]
    assert outcomes == [
        HoldOutcome.PLACED,
        HoldOutcome.EXISTS,
        HoldOutcome.PLACED,
        HoldOutcome.INSUFFICIENT,
    ]
    assert await second.balance(connection) == (15, 13)


async def test_a_hold_of_another_amount_placed_meanwhile_is_told_apart(
    connection: Connection, other: Connection, blocker: Connection
) -> None:
    first, second = await open_purses(connection, 100, 15)
    ours, theirs = second.hold(5), second.hold(6)
    theirs = second.hold(6, ours.hold_id)
    async with locked(blocker, first):
        waiting = await start(connection, ledger.hold(connection, [first.hold(1), ours], NOW))
        await ledger.hold(other, [theirs], NOW)
    assert (await waiting)[1].outcome is HoldOutcome.EXISTS_WITH_OTHER_AMOUNT
    assert await second.balance(connection) == (15, 6)


async def test_a_hold_voided_and_placed_again_meanwhile_is_released_at_its_new_amount(
    connection: Connection, other: Connection, blocker: Connection
) -> None:
    first, second = await open_purses(connection, 100, 15)
    hold = second.hold(5)
    await ledger.hold(connection, [hold], NOW)
    async with locked(blocker, first):
        batch = [first.charge(1), second.settlement(hold, 4)]
        waiting = await start(connection, ledger.settle(connection, batch, NOW))
        await ledger.void(other, [second.void(hold)], NOW)
        await ledger.hold(other, [second.hold(9, hold.hold_id)], NOW)
    assert (await waiting)[1].outcome is ChargeOutcome.POSTED
    assert await second.balance(connection) == (11, 0)
    assert await findings(connection) == []


@pytest.mark.parametrize("end", ["void", "expire"])
async def test_a_hold_ended_meanwhile_is_given_back_once(
    connection: Connection, other: Connection, blocker: Connection, end: str
) -> None:
    first, second = await open_purses(connection, 100, 15)
    hold = second.hold(5)
    await ledger.hold(connection, [hold], NOW)
    async with locked(blocker, first):
        batch = [first.charge(1), second.settlement(hold, 4)]
        waiting = await start(connection, ledger.settle(connection, batch, NOW))
        if end == "void":
            await ledger.void(other, [second.void(hold)], NOW)
        else:
            await ledger.expire_holds(other, NOW + timedelta(hours=1))
    assert (await waiting)[1].outcome is ChargeOutcome.POSTED_LATE
    assert await second.balance(connection) == (11, 0)
    assert await findings(connection) == []


async def test_a_hold_placed_after_its_settlement_began_does_not_stay(
    connection: Connection, other: Connection, blocker: Connection
) -> None:
    first, second = await open_purses(connection, 100, 15)
    hold = second.hold(5)
    async with locked(blocker, first):
        batch = [first.charge(1), second.settlement(hold, 4)]
        waiting = await start(connection, ledger.settle(connection, batch, NOW))
        await ledger.hold(other, [hold], NOW)
    assert (await waiting)[1].outcome is ChargeOutcome.POSTED_LATE
    assert await second.balance(connection) == (11, 0)
    assert (await ledger.hold(other, [hold], NOW))[0].outcome is HoldOutcome.ALREADY_CHARGED


async def test_a_call_charged_meanwhile_is_charged_once(
    connection: Connection, other: Connection, blocker: Connection
) -> None:
    first, second = await open_purses(connection, 100, 15)
    call = second.charge(4, fingerprint=1)
    otherwise = second.charge(5, call.usage_id, fingerprint=2)
    async with locked(blocker, first):
        batch = [first.charge(1), call, second.charge(3)]
        waiting = await start(connection, ledger.charge(connection, batch, NOW))
        await ledger.charge(other, [otherwise], NOW)
    results = await waiting
    assert [result.outcome for result in results] == [
        ChargeOutcome.POSTED,
        ChargeOutcome.EXISTS_WITH_OTHER_FINGERPRINT,
        ChargeOutcome.POSTED,
    ]
    assert [result.balance_after for result in results] == [99, 10, 7]
    assert await findings(connection) == []


async def test_credit_spent_meanwhile_is_not_spent_again(
    connection: Connection, other: Connection, blocker: Connection
) -> None:
    first, second = await open_purses(connection, 100, 10)
    async with locked(blocker, first):
        batch = [first.charge(1), second.charge(6), second.charge(2)]
        waiting = await start(connection, ledger.charge(connection, batch, NOW))
        await ledger.charge(other, [second.charge(7)], NOW)
    outcomes = [result.outcome for result in await waiting]
    assert outcomes == [ChargeOutcome.POSTED, ChargeOutcome.INSUFFICIENT, ChargeOutcome.POSTED]
    assert await second.balance(connection) == (1, 0)
    assert await findings(connection) == []


async def test_a_wallet_frozen_meanwhile_refuses(
    connection: Connection, other: Connection, blocker: Connection
) -> None:
    first, second = await open_purses(connection, 100, 10)
    async with locked(blocker, first):
        batch = [first.hold(1), second.hold(6)]
        waiting = await start(connection, ledger.hold(connection, batch, NOW))
        await ledger.freeze(other, *second.address, "disputed")
    assert (await waiting)[1].outcome is HoldOutcome.FROZEN


async def test_two_voids_of_one_hold_both_hear_that_it_is_voided(
    connection: Connection, other: Connection, blocker: Connection
) -> None:
    first, second = await open_purses(connection, 100, 15)
    holds = [first.hold(1), second.hold(5)]
    await ledger.hold(connection, holds, NOW)
    both = [first.void(holds[0]), second.void(holds[1])]
    async with locked(blocker, first):
        waiting = await start(connection, ledger.void(connection, both, NOW))
        await ledger.void(other, both[1:], NOW)
    assert await waiting == [EndOutcome.VOIDED, EndOutcome.VOIDED]
    assert await second.balance(connection) == (15, 0)


async def test_a_void_hears_of_the_settlement_that_was_faster(
    connection: Connection, other: Connection, blocker: Connection
) -> None:
    first, second = await open_purses(connection, 100, 15)
    holds = [first.hold(1), second.hold(5)]
    await ledger.hold(connection, holds, NOW)
    both = [first.void(holds[0]), second.void(holds[1])]
    async with locked(blocker, first):
        waiting = await start(connection, ledger.void(connection, both, NOW))
        await ledger.settle(other, [second.settlement(holds[1], 2)], NOW)
    assert await waiting == [EndOutcome.VOIDED, EndOutcome.SETTLED]
    assert await second.balance(connection) == (13, 0)


async def test_an_expiry_does_not_end_a_hold_that_was_placed_again_meanwhile(
    connection: Connection, other: Connection, blocker: Connection
) -> None:
    first, second = await open_purses(connection, 100, 15)
    holds = [first.hold(1), second.hold(5)]
    await ledger.hold(connection, holds, NOW)
    later = NOW + timedelta(hours=1)
    longer = second.hold(6, holds[1].hold_id, expires_at=later + timedelta(hours=1))
    async with locked(blocker, first):
        waiting = await start(connection, ledger.expire_holds(connection, later))
        await ledger.void(other, [second.void(holds[1])], NOW)
        await ledger.hold(other, [longer], NOW)
    await waiting
    assert await first.balance(connection) == (100, 0)
    assert await second.balance(connection) == (15, 6)
    assert await findings(connection) == []


async def test_credit_that_arrived_meanwhile_can_be_spent(
    connection: Connection, other: Connection, blocker: Connection
) -> None:
    first, second = await open_purses(connection, 100, 1)
    async with locked(blocker, first):
        batch = [first.hold(1), second.hold(6)]
        waiting = await start(connection, ledger.hold(connection, batch, NOW))
        async with other.transaction():
            await ledger.post(other, second.posting(5), NOW)
    assert (await waiting)[1].outcome is HoldOutcome.PLACED


async def test_credit_due_to_expire_is_not_spent_by_a_batch_that_waited(
    connection: Connection, other: Connection, blocker: Connection
) -> None:
    purse = await open_purse(connection, 10, expires_at=NOW + timedelta(days=1))
    after = NOW + timedelta(days=1)
    async with locked(blocker, purse):
        waiting = await start(connection, ledger.charge(connection, [purse.charge(1)], after))
        expiring = asyncio.ensure_future(ledger.expire_lots(other, *purse.address, after))
    assert (await waiting)[0].outcome is ChargeOutcome.INSUFFICIENT
    await expiring
    assert await purse.balance(connection) == (0, 0)
    assert await findings(connection, after) == []


async def test_the_same_cause_posted_to_two_wallets_at_once_posts_one(
    connection: Connection, other: Connection
) -> None:
    first = await open_purse(connection)
    second = await open_purse(connection, org_id=first.org_id, currency="DIEM")

    async def post(on: Connection) -> None:
        async with on.transaction():
            await ledger.post(on, second.posting(5, source="pay1"), NOW)

    async with connection.transaction():
        await ledger.post(connection, first.posting(5, source="pay1"), NOW)
        waiting = await start(other, post(other))
    with pytest.raises(ledger.SourceReused):
        await waiting
    assert await second.balance(connection) == (0, 0)


async def test_two_reversals_of_one_entry_at_once(
    connection: Connection, other: Connection
) -> None:
    purse = await open_purse(connection, 5)
    entry = await ledger.find_entry(connection, *purse.address, 1)

    async def reverse(on: Connection) -> None:
        async with on.transaction():
            await ledger.reverse(
                on, entry, entry_id=purse.org_id, actor="ada", reason="twice", now=NOW
            )

    async with connection.transaction():
        await reverse(connection)
        waiting = await start(other, reverse(other))
    with pytest.raises(ledger.AlreadyReversed):
        await waiting
    assert await purse.balance(connection) == (0, 0)
