"""The ledger's SQL. Only the hot statements stand apart, in `statements.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import msgspec
from psycopg import errors
from psycopg.rows import class_row, kwargs_row

from tollkeeper.base.errors import NotFound
from tollkeeper.base.money import MAX_NANOS
from tollkeeper.db import Connection
from tollkeeper.ledger import counted_statements, counting, roomy_statements, statements
from tollkeeper.ledger.model import (
    Account,
    AlreadyReversed,
    Entry,
    EntryKind,
    Lot,
    LotKind,
    NewCharge,
    NewHold,
    OpenHold,
    SourceReused,
    Wallet,
)

_encode = msgspec.json.Encoder().encode

# These mean that another process was faster; the same statement then sees what that one wrote.
_RACES: Final = (errors.UniqueViolation, errors.DeadlockDetected, errors.SerializationFailure)
_MAX_RACES: Final = 20

_WALLET: Final[LiteralString] = """
SELECT org_id, wallet_id, livemode, currency, posted, held, overdraft, overrun,
       -cash AS added, revenue AS spent, frozen_reason, next_expiry_at
FROM wallet
"""
FIND_WALLET: Final[LiteralString] = (
    _WALLET + "WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s"
)
LOCK_WALLET: Final[LiteralString] = FIND_WALLET + " FOR UPDATE"
WALLETS_OF_ORG: Final[LiteralString] = (
    _WALLET + "WHERE org_id = %(org_id)s ORDER BY livemode DESC, currency"
)
OPEN_WALLET: Final[LiteralString] = """
INSERT INTO wallet (org_id, wallet_id, livemode, currency, overdraft, newest_at, opened_at)
VALUES (%(org_id)s, %(wallet_id)s, %(livemode)s, %(currency)s, %(overdraft)s, %(now)s, %(now)s)
ON CONFLICT (org_id, livemode, currency) DO NOTHING
"""
SET_OVERDRAFT: Final[LiteralString] = """
UPDATE wallet
SET overdraft = %(overdraft)s, overrun = greatest(0, -(posted - held + %(overdraft)s))
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""
SET_FROZEN: Final[LiteralString] = """
UPDATE wallet SET frozen_reason = %(reason)s
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""
SET_NEXT_EXPIRY: Final[LiteralString] = """
UPDATE wallet SET next_expiry_at = %(at)s
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""
BRING_EXPIRY_FORWARD: Final[LiteralString] = """
UPDATE wallet SET next_expiry_at = least(next_expiry_at, %(at)s)
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""
EXPIRY_DUE: Final[LiteralString] = """
SELECT org_id, wallet_id FROM wallet
WHERE next_expiry_at <= %(now)s
ORDER BY next_expiry_at
LIMIT %(limit)s
"""

FIND_HOLD: Final[LiteralString] = """
SELECT org_id, hold_id, wallet_id, amount, state, project_id, key_id, placed_at, expires_at,
       context::text AS context
FROM hold
WHERE org_id = %(org_id)s AND hold_id = %(hold_id)s
"""
DUE_HOLDS: Final[LiteralString] = """
SELECT org_id, wallet_id, hold_id FROM hold
WHERE state = 'open' AND expires_at <= %(now)s
ORDER BY expires_at
LIMIT %(limit)s
"""
CHARGED_AMONG: Final[LiteralString] = """
SELECT t.org_id, t.wallet_id, t.hold_id
FROM unnest(%(org_ids)s::uuid[], %(wallet_ids)s::uuid[], %(hold_ids)s::uuid[])
     AS t (org_id, wallet_id, hold_id)
CROSS JOIN LATERAL (
    SELECT FROM usage_record u
    WHERE u.org_id = t.org_id AND u.usage_id = t.hold_id
    LIMIT 1
) u
"""
FORGET_ENDED_HOLDS: Final[LiteralString] = """
DELETE FROM hold WHERE state <> 'open' AND ended_at < %(before)s
"""

_ENTRY: Final[LiteralString] = """
SELECT org_id, wallet_id, seq, entry_id, kind, account, amount, balance_after, posted_at,
       lot_id, source, reverses_seq, actor, reason
