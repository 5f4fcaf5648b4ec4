"""The fake itself: it shows things in the shapes of Stripe's SDK, and it keeps its word on keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
import stripe
from fake_stripe import FakeStripe, How, served
from fake_stripe.cards import CARDS
from fake_stripe.server import SECRET_KEY, read_form
from sdk_shapes import KINDS, faults_of_object


@pytest.fixture
async def fake() -> AsyncIterator[FakeStripe]:
    async with served() as running:
        yield running


@pytest.fixture
def client(fake: FakeStripe) -> stripe.StripeClient:
    return stripe.StripeClient(
        SECRET_KEY,
        base_addresses={"api": fake.base},
        stripe_version="2026-10-28.endive",
        max_network_retries=0,
        http_client=stripe.AIOHTTPClient(),
    )


@pytest.fixture(autouse=True)
async def closed(client: stripe.StripeClient) -> AsyncIterator[None]:
    yield
    await client._requestor._get_http_client().close_async()


# ── Shapes ───────────────────────────────────────────────────────────────────────────────────────


async def make_everything(fake: FakeStripe, client: stripe.StripeClient) -> None:
    v1 = client.v1
    customer = (await v1.customers.create_async({"name": "Acme", "email": "a@acme.test"})).id
    await v1.customers.update_async(customer, {"address": {"line1": "1 Road", "country": "DE"}})
    await v1.customers.tax_ids.create_async(customer, {"type": "eu_vat", "value": "DE136695976"})
    await v1.billing_portal.sessions.create_async({"customer": customer})
    for card in CARDS:
        await pay_with(v1, customer, card.token)
    for intent in [intent["id"] for intent in fake.state.all("payment_intent")]:
        if fake.state.objects[intent]["status"] == "processing":
            fake.finish_processing(intent, succeeds=True)
    paid = [charge["payment_intent"] for charge in fake.charges()]
    await v1.refunds.create_async({"payment_intent": paid[0], "amount": 100})
    fake.close_dispute(fake.dispute(paid[1]), "won")
    fake.escalate(fake.dispute(paid[2], inquiry=True))
    await pay_on_page(v1, customer)
    await subscribe(v1, customer)


async def subscribe(v1: Any, customer: str) -> None:
    product = await v1.products.create_async({"id": "pln_1", "name": "Pro"})
    prices = [
        await v1.prices.create_async(
            {
                "product": product.id,
                "unit_amount": amount,
                "currency": "usd",
                "recurring": {"interval": "month"},
            }
        )
        for amount in (2000, 5000)
    ]
    made = await v1.subscriptions.create_async(
        {
            "customer": customer,
            "items": [{"price": prices[0].id}],
            "payment_behavior": "default_incomplete",
            "expand": ["latest_invoice.payments"],
        }
    )
    intent = made.latest_invoice.payments.data[0].payment.payment_intent
    await v1.payment_intents.confirm_async(
        intent, {"payment_method": "pm_card_visa", "return_url": "https://a.test"}
    )
    await v1.subscriptions.update_async(
        made.id,
        {
            "items": [{"id": made["items"].data[0].id, "price": prices[1].id}],
            "proration_behavior": "always_invoice",
            "payment_behavior": "pending_if_incomplete",
        },
    )


async def pay_with(v1: Any, customer: str, token: str) -> None:
    """Keep a card and charge it; cards that decline do."""
    given: Any = {
        "customer": customer,
        "payment_method": token,
        "confirm": True,
        "return_url": "https://a.test",
    }
    with suppress(stripe.CardError):
        await v1.setup_intents.create_async(given)
    with suppress(stripe.CardError):
        await v1.payment_intents.create_async({**given, "amount": 2500, "currency": "usd"})


async def pay_on_page(v1: Any, customer: str) -> None:
    for mode in ("payment", "setup"):
        lines = [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": 900,
                    "product_data": {"name": "Credit"},
                },
            }
        ]
        session = await v1.checkout.sessions.create_async(
            {
                "mode": mode,
                "customer": customer,
                "success_url": "https://a.test",
                **({"line_items": lines} if mode == "payment" else {"currency": "usd"}),
            }
        )
        async with aiohttp.ClientSession() as browser:
            url, form = session.url, {"card": "4242424242424242"}
            async with browser.post(url, data=form, allow_redirects=False) as answer:
                assert answer.status == 303


async def test_everything_it_shows_has_the_shape_that_the_sdk_knows(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    await make_everything(fake, client)
    shown = {thing["object"] for thing in fake.state.objects.values()}
    assert shown == set(KINDS)
    faults = [
        fault
        for thing in fake.state.objects.values()
        for fault in faults_of_object(thing, KINDS[thing["object"]], thing["object"])
    ]
    assert sorted(set(faults)) == []


async def test_a_wrong_shape_is_seen(fake: FakeStripe, client: stripe.StripeClient) -> None:
    await make_everything(fake, client)
    intent = fake.state.all("payment_intent")[0]
    broken = {**intent, "status": "done", "amount": "12", "surprise": 1}
    broken.pop("status")
    said = "\n".join(faults_of_object(broken, stripe.PaymentIntent, "pi"))
    assert "pi.status is missing" in said
    assert "pi.surprise is unknown" in said
    assert "pi.amount: '12'" in said


async def test_what_stripe_does_not_take_is_refused(client: stripe.StripeClient) -> None:
    misspelt: Any = {"nmae": "Acme"}
    with pytest.raises(stripe.InvalidRequestError, match="unknown parameter"):
        await client.v1.customers.create_async(misspelt)


def test_forms_are_read_as_stripe_reads_them() -> None:
    assert read_form("a=1&b[c]=2&b[d][]=3&b[d][]=4&e[0][f]=5&e[1][f]=6") == {
        "a": "1",
        "b": {"c": "2", "d": ["3", "4"]},
        "e": [{"f": "5"}, {"f": "6"}],
    }


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────────

PARAMS: Any = {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}


async def test_the_same_key_gives_the_first_answer_again(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    create = client.v1.payment_intents.create_async
    first = await create(PARAMS, {"idempotency_key": "k"})
    again = await create(PARAMS, {"idempotency_key": "k"})
    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"
    assert fake.charged == 500


async def test_the_same_key_for_another_request_is_refused(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    create = client.v1.payment_intents.create_async
    await create(PARAMS, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError):
        await create(PARAMS | {"amount": 600}, {"idempotency_key": "k"})
    assert fake.charged == 500


async def test_of_requests_at_once_one_runs_and_the_others_are_told(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    fake.seconds = 0.1
    create = client.v1.payment_intents.create_async
    answers = await asyncio.gather(
        *(create(PARAMS, {"idempotency_key": "k"}) for _ in range(10)), return_exceptions=True
    )
    told = [answer for answer in answers if isinstance(answer, stripe.APIError)]
    assert [error.http_status for error in told] == [409] * 9
    assert fake.charged == 500


async def test_a_decline_is_remembered_and_a_wrong_parameter_is_not(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    create = client.v1.payment_intents.create_async
    poor: Any = {**PARAMS, "payment_method": "pm_card_chargeDeclinedInsufficientFunds"}
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            await create(poor, {"idempotency_key": "poor"})
    assert len(fake.state.all("payment_intent")) == 1
    with pytest.raises(stripe.InvalidRequestError):
        await create(PARAMS | {"amount": 1}, {"idempotency_key": "small"})
    await create(PARAMS, {"idempotency_key": "small"})


async def test_an_error_that_comes_late_is_remembered_with_what_it_did(
    fake: FakeStripe, client: stripe.StripeClient
) -> None:
    fake.fail("/v1/payment_intents", How.ERROR_AFTER)
    create = client.v1.payment_intents.create_async
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            await create(PARAMS, {"idempotency_key": "k"})
    assert fake.charged == 500


async def test_lists_go_on_where_they_ended(client: stripe.StripeClient) -> None:
    for _ in range(25):
        await client.v1.payment_intents.create_async({"amount": 500, "currency": "usd"})
    listed = await client.v1.payment_intents.list_async({"limit": 10})
    found = [intent.id async for intent in listed.auto_paging_iter()]
    assert len(set(found)) == len(found) == 25
    assert found == sorted(found, reverse=True)
