"""Many at once (B1): the money is spent to the last call and not beyond."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from gateway_costs import nanos
from gateway_house import DOLLAR, House
from gateway_upstream import Speaker, answers, completion, streams, usage

from tollkeeper.base.money import format_nanos
from tollkeeper.orgs import revoke_key

HI: Any = [{"role": "user", "content": "Hi"}]


async def test_two_hundred_calls_on_a_balance_that_pays_for_37(house: House) -> None:
    """Each uses all that is held for it but a thousandth of a cent, so no 38th ever fits."""
    customer = await house.customer("0")
    house.upstream.script = answers(completion())
    body = {"model": "gpt-up", "messages": HI, "max_tokens": 5}
    probe = await customer.post("/chat/completions", body)
    held = nanos(probe.json()["error"]["metadata"]["required"])
    prompt = (held - 5 * 2_000) // 1_000
    said = usage(prompt, 5)
    cost = prompt * 1_000 + 5 * 2_000
    await house.grant(customer, format_nanos(37 * held))

    async def script(speaker: Speaker) -> None:
        await asyncio.sleep(0.3)
        await speaker.whole(completion(usage=said))

    house.upstream.script = script
    answered = await asyncio.gather(*(customer.post("/chat/completions", body) for _ in range(200)))
    statuses = [answer.status_code for answer in answered]
    assert (statuses.count(200), statuses.count(402)) == (37, 163)
    wallet = await customer.wallet()
    assert wallet.held == 0
    assert wallet.posted == 37 * (held - cost)
    assert 0 <= wallet.posted < held
    assert len(house.upstream.heard) == 37
    assert [record["amount"] for record in await customer.records()] == [cost] * 37


async def test_streams_and_whole_answers_share_one_balance(house: House) -> None:
    customer = await house.customer("0.003")
    body: Any = {"model": "gpt-up", "messages": HI, "max_tokens": 100}

    async def script(speaker: Speaker) -> None:
        if speaker.heard.body.get("stream"):
            await streams("a", "b", with_usage=usage(10, 100), pause=0.02)(speaker)
        else:
            await speaker.whole(completion(usage=usage(10, 100)))

    house.upstream.script = script
    answered = await asyncio.gather(
        *(
            customer.post("/chat/completions", body | {"stream": bool(number % 2)})
            for number in range(60)
        )
    )
    good = [answer for answer in answered if answer.status_code == 200]
    assert 0 < len(good) < 60
    wallet = await customer.wallet()
    assert wallet.posted == 3_000_000 - len(good) * 210_000
    assert wallet.posted >= 0
    assert wallet.held == 0


async def test_a_key_that_is_revoked_in_mid_flight(house: House) -> None:
    """The call under way ends and is charged; the next is refused within a second."""
    customer = await house.customer("1")
    house.upstream.script = streams(*["word "] * 30, with_usage=usage(10, 5), pause=0.05)
    async with customer.openai() as client:
        stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
        chunks: list[Any] = [await anext(stream)]
        async with house.database.transaction() as tx:
            await revoke_key(tx, customer.org_id, customer.key_id, house.clock.now())
        await asyncio.sleep(1)
        with pytest.raises(openai.AuthenticationError, match="revoked"):
            await client.chat.completions.create(model="gpt-up", messages=HI)
        chunks += [chunk async for chunk in stream]
    assert chunks[-1].cost == 0.00002
    assert await customer.balance() == DOLLAR - 20_000
    await customer.nothing_held()
