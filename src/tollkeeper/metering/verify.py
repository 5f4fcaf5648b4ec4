"""Every cost worked out again from its record: usage, price version, formula (L6)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, Final
from uuid import UUID

import msgspec

from tollkeeper import pricing
from tollkeeper.db import Connection
from tollkeeper.ledger import Finding
from tollkeeper.metering import verify_store as store
from tollkeeper.metering.covering import read_drawn, uncovered
from tollkeeper.metering.verify_store import Cost
from tollkeeper.metering.worth import convert_rating
from tollkeeper.pricing import Book

_WALLETS: Final = 500
_RECORDS: Final = 5_000
# Most calls of a customer are like others; a rating that was looked at is not worked out again.
_REMEMBERED: Final = 50_000

# What is wrong with a rating: the column, what it should be, what it is, why.
Fault = tuple[str, str, str, str]


async def verify_costs(
    connection: Connection,
    *,
    org_id: UUID | None = None,
    progress: Callable[[int], None] | None = None,
) -> AsyncGenerator[Finding]:
    """Work out every cost of one organization, or of all, and yield what is wrong.

    The price book itself is looked at first: a version that was altered is named. `progress`
    hears how many records were looked at.
    """
    for version in await pricing.find_altered(connection):
        yield _altered(version.provider, version.model, version.id, pricing.seal(version).id)
    check = _Checker(await pricing.load_book(connection))
    done = 0
    async for org, wallet in _wallets(connection, org_id):
        above = 0
        while page := await store.costs(connection, org, wallet, above, _RECORDS):
            for cost in page:
                for column, expected, found, because in check(cost):
                    yield Finding(
                        rule="L6",
                        org_id=org,
                        wallet_id=wallet,
                        table="usage_record",
                        seq=cost.seq,
                        row=f"usage record {cost.seq}",
                        column=column,
                        expected=expected,
                        found=found,
                        because=because,
                    )
            above = page[-1].seq
            done += len(page)
            if progress is not None:
                progress(done)


async def _wallets(
    connection: Connection, org_id: UUID | None
) -> AsyncGenerator[tuple[UUID, UUID]]:
    after = (UUID(int=0), UUID(int=0))
    while page := await store.wallets_with_usage(connection, org_id, after, _WALLETS):
        for wallet in page:
            yield wallet
        after = page[-1]


class _Checker:
    """Finds the faults of a record's cost."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._known: dict[tuple[str, int, int, str, str], tuple[Fault, ...]] = {}

    def __call__(self, cost: Cost) -> tuple[Fault, ...]:
        if cost.currency != cost.wallet_currency:
            because = "as its wallet is of that currency"
            return (("detail.currency", cost.wallet_currency, cost.currency, because),)
        if cost.rating is None:
            return () if cost.amount == 0 else (_unrated(cost),)
        key = (cost.rating, cost.amount, cost.lines, cost.usd_value, cost.allowances)
        faults = self._known.get(key)
        if faults is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            faults = self._known[key] = tuple(self._check(cost, cost.rating))
        return faults

    def _check(self, cost: Cost, rating: str) -> Iterator[Fault]:
        try:
            record: dict[str, Any] = msgspec.json.decode(rating)
            said = pricing.from_record(record)
            version = self._book.version(said.version_id)
            if version is None:
                book = "a version in the price book"
                yield "detail.rating.version", book, str(said.version_id), "as it was priced by one"
                return
            dollars = pricing.rate(
                version,
                said.usage,
                markup=said.markup,
                service_tier=said.service_tier,
                overage=said.overage,
            )
            gross = convert_rating(dollars, int(cost.usd_value))
            lines = uncovered(gross.lines, read_drawn(cost.allowances))
            amount = sum(line.amount_nanos for line in lines)
        except Exception as fault:  # noqa: BLE001 (somebody's hand can have written anything)
            yield "detail.rating", "a rating", repr(fault), "as every cost has its reason"
            return
        because = "as its usage and prices make it"
        if amount != cost.amount:
            yield "amount", str(amount), str(cost.amount), because
        if amount != said.cost_nanos:
            yield "detail.rating.cost", str(amount), str(said.cost_nanos), because
        if lines != said.lines:
            yield "detail.rating.lines", str(lines), str(said.lines), because
        if len(lines) != cost.lines:
            yield "lines", str(len(lines)), str(cost.lines), because


def _unrated(cost: Cost) -> Fault:
    return "amount", "0", str(cost.amount), "as it has no rating"


def _altered(provider: str, model: str, known_as: UUID, is_now: UUID) -> Finding:
    return Finding(
        rule="L6",
        org_id=None,
        wallet_id=None,
        table="price_version",
        seq=None,
        row=f"price version {known_as} ({provider}/{model})",
        column="rates",
        expected="what was published under this id",
        found=f"what would have the id {is_now}",
        because="as a price is never altered",
    )
