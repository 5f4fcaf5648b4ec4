"""How Stripe is reached: its SDK over our HTTP client, every failure as the SDK's own error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import stripe

from tollkeeper.base.clock import Clock
from tollkeeper.base.settings import Stripe
from tollkeeper.payments.processors.stripe.processor import StripeProcessor

# The version whose shapes the rest of this folder reads. Raising it is a change to be tested.
API_VERSION: Final = "2026-10-28.endive"

# With the SDK's own pauses of half a second and more, an act is given up after about a minute.
_RETRIES: Final = 2
_CONNECT_SECONDS: Final = 5
_CONNECTIONS: Final = 50
_TOO_MANY: Final = 429
# The SDK does not repeat what Stripe turned away for its rate, though nothing was done.
_RATE_PAUSES: Final = (0.25, 1.0, 3.0)

Pause = Callable[[float], Awaitable[None]]


def is_live_key(secret_key: str) -> bool:
    """Tell keys that move money (`sk_live_…`, `rk_live_…`) from those of Stripe's test mode."""
    return secret_key[2:].startswith("_live_")


@asynccontextmanager
async def open_stripe(
    settings: Stripe, clock: Clock, pause: Pause = asyncio.sleep
) -> AsyncGenerator[StripeProcessor]:
    """Connections are closed at the end of the block. Raises ValueError without a secret key."""
    if settings.secret_key is None:
        raise ValueError("stripe.secret_key is not set")
    # Its lines say what our own log says, with customers' data in them.
    logging.getLogger("stripe").setLevel(logging.WARNING)
    timeout = aiohttp.ClientTimeout(
        total=settings.timeout_seconds, sock_connect=min(_CONNECT_SECONDS, settings.timeout_seconds)
    )
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, trust_env=True
    ) as session:
        client = stripe.StripeClient(
            settings.secret_key.reveal(),
            stripe_version=API_VERSION,
            base_addresses={"api": settings.api_base.rstrip("/")},
            max_network_retries=_RETRIES,
            http_client=Transport(session, pause),
        )
        yield StripeProcessor(
            client,
            clock,
            livemode=is_live_key(settings.secret_key.reveal()),
            webhook_secret=settings.webhook_secret and settings.webhook_secret.reveal(),
        )


class Transport(stripe.HTTPClient):
    """The SDK's own aiohttp client lets time-outs and lost connections out as they are, when they
    come while the answer is read: the moment at which a charge may have happened."""

    name = "aiohttp"

    def __init__(self, session: aiohttp.ClientSession, pause: Pause) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] (untyped there)
        self._aiohttp = session
        self._pause = pause

    def sleep_async(self, secs: float) -> Awaitable[None]:
        return self._pause(secs)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        for seconds in _RATE_PAUSES:
            answer = await self._send(method, url, headers, post_data)
            if answer[1] != _TOO_MANY:
                return answer
            await self._pause(seconds)
        return await self._send(method, url, headers, post_data)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            async with self._aiohttp.request(
                method, url, headers=headers, data=post_data, allow_redirects=False
            ) as response:
                return await response.read(), response.status, response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = f"{type(error).__name__}: {error}".removesuffix(": ")
            raise stripe.APIConnectionError(reason, should_retry=True) from error

    async def close_async(self) -> None:
        await self._aiohttp.close()
