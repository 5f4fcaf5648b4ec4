"""`/operator/reconciliations`: run one, list them, read one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Final

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from tollkeeper import orgs
from tollkeeper.base.errors import InvalidRequest, NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.credits.reconciling import store
from tollkeeper.credits.reconciling.comparing import reconcile
from tollkeeper.credits.reconciling.daily import compare_as_usual, tell, usual_window
from tollkeeper.credits.reconciling.model import Day, Difference, Reconciliation, Window
from tollkeeper.db import Database
from tollkeeper.http import (
    OPERATOR_KEY,
    Cursors,
    CursorText,
    Limit,
    Page,
    page_of,
    read_path_id,
)
from tollkeeper.payments import PaymentsNotConfigured, ProcessorRefused, ProcessorUnavailable, Till

# A request waits for its answer; longer windows are for the command.
_LONGEST: Final = timedelta(days=31)


class NewReconciliation(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    livemode: bool = True
    since: (
        Annotated[datetime, Meta(tz=True, description="By default three days ago, or all missed.")]
        | None
    ) = None
    until: Annotated[datetime, Meta(tz=True, description="By default an hour ago.")] | None = None


class DayOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """Sums of a day (UTC) in one currency, in its smallest unit: `…Minor` at the processor,
    `booked…Minor` here."""

    day: date
    currency: str
    payments: int
    paid_minor: int
    booked: int
    booked_minor: int
    refunds: int
    refunded_minor: int
    booked_refunds: int
    booked_refunded_minor: int
    disputes: int
    disputed_minor: int
    fees_minor: int
    foreign: int
    foreign_minor: int
    differences: int

    @classmethod
    def of(cls, day: Day) -> DayOut:
        return cls(**{name: getattr(day, name) for name in cls.__struct_fields__})


class DifferenceOut(Struct, frozen=True, kw_only=True, rename="camel"):
    kind: str
    about: str
    name: str
    at: datetime
    organization_id: str | None
    payment_id: str | None
    said: str
    advice: str

    @classmethod
    def of(cls, found: Difference) -> DifferenceOut:
        return cls(
            kind=found.kind.value,
            about=found.about.value,
            name=found.name,
            at=found.at,
            organization_id=None if found.org_id is None else show_id("org", found.org_id),
            payment_id=None if found.payment_id is None else show_id("pay", found.payment_id),
            said=found.said,
            advice=found.kind.advice,
        )


class ReconciliationOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """`differences` holds the first thousand; `counts` says how many there are of each kind."""

    id: str
    processor: str
    livemode: bool
    since: datetime
    until: datetime
    began_at: datetime
    ended_at: datetime
    clean: bool
    movements: int
    counts: Mapping[str, int]
    days: list[DayOut]
    differences: list[DifferenceOut]

    @classmethod
    def of(cls, made: Reconciliation) -> ReconciliationOut:
        return cls(
            id=show_id("rec", made.reconciliation_id),
            processor=made.processor,
            livemode=made.livemode,
            since=made.window.since,
            until=made.window.until,
            began_at=made.began_at,
            ended_at=made.ended_at,
            clean=made.clean,
            movements=made.movements,
            counts={kind.value: count for kind, count in made.counts.items()},
            days=[DayOut.of(day) for day in made.days],
            differences=[DifferenceOut.of(found) for found in made.differences],
        )


def reconciliation_routes(till: Till) -> list[ControllerRouterHandler]:
    return [
        Router(
            "/operator",
            route_handlers=[_run_route(till), list_reconciliations, read_reconciliation],
            guards=[orgs.operator_only],
            tags=["Operator"],
            opt={"security": OPERATOR_KEY},
        )
    ]


def _run_route(till: Till) -> ControllerRouterHandler:
    @post(
        "/reconciliations",
        summary="Compare the processor's books with ours",
        description="Answers when it is done; a month of a hundred thousand payments takes up to"
        " a minute. It changes nothing.",
        opt={"errors": (PaymentsNotConfigured, ProcessorRefused, ProcessorUnavailable)},
    )
    async def run_reconciliation(data: JSONBody[NewReconciliation]) -> ReconciliationOut:
        processor = till.processors.serving(livemode=data.livemode)
        if data.since is None and data.until is None:
            made = await compare_as_usual(till, processor)
        else:
            usual = usual_window(till.clock.now(), None)
            window = Window(data.since or usual.since, data.until or usual.until)
            if not window.since < window.until <= window.since + _LONGEST:
                said = f"must lie after since, by at most {_LONGEST.days} days"
                raise InvalidRequest(f"until: {said}", {"until": [said]})
            made = await reconcile(till, processor, window)
        tell(made)
        return ReconciliationOut.of(made)

    return run_reconciliation


@get("/reconciliations", summary="List reconciliations, newest first")
async def list_reconciliations(
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[ReconciliationOut]:
    bound = ("operator/reconciliations",)
    after = cursors.after(bound, cursor)
    async with database.connection() as connection:
        found = await store.newest(connection, limit + 1, after)
    return page_of(
        found,
        limit,
        ReconciliationOut.of,
        lambda last: cursors.seal(bound, [last.reconciliation_id]),
    )


@get("/reconciliations/{reconciliation_id:str}", summary="Get a reconciliation")
async def read_reconciliation(
    reconciliation_id: FromPath[str], database: NamedDependency[Database]
) -> ReconciliationOut:
    known = read_path_id("rec", reconciliation_id)
    async with database.connection() as connection:
        found = await store.read(connection, known)
    if found is None:
        raise NotFound(f"There is no reconciliation {reconciliation_id}")
    return ReconciliationOut.of(found)
