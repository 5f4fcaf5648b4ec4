"""What this room does in the background, in every process; each is safe to run beside its like."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from tollkeeper.db import Database
from tollkeeper.metering import sums
from tollkeeper.metering.meter import Meter
from tollkeeper.metering.sums import Wallets

# A name, how many seconds lie between two runs, and what to run; it says how much it did.
Job = tuple[str, float, Callable[[], Awaitable[int]]]

_ADD_UP_SECONDS: Final = 1.0
_SWEEP_SECONDS: Final = 300.0


def usage_jobs(
    database: Database, meter: Meter, moved: Callable[[Wallets], None] | None = None
) -> list[Job]:
    """Keep the sums of usage up: at once what this process recorded, now and then what is left.

    `moved` is told of the wallets whose sums have changed.
    """

    async def add_up() -> int:
        wallets = meter.take_touched()
        try:
            added = await sums.add_up(database, wallets)
        except BaseException:
            meter.touch(wallets)
            raise
        if moved is not None:
            moved(wallets)
        return added

    async def sweep() -> int:
        return await sums.sweep(database)

    return [
        ("add_up_usage", _ADD_UP_SECONDS, add_up),
        ("sweep_usage_sums", _SWEEP_SECONDS, sweep),
    ]
