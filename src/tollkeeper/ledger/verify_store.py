"""The SQL of `verify`. Each check gives rows only for what is wrong.

A check of wallets gives (organization, wallet, sequence or NULL, row, column, expected, found), the
last four as text. It takes the wallets of one chunk and walks their rows in the order of the
primary key, one wallet at a time, so that nothing large is sorted or kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

import msgspec

from tollkeeper.db import Connection
from tollkeeper.ledger.model import ACCOUNT_OF, Account, Entry, EntryKind, Lot, LotKind

Name = tuple[UUID, UUID]  # organization, wallet
Row = tuple[UUID | None, UUID | None, int | None, str, str, str | None, str | None]


class Drawing(NamedTuple):
    wallet: Name
    lots: list[Lot]
    movements: list[Entry]
    posted: int
    next_expiry_at: datetime | None


# A broken chain of millions of rows is not told row by row.
MOST_ROWS: Final = 1_000

# One snapshot for all that is compared. Sorting looks cheap to the planner as long as wallets are
# short; walking the primary key is what a wallet of ten million records needs.
BEGIN: Final[tuple[LiteralString, ...]] = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "SET LOCAL enable_sort = off",
    "SET LOCAL enable_seqscan = off",
    "SET LOCAL jit = off",
)

_WALLETS: Final[LiteralString] = (
    "unnest(%(org_ids)s::uuid[], %(wallet_ids)s::uuid[]) AS t (org_id, wallet_id)"
)

WALLETS_AFTER: Final[LiteralString] = """
SELECT org_id, wallet_id, entry_seq + usage_seq
FROM wallet
WHERE (%(org_id)s::uuid IS NULL OR org_id = %(org_id)s)
  AND (org_id, wallet_id) > (%(after_org)s::uuid, %(after_wallet)s::uuid)
