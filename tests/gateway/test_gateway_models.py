"""Which provider answers for a name, at whose price, and what is listed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from gateway_costs import nanos
from gateway_house import DOLLAR, MTOK, House, priced
from gateway_upstream import answers, completion

from tollkeeper.base.settings import Percent, Provider
from tollkeeper.gateway.errors import ModelNotFound, NotOffered
from tollkeeper.gateway.models import Models
from tollkeeper.gateway.providers import HttpClient, SandboxProvider, openai_compatible
from tollkeeper.pricing import Book, Markup, Markups, ModelNotPriced, Rate

AT = datetime(2026, 11, 20, tzinfo=UTC)
SETTINGS = {
    "eu": Provider(kind="openai", base_url="http://eu/v1", models=["gpt-5*"]),
    "near": Provider(
        kind="openai",
        base_url="http://near/v1",
        models=["llama-3", "gpt-*"],
        model_names={"fast": "llama-3", "best": "gpt-5"},
        markup_percent=Percent(250_000),
    ),
    "openai": Provider(kind="openai"),
    "mine": Provider(kind="openai", models=["o-*"]),
}
BOOK = Book(
    [
        priced("near", "llama-3"),
        priced("near", "gpt-5"),
        priced("openai", "gpt-5"),
        priced("openai", "gpt-6"),
        priced("openai", "o-1"),
        priced("anthropic", "claude-9"),
        priced("zeta", "only-zeta"),
        priced("sandbox", "sandbox-small"),
        priced("sandbox", "gpt-5", context=1),
    ]
)


def models() -> Models:
    client = HttpClient()
    providers = {
        name: openai_compatible(client, name=name, base_url="http://x/v1", api_key="k")
        for name in SETTINGS
    }
    return Models(SETTINGS, providers, SandboxProvider())


@pytest.mark.parametrize(
    ("asked", "provider", "model", "seller"),
    [
        ("gpt-5", "near", "gpt-5", "near"),  # eu comes first, but has no price for it
        ("gpt-6", "openai", "gpt-6", "openai"),
        ("llama-3", "near", "llama-3", "near"),
        ("fast", "near", "llama-3", "near"),
        ("best", "near", "gpt-5", "near"),
        ("openai/gpt-5", "openai", "gpt-5", "openai"),
        ("near/fast", "near", "llama-3", "near"),
        ("o-1", "openai", "o-1", "openai"),
        ("mine/o-1", "mine", "o-1", "openai"),  # at the public address: the public price
    ],
)
def test_the_way_to_a_model(asked: str, provider: str, model: str, seller: str) -> None:
    sale = models().sell(asked, "chat", BOOK, AT, livemode=True)
    assert (sale.route.name, sale.route.model, sale.version.provider) == (provider, model, seller)


def test_no_way_to_a_model() -> None:
    live = models()
    with pytest.raises(ModelNotPriced):
        live.sell("eu/gpt-5", "chat", BOOK, AT, livemode=True)
    with pytest.raises(ModelNotPriced):
        live.sell("whatever", "chat", BOOK, AT, livemode=True)  # openai would serve it
    with pytest.raises(NotOffered):
        live.sell("gpt-6", "messages", BOOK, AT, livemode=True)
    few = Models({}, {}, SandboxProvider())
    with pytest.raises(ModelNotFound):
        few.sell("gpt-5", "chat", BOOK, AT, livemode=True)


@pytest.mark.parametrize(
    ("asked", "model", "seller"),
    [
        ("gpt-5", "gpt-5", "near"),  # as it would be sold to a live key
        ("gpt-6", "gpt-6", "openai"),
        ("sandbox-small", "sandbox-small", "sandbox"),
        ("claude-9", "claude-9", "anthropic"),  # not offered here, but in the book
        ("anthropic/claude-9", "claude-9", "anthropic"),
        ("only-zeta", "only-zeta", "zeta"),
        ("fast", "llama-3", "near"),
    ],
)
def test_a_test_key_gets_the_sandbox_and_the_price_asked_for(
    asked: str, model: str, seller: str
) -> None:
    """G10."""
    sale = models().sell(asked, "chat", BOOK, AT, livemode=False)
    assert isinstance(sale.route.provider, SandboxProvider)
    assert (sale.route.model, sale.version.provider) == (model, seller)


def test_a_test_key_is_refused_what_has_no_price() -> None:
    for name in ("nothing-like-it", "openai/nothing-like-it"):
        with pytest.raises(ModelNotPriced):
            models().sell(name, "chat", BOOK, AT, livemode=False)


def test_what_the_operator_adds() -> None:
    """The settings' mark-up holds until one is published for that provider or model."""
    near = models().sell("gpt-5", "chat", BOOK, AT, livemode=True)
    assert near.markup == Markup(ppm=250_000)
    published = Markups(providers={"near": Markup(ppm=100_000)})
    book = Book(BOOK, [(datetime(2026, 1, 1, tzinfo=UTC), published)])
    assert models().sell("gpt-5", "chat", book, AT, livemode=True).markup.ppm == 100_000


def test_a_new_book_is_sold_by_at_once() -> None:
    known = models()
    with pytest.raises(ModelNotPriced):
        known.sell("gpt-7", "chat", BOOK, AT, livemode=True)
    book = Book([*BOOK, priced("openai", "gpt-7")])
    assert known.sell("gpt-7", "chat", book, AT, livemode=True).version.model == "gpt-7"


# ── the list ──────────────────────────────────────────────────────────────────────────────────────


