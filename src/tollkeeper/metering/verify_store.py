"""The SQL of `verify_costs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from tollkeeper.db import Connection

WALLETS_WITH_USAGE: Final[LiteralString] = """
SELECT org_id, wallet_id FROM wallet
WHERE usage_seq > 0 AND (%(org_id)s::uuid IS NULL OR org_id = %(org_id)s)
  AND (org_id, wallet_id) > (%(after_org)s::uuid, %(after_wallet)s::uuid)
ORDER BY org_id, wallet_id
LIMIT %(limit)s
"""

COSTS: Final[LiteralString] = """
SELECT u.seq, u.amount, u.lines, (u.detail -> 'rating')::text AS rating,
       coalesce(u.detail ->> 'currency', 'USD') AS currency, w.currency AS wallet_currency,
       coalesce(u.detail ->> 'usdValue', '1000000000') AS usd_value,
       coalesce((u.detail -> 'allowances')::text, '[]') AS allowances
FROM usage_record u JOIN wallet w ON w.org_id = u.org_id AND w.wallet_id = u.wallet_id
WHERE u.org_id = %(org_id)s AND u.wallet_id = %(wallet_id)s AND u.seq > %(above)s
ORDER BY u.seq
LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a record charged, and the rating that it says is the reason; `usd_value` and
    `allowances` as they are written there."""

    seq: int
    amount: int
    lines: int
    rating: str | None
    currency: str
    wallet_currency: str
    usd_value: str
    allowances: str


async def wallets_with_usage(
    connection: Connection, org_id: UUID | None, after: tuple[UUID, UUID], limit: int
) -> list[tuple[UUID, UUID]]:
    after_org, after_wallet = after
    parameters = {
        "org_id": org_id,
        "after_org": after_org,
        "after_wallet": after_wallet,
        "limit": limit,
    }
    return await (await connection.execute(WALLETS_WITH_USAGE, parameters)).fetchall()


async def costs(
    connection: Connection, org_id: UUID, wallet_id: UUID, above: int, limit: int
) -> list[Cost]:
    parameters = {"org_id": org_id, "wallet_id": wallet_id, "above": above, "limit": limit}
    rows = await (await connection.execute(COSTS, parameters)).fetchall()
    return [Cost(*row) for row in rows]
