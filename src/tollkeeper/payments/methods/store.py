"""All SQL of customers and payment methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from tollkeeper.db import Connection
from tollkeeper.payments.model import Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    org_id: UUID
    livemode: bool
    processor: str
    customer_id: UUID
    ref: str | None
    methods_version: int


_CUSTOMER: Final = "org_id, livemode, processor, customer_id, ref, methods_version"
_KEY: Final = "org_id = %(org_id)s AND livemode = %(livemode)s AND processor = %(processor)s"
_INSERT_CUSTOMER: Final = """
INSERT INTO payment_customer (org_id, livemode, processor, customer_id, created_at)
VALUES (%(org_id)s, %(livemode)s, %(processor)s, %(customer_id)s, %(now)s)
ON CONFLICT (org_id, livemode, processor) DO NOTHING
"""
_READ_CUSTOMER: Final = f"SELECT {_CUSTOMER} FROM payment_customer WHERE {_KEY}"
_LOCK_CUSTOMER: Final = f"{_READ_CUSTOMER} FOR NO KEY UPDATE"
_READ_CUSTOMER_BY_REF: Final = f"""
SELECT {_CUSTOMER} FROM payment_customer WHERE processor = %(processor)s AND ref = %(ref)s
"""
_WRITE_REF: Final = f"UPDATE payment_customer SET ref = %(ref)s WHERE {_KEY} AND ref IS NULL"
_MOVE_VERSION: Final = f"""
UPDATE payment_customer SET methods_version = methods_version + 1 WHERE {_KEY}
"""


async def insert_customer(
    tx: Connection,
    org_id: UUID,
    processor: str,
    customer_id: UUID,
    now: datetime,
    *,
    livemode: bool,
) -> None:
    """Does nothing when there is one."""
    row = {
        "org_id": org_id,
        "livemode": livemode,
        "processor": processor,
        "customer_id": customer_id,
        "now": now,
    }
    await tx.execute(_INSERT_CUSTOMER, row)


async def read_customer(
    connection: Connection, org_id: UUID, processor: str, *, livemode: bool
) -> Customer | None:
    asked = {"org_id": org_id, "processor": processor, "livemode": livemode}
    return await _customer(connection, _READ_CUSTOMER, **asked)


async def lock_customer(
    tx: Connection, org_id: UUID, processor: str, *, livemode: bool
) -> Customer | None:
    """Changes of an organization's methods wait for each other here."""
    asked = {"org_id": org_id, "processor": processor, "livemode": livemode}
    return await _customer(tx, _LOCK_CUSTOMER, **asked)


async def read_customer_by_ref(connection: Connection, processor: str, ref: str) -> Customer | None:
    return await _customer(connection, _READ_CUSTOMER_BY_REF, processor=processor, ref=ref)


async def write_ref(tx: Connection, customer: Customer, ref: str) -> None:
    await tx.execute(_WRITE_REF, {**asdict(customer), "ref": ref})


async def move_version(tx: Connection, customer: Customer) -> None:
    await tx.execute(_MOVE_VERSION, asdict(customer))


async def _customer(
    connection: Connection, query: LiteralString, **asked: object
) -> Customer | None:
    async with connection.cursor(row_factory=class_row(Customer)) as cursor:
        await cursor.execute(query, asked)
        return await cursor.fetchone()


# ── Methods ──────────────────────────────────────────────────────────────────────────────────────

