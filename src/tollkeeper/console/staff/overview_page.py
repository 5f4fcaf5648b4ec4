"""Overview: what is owed, sold, spent and earned, and what needs somebody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from litestar import get
from litestar.params import QueryParameter
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper import credits, ledger, metering, orgs  # noqa: A004 (the room's name)
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money, divide_half_up
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.model import USD
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff.checking import items_of, read_checks
from tollkeeper.console.staff.earning import MARGIN_DAYS, Earning
from tollkeeper.console.staff.mode import Asked, mode_of
from tollkeeper.console.staff.organization_acts import organization_path
from tollkeeper.console.staff_door import StaffDoor
from tollkeeper.credits import Sold
from tollkeeper.db import Connection
from tollkeeper.metering import Spent

_TOP: Final = 5
_DAY: Final = timedelta(days=1)
# Each is so many days, up to now; what lies before it is as long, up to the same time of day.
_PERIODS: Final = (("today", 1), ("week", 7), ("month", 30))
_MONTH: Final = 4  # the place of the last 30 days among the spans
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What was sold and spent in a time, and by how many percent that is more than before."""

    name: str
    sold: Money
    sold_change: int | None
    purchases: int
    spent: Money
    spent_change: int | None
    calls: int


def overview_pages(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    processors = [one.name for one in shelves.payments.till.processors.all]

    @get("/overview", include_in_schema=False)
    async def show_overview(
        request: AnyRequest, asked: Annotated[Asked, QueryParameter(name="mode")] = ""
    ) -> Response[bytes]:
        now = door.door.clock.now().astimezone(UTC)
        spans = spans_at(now)
        async with door.door.database.connection() as connection:
            mode = await mode_of(connection, asked)
            livemode = mode == "live"
            checks = await read_checks(connection, shelves, livemode=livemode)
            outstanding = await ledger.outstanding(connection, livemode=livemode)
            spent = await metering.spent_by_all(connection, spans, livemode=livemode)
            sold = await credits.sold(connection, processors, spans, livemode=livemode)
            top = await _top(connection, spent)
        return door.page(
            request,
            "staff/overview.html",
            mode=mode,
            items=items_of(checks, now, mode),
            checks=checks,
            outstanding=outstanding,
            periods={one: _periods(one, sold, spent) for one in _currencies(sold, spent)},
            top=top,
            money=Money,
            where=organization_path,
            margin_days=MARGIN_DAYS,
        )

    return [show_overview, _checks(door, shelves), _earned(door, shelves)]


def _checks(door: StaffDoor, shelves: Shelves) -> ControllerRouterHandler:
    @get("/overview/checks", include_in_schema=False)
    async def show_checks(
        request: AnyRequest, asked: Annotated[Asked, QueryParameter(name="mode")] = ""
    ) -> Response[bytes]:
        async with door.door.database.connection() as connection:
            mode = await mode_of(connection, asked)
            checks = await read_checks(connection, shelves, livemode=mode == "live")
        return door.page(
            request,
            "staff/checks.html",
            checks=checks,
            mode=mode,
            where=organization_path,
            show_id=show_id,
        )

    return show_checks


def _earned(door: StaffDoor, shelves: Shelves) -> ControllerRouterHandler:
    earning = Earning(door.door.database, door.door.clock, shelves.settings)

    @get("/overview/earned", include_in_schema=False)
    async def show_earned(
        request: AnyRequest, asked: Annotated[Asked, QueryParameter(name="mode")] = ""
    ) -> Response[bytes]:
        async with door.door.database.connection() as connection:
            mode = await mode_of(connection, asked)
        part = "hx-request" in request.headers
        template = "staff/earned_part.html" if part else "staff/earned.html"
        return door.page(
            request,
            template,
            earned=await earning.read(mode),
            mode=mode,
            where=organization_path,
            margin_days=MARGIN_DAYS,
        )

    return show_earned


def spans_at(now: datetime) -> list[Span]:
    """Each period and the time before it; all of them end and begin on an hour."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    spans: list[Span] = []
    for _, days in _PERIODS:
        begin, length = midnight - (days - 1) * _DAY, days * _DAY
        spans += [(begin, end), (begin - length, end - length)]
    return spans


def _currencies(sold: Sequence[Sold], spent: Sequence[Spent]) -> list[str]:
    """USD first, and always."""
    others = {one.currency for one in (*sold, *spent)} - {USD}
    return [USD, *sorted(others)]


def _periods(currency: str, sold: Sequence[Sold], spent: Sequence[Spent]) -> list[Period]:
    bought, purchases = defaultdict[int, int](int), defaultdict[int, int](int)
    used, calls = defaultdict[int, int](int), defaultdict[int, int](int)
    for one in sold:
        if one.currency == currency:
            bought[one.place] += one.credit_nanos
            purchases[one.place] += one.purchases
    for of_org in spent:
        if of_org.currency == currency:
            used[of_org.place] += of_org.amount
            calls[of_org.place] += of_org.calls
    return [
        Period(
            name=name,
            sold=Money(bought[2 * place]),
            sold_change=change(bought[2 * place], bought[2 * place + 1]),
            purchases=purchases[2 * place],
            spent=Money(used[2 * place]),
            spent_change=change(used[2 * place], used[2 * place + 1]),
            calls=calls[2 * place],
        )
        for place, (name, _) in enumerate(_PERIODS)
    ]


def change(now: int, before: int) -> int | None:
    """By how many percent it is more; None where there was nothing to be more than."""
    return None if before <= 0 else divide_half_up(100 * (now - before), before)


async def _top(
    connection: Connection, spent: Sequence[Spent]
) -> list[tuple[UUID, str, Money, int]]:
    """Who spent most USD in the last 30 days: whose it is, how much, in how many calls."""
    month = [one for one in spent if one.place == _MONTH and one.currency == USD]
    top = sorted(month, key=lambda one: -one.amount)[:_TOP]
    names = await orgs.names_of_orgs(connection, [one.org_id for one in top])
    return [(one.org_id, names.get(one.org_id, ""), Money(one.amount), one.calls) for one in top]