ORDER BY org_id, wallet_id
LIMIT %(limit)s
"""
COUNT_ROWS: Final[LiteralString] = """
SELECT coalesce(sum(entry_seq + usage_seq), 0)::bigint FROM wallet
WHERE %(org_id)s::uuid IS NULL OR org_id = %(org_id)s
"""

# A row is right if it follows from the one before it. Where it does not, but would if that one did,
# it is that one whose balance is wrong, and it has been named.
ENTRY_CHAIN: Final[LiteralString] = f"""
SELECT t.org_id, t.wallet_id, r.seq, 'entry ' || r.seq, v.name, v.expected, v.found
FROM {_WALLETS}
CROSS JOIN LATERAL (
    SELECT c.*, seq = seq_before + 1 AS seq_right,
           balance_after = balance_before + amount
               OR balance_before <> balance_earlier + amount_before
                  AND balance_after = balance_earlier + amount_before + amount
               OR seq <> seq_before + 1 AS balance_right,
           coalesce(posted_at >= posted_before, true) AS time_right,
           account = account_of_kind OR reverses_seq IS NOT NULL
               -- usage that had no price when it was recorded, charged later
               OR kind = 'adjustment' AND account = 'revenue' AS account_right
    FROM (
        SELECT e.seq, e.kind, e.account, e.amount, e.balance_after, e.posted_at, e.reverses_seq,
               coalesce(lag(e.seq) OVER w, 0) AS seq_before,
               coalesce(lag(e.amount) OVER w, 0) AS amount_before,
               coalesce(lag(e.balance_after) OVER w, 0) AS balance_before,
               coalesce(lag(e.balance_after, 2) OVER w, 0) AS balance_earlier,
               lag(e.posted_at) OVER w AS posted_before,
               %(account_of)s::jsonb ->> e.kind AS account_of_kind
        FROM entry e
        WHERE e.org_id = t.org_id AND e.wallet_id = t.wallet_id
        WINDOW w AS (ORDER BY e.seq)
    ) c
) r
CROSS JOIN LATERAL (VALUES
    ('seq', (r.seq_before + 1)::text, r.seq::text, r.seq_right),
    ('balance_after', (r.balance_before + r.amount)::text, r.balance_after::text, r.balance_right),
    ('posted_at', 'not before ' || r.posted_before, r.posted_at::text, r.time_right),
    ('account', r.account_of_kind, r.account, r.account_right)
) v (name, expected, found, is_right)
WHERE NOT (r.seq_right AND r.balance_right AND r.time_right AND r.account_right) AND NOT v.is_right
LIMIT %(most)s
"""

# Within a batch a record's balance follows from the record before it, and at its beginning from
# the entry. One that cost nothing stands at the balance of its moment, which is that of the record
# before it or of an entry since.
USAGE_CHAIN: Final[LiteralString] = f"""
SELECT t.org_id, t.wallet_id, r.seq, 'usage record ' || r.seq, v.name, v.expected, v.found
FROM {_WALLETS}
CROSS JOIN LATERAL (
    SELECT c.*, seq = seq_before + 1 AS seq_right,
           line_seq = lines_before + lines
               OR lines_before <> lines_earlier + lines_of_before
                  AND line_seq = lines_earlier + lines_of_before + lines
               OR seq <> seq_before + 1 AS lines_right,
           coalesce(recorded_at >= recorded_before, true) AS time_right,
           (entry_seq IS NULL) = (amount = 0) AS entry_right,
           balance_after = balance_before - amount
               OR balance_before <> balance_earlier - amount_before
                  AND balance_after = balance_earlier - amount_before - amount AS balance_right
    FROM (
        SELECT u.seq, u.amount, u.balance_after, u.lines, u.line_seq, u.recorded_at, u.entry_seq,
               coalesce(lag(u.seq) OVER w, 0) AS seq_before,
               coalesce(lag(u.amount) OVER w, 0) AS amount_before,
               coalesce(lag(u.balance_after) OVER w, 0) AS balance_before,
               coalesce(lag(u.balance_after, 2) OVER w, 0) AS balance_earlier,
               coalesce(lag(u.lines) OVER w, 0) AS lines_of_before,
               coalesce(lag(u.line_seq) OVER w, 0) AS lines_before,
               coalesce(lag(u.line_seq, 2) OVER w, 0) AS lines_earlier,
               lag(u.recorded_at) OVER w AS recorded_before,
               max(u.entry_seq) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                   AS entry_before
        FROM usage_record u
        WHERE u.org_id = t.org_id AND u.wallet_id = t.wallet_id
        WINDOW w AS (ORDER BY u.seq)
    ) c
) r
LEFT JOIN LATERAL (
    SELECT e.balance_after - e.amount AS balance_before
    FROM entry e
    WHERE NOT r.balance_right AND e.org_id = t.org_id AND e.wallet_id = t.wallet_id
      AND e.seq = r.entry_seq
) e ON true
LEFT JOIN LATERAL (
    SELECT true AS stood
    FROM entry s
    WHERE NOT r.balance_right AND r.entry_seq IS NULL
      AND s.org_id = t.org_id AND s.wallet_id = t.wallet_id AND s.seq >= coalesce(r.entry_before, 0)
      AND s.posted_at <= r.recorded_at AND s.balance_after = r.balance_after
    LIMIT 1
) s ON true
CROSS JOIN LATERAL (VALUES
    ('seq', (r.seq_before + 1)::text, r.seq::text, r.seq_right),
    ('line_seq', (r.lines_before + r.lines)::text, r.line_seq::text, r.lines_right),
    ('recorded_at', 'not before ' || r.recorded_before, r.recorded_at::text, r.time_right),
    ('entry_seq', CASE WHEN r.amount = 0 THEN 'none' ELSE 'an entry' END, r.entry_seq::text,
     r.entry_right),
    ('balance_after', coalesce(
         CASE WHEN r.entry_seq IS DISTINCT FROM r.entry_before THEN e.balance_before END,
         r.balance_before
     )::numeric - r.amount || '', r.balance_after::text,
     r.balance_right
         OR coalesce(r.balance_after = e.balance_before - r.amount, false)
         OR coalesce(r.balance_before <> e.balance_before - r.amount_before
                     AND r.balance_after = e.balance_before - r.amount_before - r.amount, false)
         OR coalesce(s.stood, false)
         OR NOT r.seq_right)
) v (name, expected, found, is_right)
WHERE NOT (r.seq_right AND r.lines_right AND r.time_right AND r.entry_right AND r.balance_right)
  AND NOT v.is_right
