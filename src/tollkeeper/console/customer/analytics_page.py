"""Usage and analytics: what calls cost over time, by whatever one likes to know."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from litestar import get
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper import ledger, metering, orgs, plans
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.money import Money
from tollkeeper.console.customer.analytics_asked import (
    EACH,
    GROUPS,
    NARROWED,
    PERIODS,
    Asked,
    read_asked,
)
from tollkeeper.console.customer.analytics_view import View
from tollkeeper.console.customer.naming import Names, read_names
from tollkeeper.console.customer.narrowing import address, chips_of, cost_filters
from tollkeeper.console.customer.summing import (
    SERIES,
    biggest,
    say_change,
    shown_value,
    sum_up,
    with_rest,
)
from tollkeeper.console.doors import AnyRequest, Door, session_of
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.http import encode_rows
from tollkeeper.http.csv import MEDIA_TYPE, csv_headers
from tollkeeper.metering import Cost, CostQuery, Costs
from tollkeeper.orgs import Kind

PATH: Final = "/console/analytics"

_ROWS: Final = 100
_TAGS_FROM: Final = 50
_MANY: Final = 40
_COUNTED: Final[dict[str, Kind]] = {"key": "key", "project": "project"}
# By these, tokens are in the sums too.
_WITH_TOKENS: Final = frozenset({"project", "apiKey", "member", "provider", "model", "operation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was read: `tokens` are of the time and of the one before it. Where the groups are many,
    `rows` are of the whole time, and `parts` of the intervals: the biggest, and one for the rest.
    """

    rows: Sequence[Cost] = ()
    before: Sequence[Cost] = ()
    tokens: tuple[Sequence[Cost], Sequence[Cost]] | None = None
    parts: Sequence[Cost] | None = None
    problem: str = ""


def analytics_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    @get("/analytics", include_in_schema=False)
    async def show_analytics(request: AnyRequest) -> Response[bytes]:
        session, now = session_of(request), door.clock.now()
        asked = read_asked(request, now, sees_money=session.sees_money)
        asked = await _with_tag(door, shelves, session, asked)
        many = await _may_be_many(door, session, asked)
        found, beside = await asyncio.gather(
            _read(door, shelves, session, asked, now, many=many),
            _beside(door, shelves, session, now),
        )
        names = await _names(door, session, asked, biggest(asked, found.rows)[:_ROWS])
        summary = sum_up(asked, names, found.rows, found.before, found.tokens, now, found.parts)
        return door.page(
            request,
            "customer/analytics.html",
            asked=asked,
            found=found,
            summary=summary,
            view=View(asked=asked, summary=summary, money=session.sees_money, now=now),
            choices=_choices(asked),
            chips=chips_of(PATH, asked.said, asked.kept, names, zone=asked.zone),
            download=address(f"{PATH}/costs.csv", {**asked.kept, **asked.said}),
            change=say_change,
            rows=_ROWS,
            currencies=list(shelves.settings.spending),
            **beside,
        )

    @get("/analytics/costs.csv", include_in_schema=False)
    async def download_costs(request: AnyRequest) -> Response[bytes]:
        session, now = session_of(request), door.clock.now()
        asked = read_asked(request, now, sees_money=session.sees_money)
        asked = await _with_tag(door, shelves, session, asked)
        found = await _read(door, shelves, session, asked, now)
        if found.problem:
            raise InvalidRequest(found.problem)
        names = await _names(door, session, asked, {row.group[0] for row in found.rows})
        return _csv(asked, names, found.rows, money=session.sees_money)

    return [show_analytics, download_costs]


async def _names(door: Door, session: Session, asked: Asked, values: Iterable[str | None]) -> Names:
    """Of what is narrowed to, and of these values of the group."""
    shown = [*asked.said.values(), *(shown_value(asked, value) for value in values)]
    async with door.database.connection() as connection:
        return await read_names(connection, session.org_id, shown)


async def _with_tag(door: Door, shelves: Shelves, session: Session, asked: Asked) -> Asked:
    """Where no tag was named, one that the newest calls have."""
    if asked.by != "tag" or asked.name:
        return asked
    query = metering.Query(start=None, end=None, currency=None, filters={})
    log = await metering.read_log(door.database, shelves.cursors, session, query, limit=_TAGS_FROM)
    tags = [tag for call in log.calls for tag in call.tags or ()]
    return asked.named(max(sorted(set(tags)), key=tags.count)) if tags else asked


async def _may_be_many(door: Door, session: Session, asked: Asked) -> bool:
    """Whether there may be more groups than it is worth reading each of them by the interval."""
    if asked.by == "endUser":
        return True
    if asked.by not in _COUNTED:
        return False
    async with door.database.connection() as connection:
        kinds = (_COUNTED[asked.by],)
        return len(await orgs.newest_names(connection, session.org_id, kinds, _MANY + 1)) > _MANY


