"""`/operator/markups`: what is added to providers' prices, for whom, from when on."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from litestar import Request, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta, field

from tollkeeper import orgs, pricing
from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.money import Money, MoneyIn, NonNegativeMoneyIn
from tollkeeper.db import Connection, Database
from tollkeeper.operator.acts import Act, note
from tollkeeper.operator.shapes import In, Out, Why
from tollkeeper.pricing import InvalidPrices, Markup, MarkupChange, PriceVersionConflict

_NANOS_PER_PPM: Final = 100_000
_Name = Annotated[str, Meta(max_length=200)]


class SetMarkup(In, frozen=True, kw_only=True):
    """For a model, a provider, a plan, or with none of them for everything else."""

    reason: Why
    provider: _Name = ""
    model: _Name = ""
    plan: _Name = ""
    percent: (
        Annotated[MoneyIn, Meta(description="Added to prices; negative is a discount.")] | None
    ) = None
    fixed: (
        Annotated[NonNegativeMoneyIn, Meta(description="Added to each request, in USD.")] | None
    ) = None
    from_: Annotated[datetime, Meta(tz=True)] | None = field(default=None, name="from")
    remove: Annotated[
        bool, Meta(description="Take the mark-up away, so that the next wider one holds.")
    ] = False


class MarkupOut(Out, frozen=True, kw_only=True):
    """`percent` and `fixed` are null where the mark-up was taken away."""

    provider: str
    model: str
    plan: str
    percent: Money | None
    fixed: Money | None
    from_: datetime = field(name="from")

    @classmethod
    def of(cls, change: MarkupChange) -> MarkupOut:
        markup = change.markup
        return cls(
            provider=change.provider,
            model=change.model,
            plan=change.plan,
            percent=None if markup is None else Money(markup.ppm * _NANOS_PER_PPM),
            fixed=None if markup is None else Money(markup.fixed_nanos),
            from_=change.effective_from,
        )


class MarkupsOut(Out, frozen=True, kw_only=True):
    data: list[MarkupOut]


async def set_markup(tx: Connection, act: Act, change: MarkupChange) -> None:
    """Publish a mark-up. Raises InvalidRequest for a moment past, and as `publish_markup`."""
    if change.effective_from < act.at:
        said = "must not be in the past: what was sold keeps its price"
        raise InvalidRequest(f"from: {said}", {"from": [said]})
    await pricing.publish_markup(tx, change, act.who, act.at)
    said = {
        name: value for name in ("provider", "model", "plan") if (value := getattr(change, name))
    }
    markup = change.markup
    details: dict[str, Any] = {"from": change.effective_from.isoformat(), **said}
    if markup is not None:
        details |= {"ppm": markup.ppm, "fixedNanos": markup.fixed_nanos}
    await note(tx, act, "price.markup", None, **details)


def markup_of(percent_nanos: int, fixed_nanos: int) -> Markup:
    """Raises InvalidRequest for more than four decimals."""
    ppm, rest = divmod(percent_nanos, _NANOS_PER_PPM)
    if rest:
        said = "must have at most 4 decimals"
        raise InvalidRequest(f"percent: {said}", {"percent": [said]})
    return Markup(ppm, fixed_nanos)


@get("/markups", summary="List every mark-up, past and to come, newest first")
async def list_markups(database: NamedDependency[Database]) -> MarkupsOut:
    async with database.connection() as connection:
        changes = await pricing.read_markups(connection)
    return MarkupsOut(data=[MarkupOut.of(change) for change in reversed(changes)])


@post(
    "/markups",
    summary="Set a mark-up",
    description="The most specific one holds: model, provider, plan, everything.",
    opt={"errors": (InvalidPrices, PriceVersionConflict)},
)
async def post_markup(
    request: Request[Any, Any, State],
    data: JSONBody[SetMarkup],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> MarkupOut:
    who = orgs.name_of(orgs.operator_of(request))
    act = Act(who=who, why=data.reason, at=clock.now())
    change = MarkupChange(
        provider=data.provider,
        model=data.model,
        plan=data.plan,
        effective_from=data.from_ or act.at,
        markup=None if data.remove else markup_of(data.percent or 0, data.fixed or 0),
    )
    async with database.transaction() as tx:
        await set_markup(tx, act, change)
    return MarkupOut.of(change)


MARKUP_ROUTES: Final[list[ControllerRouterHandler]] = [list_markups, post_markup]
