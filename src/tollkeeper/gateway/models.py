"""Which provider answers for a model, and whose price it has.

A name is looked for as `provider/model` first, then among the names the operator gave, then among
the models and patterns of each provider, in the order of the settings. Of several that would
serve it, the first that has a price does.

Test keys are answered by the sandbox alone, at the price of the model they ask for: of the
provider that would serve it, of the sandbox's own models, or else of whoever is in the book.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct

from tollkeeper.base.settings import Provider as ProviderSettings
from tollkeeper.gateway.errors import ModelNotFound, NotOffered
from tollkeeper.gateway.providers import Provider
from tollkeeper.pricing import (
    NO_MARKUP,
    OWN,
    Book,
    Markup,
    ModelNotPriced,
    PriceVersion,
)

SANDBOX: Final = "sandbox"
# Whose price a test call has where several sell a model of that name.
_FIRST: Final = (SANDBOX, "openai", "anthropic", "google")
_REMEMBERED: Final = 10_000
_PUBLIC: Final = {"openai": "openai", "anthropic": "anthropic", "sandbox": SANDBOX}


class Route(Struct, frozen=True, kw_only=True):
    """One way to answer for a model.

    `name` is the provider's in the settings, `model` what it calls the model, `sold_as` the
    operator's own name for it. `sellers` are the providers whose price in the book it may have:
    the first that has one. `ppm` is the mark-up of the settings.
    """

    provider: Provider
    name: str
    model: str
    sellers: tuple[str, ...]
    ppm: int = 0
    sold_as: str | None = None


class Sale(Struct, frozen=True, kw_only=True):
    """A route and the price it has at the moment of the call, which holds to its end."""

    route: Route
    version: PriceVersion
    markup: Markup


class _Known:
    """What was found out about one book. A list is written in a thread, perhaps from an older
    one: each keeps to its own."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.routes: dict[tuple[str, bool], tuple[Route, ...]] = {}
        sellers = {version.provider for version in book if version.provider != OWN}
        first = (seller for seller in _FIRST if seller in sellers)
        self.sellers = (*dict.fromkeys((SANDBOX, *first, *sorted(sellers))),)


class Models:
    """Knows the way to every model. `providers` are those of the settings, by the same names."""

    def __init__(
        self,
        settings: Mapping[str, ProviderSettings],
        providers: Mapping[str, Provider],
        sandbox: Provider,
    ) -> None:
        self._settings = settings
        self._providers = providers
        self._sandbox = sandbox
        self._known = _Known(Book())

    def sell(self, model: str, dialect: str, book: Book, at: datetime, *, livemode: bool) -> Sale:
        """Find who answers and at what price.

        Raises ModelNotFound, NotOffered where nobody who has it speaks the dialect,
        ModelNotPriced.
        """
        refused: ModelNotPriced | NotOffered | None = None
        for route in self._routes(model, book, livemode=livemode):
            if dialect not in route.provider.dialects:
                refused = refused or NotOffered(f"{model} is not offered through this endpoint")
                continue
            try:
                return priced(route, book, at)
            except ModelNotPriced as why:
                refused = why if not isinstance(refused, ModelNotPriced) else refused
        raise refused or ModelNotFound(f"There is no model {model} here", model=model)

    def offered(self, book: Book, at: datetime, *, livemode: bool) -> Iterator[tuple[str, Sale]]:
        """List every name under which something can be bought now, with its sale."""
        names = dict.fromkeys(
            name for settings in self._settings.values() for name in settings.model_names
        )
        names |= dict.fromkeys(
            version.model for version in book.priced(at) if version.provider != OWN
        )
        for name in names:
            for route in self._routes(name, book, livemode=livemode):
                try:
                    sale = priced(route, book, at)
                except ModelNotPriced:
                    continue
                yield name, sale
                break

    def _routes(self, model: str, book: Book, *, livemode: bool) -> tuple[Route, ...]:
        known = self._known
        if known.book is not book:
            known = self._known = _Known(book)
        found = known.routes.get((model, livemode))
        if found is None:
            if len(known.routes) >= _REMEMBERED:
                known.routes.clear()
            way = self._live(model) if livemode else self._simulated(model, known.sellers)
            found = known.routes[model, livemode] = tuple(way)
        return found

    def _live(self, model: str) -> Iterator[Route]:
        explicit, _, rest = model.partition("/")
        if rest and explicit in self._settings:
            settings = self._settings[explicit]
            if rest in settings.model_names or _serves(settings, rest):
                yield self._route(explicit, settings.model_names.get(rest, rest), rest)
        named = {
            name: settings.model_names[model]
            for name, settings in self._settings.items()
            if model in settings.model_names
        }
        for name, upstream in named.items():
            yield self._route(name, upstream, model)
        by_name = [name for name, known in self._settings.items() if model in known.models]
        by_pattern = [name for name, known in self._settings.items() if _serves(known, model)]
        for name in dict.fromkeys((*by_name, *by_pattern)):
            if name not in named:
                yield self._route(name, model, model)

    def _simulated(self, model: str, sellers: tuple[str, ...]) -> Iterator[Route]:
        for route in self._live(model):
            yield Route(
                provider=self._sandbox,
                name=SANDBOX,
                model=route.model,
                sellers=route.sellers,
                ppm=route.ppm,
                sold_as=route.sold_as,
            )
        explicit, _, rest = model.partition("/")
        if rest and explicit in sellers:
            yield Route(provider=self._sandbox, name=SANDBOX, model=rest, sellers=(explicit,))
        yield Route(provider=self._sandbox, name=SANDBOX, model=model, sellers=sellers)

    def _route(self, name: str, model: str, asked: str) -> Route:
        settings = self._settings[name]
        # A provider at the public address sells at the public price under whatever name.
        public = (_PUBLIC[settings.kind],) if settings.base_url is None else ()
        return Route(
            provider=self._providers[name],
            name=name,
            model=model,
            sellers=tuple(dict.fromkeys((name, *public))),
            ppm=int(settings.markup_percent),
            sold_as=asked if asked != model else None,
        )


def priced(route: Route, book: Book, at: datetime) -> Sale:
    """Find the price of a route. Raises ModelNotPriced, in the words of the first seller."""
    refused: ModelNotPriced | None = None
    for seller in route.sellers:
        try:
            version = book.find(seller, route.model, at)
        except ModelNotPriced as why:
            refused = refused or why
            continue
        published = book.markup(seller, version.model, None, at)
        markup = published if published != NO_MARKUP or not route.ppm else Markup(route.ppm)
        return Sale(route=route, version=version, markup=markup)
    raise refused or ModelNotPriced(f"There is no price for {route.model}", model=route.model)


def _serves(settings: ProviderSettings, model: str) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in settings.models)