async def _read(
    door: Door,
    shelves: Shelves,
    session: Session,
    asked: Asked,
    now: datetime,
    *,
    many: bool = False,
) -> _Found:
    group = asked.group
    if group is None:
        return _Found()
    since, until = asked.before_until(now)

    question = partial(_question, shelves, session, asked)
    compares = asked.compares and since < until
    wanted = [question(asked.start, asked.end, group, whole=many)]
    wanted += [question(since, until)] if compares else []
    tokens = {group, *cost_filters(asked.said)} <= _WITH_TOKENS
    if tokens:
        wanted.append(question(asked.start, asked.end, group, "sku", whole=True))
        wanted += [question(since, until, "sku", whole=True)] if compares else []
    try:
        rows, *more = await metering.read_costs(door.database, *wanted)
        parts = None
        if many and rows:
            order = biggest(asked, rows)
            values = order if len(order) <= SERIES else order[: SERIES - 1]
            some, totals = await metering.read_costs(
                door.database,
                question(asked.start, asked.end, group, values=values),
                question(asked.start, asked.end),
            )
            parts = with_rest(some, totals, order[min(len(order), SERIES) - 1])
    except InvalidRequest as refusal:
        return _Found(problem=refusal.detail)
    before = more.pop(0) if compares else []
    return _Found(
        rows=rows,
        before=before,
        parts=parts,
        tokens=(more[0], more[1] if compares else []) if tokens else None,
    )


def _question(
    shelves: Shelves,
    session: Session,
    asked: Asked,
    start: datetime,
    end: datetime,
    *groups: str,
    whole: bool = False,
    values: Sequence[str | None] = (),
) -> Costs:
    """By these groups, in one piece or by the interval; of some values of the first alone."""
    chosen = {groups[0]: tuple(values)} if values else {}
    query = CostQuery(
        start=start,
        end=end,
        granularity=None if whole else asked.each,
        zone=asked.zone,
        groups=groups,
        filters={**cost_filters(asked.said), **chosen},
        currency=asked.currency,
    )
    most = shelves.settings.analytics.records_limit
    return Costs(org_id=session.org_id, livemode=session.livemode, query=query, most_records=most)


async def _beside(door: Door, shelves: Shelves, session: Session, now: datetime) -> dict[str, Any]:
    """Allowances, and spending that is unusual, which members do not see."""
    terms = shelves.plans.look_up(session.org_id, session.livemode, now)
    spike = None
    async with door.database.connection() as connection:
        allowances = await plans.show_allowances(connection, terms)
        for wallet in await ledger.wallets_of(connection, session.org_id):
            if session.sees_money and (wallet.livemode, wallet.currency) == (
                session.livemode,
                "USD",
            ):
                spike = await metering.read_spike(connection, wallet, shelves.settings, now)
    said = None if spike is None else (Money(spike.spent), Money(spike.usual), spike)
    return {"allowances": allowances, "spike": said}


def _choices(asked: Asked) -> dict[str, Any]:
    """What may be chosen, each with its words; periods with their addresses."""
    rest = {name: text for name, text in asked.kept.items() if name not in {"from", "to", "each"}}
    return {
        "periods": [
            (
                period,
                say(f"analytics.{period}"),
                address(PATH, {**asked.said, **rest, "period": period}),
            )
            for period in PERIODS
        ],
        "by": [(name, say(f"narrow.{name}")) for name in GROUPS],
        "each": [(each, say(f"analytics.each_{each}")) for each in EACH],
        "measure": [(one, say(f"analytics.{one}")) for one in ("cost", "calls")],
        "shape": [(one, say(f"analytics.{one}")) for one in ("bars", "lines")],
        "compare": [(one, say(f"analytics.compare_{one}")) for one in ("before", "none")],
        "narrowed": NARROWED,
    }


def _csv(asked: Asked, names: Names, rows: Sequence[Cost], *, money: bool) -> Response[bytes]:
    columns = ["start", "end", asked.group or "tag", "name", "calls", "failed"]
    cells = [
        (
            row.start,
            row.end,
            shown_value(asked, row.group[0]),
            names.of(asked.by, shown_value(asked, row.group[0]) or ""),
            row.calls,
            row.failed,
            *((Money(row.amount), row.currency) if money else ()),
        )
        for row in rows
    ]
    body = encode_rows(cells, [*columns, *(("cost", "currency") if money else ())])
    headers = csv_headers("usage_analytics.csv") | {"cache-control": "private, no-store"}
    return Response(body, media_type=MEDIA_TYPE, headers=headers)
