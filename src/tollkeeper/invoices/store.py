"""All SQL of this room: documents and their numbers first, then what statements read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import msgspec
from psycopg.rows import class_row

from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection
from tollkeeper.invoices.model import Content, DocumentType, Invoice, NewInvoice, Place
from tollkeeper.invoices.statement import Bounds, Movement, SkuCost
from tollkeeper.payments.model import Payment

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Content).decode

# Makes the row of a new series, or changes nothing, and locks it either way.
LOCK_SERIES: Final[LiteralString] = """
INSERT INTO invoice_series AS s (entity, livemode, series, year, last_number)
VALUES (%(entity)s, %(livemode)s, %(series)s, %(year)s, 0)
ON CONFLICT (entity, livemode, series, year) DO UPDATE SET last_number = s.last_number
RETURNING s.last_number
"""
INSERT_INVOICE: Final[LiteralString] = """
WITH taken AS (
    UPDATE invoice_series SET last_number = %(number)s
    WHERE entity = %(entity)s AND livemode = %(livemode)s AND series = %(series)s
      AND year = %(year)s
), numbered AS (
    INSERT INTO invoice_number (entity, livemode, series, year, number, org_id, invoice_id)
    VALUES (%(entity)s, %(livemode)s, %(series)s, %(year)s, %(number)s, %(org_id)s,
            %(invoice_id)s)
)
INSERT INTO invoice (org_id, invoice_id, livemode, type, number, cause, purchase_id, corrects_id,
                     issued_at, currency, net_minor, tax_minor, total_minor, content)
VALUES (%(org_id)s, %(invoice_id)s, %(livemode)s, %(type)s, %(shown)s, %(cause)s, %(purchase_id)s,
        %(corrects_id)s, %(now)s, %(currency)s, %(net_minor)s, %(tax_minor)s, %(total_minor)s,
        %(content)s::text::jsonb)
"""
_INVOICE: Final[LiteralString] = """
SELECT i.org_id, i.invoice_id, i.livemode, i.type, i.number, i.cause, i.purchase_id, i.corrects_id,
       c.number, i.issued_at, i.currency, i.net_minor, i.tax_minor, i.total_minor, i.content::text
FROM invoice i
LEFT JOIN invoice c ON c.org_id = i.org_id AND c.invoice_id = i.corrects_id
"""
GET_INVOICE: Final[LiteralString] = (
    _INVOICE + "WHERE i.org_id = %(org_id)s AND i.invoice_id = %(invoice_id)s"
)
FIND_BY_CAUSE: Final[LiteralString] = (
    _INVOICE + "WHERE i.org_id = %(org_id)s AND i.cause = %(cause)s"
)
FIND_BY_NUMBER: Final[LiteralString] = (
    _INVOICE + "WHERE i.org_id = %(org_id)s AND i.number = %(number)s"
)
LIST_INVOICES: Final[LiteralString] = (
    _INVOICE
    + """
WHERE i.org_id = %(org_id)s
  AND (%(livemode)s::boolean IS NULL OR i.livemode = %(livemode)s)
  AND (%(below)s::uuid IS NULL OR i.invoice_id < %(below)s)
  AND (%(type)s::text IS NULL OR i.type = %(type)s)
  AND (%(purchase_id)s::uuid IS NULL OR i.purchase_id = %(purchase_id)s)
ORDER BY i.invoice_id DESC
LIMIT %(limit)s
"""
)
# A refund that came back has made an invoice too, but not of what was bought.
INVOICES_OF_PURCHASES: Final[LiteralString] = """
SELECT purchase_id, invoice_id, number
FROM invoice
WHERE org_id = %(org_id)s AND livemode = %(livemode)s
  AND cause IN (SELECT 'purchase:' || asked FROM unnest(%(purchase_ids)s::uuid[]) AS asked)
"""
INVOICES_BETWEEN: Final[LiteralString] = (
    _INVOICE
    + """
