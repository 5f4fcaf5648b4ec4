"""What the items of a batch take of counters, as the statements read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Generic, LiteralString, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from tollkeeper.base.money import NANOS_PER_UNIT
from tollkeeper.db import Connection
from tollkeeper.ledger.model import Draw, NewCharge, NewHold

MAKE_COUNTERS: Final[LiteralString] = """
INSERT INTO counter (org_id, limit_id, livemode, subject, period_start)
SELECT c.org_id, c.limit_id, c.livemode, c.subject, c.period_start
FROM json_to_recordset(%(counters)s::json) AS c (
    org_id uuid, limit_id uuid, livemode boolean, subject text, period_start timestamptz
)
ORDER BY 1, 2, 3, 4
ON CONFLICT (org_id, limit_id, livemode, subject) DO NOTHING
"""

Item = TypeVar("Item", NewHold, NewCharge)
Key = tuple[UUID, UUID, bool, str]  # organization, limit, mode, subject
# Limit, room, what was asked: as JSON gives it.
Shorts = list[tuple[str, int, int]]

# Counters that have a row are asked for again and again; so many are remembered per connection.
_REMEMBERED: Final = 100_000

# Beyond, a total is more than any ceiling anyway.
_LARGEST: Final = 2**63 - 1
# Where a line of a record's rating says what is paid for it.
_LINE_AMOUNT: Final = 6

_encode: Final = msgspec.json.Encoder().encode
_fields: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_places: Final = msgspec.json.Decoder(list[Raw]).decode
_known: WeakKeyDictionary[Connection, set[Key]] = WeakKeyDictionary()
# Whose counters lately had no room, and until when nothing is supposed of them: an allowance that
# is used up stays so for the rest of its cycle.
_TIGHT_FOR: Final = timedelta(seconds=10)
_tight: WeakKeyDictionary[Connection, dict[UUID, datetime]] = WeakKeyDictionary()


class _Counter(Struct):
    org_id: UUID
    limit_id: UUID
    livemode: bool
    subject: str
    period_start: datetime
    ceiling: int | None
    total: int = 0  # what all calls of the batch together ask of it
    pays: bool = False


class Asked(Generic[Item]):
    """A batch in which something is counted: its items, its counters by number, its draws."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        # What each costs in credit if its allowances have all that it asks of them.
        self.credits: list[int] = [_left_to_pay(item.amount, item.draws) for item in items]
        self._numbers: dict[Key, int] = {}
        self._counters: list[_Counter] = []
        self._draws = [
            (place, self._number(item.org_id, draw), draw)
            for place, item in enumerate(items, 1)
            for draw in item.draws
            # An allowance that is asked for nothing covers nothing.
            if draw.covers is None or draw.amount
        ]

    async def make_counters(self, connection: Connection) -> None:
        """See that every counter has its row; which have is remembered with the connection."""
        known = _known.setdefault(connection, set())
        rows = [self._counters[n - 1] for key, n in self._numbers.items() if key not in known]
        if rows:
            await connection.execute(MAKE_COUNTERS, {"counters": _encode(rows).decode()})
            if len(known) >= _REMEMBERED:
                known.clear()
            known.update(self._numbers)

    def exactly(self) -> dict[str, Any]:
        """Give what the statements of `counted_statements` are asked."""
        draws = [
            {
                "ord": place,
                "n": number,
                "amount": draw.amount,
                "worth": draw.worth,
                "covers": draw.covers,
                "whole": draw.whole,
                "lines": draw.lines,
            }
            for place, number, draw in self._draws
        ]
        items = [replace(i, draws=()) if i.draws else i for i in self.items]
        return self._parameters(items) | {"draws": _encode(draws).decode()}

    def supposedly(self) -> dict[str, Any]:
        """Give what the statements of `roomy_statements` are asked."""
        places: list[int] = []
        numbers: list[int] = []
        units: list[int] = []
        for place, number, draw in self._draws:
            taken = draw.amount
            if taken is None:
                taken = -(-self.credits[place - 1] * draw.worth // NANOS_PER_UNIT)
            taken = min(taken, _LARGEST)
            if taken:
                places.append(place)
                numbers.append(number)
                units.append(taken)
                counter = self._counters[number - 1]
                counter.total += taken
                counter.pays |= draw.covers is not None
        for counter in self._counters:
            counter.total = min(counter.total, _LARGEST)
        items = [
            _supposed(item, credit) if item.draws else item
            for item, credit in zip(self.items, self.credits, strict=True)
        ]
        draws = {"places": places, "numbers": numbers, "units": units}
        return self._parameters(items) | {name: _array(values) for name, values in draws.items()}

    def _parameters(self, items: Sequence[Item]) -> dict[str, Any]:
        return {"items": _encode(items).decode(), "counters": _encode(self._counters).decode()}

    def _number(self, org_id: UUID, draw: Draw) -> int:
        key = (org_id, draw.limit_id, draw.livemode, draw.subject)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._counters) + 1
            start, ceiling = draw.period_start, draw.ceiling
            self._counters.append(_Counter(*key, period_start=start, ceiling=ceiling))
            return number
        counter = self._counters[number - 1]
        if draw.period_start > counter.period_start:
            # Two calls on either side of midnight: the batch is of the later day.
            counter.period_start, counter.ceiling = draw.period_start, draw.ceiling
        return number


