"""All SQL about purchases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import kwargs_row

from tollkeeper.credits.model import Buyer, Order, Origin, Price, Purchase, PurchaseStatus
from tollkeeper.db import Connection
from tollkeeper.profiles import Tax

_COLUMNS: Final = """
    org_id, purchase_id, wallet_id, livemode, origin, status, credit_nanos, price_minor, fee_minor,
    tax_minor, total_minor, currency, taxes, buyer, actor, created_at, succeeded_at,
    balance_after, returned_nanos
"""

_INSERT: Final = """
INSERT INTO purchase (
    org_id, purchase_id, wallet_id, livemode, origin, status, paged, credit_nanos, price_minor,
    fee_minor, tax_minor, total_minor, currency, taxes, buyer, actor, created_at
)
VALUES (
    %(org_id)s, %(purchase_id)s, %(wallet_id)s, %(livemode)s, %(origin)s, 'requires_payment',
    %(paged)s, %(credit_nanos)s, %(price_minor)s, %(fee_minor)s, %(tax_minor)s, %(total_minor)s,
    %(currency)s, %(taxes)s, %(buyer)s, %(actor)s, %(now)s
)
ON CONFLICT DO NOTHING
"""

_READ: Final = f"""
SELECT {_COLUMNS} FROM purchase WHERE org_id = %(org_id)s AND purchase_id = %(purchase_id)s
"""

_LOCK: Final = f"{_READ} FOR NO KEY UPDATE"

_LIST: Final = f"""
SELECT {_COLUMNS} FROM purchase
WHERE org_id = %(org_id)s AND livemode = %(livemode)s
  AND (%(below)s::uuid IS NULL OR purchase_id < %(below)s)
ORDER BY purchase_id DESC
LIMIT %(limit)s
"""

# A purchase and its payment have one id; payments are found by when they were settled.
_SOLD: Final = """
SELECT s.place, purchase.currency, sum(purchase.credit_nanos)::bigint, count(*)
FROM unnest(%(sinces)s::timestamptz[], %(untils)s::timestamptz[]) WITH ORDINALITY
    AS s (since, until, place)
CROSS JOIN payment
JOIN purchase ON purchase.org_id = payment.org_id AND purchase.purchase_id = payment.payment_id
WHERE payment.processor = ANY (%(processors)s) AND payment.livemode = %(livemode)s
  AND payment.status = 'succeeded' AND payment.settled_at >= s.since
  AND payment.settled_at < s.until
GROUP BY 1, 2
"""

_DISPUTED: Final = """
SELECT purchase_id FROM purchase
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s AND status = 'disputed'
"""

_WALLETS_BOUGHT_FOR: Final = """
SELECT purchase.org_id, purchase.purchase_id, purchase.wallet_id
FROM purchase
JOIN unnest(%(orgs)s::uuid[], %(purchases)s::uuid[]) AS asked (org_id, purchase_id)
    USING (org_id, purchase_id)
