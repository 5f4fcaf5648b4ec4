"""Who spends far more than usual is told, once a day: of wallets that moved in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from tollkeeper import ledger
from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import named_uuid
from tollkeeper.base.money import NANOS_PER_UNIT, Money
from tollkeeper.base.settings import Settings
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import Wallet
from tollkeeper.metering.analytics import burning
from tollkeeper.metering.analytics.burning import Spike
from tollkeeper.metering.analytics.forecast import spent_by_hour
from tollkeeper.notifications import UsageSpike, notify

_SECONDS: Final = 60.0
# Of the wallets that moved, as many are looked at in one run; the others wait for the next.
_MOST: Final = 200


class SpikeWatch:
    """One per process. `note` is told which wallets moved; `look` is run now and then."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._moved: dict[tuple[UUID, UUID], None] = {}

    def note(self, wallets: Iterable[tuple[UUID, UUID]]) -> None:
        if self._settings.analytics.spike_alerts:
            self._moved.update(dict.fromkeys(wallets))

    @property
    def job(self) -> tuple[str, float, Callable[[], Awaitable[int]]]:
        return "watch_spikes", _SECONDS, self.look

    async def look(self) -> int:
        """Tell of what is unusual. Returns how many wallets were found so."""
        told = 0
        for wallet in list(self._moved)[:_MOST]:
            told += await self._look_at(*wallet)
            self._moved.pop(wallet, None)
        return told

    async def _look_at(self, org_id: UUID, wallet_id: UUID) -> bool:
        now = self._clock.now()
        async with self._database.transaction() as tx:
            wallet = await ledger.find_wallet(tx, org_id, wallet_id)
            spike = await read_spike(tx, wallet, self._settings, now)
            if spike is None:
                return False
            mode = "live" if wallet.livemode else "test"
            # The notice is its own mark: of one id there is one.
            notice_id = named_uuid(org_id, f"{mode}/usage_spike/{now.astimezone(UTC):%Y-%m-%d}")
            event = _event(spike, wallet)
            await notify(tx, org_id, event, now=now, livemode=wallet.livemode, notice_id=notice_id)
        return True


async def read_spike(
    connection: Connection, wallet: Wallet, settings: Settings, now: datetime
) -> Spike | None:
    """Say what is far above what is usual in the last hour or the last day."""
    bounds = burning.hours_until(now, burning.DAYS + 1)
    whose = (wallet.org_id, wallet.wallet_id)
    worth = settings.spending.get(wallet.currency, NANOS_PER_UNIT)
    # The least amount is in dollars.
    least = int(settings.analytics.spike_minimum_nanos) * NANOS_PER_UNIT // worth
    day = [bounds[-1 - burning.HOURS_OF_DAY], bounds[-1]]
    if sum(await spent_by_hour(connection, *whose, day)) < least:
        return None  # One sum is soon read, and mostly says enough.
    hours = await spent_by_hour(connection, *whose, bounds)
    return burning.find_spike(hours, bounds[-1], settings.analytics.spike_factor, least)


def _event(spike: Spike, wallet: Wallet) -> UsageSpike:
    return UsageSpike(
        spent=Money(spike.spent),
        usual=Money(spike.usual),
        currency=wallet.currency,
        start=spike.start,
        end=spike.end,
    )
