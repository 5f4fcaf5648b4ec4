"""`GET /billing/lots`, and the same for operators: credit by where it came from."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from tollkeeper import ledger, orgs
from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.db import Database
from tollkeeper.http import (
    OPERATOR_KEY,
    Cursors,
    CursorText,
    Limit,
    Page,
    invalid,
    list_answer,
    page_of,
    read_moment,
    read_path_id,
)
from tollkeeper.ledger import Drawn, Lot, LotKind
from tollkeeper.metering.billing.asked import AnyRequest


class LotState(StrEnum):
    """`active` has something left; `expired` lost something to its day; `spent` is all gone."""

    ACTIVE = "active"
    SPENT = "spent"
    EXPIRED = "expired"


Currency = Annotated[FromQuery[str], Meta(description="Whose lots; each has its own balance.")]
States = Annotated[list[LotState] | None, QueryParameter(name="state", description="Only these.")]
ExpiresBefore = Annotated[
    datetime | None,
    QueryParameter(name="expiresBefore", description="Only lots whose day lies before this."),
]


class LotOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """Credit that arrived together. `left` = `granted` - `drawn` - `expired` - `takenBack`."""

    id: str
    kind: LotKind
    label: str | None
    granted: Money
    drawn: Money
    expired: Money
    taken_back: Money
    left: Money
    currency: str
    priority: int
    arrived_at: datetime
    expires_at: datetime | None
    state: LotState


class Wanted(Struct, frozen=True, kw_only=True):
    """Whose lots, which of them, and which page."""

    org_id: UUID
    livemode: bool
    currency: str
    states: list[LotState] | None
    before: datetime | None
    limit: int
    cursor: str | None


@get("/lots", summary="List credit by where it came from, oldest first", opt={"csv": True})
async def list_lots(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    clock: NamedDependency[Clock],
    currency: Currency = "USD",
    states: States = None,
    expires_before: ExpiresBefore = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[LotOut]]:
    caller = orgs.caller_of(request)
    wanted = Wanted(
        org_id=caller.org_id,
        livemode=caller.livemode,
        currency=currency,
        states=states,
        before=expires_before,
        limit=limit,
        cursor=cursor,
    )
    page = await _page(database, cursors, clock.now(), wanted)
    return list_answer(request, page, LotOut, "lots.csv")


@get(
    "/organizations/{organization_id:str}/lots",
    summary="List an organization's credit by where it came from, oldest first",
    opt={"csv": True},
)
async def list_lots_of_organization(  # noqa: PLR0913, PLR0917 (each says what is asked for)
    request: AnyRequest,
    organization_id: FromPath[str],
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    clock: NamedDependency[Clock],
    livemode: Annotated[
        FromQuery[bool], Meta(description="The live balance, or the one of test keys.")
    ] = True,
    currency: Currency = "USD",
    states: States = None,
    expires_before: ExpiresBefore = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[LotOut]]:
    org_id = read_path_id("org", organization_id)
    async with database.connection() as connection:
        await orgs.get_org(connection, org_id)
    wanted = Wanted(
        org_id=org_id,
        livemode=livemode,
        currency=currency,
        states=states,
        before=expires_before,
        limit=limit,
        cursor=cursor,
    )
    page = await _page(database, cursors, clock.now(), wanted)
    return list_answer(request, page, LotOut, "lots.csv")


def operator_lot_routes() -> list[ControllerRouterHandler]:
    return [
        Router(
            "/operator",
            route_handlers=[list_lots_of_organization],
            guards=[orgs.operator_only],
            tags=["Operator"],
            opt={"security": OPERATOR_KEY},
        )
    ]


async def _page(
    database: Database, cursors: Cursors, now: datetime, wanted: Wanted
) -> Page[LotOut]:
    before = None if wanted.before is None else read_moment(wanted.before, "expiresBefore")
    bound = (
        "lots",
        wanted.org_id,
        wanted.livemode,
        wanted.currency,
        *((wanted.states, before) if wanted.states or before else ()),
    )
    cursor = wanted.cursor
    above = 0 if cursor is None else cursors.open(bound, cursor, tuple[int])[0]
    drawn = await _drawn(database, wanted)

    def is_wanted(lot: Lot) -> bool:
        return (
            lot.entry_seq > above
            and (wanted.states is None or _state(drawn, lot, now) in wanted.states)
            and (before is None or (lot.expires_at is not None and lot.expires_at < before))
        )

    known = sorted(drawn.lots.values(), key=lambda lot: lot.entry_seq)
    return page_of(
        list(filter(is_wanted, known))[: wanted.limit + 1],
        wanted.limit,
        lambda lot: _lot(drawn, lot, wanted.currency, now),
        lambda last: cursors.seal(bound, [last.entry_seq]),
    )


async def _drawn(database: Database, wanted: Wanted) -> Drawn:
    async with database.transaction() as tx:
        for wallet in await ledger.wallets_of(tx, wanted.org_id):
            if (wallet.livemode, wallet.currency) == (wanted.livemode, wanted.currency):
                return await ledger.drawn_lots(tx, wanted.org_id, wallet.wallet_id, wallet.posted)
    raise invalid({"currency": ["is no currency of this organization"]})


def _state(drawn: Drawn, lot: Lot, now: datetime) -> LotState:
    over = lot.expires_at is not None and lot.expires_at <= now
    if drawn.remaining[lot.lot_id]:
        return LotState.EXPIRED if over else LotState.ACTIVE
    return LotState.EXPIRED if drawn.expired[lot.lot_id] else LotState.SPENT


def _lot(drawn: Drawn, lot: Lot, currency: str, now: datetime) -> LotOut:
    return LotOut(
        id=show_id("lot", lot.lot_id),
        kind=lot.kind,
        label=lot.label,
        granted=Money(lot.amount),
        drawn=Money(drawn.spent[lot.lot_id]),
        expired=Money(drawn.expired[lot.lot_id]),
        taken_back=Money(drawn.taken_back[lot.lot_id]),
        left=Money(drawn.remaining[lot.lot_id]),
        currency=currency,
        priority=lot.priority,
        arrived_at=lot.arrived_at,
        expires_at=lot.expires_at,
        state=_state(drawn, lot, now),
    )
