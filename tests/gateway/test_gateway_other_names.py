"""A model under a name of the operator's is metered as under its own."""

from __future__ import annotations

from typing import Any

import gateway_house
import msgspec
import pytest
from gateway_house import DOLLAR, MTOK, House, open_house, priced
from gateway_upstream import answers, completion

from tollkeeper.db import Database
from tollkeeper.pricing import Rate

RATES = {"input": Rate(DOLLAR, MTOK), "output": Rate(2 * DOLLAR, MTOK)}
MORE = [
    priced("up", "gpt-up-search-preview", rates={**RATES, "web_search": Rate(25_000_000, 1)}),
    priced("up", "gpt-image-1", rates={**RATES, "output_image": Rate(40 * DOLLAR, MTOK)}),
]
NAMES = {"finder": "gpt-up-search-preview", "draw": "gpt-image-1", "gpt-voice": "tts-up"}
DRAWN = {
    "data": [{"b64_json": "AAAA"}],
    "usage": {"input_tokens": 10, "output_tokens": 1_000, "total_tokens": 1_010},
}


async def test_a_model_costs_the_same_under_every_name(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    settings_for = gateway_house.settings_for

    def with_names(*given: Any) -> Any:
        settings = settings_for(*given)
        up = msgspec.structs.replace(settings.providers["up"], model_names=NAMES)
        return msgspec.structs.replace(settings, providers={**settings.providers, "up": up})

    monkeypatch.setattr(gateway_house, "settings_for", with_names)
    monkeypatch.setattr(gateway_house, "PRICES", [*gateway_house.PRICES, *MORE])
    async with open_house(database) as house:
        house.upstream.script = answers(completion())
        chat = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}
        found = await costs(house, "/chat/completions", ("gpt-up-search-preview", "finder"), chat)
        assert found[0] == found[1] > 0.025
        house.upstream.script = answers(DRAWN)
        found = await costs(house, "/images/generations", ("gpt-image-1", "draw"), {"prompt": "x"})
        assert found[0] == found[1] == 0.04001
        customer = await house.customer("1")
        house.upstream.script = answers({})
        spoken = await customer.post("/audio/speech", {"model": "gpt-voice", "input": "Hello"})
        assert "stream_format" not in spoken.text


async def costs(house: House, path: str, models: tuple[str, ...], body: Any) -> list[float]:
    customer = await house.customer("10")
    answered = [await customer.post(path, {"model": model, **body}) for model in models]
    assert [answer.status_code for answer in answered] == [200] * len(models)
    return [answer.json()["cost"] for answer in answered]
