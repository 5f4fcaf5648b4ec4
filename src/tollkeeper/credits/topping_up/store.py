"""All SQL of auto top-up, and of balances that may have something to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg.rows import kwargs_row

from tollkeeper.credits.topping_up.model import Sums, TopUp
from tollkeeper.db import Connection
from tollkeeper.notifications import Balance, Told, cross

Wallets = Sequence[tuple[UUID, UUID]]

# A bank debit may take so long from its order to its success.
_SLOWEST: Final = timedelta(days=40)
_COLUMNS: Final = """
    org_id, wallet_id, livemode, currency, enabled, threshold_nanos, amount_nanos, target_nanos,
    monthly_cap_nanos, method_id, failures, suspended_reason, not_before, last_failure,
    last_failure_at
"""
_READ: Final = f"""
SELECT {_COLUMNS} FROM auto_top_up WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""
_LOCK: Final = f"{_READ} FOR NO KEY UPDATE"
_OF_METHODS: Final = f"""
SELECT {_COLUMNS} FROM auto_top_up WHERE org_id = %(org_id)s AND livemode = %(livemode)s
FOR NO KEY UPDATE
"""
_FAILING: Final = f"""
SELECT {_COLUMNS} FROM auto_top_up
WHERE enabled AND livemode = %(livemode)s AND (suspended_reason IS NOT NULL OR failures > 0)
ORDER BY last_failure_at DESC NULLS LAST, org_id
LIMIT %(limit)s
"""
_WRITE: Final = f"""
INSERT INTO auto_top_up ({_COLUMNS}) VALUES (
    %(org_id)s, %(wallet_id)s, %(livemode)s, %(currency)s, %(enabled)s, %(threshold_nanos)s,
    %(amount_nanos)s, %(target_nanos)s, %(monthly_cap_nanos)s, %(method_id)s, %(failures)s,
    %(suspended_reason)s, %(not_before)s, %(last_failure)s, %(last_failure_at)s
)
ON CONFLICT (org_id, wallet_id) DO UPDATE SET
    enabled = excluded.enabled, threshold_nanos = excluded.threshold_nanos,
    amount_nanos = excluded.amount_nanos, target_nanos = excluded.target_nanos,
    monthly_cap_nanos = excluded.monthly_cap_nanos, method_id = excluded.method_id,
    failures = excluded.failures, suspended_reason = excluded.suspended_reason,
    not_before = excluded.not_before, last_failure = excluded.last_failure,
    last_failure_at = excluded.last_failure_at
"""
_CONSENT: Final = """
INSERT INTO auto_top_up_consent (org_id, consent_id, wallet_id, at, who, said)
VALUES (%(org_id)s, %(consent_id)s, %(wallet_id)s, %(at)s, %(who)s, %(said)s)
"""
_SUMS: Final = """
SELECT
    coalesce(sum(credit_nanos) FILTER (WHERE succeeded_at >= %(month)s), 0)::bigint AS month_nanos,
    count(*) FILTER (WHERE created_at >= %(day)s) AS day_count,
    coalesce(bool_or(status IN ('requires_payment', 'requires_action', 'processing')), false)
        AS under_way
FROM purchase
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s AND origin = 'auto_top_up'
  AND created_at >= %(since)s
"""
_DUE: Final = """
SELECT top_up.org_id, top_up.wallet_id
FROM auto_top_up AS top_up
JOIN wallet ON wallet.org_id = top_up.org_id AND wallet.wallet_id = top_up.wallet_id
WHERE top_up.enabled AND top_up.suspended_reason IS NULL
  AND (top_up.not_before IS NULL OR top_up.not_before <= %(now)s)
  AND wallet.frozen_reason IS NULL
  AND wallet.posted - wallet.held < top_up.threshold_nanos
  AND NOT EXISTS (
    SELECT FROM purchase
    WHERE purchase.org_id = top_up.org_id AND purchase.wallet_id = top_up.wallet_id
      AND purchase.origin = 'auto_top_up'
      AND purchase.status IN ('requires_payment', 'requires_action', 'processing')
  )
"""
_NAMED: Final = """
  AND (top_up.org_id, top_up.wallet_id) IN (
    SELECT * FROM unnest(%(orgs)s::uuid[], %(wallets)s::uuid[])
  )
"""
_DUE_AMONG: Final = _DUE + _NAMED
# What has been said of a balance is not what is so any more. Of a balance that never had anything
# there is nothing to say: it did not fall.
_CROSSED: Final = """
SELECT wallet.org_id, wallet.wallet_id, wallet.livemode, wallet.currency,
       wallet.posted - wallet.held AS available_nanos,
       CASE WHEN top_up.enabled THEN top_up.threshold_nanos ELSE %(low)s END AS threshold_nanos,
       coalesce(told.low, false) AS told_low, coalesce(told.depleted, false) AS told_depleted
FROM wallet
LEFT JOIN auto_top_up AS top_up
       ON top_up.org_id = wallet.org_id AND top_up.wallet_id = wallet.wallet_id
LEFT JOIN balance_told AS told
       ON told.org_id = wallet.org_id AND told.wallet_id = wallet.wallet_id
WHERE wallet.entry_seq > 0
  AND (coalesce(told.low, false) <> (
           wallet.posted - wallet.held
           <= CASE WHEN top_up.enabled THEN top_up.threshold_nanos ELSE %(low)s END)
       OR coalesce(told.depleted, false) <> (wallet.posted - wallet.held <= 0))
"""
_CROSSED_AMONG: Final = f"""{_CROSSED}
  AND (wallet.org_id, wallet.wallet_id) IN (
    SELECT * FROM unnest(%(orgs)s::uuid[], %(wallets)s::uuid[])
  )
"""
# One at most is under way.
_ASKED_ABOUT: Final = """
SELECT purchase_id, created_at FROM purchase
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
  AND origin = 'auto_top_up' AND status = 'requires_action'
LIMIT 1
"""
_WAITING_LONG: Final = """
SELECT org_id, purchase_id FROM purchase
WHERE origin = 'auto_top_up' AND status = 'requires_action' AND created_at < %(before)s
ORDER BY created_at
LIMIT 1000
"""


