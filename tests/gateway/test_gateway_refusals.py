"""What is refused before anything is sent (G1, G2, G3), in the shape of the client's dialect."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx
import openai
import pytest
from gateway_costs import nanos
from gateway_house import DOLLAR, Customer, House
from gateway_upstream import answers, completion, message

HI: Any = [{"role": "user", "content": "Hi"}]
CHAT = {"model": "gpt-up", "messages": HI}
MESSAGE = {"model": "claude-up", "messages": HI, "max_tokens": 100}
FREE = "0.000001"  # a balance that pays for nothing here


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """Check that this is an error as OpenAI's clients read it, and give it."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    error = answer.json()["error"]
    assert isinstance(error["message"], str)
    assert isinstance(error["type"], str)
    assert isinstance(error["code"], str)
    assert "param" in error
    return error


async def nothing_happened(house: House, customer: Customer) -> None:
    assert house.upstream.heard == []
    assert await customer.records() == []
    assert (await customer.wallet()).held == 0


# ── who asks ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer sk-something"},
        {"authorization": "Bearer tk_live_" + "x" * 43},
        {"authorization": "Basic dGs6dGs="},
    ],
)
async def test_no_key_or_a_wrong_one(house: House, headers: dict[str, str]) -> None:
    customer = await house.customer("1")
    answer = await customer.post("/chat/completions", CHAT, **headers)
    assert answer.status_code == 401
    assert error_of(answer)["code"] == "invalid_api_key"
    assert error_of(answer)["type"] == "authentication_error"
    await nothing_happened(house, customer)


async def test_the_clients_raise_their_own_authentication_errors(house: House) -> None:
    stranger = "tk_live_" + "y" * 43
    async with openai.AsyncOpenAI(base_url=house.url, api_key=stranger) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="gpt-up", messages=HI)
    base = house.url.removesuffix("/v1")
    async with anthropic.AsyncAnthropic(base_url=base, api_key=stranger) as other:
        with pytest.raises(anthropic.AuthenticationError):
            await other.messages.create(model="claude-up", messages=HI, max_tokens=10)


# ── out of credit ─────────────────────────────────────────────────────────────────────────────────


async def test_402_says_exactly_what_is_missing(house: House) -> None:
    """B3: what it needs, what there is, and the limit with which it would fit."""
    customer = await house.customer("0.001")
    async with customer.openai(max_retries=2) as client:
        with pytest.raises(openai.APIStatusError) as raised:
            await client.chat.completions.create(model="gpt-up", messages=HI, max_tokens=1_000)
    refused = raised.value
    assert refused.status_code == 402
    assert refused.response.headers["x-should-retry"] == "false"
    assert refused.code == "insufficient_credits"
    error = refused.response.json()["error"]
    metadata = error["metadata"]
    assert metadata["currency"] == "USD"
    assert metadata["limitSource"] == "balance"
    assert metadata["topUpUrl"] == "https://billing.example/top-up"
    assert nanos(metadata["available"]) == 1_000_000
    # 1,000 tokens of output at 2,000 nanos, and the body at 1,000 nanos a byte.
    assert 2_000_000 < nanos(metadata["required"]) < 2_500_000
    assert house.counted("calls_total", dialect="chat", outcome="out_of_credit") >= 1
    await nothing_happened(house, customer)


@pytest.mark.parametrize("body", [CHAT, CHAT | {"max_tokens": 3_000}, CHAT | {"n": 3}])
async def test_the_affordable_limit_is_the_largest_that_fits(
    house: House, body: dict[str, Any]
) -> None:
    customer = await house.customer("0.001")
    house.upstream.script = answers(completion())
    refused = await customer.post("/chat/completions", body)
    assert refused.status_code == 402
    limit = error_of(refused)["metadata"]["affordableMaxTokens"]
    assert limit > 0
    # A little above, the body counts itself: the limit has as many digits again.
    above = await customer.post("/chat/completions", body | {"max_tokens": limit + 50})
    assert above.status_code == 402
    fits = await customer.post("/chat/completions", body | {"max_tokens": limit})
    assert fits.status_code == 200
    assert house.upstream.last["max_tokens"] == limit