WHERE i.org_id = %(org_id)s
  AND (%(livemode)s::boolean IS NULL OR i.livemode = %(livemode)s)
  AND (%(above)s::uuid IS NULL OR i.invoice_id > %(above)s)
  AND (%(start)s::timestamptz IS NULL OR i.issued_at >= %(start)s)
  AND (%(end)s::timestamptz IS NULL OR i.issued_at < %(end)s)
ORDER BY i.invoice_id
LIMIT %(limit)s
"""
)
CREDIT_NOTES_OF: Final[LiteralString] = (
    _INVOICE
    + "WHERE i.org_id = %(org_id)s AND i.corrects_id = %(invoice_id)s ORDER BY i.invoice_id"
)

# The copy of the method as it was kept, also of one that was removed since.
METHOD_OF_PAYMENT: Final[LiteralString] = """
SELECT coalesce(brand, kind), last4
FROM payment_method
WHERE org_id = %(org_id)s AND livemode = %(livemode)s AND processor = %(processor)s
  AND (method_id = %(method_id)s OR ref = %(ref)s)
ORDER BY ref = %(ref)s DESC
LIMIT 1
"""

SNAPSHOT: Final[LiteralString] = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


def _before(table: LiteralString, time: LiteralString, counter: LiteralString) -> LiteralString:
    # Sequences have no gaps and times never run backwards, so a moment is found by halving: `low`
    # ends as the newest one before it, 0 where there is none.
    return f"""
WITH RECURSIVE search AS (
    SELECT 0::bigint AS low, w.{counter} + 1 AS high
    FROM wallet w
    WHERE w.org_id = %(org_id)s AND w.wallet_id = %(wallet_id)s
    UNION ALL
    SELECT CASE WHEN r.before THEN m.seq ELSE s.low END,
           CASE WHEN r.before THEN s.high ELSE m.seq END
    FROM search s
    CROSS JOIN LATERAL (SELECT (s.low + s.high) / 2 AS seq) m
    CROSS JOIN LATERAL (
        SELECT r.{time} < %(at)s AS before
        FROM {table} r
        WHERE r.org_id = %(org_id)s AND r.wallet_id = %(wallet_id)s AND r.seq = m.seq
        LIMIT 1
    ) r
    WHERE s.high - s.low > 1
)
"""


ENTRIES_BEFORE: Final[LiteralString] = (
    _before("entry", "posted_at", "entry_seq")
    + """
SELECT s.low, coalesce(e.balance_after, 0)
FROM search s
LEFT JOIN entry e
    ON e.org_id = %(org_id)s AND e.wallet_id = %(wallet_id)s AND e.seq = s.low
WHERE s.high - s.low = 1
"""
)
RECORDS_BEFORE: Final[LiteralString] = (
    _before("usage_record", "recorded_at", "usage_seq")
    + "SELECT s.low FROM search s WHERE s.high - s.low = 1"
)
MOVEMENTS: Final[LiteralString] = """
SELECT kind, amount AS amount_nanos, posted_at AS at, reason
FROM entry
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s AND seq > %(above)s AND seq <= %(upto)s
  AND kind <> 'consumption'
ORDER BY seq
"""
CONSUMED: Final[LiteralString] = """
SELECT coalesce(-sum(amount), 0)::bigint
FROM entry
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s AND seq > %(above)s AND seq <= %(upto)s
  AND kind = 'consumption'
