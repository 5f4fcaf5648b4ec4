"""Which of an organization's wallets pays: the first, in the order of spending, that covers it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Generic, Protocol, TypeVar
from uuid import UUID

from msgspec import Struct

from tollkeeper.base.errors import NotFound
from tollkeeper.base.money import NANOS_PER_UNIT
from tollkeeper.db import Database
from tollkeeper.ledger import Batcher
from tollkeeper.metering import store
from tollkeeper.metering.worth import convert, worth_of

USD: Final = "USD"
DOLLARS_ONLY: Final[Mapping[str, int]] = {USD: NANOS_PER_UNIT}

# What a wallet answers that does not cover a call; any other answer is the call's.
_NOT_COVERED: Final = frozenset({"insufficient", "frozen"})
# A wallet that was opened meanwhile is spent from after this long.
_FRESH_SECONDS: Final = 1.0
_MOST_REMEMBERED: Final = 200_000

Owner = tuple[UUID, bool]  # organization, live mode


class Purse(Struct, frozen=True):
    """A wallet that may pay. One unit of its currency is worth `usd_value` nanos of USD."""

    wallet_id: UUID
    currency: str = USD
    usd_value: int = NANOS_PER_UNIT

    def price(self, usd_nanos: int) -> int:
        """What is taken from this wallet for an amount of dollars: nanos of its currency."""
        return convert(usd_nanos, self.usd_value)

    def affords(self, nanos: int) -> int:
        """What an amount of this wallet pays for, in nanos of USD."""
        return worth_of(nanos, self.usd_value)


class Answered(Protocol):
    """What the ledger says to an attempt at holding or charging."""

    @property
    def outcome(self) -> str: ...
    @property
    def spendable(self) -> int: ...


Result = TypeVar("Result", bound=Answered)


class Paid(Struct, Generic[Result], frozen=True):
    """How an attempt ended. Where no wallet covers it, that is the answer of the dollar wallet,
    which can be topped up, and `affordable` what a call could cost at most, in nanos of USD."""

    purse: Purse
    result: Result
    affordable: int | None = None


class Purses:
    """The purses of organizations, remembered; one per process.

    Where there are dollars only, what was found once holds. Where other currencies are defined,
    it is looked at again a second later, beside the call; calls that need it travel together.
    """

    def __init__(self, database: Database, spending: Mapping[str, int] = DOLLARS_ONLY) -> None:
        """`spending`: what a unit of each currency is worth, in the order of spending."""
        self._database = database
        self._spending = dict(spending)
        self._known: dict[Owner, tuple[Purse, ...]] = {}
        self._read_at: dict[Owner, float] = {}
        self._reader = Batcher[UUID, None](self._read)

    @property
    def several(self) -> bool:
        """Whether there are currencies beside the dollar."""
        return len(self._spending) > 1

    async def of(self, org_id: UUID, livemode: bool) -> tuple[Purse, ...]:
        """Return the purses in the order of spending. Raises NotFound where there is none."""
        owner = (org_id, livemode)
        known = self._known.get(owner)
        if not known:
            return await self.again(org_id, livemode)
        if self.several and time.monotonic() > self._read_at[owner] + _FRESH_SECONDS:
            self._read_at[owner] = time.monotonic()
            self._reader.submit(org_id).add_done_callback(_forgive)
        return known

    async def again(self, org_id: UUID, livemode: bool) -> tuple[Purse, ...]:
        """The same, from the database."""
        await self._reader.submit(org_id)
        known = self._known.get((org_id, livemode))
        if not known:
            raise NotFound("This organization has no USD balance")
        return known

    async def _read(self, org_ids: Sequence[UUID]) -> list[None]:
        async with self._database.connection() as connection:
            rows = await store.wallets_of_many(connection, list(set(org_ids)))
        found: dict[Owner, dict[str, UUID]] = {}
        for org_id, livemode, currency, wallet_id in rows:
            found.setdefault((org_id, livemode), {})[currency] = wallet_id
        now = time.monotonic()
        for owner, wallets in found.items():
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._read_at[owner] = now
            self._known[owner] = tuple(
                Purse(wallets[currency], currency, usd_value)
                for currency, usd_value in self._spending.items()
                if currency in wallets
            )
        return [None] * len(org_ids)


async def pay_first(
    purses: Purses,
    org_id: UUID,
    livemode: bool,
    attempt: Callable[[Purse], Awaitable[Result]],
) -> Paid[Result]:
    """Try one wallet after the other until one covers the call, or refuses it otherwise.

    `attempt` holds, or charges, in the wallet it is given. Nothing that was refused is left
    anywhere, and a call that is known is found in whichever wallet it was. Raises NotFound.
    """
    tried: dict[UUID, Paid[Result]] = {}
    known = await purses.of(org_id, livemode)
    while untried := [purse for purse in known if purse.wallet_id not in tried]:
        for purse in untried:
            result = await attempt(purse)
            if result.outcome == "limited":
                # Whichever wallet pays: what is limited is the call.
                return Paid(purse, result, purse.affords(result.spendable))
            if result.outcome not in _NOT_COVERED:
                return Paid(purse, result)
            tried[purse.wallet_id] = Paid(purse, result)
        if purses.several:
            known = await purses.again(org_id, livemode)
    return _refused(list(tried.values()))


def _refused(tried: Sequence[Paid[Result]]) -> Paid[Result]:
    affordable = [
        paid.purse.affords(paid.result.spendable)
        for paid in tried
        if paid.result.outcome == "insufficient"
    ]
    named = last_resort([paid.purse for paid in tried])
    result = next(paid.result for paid in tried if paid.purse is named)
    return Paid(named, result, max(affordable, default=None))


def last_resort(purses: Sequence[Purse]) -> Purse:
    """Give the wallet that a call is about which no wallet covers: that of dollars."""
    return next((purse for purse in purses if purse.currency == USD), purses[-1])


def _forgive(reading: asyncio.Future[None]) -> None:
    """What is remembered holds on while the database is away."""
    if not reading.cancelled():
        reading.exception()
