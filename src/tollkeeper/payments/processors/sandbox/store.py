"""All SQL of the sandbox: documents by ref, and the events it has to tell."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString, TypeVar

import msgspec
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.payments.processors.sandbox.model import Document

D = TypeVar("D", bound=Document)

_INSERT: Final = """
INSERT INTO sandbox_object (object_id, kind, parent, our_id, created_at, body)
VALUES (%(ref)s, %(kind)s, %(parent)s, %(our_id)s, %(created_at)s, %(body)s)
ON CONFLICT (kind, our_id) WHERE our_id IS NOT NULL DO NOTHING
"""
_WRITE: Final = "UPDATE sandbox_object SET body = %(body)s WHERE object_id = %(ref)s"
_READ: Final = "SELECT body FROM sandbox_object WHERE object_id = %(ref)s AND kind = %(kind)s"
_LOCK: Final = f"{_READ} FOR NO KEY UPDATE"
_READ_OURS: Final = """
SELECT body FROM sandbox_object WHERE kind = %(kind)s AND our_id = %(our_id)s
"""
_LOCK_OURS: Final = f"{_READ_OURS} FOR NO KEY UPDATE"
_LIST_OF: Final = """
SELECT body FROM sandbox_object WHERE parent = %(parent)s AND kind = %(kind)s
ORDER BY object_id DESC
"""
_NEWEST: Final = """
SELECT body FROM sandbox_object WHERE kind = %(kind)s
ORDER BY created_at DESC, object_id DESC LIMIT %(most)s
"""
_DUE: Final = """
SELECT body->>'ref' FROM sandbox_object
WHERE kind = %(kind)s AND (body->>'due_at')::timestamptz <= %(now)s
ORDER BY (body->>'due_at')::timestamptz LIMIT %(most)s
"""
_BETWEEN: Final = """
SELECT body FROM sandbox_object
WHERE kind = %(kind)s AND created_at >= %(since)s AND created_at < %(until)s
ORDER BY created_at DESC, object_id DESC
"""


def new_ref(kind: type[Document]) -> str:
    return f"{kind.prefix}_{uuid7().hex}"


async def insert(
    tx: Connection, document: Document, *, parent: str = "", our_id: str | None = None
) -> bool:
    """Return False when there is one of that kind with `our_id` already."""
    inserted = await tx.execute(
        _INSERT,
        {
            "ref": document.ref,
            "kind": document.kind,
            "parent": parent,
            "our_id": our_id,
            "created_at": document.created_at,
            "body": _body(document),
        },
    )
    return inserted.rowcount == 1


async def write(tx: Connection, document: Document) -> None:
    await tx.execute(_WRITE, {"ref": document.ref, "body": _body(document)})


async def read(connection: Connection, kind: type[D], ref: str) -> D | None:
    return await _one(connection, kind, _READ, ref=ref, kind=kind.kind)


async def lock(tx: Connection, kind: type[D], ref: str) -> D | None:
    return await _one(tx, kind, _LOCK, ref=ref, kind=kind.kind)


async def read_ours(connection: Connection, kind: type[D], our_id: str) -> D | None:
    """Read the one that was made under an id of ours."""
    return await _one(connection, kind, _READ_OURS, our_id=our_id, kind=kind.kind)


async def lock_ours(tx: Connection, kind: type[D], our_id: str) -> D | None:
    return await _one(tx, kind, _LOCK_OURS, our_id=our_id, kind=kind.kind)


async def list_of(connection: Connection, kind: type[D], parent: str) -> list[D]:
    """Newest first."""
    return await _all(connection, kind, _LIST_OF, parent=parent, kind=kind.kind)


async def newest(connection: Connection, kind: type[D], most: int) -> list[D]:
    return await _all(connection, kind, _NEWEST, kind=kind.kind, most=most)


async def due(connection: Connection, kind: type[Document], now: datetime, most: int) -> list[str]:
    """Return the refs of those to which something is to happen by itself."""
    found = await connection.execute(_DUE, {"kind": kind.kind, "now": now, "most": most})
    return [row[0] for row in await found.fetchall()]


async def between(
    connection: Connection, kind: type[D], since: datetime, until: datetime
) -> AsyncIterator[D]:
    """Stream them, newest first."""
    async with connection.cursor() as cursor:
        asked = {"kind": kind.kind, "since": since, "until": until}
        async for row in cursor.stream(_BETWEEN, asked):
            yield msgspec.convert(row[0], kind)


async def _one(
    connection: Connection, document: type[D], query: LiteralString, **asked: object
) -> D | None:
    found = await _all(connection, document, query, **asked)
    return found[0] if found else None


async def _all(
    connection: Connection, document: type[D], query: LiteralString, **asked: object
) -> list[D]:
    found = await connection.execute(query, asked)
    return [msgspec.convert(row[0], document) for row in await found.fetchall()]


def _body(document: Document) -> Jsonb:
    builtins: Any = msgspec.to_builtins(document)
    return Jsonb(builtins)


# ── Events ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    event_id: str
    type: str
    created_at: datetime
    body: str
    deliver_at: datetime | None
    times: int
    delivered: int


_EVENT: Final = "event_id, type, created_at, body, deliver_at, times, delivered"
_INSERT_EVENT: Final = """
INSERT INTO sandbox_event (event_id, type, created_at, body, deliver_at, times)
VALUES (%(event_id)s, %(type)s, %(created_at)s, %(body)s, %(deliver_at)s, %(times)s)
"""
_TAKE_DUE: Final = f"""
UPDATE sandbox_event SET delivered = delivered + times, deliver_at = NULL
WHERE event_id IN (
    SELECT event_id FROM sandbox_event WHERE deliver_at <= %(now)s
    ORDER BY deliver_at LIMIT %(most)s FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING {_EVENT}
"""
_DELIVER_AGAIN: Final = """
UPDATE sandbox_event SET deliver_at = %(now)s, times = 1 WHERE event_id = %(event_id)s
"""
_EVENTS_SINCE: Final = f"""
SELECT {_EVENT} FROM sandbox_event WHERE created_at >= %(since)s
ORDER BY created_at DESC, event_id DESC
"""
_NEWEST_EVENTS: Final = f"""
SELECT {_EVENT} FROM sandbox_event ORDER BY created_at DESC, event_id DESC LIMIT %(most)s
"""


async def insert_event(tx: Connection, event: Event) -> None:
    await tx.execute(
        _INSERT_EVENT,
        {
            "event_id": event.event_id,
            "type": event.type,
            "created_at": event.created_at,
            "body": event.body,
            "deliver_at": event.deliver_at,
            "times": event.times,
        },
    )


async def take_due(connection: Connection, now: datetime, most: int) -> Sequence[Event]:
    """Take events that are to be delivered, each as many `times` as it says."""
    return await _events(connection, _TAKE_DUE, now=now, most=most)


async def deliver_again(tx: Connection, event_id: str, now: datetime) -> None:
    await tx.execute(_DELIVER_AGAIN, {"event_id": event_id, "now": now})


async def events_since(connection: Connection, since: datetime) -> AsyncIterator[Event]:
    """Stream them, newest first."""
    async with connection.cursor(row_factory=class_row(Event)) as cursor:
        async for event in cursor.stream(_EVENTS_SINCE, {"since": since}):
            yield event


async def newest_events(connection: Connection, most: int) -> list[Event]:
    return await _events(connection, _NEWEST_EVENTS, most=most)


async def _events(connection: Connection, query: LiteralString, **asked: object) -> list[Event]:
    async with connection.cursor(row_factory=class_row(Event)) as cursor:
        await cursor.execute(query, asked)
        return await cursor.fetchall()
