"""Providers that end every stream with its usage, and refuse to be asked for it."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_costs import nanos
from gateway_house import DOLLAR, House
from gateway_upstream import Speaker, chunk, usage

from tollkeeper.base.settings import Provider
from tollkeeper.gateway.gateway import connect
from tollkeeper.gateway.providers import HttpClient

HI: Any = [{"role": "user", "content": "Hi"}]


async def as_mistral(speaker: Speaker) -> None:
    """Its own words of 2025; the last chunk has the reason, and the usage."""
    asked = speaker.heard.body.get("stream_options")
    if asked is not None:
        place = ["body", "stream_options", *asked]
        detail = {"type": "extra_forbidden", "loc": place, "msg": "Extra inputs are not permitted"}
        await speaker.whole({"object": "error", "message": {"detail": [detail]}}, 422)
        return
    for text in ("Twelve", " letters"):
        await speaker.event(chunk(text))
    await speaker.event(chunk("", "stop", usage=usage(10, 4)))
    await speaker.event("[DONE]")
    await speaker.end()


@pytest.mark.parametrize("options", [None, {"include_usage": True}])
async def test_a_stream_is_charged_by_counts_that_came_unasked(
    house: House, monkeypatch: pytest.MonkeyPatch, options: Any
) -> None:
    monkeypatch.setattr(house.gateway_parts.models._providers["up"], "ask_usage", False)
    customer = await house.customer("1")
    house.upstream.script = as_mistral
    more = {} if options is None else {"stream_options": options}
    async with customer.openai() as client:
        stream: Any = await client.chat.completions.create(
            model="gpt-up", messages=HI, stream=True, **more
        )
        chunks = [one async for one in stream]
    assert "".join(one.choices[0].delta.content or "" for one in chunks) == "Twelve letters"
    assert chunks[-1].usage.completion_tokens == 4
    assert nanos(chunks[-1].cost) == 10 * 1_000 + 4 * 2_000 == DOLLAR - await customer.balance()
    assert (await customer.record())["source"] == "provider"


@pytest.mark.parametrize(
    ("base_url", "ask_usage", "asked"),
    [
        ("https://api.mistral.ai/v1", None, False),
        ("https://api.mistral.ai/v1", True, True),
        ("https://notmistral.ai/v1", None, True),
        ("http://127.0.0.1:8000/v1", None, True),
        ("http://127.0.0.1:8000/v1", False, False),
        (None, None, True),
    ],
)
def test_who_is_asked_for_usage(base_url: str | None, ask_usage: bool | None, asked: bool) -> None:
    settings = Provider(kind="openai", base_url=base_url, ask_usage=ask_usage)
    assert connect({"one": settings}, HttpClient())["one"].ask_usage is asked
