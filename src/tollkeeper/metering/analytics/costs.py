"""What calls cost, by any dimensions, in any time zone: rows in one order, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from heapq import merge
from itertools import islice, pairwise
from operator import attrgetter
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection, Database
from tollkeeper.http import invalid
from tollkeeper.metering.analytics import store
from tollkeeper.metering.analytics.store import KeyName, Question, Sum, TooManyRecords
from tollkeeper.metering.analytics.zones import Granularity, starts

_MOST_PLACES: Final = 50_000
_MOST_ROWS: Final = 20_000
_PREFIXES: Final = {"project": "prj", "apiKey": "key", "member": "mem"}

# The place among the intervals, the currency, and the groups' values.
Order = tuple[int, str, tuple[tuple[bool, str], ...]]
# Its id and its currency.
Wallet = tuple[UUID, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostQuery:
    """`filters` map a dimension to the values wanted, as they are stored (UUIDs as text); None is
    what was not said."""

    start: datetime
    end: datetime
    granularity: Granularity | None
    zone: ZoneInfo
    groups: tuple[str, ...]
    filters: Mapping[str, tuple[str | None, ...]]
    currency: str | None = None
    fill: bool = False

    @property
    def lines(self) -> bool:
        return "sku" in self.groups or "sku" in self.filters


class Cost(Struct, frozen=True, kw_only=True):
    """One row. `quantity` of `unit` only where the SKU is grouped by; `failed` where it is not."""

    place: int
    start: datetime
    end: datetime
    currency: str
    group: tuple[str | None, ...]
    calls: int
    failed: int | None
    amount: int
    unit: str | None
    quantity: Decimal | None

    @property
    def order(self) -> Order:
        dims = (*self.group, self.unit)
        return self.place, self.currency, tuple([(d is None, d or "") for d in dims])


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Answers one query for one organization. `most_records` may be read one by one."""

    org_id: UUID
    livemode: bool
    query: CostQuery
    most_records: int

    async def page(
        self,
        connection: Connection,
        after: Order | None,
        limit: int,
        wallets: Sequence[Wallet] | None = None,
    ) -> tuple[list[Cost], bool]:
        """Give up to `limit` rows behind `after`, and whether there are more. `wallets` are those
        asked about, where they are known already."""
        found: list[Cost] = []
        place = 0 if after is None else after[0]
        if wallets is None:
            wallets = await self.wallets(connection)
        async for rows in self._from(connection, place, limit + 1, wallets):
            behind = (row for row in rows if after is None or row.order > after)
            found += islice(behind, limit + 1 - len(found))
            if len(found) > limit:
                return found[:limit], True
        return found, False

    async def wallets(self, connection: Connection) -> list[Wallet]:
        return await store.wallets(
            connection, self.org_id, livemode=self.livemode, currency=self.query.currency
        )

    async def _from(
        self, connection: Connection, place: int, size: int, wallets: Sequence[Wallet]
    ) -> AsyncIterator[Iterable[Cost]]:
        """Give the rows from a place on: few intervals first, more where there was nothing."""
        bounds = self._bounds()
        keys = await self._keys(connection)
        kinds = await self._kinds(connection, wallets, keys) if self.query.fill else []
        if kinds:
            size = (
                size // len(kinds) + 2
            )  # each interval has all of them; of two there may be parts
        while place < len(bounds) - 1:
            part = bounds[place : place + size + 1]
            rows: list[Cost] = []
            for wallet in wallets:
                rows += await self._rows(connection, wallet, part, keys, place)
            rows.sort(key=attrgetter("order"))
            yield _fill(rows, kinds, part, place) if kinds else rows
            place += size
            size *= 2

    def _bounds(self) -> list[datetime]:
        query = self.query
        begun = starts(query.granularity, query.zone, query.start, query.end)
        bounds = [*islice(begun, _MOST_PLACES + 1), query.end]
        if len(bounds) > _MOST_PLACES + 1:
            said = f"makes more than {_MOST_PLACES:,} intervals; ask for a coarser one"
            raise invalid({"granularity": [said]})
        return bounds

    async def _keys(self, connection: Connection) -> dict[UUID, KeyName]:
        asks = {*self.query.groups, *self.query.filters}
        return await store.keys(connection, self.org_id) if "member" in asks else {}

    async def _kinds(
        self,
        connection: Connection,
        wallets: Sequence[Wallet],
        keys: Mapping[UUID, KeyName],
    ) -> list[Cost]:
        """Give a row of each group that the whole time knows, in their order."""
        whole = [self.query.start, self.query.end]
        found: list[Cost] = []
        for wallet in wallets:
            found += await self._rows(connection, wallet, whole, keys)
        if not found and not self.query.groups:
            found = [
                _cost(self.query, whole, currency, Sum(0, (), 0, 0, Decimal(0), 0))
                for _, currency in wallets
            ]
        return sorted(found, key=attrgetter("order"))

    async def _rows(
        self,
        connection: Connection,
        wallet: Wallet,
        bounds: Sequence[datetime],
        keys: Mapping[UUID, KeyName],
        first: int = 0,
    ) -> list[Cost]:
        """Those of a wallet between `bounds`, whose places are counted from `first` on."""
        query, (wallet_id, currency) = self.query, wallet
        asked = Question(
            org_id=self.org_id,
            wallet_id=wallet_id,
            bounds=bounds,
            groups=_asked_groups(query),
            filters=_asked_filters(query, keys),
            lines=query.lines,
        )
        try:
            found = await store.sums(connection, asked, self.most_records)
        except TooManyRecords as refusal:
            raise _too_many(query, refusal.most) from None
        if "member" in query.groups:
            found = _by_member(found, asked.groups, query.groups, keys)
        return [_cost(query, bounds, currency, one, first) for one in found]


