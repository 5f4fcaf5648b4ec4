"""Clients who leave (B4, G4, G8): in the middle of a stream, before it, or killed outright."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import Any

import httpx
import openai
import pytest
from gateway_house import DOLLAR, Customer, House
from gateway_upstream import Speaker, chunk, completion, message_streams, streams, usage

HI: Any = [{"role": "user", "content": "Hi"}]
CHAT: Any = {"model": "gpt-up", "messages": HI}
WORDS = ["Twelve letters"] * 30


async def charged(customer: Customer, source: str, cost: int | None = None) -> dict[str, Any]:
    """It was charged, the record says how it was counted, and nothing is held any more."""
    record = await customer.record()
    assert record["source"] == source
    assert record["amount"] > 0
    assert cost is None or record["amount"] == cost
    assert await customer.balance() == DOLLAR - record["amount"]
    assert (await customer.wallet()).held == 0
    return record


# ── streams ───────────────────────────────────────────────────────────────────────────────────────


async def test_an_early_break_is_charged_by_the_providers_count(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = streams(*WORDS, with_usage=usage(10, 77), pause=0.02)
    async with customer.openai() as client:
        stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
        async for _ in stream:
            break
        await stream.close()
        # The client is gone; the provider is read on, and what it says at the end is charged.
        record = await charged(customer, "partial", 10_000 + 77 * 2_000)
    assert "client left" in record["detail"]["notes"]
    assert house.upstream.finished == 1


async def test_a_closed_connection_is_noticed_between_two_chunks(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = streams(*WORDS, with_usage=usage(10, 77), pause=0.02)
    async with httpx.AsyncClient(timeout=30) as client:
        headers = {"authorization": f"Bearer {customer.key}"}
        request = client.build_request(
            "POST", house.url + "/chat/completions", json=CHAT | {"stream": True}, headers=headers
        )
        response = await client.send(request, stream=True)
        await anext(response.aiter_raw())
        await response.aclose()
    await charged(customer, "partial", 10_000 + 77 * 2_000)


async def test_a_message_that_is_broken_off(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = message_streams(*WORDS, pause=0.02)
    async with customer.anthropic() as client:
        async with client.messages.stream(model="claude-up", messages=HI, max_tokens=100) as stream:
            async for _ in stream.text_stream:
                break
        await charged(customer, "partial", 10_000 + 5 * 2_000)


async def test_a_provider_that_does_not_finish_is_stopped_and_estimated(hasty_house: House) -> None:
    """It drains for one second here; the stream would last for six."""
    customer = await hasty_house.customer("1")
    hasty_house.upstream.script = streams(*["Twelve letters"] * 60, pause=0.1)
    async with customer.openai() as client:
        stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
        async for _ in stream:
            break
        await stream.close()
    record = await charged(customer, "partial")
    # About eleven chunks of fourteen bytes, four bytes to a token.
    assert 20 <= record["detail"]["rating"]["usage"]["output"] <= 60
    assert hasty_house.upstream.finished == 0
    assert hasty_house.counted("drains_total", end="cut") >= 1


async def test_leaving_before_the_first_byte(house: House) -> None:
    customer = await house.customer("1")

    async def script(speaker: Speaker) -> None:
        await asyncio.sleep(0.4)
        await streams(*WORDS, with_usage=usage(10, 77))(speaker)

    house.upstream.script = script
    async with customer.openai(timeout=0.2) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
    await charged(customer, "partial", 10_000 + 77 * 2_000)


async def test_leaving_a_provider_that_never_begins_costs_nothing(hasty_house: House) -> None:
    customer = await hasty_house.customer("1")

    async def script(speaker: Speaker) -> None:
        del speaker
        await asyncio.sleep(2)

    hasty_house.upstream.script = script
    async with customer.openai(timeout=0.2) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
    record = await customer.record()
    assert (record["amount"], record["source"]) == (0, "none")
    assert (await customer.wallet()).held == 0


KILLED = """
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)
stream = client.chat.completions.create(
    model=sys.argv[3], messages=[{"role": "user", "content": sys.argv[4]}], stream=True
)
for chunk in stream:
    print("got one", flush=True)
"""


async def killed(customer: Customer, model: str, prompt: str) -> None:
    """Run a client in a process of its own, and kill it after its first chunk."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED, customer.house.url, customer.key, model, prompt),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"got one\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def test_a_client_that_is_killed(house: House) -> None:
    """Acceptance d."""
    customer = await house.customer("1")
    house.upstream.script = streams(*WORDS, with_usage=usage(10, 77), pause=0.03)
    await killed(customer, "gpt-up", "Hi")
    await charged(customer, "partial", 10_000 + 77 * 2_000)


async def test_a_client_of_the_sandbox_that_is_killed(house: House) -> None:
    customer = await house.customer("1", livemode=False)
    await killed(customer, "gpt-up", "[[sandbox: tokens=40, delay=0.03]] Hi")
    record = await charged(customer, "partial")
    assert record["detail"]["rating"]["usage"]["output"] == 40


