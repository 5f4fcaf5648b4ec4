"""Drawing as a function of the entries, without a database (`lots.draw`)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.ledger import Account, Drawn, Entry, EntryKind, Lot, LotKind, draw, drawing_order

START = datetime(2026, 1, 1, tzinfo=UTC)
NOBODY = UUID(int=0)


class Books:
    """Writes entries and lots as the ledger would; consumption is left out, as it is for `draw`."""

    def __init__(self) -> None:
        self.movements: list[Entry] = []
        self.lots: list[Lot] = []
        self.balance = 0
        self.seq = 0

    def post(
        self, amount: int, kind: EntryKind = EntryKind.ADJUSTMENT, lot_id: UUID | None = None
    ) -> Entry:
        self.seq += 1
        self.balance += amount
        entry = Entry(
            org_id=NOBODY,
            wallet_id=NOBODY,
            seq=self.seq,
            entry_id=UUID(int=self.seq),
            kind=kind,
            account=Account.CASH,
            amount=amount,
            balance_after=self.balance,
            posted_at=START + timedelta(days=self.seq),
            lot_id=lot_id,
            source=None,
            reverses_seq=None,
            actor=None,
            reason=None,
        )
        self.movements.append(entry)
        return entry

    def bring(
        self,
        amount: int,
        kind: LotKind = LotKind.PURCHASED,
        *,
        priority: int = 100,
        day: int | None = None,
    ) -> UUID:
        entry = self.post(amount, EntryKind.PURCHASE, UUID(int=self.seq + 1))
        self.lots.append(
            Lot(
                lot_id=entry.entry_id,
                entry_seq=entry.seq,
                kind=kind,
                amount=amount,
                priority=priority,
                arrived_at=entry.posted_at,
                expires_at=None if day is None else START + timedelta(days=day),
                label=None,
            )
        )
        return entry.entry_id

    def spend(self, amount: int) -> None:
        self.seq += 1
        self.balance -= amount

    def draw(self) -> Drawn:
        return draw(self.lots, self.movements, self.balance)


def test_nothing_drawn_from_nothing() -> None:
    assert Books().draw() == Drawn()


def test_the_order_of_drawing() -> None:
    books = Books()
    books.bring(1)
    books.bring(1, LotKind.PROMOTIONAL)
    books.bring(1, LotKind.ALLOWANCE, day=60)
    books.bring(1, day=60)
    books.bring(1, LotKind.PROMOTIONAL, day=30)
    books.bring(1, LotKind.PROMOTIONAL, priority=1)
    books.bring(1, priority=200, day=1)
    books.bring(1)
    order = [lot.lot_id.int for lot in sorted(books.lots, key=drawing_order)]
    assert order == [6, 5, 3, 4, 2, 1, 8, 7]


def test_lots_of_the_same_moment_keep_the_order_of_their_entries() -> None:
    books = Books()
    first, second = books.bring(5), books.bring(5)
    books.spend(6)
    drawn = books.draw()
    assert (drawn.remaining[first], drawn.remaining[second]) == (0, 4)


def test_a_better_lot_that_arrives_later_pays_only_what_comes_later() -> None:
    books = Books()
    bought = books.bring(10)
    books.spend(4)
    gift = books.bring(3, LotKind.PROMOTIONAL)
    books.spend(4)
    drawn = books.draw()
    assert (drawn.spent[bought], drawn.spent[gift]) == (5, 3)


def test_debt_is_paid_by_what_arrives() -> None:
    books = Books()
    books.spend(7)
    first = books.bring(5)
    second = books.bring(5)
    drawn = books.draw()
    assert (drawn.remaining[first], drawn.remaining[second], drawn.debt) == (0, 3, 0)
    assert (drawn.spent[first], drawn.spent[second]) == (5, 2)


def test_debt_stays_debt() -> None:
    books = Books()
    lot = books.bring(5)
    books.spend(7)
    drawn = books.draw()
    assert (drawn.remaining[lot], drawn.debt) == (0, 2)


def test_credit_given_back_pays_debt_before_it_fills_lots() -> None:
    books = Books()
    lot = books.bring(5)
    books.spend(7)
    books.post(3)
    drawn = books.draw()
    assert (drawn.remaining[lot], drawn.debt) == (1, 0)


def test_credit_that_fits_in_no_lot_is_spent_first() -> None:
    books = Books()
    lot = books.bring(5)
    books.post(4)
    assert books.draw().debt == -4
    books.spend(3)
    assert (books.draw().remaining[lot], books.draw().debt) == (5, -1)
    books.spend(3)
    assert (books.draw().remaining[lot], books.draw().debt) == (3, 0)


def test_an_expiry_takes_only_its_lot_and_tells_when_it_took_more() -> None:
    books = Books()
    lot, other = books.bring(5), books.bring(5)
    books.spend(2)
    books.post(-3, EntryKind.EXPIRY, lot)
    drawn = books.draw()
    assert (drawn.remaining[lot], drawn.expired[lot], drawn.remaining[other]) == (0, 3, 5)
    assert drawn.expired_beyond == {}
    beyond = books.post(-1, EntryKind.EXPIRY, lot)
    assert books.draw().expired_beyond == {beyond.seq: 0}


def test_a_year_of_hourly_top_ups_is_drawn_in_a_moment() -> None:
    books = Books()
    for nth in range(9_000):
        books.bring(100, day=20_000 - nth % 50)
        books.spend(99)
        if nth % 100 == 0:
            books.post(5)
    began = time.monotonic()
    drawn = books.draw()
    assert time.monotonic() - began < 5
    assert sum(drawn.remaining.values()) - drawn.debt == books.balance


moves = st.one_of(
    st.tuples(st.just("bring"), st.integers(1, 9), st.sampled_from(LotKind), st.integers(0, 2)),
    st.tuples(st.just("spend"), st.integers(1, 9)),
    st.tuples(st.just("post"), st.integers(-9, 9).filter(bool)),
    st.tuples(st.just("take"), st.integers(1, 9), st.integers(0, 30)),
    st.tuples(st.just("expire"), st.integers(1, 9), st.integers(0, 30)),
    st.tuples(st.just("return"), st.integers(1, 9), st.integers(0, 30)),
)


@settings(deadline=None)
@given(st.lists(moves, max_size=40))
def test_every_nano_is_somewhere(history: list[tuple[object, ...]]) -> None:
    """L2, L11 for lots: `remaining - debt = posted`, and each lot is whole, whatever happened."""
    books = Books()
    for move in history:
        make(books, *move)
        drawn = books.draw()
        assert sum(drawn.remaining.values()) - drawn.debt == books.balance
        for lot in books.lots:
            parts = (drawn.remaining, drawn.spent, drawn.expired, drawn.taken_back)
            assert all(part[lot.lot_id] >= 0 for part in parts)
            assert sum(part[lot.lot_id] for part in parts) == lot.amount
        assert [lot.lot_id for lot in drawn.left] == [
            lot.lot_id
            for lot in sorted(books.lots, key=drawing_order)
            if drawn.remaining[lot.lot_id]
        ]
        assert drawn.debt <= 0 or not drawn.left


@settings(deadline=None)
@given(st.lists(moves, max_size=30), st.lists(moves, max_size=10))
def test_what_was_drawn_is_not_drawn_otherwise_later(
    before: list[tuple[object, ...]], after: list[tuple[object, ...]]
) -> None:
    """Spending that came after does not change which lot paid for what came before."""
    books = Books()
    for move in before:
        make(books, *move)
    then = books.draw().spent
    for move in after:
        if move[0] in ("bring", "spend"):
            make(books, *move)
    now = books.draw().spent
    assert all(now[lot_id] >= spent for lot_id, spent in then.items())


def make(books: Books, what: object, amount: object, *rest: object) -> None:
    assert isinstance(amount, int)
    if what == "bring":
        kind, day = rest
        assert isinstance(kind, LotKind)
        assert isinstance(day, int)
        books.bring(amount, kind, day=day * 20 or None)
    elif what == "spend":
        books.spend(amount)
    elif what == "post":
        books.post(amount)
    elif books.lots:
        (nth,) = rest
        assert isinstance(nth, int)
        lot = books.lots[nth % len(books.lots)]
        kind = EntryKind.EXPIRY if what == "expire" else EntryKind.REFUND
        books.post(amount if what == "return" else -amount, kind, lot.lot_id)
