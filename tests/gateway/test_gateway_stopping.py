"""How it stops (G13): what is under way ends and is settled, or is cut and settled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import openai
import pytest
from gateway_house import DOLLAR, House, open_house
from gateway_upstream import Speaker, completion, streams, usage

from tollkeeper.db import Database

HI: Any = [{"role": "user", "content": "Hi"}]
WORDS = ["Twelve letters"] * 10


async def slowly(speaker: Speaker) -> None:
    await asyncio.sleep(0.6)
    await speaker.whole(completion())


async def test_what_is_under_way_ends_within_the_grace(database: Database) -> None:
    async with open_house(database) as house:
        customer = await house.customer("1")
        async with customer.openai() as client:
            house.upstream.script = slowly
            whole = asyncio.create_task(client.chat.completions.create(model="gpt-up", messages=HI))
            await begun(house, 1)
            house.upstream.script = streams(*WORDS, with_usage=usage(10, 5), pause=0.05)
            stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
            await begun(house, 2)
            assert house.gateway.running == 2
            draining = asyncio.create_task(house.gateway.drain(5))
            await asyncio.sleep(0.05)
            with pytest.raises(openai.InternalServerError) as raised:
                await client.chat.completions.create(model="gpt-up", messages=HI)
            assert raised.value.status_code == 503
            assert raised.value.code == "server_stopping"
            chunks: list[Any] = [chunk async for chunk in stream]
            got: Any = await whole
            assert await draining == 0
        assert (chunks[-1].cost, got.cost) == (0.00002, 0.00002)
        assert await customer.balance() == DOLLAR - 40_000
        assert (await customer.wallet()).held == 0


async def test_what_does_not_end_is_cut_and_settled(database: Database) -> None:
    async with open_house(database) as house:
        customer = await house.customer("1")

        async def never(speaker: Speaker) -> None:
            del speaker
            await asyncio.sleep(5)

        async with customer.openai() as client:
            house.upstream.script = never
            whole = asyncio.create_task(client.chat.completions.create(model="gpt-up", messages=HI))
            await begun(house, 1)
            house.upstream.script = streams(*WORDS * 20, pause=0.05)
            stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
            await begun(house, 2)
            assert await house.gateway.drain(2) == 0
            with pytest.raises(openai.APIError) as broken:
                _ = [chunk async for chunk in stream]
            with pytest.raises(openai.InternalServerError) as refused:
                await whole
        assert broken.value.code == "server_stopping"
        assert refused.value.status_code == 503
        records = sorted(await customer.records(), key=lambda record: record["amount"])
        assert [record["source"] for record in records] == ["none", "partial"]
        assert records[1]["amount"] > 0
        assert await customer.balance() == DOLLAR - records[1]["amount"]
        assert (await customer.wallet()).held == 0


async def test_a_stream_whose_client_left_is_waited_for(database: Database) -> None:
    async with open_house(database) as house:
        customer = await house.customer("1")
        house.upstream.script = streams(*WORDS, with_usage=usage(10, 5), pause=0.05)
        async with customer.openai() as client:
            stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
            await stream.close()
        assert await house.gateway.drain(5) == 0
        assert await customer.balance() == DOLLAR - 20_000


async def test_a_request_still_being_read_is_refused_and_its_key_left_free(
    database: Database,
) -> None:
    async with open_house(database) as house:
        customer = await house.customer("1")
        whole = json.dumps({"model": "gpt-up", "messages": HI}).encode()
        arrived = asyncio.Event()

        async def in_pieces() -> AsyncIterator[bytes]:
            yield whole[:10]
            await arrived.wait()
            yield whole[10:]

        async with aiohttp.ClientSession() as session:
            headers = {
                "authorization": f"Bearer {customer.key}",
                "content-type": "application/json",
                "idempotency-key": "once",
            }
            url = f"{house.url}/chat/completions"
            asked = asyncio.create_task(session.post(url, data=in_pieces(), headers=headers))
            await asyncio.sleep(0.2)
            assert await house.gateway.drain(1) == 0
            arrived.set()
            async with await asked as answer:
                assert answer.status == 503
                assert (await answer.json())["error"]["code"] == "server_stopping"
        assert house.upstream.heard == []
        async with database.connection() as connection:
            taken = await connection.execute(
                "SELECT key FROM idempotency WHERE leased_until > %s", (datetime.now(UTC),)
            )
            assert await taken.fetchall() == []
        assert await customer.balance() == DOLLAR


async def begun(house: House, calls: int) -> None:
    for _ in range(500):
        if len(house.upstream.heard) >= calls:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the call did not reach the provider")
