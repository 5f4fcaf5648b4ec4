"""The SQL of what has been said of balances."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from tollkeeper.db import Connection

_LOCK_TOLD: Final = """
INSERT INTO balance_told (org_id, wallet_id) VALUES (%(org_id)s, %(wallet_id)s)
ON CONFLICT (org_id, wallet_id) DO UPDATE SET low = balance_told.low
RETURNING low, depleted
"""

_WRITE_TOLD: Final = """
UPDATE balance_told SET low = %(low)s, depleted = %(depleted)s
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""


async def lock_told(tx: Connection, org_id: UUID, wallet_id: UUID) -> tuple[bool, bool]:
    """Lock what has been said of a wallet: whether it is low, and whether it is depleted."""
    told = await tx.execute(_LOCK_TOLD, {"org_id": org_id, "wallet_id": wallet_id})
    low, depleted = await told.fetchone() or (False, False)
    return low, depleted


async def write_told(
    tx: Connection, org_id: UUID, wallet_id: UUID, *, low: bool, depleted: bool
) -> None:
    await tx.execute(
        _WRITE_TOLD,
        {"org_id": org_id, "wallet_id": wallet_id, "low": low, "depleted": depleted},
    )