"""

_SET_STATUS: Final = """
UPDATE purchase SET status = %(status)s
WHERE org_id = %(org_id)s AND purchase_id = %(purchase_id)s
"""

_SET_RETURNED: Final = """
UPDATE purchase SET returned_nanos = %(returned)s
WHERE org_id = %(org_id)s AND purchase_id = %(purchase_id)s
"""

_CREDIT: Final = """
UPDATE purchase
SET status = 'succeeded', succeeded_at = %(now)s, balance_after = %(balance_after)s
WHERE org_id = %(org_id)s AND purchase_id = %(purchase_id)s
"""


class Sold(NamedTuple):
    """Credit in one currency that was bought in the span at `place` of those asked for."""

    place: int
    currency: str
    credit_nanos: int
    purchases: int


async def insert(tx: Connection, order: Order, buyer: Buyer, price: Price, now: datetime) -> bool:
    """Return whether it is there now and was not before: another open one can be in its way."""
    values = {
        "org_id": order.org_id,
        "purchase_id": order.purchase_id,
        "wallet_id": order.wallet_id,
        "livemode": order.livemode,
        "origin": order.origin.value,
        "credit_nanos": price.credit_nanos,
        "price_minor": price.price_minor,
        "fee_minor": price.fee_minor,
        "tax_minor": price.tax_minor,
        "total_minor": price.total_minor,
        "currency": price.currency,
        "paged": order.page is not None,
        "taxes": msgspec.json.encode(price.taxes).decode(),
        "buyer": msgspec.json.encode(buyer).decode(),
        "actor": order.actor,
        "now": now,
    }
    return (await tx.execute(_INSERT, values)).rowcount == 1


async def read(connection: Connection, org_id: UUID, purchase_id: UUID) -> Purchase | None:
    return await _one(connection, _READ, org_id=org_id, purchase_id=purchase_id)


async def lock(tx: Connection, org_id: UUID, purchase_id: UUID) -> Purchase | None:
    return await _one(tx, _LOCK, org_id=org_id, purchase_id=purchase_id)


async def page(
    connection: Connection, org_id: UUID, *, livemode: bool, below: UUID | None, limit: int
) -> list[Purchase]:
    """Newest first."""
    async with connection.cursor(row_factory=kwargs_row(_make)) as cursor:
        asked = {"org_id": org_id, "livemode": livemode, "below": below, "limit": limit}
        await cursor.execute(_LIST, asked)
        return await cursor.fetchall()


async def disputed(tx: Connection, org_id: UUID, wallet_id: UUID) -> list[UUID]:
    found = await tx.execute(_DISPUTED, {"org_id": org_id, "wallet_id": wallet_id})
    return [row[0] for row in await found.fetchall()]


async def wallets_bought_for(
    connection: Connection, purchases: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], UUID]:
    """Return the wallet of each purchase that there is, by its organization and its id."""
    asked = {"orgs": [one for one, _ in purchases], "purchases": [one for _, one in purchases]}
    found = await connection.execute(_WALLETS_BOUGHT_FOR, asked)
    return {
        (org_id, purchase_id): wallet_id
        for org_id, purchase_id, wallet_id in await found.fetchall()
    }


async def sold(
    connection: Connection,
    processors: Sequence[str],
    spans: Sequence[tuple[datetime, datetime]],
    *,
    livemode: bool,
) -> list[Sold]:
    """What credit was bought in each span, before anything went back."""
    asked = {
        "processors": list(processors),
        "livemode": livemode,
        "sinces": [since for since, _ in spans],
        "untils": [until for _, until in spans],
    }
    found = await connection.execute(_SOLD, asked)
    return [
        Sold(place - 1, currency, credit, purchases)
        for place, currency, credit, purchases in await found.fetchall()
    ]


async def set_status(
    tx: Connection, org_id: UUID, purchase_id: UUID, status: PurchaseStatus
) -> None:
    values = {"org_id": org_id, "purchase_id": purchase_id, "status": status.value}
    await tx.execute(_SET_STATUS, values)


async def set_returned(tx: Connection, org_id: UUID, purchase_id: UUID, returned: int) -> None:
    values = {"org_id": org_id, "purchase_id": purchase_id, "returned": returned}
    await tx.execute(_SET_RETURNED, values)


async def set_credited(
    tx: Connection, org_id: UUID, purchase_id: UUID, balance_after: int, now: datetime
) -> None:
    values = {
        "org_id": org_id,
        "purchase_id": purchase_id,
        "balance_after": balance_after,
        "now": now,
    }
    await tx.execute(_CREDIT, values)


async def _one(connection: Connection, query: Any, **asked: Any) -> Purchase | None:
    async with connection.cursor(row_factory=kwargs_row(_make)) as cursor:
        await cursor.execute(query, asked)
        return await cursor.fetchone()


def _make(**row: Any) -> Purchase:
    return Purchase(
        origin=Origin(row.pop("origin")),
        status=PurchaseStatus(row.pop("status")),
        taxes=msgspec.convert(row.pop("taxes"), tuple[Tax, ...]),
        buyer=msgspec.convert(row.pop("buyer"), Buyer),
        **row,
    )
