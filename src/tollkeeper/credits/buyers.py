"""Who buys, and what taxes that means."""

from __future__ import annotations

from uuid import UUID

from tollkeeper import orgs
from tollkeeper.credits.model import Buyer, Tax
from tollkeeper.db import Connection


async def buyer_of(connection: Connection, org_id: UUID) -> tuple[Buyer, tuple[Tax, ...]]:
    """Return an organization as its invoices name it, and the taxes it pays."""
    org = await orgs.get_org(connection, org_id)
    return Buyer(name=org.name), ()
