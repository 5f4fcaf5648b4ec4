"""One comparison: the processor's books are read whole, then held against ours payment by payment.

Neither side is ever in memory: lines are staged in the database as they come, a page at a time, and
cases are streamed. The network is asked outside of any transaction (L8).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import Money
from tollkeeper.credits.reconciling import store
from tollkeeper.credits.reconciling.judging import judge
from tollkeeper.credits.reconciling.model import (
    About,
    Case,
    Day,
    Difference,
    Kind,
    Line,
    Reconciliation,
    Window,
)
from tollkeeper.payments import Till
from tollkeeper.payments.model import PaymentStatus, RefundStatus
from tollkeeper.payments.processors import Movement, MovementKind, Processor

# The processor's clock and ours may differ, and so may what they call a day.
SLACK: Final = timedelta(days=1)
# What has just happened may be known to one side only.
SETTLED: Final = timedelta(hours=1)

_PAGE: Final = 1_000
_MOST_NAMED: Final = 1_000
_STALE: Final = timedelta(days=1)

Progress = Callable[[int], None]


async def reconcile(
    till: Till,
    processor: Processor,
    window: Window,
    progress: Progress | None = None,
    *,
    usual: bool = False,
) -> Reconciliation:
    """Compare a processor's books with ours, keep what was found, and return it.

    `usual` says that the window is `usual_window`'s, and not one that somebody chose.
    Raises ProcessorUnavailable, ProcessorRefused. Safe beside traffic and beside another run.
    """
    run_id, began_at = uuid7(), till.clock.now()
    found = _Found()
    connection = await till.database.dedicated()
    try:
        since = await store.began(connection, processor.name, window, livemode=processor.livemode)
        wide = Window(min(since or window.since, window.since) - SLACK, window.until + SLACK)
        async for page in _pages(processor.movements(wide.since, wide.until)):
            await store.stage(
                connection,
                run_id,
                page,
                began_at,
                processor=processor.name,
                livemode=processor.livemode,
            )
            found.movements += sum(window.holds(movement.created_at) for movement in page)
            if progress is not None:
                progress(found.movements)
        await store.adopt(connection, run_id)
        for line in await store.sums(connection, run_id, window):
            found.add_sum(line)
        cases = store.cases(connection, run_id, processor.name, window, livemode=processor.livemode)
        async with aclosing(cases):
            async for case in cases:
                found.add_case(case, window)
        orphans = store.orphans(connection, run_id, window, livemode=processor.livemode)
        async with aclosing(orphans):
            async for orphan in orphans:
                found.add(_without_payment(orphan))
        await store.clear(connection, run_id, began_at - _STALE)
        made = found.concluded(run_id, processor, window, began_at, till.clock.now())
        made = replace(made, usual=usual)
        await store.insert(connection, made)
    finally:
        await connection.close()
    return made


async def _pages(movements: AsyncIterator[Movement]) -> AsyncIterator[list[Movement]]:
    page: list[Movement] = []
    async for movement in movements:
        page.append(movement)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


def _without_payment(orphan: store.Orphan) -> Difference:
    return Difference(
        kind=Kind.CREDIT_WITHOUT_PAYMENT,
        about=About.ENTRY,
        name=show_id("ent", orphan.entry_id),
        at=orphan.posted_at,
        org_id=orphan.org_id,
        payment_id=None,
        said=f"credits {Money(orphan.amount)} for {orphan.source or 'nothing'}, no such payment",
    )


# ── Adding up ────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Found:
    movements: int = 0
    days: dict[tuple[date, str], Day] = field(default_factory=dict[tuple[date, str], Day])
    counts: Counter[Kind] = field(default_factory=Counter[Kind])
    differences: list[Difference] = field(default_factory=list[Difference])

    def day(self, day: date, currency: str) -> Day:
        known = self.days.get((day, currency))
        if known is None:
            known = self.days[day, currency] = Day(day=day, currency=currency)
        return known

    def add_sum(self, line: store.Sum) -> None:
        if line.kind is MovementKind.FEE:
            # The fee is the whole line, and negative when it is taken.
            self.day(line.day, line.currency).fees_minor += line.fee_minor - line.amount_minor
            return
        if line.kind is MovementKind.OTHER:
            return
        day = self.day(line.day, line.currency)
        if line.foreign:
            day.foreign += line.lines
            day.foreign_minor += line.amount_minor
            return
        self.day(line.day, line.fee_currency).fees_minor += line.fee_minor
        match line.kind:
            case MovementKind.PAYMENT:
                day.payments += line.lines
                day.paid_minor += line.amount_minor
            case MovementKind.REFUND | MovementKind.REFUND_FAILED:
                day.refunds += line.lines
                day.refunded_minor += line.amount_minor
            case MovementKind.DISPUTE | MovementKind.DISPUTE_REVERSED:
                day.disputes += line.lines
                day.disputed_minor += line.amount_minor

    def add_case(self, case: Case, window: Window) -> None:
        for difference in judge(case, window):
            self.add(difference, currency=_currency(case))
        for at, currency, amount_minor in _booked(case):
            if window.holds(at):
                day = self.day(_day(at), currency)
                day.booked += 1
                day.booked_minor += amount_minor
        for at, currency, amount_minor in _booked_refunds(case):
            if window.holds(at):
                day = self.day(_day(at), currency)
                day.booked_refunds += 1
                day.booked_refunded_minor += amount_minor

    def add(self, difference: Difference, currency: str | None = None) -> None:
        self.counts[difference.kind] += 1
        if len(self.differences) < _MOST_NAMED:
            self.differences.append(difference)
        if currency is not None:
            self.day(_day(difference.at), currency).differences += 1

    def concluded(
        self,
        run_id: UUID,
        processor: Processor,
        window: Window,
        began_at: datetime,
        ended_at: datetime,
    ) -> Reconciliation:
        return Reconciliation(
            reconciliation_id=run_id,
            processor=processor.name,
            livemode=processor.livemode,
            window=window,
            began_at=began_at,
            ended_at=ended_at,
            movements=self.movements,
            counts=dict(self.counts),
            days=[self.days[name] for name in sorted(self.days)],
            differences=sorted(self.differences, key=lambda found: (found.at, found.name)),
            usual=False,
        )


def _booked(case: Case) -> Iterator[tuple[datetime, str, int]]:
    """Ours is told under the processor's day, where it has one: then equal days are equal."""
    booked = case.payment
    if booked is None or booked.status is not PaymentStatus.SUCCEEDED:
        return
    at = _earliest(case.lines, MovementKind.PAYMENT) or booked.settled_at
    if at is not None:
        yield at, booked.currency, booked.amount_minor


def _booked_refunds(case: Case) -> Iterator[tuple[datetime, str, int]]:
    for refund in case.refunds:
        lines = [line for line in case.lines if refund.ref and line.source_ref == refund.ref]
        sent = _earliest(lines, MovementKind.REFUND)
        back = _earliest(lines, MovementKind.REFUND_FAILED)
        failed = refund.status is RefundStatus.FAILED
        at = sent or (None if failed else refund.settled_at)
        if at is not None and (not failed or back is not None):
            yield at, refund.currency, -refund.amount_minor
        if failed and back is not None:
            yield back, refund.currency, refund.amount_minor


def _earliest(lines: Sequence[Line], kind: MovementKind) -> datetime | None:
    return min((line.created_at for line in lines if line.kind is kind), default=None)


def _currency(case: Case) -> str:
    if case.payment is not None:
        return case.payment.currency
    return case.lines[0].currency if case.lines else ""


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()
