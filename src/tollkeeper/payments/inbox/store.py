"""All SQL of the inbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, LiteralString

from psycopg.rows import kwargs_row

from tollkeeper.db import Connection
from tollkeeper.payments.processors import RawEvent


class EventState(StrEnum):
    PENDING = "pending"
    HANDLED = "handled"
    IGNORED = "ignored"
    """Understood, and of no interest."""
    NOT_UNDERSTOOD = "not_understood"


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxEvent:
    """An event as it is kept. `last_error` says why it is not handled yet, if it was tried."""

    processor: str
    livemode: bool
    event_id: str
    type: str
    created_at: datetime
    received_at: datetime
    body: bytes
    state: EventState
    handled_at: datetime | None
    attempts: int
    last_error: str | None

    @property
    def raw(self) -> RawEvent:
        return RawEvent(
            processor=self.processor,
            event_id=self.event_id,
            type=self.type,
            created_at=self.created_at,
            body=self.body,
        )


_EVENT: Final = """
    processor, livemode, event_id, type, created_at, received_at, body, state, handled_at,
    attempts, last_error
"""
_INSERT: Final = """
INSERT INTO inbox_event (
    processor, livemode, event_id, type, created_at, received_at, body, state, attempt_at
) VALUES (
    %(processor)s, %(livemode)s, %(event_id)s, %(type)s, %(created_at)s, %(now)s, %(body)s,
    'pending', %(now)s
)
ON CONFLICT (processor, event_id) DO NOTHING
"""
# Whoever claims an event has it for a while; if it is killed, another takes over. Each attempt
# doubles the wait for the next.
_CLAIM_DUE: Final = f"""
UPDATE inbox_event SET
    attempts = attempts + 1,
    attempt_at = %(now)s::timestamptz
        + least(make_interval(secs => 15 * 2 ^ least(attempts, 20)), interval '1 hour')
WHERE (processor, event_id) IN (
    SELECT processor, event_id FROM inbox_event
    WHERE state = 'pending' AND attempt_at <= %(now)s
      AND (processor || livemode::text) = ANY (%(processors)s)
    ORDER BY attempt_at
    LIMIT %(most)s
    FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING {_EVENT}
"""
_CLAIM_ONE: Final = f"""
UPDATE inbox_event SET
    attempts = attempts + 1,
    attempt_at = %(now)s::timestamptz + interval '15 seconds'
WHERE processor = %(processor)s AND event_id = %(event_id)s
  AND state = 'pending' AND attempts = 0
RETURNING {_EVENT}
"""
_LOCK_PENDING: Final = """
SELECT FROM inbox_event
WHERE processor = %(processor)s AND event_id = %(event_id)s AND state = 'pending'
FOR NO KEY UPDATE
"""
_MARK: Final = """
UPDATE inbox_event SET state = %(state)s, handled_at = %(now)s, attempt_at = NULL,
    last_error = NULL
WHERE processor = %(processor)s AND event_id = %(event_id)s AND state = 'pending'
"""
_NOTE_ERROR: Final = """
UPDATE inbox_event SET last_error = %(error)s
WHERE processor = %(processor)s AND event_id = %(event_id)s AND state = 'pending'
"""
_REPLAY: Final = """
UPDATE inbox_event SET state = 'pending', attempts = 0, attempt_at = %(now)s, handled_at = NULL
WHERE processor = %(processor)s
  AND (%(event_ids)s::text[] IS NULL OR event_id = ANY (%(event_ids)s))
  AND (%(types)s::text[] IS NULL OR type = ANY (%(types)s))
  AND (%(states)s::text[] IS NULL OR state = ANY (%(states)s))
  AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s)
