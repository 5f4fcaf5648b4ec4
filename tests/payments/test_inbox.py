"""The inbox over real HTTP: Y9 to Y12 of the room."""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from banks import FakeBank
from fake_stripe import How
from shops import Shop

from serving import served
from tollkeeper.db import Connection
from tollkeeper.http import Idempotency, make_api
from tollkeeper.payments import (
    EventState,
    Which,
    catch_up,
    charge,
    get_payment,
    handle_pending,
    open_page,
    replay,
)
from tollkeeper.payments.inbox import store
from tollkeeper.payments.inbox.routes import webhook_route
from tollkeeper.payments.methods import keeping
from tollkeeper.payments.model import (
    PageKind,
    Payment,
    PaymentChanged,
    PaymentStatus,
)
from tollkeeper.payments.processors import RawEvent

VISA = "pm_card_visa"


@pytest.fixture
async def endpoint(shop: Shop) -> AsyncIterator[str]:
    """The webhook's address, such as `http://127.0.0.1:40123/api/v1/processors/stripe/events`."""
    route = webhook_route(shop.till, shop.bank.processor, signed_with="a secret")
    app = make_api(
        [],
        [route],
        idempotency=Idempotency(shop.database, shop.clock),
        max_body_bytes=100_000,
        dependencies={},
    )
    async with served(app) as address:
        yield f"{address}{route.path}"


async def post(url: str, headers: dict[str, str], body: bytes | io.BytesIO) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def kept(shop: Shop) -> dict[str, int]:
    """How many events are kept in each state."""
    async with shop.database.connection() as connection:
        found = await connection.execute("SELECT state, count(*) FROM inbox_event GROUP BY 1")
        return dict(await found.fetchall())


async def paid_on_page(shop: Shop) -> Payment:
    """A payment that succeeded at the processor, of which we have heard nothing."""
    await shop.on_file()
    payment = await shop.intend(page=PageKind.HOSTED, save_method=True)
    opened = await open_page(shop.till, payment.org_id, payment.payment_id)
    status, _ = await shop.bank.submit_page(opened.page_url or "", "4242424242424242")
    assert status == 303
    return opened


async def read(shop: Shop, payment: Payment) -> Payment:
    async with shop.database.connection() as connection:
        return await get_payment(connection, payment.org_id, payment.payment_id)


async def drain(shop: Shop) -> None:
    """Handle all there is, also what has to wait for another attempt."""
    for _ in range(20):
        await shop.wait(60)
        await handle_pending(shop.till)


async def test_y9_an_event_is_kept_answered_and_handled(shop: Shop, endpoint: str) -> None:
    payment = await paid_on_page(shop)
    for headers, body in await shop.bank.event_bodies():
        assert await post(endpoint, headers, body) == (200, {"received": True})
    await drain(shop)
    assert (await read(shop, payment)).status is PaymentStatus.SUCCEEDED
    assert "pending" not in await kept(shop)
    assert [heard.now for heard in await shop.heard("payment")] == ["succeeded"]


async def test_the_balance_need_not_wait_for_the_background_job(shop: Shop, endpoint: str) -> None:
    payment = await paid_on_page(shop)
    for headers, body in await shop.bank.event_bodies():
        await post(endpoint, headers, body)
    for _ in range(100):
        if (await read(shop, payment)).status is PaymentStatus.SUCCEEDED:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nobody has handled it within two seconds")


async def test_y10_every_event_a_hundred_times_in_any_order_is_heard_once(
    shop: Shop, endpoint: str
) -> None:
    payments = [await paid_on_page(shop) for _ in range(3)]
    for payment in payments[:2]:
        found = await shop.bank.processor.find_payment(
            shop.bank.sought(payment.payment_id, paged=True, page_ref=payment.page_ref)
        )
        await shop.bank.open_dispute(found.ref)  # type: ignore[union-attr]  (it is paid)
    webhooks = await shop.bank.event_bodies() * 100
    random.Random(7).shuffle(webhooks)  # noqa: S311 (no secret)
    gate = asyncio.Semaphore(16)

    async def send(headers: dict[str, str], body: bytes) -> int:
        async with gate:
            return (await post(endpoint, headers, body))[0]

    assert set(await asyncio.gather(*(send(*webhook) for webhook in webhooks))) == {200}
    await drain(shop)
    assert "pending" not in await kept(shop)
    assert sum((await kept(shop)).values()) == len(webhooks) // 100
    for payment in payments:
        assert (await read(shop, payment)).status is PaymentStatus.SUCCEEDED
    assert sorted(heard.id for heard in await shop.heard("payment")) == sorted(
        payment.payment_id for payment in payments
    )
    assert [heard.now for heard in await shop.heard("dispute")] == ["open", "open"]
    methods = [heard.id for heard in await shop.heard("method")]
    assert len(methods) == len(set(methods)) == 6