async def test_input_beyond_the_balance_leaves_no_limit(house: House) -> None:
    customer = await house.customer(FREE)
    for body in (CHAT, CHAT | {"max_tokens": 5}):
        refused = await customer.post("/chat/completions", body)
        assert refused.status_code == 402
        assert error_of(refused)["metadata"]["affordableMaxTokens"] == 0


async def test_a_balance_of_zero_stops_every_call(house: House) -> None:
    """W3, O5, E5."""
    customer = await house.customer("0")
    for path, body in (
        ("/chat/completions", CHAT),
        ("/chat/completions", CHAT | {"stream": True}),
        ("/responses", {"model": "gpt-up", "input": "Hi"}),
        ("/embeddings", {"model": "embed-up", "input": "Hi"}),
        ("/messages", MESSAGE),
        ("/images/generations", {"model": "dall-up", "prompt": "Hi"}),
        ("/audio/speech", {"model": "tts-up", "input": "Hi", "voice": "v"}),
    ):
        refused = await customer.post(path, body)
        assert refused.status_code == 402, (path, refused.text)
        assert refused.headers["x-should-retry"] == "false"
        metadata = refused.json()["error"]["metadata"]
        assert nanos(metadata["available"]) == 0
        assert nanos(metadata["required"]) > 0
    await nothing_happened(house, customer)


async def test_anthropics_client_gets_a_billing_error_and_does_not_retry(house: House) -> None:
    customer = await house.customer(FREE)
    async with customer.anthropic(max_retries=2) as client:
        with pytest.raises(anthropic.APIStatusError) as raised:
            await client.messages.create(model="claude-up", messages=HI, max_tokens=100)
    body: Any = raised.value.body
    assert raised.value.status_code == 402
    assert body["type"] == "error"
    assert body["error"]["type"] == "billing_error"
    assert body["error"]["code"] == "insufficient_credits"
    assert body["error"]["metadata"]["affordableMaxTokens"] == 0
    await nothing_happened(house, customer)


async def test_a_clamped_call_answers_within_the_money(house: House) -> None:
    customer = await house.customer("0.001")
    house.upstream.script = answers(completion())
    body = CHAT | {"max_tokens": 3_000}
    answer = await customer.post("/chat/completions", body, x_tollkeeper_clamp="true")
    assert answer.status_code == 200
    cap = house.upstream.last["max_tokens"]
    assert 0 < cap < 3_000
    heard = json.dumps(body, separators=(",", ":"))
    # Bytes and framing at 1,000 nanos, output at 2,000: all of it but less than one more token.
    assert 1_000_000 - 2_000 * (cap + 1) < 1_000 * (len(heard) + 100)
    record = await customer.record()
    assert 1_000_000 - 4_000 < record["held"] <= 1_000_000


@pytest.mark.parametrize(
    ("key_clamps", "header", "status"),
    [(True, None, 200), (True, "false", 402), (False, None, 402), (False, "true", 200)],
)
async def test_the_header_goes_before_the_keys_setting(
    house: House, key_clamps: bool, header: str | None, status: int
) -> None:
    customer = await house.customer("0.001", clamp=key_clamps)
    house.upstream.script = answers(completion())
    said = {} if header is None else {"x_tollkeeper_clamp": header}
    assert (await customer.post("/chat/completions", CHAT, **said)).status_code == status


async def test_what_cannot_be_clamped_is_refused_all_the_same(house: House) -> None:
    customer = await house.customer(FREE)
    for path, body in (
        ("/chat/completions", CHAT),
        ("/embeddings", {"model": "embed-up", "input": "Hi"}),
        ("/images/generations", {"model": "dall-up", "prompt": "Hi"}),
    ):
        refused = await customer.post(path, body, x_tollkeeper_clamp="true")
        assert refused.status_code == 402
    assert "affordableMaxTokens" not in refused.json()["error"]["metadata"]


# ── models ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_model_without_a_price_is_refused(house: House) -> None:
    """B5: before anything is sent, and never as free."""
    customer = await house.customer("1")
    refused = await customer.post("/chat/completions", {"model": "unpriced-1", "messages": HI})
    assert refused.status_code == 422
    assert error_of(refused)["code"] == "model_not_priced"
    await nothing_happened(house, customer)


