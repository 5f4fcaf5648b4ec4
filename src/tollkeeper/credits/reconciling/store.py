"""All SQL of reconciling. It joins the tables of payments and of the ledger: a check that
asked each room in its own words would check the words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import dict_row, kwargs_row
from psycopg.types.json import Jsonb

from tollkeeper.credits.reconciling.model import (
    BookedDispute,
    BookedEntry,
    BookedPayment,
    BookedPurchase,
    BookedRefund,
    Case,
    Day,
    Difference,
    Kind,
    Line,
    Reconciliation,
    Window,
)
from tollkeeper.db import Connection
from tollkeeper.payments.processors import Movement, MovementKind

# ── The processor's lines ────────────────────────────────────────────────────────────────────────

# A line belongs to the payment that has its ref; failing that, to the one that it names itself.
_STAGE: Final = """
INSERT INTO reconciliation_line (
    run_id, ref, kind, source_ref, payment_ref, org_id, payment_id, amount_minor, currency,
    fee_minor, fee_currency, created_at, staged_at
)
SELECT %(run_id)s, line.ref, line.kind, line.source_ref, line.payment_ref,
       coalesce(known.org_id, line.org_id), coalesce(known.payment_id, line.payment_id),
       line.amount_minor, line.currency, line.fee_minor, line.fee_currency, line.created_at,
       %(now)s
FROM unnest(
    %(refs)s::text[], %(kinds)s::text[], %(source_refs)s::text[], %(payment_refs)s::text[],
    %(org_ids)s::uuid[], %(payment_ids)s::uuid[], %(amounts)s::bigint[], %(currencies)s::text[],
    %(fees)s::bigint[], %(fee_currencies)s::text[], %(created)s::timestamptz[]
) AS line (
    ref, kind, source_ref, payment_ref, org_id, payment_id, amount_minor, currency, fee_minor,
    fee_currency, created_at
)
LEFT JOIN LATERAL (
    SELECT payment.org_id, payment.payment_id FROM payment
    WHERE payment.processor = %(processor)s AND payment.ref = line.payment_ref
      AND payment.livemode = %(livemode)s
    LIMIT 1
) AS known ON true
ON CONFLICT (run_id, ref) DO NOTHING
"""
# A refund made by hand names nothing of ours; the charge that it belongs to may.
_ADOPT: Final = """
UPDATE reconciliation_line AS line
SET org_id = named.org_id, payment_id = named.payment_id
FROM reconciliation_line AS named
WHERE line.run_id = %(run_id)s AND named.run_id = %(run_id)s
  AND line.payment_id IS NULL AND named.payment_id IS NOT NULL AND named.org_id IS NOT NULL
  AND named.payment_ref = line.payment_ref
"""
_CLEAR: Final = """
DELETE FROM reconciliation_line
WHERE run_id = %(run_id)s OR staged_at < %(stale)s
"""
_SUMS: Final = """
SELECT (created_at AT TIME ZONE 'UTC')::date AS day, kind, payment_id IS NULL AS foreign_line,
       currency, fee_currency, count(*) AS lines, sum(amount_minor)::bigint AS amount_minor,
       sum(fee_minor)::bigint AS fee_minor
FROM reconciliation_line
WHERE run_id = %(run_id)s AND created_at >= %(since)s AND created_at < %(until)s
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1
"""
# What ended here within the window began, at the processor too, no earlier than this.
_BEGAN: Final = """
SELECT least(
    (SELECT min(intended_at) FROM payment
     WHERE processor = %(processor)s AND livemode = %(livemode)s AND status = 'succeeded'
       AND settled_at >= %(since)s AND settled_at < %(until)s),
    (SELECT min(intended_at) FROM refund
     WHERE processor = %(processor)s AND livemode = %(livemode)s AND status = 'succeeded'
       AND settled_at >= %(since)s AND settled_at < %(until)s),
    (SELECT min(opened_at) FROM dispute
     WHERE processor = %(processor)s AND livemode = %(livemode)s
       AND settled_at >= %(since)s AND settled_at < %(until)s)
)
"""


async def stage(
    connection: Connection,
    run_id: UUID,
    movements: Sequence[Movement],
    now: datetime,
    *,
    processor: str,
    livemode: bool,
) -> None:
    columns: dict[str, list[Any]] = {
        "refs": [m.ref for m in movements],
        "kinds": [m.kind.value for m in movements],
        "source_refs": [m.source_ref for m in movements],
        "payment_refs": [m.payment_ref for m in movements],
        "org_ids": [m.org_id for m in movements],
        "payment_ids": [m.payment_id for m in movements],
        "amounts": [m.given_minor for m in movements],
        "currencies": [m.given_currency for m in movements],
        "fees": [m.fee_minor for m in movements],
        "fee_currencies": [m.currency for m in movements],
        "created": [m.created_at for m in movements],
    }
    await connection.execute(
        _STAGE,
        {"run_id": run_id, "now": now, "processor": processor, "livemode": livemode, **columns},
    )


async def adopt(connection: Connection, run_id: UUID) -> None:
    await connection.execute(_ADOPT, {"run_id": run_id})


async def clear(connection: Connection, run_id: UUID, stale: datetime) -> None:
    """Remove a run's lines, and those that dead runs left before `stale`."""
    await connection.execute(_CLEAR, {"run_id": run_id, "stale": stale})