FROM entry
"""
ENTRY_BY_SOURCE: Final[LiteralString] = _ENTRY + "WHERE org_id = %(org_id)s AND source = %(source)s"
ENTRY_BY_SEQ: Final[LiteralString] = (
    _ENTRY + "WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s AND seq = %(seq)s"
)
MOVEMENTS: Final[LiteralString] = (
    _ENTRY
    + """
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s AND kind <> 'consumption'
ORDER BY seq
"""
)
# `above` and `below` bound the sequence; either may be NULL.
ENTRIES_UP: Final[LiteralString] = (
    _ENTRY
    + """
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
  AND seq > coalesce(%(above)s, 0) AND seq < coalesce(%(below)s, 9223372036854775807)
  AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s))
ORDER BY seq
LIMIT %(limit)s
"""
)
ENTRIES_DOWN: Final[LiteralString] = (
    _ENTRY
    + """
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
  AND seq > coalesce(%(above)s, 0) AND seq < coalesce(%(below)s, 9223372036854775807)
  AND (%(kinds)s::text[] IS NULL OR kind = ANY(%(kinds)s))
ORDER BY seq DESC
LIMIT %(limit)s
"""
)
INSERT_ENTRY: Final[LiteralString] = """
INSERT INTO entry (org_id, wallet_id, seq, entry_id, kind, account, amount, balance_after,
                   posted_at, lot_id, source, reverses_seq, actor, reason)
SELECT org_id, wallet_id, entry_seq + 1, %(entry_id)s, %(kind)s, %(account)s, %(amount)s,
       posted + %(amount)s, greatest(newest_at, %(now)s), %(lot_id)s, %(source)s,
       %(reverses_seq)s, %(actor)s, %(reason)s
FROM wallet
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
RETURNING seq, balance_after, posted_at
"""
MOVE_WALLET: Final[LiteralString] = """
UPDATE wallet SET
    posted = posted + %(amount)s,
    cash        = cash        - CASE %(account)s WHEN 'cash'        THEN %(amount)s ELSE 0 END,
    promotional = promotional - CASE %(account)s WHEN 'promotional' THEN %(amount)s ELSE 0 END,
    revenue     = revenue     - CASE %(account)s WHEN 'revenue'     THEN %(amount)s ELSE 0 END,
    breakage    = breakage    - CASE %(account)s WHEN 'breakage'    THEN %(amount)s ELSE 0 END,
    refunds     = refunds     - CASE %(account)s WHEN 'refunds'     THEN %(amount)s ELSE 0 END,
    disputes    = disputes    - CASE %(account)s WHEN 'disputes'    THEN %(amount)s ELSE 0 END,
    adjustments = adjustments - CASE %(account)s WHEN 'adjustments' THEN %(amount)s ELSE 0 END,
    overrun = greatest(0, -(posted + %(amount)s - held + overdraft)),
    entry_seq = entry_seq + 1,
    newest_at = greatest(newest_at, %(now)s)
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""
INSERT_LOT: Final[LiteralString] = """
INSERT INTO lot (org_id, lot_id, wallet_id, entry_seq, kind, amount, priority, arrived_at,
                 expires_at, label)
VALUES (%(org_id)s, %(lot_id)s, %(wallet_id)s, %(entry_seq)s, %(kind)s, %(amount)s,
        %(priority)s, %(arrived_at)s, %(expires_at)s, %(label)s)
"""
HAS_LOT: Final[LiteralString] = """
SELECT FROM lot
WHERE org_id = %(org_id)s AND lot_id = %(lot_id)s AND wallet_id = %(wallet_id)s
"""
LOTS: Final[LiteralString] = """
SELECT lot_id, entry_seq, kind, amount, priority, arrived_at, expires_at, label
FROM lot
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
ORDER BY entry_seq
"""


async def prepare(connection: Connection) -> None:
    """Make a connection fit for the hot statements, which are planned once and for all sizes."""
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute("SET jit = off")
    # It would join the items of one organization by that organization alone, each with each; and
    # read all of some thousand counters to move a few.
    await connection.execute("SET enable_mergejoin = off")
    await connection.execute("SET enable_seqscan = off")