async def test_a_model_with_half_a_price_is_refused(house: House) -> None:
    customer = await house.customer("1")
    refused = await customer.post("/chat/completions", {"model": "gpt-half", "messages": HI})
    assert refused.status_code == 422
    assert error_of(refused)["metadata"]["units"] == ["output"]
    await nothing_happened(house, customer)


async def test_a_tier_without_a_price_is_refused(house: House) -> None:
    customer = await house.customer("1")
    refused = await customer.post("/chat/completions", CHAT | {"service_tier": "priority"})
    assert refused.status_code == 422
    assert error_of(refused)["metadata"]["serviceTier"] == "priority"
    await nothing_happened(house, customer)


async def test_an_unknown_model(house: House) -> None:
    customer = await house.customer("1")
    async with customer.openai() as client:
        with pytest.raises(openai.NotFoundError) as raised:
            await client.chat.completions.create(model="nobody-has-it", messages=HI)
    assert raised.value.code == "model_not_found"
    async with customer.anthropic() as other:
        with pytest.raises(anthropic.NotFoundError):
            await other.messages.create(model="nobody-has-it", messages=HI, max_tokens=5)
    await nothing_happened(house, customer)


async def test_a_model_through_the_wrong_endpoint(house: House) -> None:
    customer = await house.customer("1")
    refused = await customer.post("/messages", MESSAGE | {"model": "gpt-up"})
    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "not_offered"
    refused = await customer.post("/chat/completions", CHAT | {"model": "claude-up"})
    assert error_of(refused)["code"] == "not_offered"
    await nothing_happened(house, customer)


async def test_a_call_that_nothing_limits_is_refused(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    unlimited = {"model": "gpt-nolimit", "messages": HI}
    refused = await customer.post("/chat/completions", unlimited)
    assert refused.status_code == 400
    assert error_of(refused)["code"] == "unbounded_request"
    assert error_of(refused)["param"] == "max_tokens"
    fine = await customer.post("/chat/completions", unlimited | {"max_tokens": 10})
    assert fine.status_code == 200
    image = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}
    pictured = unlimited | {"messages": [{"role": "user", "content": [image]}], "max_tokens": 5}
    refused = await customer.post("/chat/completions", pictured)
    assert error_of(refused)["code"] == "unbounded_request"


async def test_a_window_that_is_the_only_limit_is_not_sent(house: House) -> None:
    """Some servers refuse a limit that leaves no room for the input."""
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    body = {"model": "gpt-window", "messages": HI}
    assert (await customer.post("/chat/completions", body)).status_code == 200
    assert "max_tokens" not in house.upstream.last
    assert (await customer.record())["held"] >= 100_000 * 2_000


# ── bodies and headers ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe{}",
        b'{"model": "gpt-up"}',
        b'{"model": "gpt-up", "messages": []}',
        b'{"model": 5, "messages": [{"role": "user"}]}',
        b'{"model": "gpt-up", "messages": [{"role": "user", "content": 5}]}',
        b'{"model": "gpt-up", "messages": [{"role":"user"}], "max_tokens": -1}',
        b'{"model": "gpt-up", "messages": [{"role":"user"}], "max_tokens": 1e400}',
        b'{"model": "gpt-up", "messages": [{"role":"user"}], "max_tokens": NaN}',
        b'{"model": "gpt-up", "messages": [{"role":"user"}], "n": 1000000}',
        b'{"model": "gpt-up", "messages": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"model": "' + b"x" * 5_000 + b'", "messages": [{"role": "user"}]}',
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    ],
    ids=range(17),
)
async def test_bodies_that_are_none(house: House, body: bytes) -> None:
    customer = await house.customer("1")
    refused = await customer.post("/chat/completions", body)
    assert refused.status_code == 400, refused.text
    assert error_of(refused)["type"] == "invalid_request_error"
    refused = await customer.post("/messages", body)
    assert refused.status_code == 400, refused.text
    assert refused.json()["type"] == "error"
    await nothing_happened(house, customer)