class Sum(NamedTuple):
    day: date
    kind: MovementKind
    foreign: bool
    currency: str
    fee_currency: str
    lines: int
    amount_minor: int
    fee_minor: int


async def sums(connection: Connection, run_id: UUID, window: Window) -> list[Sum]:
    """Sum the lines within the window, by day (in UTC), kind and currency."""
    asked = {"run_id": run_id, "since": window.since, "until": window.until}
    found = await connection.execute(_SUMS, asked)
    return [Sum(row[0], MovementKind(row[1]), *row[2:]) for row in await found.fetchall()]


async def began(
    connection: Connection, processor: str, window: Window, *, livemode: bool
) -> datetime | None:
    asked = {"processor": processor, "livemode": livemode}
    found = await connection.execute(
        _BEGAN, {**asked, "since": window.since, "until": window.until}
    )
    row = await found.fetchone()
    return None if row is None else row[0]


# ── Cases ────────────────────────────────────────────────────────────────────────────────────────

_ENTRIES: Final = """
    (SELECT coalesce(json_agg(json_build_object(
        'entry_id', entry.entry_id, 'amount', entry.amount, 'posted_at', entry.posted_at,
        'reversed', EXISTS (
            SELECT FROM entry AS later
            WHERE later.org_id = entry.org_id AND later.wallet_id = entry.wallet_id
              AND later.reverses_seq = entry.seq)
    )), '[]') FROM entry WHERE entry.org_id = touched.org_id AND entry.source IN ({source}))
"""
# What a source names; nothing, where a hand wrote something else there.
_ID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NAMED: Final = """
    CASE WHEN entry.source ~ '^{word}:{id}$'
         THEN substr(entry.source, length('{word}:') + 1)::uuid END
"""
_PAYMENT_NAMED: Final = _NAMED.format(word="payment", id=_ID)
_PURCHASE_NAMED: Final = _NAMED.format(word="purchase", id=_ID)
_CREDITS: Final = _ENTRIES.format(
    source="'payment:' || touched.payment_id, 'purchase:' || payment.subject_id"
)
_REFUND_ENTRIES: Final = _ENTRIES.format(source="'refund:' || refund.refund_id")
_UNREFUNDED: Final = _ENTRIES.format(source="'refund_failed:' || refund.refund_id")
_DISPUTE_ENTRIES: Final = _ENTRIES.format(source="'dispute:' || dispute.dispute_id")
_RELEASES: Final = _ENTRIES.format(source="'dispute_won:' || dispute.dispute_id")
_CASES: Final = f"""
WITH touched AS (
    SELECT org_id, payment_id FROM reconciliation_line
    WHERE run_id = %(run_id)s AND payment_id IS NOT NULL AND org_id IS NOT NULL
    UNION
    SELECT org_id, payment_id FROM payment
    WHERE processor = %(processor)s AND livemode = %(livemode)s
      AND settled_at >= %(since)s AND settled_at < %(until)s
    UNION
    SELECT org_id, payment_id FROM refund
    WHERE processor = %(processor)s AND livemode = %(livemode)s
      AND settled_at >= %(since)s AND settled_at < %(until)s
    UNION
    SELECT org_id, payment_id FROM dispute
    WHERE processor = %(processor)s AND livemode = %(livemode)s
      AND (opened_at >= %(since)s AND opened_at < %(until)s
           OR settled_at >= %(since)s AND settled_at < %(until)s)
    UNION
    SELECT paid.org_id, paid.payment_id FROM entry
    JOIN payment AS paid ON paid.org_id = entry.org_id AND paid.payment_id = {_PAYMENT_NAMED}
    WHERE entry.kind <> 'consumption' AND entry.kind IN ('purchase', 'auto_top_up')
      AND entry.posted_at >= %(since)s AND entry.posted_at < %(until)s
)
SELECT touched.org_id, touched.payment_id, payment.ref, payment.status, payment.amount_minor,
       payment.currency, payment.settled_at,
    (SELECT coalesce(json_agg(json_build_object(
        'ref', line.ref, 'kind', line.kind, 'source_ref', line.source_ref,
        'amount_minor', line.amount_minor, 'currency', line.currency,
        'created_at', line.created_at
    )), '[]') FROM reconciliation_line AS line
     WHERE line.run_id = %(run_id)s AND line.org_id = touched.org_id
       AND line.payment_id = touched.payment_id) AS lines,
    {_CREDITS} AS credits,
    (SELECT coalesce(json_agg(json_build_object(
        'refund_id', refund.refund_id, 'ref', refund.ref, 'status', refund.status,
        'amount_minor', refund.amount_minor, 'currency', refund.currency,
        'settled_at', refund.settled_at, 'entries', {_REFUND_ENTRIES}, 'released', {_UNREFUNDED}
    )), '[]') FROM refund
     WHERE refund.org_id = touched.org_id AND refund.payment_id = touched.payment_id) AS refunds,
    (SELECT coalesce(json_agg(json_build_object(
        'dispute_id', dispute.dispute_id, 'ref', dispute.ref, 'status', dispute.status,
        'amount_minor', dispute.amount_minor, 'currency', dispute.currency,
        'opened_at', dispute.opened_at, 'settled_at', dispute.settled_at,
        'entries', {_DISPUTE_ENTRIES}, 'released', {_RELEASES}
    )), '[]') FROM dispute
     WHERE dispute.org_id = touched.org_id AND dispute.payment_id = touched.payment_id) AS disputes,
    (SELECT json_build_object(
        'purchase_id', purchase.purchase_id, 'status', purchase.status,
        'credit_nanos', purchase.credit_nanos, 'total_minor', purchase.total_minor,
        'currency', purchase.currency
    ) FROM purchase
     WHERE purchase.org_id = touched.org_id AND purchase.purchase_id = payment.subject_id
    ) AS purchase
FROM touched
LEFT JOIN payment ON payment.org_id = touched.org_id AND payment.payment_id = touched.payment_id
WHERE payment.payment_id IS NULL
   OR payment.processor = %(processor)s AND payment.livemode = %(livemode)s
"""
# Purchases of test mode were once their entries, without a payment.
_ORPHANS: Final = f"""
SELECT entry.org_id, entry.entry_id, entry.amount, entry.posted_at, entry.source
FROM entry
JOIN wallet ON wallet.org_id = entry.org_id AND wallet.wallet_id = entry.wallet_id
WHERE entry.kind <> 'consumption' AND entry.kind IN ('purchase', 'auto_top_up')
  AND entry.posted_at >= %(since)s AND entry.posted_at < %(until)s
  AND wallet.livemode = %(livemode)s
  AND (wallet.livemode OR {_PURCHASE_NAMED} IS NULL)
  AND NOT EXISTS (
      SELECT FROM payment
      WHERE payment.org_id = entry.org_id AND payment.payment_id = {_PAYMENT_NAMED})
  AND NOT EXISTS (
      SELECT FROM payment
      WHERE payment.org_id = entry.org_id AND payment.subject_id = {_PURCHASE_NAMED})
  AND NOT EXISTS (
      SELECT FROM reconciliation_line AS line
      WHERE line.run_id = %(run_id)s AND line.org_id = entry.org_id
        AND line.payment_id = {_PAYMENT_NAMED})
  AND NOT EXISTS (
      SELECT FROM entry AS later
      WHERE later.org_id = entry.org_id AND later.wallet_id = entry.wallet_id
        AND later.reverses_seq = entry.seq)
ORDER BY entry.posted_at, entry.entry_id
"""


