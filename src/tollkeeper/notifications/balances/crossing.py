"""When a balance is low or used up: said once per crossing, and not again for a ripple."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tollkeeper.base.ids import show_id
from tollkeeper.base.money import NANOS_PER_UNIT, Money
from tollkeeper.db import Connection
from tollkeeper.notifications.balances import store
from tollkeeper.notifications.events import CreditBalanceDepleted, CreditBalanceLow, Event
from tollkeeper.notifications.outbox import notify

# "Clearly above" is a fifth of the threshold, and at least a tenth of a unit of currency.
_SHARE: Final = 5
_LEAST_NANOS: Final = NANOS_PER_UNIT // 10


@dataclass(frozen=True, slots=True)
class Told:
    """What has been said of a balance and not been taken back by its rising."""

    low: bool = False
    depleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    org_id: UUID
    wallet_id: UUID
    livemode: bool
    currency: str
    available_nanos: int
    threshold_nanos: int


def cross(told: Told, available_nanos: int, threshold_nanos: int) -> Told:
    """Return what has been said once this balance is known. What turned true is to be said now;
    when both do at once, "used up" says it all.
    """
    margin = max(threshold_nanos // _SHARE, _LEAST_NANOS)
    return Told(
        low=_still(told.low, available_nanos, threshold_nanos, margin),
        depleted=_still(told.depleted, available_nanos, 0, margin),
    )


def _still(told: bool, available: int, line: int, margin: int) -> bool:
    return available <= line or (told and available < line + margin)


async def note_balance(tx: Connection, balance: Balance, now: datetime) -> Event | None:
    """Say that a balance has become low or is used up, once; return what was said.

    Cheap enough for each announced crossing, too dear for each call: it locks a row per wallet.
    """
    told = await store.lock_told(tx, balance.org_id, balance.wallet_id)
    before = Told(*told)
    after = cross(before, balance.available_nanos, balance.threshold_nanos)
    if after == before:
        return None
    await store.write_told(
        tx, balance.org_id, balance.wallet_id, low=after.low, depleted=after.depleted
    )
    event = _event(before, after, balance)
    if event is not None:
        await notify(tx, balance.org_id, event, livemode=balance.livemode, now=now)
    return event


def _event(before: Told, after: Told, balance: Balance) -> Event | None:
    wallet_id, available = show_id("wal", balance.wallet_id), Money(balance.available_nanos)
    if after.depleted and not before.depleted:
        return CreditBalanceDepleted(
            wallet_id=wallet_id, available=available, currency=balance.currency
        )
    if after.low and not before.low:
        return CreditBalanceLow(
            wallet_id=wallet_id,
            available=available,
            threshold=Money(balance.threshold_nanos),
            currency=balance.currency,
        )
    return None
