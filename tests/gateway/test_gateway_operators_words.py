"""What providers say of the operator's account reaches no customer and no record of his (G14)."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest
from gateway_house import DOLLAR, House
from gateway_upstream import Script, Speaker, answers, chunk, completion, message
from structlog.testing import capture_logs

HI: Any = [{"role": "user", "content": "Hi"}]
CHAT = {"model": "gpt-up", "messages": HI}
ACCOUNT = {
    "message": "You exceeded your current quota, see your billing details: upstream-secret-0123",
    "type": "insufficient_quota",
    "code": "insufficient_quota",
}
REFUSED = "The provider did not accept this gateway's request"
LIMITED = "Rate limit reached at the provider: send less, or later"


def events(*data: dict[str, Any], named: bool = False) -> Script:
    async def script(speaker: Speaker) -> None:
        for one in data:
            await speaker.event(one, one["type"] if named else None)
        await speaker.end()

    return script


@pytest.mark.parametrize("text", ["", "Twelve letters"])
async def test_the_operators_quota_ends_a_stream_without_a_word_of_it(
    house: House, text: str
) -> None:
    """Before the first words, and after."""
    customer = await house.customer("1")
    house.upstream.script = events(chunk(text), {"error": ACCOUNT})
    async with customer.openai() as client:
        stream = await client.chat.completions.create(model="gpt-up", messages=HI, stream=True)
        with pytest.raises(openai.APIError) as raised:
            _ = [one async for one in stream]
    assert (raised.value.message, raised.value.code) == (REFUSED, "upstream_refused")
    record = await customer.record()
    assert record["detail"]["error"] == REFUSED
    assert "secret" not in json.dumps(record)


async def test_a_failed_response_tells_as_little(house: House) -> None:
    customer = await house.customer("1")
    begun = {"id": "r", "object": "response", "status": "in_progress", "output": []}
    failed = begun | {"status": "failed", "error": ACCOUNT}
    house.upstream.script = events(
        {"type": "response.created", "response": begun},
        {"type": "response.output_text.delta", "delta": "Twelve letters"},
        {"type": "response.failed", "response": failed},
        named=True,
    )
    async with customer.openai() as client:
        stream = await client.responses.create(model="gpt-up", input="Hi", stream=True)
        last: Any = [event async for event in stream][-1]
    assert last.type == "response.failed"
    assert last.response.error.code == "upstream_refused"
    assert last.response.error.message == REFUSED
    assert last.response.cost > 0
    record = await customer.record()
    assert record["source"] == "partial"
    assert record["detail"]["error"] == REFUSED


async def test_a_failed_response_says_in_the_log_what_failed(house: House) -> None:
    customer = await house.customer("1")
    error = {"code": "server_error", "message": "The model stumbled"}
    failed = {"id": "r", "status": "failed", "output": [], "error": error, "usage": None}
    house.upstream.script = events(
        {"type": "response.output_text.delta", "delta": "Twelve letters"},
        {"type": "response.failed", "response": failed},
        named=True,
    )
    answer = await customer.post("/responses", {"model": "gpt-up", "input": "Hi", "stream": True})
    assert answer.text.count("The model stumbled") == 1
    record = await customer.record()
    assert record["detail"]["error"] == "The model stumbled"
    assert record["detail"]["rating"]["usage"]["output"] == 4


async def test_a_response_that_fails_before_any_output_is_an_error_with_a_status(
    house: House,
) -> None:
    customer = await house.customer("1")
    error = {"code": "server_error", "message": "The model stumbled"}
    failed = {"id": "r", "status": "failed", "output": [], "error": error, "usage": None}
    house.upstream.script = events({"type": "response.failed", "response": failed}, named=True)
    async with customer.openai() as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await client.responses.create(model="gpt-up", input="Hi", stream=True)
    assert (raised.value.code, raised.value.status_code) == ("server_error", 502)
    record = await customer.record()
    assert (record["amount"], record["detail"]["error"]) == (0, "The model stumbled")


async def test_anthropics_word_on_the_operators_credit_is_not_a_402_of_ours(house: House) -> None:
    customer = await house.customer("1")
    said = "Your credit balance is too low to access the Anthropic API. Go to Plans & Billing."
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": said}}
    house.upstream.script = answers(error, 400)
    async with customer.anthropic() as client:
        with pytest.raises(anthropic.APIStatusError) as raised, capture_logs() as logged:
            await client.messages.create(model="claude-up", messages=HI, max_tokens=10)
    assert raised.value.status_code == 502
    assert "credit" not in json.dumps(raised.value.body)
    assert (await customer.record())["detail"]["error"] == REFUSED
    told = [line for line in logged if line["event"] == "provider_refused"]
    assert [(line["provider"], line["said"]) for line in told] == [("claude", said)]

    begin = message() | {"content": [], "usage": {"input_tokens": 10, "output_tokens": 1}}
    start = {"type": "message_start", "message": begin}
    house.upstream.script = events(start, error, named=True)
    async with customer.anthropic() as client:
        stream = await client.messages.create(
            model="claude-up", messages=HI, max_tokens=10, stream=True
        )
        with pytest.raises(anthropic.APIError) as broken:
            _ = [event async for event in stream]
    assert "credit" not in json.dumps(broken.value.body)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_limit_of_the_providers_is_told_without_its_numbers(
    house: House, stream: bool
) -> None:
    customer = await house.customer("1")
    said = "Rate limit reached for gpt-up in organization org-abcdefghij: Limit 30000, Used 29000"
    error = {"message": said, "type": "tokens", "code": "rate_limit_exceeded"}
    house.upstream.script = answers({"error": error}, 429, retry_after="7")
    async with customer.openai() as client:
        with pytest.raises(openai.RateLimitError) as raised:
            await client.chat.completions.create(model="gpt-up", messages=HI, stream=stream)
    assert raised.value.code == "rate_limit_exceeded"
    assert raised.value.response.json()["error"]["message"] == LIMITED
    assert raised.value.response.headers["retry-after"] == "7"
    record = await customer.record()
    assert (record["status"], record["amount"], record["source"]) == (429, 0, "none")
    assert (await customer.balance(), (await customer.wallet()).held) == (DOLLAR, 0)
    assert record["detail"]["error"] == LIMITED


async def test_an_error_beside_an_answer_says_as_little(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion(error=ACCOUNT))
    got = (await customer.post("/chat/completions", CHAT)).json()
    assert got["choices"]
    assert got["error"]["message"] == REFUSED
    assert (await customer.record())["detail"]["error"] == REFUSED
