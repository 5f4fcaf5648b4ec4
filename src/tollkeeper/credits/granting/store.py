"""All SQL of recurring grants and campaigns."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.rows import class_row, kwargs_row

from tollkeeper.credits.granting.model import Campaign, Every, RecurringGrant, Redemption
from tollkeeper.db import Connection

_RECURRING: Final[LiteralString] = """
    grant_id, org_id, livemode, currency, amount_nanos, every, time_zone, priority, label, reason,
    created_at, created_by, ended_at, period_start, next_at, given_up_to
"""
INSERT_RECURRING: Final[LiteralString] = f"""
INSERT INTO recurring_grant ({_RECURRING}) VALUES (
    %(grant_id)s, %(org_id)s, %(livemode)s, %(currency)s, %(amount_nanos)s, %(every)s,
    %(time_zone)s, %(priority)s, %(label)s, %(reason)s, %(created_at)s, %(created_by)s,
    %(ended_at)s, %(period_start)s, %(next_at)s, %(given_up_to)s
)
ON CONFLICT (grant_id) DO NOTHING
"""
READ_RECURRING: Final[LiteralString] = f"""
SELECT {_RECURRING} FROM recurring_grant WHERE grant_id = %(grant_id)s
"""
LIST_RECURRING: Final[LiteralString] = f"""
SELECT {_RECURRING} FROM recurring_grant
WHERE (%(after)s::uuid IS NULL OR grant_id < %(after)s)
  AND (%(org_id)s::uuid IS NULL OR org_id = %(org_id)s)
ORDER BY grant_id DESC
LIMIT %(limit)s
"""
END_RECURRING: Final[LiteralString] = f"""
UPDATE recurring_grant SET ended_at = %(now)s
WHERE grant_id = %(grant_id)s AND ended_at IS NULL
RETURNING {_RECURRING}
"""
FOR_ALL: Final[LiteralString] = f"""
SELECT {_RECURRING} FROM recurring_grant
WHERE org_id IS NULL AND ended_at IS NULL AND (period_start IS NOT NULL OR next_at <= %(now)s)
"""
# Of those that have begun: what comes each period.
EACH_PERIOD: Final[LiteralString] = """
SELECT currency, sum(amount_nanos)::bigint FROM recurring_grant
WHERE ended_at IS NULL AND period_start IS NOT NULL AND livemode = %(livemode)s
  AND (org_id IS NULL OR org_id = %(org_id)s)