async def test_y11_what_is_not_the_processors_own_is_refused_and_not_kept(
    shop: Shop, endpoint: str
) -> None:
    await paid_on_page(shop)
    before = await kept(shop)
    headers, body = (await shop.bank.event_bodies())[-1]
    (name,) = [name for name in headers if "signature" in name]
    stamp = headers[name].split(",")[0]
    for given, said in [
        ({}, body),
        ({name: "nonsense"}, body),
        ({name: f"{stamp},v1={'0' * 64}"}, body),
        (headers, body + b" "),
        (headers, b""),
        (headers, b"\xff"),
    ]:
        status, answer = await post(endpoint, given, said)
        assert (status, answer["code"]) == (400, "webhook_signature_invalid")
    await shop.wait(minutes=6)
    assert (await post(endpoint, headers, body))[0] == 400
    assert await kept(shop) == before
    assert (await post(endpoint, {}, io.BytesIO(b"x" * 1_100_000)))[0] == 413


def test_y11_without_a_secret_there_is_no_endpoint(shop: Shop) -> None:
    for secret in (None, ""):
        with pytest.raises(ValueError, match="without their secret"):
            webhook_route(shop.till, shop.bank.processor, signed_with=secret)


async def test_y12_what_never_came_is_asked_for(shop: Shop) -> None:
    payment = await paid_on_page(shop)
    assert await catch_up(shop.till) > 0
    assert await catch_up(shop.till) == 0
    await drain(shop)
    assert (await read(shop, payment)).status is PaymentStatus.SUCCEEDED
    await shop.wait(hours=5)
    another = await paid_on_page(shop)
    assert await catch_up(shop.till) > 0
    await drain(shop)
    assert (await read(shop, another)).status is PaymentStatus.SUCCEEDED
    assert len(await shop.heard("payment")) == 2


async def test_y9_an_event_is_handled_with_its_effects_or_not_at_all(shop: Shop) -> None:
    payment = await paid_on_page(shop)
    refuse = True

    async def refusing(_: Connection, change: PaymentChanged) -> None:
        if refuse and change.payment.status is PaymentStatus.SUCCEEDED:
            raise RuntimeError("no room in the ledger")

    shop.till.handlers.on(PaymentChanged, refusing)
    await catch_up(shop.till)
    await drain(shop)
    assert await shop.heard("payment") == []
    async with shop.database.connection() as connection:
        waiting = await store.newest(connection, shop.bank.processor.name, EventState.PENDING, 50)
    assert waiting
    assert all(event.last_error == "RuntimeError: no room in the ledger" for event in waiting)
    assert all(1 < event.attempts < 20 for event in waiting)
    refuse = False
    await shop.wait(hours=1)
    await drain(shop)
    assert "pending" not in await kept(shop)
    assert (await read(shop, payment)).status is PaymentStatus.SUCCEEDED
    assert len(await shop.heard("payment")) == 1


async def test_an_event_whose_process_died_is_handled_by_another(shop: Shop) -> None:
    payment = await paid_on_page(shop)
    await catch_up(shop.till)
    async with shop.database.connection() as connection:
        names = [f"{shop.bank.processor.name}false"]
        taken = await store.claim_due(connection, names, shop.clock.now(), 1000)
        assert taken
        # Whoever took them is gone.
        assert await store.claim_due(connection, names, shop.clock.now(), 1000) == []
    await shop.wait(16)
    await drain(shop)
    assert (await read(shop, payment)).status is PaymentStatus.SUCCEEDED


async def test_many_processes_handle_each_event_once(shop: Shop) -> None:
    for _ in range(3):
        await paid_on_page(shop)
    await catch_up(shop.till)
    await shop.wait(1)
    handled = await asyncio.gather(*(handle_pending(shop.till) for _ in range(5)))
    assert sum(handled) == sum((await kept(shop)).values())
    assert len(await shop.heard("payment")) == 3


async def test_what_is_not_understood_is_kept_and_can_be_replayed(shop: Shop) -> None:
    name = shop.bank.processor.name
    body = {"id": "evt_new", "type": "weather.changed", "created": 1, "livemode": False}
    if name == "sandbox":
        body = {
            "id": "evt_new",
            "type": "weather.changed",
            "created": "2026-01-01T00:00:00Z",
            "about": {},
        }
    raw = RawEvent(
        processor=name,
        event_id="evt_new",
        type="weather.changed",
        created_at=shop.clock.now(),
        body=json.dumps(body).encode(),
    )
    async with shop.database.connection() as connection:
        assert await store.insert(connection, raw, shop.clock.now(), livemode=False)
        assert not await store.insert(connection, raw, shop.clock.now(), livemode=False)
    await drain(shop)
    assert await kept(shop) == {"not_understood": 1}
    assert await replay(shop.till, name, Which(types=("rain.fell",))) == 0
    assert await replay(shop.till, name, Which(states=(EventState.NOT_UNDERSTOOD,))) == 1
    assert await kept(shop) == {"pending": 1}
    await drain(shop)
    assert await kept(shop) == {"not_understood": 1}