async def hold(
    connection: Connection, items: Sequence[NewHold], now: datetime, *, suppose: bool = False
) -> list[tuple[str, int, counting.Shorts, int]]:
    """Rows of (outcome, spendable, limits in the way, amount), in order.

    See `spending` for the outcomes beside the enum's, and for what it is to `suppose`.
    """
    asked = await counting.ask(connection, items)
    if asked is None:
        rows = await _run(connection, statements.HOLD, {"items": _json(items), "now": now})
        return [(*row, [], item.amount) for row, item in zip(rows, items, strict=True)]
    if not suppose:
        return await _run(connection, counted_statements.HOLD, asked.exactly() | {"now": now})
    rows = await _run(connection, roomy_statements.HOLD, asked.supposedly() | {"now": now})
    return [(*row, [], credit) for row, credit in zip(rows, asked.credits, strict=True)]


async def charge(
    connection: Connection,
    items: Sequence[NewCharge],
    now: datetime,
    *,
    must_fit: bool,
    suppose: bool = False,
) -> list[tuple[str, int, int, int, counting.Shorts]]:
    """Rows of (outcome, amount, balance after, spendable after the batch, limits in the way)."""
    asked = await counting.ask(connection, items)
    parameters: dict[str, Any] = {"now": now, "must_fit": must_fit}
    if asked is not None and not suppose:
        return await _run(connection, counted_statements.CHARGE, parameters | asked.exactly())
    statement = statements.CHARGE if asked is None else roomy_statements.CHARGE
    parameters |= {"items": _json(items)} if asked is None else asked.supposedly()
    return [(*row, []) for row in await _run(connection, statement, parameters)]


async def end_holds(
    connection: Connection,
    holds: Sequence[tuple[UUID, UUID, UUID]],
    now: datetime,
    *,
    expire: bool,
) -> list[str]:
    """What became of each, in order: an EndOutcome, or `again`."""
    items = [
        {"org_id": org_id, "wallet_id": wallet_id, "hold_id": hold_id}
        for org_id, wallet_id, hold_id in holds
    ]
    parameters = {"items": _json(items), "now": now, "expire": expire}
    rows = await _run(connection, statements.END_HOLDS, parameters)
    return [outcome for (outcome,) in rows]


async def charged_among(
    connection: Connection, holds: Sequence[tuple[UUID, UUID, UUID]]
) -> list[tuple[UUID, UUID, UUID]]:
    """Those of the holds whose call has its usage record."""
    org_ids, wallet_ids, hold_ids = zip(*holds, strict=True)
    cursor = await connection.execute(
        CHARGED_AMONG,
        {"org_ids": list(org_ids), "wallet_ids": list(wallet_ids), "hold_ids": list(hold_ids)},
    )
    return await cursor.fetchall()


async def due_holds(
    connection: Connection, now: datetime, limit: int
) -> list[tuple[UUID, UUID, UUID]]:
    cursor = await connection.execute(DUE_HOLDS, {"now": now, "limit": limit})
    return await cursor.fetchall()


async def forget_ended_holds(connection: Connection, before: datetime) -> int:
    """Remove voided and expired holds that ended before. A settled one is gone already."""
    cursor = await connection.execute(FORGET_ENDED_HOLDS, {"before": before})
    return cursor.rowcount


async def find_hold(connection: Connection, org_id: UUID, hold_id: UUID) -> OpenHold | None:
    async with connection.cursor(row_factory=kwargs_row(_read_hold)) as cursor:
        await cursor.execute(FIND_HOLD, {"org_id": org_id, "hold_id": hold_id})
        return await cursor.fetchone()


async def open_wallet(
    tx: Connection,
    *,
    org_id: UUID,
    wallet_id: UUID,
    livemode: bool,
    currency: str,
    now: datetime,
    overdraft: int = 0,
) -> Wallet:
    """Open a wallet, or give the one that the organization has in this currency."""
    _check_overdraft(overdraft)
    await tx.execute(
        OPEN_WALLET,
        {
            "org_id": org_id,
            "wallet_id": wallet_id,
            "livemode": livemode,
            "currency": currency,
            "overdraft": overdraft,
            "now": now,
        },
    )
    wallets = await wallets_of(tx, org_id)
    return next(w for w in wallets if (w.livemode, w.currency) == (livemode, currency))


