"""`GET /operator/revenue`: months of deferred, earned and lapsed credit, by an operator key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from litestar import Request, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper import orgs
from tollkeeper.base.clock import Clock
from tollkeeper.base.money import Money
from tollkeeper.credits.revenue.model import Funding, Month, months_of, next_month
from tollkeeper.credits.revenue.reporting import revenue
from tollkeeper.credits.shapes import Out
from tollkeeper.db import Database
from tollkeeper.http import OPERATOR_KEY, Page, invalid, list_answer, read_path_id
from tollkeeper.ledger import Account

AnyRequest = Request[Any, Any, State]
_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_YEARS: Final = range(2000, 2200)
_MOST_MONTHS: Final = 60
_SAID: Final = "must be a month such as 2026-11"


class RevenueMonth(Out, frozen=True, kw_only=True):
    """A month (UTC) of one currency. `opening` + `purchased` - `refunded` - `disputed` + `granted`
    - `earned` - `breakage` + `adjusted` = `closing`, and `closing` opens the next month."""

    month: str
    currency: str
    complete: bool
    opening: Money
    purchased: Money
    refunded: Money
    disputed: Money
    granted: Money
    earned: Money
    breakage: Money
    adjusted: Money
    closing: Money
    earned_from_purchased: Money
    earned_from_promotional: Money
    earned_from_other: Money
    breakage_of_purchased: Money
    breakage_of_promotional: Money
    closing_purchased: Money
    closing_promotional: Money
    closing_other: Money

    @classmethod
    def of(cls, start: datetime, currency: str, month: Month, now: datetime) -> RevenueMonth:
        closing, earned = month.closing, month.flows[Account.REVENUE]
        lapsed = month.flows[Account.BREAKAGE]
        return cls(
            month=f"{start:%Y-%m}",
            currency=currency,
            complete=next_month(start) <= now,
            opening=Money(sum(month.opening.values())),
            purchased=Money(month.moved(Account.CASH)),
            refunded=Money(-month.moved(Account.REFUNDS)),
            disputed=Money(-month.moved(Account.DISPUTES)),
            granted=Money(month.moved(Account.PROMOTIONAL)),
            earned=Money(-month.moved(Account.REVENUE)),
            breakage=Money(-month.moved(Account.BREAKAGE)),
            adjusted=Money(month.moved(Account.ADJUSTMENTS)),
            closing=Money(sum(closing.values())),
            earned_from_purchased=Money(-earned[Funding.PURCHASED]),
            earned_from_promotional=Money(-earned[Funding.PROMOTIONAL]),
            earned_from_other=Money(-earned[Funding.OTHER]),
            breakage_of_purchased=Money(-lapsed[Funding.PURCHASED]),
            breakage_of_promotional=Money(-lapsed[Funding.PROMOTIONAL] - lapsed[Funding.OTHER]),
            closing_purchased=Money(closing[Funding.PURCHASED]),
            closing_promotional=Money(closing[Funding.PROMOTIONAL]),
            closing_other=Money(closing[Funding.OTHER]),
        )


def read_month(text: str) -> datetime:
    """Read `2026-11` as its beginning in UTC. Raises ValueError."""
    found = _MONTH.fullmatch(text)
    if found is None or int(found[1]) not in _YEARS:
        raise ValueError(_SAID)
    return datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC)


def revenue_rows(
    moments: Sequence[datetime], found: Mapping[str, Sequence[Month]], now: datetime
) -> list[RevenueMonth]:
    return [
        RevenueMonth.of(start, currency, month, now)
        for currency, months in found.items()
        for start, month in zip(moments, months, strict=False)
    ]


def revenue_routes() -> list[ControllerRouterHandler]:
    return [
        Router(
            "/operator",
            route_handlers=[read_revenue],
            guards=[orgs.operator_only],
            tags=["Operator"],
            opt={"security": OPERATOR_KEY},
        )
    ]


@get(
    "/revenue",
    summary="Say what was deferred, earned and lapsed, month by month",
    description="Worked out from the entries when it is asked for: at most"
    f" {_MOST_MONTHS} months, by default this year's. The command has no such limit.",
    opt={"csv": True},
)
async def read_revenue(
    request: AnyRequest,
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
    first: Annotated[
        str | None, QueryParameter(name="from", description="The first month, such as 2026-01.")
    ] = None,
    last: Annotated[
        str | None, QueryParameter(name="to", description="The last month, such as 2026-12.")
    ] = None,
    livemode: Annotated[
        FromQuery[bool], Meta(description="The live balances, or those of test keys.")
    ] = True,
    organization_id: Annotated[
        str | None, QueryParameter(name="organizationId", description="Only this organization's.")
    ] = None,
) -> Response[Page[RevenueMonth]]:
    now = clock.now()
    moments = _moments(first, last, now)
    org_id = None if organization_id is None else read_path_id("org", organization_id)
    if org_id is not None:
        async with database.connection() as connection:
            await orgs.get_org(connection, org_id)
    found = await revenue(database, moments, livemode=livemode, org_id=org_id)
    page = Page(data=revenue_rows(moments, found, now), next_cursor=None)
    return list_answer(request, page, RevenueMonth, "revenue.csv")


def _moments(first: str | None, last: str | None, now: datetime) -> list[datetime]:
    """Raises InvalidRequest, with all that is wrong."""
    faults: dict[str, list[str]] = {}
    months: dict[str, datetime] = {}
    for name, text, usual in (("from", first, f"{now:%Y}-01"), ("to", last, f"{now:%Y-%m}")):
        try:
            months[name] = read_month(usual if text is None else text)
        except ValueError as fault:
            faults[name] = [str(fault)]
    if faults:
        raise invalid(faults)
    if months["to"] < months["from"]:
        raise invalid({"to": ["must not lie before from"]})
    moments = months_of(months["from"], months["to"])
    if len(moments) - 1 > _MOST_MONTHS:
        raise invalid({"to": [f"must lie within {_MOST_MONTHS} months of from"]})
    return moments
