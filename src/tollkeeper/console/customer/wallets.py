"""The balance that a session's money pages are about."""

from __future__ import annotations

from tollkeeper import ledger
from tollkeeper.console.model import USD, Session
from tollkeeper.db import Connection
from tollkeeper.ledger import Wallet


async def wallet_of(connection: Connection, session: Session, currency: str = USD) -> Wallet | None:
    for wallet in await ledger.wallets_of(connection, session.org_id):
        if (wallet.livemode, wallet.currency) == (session.livemode, currency):
            return wallet
    return None
