"""The hold bounds the cost (G2), for whatever is asked and whatever it turns out to be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from gateway_house import DOLLAR, MTOK, priced
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.gateway.dialects import CHAT, MESSAGES, RESPONSES, Ask
from tollkeeper.gateway.errors import UnboundedRequest
from tollkeeper.gateway.models import Route, Sale
from tollkeeper.gateway.providers import SandboxProvider
from tollkeeper.gateway.quote import Terms, affordable_cap, lower, quote
from tollkeeper.gateway.settlement import within
from tollkeeper.pricing import NO_MARKUP, Markup, ModelNotPriced, PriceVersion, Rate, rate

AT = datetime(2026, 11, 20, tzinfo=UTC)
ROUTE = Route(provider=SandboxProvider(), name="up", model="m", sellers=("up",))
CHEAP = {"input": Rate(DOLLAR, MTOK), "output": Rate(2 * DOLLAR, MTOK)}
TIERED = priced(
    "up",
    "m",
    rates={
        "input": Rate(3 * DOLLAR, MTOK, ((50, 6 * DOLLAR),)),
        "cache_write": Rate(4 * DOLLAR, MTOK),
        "output": Rate(15 * DOLLAR, MTOK, ((50, 20 * DOLLAR),)),
        "reasoning": Rate(17 * DOLLAR, MTOK),
    },
    service_tiers={
        "priority": {"input": Rate(6 * DOLLAR, MTOK), "output": Rate(30 * DOLLAR, MTOK)},
        "fast": {"input": Rate(60 * DOLLAR, MTOK), "output": Rate(300 * DOLLAR, MTOK)},
        "batch": {"input": Rate(600 * DOLLAR, MTOK), "output": Rate(300 * DOLLAR, MTOK)},
    },
)


def sale(version: PriceVersion = TIERED, markup: Markup = NO_MARKUP) -> Terms:
    return Terms(Sale(route=ROUTE, version=version, markup=markup))


def ask(**more: Any) -> Ask:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **more}
    return CHAT.read(msgspec.json.encode(body))


@given(
    text=st.text(max_size=200),
    limit=st.integers(1, 5_000) | st.none(),
    n=st.integers(1, 5),
    tier=st.sampled_from([None, "auto", "default", "priority", "fast"]),
    served=st.sampled_from([None, "priority"]),
    markup=st.builds(Markup, st.integers(-500_000, 2_000_000), st.integers(0, 10**6)),
    data=st.data(),
)
def test_no_usage_within_the_request_costs_more_than_is_held(
    text: str,
    limit: int | None,
    n: int,
    tier: str | None,
    served: str | None,
    markup: Markup,
    data: st.DataObject,
) -> None:
    more: dict[str, Any] = {"max_tokens": limit} if limit else {}
    if tier is not None:
        more["service_tier"] = tier
    asked = ask(messages=[{"role": "user", "content": text}], n=n, **more)
    quoted = quote(asked, sale(markup=markup))
    most_out = min(limit or 4_000, 4_000) * n
    read = data.draw(st.integers(0, len(text.encode()) + 10))
    cached = data.draw(st.integers(0, read))
    written = data.draw(st.integers(0, most_out))
    thought = data.draw(st.integers(0, written))
    on = tier if tier in ("priority", "fast") else served if tier in (None, "auto") else None
    usage = {"input": read - cached, "output": written - thought, "reasoning": thought}
    usage["cache_write" if on is None else "input"] = cached
    cost = rate(TIERED, usage, markup=markup, service_tier=on).cost_nanos
    assert cost <= quoted.amount_nanos
    assert quoted.cap == min(limit or 4_000, 4_000)


@pytest.mark.parametrize(
    ("tier", "price"),
    [
        (None, 30),  # it may be served on priority, by a setting of the operator's
        ("auto", 30),
        ("default", 20),  # beyond the cliff
        ("priority", 30),
        ("fast", 300),  # only who asks for it is served on it
    ],
)
def test_the_tiers_that_count(tier: str | None, price: int) -> None:
    more = {} if tier is None else {"service_tier": tier}
    small, large = (
        quote(ask(max_tokens=limit, **more), sale()).amount_nanos for limit in (100, 200)
    )
    assert large - small == 100 * price * 1_000


@given(
    money=st.integers(0, 40_000_000),
    n=st.integers(1, 4),
    limit=st.integers(1, 5_000) | st.none(),
    prediction=st.booleans(),
)
def test_a_lowered_call_fits_and_one_token_more_does_not(
    money: int, n: int, limit: int | None, prediction: bool
) -> None:
    more: dict[str, Any] = {"max_tokens": limit} if limit else {}
    if prediction:
        more["prediction"] = {"type": "content", "content": "x" * 50}
    asked = ask(n=n, **more)
    sold = sale(priced("up", "m", rates=CHEAP))
    full = quote(asked, sold)
    lowered = lower(asked, sold, full, money, "chat")
    if lowered is None:
        one = asked.extra_output_tokens + n
        needed = full.bounds["input"] * 1_000 + one * 2_000
        assert money < needed + 10
        return
    assert lowered.cap is not None
    assert lowered.amount_nanos <= max(money, full.amount_nanos)
    assert lowered.cap <= (full.cap or 0)
    if lowered.cap < (full.cap or 0):
        assert lowered.amount_nanos <= money < lowered.amount_nanos + 2_000 * n + 10


@given(money=st.integers(0, 10_000_000), limit=st.integers(1, 5_000) | st.none())
def test_the_limit_that_is_named_is_affordable(money: int, limit: int | None) -> None:
    """Whoever sends the request again with the limit from the 402 is let through."""
    more = {} if limit is None else {"max_tokens": limit}
    sold = sale(priced("up", "m", rates=CHEAP))
    asked = ask(**more)
    full = quote(asked, sold)
    if full.amount_nanos <= money:
        return
    cap = affordable_cap(asked, sold, full, money, "chat")
    assert cap is not None
    if cap:
        assert quote(ask(max_tokens=cap), sold).amount_nanos <= money


def test_responses_have_a_smallest_limit() -> None:
    asked = RESPONSES.read(b'{"model":"m","input":"Hi"}')
    sold = sale(priced("up", "m", rates=CHEAP))
    full = quote(asked, sold)
    for tokens, expected in ((15, None), (16, 16)):
        money = full.bounds["input"] * 1_000 + tokens * 2_000 + 10
        lowered = lower(asked, sold, full, money, "responses")
        assert (lowered and lowered.cap) == expected


def test_a_limit_is_not_lowered_below_what_may_be_thought():
    """Anthropic refuses a limit that its thinking could use up; a call that may think between
    its tools has none to keep above."""
    body = {"model": "m", "max_tokens": 2_000, "messages": [{"role": "user", "content": "Hi"}]}
    thinking = {"type": "enabled", "budget_tokens": 1_024}
    sold = sale(priced("up", "m", rates=CHEAP))
    asked = MESSAGES.read(msgspec.json.encode({**body, "thinking": thinking}))
    full = quote(asked, sold)
    for short in range(0, 2_000_000, 50_000):
        money = full.amount_nanos - short
        lowered = lower(asked, sold, full, money, "messages")
        tokens = affordable_cap(asked, sold, full, money, "messages")
        assert (lowered is None) == (2_000 - short // 2_000 < 1_025) == (tokens == 0)
        assert lowered is None or (lowered.cap or 0) >= 1_025
    between = MESSAGES.read(msgspec.json.encode({**body, "max_tokens": 900, "thinking": thinking}))
    money = quote(between, sold).amount_nanos - 1_000_000
    assert lower(between, sold, quote(between, sold), money, "messages") is not None


@pytest.mark.parametrize(
    ("window", "most", "asked", "sent"),
    [
        (100_000, 4_000, None, 4_000),
        (100_000, 4_000, 10, 10),
        (100_000, 4_000, 9_999, 4_000),
        (100_000, None, None, None),
        (100_000, None, 10, 10),
        (8_000, 8_000, None, None),  # all of the window would leave no room for the input
        (8_000, 8_000, 8_000, 8_000),
        (None, 4_000, None, 4_000),
        (None, None, 10, 10),
    ],
)
def test_the_limit_that_is_sent(
    window: int | None, most: int | None, asked: int | None, sent: int | None
) -> None:
    version = priced("up", "m", rates=CHEAP, context=window, max_output_tokens=most)
    more = {} if asked is None else {"max_tokens": asked}
    quoted = quote(ask(**more), sale(version))
    assert quoted.cap == sent
    held = quoted.bounds["output"]
    assert held == (sent if sent is not None else window)


def test_what_nothing_limits_is_refused() -> None:
    version = priced("up", "m", rates=CHEAP, context=None, max_output_tokens=None)
    with pytest.raises(UnboundedRequest) as raised:
        quote(ask(), sale(version))
    assert "max_tokens" in raised.value.faults


def test_what_has_no_price_is_refused() -> None:
    with pytest.raises(ModelNotPriced):
        quote(ask(modalities=["text", "audio"]), sale())
    with pytest.raises(ModelNotPriced):
        quote(ask(service_tier="made-up"), sale())


@given(
    usage=st.dictionaries(
        st.sampled_from(["input", "cache_read", "output", "reasoning", "image", "web_search"]),
        st.integers(0, 100),
    ),
    bounds=st.dictionaries(st.sampled_from(["input", "output", "web_search"]), st.integers(0, 100)),
)
def test_estimates_are_cut_to_what_was_held_for(
    usage: dict[str, int], bounds: dict[str, int]
) -> None:
    cut = within(usage, bounds)
    assert all(cut[unit] <= usage[unit] for unit in cut)
    read = sum(cut.get(unit, 0) for unit in ("input", "cache_read"))
    written = sum(cut.get(unit, 0) for unit in ("output", "reasoning"))
    assert read <= bounds.get("input", 10**9)
    assert written <= bounds.get("output", 10**9)
    assert cut.get("web_search", 0) <= bounds.get("web_search", 10**9)