async def cases(
    connection: Connection, run_id: UUID, processor: str, window: Window, *, livemode: bool
) -> AsyncGenerator[Case]:
    """Stream everything about each payment that either side touched within the window."""
    asked = {
        "run_id": run_id,
        "processor": processor,
        "livemode": livemode,
        "since": window.since,
        "until": window.until,
    }
    async with connection.cursor(row_factory=dict_row) as cursor:
        async for row in cursor.stream(_CASES, asked):
            yield _case(row)


def _case(row: Mapping[str, Any]) -> Case:
    payment = None
    if row["status"] is not None:
        payment = msgspec.convert(row, BookedPayment)
    return Case(
        org_id=row["org_id"],
        payment_id=row["payment_id"],
        payment=payment,
        purchase=msgspec.convert(row["purchase"], BookedPurchase | None),
        lines=msgspec.convert(row["lines"], list[Line]),
        credits=msgspec.convert(row["credits"], list[BookedEntry]),
        refunds=msgspec.convert(row["refunds"], list[BookedRefund]),
        disputes=msgspec.convert(row["disputes"], list[BookedDispute]),
    )


class Orphan(NamedTuple):
    """An entry that says something was bought, by a payment that is not there."""

    org_id: UUID
    entry_id: UUID
    amount: int
    posted_at: datetime
    source: str | None


