"""The one way to the ledger for everything that is metered: many callers, few statements."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final, Self
from uuid import UUID

import structlog

from tollkeeper import ledger
from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import Unavailable
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import (
    ChargeResult,
    EndOutcome,
    HoldOutcome,
    HoldResult,
    NewCharge,
    NewHold,
)
from tollkeeper.metering.lane import (
    IMPATIENT_SECONDS,
    IMPATIENT_STATEMENT_SECONDS,
    Lane,
)
from tollkeeper.metering.paying import DOLLARS_ONLY, Purses
from tollkeeper.metering.rules import FREE, Rules

_GRACE_SECONDS: Final = 30.0
NOTES_PER_SECOND: Final = 10
_LIST_LANES: Final = 2

_log = structlog.stdlib.get_logger(__name__)

Void = tuple[UUID, UUID, UUID]  # organization, wallet, hold


class Meter:
    """One per process: holds, charges, settlements and voids, each on a connection of its own.

    What is answered is durable. Holds and charges are refused with Unavailable when the database
    is away for two seconds; settlements and voids wait for it. `purses` are what may pay, `rules`
    what calls are subject to beside that.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        spending: Mapping[str, int] = DOLLARS_ONLY,
        rules: Rules = FREE,
    ) -> None:
        self.purses = Purses(database, spending)
        self.rules = rules
        self._clock = clock
        self._touched: set[tuple[UUID, UUID]] = set()
        self._moved: set[tuple[UUID, UUID]] = set()
        self._holds = Lane(
            database,
            self._hold,
            patience=IMPATIENT_SECONDS,
            statement_seconds=IMPATIENT_STATEMENT_SECONDS,
        )
        self._charges = Lane(
            database,
            self._charge,
            patience=IMPATIENT_SECONDS,
            statement_seconds=IMPATIENT_STATEMENT_SECONDS,
        )
        self._settlements = Lane(database, self._settle, patience=None, given_up=_log_unsettled)
        self._voids = Lane(database, self._void, patience=None)
        # Long lists have connections of their own, so that no single call waits behind them. A
        # wallet's items keep to one of them: they would only wait for each other elsewhere.
        self._settled_lists = [
            Lane(database, self._settle, patience=IMPATIENT_SECONDS) for _ in range(_LIST_LANES)
        ]
        self._charged_lists = [
            Lane(database, self._charge, patience=IMPATIENT_SECONDS) for _ in range(_LIST_LANES)
        ]
        self._notes = Lane(database, self._settle, patience=IMPATIENT_SECONDS)
        self._noting = Allowance(NOTES_PER_SECOND)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        database: Database,
        clock: Clock,
        *,
        grace_seconds: float = _GRACE_SECONDS,
        spending: Mapping[str, int] = DOLLARS_ONLY,
        rules: Rules = FREE,
    ) -> AsyncGenerator[Self]:
        """Run a meter. At the end of the block it drains, for at most `grace_seconds`.

        `spending`: what a unit of each currency is worth in nanos of USD, in the order of spending.
        """
        meter = cls(database, clock, spending, rules)
        try:
            yield meter
        finally:
            await meter.drain(grace_seconds)
            await asyncio.gather(*(lane.close() for lane in meter._lanes))

    async def hold(self, new: NewHold) -> HoldResult:
        """Reserve. Raises Unavailable; then the hold may have been placed, and is safe to repeat.

        `exists` means that somebody else placed it: a repetition of our own is `placed`.
        """
        return await self._holds.submit(new)

    async def charge(self, charge: NewCharge) -> ChargeResult:
        """Hold and settle in one. Raises Unavailable; then it may have happened: repeat it."""
        return await self._charges.submit(charge)

    async def settle(self, charge: NewCharge) -> ChargeResult:
        """Charge a call that has happened: always posts, however long the database is away.

        Raises Unavailable only when the process stops before the database has come back. Whoever
        stops waiting does not stop the settlement.
        """
        return await self._settlements.submit(charge)

    async def void(self, org_id: UUID, wallet_id: UUID, hold_id: UUID) -> EndOutcome:
        """Give a hold back. Waits for the database as `settle` does."""
        return await self._voids.submit((org_id, wallet_id, hold_id))

    async def settle_many(self, charges: Sequence[NewCharge]) -> list[ChargeResult | Exception]:
        """Post a long list, one answer for each; what cannot be recorded is answered by its fault.

        Raises Unavailable; then any part may have been posted, and the list is safe to repeat.
        """
        return await _put_all(self._settled_lists, charges)

    async def charge_many(self, charges: Sequence[NewCharge]) -> list[ChargeResult | Exception]:
        """Like `settle_many`, but what the money does not cover is refused."""
        return await _put_all(self._charged_lists, charges)

    def note(self, record: NewCharge) -> None:
        """Record a call that cost nothing, when there is time; only so many a second per wallet.

        Somebody who hammers an empty balance sees that in the log without filling it.
        """
        if self._noting.allow((record.org_id, record.wallet_id)):
            self._notes.submit_unheard(record)

    def touch(self, wallets: Iterable[tuple[UUID, UUID]]) -> None:
        """Note that these wallets' sums are behind."""
        self._touched.update(wallets)

    def take_touched(self) -> list[tuple[UUID, UUID]]:
        """Return the wallets that were charged since this was asked last."""
        touched, self._touched = self._touched, set()
        return list(touched)

    def take_moved(self) -> list[tuple[UUID, UUID]]:
        """Return the wallets that have less to spend since this was asked last."""
        moved, self._moved = self._moved, set()
        return list(moved)

    @property
    def unsettled(self) -> int:
        """How many settlements wait for the database beyond those that are under way."""
        return self._settlements.waiting

    async def drain(self, grace_seconds: float = _GRACE_SECONDS) -> None:
        """Wait until everything submitted has its answer; after the grace, that is Unavailable."""
        await asyncio.gather(*(lane.drain(grace_seconds) for lane in self._lanes))

    @property
    def _lanes(self) -> tuple[Lane[Any, Any], ...]:
        return (
            self._holds,
            self._charges,
            self._settlements,
            self._voids,
            *self._settled_lists,
            *self._charged_lists,
            self._notes,
        )

    async def _hold(
        self, connection: Connection, items: Sequence[NewHold], repeated: bool
    ) -> list[HoldResult]:
        results = await ledger.hold(connection, items, self._clock.now())
        self._moved.update((item.org_id, item.wallet_id) for item in items)
        return _ours(items, results) if repeated else results

    async def _charge(
        self, connection: Connection, items: Sequence[NewCharge], _repeated: bool
    ) -> list[ChargeResult]:
        results = await ledger.charge(connection, items, self._clock.now())
        self._note_spent(items)
        return results

    async def _settle(
        self, connection: Connection, items: Sequence[NewCharge], _repeated: bool
    ) -> list[ChargeResult]:
        results = await ledger.settle(connection, items, self._clock.now())
        self._note_spent(items)
        return results

    def _note_spent(self, items: Sequence[NewCharge]) -> None:
        wallets = {(item.org_id, item.wallet_id) for item in items}
        self._touched |= wallets
        self._moved |= wallets

    async def _void(
        self, connection: Connection, items: Sequence[Void], _repeated: bool
    ) -> list[EndOutcome]:
        return await ledger.void(connection, items, self._clock.now())


