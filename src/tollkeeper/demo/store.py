"""All SQL of this room: calls of the past written down many at a time, each at its own time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import msgspec
from msgspec import Struct
from psycopg.conninfo import make_conninfo
from psycopg.rows import class_row

from tollkeeper.db import Connection

_LOCK: Final[LiteralString] = """
SELECT w.org_id, w.wallet_id, w.posted, w.held, w.overdraft, w.entry_seq, w.usage_seq, w.line_seq,
       w.newest_at, w.next_expiry_at, w.frozen_reason IS NOT NULL AS frozen
FROM wallet w
JOIN unnest(%(org_ids)s::uuid[], %(wallet_ids)s::uuid[]) AS t (org_id, wallet_id)
  ON w.org_id = t.org_id AND w.wallet_id = t.wallet_id
ORDER BY w.org_id, w.wallet_id
FOR UPDATE OF w
"""
_COPY_RECORDS: Final[LiteralString] = """
COPY usage_record (
    org_id, wallet_id, seq, usage_id, entry_seq, amount, balance_after, late, lines, line_seq,
    recorded_at, started_at, duration_ms, project_id, key_id, request_id, fingerprint, status,
    source, provider, model, operation, thread_id, detail
) FROM STDIN
"""
_COPY_ENTRIES: Final[LiteralString] = """
COPY entry (
    org_id, wallet_id, seq, entry_id, kind, account, amount, balance_after, posted_at
) FROM STDIN
"""
_MOVE: Final[LiteralString] = """
UPDATE wallet w
SET posted = i.posted,
    revenue = w.revenue + w.posted - i.posted,
    overrun = greatest(0, -(i.posted - w.held + w.overdraft)),
    entry_seq = i.entry_seq,
    usage_seq = i.usage_seq,
    line_seq = i.line_seq,
    newest_at = i.newest_at
FROM json_to_recordset(%(items)s::json) AS i (
    org_id uuid, wallet_id uuid, posted bigint, entry_seq bigint, usage_seq bigint,
    line_seq bigint, newest_at timestamptz
)
WHERE w.org_id = i.org_id AND w.wallet_id = i.wallet_id
"""
_MARK: Final[LiteralString] = """
SELECT at, details ->> 'seed' FROM audit_log WHERE what = 'demo.fill' ORDER BY audit_id LIMIT 1
"""
_OTHERS: Final[LiteralString] = "SELECT count(*) FROM organization"
_NEWEST_JOB: Final[LiteralString] = "SELECT coalesce(max(id), 0) FROM queue.procrastinate_jobs"
_TAKE_JOBS: Final[LiteralString] = """
WITH taken AS (
    DELETE FROM queue.procrastinate_jobs WHERE id > %(after)s AND status = 'todo'
    RETURNING id, task_name, args
)
SELECT task_name, args FROM taken ORDER BY id
"""
_encode = msgspec.json.Encoder().encode


def hurried(url: str) -> str:
    """Give the address of the same database, where no commit waits for the disk: what a crash
    would lose can be made again."""
    return make_conninfo(url, options="-c synchronous_commit=off")


class Purse(Struct, kw_only=True):
    """Where a wallet stands, locked: moved on in memory, written back by `move`."""

    org_id: UUID
    wallet_id: UUID
    posted: int
    held: int
    overdraft: int
    entry_seq: int
    usage_seq: int
    line_seq: int
    newest_at: datetime
    next_expiry_at: datetime | None
    frozen: bool

    @property
    def spendable(self) -> int:
        return self.posted - self.held + self.overdraft


async def lock(tx: Connection, wallets: Sequence[tuple[UUID, UUID]]) -> list[Purse]:
    cursor = tx.cursor(row_factory=class_row(Purse))
    given = {"org_ids": [one for one, _ in wallets], "wallet_ids": [one for _, one in wallets]}
    return await (await cursor.execute(_LOCK, given)).fetchall()


async def write(
    tx: Connection,
    records: Iterable[Sequence[object]],
    entries: Iterable[Sequence[object]],
    purses: Sequence[Purse],
) -> None:
    """Add records and entries, in the order of the statements' columns, and leave wallets so."""
    async with tx.cursor() as cursor:
        async with cursor.copy(_COPY_RECORDS) as copy:
            for record in records:
                await copy.write_row(record)
        async with cursor.copy(_COPY_ENTRIES) as copy:
            for entry in entries:
                await copy.write_row(entry)
        await cursor.execute(_MOVE, {"items": _encode(purses).decode()})


async def made_before(connection: Connection) -> tuple[datetime, str] | None:
    """Say when a demo was made here, and of which seed."""
    return await (await connection.execute(_MARK)).fetchone()


async def count_organizations(connection: Connection) -> int:
    found = await (await connection.execute(_OTHERS)).fetchone()
    return 0 if found is None else int(found[0])


async def newest_job(connection: Connection) -> int:
    found = await (await connection.execute(_NEWEST_JOB)).fetchone()
    return 0 if found is None else int(found[0])


async def take_jobs(connection: Connection, after: int) -> list[tuple[str, dict[str, Any]]]:
    """Take the jobs that were added since one, in their order: name and arguments."""
    return await (await connection.execute(_TAKE_JOBS, {"after": after})).fetchall()
