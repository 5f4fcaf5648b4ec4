"""Money becomes credit. So far in test mode only, where every payment succeeds at once.

A purchase is its ledger entry: the entry's source is the purchase's id, so that one purchase
credits once however often it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tollkeeper import ledger
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.credits.errors import AmountOutOfRange, PaymentsNotConfigured
from tollkeeper.db import Connection
from tollkeeper.ledger import Entry, EntryKind, LotKind, NewLot, Posting

_SOURCE: Final = "purchase:"


@dataclass(frozen=True, slots=True)
class Limits:
    """The least and the most that one purchase adds, in nanos of USD."""

    least: int
    most: int

    def check(self, amount: int) -> None:
        """Raises AmountOutOfRange."""
        if not self.least <= amount <= self.most:
            said = f"must be from {Money(self.least)} to {Money(self.most)}"
            raise AmountOutOfRange(f"amount: {said}", {"amount": [said]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """Who buys, and for which balance."""

    org_id: UUID
    wallet_id: UUID
    livemode: bool
    actor: str


async def purchase(
    tx: Connection, buyer: Buyer, purchase_id: UUID, amount: int, limits: Limits, now: datetime
) -> Entry:
    """Buy credit in test mode. The same `purchase_id` again gives the first entry back.

    Raises PaymentsNotConfigured for a live balance, AmountOutOfRange.
    """
    if not buyer.livemode:
        limits.check(amount)
        posting = Posting(
            org_id=buyer.org_id,
            wallet_id=buyer.wallet_id,
            entry_id=purchase_id,
            kind=EntryKind.PURCHASE,
            amount=amount,
            lot=NewLot(kind=LotKind.PURCHASED),
            source=f"{_SOURCE}{purchase_id}",
            actor=buyer.actor,
        )
        return await ledger.post(tx, posting, now)
    raise PaymentsNotConfigured(
        "Live credit cannot be bought here yet: no payment processor is configured"
    )


async def find_purchase(connection: Connection, org_id: UUID, purchase_id: UUID) -> Entry:
    """Raises NotFound."""
    entry = await ledger.entry_by_source(connection, org_id, f"{_SOURCE}{purchase_id}")
    if entry is None:
        raise NotFound(f"There is no purchase {show_id('pur', purchase_id)}")
    return entry


def purchase_of(entry: Entry) -> UUID | None:
    """Return the id of the purchase that an entry is, if it is one."""
    source = entry.source or ""
    return UUID(source.removeprefix(_SOURCE)) if source.startswith(_SOURCE) else None
