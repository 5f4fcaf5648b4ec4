"""The HTTP client against a server that misbehaves, and what providers send and keep back."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from tollkeeper.gateway.providers import (
    Call,
    HttpClient,
    Timeouts,
    UpstreamBroke,
    UpstreamGone,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnreachable,
    anthropic,
    openai_compatible,
    returned_headers,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CALL = Call(dialect="chat", path="/chat/completions", body=b'{"model":"m"}')


class Upstream:
    """A server on loopback whose behaviour each test chooses."""

    def __init__(self) -> None:
        self.handler: Handler = self.echo
        self.seen: list[dict[str, str]] = []
        self.connections: set[Any] = set()
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        self.connections.add(request.transport)
        return await self.handler(request)

    async def echo(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"path": request.path_qs, "body": await request.text()})


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    found = Upstream()
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{rest:.*}", found.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    found.url = f"http://{host}:{port}/v1"
    yield found
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    found = HttpClient(Timeouts(connect=10, first_byte=10, idle=0.5))
    yield found
    await found.close()


def provider(client: HttpClient, upstream: Upstream, **more: Any) -> Any:
    return openai_compatible(
        client, name="test", base_url=more.pop("base_url", upstream.url), api_key="sk-op", **more
    )


async def test_an_answer_comes_whole_with_status_and_headers(client, upstream):
    reply = await provider(client, upstream).send(CALL)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("application/json")
    assert b"/v1/chat/completions" in await reply.body(10_000)
    await reply.close()
    await reply.close()


async def test_connections_are_used_again(client, upstream):
    for _ in range(5):
        reply = await provider(client, upstream).send(CALL)
        await reply.body(10_000)
        await reply.close()
    assert len(upstream.connections) == 1


async def test_the_operators_key_goes_up_and_the_clients_headers_do_not(client, upstream):
    headers = {
        "authorization": "Bearer tk_live_customer",
        "cookie": "session=1",
        "openai-organization": "org-theirs",
        "x-forwarded-for": "10.0.0.1",
        "openai-beta": "responses=v1",
    }
    call = Call(dialect="chat", path="/chat/completions", body=b"{}", headers=headers)
    await (await provider(client, upstream).send(call)).close()
    seen = upstream.seen[0]
    assert seen["authorization"] == "Bearer sk-op"
    assert seen["openai-beta"] == "responses=v1"
    assert seen["accept-encoding"] == "identity"
    assert not {"cookie", "openai-organization", "x-forwarded-for"} & seen.keys()


async def test_anthropic_gets_its_own_headers(client, upstream):
    found = anthropic(client, base_url=upstream.url, api_key="sk-ant-op")
    own = {"anthropic-beta": "x-2026", "x-api-key": "tk_live_customer"}
    for headers in (own, {**own, "anthropic-version": "2099-01-01"}):
        call = Call(dialect="messages", path="/messages", body=b"{}", headers=headers)
        await (await found.send(call)).close()
    first, second = upstream.seen
    assert first["x-api-key"] == second["x-api-key"] == "sk-ant-op"
    assert (first["anthropic-version"], second["anthropic-version"]) == ("2023-06-01", "2099-01-01")
    assert first["anthropic-beta"] == "x-2026"


async def test_a_query_in_the_base_stays_and_the_key_goes_where_it_is_wanted(client, upstream):
    found = provider(
        client, upstream, base_url=f"{upstream.url}/?api-version=2026-01", key_header="api-key"
    )
    reply = await found.send(CALL)
    assert b"/v1/chat/completions?api-version=2026-01" in await reply.body(10_000)
    assert upstream.seen[0]["api-key"] == "sk-op"
    assert "authorization" not in upstream.seen[0]


async def test_a_stream_comes_as_it_is_written(client, upstream):
    gate = asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await gate.wait()
        await response.write(b"data: 2\n\n")
        return response

    upstream.handler = slowly
    reply = await provider(client, upstream).send(CALL)
    chunks = reply.chunks()
    assert await anext(chunks) == b"data: 1\n\n"
    gate.set()
    assert [chunk async for chunk in chunks] == [b"data: 2\n\n"]


async def test_an_answer_packed_against_our_wish_is_unpacked(client, upstream):
    async def packed(_: web.Request) -> web.StreamResponse:
        return web.Response(body=gzip.compress(b"hello"), headers={"content-encoding": "gzip"})

    upstream.handler = packed
    reply = await provider(client, upstream).send(CALL)
    assert await reply.body(100) == b"hello"


async def test_nobody_there(client, upstream):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        for base in (f"http://127.0.0.1:{port}/v1", "http://no-such-host.invalid/v1"):
            with pytest.raises(UpstreamUnreachable):
                await provider(client, upstream, base_url=base).send(CALL)


async def test_no_answer_in_time(upstream):
    async def sleep(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(2)
        return web.Response()

    upstream.handler = sleep
    hasty = HttpClient(Timeouts(connect=10, first_byte=0.2, idle=10))
    with pytest.raises(UpstreamTimeout) as caught:
        await provider(hasty, upstream).send(CALL)
    assert caught.value.status == 504
    await hasty.close()


async def test_hung_up_before_the_answer(client, upstream):
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    upstream.handler = hang_up
    with pytest.raises(UpstreamGone):
        await provider(client, upstream).send(CALL)


async def test_hung_up_in_the_middle(client, upstream):
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await asyncio.sleep(0.05)
        assert request.transport is not None
        request.transport.abort()
        return response

    upstream.handler = break_off
    reply = await provider(client, upstream).send(CALL)
    chunks = reply.chunks()
    assert await anext(chunks) == b"data: 1\n\n"
    with pytest.raises(UpstreamBroke):
        await anext(chunks)


async def test_silent_in_the_middle(client, upstream):
    async def fall_silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await asyncio.sleep(3)
        return response

    upstream.handler = fall_silent
    reply = await provider(client, upstream).send(CALL)
    with pytest.raises(UpstreamBroke):
        await reply.body(1_000)
    await reply.close()


@pytest.mark.parametrize("declared", [True, False])
async def test_an_answer_beyond_the_limit(client, upstream, declared: bool):
    async def large(request: web.Request) -> web.StreamResponse:
        if declared:
            return web.Response(body=b"x" * 100_000)
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"x" * 1_000)
        return response

    upstream.handler = large
    reply = await provider(client, upstream).send(CALL)
    with pytest.raises(UpstreamTooLarge):
        await reply.body(50_000)


async def test_redirects_are_not_followed_with_the_key(client, upstream):
    async def elsewhere(_: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect("http://example.org/steal")

    upstream.handler = elsewhere
    reply = await provider(client, upstream).send(CALL)
    assert reply.status == 307
    await reply.close()


async def test_a_hundred_streams_at_once(upstream):
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(5):
            await response.write(b"x")
            await asyncio.sleep(0.01)
        return response

    async def read() -> bytes:
        reply = await provider(patient, upstream).send(CALL)
        return await reply.body(100)

    upstream.handler = stream
    # A hundred at once on a busy machine: none is slow, each has to wait for the others.
    patient = HttpClient(Timeouts(connect=30, first_byte=30, idle=30))
    assert await asyncio.gather(*(read() for _ in range(100))) == [b"xxxxx"] * 100
    await patient.close()


def test_only_chosen_headers_come_back():
    headers = {
        "content-type": "application/json",
        "retry-after": "3",
        "openai-organization": "org-operator",
        "x-ratelimit-remaining-tokens": "5",
        "set-cookie": "a=b",
    }
    assert returned_headers(headers) == {"content-type": "application/json", "retry-after": "3"}