async def ask(connection: Connection, items: Sequence[Item]) -> Asked[Item] | None:
    """Gather what is counted, and see that it has its rows. None where nothing is counted."""
    if not any(item.draws for item in items):
        return None
    asked = Asked(items)
    await asked.make_counters(connection)
    return asked


def forget_counters(connection: Connection) -> None:
    """Somebody took a counter away that had its row: see again which have."""
    _known.pop(connection, None)


def tight_orgs(connection: Connection, now: datetime) -> dict[UUID, datetime]:
    """Give the organizations of which nothing is supposed, and until when."""
    known = _tight.setdefault(connection, {})
    for org_id in [org_id for org_id, until in known.items() if until <= now]:
        del known[org_id]
    return known


def keep_tight(tight: dict[UUID, datetime], org_id: UUID, now: datetime) -> None:
    tight[org_id] = now + _TIGHT_FOR


def _left_to_pay(amount: int, draws: Sequence[Draw]) -> int:
    return amount - sum(draw.covers for draw in draws if draw.covers and draw.amount)


def _supposed(item: Item, credit: int) -> Item:
    """Give an item as it is if its allowances have all that it asks of them."""
    if isinstance(item, NewHold):
        return replace(item, amount=credit, draws=())
    return replace(item, amount=credit, draws=(), detail=_paid(item, credit))


def _paid(charge: NewCharge, credit: int) -> Raw:
    """Write into the record what the statement would: lines that are covered cost nothing."""
    covering = [draw for draw in charge.draws if draw.covers is not None and draw.amount]
    detail = _fields(charge.detail) if covering else {}
    rating = _fields(detail["rating"]) if "rating" in detail else {}
    lines = _places(rating["lines"]) if "lines" in rating else []
    if not lines:
        return charge.detail
    for place in {place for draw in covering for place in draw.lines}:
        line = _places(lines[place])
        line[_LINE_AMOUNT] = Raw(b"0")
        lines[place] = Raw(_encode(line))
    rating |= {"lines": Raw(_encode(lines)), "cost": Raw(_encode(credit))}
    said = [(d.limit_id, d.amount, d.amount, d.covers, d.lines) for d in covering]
    return Raw(_encode(detail | {"rating": Raw(_encode(rating)), "allowances": Raw(_encode(said))}))


def _array(numbers: list[int]) -> str:
    return "{" + _encode(numbers)[1:-1].decode() + "}"
