"""Calls of models that are paid in another currency (V2): E1 says what was deducted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from gateway_costs import nanos
from gateway_house import Customer, House, open_house
from gateway_upstream import answers, completion, streams

from tollkeeper import ledger
from tollkeeper.base.ids import uuid7
from tollkeeper.base.money import PositiveMoneyIn, parse_nanos
from tollkeeper.base.settings import Currency
from tollkeeper.db import Database
from tollkeeper.ledger import EntryKind, LotKind, NewLot, Posting

# $1 for a million tokens of input and $2 of output; one DIEM is worth $0.10.
CHAT: Any = {"model": "gpt-up", "messages": [{"role": "user", "content": "Hi"}]}
CURRENCIES = {"DIEM": Currency(usd_value=PositiveMoneyIn(100_000_000)), "USD": Currency()}


@pytest.fixture
async def diem_house(database: Database) -> AsyncIterator[House]:
    async with open_house(database, currencies=CURRENCIES) as opened:
        opened.upstream.script = answers(completion())
        yield opened


async def grant_diem(customer: Customer, amount: str) -> Customer:
    """Give DIEM; return the same customer with that wallet as the one looked at."""
    house = customer.house
    now = house.clock.now()
    async with house.database.transaction() as tx:
        wallet = await ledger.open_wallet(
            tx,
            org_id=customer.org_id,
            wallet_id=uuid7(),
            livemode=True,
            currency="DIEM",
            now=now,
        )
        posting = Posting(
            org_id=customer.org_id,
            wallet_id=wallet.wallet_id,
            entry_id=uuid7(),
            kind=EntryKind.GRANT,
            amount=parse_nanos(amount),
            lot=NewLot(kind=LotKind.PROMOTIONAL),
        )
        await ledger.post(tx, posting, now)
    more = {name: getattr(customer, name) for name in ("org_id", "project_id", "key_id", "key")}
    return Customer(house, wallet_id=wallet.wallet_id, **more)


async def held_and_posted(customer: Customer) -> tuple[int, int]:
    wallet = await customer.wallet()
    return wallet.held, wallet.posted


async def test_the_answer_says_dollars_and_what_was_deducted(diem_house: House) -> None:
    """10 tokens read and 5 written: $0.00002, which are 0.0002 DIEM."""
    dollars = await diem_house.customer("1")
    diem = await grant_diem(dollars, "1")
    answer = await dollars.post("/chat/completions", CHAT)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert nanos(body["cost"]) == nanos(body["usage"]["cost"]) == 20_000
    details = body["usage"]["cost_details"]
    assert details["currency"] == "DIEM"
    assert nanos(details["deducted"]) == 200_000
    assert nanos(details["upstream_inference_prompt_cost"]) == 10_000
    shown = {
        name: answer.headers[f"x-tollkeeper-{name}"] for name in ("cost", "balance", "currency")
    }
    assert shown == {"cost": "0.00002", "balance": "0.9998", "currency": "DIEM"}
    record = await diem.record()
    assert (record["amount"], record["detail"]["currency"]) == (200_000, "DIEM")
    assert record["detail"]["usdValue"] == 100_000_000
    assert await held_and_posted(diem) == (0, 999_800_000)
    assert await held_and_posted(dollars) == (0, 1_000_000_000)


async def test_a_stream_says_it_too(diem_house: House) -> None:
    dollars = await diem_house.customer("0")
    diem = await grant_diem(dollars, "1")
    diem_house.upstream.script = streams("Hello")
    async with diem.openai() as client:
        stream = await client.chat.completions.create(
            model="gpt-up",
            messages=CHAT["messages"],
            stream=True,
            stream_options={"include_usage": True},
        )
        last: Any = [chunk async for chunk in stream][-1].to_dict()
    details = last["usage"]["cost_details"]
    assert details["currency"] == "DIEM"
    assert nanos(details["deducted"]) == 10 * nanos(last["cost"]) > 0
    assert (await diem.record())["amount"] == nanos(details["deducted"])


async def test_the_next_wallet_pays_what_the_first_does_not_cover(diem_house: House) -> None:
    dollars = await diem_house.customer("1")
    diem = await grant_diem(dollars, "0.0000001")
    answer = await dollars.post("/chat/completions", CHAT)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-tollkeeper-balance"] == "0.99998"
    assert "x-tollkeeper-currency" not in answer.headers
    assert "currency" not in answer.json()["usage"]["cost_details"]
    assert await held_and_posted(diem) == (0, 100)


async def test_the_best_wallet_says_what_is_affordable(diem_house: House) -> None:
    """Refused in dollars, with the limit that the DIEM would pay; a clamp uses them."""
    dollars = await diem_house.customer("0.0001")
    diem = await grant_diem(dollars, "0.01")  # $0.001
    refused = await dollars.post("/chat/completions", CHAT)
    assert refused.status_code == 402
    metadata = refused.json()["error"]["metadata"]
    assert (metadata["currency"], metadata["available"]) == ("USD", 0.0001)
    limit = metadata["affordableMaxTokens"]
    assert 400 < limit < 500
    fits = await dollars.post("/chat/completions", CHAT | {"max_tokens": limit})
    assert fits.status_code == 200
    assert fits.headers["x-tollkeeper-currency"] == "DIEM"
    clamped = await dollars.post("/chat/completions", CHAT, x_tollkeeper_clamp="true")
    assert clamped.status_code == 200
    assert clamped.headers["x-tollkeeper-currency"] == "DIEM"
    assert await held_and_posted(diem) == (0, 10_000_000 - 2 * 200_000)


async def test_a_call_that_fails_gives_back_what_it_held(diem_house: House) -> None:
    diem = await grant_diem(await diem_house.customer("1"), "1")
    diem_house.upstream.script = answers({"error": {"message": "no"}}, 500)
    failed = await diem.post("/chat/completions", CHAT)
    assert failed.status_code >= 500
    await diem.nothing_held()
    assert (await diem.record())["detail"]["currency"] == "DIEM"
    assert await diem.balance() == 1_000_000_000