async def orphans(
    connection: Connection, run_id: UUID, window: Window, *, livemode: bool
) -> AsyncGenerator[Orphan]:
    asked = {
        "run_id": run_id,
        "since": window.since,
        "until": window.until,
        "livemode": livemode,
    }
    async with connection.cursor() as cursor:
        async for row in cursor.stream(_ORPHANS, asked):
            yield Orphan(*row)


# ── Outcomes ─────────────────────────────────────────────────────────────────────────────────────

_INSERT: Final = """
INSERT INTO reconciliation (
    reconciliation_id, processor, livemode, since, until, began_at, ended_at, clean, movements,
    counts, days, differences, usual
) VALUES (
    %(reconciliation_id)s, %(processor)s, %(livemode)s, %(since)s, %(until)s, %(began_at)s,
    %(ended_at)s, %(clean)s, %(movements)s, %(counts)s, %(days)s, %(differences)s, %(usual)s
)
"""
_RECONCILIATION: Final = """
    reconciliation_id, processor, livemode, since, until, began_at, ended_at, movements, counts,
    days, differences, usual
"""
_LIST: Final = f"""
SELECT {_RECONCILIATION} FROM reconciliation
WHERE %(below)s::uuid IS NULL OR reconciliation_id < %(below)s
ORDER BY reconciliation_id DESC
LIMIT %(most)s
"""
_READ: Final = f"""
SELECT {_RECONCILIATION} FROM reconciliation WHERE reconciliation_id = %(reconciliation_id)s
"""
_LAST: Final = f"""
SELECT {_RECONCILIATION} FROM reconciliation
WHERE processor = %(processor)s AND livemode = %(livemode)s AND usual
ORDER BY reconciliation_id DESC
LIMIT 1
"""
_LAST_OF_EACH: Final = f"""
SELECT DISTINCT ON (processor, livemode) {_RECONCILIATION} FROM reconciliation
WHERE usual
ORDER BY processor, livemode, reconciliation_id DESC
"""


async def insert(connection: Connection, made: Reconciliation) -> None:
    row = {
        "reconciliation_id": made.reconciliation_id,
        "processor": made.processor,
        "livemode": made.livemode,
        "since": made.window.since,
        "until": made.window.until,
        "began_at": made.began_at,
        "ended_at": made.ended_at,
        "clean": made.clean,
        "movements": made.movements,
        "counts": _json(made.counts),
        "days": _json(made.days),
        "differences": _json(made.differences),
        "usual": made.usual,
    }
    await connection.execute(_INSERT, row)


async def newest(connection: Connection, most: int, below: UUID | None) -> list[Reconciliation]:
    async with connection.cursor(row_factory=kwargs_row(_make)) as cursor:
        await cursor.execute(_LIST, {"most": most, "below": below})
        return await cursor.fetchall()


async def read(connection: Connection, reconciliation_id: UUID) -> Reconciliation | None:
    async with connection.cursor(row_factory=kwargs_row(_make)) as cursor:
        await cursor.execute(_READ, {"reconciliation_id": reconciliation_id})
        return await cursor.fetchone()


async def last(connection: Connection, processor: str, *, livemode: bool) -> Reconciliation | None:
    """Return the newest that was not over a window that somebody chose."""
    async with connection.cursor(row_factory=kwargs_row(_make)) as cursor:
        await cursor.execute(_LAST, {"processor": processor, "livemode": livemode})
        return await cursor.fetchone()


async def last_of_each(connection: Connection) -> list[Reconciliation]:
    """The same, of each processor in each mode."""
    async with connection.cursor(row_factory=kwargs_row(_make)) as cursor:
        await cursor.execute(_LAST_OF_EACH)
        return await cursor.fetchall()


def _json(value: object) -> Jsonb:
    builtins: Any = msgspec.to_builtins(value)
    return Jsonb(builtins)


def _make(**row: Any) -> Reconciliation:
    return Reconciliation(
        window=Window(row.pop("since"), row.pop("until")),
        counts=msgspec.convert(row.pop("counts"), dict[Kind, int]),
        days=msgspec.convert(row.pop("days"), list[Day]),
        differences=msgspec.convert(row.pop("differences"), list[Difference]),
        **row,
    )