_METHOD: Final = """
    org_id, method_id, livemode, processor, ref, kind, brand, last4, exp_month, exp_year,
    is_default, added_at, removed_at
"""
_METHODS_ON_FILE: Final = f"""
SELECT {_METHOD} FROM payment_method
WHERE {_KEY} AND removed_at IS NULL
ORDER BY is_default DESC, added_at DESC, method_id
"""
_METHODS_EVER: Final = f"SELECT {_METHOD} FROM payment_method WHERE {_KEY}"
_READ_METHOD: Final = f"""
SELECT {_METHOD} FROM payment_method WHERE org_id = %(org_id)s AND method_id = %(method_id)s
"""
_INSERT_METHOD: Final = """
INSERT INTO payment_method (
    org_id, method_id, livemode, processor, ref, kind, brand, last4, exp_month, exp_year,
    is_default, added_at
) VALUES (
    %(org_id)s, %(method_id)s, %(livemode)s, %(processor)s, %(ref)s, %(kind)s, %(brand)s,
    %(last4)s, %(exp_month)s, %(exp_year)s, false, %(added_at)s
)
"""
_WRITE_METHOD: Final = """
UPDATE payment_method SET
    brand = %(brand)s, last4 = %(last4)s, exp_month = %(exp_month)s, exp_year = %(exp_year)s
WHERE org_id = %(org_id)s AND method_id = %(method_id)s
"""
_REMOVE_METHOD: Final = """
UPDATE payment_method SET
    is_default = false, removed_at = %(now)s,
    detached_at = CASE WHEN %(detached)s THEN %(now)s::timestamptz END
WHERE org_id = %(org_id)s AND method_id = %(method_id)s AND removed_at IS NULL
"""
_NOTE_DETACHED: Final = """
UPDATE payment_method SET detached_at = %(now)s
WHERE org_id = %(org_id)s AND method_id = %(method_id)s AND detached_at IS NULL
"""
_CLEAR_DEFAULT: Final = f"UPDATE payment_method SET is_default = false WHERE {_KEY} AND is_default"
_SET_DEFAULT: Final = """
UPDATE payment_method SET is_default = true
WHERE org_id = %(org_id)s AND method_id = %(method_id)s AND removed_at IS NULL
"""
_TO_DETACH: Final = f"""
SELECT {_METHOD} FROM payment_method
WHERE removed_at <= %(before)s AND detached_at IS NULL
  AND (processor || livemode::text) = ANY (%(processors)s)
ORDER BY removed_at
LIMIT %(most)s
"""
_EXPIRING: Final = f"""
SELECT {_METHOD} FROM payment_method
WHERE removed_at IS NULL AND exp_year = %(year)s AND exp_month = %(month)s
  AND (%(after)s::uuid IS NULL OR method_id > %(after)s)
ORDER BY method_id
LIMIT %(most)s
"""


async def methods_on_file(
    connection: Connection, org_id: UUID, processor: str, *, livemode: bool
) -> list[Method]:
    """The default first, then the newest first."""
    asked = {"org_id": org_id, "processor": processor, "livemode": livemode}
    return await _methods(connection, _METHODS_ON_FILE, **asked)


async def methods_ever(
    connection: Connection, org_id: UUID, processor: str, *, livemode: bool
) -> list[Method]:
    """Those that were removed included."""
    asked = {"org_id": org_id, "processor": processor, "livemode": livemode}
    return await _methods(connection, _METHODS_EVER, **asked)


async def read_method(connection: Connection, org_id: UUID, method_id: UUID) -> Method | None:
    found = await _methods(connection, _READ_METHOD, org_id=org_id, method_id=method_id)
    return found[0] if found else None


async def insert_method(tx: Connection, method: Method) -> None:
    await tx.execute(_INSERT_METHOD, asdict(method))


async def write_method(tx: Connection, method: Method) -> None:
    """Write what a bank may change of a card."""
    await tx.execute(_WRITE_METHOD, asdict(method))


async def remove_method(
    tx: Connection, org_id: UUID, method_id: UUID, now: datetime, *, detached: bool
) -> None:
    asked = {"org_id": org_id, "method_id": method_id, "now": now, "detached": detached}
    await tx.execute(_REMOVE_METHOD, asked)


async def note_detached(tx: Connection, org_id: UUID, method_id: UUID, now: datetime) -> None:
    await tx.execute(_NOTE_DETACHED, {"org_id": org_id, "method_id": method_id, "now": now})


async def set_default(tx: Connection, customer: Customer, method_id: UUID | None) -> None:
    """Make it the only default; None leaves no default."""
    await tx.execute(_CLEAR_DEFAULT, asdict(customer))
    if method_id is not None:
        await tx.execute(_SET_DEFAULT, {"org_id": customer.org_id, "method_id": method_id})


async def methods_to_detach(
    connection: Connection, processors: Sequence[str], before: datetime, most: int
) -> list[Method]:
    """Removed here before that moment, and not yet known to be forgotten at the processor."""
    return await _methods(
        connection, _TO_DETACH, processors=list(processors), before=before, most=most
    )


async def methods_expiring(
    connection: Connection, year: int, month: int, after: UUID | None, most: int
) -> list[Method]:
    return await _methods(connection, _EXPIRING, year=year, month=month, after=after, most=most)


async def _methods(connection: Connection, query: LiteralString, **asked: object) -> list[Method]:
    async with connection.cursor(row_factory=class_row(Method)) as cursor:
        await cursor.execute(query, asked)
        return await cursor.fetchall()
