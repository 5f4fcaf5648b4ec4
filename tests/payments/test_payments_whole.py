"""The whole application with the sandbox, and with a Stripe: what is served and what runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from banks import fake_settings
from fake_stripe import FakeStripe

from tollkeeper.base.settings import Payments, Secret, Settings, Stripe
from tollkeeper.base.settings_source import SettingsError, load_settings
from tollkeeper.payments.processors.stripe import is_live_key
from whole import Whole, whole_served

METHODS = "/billing/payment-methods"


@pytest.fixture
async def sandboxed(database_url: str) -> AsyncIterator[Whole]:
    async with whole_served(database_url) as running:
        yield running


@pytest.fixture
async def striped(database_url: str, fake: FakeStripe) -> AsyncIterator[Whole]:
    settings = Settings(stripe=fake_settings(fake, timeout_seconds=5))
    async with whole_served(database_url, settings) as running:
        fake.webhooks.url = f"{running.url}/api/v1/processors/stripe/events"
        yield running


async def click(url: str, **form: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as browser,
        browser.post(url, data=form, allow_redirects=False) as answer,
    ):
        return answer.status, answer.headers.get("location", "")


async def soon(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await true():  # noqa: ASYNC110 (the server makes it true)
            await asyncio.sleep(0.05)


async def test_a_card_is_kept_on_the_sandboxs_page_by_anybody_with_curl(sandboxed: Whole) -> None:
    customer = await sandboxed.customer()
    key = customer.keys["test ADMIN"]
    opened = await sandboxed.ask("POST", METHODS, key, {"checkout": "hosted"})
    assert opened.status == 201
    url: str = opened.json["actionUrl"]
    assert url.startswith(f"{sandboxed.url}/sandbox/pay/")
    shown = await sandboxed.ask("GET", f"/{url.removeprefix(sandboxed.url)}")
    assert (shown.status, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")
    status, led_to = await click(url, number="4242424242424242")
    assert (status, led_to) == (
        303,
        f"{sandboxed.url}/console/billing?redirect_status=succeeded",
    )
    landed = await sandboxed.ask("GET", f"/{led_to.removeprefix(sandboxed.url)}")
    assert (landed.status, "Thank you" in landed.text) == (200, True)

    async def kept() -> bool:
        listed = await sandboxed.ask("GET", METHODS, key)
        return [method["last4"] for method in listed.json["data"]] == ["4242"]

    await soon(kept)
    portal = await sandboxed.ask("POST", "/billing/portal-session", key, {})
    path = portal.json["url"].removeprefix(sandboxed.url)
    assert "4242" in (await sandboxed.ask("GET", f"/{path}")).text


async def test_live_balances_wait_for_a_processor(sandboxed: Whole) -> None:
    customer = await sandboxed.customer()
    answer = await sandboxed.ask("POST", METHODS, customer.keys["live ADMIN"], {"token": "x"})
    assert (answer.status, answer.json["code"]) == (422, "payments_not_configured")


async def test_a_stripe_of_test_mode_serves_test_balances_in_the_sandboxs_place(
    striped: Whole, fake: FakeStripe
) -> None:
    customer = await striped.customer()
    key = customer.keys["test ADMIN"]
    opened = await striped.ask("POST", METHODS, key, {"checkout": "hosted"})
    assert opened.json["actionUrl"].startswith(f"{fake.base}/pay/")
    await click(opened.json["actionUrl"], card="4242424242424242")

    async def kept() -> bool:
        return bool((await striped.ask("GET", METHODS, key)).json["data"])

    await soon(kept)
    await fake.webhooks.idle()
    assert {status for _, status in fake.webhooks.answers} == {200}
    live = await striped.ask("GET", METHODS, customer.keys["live ADMIN"])
    assert live.status == 422


async def test_without_a_webhook_secret_there_is_no_endpoint_and_events_are_asked_for(
    database_url: str, fake: FakeStripe
) -> None:
    stripe = Stripe(secret_key=Secret("sk_test_fake"), api_base=fake.base, timeout_seconds=5)
    async with whole_served(database_url, Settings(stripe=stripe)) as whole:
        answer = await whole.ask("POST", "/processors/stripe/events", None, {})
        assert answer.status in (404, 405)
        key = (await whole.customer()).keys["test ADMIN"]
        opened = await whole.ask("POST", METHODS, key, {"checkout": "hosted"})
        await click(opened.json["actionUrl"], card="4242424242424242")

        async def kept() -> bool:
            return bool((await whole.ask("GET", METHODS, key)).json["data"])

        await soon(kept)


async def test_the_sandbox_can_be_switched_off(database_url: str) -> None:
    settings = Settings(payments=Payments(sandbox=False))
    async with whole_served(database_url, settings) as whole:
        customer = await whole.customer()
        answer = await whole.ask("GET", METHODS, customer.keys["test ADMIN"])
        assert answer.json["code"] == "payments_not_configured"
        assert (await whole.ask("GET", "//sandbox/dashboard/any")).status == 404
        sent = await whole.ask("POST", "/processors/sandbox/events", None, {})
        assert sent.status in (404, 405)


@pytest.mark.parametrize(
    ("key", "live"),
    [("sk_live_1", True), ("rk_live_1", True), ("sk_test_1", False), ("rk_test_1", False)],
)
def test_a_key_says_which_balances_it_serves(key: str, *, live: bool) -> None:
    assert is_live_key(key) is live


@pytest.mark.parametrize(
    "given",
    [
        {"TOLLKEEPER_STRIPE__SECRET_KEY": "pk_live_1"},
        {"TOLLKEEPER_STRIPE__SECRET_KEY": "nonsense"},
        {"TOLLKEEPER_STRIPE__WEBHOOK_SECRET": "whsec_1"},
        {
            "TOLLKEEPER_STRIPE__SECRET_KEY": "sk_test_1",
            "TOLLKEEPER_STRIPE__API_BASE": "ftp://stripe",
        },
    ],
)
def test_settings_that_cannot_be_meant_are_refused(given: dict[str, str], tmp_path: Any) -> None:
    empty = tmp_path / "tollkeeper.toml"
    empty.write_text("")
    with pytest.raises(SettingsError) as refused:
        load_settings(empty, given)
    assert "stripe" in str(refused.value)
    assert "pk_live_1" not in str(refused.value)
