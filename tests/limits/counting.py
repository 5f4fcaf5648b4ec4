"""Counters as the ledger leaves them, for tests of what is shown and told of them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tollkeeper.db import Database

_COUNT = """
INSERT INTO counter (org_id, limit_id, livemode, subject, period_start, used, held)
VALUES (%(org_id)s, %(limit_id)s, %(livemode)s, %(subject)s, %(start)s, %(used)s, %(held)s)
ON CONFLICT (org_id, limit_id, livemode, subject) DO UPDATE SET
    used = excluded.used, held = excluded.held, period_start = excluded.period_start,
    told_percent = CASE WHEN counter.period_start = excluded.period_start
                        THEN counter.told_percent ELSE 0 END
"""


async def count(
    database: Database,
    org_id: UUID,
    limit_id: UUID,
    used: int,
    *,
    start: datetime,
    held: int = 0,
    subject: str = "",
    livemode: bool = True,
) -> None:
    async with database.transaction() as tx:
        await tx.execute(
            _COUNT,
            {
                "org_id": org_id,
                "limit_id": limit_id,
                "livemode": livemode,
                "subject": subject,
                "start": start,
                "used": used,
                "held": held,
            },
        )