def _log_unsettled(charges: Sequence[NewCharge]) -> None:
    """Say what was not charged, so that somebody can still do it by hand."""
    for charge in charges:
        _log.error(
            "call_not_settled",
            org_id=str(charge.org_id),
            usage_id=str(charge.usage_id),
            amount_nanos=charge.amount,
            model=charge.model,
        )


async def _put_all(
    lanes: Sequence[Lane[NewCharge, ChargeResult]], charges: Sequence[NewCharge]
) -> list[ChargeResult | Exception]:
    waiting = [lanes[charge.wallet_id.int % len(lanes)].put(charge) for charge in charges]
    results = [await future for future in waiting]
    for result in results:
        if isinstance(result, Unavailable):
            raise result
    return results


class Allowance:
    """So many times a second for each of many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._second = 0
        self._counts: dict[object, int] = {}

    def allow(self, whom: object) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second = second
            self._counts.clear()
        count = self._counts.get(whom, 0)
        self._counts[whom] = count + 1
        return count < self._most


def _ours(items: Sequence[NewHold], results: Sequence[HoldResult]) -> list[HoldResult]:
    """After a lost connection, a hold that is there already is the one that was sent before."""
    seen: set[tuple[UUID, UUID]] = set()
    answers: list[HoldResult] = []
    for item, result in zip(items, results, strict=True):
        name = (item.org_id, item.hold_id)
        again = result.outcome is HoldOutcome.EXISTS and name not in seen
        answers.append(replace(result, outcome=HoldOutcome.PLACED) if again else result)
        seen.add(name)
    return answers
