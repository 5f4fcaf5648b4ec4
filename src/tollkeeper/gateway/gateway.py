"""The gateway of one process: its parts put together, its endpoints, and how it stops."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Self
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from tollkeeper.base.clock import Clock
from tollkeeper.base.settings import Provider as ProviderSettings
from tollkeeper.base.settings import Settings
from tollkeeper.gateway.call import Parts
from tollkeeper.gateway.flights import Flights
from tollkeeper.gateway.metrics import GatewayMetrics
from tollkeeper.gateway.models import Models
from tollkeeper.gateway.providers import (
    HttpClient,
    Provider,
    SandboxProvider,
    Timeouts,
    anthropic,
    openai_compatible,
)
from tollkeeper.gateway.proxy import Proxy
from tollkeeper.gateway.routes import call_routes, model_routes
from tollkeeper.gateway.shelf import Shelf
from tollkeeper.gateway.visits import Visits
from tollkeeper.http.api import HotRoute
from tollkeeper.http.idempotency import Idempotency
from tollkeeper.metering import Meter
from tollkeeper.orgs import KeyRing
from tollkeeper.pricing import BookKeeper

_OPENAI: Final = "https://api.openai.com/v1"
_ANTHROPIC: Final = "https://api.anthropic.com/v1"
# Who knows an output limit by its newer name; all others know at least the older one.
_NEWER_LIMIT: Final = ("openai.com", "openai.azure.com", "ai.azure.com", "openrouter.ai")
# Who ends every stream with its usage, and refuses to be asked for it.
_TELLS_USAGE: Final = ("mistral.ai",)


class Gateway:
    """One per process. `routes` are for the application, `visits` for pages that call models
    for somebody who is signed in, `drain` is for when it stops."""

    def __init__(self, parts: Parts, keys: KeyRing, idempotency: Idempotency) -> None:
        self._parts = parts
        proxy = Proxy(parts, keys, idempotency)
        shelf = Shelf(parts.models, parts.books, keys, parts.clock)
        self.visits = Visits(parts, proxy)
        self.routes: list[HotRoute] = [*call_routes(proxy), *model_routes(shelf)]

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        clock: Clock,
        keys: KeyRing,
        books: BookKeeper,
        meter: Meter,
        idempotency: Idempotency,
        registry: CollectorRegistry,
        top_up_url: str | None = None,
    ) -> AsyncGenerator[Self]:
        """Put it together. `top_up_url` is told to whoever is out of credit, unless the settings
        name another. `registry` gets the metrics. Call `drain` before the block ends.
        """
        limits = settings.gateway
        client = HttpClient(
            Timeouts(
                connect=limits.connect_timeout_seconds,
                first_byte=limits.first_byte_timeout_seconds,
                idle=limits.idle_timeout_seconds,
            )
        )
        parts = Parts(
            settings=settings,
            clock=clock,
            books=books,
            meter=meter,
            models=Models(
                settings.providers, connect(settings.providers, client), SandboxProvider(clock)
            ),
            metrics=GatewayMetrics(registry),
            flights=Flights(),
            top_up_url=settings.billing.top_up_url or top_up_url,
        )
        try:
            yield cls(parts, keys, idempotency)
        finally:
            await client.close()

    @property
    def running(self) -> int:
        """How many calls are under way, those included whose client has left."""
        return self._parts.flights.running

    async def drain(self, grace_seconds: float) -> int:
        """Take no new calls and bring those under way to their end, within the grace.

        Returns how many had to be given up: their holds expire. The meter must outlive this.
        """
        return await self._parts.flights.drain(grace_seconds)


def connect(settings: Mapping[str, ProviderSettings], client: HttpClient) -> dict[str, Provider]:
    """Make the providers that the settings name."""
    return {name: _connect(name, known, client) for name, known in settings.items()}


def _connect(name: str, known: ProviderSettings, client: HttpClient) -> Provider:
    api_key = known.api_key.reveal() if known.api_key is not None else ""
    if known.kind == "sandbox":
        return SandboxProvider()
    if known.kind == "anthropic":
        return anthropic(client, name=name, base_url=known.base_url or _ANTHROPIC, api_key=api_key)
    base_url = known.base_url or _OPENAI
    newer = _is_at(base_url, _NEWER_LIMIT)
    ask = known.ask_usage if known.ask_usage is not None else not _is_at(base_url, _TELLS_USAGE)
    return openai_compatible(
        client,
        name=name,
        base_url=base_url,
        api_key=api_key,
        cap_field="max_completion_tokens" if newer else "max_tokens",
        ask_usage=ask,
    )


def _is_at(base_url: str, domains: Iterable[str]) -> bool:
    host = urlsplit(base_url).hostname or ""
    return any(host == domain or host.endswith("." + domain) for domain in domains)