LIMIT %(most)s
"""

CONSUMPTION: Final[LiteralString] = f"""
SELECT t.org_id, t.wallet_id, r.nth, 'entry ' || r.nth, v.name, v.expected, v.found
FROM {_WALLETS}
CROSS JOIN LATERAL (
    SELECT coalesce(e.seq, u.entry_seq) AS nth, *
    FROM (
        SELECT e.seq, e.amount, e.balance_after, e.posted_at, e.entry_id
        FROM entry e
        WHERE e.org_id = t.org_id AND e.wallet_id = t.wallet_id AND e.kind = 'consumption'
    ) e
    FULL JOIN (
        -- Within an entry balances only fall: the least is the last.
        SELECT u.entry_seq, -sum(u.amount) AS spent, min(u.balance_after) AS last_balance,
               min(u.recorded_at) AS first_at, max(u.recorded_at) AS last_at, max(u.seq) AS last_seq
        FROM usage_record u
        WHERE u.org_id = t.org_id AND u.wallet_id = t.wallet_id AND u.entry_seq IS NOT NULL
        GROUP BY u.entry_seq
    ) u ON u.entry_seq = e.seq
) r
LEFT JOIN LATERAL (
    -- The last call of the batch gave the entry its id; it may have cost nothing.
    SELECT u.seq FROM usage_record u
    WHERE u.org_id = t.org_id AND u.usage_id = r.entry_id AND u.wallet_id = t.wallet_id
      AND u.seq >= r.last_seq AND u.recorded_at = r.posted_at
    LIMIT 1
) n ON true
CROSS JOIN LATERAL (VALUES
    ('kind', CASE WHEN r.seq IS NULL THEN 'consumption' ELSE 'usage records' END, 'none',
     r.seq IS NOT NULL AND r.entry_seq IS NOT NULL),
    ('amount', r.spent::text, r.amount::text, r.amount = r.spent),
    ('balance_after', r.last_balance::text, r.balance_after::text,
     r.balance_after = r.last_balance),
    ('posted_at', CASE WHEN r.posted_at = r.last_at THEN r.first_at ELSE r.last_at END::text,
     r.posted_at::text, r.posted_at = r.first_at AND r.posted_at = r.last_at),
    ('entry_id', 'the usage_id of its last record', r.entry_id::text,
     n.seq IS NOT NULL OR r.posted_at <> r.last_at)
) v (name, expected, found, is_right)
WHERE NOT coalesce(r.amount = r.spent AND r.balance_after = r.last_balance
                   AND r.posted_at = r.first_at AND r.posted_at = r.last_at
                   AND n.seq IS NOT NULL, false)
  AND NOT v.is_right
LIMIT %(most)s
"""

REVERSALS: Final[LiteralString] = f"""
SELECT t.org_id, t.wallet_id, r.seq, 'entry ' || r.seq, v.name, v.expected, v.found
FROM {_WALLETS}
JOIN entry r USING (org_id, wallet_id)
LEFT JOIN entry o ON o.org_id = r.org_id AND o.wallet_id = r.wallet_id
                 AND o.seq = r.reverses_seq AND o.seq < r.seq
CROSS JOIN LATERAL (VALUES
    ('reverses_seq', 'an entry before', r.reverses_seq::text, o.seq IS NOT NULL),
    ('amount', (-o.amount)::text, r.amount::text, coalesce(r.amount = -o.amount, true)),
    ('account', o.account, r.account, coalesce(r.account = o.account, true)),
    ('lot_id', o.lot_id::text, r.lot_id::text,
     o.seq IS NULL OR r.lot_id IS NOT DISTINCT FROM o.lot_id)
) v (name, expected, found, is_right)
WHERE r.kind <> 'consumption' AND r.reverses_seq IS NOT NULL AND NOT v.is_right
LIMIT %(most)s
"""

LOTS_OF_ENTRIES: Final[LiteralString] = f"""
SELECT t.org_id, t.wallet_id, e.seq, 'entry ' || e.seq, v.name, v.expected, v.found
FROM {_WALLETS}
JOIN entry e USING (org_id, wallet_id)
LEFT JOIN lot l ON l.org_id = e.org_id AND l.lot_id = e.lot_id AND l.wallet_id = e.wallet_id
               AND l.entry_seq <= e.seq
