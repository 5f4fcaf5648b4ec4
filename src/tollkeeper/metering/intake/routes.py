"""The endpoints of `/metering`, as plain ASGI handlers with what the document says of them."""

from __future__ import annotations

from typing import Any

from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import (
    Forbidden,
    IdempotencyKeyReused,
    NotFound,
    RequestInProgress,
)
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.http import HotRoute, Idempotency, Operation
from tollkeeper.ledger import BalanceTooLarge, InsufficientCredits, WalletFrozen
from tollkeeper.limits import REFUSALS
from tollkeeper.metering.intake import charges, estimates, events, holds
from tollkeeper.metering.intake.bodies import (
    ChargeIn,
    ChargeOut,
    EstimateIn,
    EstimateOut,
    EventIn,
    EventsOut,
    HoldOut,
    NewHoldIn,
    SettleIn,
    VoidOut,
    documented,
)
from tollkeeper.metering.intake.desk import Act, Desk, Limits, handler
from tollkeeper.metering.intake.spenders import Spenders
from tollkeeper.metering.meter import Meter
from tollkeeper.metering.refusal import AlreadyCharged
from tollkeeper.orgs import KeyRing, ProjectNotFound
from tollkeeper.plans import AllowanceExhausted
from tollkeeper.pricing import BookKeeper, InvalidUsage, ModelNotPriced

_TAG = "Metering"
_NO_CREDIT = (InsufficientCredits, WalletFrozen, AllowanceExhausted, *REFUSALS)
_REUSED = (IdempotencyKeyReused, RequestInProgress)
_PRICED = (InvalidUsage, ModelNotPriced)

# A list of a type that is made here is no annotation to the type checker.
_EVENT_LIST: Any = list[documented(EventIn)]  # pyright: ignore[reportInvalidTypeForm]

_HOLD = Operation(
    summary="Reserve credit before a call",
    tag=_TAG,
    request=documented(NewHoldIn),
    response=HoldOut,
    status=201,
    errors=(*_NO_CREDIT, *_PRICED, *_REUSED, NotFound, ProjectNotFound, AlreadyCharged),
)
_SETTLE = Operation(
    summary="Charge a held call for what it used",
    description="Always posts, past the hold and below zero if need be.",
    tag=_TAG,
    request=documented(SettleIn),
    response=ChargeOut,
    errors=(*_PRICED, *_REUSED, BalanceTooLarge),
)
_VOID = Operation(
    summary="Give a hold back",
    description="Says `settled` or `expired` of a hold that has ended otherwise.",
    tag=_TAG,
    response=VoidOut,
    errors=_REUSED,
)
_CHARGE = Operation(
    summary="Charge a call in one step",
    tag=_TAG,
    request=documented(ChargeIn),
    response=ChargeOut,
    errors=(*_NO_CREDIT, *_PRICED, *_REUSED, NotFound, ProjectNotFound),
)
_EVENTS = Operation(
    summary="Report usage of the past",
    description=(
        "A JSON array, NDJSON (`application/x-ndjson`), or CloudEvents"
        " (`application/cloudevents-batch+json`, `application/cloudevents+json`). Each event has"
        " a result of its own; unique by organization, `source` and `id`. Past usage always"
        " posts, and blocks what comes next if it goes below zero."
    ),
    tag=_TAG,
    request=_EVENT_LIST,
    response=EventsOut,
    errors=_REUSED,
)
_ESTIMATE = Operation(
    summary="Say what a call would cost",
    tag=_TAG,
    request=documented(EstimateIn),
    response=EstimateOut,
    errors=(*_PRICED, *_REUSED, Forbidden, NotFound, ProjectNotFound),
)


def metering_routes(
    *,
    database: Database,
    clock: Clock,
    meter: Meter,
    books: BookKeeper,
    keys: KeyRing,
    idempotency: Idempotency,
    settings: Settings,
    default_livemode: bool,
) -> list[HotRoute]:
    """`default_livemode` is which balance an operator means who names an organization only."""
    desk = Desk(
        database=database,
        clock=clock,
        meter=meter,
        books=books,
        spenders=Spenders(database, keys, default_livemode=default_livemode),
        idempotency=idempotency,
        limits=Limits.of(settings),
    )

    def route(method: str, path: str, act: Act, operation: Operation) -> HotRoute:
        return HotRoute(method=method, path=path, handler=handler(desk, act), operation=operation)

    return [
        route("POST", "/metering/holds", holds.place, _HOLD),
        route("POST", "/metering/holds/{id}/settle", holds.settle, _SETTLE),
        route("DELETE", "/metering/holds/{id}", holds.void, _VOID),
        route("POST", "/metering/charges", charges.charge, _CHARGE),
        route("POST", "/metering/events", events.ingest, _EVENTS),
        route("POST", "/metering/estimate", estimates.estimate, _ESTIMATE),
    ]