async def test_the_list_says_what_things_cost(house: House) -> None:
    customer = await house.customer("0")
    async with customer.openai() as client:
        listed: Any = await client.models.list()
        one: Any = await client.models.retrieve("gpt-up")
    by_id = {model.id: model for model in listed.data}
    assert {"gpt-up", "claude-up", "house-model", "embed-up", "dall-up"} <= by_id.keys()
    assert "sandbox-small" not in by_id, "a live key cannot buy it"
    assert by_id["gpt-up"] == one
    assert one.object == "model"
    assert one.owned_by == "up"
    assert (one.context_length, one.max_output_tokens) == (100_000, 4_000)
    units = {unit["unit"]: unit for unit in one.pricing["units"]}
    assert one.pricing["currency"] == "USD"
    assert nanos(units["input"]["price"]) == DOLLAR
    assert units["output"] == {"unit": "output", "price": 2, "per": MTOK}
    tiers = by_id["gpt-tiers"].pricing["service_tiers"]
    assert [unit["price"] for unit in tiers["flex"]] == [0.5, 1]


async def test_a_test_key_sees_the_sandbox_with_cliffs_and_all(house: House) -> None:
    customer = await house.customer("0", livemode=False)
    async with customer.openai() as client:
        one: Any = await client.models.retrieve("sandbox-large")
    units = {unit["unit"]: unit for unit in one.pricing["units"]}
    assert units["input"]["price"] == 3
    assert units["input"]["above"] == [{"input_tokens": 200_000, "price": 6}]
    assert units["cache_write"]["above"] == [{"input_tokens": 200_000, "price": 7.5}]
    assert units["input_audio"] == {"unit": "input_audio", "price": 32, "per": MTOK}


async def test_what_is_listed_is_what_is_charged(house: House) -> None:
    customer = await house.customer("1")
    house.upstream.script = answers(completion())
    async with customer.openai() as client:
        one: Any = await client.models.retrieve("house-model")
        got: Any = await client.chat.completions.create(
            model="house-model", messages=[{"role": "user", "content": "Hi"}]
        )
    price = {unit["unit"]: nanos(unit["price"]) for unit in one.pricing["units"]}
    assert nanos(got.cost) * MTOK == 10 * price["input"] + 5 * price["output"]


async def test_anthropics_client_gets_its_own_list(house: House) -> None:
    customer = await house.customer("0")
    async with customer.anthropic() as client:
        page = await client.models.list()
        one: Any = await client.models.retrieve("claude-up")
    assert [model.id for model in page.data] == ["claude-up"]
    assert page.has_more is False
    assert (one.type, one.display_name) == ("model", "claude-up")
    assert one.pricing["units"][0]["unit"] == "input"


async def test_the_list_needs_a_key_and_unknown_models_are_not_found(house: House) -> None:
    customer = await house.customer("0")
    async with httpx.AsyncClient(base_url=house.url, timeout=30) as client:
        assert (await client.get("/models")).status_code == 401
        headers = {"authorization": f"Bearer {customer.key}"}
        unknown = await client.get("/models/nobody-has-it", headers=headers)
        assert unknown.status_code == 404
        assert unknown.json()["error"]["code"] == "model_not_found"
        anthropics = headers | {"anthropic-version": "2023-06-01"}
        unknown = await client.get("/models/nobody-has-it", headers=anthropics)
        assert unknown.json()["error"]["type"] == "not_found_error"


@pytest.mark.parametrize("name", ["openai/gpt-up-120b", "up/openai/gpt-up-120b", "up/gpt-up"])
async def test_a_model_whose_name_has_slashes_is_found_as_it_is_listed(
    house: House, name: str
) -> None:
    """Both clients escape what they ask for, or do not."""
    customer = await house.customer("0")
    async with customer.openai() as client:
        one: Any = await client.models.retrieve(name)
        listed: Any = await client.models.list()
    assert one.pricing["units"][0]["unit"] == "input"
    assert "openai/gpt-up-120b" in {model.id for model in listed.data}
    async with customer.anthropic() as other:
        same: Any = await other.models.retrieve("claude/claude-up")
    assert (same.id, same.type) == ("claude/claude-up", "model")
    headers = {"authorization": f"Bearer {customer.key}"}
    async with httpx.AsyncClient(base_url=house.url, timeout=30, headers=headers) as client:
        for path in (name, name.replace("/", "%2F"), name + "/", name.replace("/", "//")):
            found = (await client.get("/models/" + path)).json()
            assert (found["id"], found["pricing"]) == (name, one.pricing), path
        unknown = await client.get("/models/nobody/has/it")
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
        assert (await client.post("/models/" + name)).status_code == 405
        asked = await client.options("/models/" + name)
        assert (asked.status_code, asked.headers["allow"]) == (204, "GET, OPTIONS")


def test_prices_of_everything_can_be_shown() -> None:
    """Cliffs, tiers, fixed fees and free models, in one version."""
    from tollkeeper.gateway.listing import prices_of

    version = priced(
        "up",
        "odd",
        rates={
            "input": Rate(DOLLAR, MTOK, ((100, 2 * DOLLAR),)),
            "output": Rate(0, MTOK),
            "request": Rate(5, 1),
        },
    )
    shown = prices_of(version, Markup(ppm=500_000, fixed_nanos=7))
    assert shown.per_request is not None
    assert shown.per_request.nanos == 7
    by_unit = {unit.unit: unit for unit in shown.units}
    assert by_unit["input"].price.nanos == 3 * DOLLAR // 2
    assert by_unit["input"].above[0].price.nanos == 3 * DOLLAR
    assert by_unit["output"].price.nanos == 0
    assert by_unit["request"].price.nanos == 8