async def read(connection: Connection, org_id: UUID, wallet_id: UUID) -> TopUp | None:
    return await _one(connection, _READ, org_id=org_id, wallet_id=wallet_id)


async def failing(connection: Connection, limit: int, *, livemode: bool) -> list[TopUp]:
    """Those that do not get paid: suspended, or declined last time; the newest failure first."""
    async with connection.cursor(row_factory=kwargs_row(TopUp)) as cursor:
        await cursor.execute(_FAILING, {"limit": limit, "livemode": livemode})
        return await cursor.fetchall()


async def lock(tx: Connection, org_id: UUID, wallet_id: UUID) -> TopUp | None:
    return await _one(tx, _LOCK, org_id=org_id, wallet_id=wallet_id)


async def lock_all(tx: Connection, org_id: UUID, *, livemode: bool) -> list[TopUp]:
    async with tx.cursor(row_factory=kwargs_row(TopUp)) as cursor:
        await cursor.execute(_OF_METHODS, {"org_id": org_id, "livemode": livemode})
        return await cursor.fetchall()


async def write(tx: Connection, top_up: TopUp) -> None:
    await tx.execute(_WRITE, asdict(top_up))


async def insert_consent(
    tx: Connection, top_up: TopUp, consent_id: UUID, at: datetime, who: str, said: str
) -> None:
    values: dict[str, Any] = {
        "org_id": top_up.org_id,
        "consent_id": consent_id,
        "wallet_id": top_up.wallet_id,
        "at": at,
        "who": who,
        "said": said,
    }
    await tx.execute(_CONSENT, values)


async def sums(
    connection: Connection, org_id: UUID, wallet_id: UUID, *, month: datetime, day: datetime
) -> Sums:
    asked: dict[str, Any] = {
        "org_id": org_id,
        "wallet_id": wallet_id,
        "month": month,
        "day": day,
        "since": month - _SLOWEST,
    }
    async with connection.cursor(row_factory=kwargs_row(Sums)) as cursor:
        await cursor.execute(_SUMS, asked)
        found = await cursor.fetchone()
    return found or Sums(month_nanos=0, day_count=0, under_way=False)


async def due(
    connection: Connection, now: datetime, among: Wallets | None
) -> list[tuple[UUID, UUID]]:
    """Wallets below their thresholds that buy nothing yet; of `among`, or of all."""
    query = _DUE if among is None else _DUE_AMONG
    found = await connection.execute(query, {"now": now, **_names(among)})
    return [(row[0], row[1]) for row in await found.fetchall()]


async def crossed(connection: Connection, low_nanos: int, among: Wallets | None) -> list[Balance]:
    """Balances of which something else is to be said than has been; of `among`, or of all."""
    query = _CROSSED if among is None else _CROSSED_AMONG
    async with connection.cursor(row_factory=kwargs_row(_balance)) as cursor:
        await cursor.execute(query, {"low": low_nanos, **_names(among)})
        found = await cursor.fetchall()
    # Those that rose, but not clearly, are left as they are without a lock.
    return [
        balance
        for told, balance in found
        if cross(told, balance.available_nanos, balance.threshold_nanos) != told
    ]


def _balance(told_low: bool, told_depleted: bool, **row: Any) -> tuple[Told, Balance]:
    return Told(told_low, told_depleted), Balance(**row)


async def waiting_long(connection: Connection, before: datetime) -> list[tuple[UUID, UUID]]:
    found = await connection.execute(_WAITING_LONG, {"before": before})
    return [(row[0], row[1]) for row in await found.fetchall()]


async def asked_about(
    connection: Connection, org_id: UUID, wallet_id: UUID
) -> tuple[UUID, datetime] | None:
    """Return the purchase that a bank wants its customer's consent to, and when it began."""
    found = await connection.execute(_ASKED_ABOUT, {"org_id": org_id, "wallet_id": wallet_id})
    row = await found.fetchone()
    return None if row is None else (row[0], row[1])


def _names(among: Wallets | None) -> dict[str, Any]:
    if among is None:
        return {}
    return {"orgs": [org for org, _ in among], "wallets": [wallet for _, wallet in among]}


async def _one(connection: Connection, query: Any, **asked: Any) -> TopUp | None:
    async with connection.cursor(row_factory=kwargs_row(TopUp)) as cursor:
        await cursor.execute(query, asked)
        return await cursor.fetchone()