CROSS JOIN LATERAL (VALUES
    ('lot_id', 'a lot that had arrived', e.lot_id::text, l.lot_id IS NOT NULL),
    -- Nothing expires before its day. A reversal of an expiry gives back.
    ('posted_at', coalesce('not before ' || l.expires_at, 'never'), e.posted_at::text,
     l.lot_id IS NULL OR e.kind <> 'expiry' OR e.reverses_seq IS NOT NULL
         OR coalesce(l.expires_at <= e.posted_at, false))
) v (name, expected, found, is_right)
WHERE e.kind <> 'consumption' AND (e.lot_id IS NOT NULL OR e.kind = 'expiry') AND NOT v.is_right
LIMIT %(most)s
"""

ENTRIES_OF_LOTS: Final[LiteralString] = f"""
SELECT t.org_id, t.wallet_id, l.entry_seq, 'lot ' || l.lot_id, v.name, v.expected, v.found
FROM {_WALLETS}
JOIN lot l USING (org_id, wallet_id)
LEFT JOIN entry e ON e.org_id = l.org_id AND e.wallet_id = l.wallet_id AND e.seq = l.entry_seq
CROSS JOIN LATERAL (VALUES
    ('entry_seq', 'that of the entry ' || l.lot_id, l.entry_seq::text,
     coalesce(e.entry_id = l.lot_id, false)),
    ('lot_id', coalesce(e.lot_id::text, 'in the entry'), l.lot_id::text,
     coalesce(e.entry_id <> l.lot_id OR e.lot_id = l.lot_id, e.entry_id IS NULL)),
    ('amount', e.amount::text, l.amount::text, coalesce(e.amount = l.amount, true)),
    ('arrived_at', e.posted_at::text, l.arrived_at::text,
     coalesce(e.posted_at = l.arrived_at, true))
) v (name, expected, found, is_right)
WHERE NOT v.is_right
LIMIT %(most)s
"""

WALLET_HEADS: Final[LiteralString] = f"""
SELECT t.org_id, t.wallet_id, NULL::bigint, 'wallet', v.name, v.expected, v.found
FROM {_WALLETS}
JOIN wallet w USING (org_id, wallet_id)
LEFT JOIN LATERAL (
    SELECT e.seq, e.balance_after, e.posted_at FROM entry e
    WHERE e.org_id = t.org_id AND e.wallet_id = t.wallet_id
    ORDER BY e.seq DESC
    LIMIT 1
) e ON true
LEFT JOIN LATERAL (
    SELECT u.seq, u.line_seq, u.recorded_at FROM usage_record u
    WHERE u.org_id = t.org_id AND u.wallet_id = t.wallet_id
    ORDER BY u.seq DESC
    LIMIT 1
) u ON true
CROSS JOIN LATERAL (
    SELECT coalesce(sum(h.amount), 0) AS held FROM hold h
    WHERE h.org_id = t.org_id AND h.wallet_id = t.wallet_id AND h.state = 'open'
) h
CROSS JOIN LATERAL (
    SELECT coalesce(-sum(a.amount) FILTER (WHERE a.account = 'cash'), 0) AS cash,
           coalesce(-sum(a.amount) FILTER (WHERE a.account = 'promotional'), 0) AS promotional,
           coalesce(-sum(a.amount) FILTER (WHERE a.account = 'revenue'), 0) AS revenue,
           coalesce(-sum(a.amount) FILTER (WHERE a.account = 'breakage'), 0) AS breakage,
           coalesce(-sum(a.amount) FILTER (WHERE a.account = 'refunds'), 0) AS refunds,
           coalesce(-sum(a.amount) FILTER (WHERE a.account = 'disputes'), 0) AS disputes,
           coalesce(-sum(a.amount) FILTER (WHERE a.account = 'adjustments'), 0) AS adjustments
    FROM entry a
    WHERE a.org_id = t.org_id AND a.wallet_id = t.wallet_id
) a
CROSS JOIN LATERAL (VALUES
    ('entry_seq', coalesce(e.seq, 0)::text, w.entry_seq::text),
    ('usage_seq', coalesce(u.seq, 0)::text, w.usage_seq::text),
    ('line_seq', coalesce(u.line_seq, 0)::text, w.line_seq::text),
    ('newest_at', coalesce(greatest(e.posted_at, u.recorded_at), w.opened_at)::text,
     w.newest_at::text),
    ('posted', coalesce(e.balance_after, 0)::text, w.posted::text),
    ('held', h.held::text, w.held::text),
    ('overrun', greatest(0, -(w.posted - w.held + w.overdraft))::text, w.overrun::text),
    ('cash', a.cash::text, w.cash::text),
    ('promotional', a.promotional::text, w.promotional::text),
    ('revenue', a.revenue::text, w.revenue::text),
    ('breakage', a.breakage::text, w.breakage::text),
    ('refunds', a.refunds::text, w.refunds::text),
    ('disputes', a.disputes::text, w.disputes::text),
    ('adjustments', a.adjustments::text, w.adjustments::text)
) v (name, expected, found)
WHERE v.expected <> v.found
LIMIT %(most)s
"""

LOTS: Final[LiteralString] = f"""
SELECT l.org_id, l.wallet_id, l.lot_id, l.entry_seq, l.kind, l.amount, l.priority, l.arrived_at,
       l.expires_at, l.label