async def test_many_who_leave_at_once(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = streams(*WORDS[:10], with_usage=usage(10, 7), pause=0.05)

    async def one(client: openai.AsyncOpenAI, after: int) -> None:
        stream = await client.chat.completions.create(
            model="gpt-up", messages=HI, max_tokens=20, stream=True
        )
        async for _ in stream:
            if after == 0:
                break
            after -= 1
        await stream.close()

    async with customer.openai() as client:
        await asyncio.gather(*(one(client, after % 11) for after in range(40)))
    for _ in range(100):
        if len(await customer.records()) == 40:
            break
        await asyncio.sleep(0.05)
    assert {record["amount"] for record in await customer.records()} == {10_000 + 7 * 2_000}
    assert await customer.balance() == DOLLAR - 40 * 24_000
    assert (await customer.wallet()).held == 0


# ── whole answers ─────────────────────────────────────────────────────────────────────────────────


async def test_a_whole_answer_that_nobody_waits_for_is_charged(house: House) -> None:
    """Lesson 22: the provider has done its work, and bills it."""
    customer = await house.customer("1")

    async def script(speaker: Speaker) -> None:
        await asyncio.sleep(0.4)
        await speaker.whole(completion(usage=usage(10, 77)))

    house.upstream.script = script
    async with customer.openai(timeout=0.2) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(model="gpt-up", messages=HI)
    await charged(customer, "provider", 10_000 + 77 * 2_000)


async def test_a_body_that_never_comes_whole_is_nobodys_call(house: House) -> None:
    customer = await house.customer("1")
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(house.url).port)
    writer.write(head(customer, 500) + b"{")
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    await writer.wait_closed()
    del reader
    await asyncio.sleep(0.2)
    assert await customer.records() == []
    assert house.upstream.heard == []


def head(customer: Customer, length: int) -> bytes:
    """The head of a request, for clients that are not quite in order."""
    lines = ("POST /api/v1/chat/completions HTTP/1.1", "host: x", f"content-length: {length}")
    return "\r\n".join((*lines, f"authorization: Bearer {customer.key}", "", "")).encode()


# ── clients who are slow ──────────────────────────────────────────────────────────────────────────


async def test_a_slow_client_slows_the_provider_down(house: House) -> None:
    """G12: what a client does not take is not kept for it."""
    customer = await house.customer("1")
    sent = 0
    piece = "x" * 100_000

    async def script(speaker: Speaker) -> None:
        nonlocal sent
        for _ in range(200):
            await speaker.event(chunk(piece))
            sent += 1
        await speaker.event(chunk(finish="stop"))
        await speaker.event(chunk(usage=usage(10, 77)) | {"choices": []})
        await speaker.event("[DONE]")
        await speaker.end()

    house.upstream.script = script
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", httpx.URL(house.url).port, limit=2**16
    )
    body = b'{"model":"gpt-up","stream":true,"messages":[{"role":"user","content":"Hi"}]}'
    writer.write(head(customer, len(body)) + body)
    await reader.readuntil(b"data: ")
    await asyncio.sleep(1)
    waiting = sent
    assert waiting < 150, "20 MB are on their way, and nobody takes them"
    while b"[DONE]" not in await reader.read(2**20):
        pass
    writer.close()
    await writer.wait_closed()
    assert sent == 200
    await charged(customer, "provider", 10_000 + 77 * 2_000)


async def test_a_client_that_takes_nothing_counts_as_one_that_left(hasty_house: House) -> None:
    customer = await hasty_house.customer("1")

    async def script(speaker: Speaker) -> None:
        for _ in range(60):
            await speaker.event(chunk("x" * 200_000))
        await speaker.event(chunk(finish="stop"))
        await speaker.event(chunk(usage=usage(10, 77)) | {"choices": []})
        await speaker.event("[DONE]")
        await speaker.end()

    hasty_house.upstream.script = script
    # A small window, or the system itself would take the better part of it.
    taker = socket.socket()
    taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    taker.connect(("127.0.0.1", httpx.URL(hasty_house.url).port or 0))
    _, writer = await asyncio.open_connection(sock=taker, limit=2**16)
    body = b'{"model":"gpt-up","stream":true,"messages":[{"role":"user","content":"Hi"}]}'
    writer.write(head(customer, len(body)) + body)
    await charged(customer, "partial", 10_000 + 77 * 2_000)
    writer.close()
    await asyncio.sleep(0)


async def test_errors_of_a_client_library_are_none_of_ours(house: House) -> None:
    """An exception in the loop over a stream, as it happens in real programs."""
    customer = await house.customer("1")
    house.upstream.script = message_streams(*WORDS, pause=0.01)
    with pytest.raises(ZeroDivisionError):
        async with (
            customer.anthropic() as client,
            client.messages.stream(model="claude-up", messages=HI, max_tokens=100) as stream,
        ):
            async for _ in stream:
                raise ZeroDivisionError
    await charged(customer, "partial", 20_000)