"""
# A record whose lines do not say all of its cost has the rest under no SKU.
BY_SKU: Final[LiteralString] = """
WITH record AS MATERIALIZED (
    SELECT amount, detail -> 'rating' -> 'lines' AS lines
    FROM usage_record
    WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
      AND seq > %(above)s AND seq <= %(upto)s AND amount > 0
), line AS (
    SELECT l ->> 0 AS sku, l ->> 1 AS unit, (l ->> 2)::numeric AS quantity,
           (l ->> 6)::bigint AS amount
    FROM record CROSS JOIN LATERAL jsonb_array_elements(record.lines) AS l
    WHERE jsonb_typeof(record.lines) = 'array'
    UNION ALL
    SELECT NULL, NULL, NULL, r.amount - coalesce((
        SELECT sum((l ->> 6)::bigint) FROM jsonb_array_elements(r.lines) AS l
    ), 0)
    FROM record r
)
SELECT sku, unit, sum(quantity) AS quantity, sum(amount)::bigint AS amount_nanos
FROM line
GROUP BY sku, unit
HAVING sum(amount) <> 0
ORDER BY sku NULLS LAST, unit
"""


async def lock_series(tx: Connection, place: Place) -> int:
    """Return the last number given, and let nobody else take one until the transaction ends."""
    found = await tx.execute(LOCK_SERIES, _place(place))
    (last,) = await found.fetchone() or (0,)
    return last


async def insert_invoice(
    tx: Connection, new: NewInvoice, place: Place, number: int, now: datetime
) -> None:
    await tx.execute(
        INSERT_INVOICE,
        {
            **_place(place),
            "number": number,
            "shown": place.show(number),
            "org_id": new.org_id,
            "invoice_id": new.invoice_id,
            "type": new.type,
            "cause": new.cause,
            "purchase_id": new.purchase_id,
            "corrects_id": new.corrects_id,
            "now": now,
            "currency": new.currency,
            "net_minor": new.content.net_minor,
            "tax_minor": new.content.tax_minor,
            "total_minor": new.content.total_minor,
            "content": _encode(new.content).decode(),
        },
    )


async def get_invoice(connection: Connection, org_id: UUID, invoice_id: UUID) -> Invoice:
    """Raises NotFound."""
    asked = {"org_id": org_id, "invoice_id": invoice_id}
    row = await (await connection.execute(GET_INVOICE, asked)).fetchone()
    if row is None:
        raise NotFound(f"There is no invoice {show_id('inv', invoice_id)}")
    return _invoice(row)


async def find_by_cause(connection: Connection, org_id: UUID, cause: str) -> Invoice | None:
    return await _find(connection, FIND_BY_CAUSE, {"org_id": org_id, "cause": cause})


async def find_by_number(connection: Connection, org_id: UUID, number: str) -> Invoice | None:
    return await _find(connection, FIND_BY_NUMBER, {"org_id": org_id, "number": number})


async def list_invoices(
    connection: Connection,
    org_id: UUID,
    *,
    livemode: bool | None,
    below: UUID | None,
    kind: DocumentType | None = None,
    purchase_id: UUID | None = None,
    limit: int,
) -> list[Invoice]:
    """Newest first."""
    asked = {
        "org_id": org_id,
        "livemode": livemode,
        "below": below,
        "type": kind,
        "purchase_id": purchase_id,
        "limit": limit,
    }
    return [
        _invoice(row) for row in await (await connection.execute(LIST_INVOICES, asked)).fetchall()
    ]


async def invoices_of_purchases(
    connection: Connection, org_id: UUID, purchase_ids: Sequence[UUID], *, livemode: bool
) -> dict[UUID, tuple[UUID, str]]:
    """Return the id and the number of the invoice of each purchase that has one."""
    asked = {"org_id": org_id, "livemode": livemode, "purchase_ids": list(purchase_ids)}
    found = await connection.execute(INVOICES_OF_PURCHASES, asked)
    return {
        purchase_id: (invoice_id, number)
        for purchase_id, invoice_id, number in await found.fetchall()
    }


async def invoices_between(
    connection: Connection,
    org_id: UUID,
    *,
    livemode: bool | None,
    start: datetime | None,
    end: datetime | None,
    above: UUID | None,
    limit: int,
) -> list[Invoice]:
    """Those issued in [start, end), oldest first."""
    asked = {
        "org_id": org_id,
        "livemode": livemode,
        "start": start,
        "end": end,
        "above": above,
        "limit": limit,
    }
    found = await connection.execute(INVOICES_BETWEEN, asked)
    return [_invoice(row) for row in await found.fetchall()]


async def credit_notes_of(connection: Connection, org_id: UUID, invoice_id: UUID) -> list[Invoice]:
    """Return what corrects an invoice."""
    asked = {"org_id": org_id, "invoice_id": invoice_id}
    found = await connection.execute(CREDIT_NOTES_OF, asked)
    return [_invoice(row) for row in await found.fetchall()]


async def method_of_payment(tx: Connection, payment: Payment) -> tuple[str, str | None] | None:
    """Return the brand, or else the kind, and the last digits of what a payment was made with."""
    asked = {
        "org_id": payment.org_id,
        "livemode": payment.livemode,
        "processor": payment.processor,
        "method_id": payment.method_id,
        "ref": payment.method_ref,
    }
    row = await (await tx.execute(METHOD_OF_PAYMENT, asked)).fetchone()
    return None if row is None else (row[0], row[1])


async def begin_snapshot(tx: Connection) -> None:
    """Have every statement of this transaction see the same moment. It must be the first."""
    await tx.execute(SNAPSHOT)


async def bounds(
    tx: Connection, org_id: UUID, wallet_id: UUID, start: datetime, until: datetime
) -> Bounds:
    """Find the entries and records of [start, until), and the balances before and after them."""
    wallet = {"org_id": org_id, "wallet_id": wallet_id}
    above, opening = await _entry_before(tx, {**wallet, "at": start})
    upto, closing = await _entry_before(tx, {**wallet, "at": until})
    return Bounds(
        opening_nanos=opening,
        closing_nanos=closing,
        entries=(above, upto),
        records=(
            await _record_before(tx, {**wallet, "at": start}),
            await _record_before(tx, {**wallet, "at": until}),
        ),
    )


async def movements(
    tx: Connection, org_id: UUID, wallet_id: UUID, within: tuple[int, int]
) -> list[Movement]:
    """Entries other than consumption, in order."""
    async with tx.cursor(row_factory=class_row(Movement)) as cursor:
        await cursor.execute(MOVEMENTS, _within(org_id, wallet_id, within))
        return await cursor.fetchall()


async def consumed(tx: Connection, org_id: UUID, wallet_id: UUID, within: tuple[int, int]) -> int:
    row = await (await tx.execute(CONSUMED, _within(org_id, wallet_id, within))).fetchone()
    return 0 if row is None else row[0]


async def by_sku(
    tx: Connection, org_id: UUID, wallet_id: UUID, within: tuple[int, int]
) -> list[SkuCost]:
    async with tx.cursor(row_factory=class_row(SkuCost)) as cursor:
        await cursor.execute(BY_SKU, _within(org_id, wallet_id, within))
        return await cursor.fetchall()


async def _entry_before(tx: Connection, asked: dict[str, Any]) -> tuple[int, int]:
    row = await (await tx.execute(ENTRIES_BEFORE, asked)).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


async def _record_before(tx: Connection, asked: dict[str, Any]) -> int:
    row = await (await tx.execute(RECORDS_BEFORE, asked)).fetchone()
    return 0 if row is None else row[0]


async def _find(
    connection: Connection, statement: LiteralString, asked: dict[str, Any]
) -> Invoice | None:
    row = await (await connection.execute(statement, asked)).fetchone()
    return None if row is None else _invoice(row)


def _within(org_id: UUID, wallet_id: UUID, within: tuple[int, int]) -> dict[str, Any]:
    above, upto = within
    return {"org_id": org_id, "wallet_id": wallet_id, "above": above, "upto": upto}


def _place(place: Place) -> dict[str, Any]:
    return {
        "entity": place.entity,
        "livemode": place.livemode,
        "series": place.series,
        "year": place.year,
    }


def _invoice(row: tuple[Any, ...]) -> Invoice:
    return Invoice(
        org_id=row[0],
        invoice_id=row[1],
        livemode=row[2],
        type=DocumentType(row[3]),
        number=row[4],
        cause=row[5],
        purchase_id=row[6],
        corrects_id=row[7],
        corrects_number=row[8],
        issued_at=row[9],
        currency=row[10],
        net_minor=row[11],
        tax_minor=row[12],
        total_minor=row[13],
        content=_decode(row[14]),
    )