async def test_a_replay_of_everything_changes_nothing(shop: Shop) -> None:
    payment = await paid_on_page(shop)
    await catch_up(shop.till)
    await drain(shop)
    before = await read(shop, payment), await shop.heard()
    events = sum((await kept(shop)).values())
    assert await replay(shop.till, shop.bank.processor.name, Which()) == events
    await drain(shop)
    assert (await read(shop, payment), await shop.heard()) == before
    assert "pending" not in await kept(shop)


async def test_money_that_goes_back_is_heard_of_after_that_it_came(shop: Shop) -> None:
    """The refund's event comes alone: that the payment was paid is found out before."""
    payment = await paid_on_page(shop)
    found = await shop.bank.processor.find_payment(shop.bank.sought(payment.payment_id, paged=True))
    await shop.bank.refund_by_hand(found.ref)  # type: ignore[union-attr]  (it is paid)
    events = [raw async for raw in shop.bank.processor.events(payment.intended_at)]
    (refund,) = [raw for raw in events if raw.type == "refund.created"]
    async with shop.database.connection() as connection:
        await store.insert(connection, refund, shop.clock.now(), livemode=False)
    await drain(shop)
    assert [heard[0::3] for heard in await shop.heard()][-2:] == [
        ("payment", "succeeded"),
        ("refund", "succeeded"),
    ]


async def test_what_belongs_to_another_product_is_ignored(
    fake_shop: Shop, fake_bank: FakeBank
) -> None:
    """The same account at Stripe may sell other things."""
    stripe_v1 = fake_bank.stripe._client.v1
    other = await stripe_v1.customers.create_async({"name": "Other"})
    intent = await stripe_v1.payment_intents.create_async(
        {
            "amount": 900,
            "currency": "usd",
            "customer": other.id,
            "payment_method": VISA,
            "confirm": True,
            "return_url": "https://a.test",
        }
    )
    fake_bank.fake.dispute(intent.id)
    await stripe_v1.payment_methods.attach_async(VISA, {"customer": other.id})
    await catch_up(fake_shop.till)
    await drain(fake_shop)
    states = await kept(fake_shop)
    assert states.keys() == {"ignored"}
    assert await fake_shop.heard() == []


async def test_a_processor_that_does_not_answer_delays_and_loses_nothing(
    fake_shop: Shop, fake_bank: FakeBank
) -> None:
    payment = await paid_on_page(fake_shop)
    await catch_up(fake_shop.till)
    fake_bank.fake.fail("/v1/.*", How.LOST_BEFORE, method="GET", times=-1)
    await fake_shop.wait(1)
    await handle_pending(fake_shop.till)
    assert (await kept(fake_shop))["pending"] > 0
    assert (await read(fake_shop, payment)).status is PaymentStatus.REQUIRES_PAYMENT
    fake_bank.fake.heal()
    await drain(fake_shop)
    assert (await read(fake_shop, payment)).status is PaymentStatus.SUCCEEDED


async def test_a_card_removed_in_the_processors_portal_is_removed_here(shop: Shop) -> None:
    first, second = await shop.on_file(), await shop.on_file("pm_card_mastercard")
    await shop.bank.processor.detach_method(first.ref)
    await catch_up(shop.till)
    await drain(shop)
    async with shop.database.connection() as connection:
        methods = await keeping.list_methods(connection, shop.till, shop.owner)
    assert [(method.method_id, method.is_default) for method in methods] == [
        (second.method_id, True)
    ]
    assert [(heard.id, heard.now) for heard in await shop.heard("method")] == [
        (first.method_id, "added"),
        (second.method_id, "added"),
        (first.method_id, "removed"),
    ]


async def test_webhooks_that_stripe_repeats_until_taken_arrive(
    fake_shop: Shop, fake_bank: FakeBank
) -> None:
    """The fake sends by itself, twice, to an endpoint that is not there at first."""
    method = await fake_shop.on_file()
    route = webhook_route(fake_shop.till, fake_bank.processor, signed_with="a secret")
    app = make_api(
        [],
        [route],
        idempotency=Idempotency(fake_shop.database, fake_shop.clock),
        max_body_bytes=100_000,
        dependencies={},
    )
    async with served(app) as address:
        fake_bank.fake.webhooks.url = f"{address}/webhooks/nobody"
        fake_bank.fake.webhooks.times = 2
        payment = await fake_shop.intend(method_id=method.method_id, off_session=True)
        await charge(fake_shop.till, payment.org_id, payment.payment_id)
        fake_bank.fake.webhooks.url = f"{address}{route.path}"
        await fake_bank.fake.webhooks.idle()
    answers = fake_bank.fake.webhooks.answers
    assert 404 in {status for _, status in answers}
    assert set(dict(answers).values()) == {200}
    await drain(fake_shop)
    assert len(await fake_shop.heard("payment")) == 1
