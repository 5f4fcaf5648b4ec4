"""`GET /models`: what can be bought, under which name, and what it costs the one who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Struct

from tollkeeper import pricing
from tollkeeper.base.money import Money
from tollkeeper.gateway.call import CURRENCY
from tollkeeper.gateway.models import Models, Sale
from tollkeeper.http.encoding import write_custom
from tollkeeper.pricing import Book, Markup, PriceVersion


class Step(Struct, frozen=True, kw_only=True):
    """The price beyond so many input tokens in one request."""

    input_tokens: int
    price: Money


class UnitPrice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`price` for every `per` units, mark-up included."""

    unit: str
    price: Money
    per: int
    above: list[Step] = []


class ModelPrices(Struct, frozen=True, kw_only=True, omit_defaults=True):
    currency: str
    units: list[UnitPrice]
    per_request: Money | None = None
    service_tiers: dict[str, list[UnitPrice]] = {}


class Model(Struct, frozen=True, kw_only=True):
    """As OpenAI lists it, and what it costs."""

    id: str
    object: str = "model"
    created: int
    owned_by: str
    context_length: int | None
    max_output_tokens: int | None
    pricing: ModelPrices


class ModelList(Struct, frozen=True, kw_only=True):
    object: str = "list"
    data: list[Model]


class AnthropicModel(Struct, frozen=True, kw_only=True):
    """As Anthropic lists it, and what it costs."""

    type: str = "model"
    id: str
    display_name: str
    created_at: str
    max_input_tokens: int | None
    max_tokens: int | None
    pricing: ModelPrices


class AnthropicModelList(Struct, frozen=True, kw_only=True):
    data: list[AnthropicModel]
    has_more: bool = False
    first_id: str | None
    last_id: str | None


_encode: Final = msgspec.json.Encoder(enc_hook=write_custom).encode
# The list changes with the book and with the dates in it; dates are days.
_KEPT_SECONDS: Final = 60
# "Always": before any date that a price has.
_EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)


class Listing:
    """Writes the list when the book has changed, and at most once a minute besides.

    A large book takes a quarter of a second, so it is written in a thread beside the calls.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._written: dict[tuple[bool, bool], tuple[Book, datetime, bytes]] = {}
        self._writing = asyncio.Lock()

    async def all(self, book: Book, at: datetime, *, livemode: bool, anthropic: bool) -> bytes:
        kept = self._kept(book, at, livemode, anthropic)
        if kept is None:
            async with self._writing:
                kept = self._kept(book, at, livemode, anthropic)
                if kept is None:
                    kept = await asyncio.to_thread(self._write, book, at, livemode, anthropic)
                    self._written[livemode, anthropic] = (book, at, kept)
        return kept

    def _kept(self, book: Book, at: datetime, livemode: bool, anthropic: bool) -> bytes | None:
        written = self._written.get((livemode, anthropic))
        if written is None or written[0] is not book:
            return None
        return written[2] if (at - written[1]).total_seconds() < _KEPT_SECONDS else None

    def _write(self, book: Book, at: datetime, livemode: bool, anthropic: bool) -> bytes:
        offered = self._models.offered(book, at, livemode=livemode)
        if not anthropic:
            return _openai_list(list(offered))
        return _anthropic_list(
            [(name, sale) for name, sale in offered if "messages" in sale.route.provider.dialects]
        )


def one(name: str, sale: Sale, *, anthropic: bool) -> bytes:
    return _encode(_anthropic_model(name, sale) if anthropic else _openai_model(name, sale))


def prices_of(version: PriceVersion, markup: Markup) -> ModelPrices:
    return ModelPrices(
        currency=CURRENCY,
        units=list(_unit_prices(version, markup, None)),
        per_request=Money(markup.fixed_nanos) if markup.fixed_nanos else None,
        service_tiers={
            tier: list(_unit_prices(version, markup, tier)) for tier in version.service_tiers
        },
    )


def _unit_prices(version: PriceVersion, markup: Markup, tier: str | None) -> Iterator[UnitPrice]:
    """Ask rating itself for the prices, so that what is shown is what is charged."""
    rates = version.rates_for(tier) or {}
    markup = markup._replace(fixed_nanos=0)
    for line in pricing.rate(
        version, dict.fromkeys(rates, 1), markup=markup, service_tier=tier
    ).lines:
        above: list[Step] = []
        for threshold, _ in rates[line.unit].above:
            beyond = {"input": threshold + 1, line.unit: threshold + 1}
            rating = pricing.rate(version, beyond, markup=markup, service_tier=tier)
            price = next(found.price_nanos for found in rating.lines if found.unit == line.unit)
            above.append(Step(input_tokens=threshold, price=Money(price)))
        yield UnitPrice(unit=line.unit, price=Money(line.price_nanos), per=line.per, above=above)


def _openai_list(sales: list[tuple[str, Sale]]) -> bytes:
    return _encode(ModelList(data=[_openai_model(name, sale) for name, sale in sales]))


def _openai_model(name: str, sale: Sale) -> Model:
    version = sale.version
    return Model(
        id=name,
        created=int(max(version.effective_from, _EPOCH).timestamp()),
        owned_by=version.provider,
        context_length=version.context,
        max_output_tokens=version.max_output_tokens,
        pricing=prices_of(version, sale.markup),
    )


def _anthropic_list(sales: list[tuple[str, Sale]]) -> bytes:
    data = [_anthropic_model(name, sale) for name, sale in sales]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return _encode(AnthropicModelList(data=data, first_id=first, last_id=last))


def _anthropic_model(name: str, sale: Sale) -> AnthropicModel:
    version = sale.version
    created = max(version.effective_from, _EPOCH).astimezone(UTC)
    return AnthropicModel(
        id=name,
        display_name=name,
        created_at=created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        max_input_tokens=version.max_input_tokens or version.context,
        max_tokens=version.max_output_tokens,
        pricing=prices_of(version, sale.markup),
    )