FROM {_WALLETS}
JOIN lot l USING (org_id, wallet_id)
"""
MOVEMENTS: Final[LiteralString] = f"""
SELECT e.org_id, e.wallet_id, e.seq, e.entry_id, e.kind, e.account, e.amount, e.balance_after,
       e.posted_at, e.lot_id, e.source, e.reverses_seq, e.actor, e.reason
FROM {_WALLETS}
JOIN entry e USING (org_id, wallet_id)
WHERE e.kind <> 'consumption'
"""
POSTED: Final[LiteralString] = f"""
SELECT w.org_id, w.wallet_id, w.posted, w.next_expiry_at
FROM {_WALLETS}
JOIN wallet w USING (org_id, wallet_id)
"""


async def begin(tx: Connection) -> None:
    for statement in BEGIN:
        await tx.execute(statement)


async def count_rows(connection: Connection, org_id: UUID | None) -> int:
    rows = await fetch(connection, COUNT_ROWS, {"org_id": org_id})
    return rows[0][0]


async def wallets_after(
    connection: Connection, org_id: UUID | None, after: Name, limit: int
) -> list[tuple[UUID, UUID, int]]:
    """Wallets in order, each with its number of entries and usage records."""
    after_org, after_wallet = after
    parameters = {"after_org": after_org, "after_wallet": after_wallet, "limit": limit}
    return await fetch(connection, WALLETS_AFTER, parameters | {"org_id": org_id})


async def check_wallets(
    tx: Connection, statement: LiteralString, wallets: Sequence[Name]
) -> list[Row]:
    """Run one of the checks above that take wallets."""
    account_of = {kind.value: account.value for kind, account in ACCOUNT_OF.items()}
    parameters = {"account_of": msgspec.json.encode(account_of).decode(), "most": MOST_ROWS}
    return await fetch(tx, statement, parameters | _ids(wallets))


async def check_all(
    tx: Connection, statement: LiteralString, org_id: UUID | None, before: datetime
) -> list[Row]:
    """Run one of the checks above that look for rows wherever they are."""
    parameters = {"org_id": org_id, "before": before, "most": MOST_ROWS}
    return await fetch(tx, statement, parameters)


async def drawings(tx: Connection, wallets: Sequence[Name]) -> list[Drawing]:
    """What it takes to draw the lots of those of the wallets that have any."""
    ids = _ids(wallets)
    lots: defaultdict[Name, list[Lot]] = defaultdict(list)
    for row in await _fetch_named(tx, LOTS, ids):
        name = row.pop("org_id"), row.pop("wallet_id")
        lots[name].append(Lot(kind=LotKind(row.pop("kind")), **row))
    movements: defaultdict[Name, list[Entry]] = defaultdict(list)
    for row in await _fetch_named(tx, MOVEMENTS, ids):
        kind, account = EntryKind(row.pop("kind")), Account(row.pop("account"))
        entry = Entry(kind=kind, account=account, **row)
        movements[entry.org_id, entry.wallet_id].append(entry)
    return [
        Drawing(
            (org_id, wallet_id),
            lots[org_id, wallet_id],
            sorted(movements[org_id, wallet_id], key=attrgetter("seq")),
            posted,
            next_expiry_at,
        )
        for org_id, wallet_id, posted, next_expiry_at in await fetch(tx, POSTED, ids)
        if (org_id, wallet_id) in lots
    ]


def _ids(wallets: Sequence[Name]) -> dict[str, Any]:
    return {"org_ids": [org for org, _ in wallets], "wallet_ids": [wallet for _, wallet in wallets]}


async def fetch(
    connection: Connection, statement: LiteralString, parameters: dict[str, Any]
) -> list[Any]:
    cursor = await connection.execute(statement, parameters)
    return await cursor.fetchall()


async def _fetch_named(
    connection: Connection, statement: LiteralString, parameters: dict[str, Any]
) -> list[dict[str, Any]]:
    cursor = await connection.execute(statement, parameters)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
