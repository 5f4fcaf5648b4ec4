"""Prices: what every model costs, since when, and who said so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import quote, urlencode

from litestar import get
from litestar.params import FromPath, FromQuery
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper.base.errors import NotFound
from tollkeeper.base.money import say_exactly
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.model import USD
from tollkeeper.console.rendering import say, show_count
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff_door import STAFF_PAGES, StaffDoor
from tollkeeper.pricing import Book, PriceVersion, Rate

PRICES: Final = f"{STAFF_PAGES}/prices"
_PAGE: Final = 100
_COLUMNS: Final = ("input", "cache_read", "output")

Text = Annotated[str, Meta(max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A model and what it costs: the common units by themselves, in short and in full, the others
    in words."""

    version: PriceVersion
    path: str
    rates: Sequence[tuple[str, str]]
    others: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A version, and for each unit its rate then and before."""

    version: PriceVersion
    state: str
    rates: Sequence[tuple[str, str, str]]


def prices_pages(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    @get("/prices", include_in_schema=False)
    async def show_prices(
        request: AnyRequest, q: FromQuery[Text] = "", after: FromQuery[Text] = ""
    ) -> Response[bytes]:
        sought = q.strip().lower()
        found = [
            version
            for version in shelves.prices.book.priced(door.door.clock.now())
            if sought in name_of(version).lower() and name_of(version) > after
        ]
        found.sort(key=name_of)
        said = {"q": sought} if sought else {}
        older = None
        if len(found) > _PAGE:
            older = f"{PRICES}?{urlencode(said | {'after': name_of(found[_PAGE - 1])})}"
        return door.page(
            request,
            "staff/prices.html",
            rows=[_row(version) for version in found[:_PAGE]],
            columns=_COLUMNS,
            q=sought,
            older=older,
            newest=f"{PRICES}?{urlencode(said)}" if after else None,
        )

    @get("/prices/models/{provider:str}/{model:path}", include_in_schema=False)
    async def show_model(
        request: AnyRequest, provider: FromPath[str], model: FromPath[str]
    ) -> Response[bytes]:
        name = model.removeprefix("/")
        schedule = _schedule(shelves.prices.book, provider, name)
        return door.page(
            request,
            "staff/price.html",
            provider=provider,
            model=name,
            steps=list(reversed(list(_steps(schedule, door.door.clock.now())))),
            edit=f"{PRICES}/publish?{urlencode({'provider': provider, 'model': name})}",
        )

    return [show_prices, show_model]


def name_of(version: PriceVersion) -> str:
    return f"{version.provider}/{version.model}"


def path_of(version: PriceVersion) -> str:
    return f"{PRICES}/models/{quote(version.provider)}/{quote(version.model)}"


def _row(version: PriceVersion) -> Row:
    rates = {unit: in_full(rate) for unit, rate in version.rates.items()}
    others = [f"{unit} {rate}" for unit, rate in rates.items() if unit not in _COLUMNS]
    return Row(
        version=version,
        path=path_of(version),
        rates=[(_short(version.rates.get(unit)), rates.get(unit, "")) for unit in _COLUMNS],
        others=", ".join(others),
    )


def _short(rate: Rate | None) -> str:
    """`$2.50 / 1M`; a plus says that it is another beyond some length of input."""
    if rate is None:
        return ""
    return f"{say_exactly(rate.price_nanos, USD)}{'+' if rate.above else ''}{_per(rate)}"


def in_full(rate: Rate) -> str:
    """`$2.50 / 1M, above 272,000 input tokens $5.00 / 1M`."""
    beyond = (
        say(
            "staff_prices.above",
            tokens=show_count(start),
            price=say_exactly(nanos, USD) + _per(rate),
        )
        for start, nanos in rate.above
    )
    return ", ".join([say_exactly(rate.price_nanos, USD) + _per(rate), *beyond])


def _per(rate: Rate) -> str:
    return {1: "", 1_000: " / 1K", 1_000_000: " / 1M"}.get(rate.per, f" / {rate.per:,}")


def _schedule(book: Book, provider: str, model: str) -> Sequence[PriceVersion]:
    """Raises NotFound for what was never priced."""
    found = book.schedule(provider, model)
    if not found:
        raise NotFound(say("staff_prices.gone", model=f"{provider}/{model}"))
    return found


def _steps(schedule: Sequence[PriceVersion], now: datetime) -> Iterator[Step]:
    """From the first version to the last."""
    in_force = [version for version in schedule if version.effective_from <= now]
    before: PriceVersion | None = None
    for version in schedule:
        if version.effective_from > now:
            state = "planned"
        elif version is in_force[-1]:
            state = "ended" if version.ended else "now"
        else:
            state = "past"
        rates = [
            (unit, in_full(rate), _rate_of(before, unit)) for unit, rate in version.rates.items()
        ]
        yield Step(version=version, state=state, rates=rates)
        before = version


def _rate_of(version: PriceVersion | None, unit: str) -> str:
    rate = None if version is None else version.rates.get(unit)
    return "" if rate is None else in_full(rate)
