"""What was earned is what was drawn, nano by nano; and every month adds up."""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime

from coins import HISTORIES, START, Act, Writer, write
from hypothesis import example, given, settings

from tollkeeper.credits.revenue.model import (
    Book,
    Funding,
    Month,
    Reached,
    months_in,
    months_of,
    next_month,
)
from tollkeeper.ledger import Account, EntryKind, draw

PURCHASED, PROMOTIONAL, OTHER = Funding


def book_of(writer: Writer, moments: list[datetime]) -> Book:
    times = [entry.posted_at for entry in writer.entries]
    reached: list[Reached] = []
    for moment in moments:
        seq = bisect_left(times, moment)
        balance = writer.entries[seq - 1].balance_after if seq else 0
        reached.append(Reached(seq, balance))
    return Book(
        org_id=writer.entries[0].org_id,
        wallet_id=writer.entries[0].wallet_id,
        currency="USD",
        lots=writer.lots,
        movements=[e for e in writer.entries if e.kind is not EntryKind.CONSUMPTION],
        reached=reached,
    )


def months_told(writer: Writer) -> tuple[list[datetime], list[Month]]:
    moments = months_of(START, writer.now.replace(day=1, hour=0, minute=0))
    return moments, months_in(book_of(writer, moments))


@settings(max_examples=300, deadline=None)
@given(HISTORIES)
@example([Act("call", 5), Act("buy", 9), Act("dispute", 9, nth=1), Act("won", 9, nth=1)])
def test_lots_are_drawn_as_coins_are(history: list[Act]) -> None:
    writer = write(history)
    movements = [e for e in writer.entries if e.kind is not EntryKind.CONSUMPTION]
    drawn, purse = draw(writer.lots, movements, writer.posted), writer.purse
    for lot in writer.lots:
        fates = (drawn.remaining, drawn.spent, drawn.expired, drawn.taken_back)
        counted = [purse.count(lot, fate) for fate in ("left", "spent", "expired", "taken")]
        assert [fate[lot.lot_id] for fate in fates] == counted
        assert sum(counted) == lot.amount
    assert drawn.debt == len(purse.debts) - purse.loose
    assert not drawn.expired_beyond
    assert sum(drawn.remaining.values()) - drawn.debt == writer.posted
    for lot_kind, nanos in drawn.left_of.items():
        left = [drawn.remaining[lot.lot_id] for lot in writer.lots if lot.kind is lot_kind]
        assert nanos == sum(left)


@settings(max_examples=300, deadline=None)
@given(HISTORIES.filter(bool))
@example([Act("call", 5), Act("buy", 9, days=40), Act("call", 2), Act("give", 3)])
@example([Act("buy", 2), Act("call", 2), Act("dispute", 2, nth=0), Act("call", 2), Act("buy", 9)])
def test_every_month_adds_up_to_the_entries(history: list[Act]) -> None:
    writer = write(history)
    moments, months = months_told(writer)
    opening = dict.fromkeys(Funding, 0)
    for start, month in zip(moments, months, strict=False):
        assert month.opening == opening
        for account in Account:
            entries = [
                entry.amount
                for entry in writer.entries
                if entry.account is account and start <= entry.posted_at < next_month(start)
            ]
            assert month.moved(account) == sum(entries)
        opening = month.closing
    assert sum(opening.values()) == writer.posted
    purse = writer.purse
    for funding, letter in ((PURCHASED, "b"), (PROMOTIONAL, "g"), (OTHER, "n")):
        earned = -sum(month.flows[Account.REVENUE][funding] for month in months)
        assert earned == purse.earned[letter], funding
    left = {True: 0, False: 0}
    for coin in purse.left():
        left[coin.lot.kind == "purchased"] += 1
    assert (opening[PURCHASED], opening[PROMOTIONAL]) == (left[True], left[False])
    assert opening[OTHER] == purse.loose - len(purse.debts)


def test_consumption_is_earned_from_what_was_bought_and_not_from_what_was_given() -> None:
    told = [
        Act("epoch", 4, priority=50),
        Act("buy", 9),
        Act("call", 6),  # four of what was given, two of what was bought
        Act("call", 3, days=31),
        Act("call", 6, days=1),  # two more than there is
        Act("buy", 5, days=30),  # which pays them
    ]
    writer = write(told)
    _, months = months_told(writer)
    earned = [[-month.flows[Account.REVENUE][funding] for funding in Funding] for month in months]
    assert earned == [[2, 4, 0], [7, 0, 2], [2, 0, -2]]
    assert [sum(month.closing.values()) for month in months] == [7, -2, 3]
    assert [month.moved(Account.CASH) for month in months] == [9, 0, 5]


def test_what_lapses_is_breakage_and_not_earned() -> None:
    writer = write([Act("give", 5, lives=10), Act("buy", 5, lives=20), Act("call", 1, days=40)])
    _, months = months_told(writer)
    lapsed = [month.flows[Account.BREAKAGE] for month in months]
    assert [(-part[PURCHASED], -part[PROMOTIONAL]) for part in lapsed] == [(0, 0), (5, 5)]
