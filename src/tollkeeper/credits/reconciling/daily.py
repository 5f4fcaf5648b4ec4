"""Every day: what is compared, and what everybody is told of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.ids import show_id
from tollkeeper.credits.reconciling import store
from tollkeeper.credits.reconciling.comparing import SETTLED, Progress, reconcile
from tollkeeper.credits.reconciling.model import Reconciliation, Window
from tollkeeper.jobs import Schedule, Task
from tollkeeper.payments import Till
from tollkeeper.payments.processors import Processor

# Each day is looked at three times: what comes late is seen, and what was put right is seen too.
DAYS: Final = timedelta(days=3)
_OVERLAP: Final = timedelta(days=1)
_FURTHEST: Final = timedelta(days=90)
_CRON: Final = "17 4 * * *"
_TASK: Final = Task(name="reconcile", tries=5, pause=timedelta(minutes=5))
_SHOW_SECONDS: Final = 60.0

_log = structlog.stdlib.get_logger(__name__)


def usual_window(now: datetime, last: Reconciliation | None) -> Window:
    """The last three days; after a pause, all that was missed since the last usual run and a day
    more."""
    until = now - SETTLED
    since = until - DAYS
    if last is not None:
        since = min(since, last.window.until - _OVERLAP)
    return Window(max(since, until - _FURTHEST), until)


async def compare_as_usual(
    till: Till, processor: Processor, progress: Progress | None = None
) -> Reconciliation:
    """Reconcile a processor over all that is to be looked at. Raises what `reconcile` does."""
    async with till.database.connection() as connection:
        last = await store.last(connection, processor.name, livemode=processor.livemode)
    window = usual_window(till.clock.now(), last)
    return await reconcile(till, processor, window, progress, usual=True)


async def reconcile_all(till: Till) -> int:
    """Reconcile each processor. Returns how many differences there are.

    One that does not answer keeps no other from its turn; raises its error afterwards.
    """
    differences, failed = 0, None
    for processor in till.processors.all:
        try:
            made = await compare_as_usual(till, processor)
        except TollkeeperError as error:
            _log.warning("not_reconciled", processor=processor.name, reason=str(error))
            failed = error
        else:
            tell(made)
            differences += sum(made.counts.values())
    if failed is not None:
        raise failed
    return differences


def tell(made: Reconciliation) -> None:
    """Write the outcome to the log, where operators are alerted from."""
    if made.clean:
        _log.info("reconciled", processor=made.processor, movements=made.movements)
        return
    _log.error(
        "reconciliation_found_differences",
        processor=made.processor,
        livemode=made.livemode,
        reconciliation=show_id("rec", made.reconciliation_id),
        differences=sum(made.counts.values()),
        kinds={kind.value: count for kind, count in made.counts.items()},
    )


def reconciliation_schedules(till: Till) -> list[Schedule]:
    """Once a day, for all workers together."""

    async def run() -> int:
        return await reconcile_all(till)

    return [Schedule(_TASK, _CRON, run)]


class Show(Protocol):
    """Have monitoring know of a processor's last comparison."""

    def __call__(
        self, processor: str, *, livemode: bool, differences: int, ended_at: datetime
    ) -> None: ...


def reconciliation_chores(
    till: Till, show: Show
) -> list[tuple[str, float, Callable[[], Awaitable[int]]]]:
    """Have every process know the last outcome, whichever of them came to it."""

    async def look() -> int:
        for processor in till.processors.all:
            async with till.database.connection() as connection:
                last = await store.last(connection, processor.name, livemode=processor.livemode)
            if last is not None:
                show(
                    processor.name,
                    livemode=processor.livemode,
                    differences=sum(last.counts.values()),
                    ended_at=last.ended_at,
                )
        return 0

    return [("show_reconciliation", _SHOW_SECONDS, look)]