async def find_wallet(connection: Connection, org_id: UUID, wallet_id: UUID) -> Wallet:
    """Raises NotFound."""
    return await _wallet(connection, FIND_WALLET, org_id, wallet_id)


async def lock_wallet(tx: Connection, org_id: UUID, wallet_id: UUID) -> Wallet:
    """Read a wallet and keep others from changing it until the transaction ends."""
    return await _wallet(tx, LOCK_WALLET, org_id, wallet_id)


async def wallets_of(connection: Connection, org_id: UUID) -> list[Wallet]:
    async with connection.cursor(row_factory=class_row(Wallet)) as cursor:
        await cursor.execute(WALLETS_OF_ORG, {"org_id": org_id})
        return await cursor.fetchall()


async def set_overdraft(tx: Connection, org_id: UUID, wallet_id: UUID, overdraft: int) -> None:
    """Let spending go this far below zero. Raises NotFound."""
    _check_overdraft(overdraft)
    parameters = {"org_id": org_id, "wallet_id": wallet_id, "overdraft": overdraft}
    await _change_wallet(tx, SET_OVERDRAFT, parameters)


async def freeze(tx: Connection, org_id: UUID, wallet_id: UUID, reason: str) -> None:
    """Refuse new holds and charges; what is running still settles. Raises NotFound."""
    parameters = {"org_id": org_id, "wallet_id": wallet_id, "reason": reason}
    await _change_wallet(tx, SET_FROZEN, parameters)


async def unfreeze(tx: Connection, org_id: UUID, wallet_id: UUID) -> None:
    """Raises NotFound."""
    parameters = {"org_id": org_id, "wallet_id": wallet_id, "reason": None}
    await _change_wallet(tx, SET_FROZEN, parameters)


async def set_next_expiry(
    tx: Connection, org_id: UUID, wallet_id: UUID, at: datetime | None
) -> None:
    await tx.execute(SET_NEXT_EXPIRY, {"org_id": org_id, "wallet_id": wallet_id, "at": at})


async def wallets_with_expiry_due(
    connection: Connection, now: datetime, limit: int
) -> list[tuple[UUID, UUID]]:
    cursor = await connection.execute(EXPIRY_DUE, {"now": now, "limit": limit})
    return await cursor.fetchall()


async def insert_entry(tx: Connection, entry: Entry, now: datetime) -> Entry:
    """Write it as the next of its wallet and move the wallet with it; the wallet is locked.

    Returns it with its place, balance and time. Raises SourceReused and AlreadyReversed.
    """
    parameters = asdict(entry) | {"now": now}
    try:
        cursor = await tx.execute(INSERT_ENTRY, parameters)
    except errors.UniqueViolation as error:
        if error.diag.constraint_name == "entry_once_per_source":
            raise SourceReused(f"{entry.source} has already posted another entry") from error
        if error.diag.constraint_name == "entry_reversed_once":
            raise AlreadyReversed(
                f"Entry {entry.reverses_seq} of this wallet has been reversed"
            ) from error
        raise
    (row,) = await cursor.fetchall()
    await tx.execute(MOVE_WALLET, parameters)
    seq, balance_after, posted_at = row
    return replace(entry, seq=seq, balance_after=balance_after, posted_at=posted_at)


async def insert_lot(tx: Connection, lot: Lot, org_id: UUID, wallet_id: UUID) -> None:
    parameters = asdict(lot) | {"org_id": org_id, "wallet_id": wallet_id}
    await tx.execute(INSERT_LOT, parameters)
    if lot.expires_at is not None:
        at = {"at": lot.expires_at}
        await tx.execute(BRING_EXPIRY_FORWARD, parameters | at)


async def entry_by_source(connection: Connection, org_id: UUID, source: str) -> Entry | None:
    found = await _entries(connection, ENTRY_BY_SOURCE, {"org_id": org_id, "source": source})
    return found[0] if found else None


