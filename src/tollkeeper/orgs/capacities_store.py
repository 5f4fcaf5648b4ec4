"""How many projects, members and keys an organization has."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from tollkeeper.db import Connection

# Keys that expired count, too: they can be given more time.
_COUNT_MADE: Final = """
SELECT CASE %(capacity)s
    WHEN 'projects' THEN
        (SELECT count(*) FROM project WHERE org_id = %(org_id)s AND archived_at IS NULL)
    WHEN 'seats' THEN (SELECT count(*) FROM member WHERE org_id = %(org_id)s)
    WHEN 'api_keys' THEN
        (SELECT count(*) FROM api_key WHERE org_id = %(org_id)s AND revoked_at IS NULL)
END
"""


async def count_made(tx: Connection, capacity: str, org_id: UUID) -> int:
    found = await tx.execute(_COUNT_MADE, {"org_id": org_id, "capacity": capacity})
    (count,) = await found.fetchone() or (0,)
    return count