"""
_LIST: Final = f"""
SELECT {_EVENT} FROM inbox_event
WHERE processor = %(processor)s AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY received_at DESC, event_id
LIMIT %(most)s
"""
_FIND: Final = f"""
SELECT {_EVENT} FROM inbox_event
WHERE processor = %(processor)s AND event_id = %(event_id)s
"""

_READ_CURSOR: Final = """
SELECT caught_up_to FROM inbox_cursor WHERE processor = %(processor)s AND livemode = %(livemode)s
"""
_WRITE_CURSOR: Final = """
INSERT INTO inbox_cursor (processor, livemode, caught_up_to)
VALUES (%(processor)s, %(livemode)s, %(caught_up_to)s)
ON CONFLICT (processor, livemode) DO UPDATE
SET caught_up_to = greatest(inbox_cursor.caught_up_to, excluded.caught_up_to)
"""


async def insert(connection: Connection, raw: RawEvent, now: datetime, *, livemode: bool) -> bool:
    """Return False when it is there already."""
    row = {**asdict(raw), "livemode": livemode, "now": now}
    inserted = await connection.execute(_INSERT, row)
    return inserted.rowcount == 1


async def claim_due(
    connection: Connection, processors: Sequence[str], now: datetime, most: int
) -> list[InboxEvent]:
    return await _events(connection, _CLAIM_DUE, processors=list(processors), now=now, most=most)


async def claim_one(
    connection: Connection, processor: str, event_id: str, now: datetime
) -> InboxEvent | None:
    """Take an event that nobody has tried yet."""
    found = await _events(connection, _CLAIM_ONE, processor=processor, event_id=event_id, now=now)
    return found[0] if found else None


async def lock_pending(tx: Connection, event: InboxEvent) -> bool:
    """Return False when it has been handled meanwhile."""
    asked = {"processor": event.processor, "event_id": event.event_id}
    locked = await tx.execute(_LOCK_PENDING, asked)
    return locked.rowcount == 1


async def mark(tx: Connection, event: InboxEvent, state: EventState, now: datetime) -> None:
    await tx.execute(
        _MARK,
        {
            "processor": event.processor,
            "event_id": event.event_id,
            "state": state.value,
            "now": now,
        },
    )


async def note_error(connection: Connection, event: InboxEvent, error: str) -> None:
    await connection.execute(
        _NOTE_ERROR,
        {"processor": event.processor, "event_id": event.event_id, "error": error},
    )


async def replay(
    connection: Connection,
    processor: str,
    now: datetime,
    *,
    event_ids: Sequence[str] | None,
    types: Sequence[str] | None,
    states: Sequence[EventState] | None,
    since: datetime | None,
) -> int:
    done = await connection.execute(
        _REPLAY,
        {
            "processor": processor,
            "now": now,
            "event_ids": None if event_ids is None else list(event_ids),
            "types": None if types is None else list(types),
            "states": None if states is None else [state.value for state in states],
            "since": since,
        },
    )
    return done.rowcount


async def newest(
    connection: Connection, processor: str, state: EventState | None, most: int
) -> list[InboxEvent]:
    wanted = None if state is None else state.value
    return await _events(connection, _LIST, processor=processor, state=wanted, most=most)


async def find(connection: Connection, processor: str, event_id: str) -> InboxEvent | None:
    found = await _events(connection, _FIND, processor=processor, event_id=event_id)
    return found[0] if found else None


async def read_cursor(connection: Connection, processor: str, *, livemode: bool) -> datetime | None:
    found = await connection.execute(_READ_CURSOR, {"processor": processor, "livemode": livemode})
    row = await found.fetchone()
    return None if row is None else row[0]


async def write_cursor(
    connection: Connection, processor: str, caught_up_to: datetime, *, livemode: bool
) -> None:
    row = {"processor": processor, "livemode": livemode, "caught_up_to": caught_up_to}
    await connection.execute(_WRITE_CURSOR, row)


async def _events(
    connection: Connection, query: LiteralString, **asked: object
) -> list[InboxEvent]:
    async with connection.cursor(row_factory=kwargs_row(_make_event)) as cursor:
        await cursor.execute(query, asked)
        return await cursor.fetchall()


def _make_event(**row: Any) -> InboxEvent:
    return InboxEvent(state=EventState(row.pop("state")), body=bytes(row.pop("body")), **row)