GROUP BY currency
"""
CLAIM: Final[LiteralString] = f"""
UPDATE recurring_grant SET leased_until = %(until)s
WHERE grant_id = (
    SELECT grant_id FROM recurring_grant
    WHERE ended_at IS NULL AND next_at <= %(now)s
      AND (leased_until IS NULL OR leased_until <= %(now)s)
    ORDER BY next_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING {_RECURRING}
"""
# Never back to an earlier period, whatever the clock of a process says.
BEGIN_PERIOD: Final[LiteralString] = """
UPDATE recurring_grant SET period_start = %(start)s, given_up_to = NULL
WHERE grant_id = %(grant_id)s AND ended_at IS NULL
  AND (period_start IS NULL OR period_start < %(start)s)
"""
KEEP_ON: Final[LiteralString] = """
UPDATE recurring_grant SET given_up_to = %(up_to)s, leased_until = %(until)s
WHERE grant_id = %(grant_id)s AND ended_at IS NULL AND period_start = %(start)s
"""
END_PERIOD: Final[LiteralString] = """
UPDATE recurring_grant SET next_at = %(end)s, given_up_to = NULL, leased_until = NULL
WHERE grant_id = %(grant_id)s AND period_start = %(start)s
"""
# Who defines a grant for all waits for organizations that are just being made, and they for it:
# each is either found, or finds the grant itself.
LOCK_NEWCOMERS: Final[LiteralString] = "SELECT pg_advisory_xact_lock(1_734_308_211)"
SHARE_NEWCOMERS: Final[LiteralString] = "SELECT pg_advisory_xact_lock_shared(1_734_308_211)"

_CAMPAIGN: Final[LiteralString] = """
    campaign_id, code, livemode, currency, amount_nanos, valid_from, valid_until,
    most_redemptions, redemptions, lot_days, lot_expires_at, new_days, priority, label, reason,
    created_at, created_by, ended_at
"""
INSERT_CAMPAIGN: Final[LiteralString] = f"""
INSERT INTO campaign ({_CAMPAIGN}) VALUES (
    %(campaign_id)s, %(code)s, %(livemode)s, %(currency)s, %(amount_nanos)s, %(valid_from)s,
    %(valid_until)s, %(most_redemptions)s, %(redemptions)s, %(lot_days)s, %(lot_expires_at)s,
    %(new_days)s, %(priority)s, %(label)s, %(reason)s, %(created_at)s, %(created_by)s,
    %(ended_at)s
)
ON CONFLICT DO NOTHING
"""
READ_CAMPAIGN: Final[LiteralString] = f"""
SELECT {_CAMPAIGN} FROM campaign WHERE campaign_id = %(campaign_id)s
"""
CAMPAIGN_BY_CODE: Final[LiteralString] = f"""
SELECT {_CAMPAIGN} FROM campaign WHERE code = %(code)s
"""
LOCK_CAMPAIGN: Final[LiteralString] = f"""
SELECT {_CAMPAIGN} FROM campaign WHERE code = %(code)s AND livemode = %(livemode)s
FOR NO KEY UPDATE
"""
LIST_CAMPAIGNS: Final[LiteralString] = f"""
SELECT {_CAMPAIGN} FROM campaign
WHERE %(after)s::uuid IS NULL OR campaign_id < %(after)s
ORDER BY campaign_id DESC
LIMIT %(limit)s
"""
END_CAMPAIGN: Final[LiteralString] = f"""
UPDATE campaign SET ended_at = %(now)s
WHERE campaign_id = %(campaign_id)s AND ended_at IS NULL
RETURNING {_CAMPAIGN}
"""
COUNT_REDEMPTION: Final[LiteralString] = """
UPDATE campaign SET redemptions = redemptions + 1 WHERE campaign_id = %(campaign_id)s
"""
_REDEMPTION: Final[LiteralString] = """
    org_id, campaign_id, redemption_id, wallet_id, entry_id, run_id, actor, amount_nanos,
    balance_after, redeemed_at, expires_at
"""
INSERT_REDEMPTION: Final[LiteralString] = f"""
INSERT INTO redemption ({_REDEMPTION}) VALUES (
    %(org_id)s, %(campaign_id)s, %(redemption_id)s, %(wallet_id)s, %(entry_id)s, %(run_id)s,
    %(actor)s, %(amount_nanos)s, %(balance_after)s, %(redeemed_at)s, %(expires_at)s
)
"""
READ_REDEMPTION: Final[LiteralString] = f"""
SELECT {_REDEMPTION} FROM redemption
WHERE org_id = %(org_id)s AND campaign_id = %(campaign_id)s
"""
LIST_REDEMPTIONS: Final[LiteralString] = f"""
SELECT {_REDEMPTION} FROM redemption
WHERE campaign_id = %(campaign_id)s
  AND (%(after)s::uuid IS NULL OR redemption_id < %(after)s)
ORDER BY redemption_id DESC
LIMIT %(limit)s
"""


async def insert_recurring(tx: Connection, grant: RecurringGrant) -> None:
    await tx.execute(INSERT_RECURRING, asdict(grant))


async def read_recurring(connection: Connection, grant_id: UUID) -> RecurringGrant | None:
    found = await _recurring(connection, READ_RECURRING, {"grant_id": grant_id})
    return found[0] if found else None


async def list_recurring(
    connection: Connection, org_id: UUID | None, after: UUID | None, limit: int
) -> list[RecurringGrant]:
    """Newest first; `org_id` None is everybody's."""
    parameters = {"org_id": org_id, "after": after, "limit": limit}
    return await _recurring(connection, LIST_RECURRING, parameters)


async def end_recurring(tx: Connection, grant_id: UUID, now: datetime) -> RecurringGrant | None:
    """None when it had ended before."""
    found = await _recurring(tx, END_RECURRING, {"grant_id": grant_id, "now": now})
    return found[0] if found else None


async def for_all(tx: Connection, now: datetime) -> list[RecurringGrant]:
    """Those that all organizations get, and that have begun."""
    return await _recurring(tx, FOR_ALL, {"now": now})


async def each_period(connection: Connection, org_id: UUID, livemode: bool) -> dict[str, int]:
    """How much an organization is given each period, by currency."""
    cursor = await connection.execute(EACH_PERIOD, {"org_id": org_id, "livemode": livemode})
    return dict(await cursor.fetchall())


async def claim(tx: Connection, now: datetime, until: datetime) -> RecurringGrant | None:
    """Take one that is due, and keep others from it for a while."""
    found = await _recurring(tx, CLAIM, {"now": now, "until": until})
    return found[0] if found else None


async def begin_period(tx: Connection, grant_id: UUID, start: datetime) -> bool:
    cursor = await tx.execute(BEGIN_PERIOD, {"grant_id": grant_id, "start": start})
    return cursor.rowcount > 0


async def keep_on(
    tx: Connection, grant_id: UUID, start: datetime, *, up_to: UUID, until: datetime
) -> bool:
    """Write down how far it has come; False when it was ended, or a later period has begun."""
    parameters = {"grant_id": grant_id, "start": start, "up_to": up_to, "until": until}
    cursor = await tx.execute(KEEP_ON, parameters)
    return cursor.rowcount > 0


async def end_period(tx: Connection, grant_id: UUID, start: datetime, end: datetime) -> None:
    await tx.execute(END_PERIOD, {"grant_id": grant_id, "start": start, "end": end})


async def lock_newcomers(tx: Connection, *, shared: bool) -> None:
    await tx.execute(SHARE_NEWCOMERS if shared else LOCK_NEWCOMERS)


async def insert_campaign(tx: Connection, campaign: Campaign) -> bool:
    cursor = await tx.execute(INSERT_CAMPAIGN, asdict(campaign))
    return cursor.rowcount > 0


async def read_campaign(connection: Connection, campaign_id: UUID) -> Campaign | None:
    return await _campaign(connection, READ_CAMPAIGN, {"campaign_id": campaign_id})


async def campaign_by_code(connection: Connection, code: str) -> Campaign | None:
    return await _campaign(connection, CAMPAIGN_BY_CODE, {"code": code})


async def lock_campaign(tx: Connection, code: str, *, livemode: bool) -> Campaign | None:
    """Read it and keep others from redeeming it until the transaction ends."""
    return await _campaign(tx, LOCK_CAMPAIGN, {"code": code, "livemode": livemode})


async def list_campaigns(connection: Connection, after: UUID | None, limit: int) -> list[Campaign]:
    async with connection.cursor(row_factory=class_row(Campaign)) as cursor:
        await cursor.execute(LIST_CAMPAIGNS, {"after": after, "limit": limit})
        return await cursor.fetchall()


async def end_campaign(tx: Connection, campaign_id: UUID, now: datetime) -> Campaign | None:
    """None when it had ended before."""
    return await _campaign(tx, END_CAMPAIGN, {"campaign_id": campaign_id, "now": now})


async def insert_redemption(tx: Connection, redemption: Redemption) -> None:
    await tx.execute(COUNT_REDEMPTION, {"campaign_id": redemption.campaign_id})
    await tx.execute(INSERT_REDEMPTION, asdict(redemption))


async def read_redemption(
    connection: Connection, org_id: UUID, campaign_id: UUID
) -> Redemption | None:
    async with connection.cursor(row_factory=class_row(Redemption)) as cursor:
        await cursor.execute(READ_REDEMPTION, {"org_id": org_id, "campaign_id": campaign_id})
        return await cursor.fetchone()


async def list_redemptions(
    connection: Connection, campaign_id: UUID, after: UUID | None, limit: int
) -> list[Redemption]:
    """Newest first."""
    parameters = {"campaign_id": campaign_id, "after": after, "limit": limit}
    async with connection.cursor(row_factory=class_row(Redemption)) as cursor:
        await cursor.execute(LIST_REDEMPTIONS, parameters)
        return await cursor.fetchall()


async def _recurring(
    connection: Connection, statement: LiteralString, parameters: dict[str, Any]
) -> list[RecurringGrant]:
    async with connection.cursor(row_factory=kwargs_row(_read_recurring)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()


async def _campaign(
    connection: Connection, statement: LiteralString, parameters: dict[str, Any]
) -> Campaign | None:
    async with connection.cursor(row_factory=class_row(Campaign)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchone()


def _read_recurring(*, every: str, **columns: Any) -> RecurringGrant:
    return RecurringGrant(every=Every(every), **columns)
