"""What all balances are together, and the balances of several organizations at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from tollkeeper.db import Connection

OUTSTANDING: Final[LiteralString] = """
SELECT currency, coalesce(sum(posted) FILTER (WHERE posted > 0), 0)::bigint,
       coalesce(sum(posted) FILTER (WHERE posted < 0), 0)::bigint, sum(held)::bigint,
       count(*) FILTER (WHERE posted > 0), count(*) FILTER (WHERE frozen_reason IS NOT NULL)
FROM wallet
WHERE livemode = %(livemode)s AND entry_seq > 0
GROUP BY currency
ORDER BY currency <> 'USD', currency
"""
STANDINGS: Final[LiteralString] = """
SELECT w.org_id, w.currency, w.posted, w.held, w.entry_seq > 0, w.frozen_reason IS NOT NULL
FROM unnest(%(org_ids)s::uuid[]) AS o (org_id)
JOIN wallet w ON w.org_id = o.org_id
WHERE w.livemode = %(livemode)s
ORDER BY w.currency <> 'USD', w.currency
"""
FROZEN: Final[LiteralString] = """
SELECT DISTINCT org_id FROM wallet
WHERE livemode = %(livemode)s AND frozen_reason IS NOT NULL
ORDER BY org_id DESC
LIMIT %(limit)s
"""
FROZEN_OF: Final[LiteralString] = """
SELECT wallet.org_id, wallet.wallet_id
FROM wallet
JOIN unnest(%(orgs)s::uuid[], %(wallets)s::uuid[]) AS asked (org_id, wallet_id)
    USING (org_id, wallet_id)
WHERE wallet.frozen_reason IS NOT NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """All balances of a currency. `credit` is owed to customers, `debt` (below zero) by them."""

    currency: str
    credit: int
    debt: int
    held: int
    balances: int
    frozen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a balance stands. `begun` is whether anything was ever posted to it."""

    currency: str
    posted: int
    held: int
    begun: bool
    frozen: bool

    @property
    def available(self) -> int:
        return self.posted - self.held


async def outstanding(connection: Connection, *, livemode: bool) -> list[Outstanding]:
    """Add all balances up, by currency. It reads every wallet once."""
    found = await connection.execute(OUTSTANDING, {"livemode": livemode})
    return [
        Outstanding(
            currency=currency,
            credit=credit,
            debt=debt,
            held=held,
            balances=balances,
            frozen=frozen,
        )
        for currency, credit, debt, held, balances, frozen in await found.fetchall()
    ]


async def standings(
    connection: Connection, org_ids: Sequence[UUID], *, livemode: bool
) -> dict[UUID, list[Standing]]:
    """By organization, USD first."""
    asked = {"org_ids": list(org_ids), "livemode": livemode}
    standing: dict[UUID, list[Standing]] = {org_id: [] for org_id in org_ids}
    found = await connection.execute(STANDINGS, asked)
    for org_id, currency, posted, held, begun, frozen in await found.fetchall():
        standing[org_id].append(
            Standing(currency=currency, posted=posted, held=held, begun=begun, frozen=frozen)
        )
    return standing


async def frozen_orgs(connection: Connection, limit: int, *, livemode: bool) -> list[UUID]:
    """Organizations with a frozen balance, newest first. It reads every wallet once."""
    found = await connection.execute(FROZEN, {"livemode": livemode, "limit": limit})
    return [row[0] for row in await found.fetchall()]


async def frozen_wallets(
    connection: Connection, wallets: Sequence[tuple[UUID, UUID]]
) -> set[tuple[UUID, UUID]]:
    """Return those of these that are frozen; each is an organization's id and a wallet's."""
    asked = {"orgs": [one for one, _ in wallets], "wallets": [one for _, one in wallets]}
    found = await connection.execute(FROZEN_OF, asked)
    return {(org_id, wallet_id) for org_id, wallet_id in await found.fetchall()}
