"""What the items of a batch take of counters, as the statements read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Generic, LiteralString, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec

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

_encode: Final = msgspec.json.Encoder().encode
_known: WeakKeyDictionary[Connection, set[Key]] = WeakKeyDictionary()


class Asked(Generic[Item]):
    """A batch in which something is counted: its items, its counters by number, its draws."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = [msgspec.structs.replace(i, draws=()) if i.draws else i for i in items]
        self._numbers: dict[Key, int] = {}
        self._rows: list[dict[str, Any]] = []
        draws = [
            self._draw(place, item.org_id, draw)
            for place, item in enumerate(items, 1)
            for draw in item.draws
            # An allowance that is asked for nothing covers nothing.
            if draw.covers is None or draw.amount
        ]
        self.parameters = {
            "counters": _encode(self._rows).decode(),
            "draws": _encode(draws).decode(),
        }

    async def make_counters(self, connection: Connection) -> None:
        """See that every counter has its row; which have is remembered with the connection."""
        known = _known.setdefault(connection, set())
        rows = [self._rows[n - 1] for key, n in self._numbers.items() if key not in known]
        if rows:
            await connection.execute(MAKE_COUNTERS, {"counters": _encode(rows).decode()})
            if len(known) >= _REMEMBERED:
                known.clear()
            known.update(self._numbers)

    def _draw(self, place: int, org_id: UUID, draw: Draw) -> dict[str, Any]:
        return {
            "ord": place,
            "n": self._number(org_id, draw),
            "amount": draw.amount,
            "worth": draw.worth,
            "covers": draw.covers,
            "whole": draw.whole,
            "lines": draw.lines,
        }

    def _number(self, org_id: UUID, draw: Draw) -> int:
        key = (org_id, draw.limit_id, draw.livemode, draw.subject)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._rows) + 1
            self._rows.append(
                {
                    "org_id": org_id,
                    "limit_id": draw.limit_id,
                    "livemode": draw.livemode,
                    "subject": draw.subject,
                    "period_start": draw.period_start,
                    "ceiling": draw.ceiling,
                }
            )
            return number
        row = self._rows[number - 1]
        if draw.period_start > row["period_start"]:
            # Two calls on either side of midnight: the batch is of the later day.
            row |= {"period_start": draw.period_start, "ceiling": draw.ceiling}
        return number


def ask(items: Sequence[Item]) -> Asked[Item] | None:
    """Gather what is counted. None for a batch in which nothing is."""
    return Asked(items) if any(item.draws for item in items) else None
