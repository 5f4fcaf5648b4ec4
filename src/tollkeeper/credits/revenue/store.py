"""All SQL of the revenue view: it reads the ledger, a page of wallets at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.rows import dict_row

from tollkeeper.credits.revenue.model import Book, Reached
from tollkeeper.db import Connection
from tollkeeper.ledger import Account, Entry, EntryKind, Lot, LotKind

SNAPSHOT: Final[LiteralString] = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
WALLETS: Final[LiteralString] = """
SELECT org_id, wallet_id, currency
FROM wallet
WHERE livemode = %(livemode)s AND opened_at < %(until)s AND entry_seq > 0
  AND (%(org_id)s::uuid IS NULL OR org_id = %(org_id)s)
  AND (%(after_org)s::uuid IS NULL
       OR (org_id, wallet_id) > (%(after_org)s::uuid, %(after_wallet)s::uuid))
ORDER BY org_id, wallet_id
LIMIT %(limit)s
"""
# Sequences have no gaps and times never run backwards within a wallet, so each moment is found by
# halving: `low` ends as the newest entry before it, 0 where there is none.
REACHED: Final[LiteralString] = """
WITH RECURSIVE search AS (
    SELECT w.org_id, w.wallet_id, m.nth, m.at, 0::bigint AS low, w.entry_seq + 1 AS high
    FROM unnest(%(org_ids)s::uuid[], %(wallet_ids)s::uuid[]) AS asked (org_id, wallet_id)
    JOIN wallet w ON w.org_id = asked.org_id AND w.wallet_id = asked.wallet_id
    CROSS JOIN unnest(%(moments)s::timestamptz[]) WITH ORDINALITY AS m (at, nth)
    UNION ALL
    SELECT s.org_id, s.wallet_id, s.nth, s.at,
           CASE WHEN r.before THEN m.seq ELSE s.low END,
           CASE WHEN r.before THEN s.high ELSE m.seq END
    FROM search s
    CROSS JOIN LATERAL (SELECT (s.low + s.high) / 2 AS seq) m
    CROSS JOIN LATERAL (
        SELECT e.posted_at < s.at AS before
        FROM entry e
        WHERE e.org_id = s.org_id AND e.wallet_id = s.wallet_id AND e.seq = m.seq
        LIMIT 1
    ) r
    WHERE s.high - s.low > 1
)
SELECT s.org_id, s.wallet_id, s.low AS seq, coalesce(e.balance_after, 0) AS balance
FROM search s
LEFT JOIN entry e ON e.org_id = s.org_id AND e.wallet_id = s.wallet_id AND e.seq = s.low
WHERE s.high - s.low <= 1
ORDER BY s.org_id, s.wallet_id, s.nth
"""
MOVEMENTS: Final[LiteralString] = """
SELECT e.org_id, e.wallet_id, e.seq, e.entry_id, e.kind, e.account, e.amount, e.balance_after,
       e.posted_at, e.lot_id, NULL AS source, e.reverses_seq, NULL AS actor, NULL AS reason
FROM unnest(%(org_ids)s::uuid[], %(wallet_ids)s::uuid[]) AS asked (org_id, wallet_id)
JOIN entry e ON e.org_id = asked.org_id AND e.wallet_id = asked.wallet_id
WHERE e.kind <> 'consumption'
ORDER BY e.org_id, e.wallet_id, e.seq
"""
LOTS: Final[LiteralString] = """
SELECT l.wallet_id, l.lot_id, l.entry_seq, l.kind, l.amount, l.priority, l.arrived_at,
       l.expires_at, l.label
FROM unnest(%(org_ids)s::uuid[], %(wallet_ids)s::uuid[]) AS asked (org_id, wallet_id)
JOIN lot l ON l.org_id = asked.org_id AND l.wallet_id = asked.wallet_id
ORDER BY l.wallet_id, l.entry_seq
"""


async def books(
    tx: Connection,
    moments: Sequence[datetime],
    *,
    livemode: bool,
    org_id: UUID | None,
    after: tuple[UUID, UUID] | None,
    limit: int,
) -> list[Book]:
    """The next wallets after one, up to `limit`; all of one snapshot. First of its transaction."""
    await tx.execute(SNAPSHOT)
    after_org, after_wallet = after or (None, None)
    asked = {
        "livemode": livemode,
        "until": moments[-1],
        "org_id": org_id,
        "after_org": after_org,
        "after_wallet": after_wallet,
        "limit": limit,
    }
    wallets = await _rows(tx, WALLETS, asked)
    these: dict[str, Any] = {
        "org_ids": [row["org_id"] for row in wallets],
        "wallet_ids": [row["wallet_id"] for row in wallets],
    }
    reached: dict[UUID, list[Reached]] = defaultdict(list)
    for row in await _rows(tx, REACHED, {**these, "moments": list(moments)}):
        reached[row["wallet_id"]].append(Reached(row["seq"], row["balance"]))
    movements: dict[UUID, list[Entry]] = defaultdict(list)
    for row in await _rows(tx, MOVEMENTS, these):
        movements[row["wallet_id"]].append(_entry(**row))
    lots: dict[UUID, list[Lot]] = defaultdict(list)
    for row in await _rows(tx, LOTS, these):
        lots[row.pop("wallet_id")].append(_lot(**row))
    return [
        Book(
            **row,
            lots=lots[row["wallet_id"]],
            movements=movements[row["wallet_id"]],
            reached=reached[row["wallet_id"]],
        )
        for row in wallets
    ]


async def _rows(
    tx: Connection, statement: LiteralString, parameters: dict[str, Any]
) -> list[dict[str, Any]]:
    async with tx.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()


def _entry(*, kind: str, account: str, **columns: Any) -> Entry:
    return Entry(kind=EntryKind(kind), account=Account(account), **columns)


def _lot(*, kind: str, **columns: Any) -> Lot:
    return Lot(kind=LotKind(kind), **columns)
