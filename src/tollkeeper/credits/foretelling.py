"""What customers are told beforehand, once a day: credit and cards that are about to expire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper import ledger, payments
from tollkeeper.base.ids import named_uuid, show_id
from tollkeeper.base.money import Money
from tollkeeper.credits.topping_up.model import day_of
from tollkeeper.jobs import Schedule, Task
from tollkeeper.ledger import Lot
from tollkeeper.notifications import CreditExpiring, PaymentMethodExpiring, notify
from tollkeeper.payments import Till

# How many days before it expires credit is told of; the next day tells of the next day's.
BEFORE: Final = (30, 7, 1)
_DAY: Final = timedelta(days=1)
_CARD_DAYS: Final = (1, 15)
_CRON: Final = "0 9 * * *"
_TASK: Final = Task(name="foretell", tries=5, pause=timedelta(minutes=5))
_MOST_WALLETS: Final = 1_000_000
_MOST_CARDS: Final = 500


async def foretell(till: Till, days: Sequence[int] = BEFORE) -> int:
    """The body of a daily job. Returns how many notices there were."""
    now = till.clock.now()
    told = await foretell_credit(till, now, days)
    if now.day in _CARD_DAYS:
        told += await foretell_cards(till, now)
    return told


async def foretell_credit(till: Till, now: datetime, days: Sequence[int]) -> int:
    """Tell of lots that expire on the day (UTC) that is so many days from now."""
    if not days:
        return 0
    today = day_of(now)
    until = today + _DAY * (max(days) + 1)
    async with till.database.connection() as connection:
        wallets = await ledger.wallets_expiring(connection, until, _MOST_WALLETS)
    return sum([await _foretell_wallet(till, *wallet, today, days) for wallet in wallets])


async def _foretell_wallet(
    till: Till, org_id: UUID, wallet_id: UUID, today: datetime, days: Sequence[int]
) -> int:
    told = 0
    async with till.database.transaction() as tx:
        wallet = await ledger.find_wallet(tx, org_id, wallet_id)
        drawn = await ledger.drawn_lots(tx, org_id, wallet_id, wallet.posted)
        for lot in drawn.left:
            before = _told_before(lot, today)
            if before is None or before not in days or lot.expires_at is None:
                continue
            event = CreditExpiring(
                lot_id=show_id("lot", lot.lot_id),
                amount=Money(drawn.remaining[lot.lot_id]),
                currency=wallet.currency,
                expires_at=lot.expires_at,
            )
            # Once, also where the job is run again because it failed half-way.
            await notify(
                tx,
                org_id,
                event,
                livemode=wallet.livemode,
                now=till.clock.now(),
                notice_id=_notice_of(lot, before, today),
            )
            told += 1
    return told


def _notice_of(lot: Lot, before: int, today: datetime) -> UUID:
    """An id made from the cause, which lies among those of its day: they are the list's order."""
    named = named_uuid(lot.lot_id, f"expires in {before} days").int & (1 << 76) - 1
    return UUID(int=int(today.timestamp()) * 1000 << 80 | 7 << 76 | named)


def _told_before(lot: Lot, today: datetime) -> int | None:
    """In how many days it expires; None if it never does, or lives no longer than that.

    Of whole days, so that a job that starts a few seconds early or late leaves out nobody. What
    comes anew each day is not told of each day.
    """
    if lot.expires_at is None:
        return None
    days = (day_of(lot.expires_at) - today).days
    return None if lot.expires_at - lot.arrived_at <= _DAY * days else days


async def foretell_cards(till: Till, now: datetime) -> int:
    """Tell of cards that are good to the end of this month and no longer."""
    told, after = 0, None
    while True:
        async with till.database.transaction() as tx:
            methods = await payments.expiring_methods(tx, now.year, now.month, after, _MOST_CARDS)
            for method in methods:
                event = PaymentMethodExpiring(
                    payment_method_id=show_id("met", method.method_id),
                    brand=method.brand,
                    last4=method.last4,
                    exp_month=now.month,
                    exp_year=now.year,
                )
                await notify(tx, method.org_id, event, livemode=method.livemode, now=now)
        told += len(methods)
        if len(methods) < _MOST_CARDS:
            return told
        after = methods[-1].method_id


def foretelling_schedules(till: Till, days: Sequence[int]) -> list[Schedule]:
    """Once a day, for all workers together."""

    async def run() -> int:
        return await foretell(till, days)

    return [Schedule(_TASK, _CRON, run)]