async def find_entry(connection: Connection, org_id: UUID, wallet_id: UUID, seq: int) -> Entry:
    """Raises NotFound."""
    parameters = {"org_id": org_id, "wallet_id": wallet_id, "seq": seq}
    found = await _entries(connection, ENTRY_BY_SEQ, parameters)
    if not found:
        raise NotFound(f"This wallet has no entry {seq}")
    return found[0]


async def movements(connection: Connection, org_id: UUID, wallet_id: UUID) -> list[Entry]:
    """All entries but consumption, by sequence."""
    return await _entries(connection, MOVEMENTS, {"org_id": org_id, "wallet_id": wallet_id})


async def entries(
    connection: Connection,
    org_id: UUID,
    wallet_id: UUID,
    *,
    limit: int,
    above: int | None = None,
    below: int | None = None,
    kinds: Sequence[EntryKind] | None = None,
    descending: bool = True,
) -> list[Entry]:
    """One page of a wallet's entries, bounded by sequence on either side (exclusive)."""
    parameters = {
        "org_id": org_id,
        "wallet_id": wallet_id,
        "above": above,
        "below": below,
        "kinds": None if kinds is None else list(kinds),
        "limit": limit,
    }
    return await _entries(connection, ENTRIES_DOWN if descending else ENTRIES_UP, parameters)


async def has_lot(connection: Connection, wallet: Wallet, lot_id: UUID) -> bool:
    parameters = {"org_id": wallet.org_id, "wallet_id": wallet.wallet_id, "lot_id": lot_id}
    cursor = await connection.execute(HAS_LOT, parameters)
    return cursor.rowcount > 0


async def lots(connection: Connection, org_id: UUID, wallet_id: UUID) -> list[Lot]:
    async with connection.cursor(row_factory=kwargs_row(_read_lot)) as cursor:
        await cursor.execute(LOTS, {"org_id": org_id, "wallet_id": wallet_id})
        return await cursor.fetchall()


def _check_overdraft(overdraft: int) -> None:
    if not 0 <= overdraft <= MAX_NANOS:
        raise ValueError(f"An overdraft lies between 0 and {MAX_NANOS} nanos, not {overdraft}")


async def _change_wallet(
    tx: Connection, statement: LiteralString, parameters: dict[str, Any]
) -> None:
    cursor = await tx.execute(statement, parameters)
    if cursor.rowcount == 0:
        raise NotFound("There is no such wallet")


async def _wallet(
    connection: Connection, statement: LiteralString, org_id: UUID, wallet_id: UUID
) -> Wallet:
    async with connection.cursor(row_factory=class_row(Wallet)) as cursor:
        await cursor.execute(statement, {"org_id": org_id, "wallet_id": wallet_id})
        wallet = await cursor.fetchone()
    if wallet is None:
        raise NotFound("There is no such wallet")
    return wallet


async def _entries(
    connection: Connection, statement: LiteralString, parameters: dict[str, Any]
) -> list[Entry]:
    async with connection.cursor(row_factory=kwargs_row(_read_entry)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()


def _read_entry(*, kind: str, account: str, **columns: Any) -> Entry:
    return Entry(kind=EntryKind(kind), account=Account(account), **columns)


def _read_lot(*, kind: str, **columns: Any) -> Lot:
    return Lot(kind=LotKind(kind), **columns)


def _read_hold(*, context: str | None, **columns: Any) -> OpenHold:
    raw = None if context is None else msgspec.Raw(context.encode())
    return OpenHold(context=raw, **columns)


async def _run(connection: Connection, statement: LiteralString, parameters: Any) -> list[Any]:
    for race in range(_MAX_RACES):
        try:
            cursor = await connection.execute(statement, parameters, prepare=True)
            return await cursor.fetchall()
        except _RACES:
            if race == _MAX_RACES - 1:
                raise
        except errors.CheckViolation as error:
            # PostgreSQL first checks the change against the wallet as the statement saw it, and
            # only then finds the newer one that was locked. There the same change may be right.
            if error.diag.table_name != "wallet" or race == _MAX_RACES - 1:
                raise
    raise AssertionError


def _json(items: Sequence[object]) -> str:
    return _encode(items).decode()