async def read_costs(database: Database, *asked: Costs) -> list[list[Cost]]:
    """All rows of each question, of one moment. Raises InvalidRequest for one with too many."""
    answers: list[list[Cost]] = []
    known: dict[tuple[UUID, bool, str | None], list[Wallet]] = {}
    async with database.transaction() as tx:
        await store.see_one_moment(tx)
        for costs in asked:
            whose = costs.org_id, costs.livemode, costs.query.currency
            if whose not in known:
                known[whose] = await costs.wallets(tx)
            rows, more = await costs.page(tx, None, _MOST_ROWS, known[whose])
            if more:
                said = f"makes more than {_MOST_ROWS:,} rows; ask for a coarser one"
                raise invalid({"granularity": [said]})
            answers.append(rows)
    return answers


def show_value(dimension: str, value: str | None) -> str | None:
    """Write a group's value as customers know it."""
    prefix = _PREFIXES.get(dimension)
    return value if prefix is None or value is None else show_id(prefix, UUID(value))


def _fill(
    rows: Sequence[Cost], kinds: Sequence[Cost], bounds: Sequence[datetime], first: int
) -> Iterator[Cost]:
    """Give the rows, and one of nothing wherever there is none of a kind; all of them in order.

    One after another: an hour of a month for each of a thousand groups is more than anybody reads.
    """
    found = {row.order for row in rows}
    nothing = (
        _nothing(kind, number, since, until)
        for number, (since, until) in enumerate(pairwise(bounds), first)
        for kind in kinds
        if (number, *kind.order[1:]) not in found
    )
    return merge(rows, nothing, key=attrgetter("order"))


def _nothing(kind: Cost, place: int, start: datetime, end: datetime) -> Cost:
    return replace(
        kind,
        place=place,
        start=start,
        end=end,
        calls=0,
        failed=None if kind.failed is None else 0,
        amount=0,
        quantity=None if kind.unit is None else Decimal(0),
    )


def _too_many(query: CostQuery, most: int) -> InvalidRequest:
    said = (
        f"asks for what only single calls know, and there are more than {most:,} of them to"
        " read; ask for a shorter time, or for fewer dimensions at once"
    )
    return invalid({"groupBy" if query.groups else "start": [said]})


def _asked_groups(query: CostQuery) -> tuple[str, ...]:
    groups = [group for group in query.groups if group != "member"]
    if "member" in query.groups and "apiKey" not in groups:
        groups.append("apiKey")
    return (*groups, "unit") if "sku" in groups else tuple(groups)


def _asked_filters(
    query: CostQuery, keys: Mapping[UUID, KeyName]
) -> dict[str, tuple[str | None, ...]]:
    filters = dict(query.filters)
    members = filters.pop("member", None)
    if members is not None:
        owned = [str(key.key_id) for key in keys.values() if str(key.member_id) in members]
        named = filters.get("apiKey")
        filters["apiKey"] = tuple(key for key in owned if named is None or key in named)
    return filters


def _by_member(
    found: Iterable[Sum],
    asked: Sequence[str],
    groups: Sequence[str],
    keys: Mapping[UUID, KeyName],
) -> list[Sum]:
    """Put the members for their keys, and add up."""
    added: dict[tuple[int, tuple[str | None, ...]], Sum] = {}
    for one in found:
        said = dict(zip(asked, one.dims, strict=True))
        key = said.get("apiKey")
        owner = keys.get(UUID(key)) if key is not None else None
        member_id = None if owner is None else owner.member_id
        said["member"] = None if member_id is None else str(member_id)
        dims = tuple(said[name] for name in (*groups, *asked[len(asked) - ("sku" in asked) :]))
        before = added.get((one.place, dims))
        added[one.place, dims] = Sum(
            one.place,
            dims,
            one.calls + (before.calls if before else 0),
            one.failed + (before.failed if before else 0),
            one.quantity + (before.quantity if before else 0),
            one.amount + (before.amount if before else 0),
        )
    return list(added.values())


def _cost(
    query: CostQuery, bounds: Sequence[datetime], currency: str, one: Sum, first: int = 0
) -> Cost:
    place, dims, calls, failed, quantity, amount = one
    by_sku = "sku" in query.groups
    return Cost(
        place=first + place,
        start=bounds[place],
        end=bounds[place + 1],
        currency=currency,
        group=dims[: len(query.groups)],
        calls=calls,
        failed=None if query.lines else failed,
        amount=amount,
        unit=dims[-1] if by_sku else None,
        quantity=quantity if by_sku else None,
    )