async def test_a_body_that_is_too_large(house: House) -> None:
    customer = await house.customer("1")
    huge = json.dumps(CHAT | {"messages": [{"role": "user", "content": "x" * 40_000_000}]})
    refused = await customer.post("/chat/completions", huge.encode())
    assert refused.status_code == 413
    assert error_of(refused)["code"] == "payload_too_large"
    assert error_of(refused)["metadata"]["limit"] == 32 * 2**20
    refused = await customer.post("/messages", huge.encode())
    assert refused.status_code == 413
    assert refused.json()["error"]["type"] == "request_too_large"
    await nothing_happened(house, customer)


async def test_a_large_body_that_may_be(house: House) -> None:
    customer = await house.customer("100")
    house.upstream.script = answers(completion())
    body = CHAT | {"messages": [{"role": "user", "content": "x" * 10_000_000}], "max_tokens": 5}
    # The hold is bounded by the model's window, not by ten million bytes.
    answer = await customer.post("/chat/completions", body)
    assert answer.status_code == 200, answer.text
    assert (await customer.record())["held"] <= 100_000 * 1_000 + 5 * 2_000 + 10


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"],
)
async def test_a_wrong_content_type(house: House, content_type: str) -> None:
    customer = await house.customer("1")
    refused = await customer.post("/chat/completions", CHAT, content_type=content_type)
    assert refused.status_code == 415
    assert error_of(refused)["code"] == "unsupported_media_type"
    await nothing_happened(house, customer)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x_tags", "not json"),
        ("x_tags", "[1]"),
        ("x_tags", '{"a": {"b": 1}}'),
        ("x_tags", '{"a": null}'),
        ("x_tags", '{"": "x"}'),
        ("x_tags", json.dumps({f"t{n}": "x" for n in range(33)})),
        ("x_tags", json.dumps({"a": "x" * 300})),
        ("x_tags", json.dumps({"a": "x" * 10_000})),
        ("x_tags", '{"a":' * 2_000 + "1" + "}" * 2_000),
        ("x_thread_id", "x" * 257),
        ("x_thread_id", "a\tb"),
        ("x_end_user_id", "x" * 10_000),
        ("x_tollkeeper_clamp", "perhaps"),
        ("idempotency_key", "x" * 300),
        ("content_encoding", "gzip"),
    ],
)
async def test_headers_that_cannot_be(house: House, name: str, value: str) -> None:
    customer = await house.customer("1")
    refused = await customer.post("/chat/completions", CHAT, **{name: value})
    assert refused.status_code == 400, refused.text
    assert name.replace("_", "-") in error_of(refused)["message"].lower()
    await nothing_happened(house, customer)


async def test_all_header_faults_are_named_at_once(house: House) -> None:
    customer = await house.customer("1")
    refused = await customer.post(
        "/chat/completions", CHAT, x_tags="no", x_thread_id="x" * 999, x_tollkeeper_clamp="no?"
    )
    for name in ("x-tags", "x-thread-id", "x-tollkeeper-clamp"):
        assert name in error_of(refused)["message"]


async def test_paths_and_methods_that_are_not(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.url, timeout=30) as client:
        for method, path, status in (
            ("GET", "/chat/completions", 405),
            ("PUT", "/messages", 405),
            ("POST", "/models", 405),
            ("POST", "/chat/completion", 404),
            ("POST", "/messages/count_tokens", 404),
        ):
            answer = await client.request(method, path, json={})
            assert answer.status_code == status, (method, path)
            assert answer.headers["x-request-id"]
            assert answer.json()["error"]


async def test_a_refusal_of_one_kind_leaves_the_next_call_alone(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(message())
    async with httpx.AsyncClient(base_url=house.url, timeout=30) as client:
        headers = {"x-api-key": customer.key, "content-type": "application/json"}
        refused = await client.post("/messages", content=b"{", headers=headers)
        fine = await client.post("/messages", json=MESSAGE, headers=headers)
    assert (refused.status_code, fine.status_code) == (400, 200)
    assert await customer.balance() == DOLLAR - 20_000
