"""The SQL of watching: how the purchases of many organizations go, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString, NamedTuple
from uuid import UUID

from tollkeeper.db import Connection

# Of purchases those that may still change: the newest. The marks say nothing but that something
# is not as it was.
WATCHED: Final[LiteralString] = """
SELECT asked.org_id, asked.livemode, top_up.threshold_nanos, top_up.mark || bought.automatic
       AS top_up, bought.mark AS purchases
FROM unnest(%(orgs)s::uuid[], %(livemodes)s::boolean[]) AS asked (org_id, livemode)
CROSS JOIN LATERAL (
    SELECT max(threshold_nanos) FILTER (WHERE enabled) AS threshold_nanos,
           coalesce(md5(string_agg(found::text, ',' ORDER BY wallet_id)), '') AS mark
    FROM auto_top_up AS found
    WHERE found.org_id = asked.org_id AND found.livemode = asked.livemode
) AS top_up
CROSS JOIN LATERAL (
    SELECT coalesce(md5(string_agg(said, ',' ORDER BY purchase_id)), '') AS mark,
           coalesce(md5(string_agg(said, ',' ORDER BY purchase_id)
               FILTER (WHERE origin = 'auto_top_up')), '') AS automatic
    FROM (
        SELECT purchase_id, origin, concat_ws(' ', purchase_id, status, returned_nanos) AS said
        FROM purchase
        WHERE purchase.org_id = asked.org_id AND purchase.livemode = asked.livemode
        ORDER BY purchase_id DESC
        LIMIT 10
    ) AS newest
) AS bought
"""


class Buying(NamedTuple):
    """`threshold_nanos` is where auto top-up is on. The marks differ when something has changed."""

    org_id: UUID
    livemode: bool
    threshold_nanos: int | None
    top_up: str
    purchases: str


async def watch_purchases(
    connection: Connection, owners: Sequence[tuple[UUID, bool]]
) -> list[Buying]:
    """Return how the purchases of organizations go, live or test."""
    orgs, livemodes = [org_id for org_id, _ in owners], [livemode for _, livemode in owners]
    cursor = await connection.execute(WATCHED, {"orgs": orgs, "livemodes": livemodes})
    return [Buying(*row) for row in await cursor.fetchall()]
