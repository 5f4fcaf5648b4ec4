"""What is counted beside the money: budgets that refuse, allowances that pay, both to the unit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from msgspec import Raw

from ledger_purse import NOW, Purse, findings, open_purse
from tollkeeper import ledger
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.ledger import ChargeOutcome, Draw, HoldOutcome, NewCharge, NewHold, Short, store

UNIT = 1_000_000_000


def draw(limit_id: UUID, ceiling: int | None, amount: int | None = 1, **more: Any) -> Draw:
    given: dict[str, Any] = {"period_start": NOW, "livemode": True, **more}
    return Draw(limit_id=limit_id, ceiling=ceiling, amount=amount, **given)


def rated(*amounts: int) -> Raw:
    lines = [["sku", "unit", 1, 1, 1, 1, amount] for amount in amounts]
    return Raw(json.dumps({"rating": {"lines": lines, "cost": sum(amounts)}}).encode())


async def counter(connection: Connection, purse: Purse, limit_id: UUID) -> tuple[int, int]:
    cursor = await connection.execute(
        "SELECT used, held FROM counter WHERE org_id = %s AND limit_id = %s",
        (purse.org_id, limit_id),
    )
    ((used, held),) = await cursor.fetchall()
    return used, held


async def kept(connection: Connection, purse: Purse, usage_id: UUID) -> tuple[int, Any]:
    cursor = await connection.execute(
        "SELECT amount, detail FROM usage_record WHERE org_id = %s AND usage_id = %s",
        (purse.org_id, usage_id),
    )
    ((amount, detail),) = await cursor.fetchall()
    return amount, detail


async def test_a_budget_refuses_what_goes_beyond_it_and_is_named(connection: Connection) -> None:
    purse, limit = await open_purse(connection, 100), uuid7()

    def wish(amount: int) -> NewHold:
        return purse.hold(amount, draws=(draw(limit, 10, None),))

    first, second, third = await ledger.hold(connection, [wish(6), wish(5), wish(4)], NOW)
    assert (first.outcome, first.amount) == (HoldOutcome.PLACED, 6)
    # The second was asked in its turn, when 4 were left; the third fits beside the first.
    assert (second.outcome, second.limits) == (HoldOutcome.LIMITED, (Short(limit, 4, 5),))
    assert second.spendable == 4
    assert third.outcome is HoldOutcome.PLACED
    assert await counter(connection, purse, limit) == (0, 10)


async def test_a_settlement_counts_what_was_used_and_frees_what_was_held(
    connection: Connection,
) -> None:
    purse, limit = await open_purse(connection, 100), uuid7()
    counted = (draw(limit, 10, None),)
    wish = purse.hold(6, draws=counted)
    await ledger.hold(connection, [wish], NOW)
    (settled,) = await ledger.settle(connection, [purse.settlement(wish, 2, draws=counted)], NOW)
    assert (settled.amount, settled.spendable) == (2, 98)
    assert await counter(connection, purse, limit) == (2, 0)
    # What has happened is posted, however far beyond.
    (past,) = await ledger.settle(connection, [purse.charge(50, draws=counted)], NOW)
    assert past.outcome is ChargeOutcome.POSTED
    assert await counter(connection, purse, limit) == (52, 0)


@pytest.mark.parametrize("ending", ["void", "expire", "settle without counting"])
async def test_what_a_hold_reserved_comes_back_when_it_ends(
    connection: Connection, ending: str
) -> None:
    purse, limit = await open_purse(connection, 100), uuid7()
    wish = purse.hold(6, draws=(draw(limit, 10, 4),))
    await ledger.hold(connection, [wish], NOW)
    assert await counter(connection, purse, limit) == (0, 4)
    if ending == "void":
        await ledger.void(connection, [purse.void(wish)], NOW)
    elif ending == "expire":
        await ledger.expire_holds(connection, NOW + timedelta(hours=1))
    else:
        await ledger.settle(connection, [purse.settlement(wish, 1)], NOW)
    assert await counter(connection, purse, limit) == (0, 0)


async def test_a_new_period_begins_at_nothing(connection: Connection) -> None:
    purse, limit = await open_purse(connection, 100), uuid7()
    old = purse.hold(1, draws=(draw(limit, 10, 10),))
    await ledger.hold(connection, [old], NOW)
    tomorrow = NOW + timedelta(days=1)
    new = purse.hold(1, draws=(draw(limit, 10, 7, period_start=tomorrow),))
    (placed,) = await ledger.hold(connection, [new], NOW)
    assert placed.outcome is HoldOutcome.PLACED
    assert await counter(connection, purse, limit) == (0, 7)
    # What was reserved yesterday is not given back to today.
    await ledger.void(connection, [purse.void(old)], NOW)
    assert await counter(connection, purse, limit) == (0, 7)
    # A process whose clock is behind counts today.
    late = purse.hold(1, draws=(draw(limit, 10, 4),))
    (refused,) = await ledger.hold(connection, [late], NOW)
    assert (refused.outcome, refused.limits) == (HoldOutcome.LIMITED, (Short(limit, 3, 4),))


async def test_an_allowance_pays_as_far_as_it_goes(connection: Connection) -> None:
    purse, allowance = await open_purse(connection, 100), uuid7()

    def covered(units: int, cost: int) -> tuple[Draw, ...]:
        return (draw(allowance, 10, units, covers=cost, lines=(0, 1)),)

    wish = purse.hold(30, draws=covered(15, 30))
    (placed,) = await ledger.hold(connection, [wish], NOW)
    assert (placed.outcome, placed.amount) == (HoldOutcome.PLACED, 10)
    assert await purse.balance(connection) == (100, 10)
    # 12 of the 15 units were used: 10 are included, 2 of 12 are paid.
    done = purse.settlement(wish, 24, draws=covered(12, 24), detail=rated(13, 11))
    (settled,) = await ledger.settle(connection, [done], NOW)
    assert settled.amount == 4
    assert await purse.balance(connection) == (96, 0)
    assert await counter(connection, purse, allowance) == (10, 0)
    amount, detail = await kept(connection, purse, wish.hold_id)
    assert amount == detail["rating"]["cost"] == 4
    assert [line[6] for line in detail["rating"]["lines"]] == [3, 1]
    assert detail["allowances"] == [[str(allowance), 12, 10, 24, [0, 1]]]


async def test_an_allowance_alone_can_pay(connection: Connection) -> None:
    purse, allowance = await open_purse(connection, 0), uuid7()
    wish = purse.hold(30, draws=(draw(allowance, 10, 10, covers=30),))
    more = purse.hold(3, draws=(draw(allowance, 10, 1, covers=3),))
    placed, refused = await ledger.hold(connection, [wish, more], NOW)
    assert (placed.outcome, placed.amount) == (HoldOutcome.PLACED, 0)
    assert (refused.outcome, refused.amount) == (HoldOutcome.INSUFFICIENT, 3)


async def test_where_no_overage_is_sold_the_allowance_must_do(connection: Connection) -> None:
    purse, allowance = await open_purse(connection, 100), uuid7()
    asked = (draw(allowance, 10, 11, covers=30, whole=True),)
    (held,) = await ledger.hold(connection, [purse.hold(30, draws=asked)], NOW)
    (charged,) = await ledger.charge(connection, [purse.charge(30, draws=asked)], NOW)
    assert (held.outcome, held.limits) == (HoldOutcome.LIMITED, (Short(allowance, 10, 11),))
    assert (charged.outcome, charged.limits) == (ChargeOutcome.LIMITED, held.limits)


async def test_a_budget_counts_what_is_paid_and_not_what_is_included(
    connection: Connection,
) -> None:
    purse, allowance, budget = await open_purse(connection, 100), uuid7(), uuid7()
    draws = (draw(allowance, 10, 20, covers=40, lines=(0,)), draw(budget, 20, None, worth=2 * UNIT))
    (refused,) = await ledger.charge(connection, [purse.charge(42, draws=draws)], NOW)
    assert (refused.outcome, refused.limits) == (ChargeOutcome.LIMITED, (Short(budget, 20, 44),))
    fits = (draws[0], draw(budget, 44, None, worth=2 * UNIT))
    charge = purse.charge(42, draws=fits, detail=rated(40, 2), lines=2)
    (posted,) = await ledger.charge(connection, [charge], NOW)
    assert (posted.outcome, posted.amount) == (ChargeOutcome.POSTED, 22)
    assert await counter(connection, purse, budget) == (44, 0)
    assert await ledger_is_right(connection)


@pytest.mark.parametrize("suppose", [True, False])
async def test_an_overrun_budget_refuses_nothing_that_asks_nothing_of_it(
    connection: Connection, suppose: bool
) -> None:
    purse, allowance, budget = await open_purse(connection, 100), uuid7(), uuid7()
    spent = (draw(budget, 10, None),)
    await ledger.settle(connection, [purse.charge(11, draws=spent)], NOW)
    included = (draw(allowance, 9, 1, covers=4), *spent)
    rows = await store.hold(connection, [purse.hold(4, draws=included)], NOW, suppose=suppose)
    assert rows[0][0] == "placed"
    charge = purse.charge(4, draws=included, detail=rated(4))
    posts = await store.charge(connection, [charge], NOW, must_fit=True, suppose=suppose)
    assert posts[0][0] == "posted"
    (refused,) = await ledger.charge(connection, [purse.charge(5, draws=included)], NOW)
    assert refused.limits == (Short(budget, -1, 1),)
    assert await counter(connection, purse, budget) == (11, 0)


async def test_each_subject_has_a_counter_of_its_own(connection: Connection) -> None:
    purse, limit = await open_purse(connection, 100), uuid7()
    users = ["ann", "ben", "ann", "ann", "ben"]
    wishes = [purse.hold(1, draws=(draw(limit, 2, 1, subject=user),)) for user in users]
    results = await ledger.hold(connection, wishes, NOW)
    placed = [result.outcome is HoldOutcome.PLACED for result in results]
    assert placed == [True, True, True, False, True]


async def ledger_is_right(connection: Connection) -> bool:
    return await findings(connection) == []


async def test_a_counter_that_was_altered_is_named(connection: Connection) -> None:
    purse, limit = await open_purse(connection, 100), uuid7()
    wish = purse.hold(6, draws=(draw(limit, 10, 4, subject="ann"),))
    await ledger.hold(connection, [wish], NOW)
    await connection.execute("UPDATE counter SET held = 3 WHERE limit_id = %s", (limit,))
    (said,) = await findings(connection)
    because = "as the open holds have reserved it"
    assert said == f"L3: counter {limit} of ann: held should be 4, {because}, but is 3."


@dataclass
class Sheet:
    """Wallet and counters as one would keep them by hand, one act after the other."""

    posted: int
    held: int = 0
    used: dict[UUID, int] = field(default_factory=dict[UUID, int])
    kept: dict[UUID, int] = field(default_factory=dict[UUID, int])
    period: int = 0
    holds: dict[UUID, tuple[int, dict[UUID, int], int]] = field(
        default_factory=dict[UUID, tuple[int, dict[UUID, int], int]]
    )

    def begin_anew(self) -> None:
        self.period += 1
        self.used.clear()
        self.kept.clear()

    def room(self, one: Draw) -> int:
        assert one.ceiling is not None
        return one.ceiling - self.used.get(one.limit_id, 0) - self.kept.get(one.limit_id, 0)

    def weigh(
        self, amount: int, draws: tuple[Draw, ...], lapsed: dict[UUID, int]
    ) -> tuple[int, dict[UUID, int], bool]:
        """What it takes of credit and of each counter, and whether there is so much."""
        units: dict[UUID, int] = {}
        for one in draws:
            if one.covers is not None and one.amount:
                gone = min(lapsed.get(one.limit_id, 0), one.amount)
                units[one.limit_id] = min(max(self.room(one), 0), one.amount - gone)
                amount -= one.covers * (gone + units[one.limit_id]) // one.amount
        fits = amount <= max(self.posted - self.held, 0)
        for one in draws:
            if one.covers is None and not lapsed.get(one.limit_id):
                units[one.limit_id] = amount if one.amount is None else one.amount
                asked = units[one.limit_id]
                fits = fits and (not asked or one.ceiling is None or asked <= self.room(one))
        return amount, units, fits

    def place(self, new: NewHold) -> int | None:
        amount, units, fits = self.weigh(new.amount, new.draws, {})
        if not fits:
            return None
        self.held += amount
        self.holds[new.hold_id] = (amount, units, self.period)
        for limit, count in units.items():
            self.kept[limit] = self.kept.get(limit, 0) + count
        return amount

    def charge(self, new: NewCharge) -> int | None:
        amount, units, fits = self.weigh(new.amount, new.draws, {})
        if fits:
            self.post(amount, units)
        return amount if fits else None

    def void(self, hold_id: UUID) -> None:
        amount, units, period = self.holds.pop(hold_id)
        self.held -= amount
        for limit, count in units.items() if period == self.period else ():
            self.kept[limit] -= count

    def settle(self, batch: list[NewCharge]) -> list[int]:
        """What each needs of its own reservation it gets, what is free goes to the first."""
        reserved = [self.holds[new.usage_id][1:] for new in batch]
        own = [units if period == self.period else {} for units, period in reserved]
        lapsed = [units if period < self.period else {} for units, period in reserved]
        for new in batch:
            self.void(new.usage_id)
        for new, mine in zip(batch, own, strict=True):
            for one in new.draws:
                if one.covers is not None:
                    kept = min(mine.get(one.limit_id, 0), one.amount or 0)
                    self.kept[one.limit_id] = self.kept.get(one.limit_id, 0) + kept
        amounts: list[int] = []
        for new, mine, gone in zip(batch, own, lapsed, strict=True):
            for one in new.draws:
                if one.covers is not None:
                    self.kept[one.limit_id] -= min(mine.get(one.limit_id, 0), one.amount or 0)
            amount, units, _ = self.weigh(new.amount, new.draws, gone)
            self.post(amount, units)
            amounts.append(amount)
        return amounts

    def post(self, amount: int, units: dict[UUID, int]) -> None:
        self.posted -= amount
        for limit, count in units.items():
            self.used[limit] = self.used.get(limit, 0) + count


class Story:
    """Random calls of one organization under the same limits, in batches."""

    def __init__(self, purse: Purse, posted: int, chance: Random) -> None:
        self.purse, self.chance, self.today = purse, chance, NOW
        self.sheet = Sheet(posted)
        self.budgets = [(uuid7(), chance.randint(50, 400)) for _ in range(3)]
        self.allowances = [(uuid7(), chance.randint(0, 200)) for _ in range(2)]

    async def begin_anew(self, connection: Connection) -> None:
        """A new day, and a call in it that names every limit and comes to nothing."""
        self.today += timedelta(days=1)
        self.sheet.begin_anew()
        named = [draw(limit, None, period_start=self.today) for limit, _ in self.budgets]
        for limit, ceiling in self.allowances:
            named.append(draw(limit, ceiling, covers=0, period_start=self.today))
        first = self.purse.hold(0, draws=tuple(named))
        await ledger.hold(connection, [first], NOW)
        await ledger.void(connection, [self.purse.void(first)], NOW)

    def draws(self, amount: int, day: datetime | None = None) -> tuple[Draw, ...]:
        pick, draws = self.chance, list[Draw]()
        for nth, (limit, ceiling) in enumerate(self.budgets):
            if pick.random() < 0.6:
                counted = None if nth == 0 else pick.randint(0, 20)
                most_of_it = ceiling if nth < 2 else None
                draws.append(draw(limit, most_of_it, counted, period_start=day or self.today))
        left = amount
        for limit, ceiling in self.allowances:
            if pick.random() < 0.6:
                covers = pick.randint(0, left)
                left -= covers
                units = pick.randint(0, 30)
                more = {"covers": covers, "period_start": day or self.today}
                draws.append(draw(limit, ceiling, units, **more))
        return tuple(draws)

    def hold(self) -> NewHold:
        amount = self.chance.randint(0, 60)
        return self.purse.hold(amount, draws=self.draws(amount))

    def charge(self) -> NewCharge:
        amount = self.chance.randint(0, 60)
        return self.purse.charge(amount, draws=self.draws(amount))


@pytest.mark.parametrize("seed", range(30))
async def test_any_story_comes_out_as_by_hand(connection: Connection, seed: int) -> None:
    chance = Random(seed)  # noqa: S311 (nothing is kept secret by it)
    posted = chance.randint(100, 2_000)
    purse = await open_purse(connection, posted)
    story = Story(purse, posted, chance)
    for _ in range(8):
        holds = [story.hold() for _ in range(chance.randint(1, 9))]
        told = await ledger.hold(connection, holds, NOW)
        by_hand = [story.sheet.place(new) for new in holds]
        assert [r.amount if r.outcome == "placed" else None for r in told] == by_hand
        charges = [story.charge() for _ in range(chance.randint(1, 6))]
        posts = await ledger.charge(connection, charges, NOW)
        by_hand = [story.sheet.charge(new) for new in charges]
        assert [r.amount if r.outcome == "posted" else None for r in posts] == by_hand
        day = story.today
        if chance.random() < 0.4:
            await story.begin_anew(connection)
        running = [new for new in holds if new.hold_id in story.sheet.holds]
        chance.shuffle(running)
        ended = running[: len(running) // 3]
        await ledger.void(connection, [purse.void(new) for new in ended], NOW)
        for new in ended:
            story.sheet.void(new.hold_id)
        batch: list[NewCharge] = []
        for new in running[len(ended) :]:
            if chance.random() < 0.8:
                cost = chance.randint(0, max(new.amount, 1))
                batch.append(purse.settlement(new, cost, draws=story.draws(cost, day)))
        settled = await ledger.settle(connection, batch, NOW)
        assert [r.amount for r in settled] == story.sheet.settle(batch)
        assert await purse.balance(connection) == (story.sheet.posted, story.sheet.held)
        for limit, _ in (*story.budgets, *story.allowances):
            if limit in story.sheet.used or limit in story.sheet.kept:
                by_sheet = (story.sheet.used.get(limit, 0), story.sheet.kept.get(limit, 0))
                assert await counter(connection, purse, limit) == by_sheet
    assert await ledger_is_right(connection)


@pytest.mark.parametrize("verb", ["hold", "charge", "settle"])
async def test_a_counter_that_is_gone_is_made_anew(
    connection: Connection, owner: Connection, verb: str
) -> None:
    purse, limit = await open_purse(connection, 100), uuid7()
    draws = (draw(limit, 3, None),)
    await ledger.hold(connection, [purse.hold(2, draws=draws)], NOW)
    await owner.execute("DELETE FROM counter WHERE limit_id = %s", (limit,))
    (said,) = await findings(connection, org_id=purse.org_id)
    because = "as the open holds have reserved it"
    assert said == f"L3: counter {limit}: held should be 2, {because}, but is none."
    if verb == "hold":
        told = await ledger.hold(connection, [purse.hold(2, draws=draws) for _ in range(3)], NOW)
        assert [one.outcome for one in told] == ["placed", "limited", "limited"]
    else:
        act = ledger.charge if verb == "charge" else ledger.settle
        posts = await act(connection, [purse.charge(2, draws=draws) for _ in range(3)], NOW)
        refused = "limited" if verb == "charge" else "posted"
        assert [one.outcome for one in posts] == ["posted", refused, refused]
    used, held = await counter(connection, purse, limit)
    assert used + held == (6 if verb == "settle" else 2)


async def test_a_hold_whose_draws_are_no_list_is_named(
    connection: Connection, owner: Connection
) -> None:
    purse = await open_purse(connection, 100)
    wish = purse.hold(6)
    await ledger.hold(connection, [wish], NOW)
    await owner.execute("UPDATE hold SET draws = '{}' WHERE hold_id = %s", (wish.hold_id,))
    (said,) = await findings(connection, org_id=purse.org_id)
    assert said.startswith(f"L3: hold {wish.hold_id} of wallet {purse.wallet_id}: draws should be")
    await owner.execute("UPDATE hold SET draws = NULL WHERE hold_id = %s", (wish.hold_id,))
