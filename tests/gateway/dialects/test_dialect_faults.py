"""Errors in the shape of each dialect, and none of the operator's secrets in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from wire_streams import chunks, run

from tollkeeper.base.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    TollkeeperError,
    Unauthenticated,
    Unavailable,
)
from tollkeeper.base.money import Money
from tollkeeper.gateway.dialects import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, SPEECH, Dialect


class OutOfCredit(TollkeeperError):
    """There is not enough credit"""

    code = "insufficient_credits"
    status = 402


BROKE = OutOfCredit(
    "This call may cost up to 0.4, and 0.02 is available",
    required=Money(400_000_000),
    available=Money(20_000_000),
    currency="USD",
    affordableMaxTokens=222,
)
FAULT = InvalidRequest("n: must be at least 1", {"n": ["must be at least 1"]})


def shown(dialect: Dialect, error: TollkeeperError) -> dict[str, Any]:
    return json.loads(dialect.error_body(error, "req_1"))


def test_openais_shape_with_the_numbers_as_plain_decimals():
    body = CHAT.error_body(BROKE)
    assert json.loads(body) == {
        "error": {
            "message": "This call may cost up to 0.4, and 0.02 is available",
            "type": "insufficient_credits",
            "param": None,
            "code": "insufficient_credits",
            "metadata": {
                "required": 0.4,
                "available": 0.02,
                "currency": "USD",
                "affordableMaxTokens": 222,
            },
        }
    }
    assert b'"required":0.4,' in body
    assert shown(CHAT, FAULT)["error"]["param"] == "n"


def test_anthropics_shape():
    body = shown(MESSAGES, BROKE)
    assert body["type"] == "error"
    assert body["error"]["type"] == "billing_error"
    assert body["error"]["metadata"]["affordableMaxTokens"] == 222
    assert body["request_id"] == "req_1"
    assert shown(MESSAGES, FAULT)["error"] == {
        "type": "invalid_request_error",
        "message": "n: must be at least 1",
        "code": "invalid_request",
        "param": "n",
    }


@pytest.mark.parametrize(
    ("error", "openai", "anthropic"),
    [
        (Unauthenticated("x"), "authentication_error", "authentication_error"),
        (Forbidden("x"), "permission_error", "permission_error"),
        (NotFound("x"), "not_found_error", "not_found_error"),
        (PayloadTooLarge("x"), "request_too_large", "request_too_large"),
        (RateLimited("x"), "rate_limit_error", "rate_limit_error"),
        (Unavailable("x"), "api_error", "overloaded_error"),
        (TollkeeperError("x"), "api_error", "api_error"),
    ],
)
def test_each_status_has_its_type(error: TollkeeperError, openai: str, anthropic: str):
    assert shown(CHAT, error)["error"]["type"] == openai
    assert shown(RESPONSES, error)["error"]["type"] == openai
    assert shown(MESSAGES, error)["error"]["type"] == anthropic
    assert isinstance(shown(CHAT, error)["error"]["code"], str)


def test_in_a_stream_errors_are_events_that_the_sdks_raise_on():
    assert CHAT.stream_error(BROKE).startswith(b'data: {"error":{')
    assert MESSAGES.stream_error(BROKE).startswith(b"event: error\ndata: {")
    event = RESPONSES.stream_error(BROKE)
    assert event.startswith(b'event: error\ndata: {"type":"error"')
    fields = json.loads(event.partition(b"data: ")[2])
    assert fields["code"] == fields["error"]["code"] == "insufficient_credits"


UPSTREAM: list[tuple[int, Any, int, str]] = [
    (400, {"error": {"message": "max_tokens is too large", "code": "x"}}, 400, "max_tokens is"),
    (404, {"error": {"message": "The model `gpt-9` does not exist"}}, 404, "does not exist"),
    (422, {"detail": [{"loc": ["body", "n"], "msg": "bad"}]}, 422, "bad"),
    (429, {"error": {"message": "Rate limit reached", "type": "tokens"}}, 429, "Rate limit"),
    (500, {"error": {"message": "Oops"}}, 500, "Oops"),
    (503, "<html>Bad gateway</html>", 503, "The provider answered 503"),
    (400, [{"error": {"code": 400, "message": "From Google"}}], 400, "From Google"),
    (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Full"}}, 529, "Full"),
]


@pytest.mark.parametrize(("status", "body", "told", "said"), UPSTREAM)
def test_a_providers_error_is_passed_on(status: int, body: Any, told: int, said: str):
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    for dialect in (CHAT, MESSAGES, EMBEDDINGS):
        shown_status, shown_body = dialect.upstream_error(status, raw)
        assert shown_status == told
        assert said in json.loads(shown_body)["error"]["message"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, {"message": "Incorrect API key provided: sk-proj-abc", "code": "invalid_api_key"}),
        (402, {"message": "Insufficient credits. Add more at openrouter.ai"}),
        (429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}),
        (403, {"message": "Your plan ran out", "type": "billing_not_active"}),
        (307, {"message": "moved"}),
        (400, {"message": "Your credit balance is too low. Go to Plans & Billing to upgrade."}),
        (403, {"message": "Team 3f2b has used all available credits", "code": "forbidden"}),
        (403, {"message": "Team 3f2b has reached its monthly spending limit"}),
        (404, {"message": "The model grok-9 does not exist or your team has no access to it"}),
        (429, {"message": "Your account ran dry", "type": "exceeded_current_quota_error"}),
        (500, {"message": "Insufficient funds", "code": 402}),
    ],
)
def test_what_concerns_only_the_operator_is_a_502_that_says_nothing(status, error):
    for dialect in (CHAT, MESSAGES):
        told, body = dialect.upstream_error(status, json.dumps({"error": error}).encode())
        assert told == 502
        assert error["message"].encode() not in body


LIMITED: list[tuple[int, dict[str, Any], int]] = [
    (429, {"message": "Rate limit reached for gpt-5 in org-abcdefghij on TPM: Used 29000"}, 429),
    (429, {"message": "Quota exceeded for metric, limit: 10. Retry in 34 s", "code": 429}, 429),
    (413, {"message": "Too large: Limit 6000, Used 1", "code": "rate_limit_exceeded"}, 413),
    (500, {"message": "Limit 6000, Used 1", "type": "rate_limit_error"}, 429),
    (403, {"message": "Over 6000 tokens per minute"}, 403),
]


@pytest.mark.parametrize(("status", "error", "told"), LIMITED)
def test_what_the_operator_may_ask_for_is_not_told(status, error, told):
    for dialect in (CHAT, MESSAGES):
        shown_status, body = dialect.upstream_error(status, json.dumps({"error": error}).encode())
        assert shown_status == told
        inside = json.loads(body)["error"]
        assert inside["message"] == "Rate limit reached at the provider: send less, or later"
        assert inside["type"] == "rate_limit_error"


@pytest.mark.parametrize(
    "said",
    [
        "Invalid schema for function 'billing': 'quota' is not of type 'object'",
        "Unknown parameter: `usage.quota`",
        "tools.0.custom.name: get_billing_quota is no valid name",
    ],
)
def test_names_that_a_customer_chose_are_not_the_operators_words(said: str):
    told, body = CHAT.upstream_error(400, json.dumps({"error": {"message": said}}).encode())
    assert (told, json.loads(body)["error"]["message"]) == (400, said)


Failure = Callable[[dict[str, Any]], dict[str, Any]]


def response_failed(error: dict[str, Any]) -> dict[str, Any]:
    response = {"id": "r", "status": "failed", "output": [], "error": error, "usage": None}
    return {"type": "response.failed", "response": response}


HI = [{"role": "user", "content": "hi"}]
WORD = {"type": "response.output_text.delta", "delta": "x"}
SPOKEN: list[tuple[Dialect, dict[str, Any], dict[str, Any], Failure]] = [
    (
        CHAT,
        {"messages": HI},
        {"choices": [{"index": 0, "delta": {"content": "x"}}]},
        lambda error: {"error": error},
    ),
    (
        MESSAGES,
        {"messages": HI, "max_tokens": 9},
        {"type": "content_block_delta", "index": 0, "delta": {"text": "x"}},
        lambda error: {"type": "error", "error": error},
    ),
    (RESPONSES, {"input": "hi"}, WORD, lambda error: {**error, "type": "error"}),
    (RESPONSES, {"input": "hi"}, WORD, response_failed),
    (
        SPEECH,
        {"input": "hi", "stream_format": "sse"},
        {"type": "speech.audio.delta", "audio": "AAAA"},
        lambda error: {"type": "error", "error": error},
    ),
]


@pytest.mark.parametrize(("dialect", "body", "content", "failure"), SPOKEN)
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            {"message": "You exceeded your quota. key hunter2", "code": "insufficient_quota"},
            "The provider did not accept this gateway's request",
        ),
        (
            {"message": "Your credit balance is too low", "code": None},
            "The provider did not accept this gateway's request",
        ),
        (
            {"message": "Limit 6000, Used 1", "code": "rate_limit_exceeded"},
            "Rate limit reached at the provider: send less, or later",
        ),
        ({"message": "No luck with hunter2", "code": "x"}, "No luck with ***"),
    ],
)
def test_in_a_stream_the_operators_trouble_says_as_little(
    dialect: Dialect,
    body: dict[str, Any],
    content: dict[str, Any],
    failure: Failure,
    error: dict[str, Any],
    told: str,
):
    ask = dialect.read(json.dumps({"model": "m", "stream": True, **body}).encode())
    meter = dialect.meter(ask, ("hunter2",))
    passed, withheld, answer = run(meter, [chunks(content, failure(error), done=False)])
    assert answer.produced
    assert answer.error is not None
    assert answer.error.message == told
    assert told.encode() in withheld
    for said in (error["message"].encode(), b"hunter2"):
        assert said not in passed + withheld


@pytest.mark.parametrize(
    "secret",
    [
        *("sk-proj-Ab12Cd34Ef56", "sk-ant-api03-AbCdEf", "org-abc123DEF456", "gsk_abcdef123456"),
        *("Bearer abc.def.ghi", "AIzaSyA1234567890abcdef", "xai-abcdef123456", "proj_abcdef12345"),
        "sk-abc****wxyz",
    ],
)
def test_nothing_that_looks_like_a_key_or_an_account_gets_through(secret: str):
    body = json.dumps({"error": {"message": f"Project {secret} has no access"}}).encode()
    _, shown_body = CHAT.upstream_error(403, body)
    assert secret.encode() not in shown_body
    assert b"has no access" in shown_body


def test_a_key_of_any_shape_is_taken_out_when_it_is_known():
    body = json.dumps({"error": {"message": "key hunter2hunter2 is wrong"}}).encode()
    _, shown_body = CHAT.upstream_error(403, body, ("hunter2hunter2",))
    assert b"hunter2" not in shown_body


def test_a_huge_error_is_cut():
    _, shown_body = CHAT.upstream_error(400, json.dumps({"error": "x" * 10**6}).encode())
    assert len(shown_body) < 5_000
