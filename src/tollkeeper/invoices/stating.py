"""Make the statement of a month from the ledger, in one snapshot of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tollkeeper import ledger
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.db import Connection
from tollkeeper.invoices import store
from tollkeeper.invoices.statement import Month, Statement, check
from tollkeeper.ledger import Wallet


async def make_statement(
    tx: Connection, org_id: UUID, currency: str, month: Month, now: datetime, *, livemode: bool
) -> Statement:
    """Work out a month of a balance; of one that is not over, what there is so far.

    It must be the first in its transaction. Raises InvalidRequest for a currency or a month that
    has no statement, and StatementWrong rather than give one that does not add up.
    """
    await store.begin_snapshot(tx)
    wallet = await _wallet(tx, org_id, currency, livemode=livemode)
    if month.start > now:
        said = "has not begun"
        raise InvalidRequest(f"month: {said}", {"month": [said]})
    owner = (wallet.org_id, wallet.wallet_id)
    found = await store.bounds(tx, *owner, month.start, month.until)
    return check(
        Statement(
            org_id=wallet.org_id,
            wallet_id=wallet.wallet_id,
            livemode=wallet.livemode,
            currency=wallet.currency,
            month=month,
            made_at=now,
            opening_nanos=found.opening_nanos,
            closing_nanos=found.closing_nanos,
            movements=tuple(await store.movements(tx, *owner, found.entries)),
            consumption=tuple(await store.by_sku(tx, *owner, found.records)),
            consumed_nanos=await store.consumed(tx, *owner, found.entries),
        )
    )


async def _wallet(tx: Connection, org_id: UUID, currency: str, *, livemode: bool) -> Wallet:
    for wallet in await ledger.wallets_of(tx, org_id):
        if (wallet.livemode, wallet.currency) == (livemode, currency):
            return wallet
    said = "is no currency of this organization"
    raise InvalidRequest(f"currency: {said}", {"currency": [said]})
