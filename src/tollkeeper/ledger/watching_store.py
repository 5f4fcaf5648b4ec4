"""The SQL of watching: what the wallets of many organizations hold now, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from tollkeeper.db import Connection
from tollkeeper.ledger.model import Wallet

WATCHED: Final[LiteralString] = """
SELECT org_id, wallet_id, livemode, currency, posted, held, overdraft, overrun,
       -cash AS added, revenue AS spent, frozen_reason, next_expiry_at, usage_seq
FROM wallet
WHERE org_id = ANY(%(org_ids)s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A wallet, and how many usage records it has."""

    wallet: Wallet
    records: int


async def watch_wallets(connection: Connection, org_ids: Sequence[UUID]) -> list[Watched]:
    """Return every wallet of these organizations as it is now."""
    cursor = await connection.execute(WATCHED, {"org_ids": list(org_ids)})
    names = [column.name for column in cursor.description or ()][:-1]
    return [
        Watched(wallet=Wallet(**dict(zip(names, columns, strict=True))), records=records)
        for *columns, records in await cursor.fetchall()
    ]
