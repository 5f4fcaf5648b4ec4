"""Usage, served model and tier, and the cost to the nano, of answers as providers give them."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from golden_cases import COST, Case, cases, summary, wanted
from wire_streams import at_random, each_byte, events, run

from tollkeeper.pricing import Book, rate, read_catalogue

CASES = cases()
WHOLE = [case for case in CASES if case.response is not None]
STREAMS = [case for case in CASES if case.stream is not None]
PRICED = [case for case in CASES if case.expected.price is not None]


def by_name(some: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", some, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def book() -> Book:
    return Book(read_catalogue())


def test_there_are_enough_of_them():
    assert len(WHOLE) + len(STREAMS) == len(CASES)
    assert {case.provider for case in CASES} >= {
        *("openai", "anthropic", "deepseek", "mistral", "groq", "xai", "openrouter", "google"),
    }
    assert {case.expected.dialect for case in CASES} >= {
        *("chat", "responses", "messages", "embeddings", "images", "speech"),
    }


@by_name(WHOLE)
def test_whole_answers_are_read_exactly(case: Case):
    assert case.response is not None
    answer = case.dialect.read_answer(case.ask, case.response)
    assert summary(answer) == wanted(case.expected)


@by_name(STREAMS)
def test_streams_are_read_exactly_however_they_are_cut(case: Case):
    assert case.stream is not None
    whole = run(case.dialect.meter(case.ask), [case.stream], COST)
    assert summary(whole[2]) == wanted(case.expected)
    assert run(case.dialect.meter(case.ask), each_byte(case.stream), COST) == whole
    for seed in range(10):
        assert run(case.dialect.meter(case.ask), at_random(case.stream, seed), COST) == whole


@by_name(PRICED)
def test_they_cost_what_the_price_list_says_to_the_nano(case: Case, book: Book):
    price = case.expected.price
    assert price is not None
    version = book.find(price.provider, price.model, datetime.fromisoformat(price.at))
    tier = case.expected.service_tier
    rating = rate(version, case.expected.usage, service_tier=_tier(tier))
    assert {line.unit: line.amount_nanos for line in rating.lines} == case.expected.line_nanos
    assert rating.cost_nanos == case.expected.cost_nanos
    assert not rating.unpriced


@by_name(WHOLE)
def test_whole_answers_change_only_by_their_cost(case: Case):
    assert case.response is not None
    answer = case.dialect.read_answer(case.ask, case.response)
    body = case.dialect.with_cost(answer, COST)
    assert body is not None
    before, after = msgspec.json.decode(case.response), msgspec.json.decode(body)
    assert _cost_in(body) == [Decimal("987.654321012")] * 2
    assert {name: after[name] for name in before if name != "usage"} == {
        name: before[name] for name in before if name != "usage"
    }
    kept = {n: v for n, v in (before.get("usage") or {}).items() if not _is_money(n)}
    assert {name: after["usage"][name] for name in kept} == kept


@by_name(STREAMS)
def test_streams_change_only_by_their_cost(case: Case):
    """Every event of the provider's reaches the client, in order, but for withheld usage."""
    assert case.stream is not None
    passed, withheld, answer = run(case.dialect.meter(case.ask), [case.stream], COST)
    seen = [_bare(one) for one in events(passed + withheld) if one != "[DONE]"]
    sent = [_bare(one) for one in _readable(case.stream)]
    dropped = [one for one in sent if one not in seen]
    assert all(_is_ending(one) for one in dropped), dropped
    made = [one for one in seen if one not in sent]
    assert len(made) <= 1 + (answer.error is not None)
    assert _cost_in(passed) == []
    assert _cost_in(withheld) == [Decimal("987.654321012")] * 2


@by_name(CASES)
def test_what_the_operator_was_charged_does_not_reach_the_customer(case: Case):
    if case.response is not None:
        answer = case.dialect.read_answer(case.ask, case.response)
        shown = case.dialect.with_cost(answer, COST) or b""
    else:
        passed, withheld, answer = run(case.dialect.meter(case.ask), [case.stream or b""], COST)
        shown = passed + withheld
    for word in (b"cost_in_usd_ticks", b"is_byok", b"total_cost", b"3.9e-06", b"0.00095"):
        assert word not in shown
    assert answer.upstream_cost == UPSTREAM_COSTS.get(case.name)


UPSTREAM_COSTS = {
    "openrouter/chat": "0.00095",
    "openrouter/chat_stream": "3.9e-06",
    "perplexity/chat_stream": "0.005008",
}


@by_name(CASES)
def test_no_usage_exceeds_the_bound_that_its_hold_came_from(case: Case):
    """The recorded numbers are invented: only answers of a size the request allows are checked."""
    bounds = case.ask.bounds(1_000_000, 200_000)
    assert bounds is not None
    for unit in ("web_search", "image", "code_execution"):
        if unit in case.ask.counted:
            assert case.expected.usage.get(unit, 0) <= bounds[unit]


def _tier(tier: str | None) -> str | None:
    return None if tier == "auto" else tier


def _cost_in(body: bytes) -> list[Decimal]:
    return [Decimal(found.decode()) for found in re.findall(rb'"cost":([\d.eE+-]+)', body)]


def _is_money(name: str) -> bool:
    return name in ("cost", "cost_details", "cost_in_usd_ticks", "is_byok")


def _readable(stream: bytes) -> list[dict[str, Any]]:
    blocks = re.split(rb"(?:\r\n|\n){2}", stream)
    found = [block.partition(b"data: ")[2] for block in blocks if b"data: " in block]
    return [msgspec.json.decode(data) for data in found if _is_json(data)]


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except msgspec.DecodeError:
        return False
    return True


def _is_ending(event: dict[str, Any]) -> bool:
    """Usage that goes where the cost goes, or an error that is worded anew."""
    said = [choice.get("delta", {}).get("content") for choice in event.get("choices", [])]
    return not any(said) or "error" in event or event.get("type") == "error"


def _bare(event: Any) -> Any:
    """An event without what the gateway adds or replaces in it."""
    if not isinstance(event, dict):
        return event
    bare = {name: _bare(value) for name, value in event.items() if not _is_money(name)}
    if "choices" in bare and bare.get("choices"):
        bare.pop("usage", None)
    if bare.get("response"):
        bare["response"].pop("usage", None)
    return bare
