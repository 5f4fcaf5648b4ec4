"""The HTTP client for providers: aiohttp, because it stays fast at many parallel streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from io import BytesIO
from typing import Final

import aiohttp
from msgspec import Struct

from tollkeeper.gateway.providers.model import (
    UpstreamBroke,
    UpstreamGone,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnreachable,
)

_READ_BUFFER: Final = 256 * 1024
# From here on aiohttp wants a body that it can send piece by piece, with others between.
_LARGE_BODY: Final = 1024 * 1024


class Timeouts(Struct, frozen=True, kw_only=True):
    """Seconds: to connect, until the answer begins, and between two pieces of it.

    Ten minutes are what the SDKs of OpenAI and Anthropic wait.
    """

    connect: float = 10.0
    first_byte: float = 600.0
    idle: float = 120.0


class HttpReply:
    """An aiohttp response behind `Reply`; it is its own iterator, so that nothing lingers."""

    def __init__(self, response: aiohttp.ClientResponse, idle: float) -> None:
        self._response = response
        self._idle = idle
        self._waits_since: float | None = None
        self._fell_silent = False
        self._watch: asyncio.TimerHandle | None = None
        self.status = response.status
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in response.headers.items()
        }

    async def body(self, limit: int) -> bytes:
        declared = self._response.content_length
        if declared is not None and declared > limit:
            await self.close()
            raise UpstreamTooLarge(f"The provider's answer has more than {limit} bytes")
        parts: list[bytes] = []
        size = 0
        async for part in self.chunks():
            size += len(part)
            if size > limit:
                await self.close()
                raise UpstreamTooLarge(f"The provider's answer has more than {limit} bytes")
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> HttpReply:
        return self

    async def __anext__(self) -> bytes:
        content = self._response.content
        try:
            part = content.read_nowait()
            if not part and not content.is_eof():
                self._expect()
                part = await content.readany()
                self._waits_since = None
        except aiohttp.ClientError as why:
            self._response.close()
            how = "fell silent" if self._fell_silent else "broke off"
            raise UpstreamBroke(f"The provider {how} in the middle of its answer") from why
        if not part:
            raise StopAsyncIteration
        return part

    def _expect(self) -> None:
        """Note since when we wait. One timer watches over the whole answer, not one each piece."""
        loop = asyncio.get_running_loop()
        self._waits_since = loop.time()
        if self._watch is None:
            self._watch = loop.call_later(self._idle, self._check)

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        since = now if self._waits_since is None else self._waits_since
        if now - since >= self._idle:
            self._fell_silent = True
            self._response.close()  # Whoever waits is woken by it.
        else:
            self._watch = loop.call_at(since + self._idle, self._check)

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        # `close` drops the connection unless it was read to its end; then it goes back to the pool.
        self._response.close()


class HttpClient:
    """One pool of connections for all providers of a process. Close it when the process ends."""

    def __init__(self, timeouts: Timeouts | None = None) -> None:
        self.timeouts = timeouts or Timeouts()
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> HttpReply:
        """Send a request; return when its answer begins.

        Raises UpstreamUnreachable, UpstreamGone, UpstreamTimeout. Redirects are not followed:
        the key in `headers` is for this address only.
        """
        try:
            async with asyncio.timeout(self.timeouts.first_byte):
                response = await self._open().post(
                    url,
                    data=body if len(body) < _LARGE_BODY else BytesIO(body),
                    headers=headers,
                    allow_redirects=False,
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as why:
            raise UpstreamUnreachable("The provider could not be reached") from why
        except TimeoutError as why:
            raise UpstreamTimeout("The provider did not answer in time") from why
        except aiohttp.ClientError as why:
            raise UpstreamGone("The provider closed the connection without an answer") from why
        return HttpReply(response, self.timeouts.idle)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No limits here: how many calls may run is decided before the hold, not by a queue
            # in which they would wait with their money held.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.timeouts.connect),
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=_READ_BUFFER,
                skip_auto_headers=("User-Agent",),
            )
        return self._session
