"""Each event a hundred times, in any order, among forgeries: what is genuine is recorded once, what
is not is refused and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import aiohttp
from fake_stripe import FakeStripe
from shops import Shop

from serving import served
from tollkeeper.http import Idempotency, make_api
from tollkeeper.payments import (
    disputes_of,
    get_payment,
    handle_pending,
    open_page,
    payments_of,
    refunds_of,
)
from tollkeeper.payments.inbox.routes import webhook_route
from tollkeeper.payments.model import DisputeStatus, PageKind, Payment, PaymentStatus, RefundStatus

TIMES: Final = 100
HEADER: Final = "stripe-signature"
Webhook = tuple[dict[str, str], bytes]
REFUSED: Final = (400, "webhook_signature_invalid")


async def test_a_storm_of_webhooks_is_recorded_once(fake_shop: Shop, fake: FakeStripe) -> None:
    await fake_shop.on_file()
    payments = [await _paid_on_page(fake_shop) for _ in range(4)]
    refs = [fake.charges()[n]["payment_intent"] for n in range(4)]
    fake.refund_by_hand(refs[1], 500)
    lost, won = fake.dispute(refs[2]), fake.dispute(refs[3])
    fake.close_dispute(lost, "lost")
    fake.close_dispute(won, "won")
    events = fake.state.all("event")
    genuine = [fake.webhooks.signed(event) for event in events]
    forged = [forgery for event in events for forgery in _forgeries(fake, event)]
    invented = _invented(fake, payments[0])
    storm: list[tuple[Webhook, bool]] = [
        *((webhook, True) for webhook in genuine * TIMES),
        *((webhook, False) for webhook in [*forged, *invented] * 10),
    ]
    random.Random(13).shuffle(storm)  # noqa: S311 (no secret)
    async with _endpoint(fake_shop) as url, aiohttp.ClientSession() as session:
        gate = asyncio.Semaphore(24)

        async def send(webhook: Webhook, *, is_genuine: bool) -> tuple[bool, tuple[int, str]]:
            async with gate:
                return is_genuine, await _post(session, url, *webhook)

        answers = Counter(
            await asyncio.gather(*(send(webhook, is_genuine=real) for webhook, real in storm))
        )
    assert answers == {
        (True, (200, "")): len(genuine) * TIMES,
        (False, REFUSED): (len(forged) + len(invented)) * 10,
    }
    await _drain(fake_shop)

    kept = await _kept(fake_shop)
    assert kept.keys() == {event["id"] for event in events}
    assert set(kept.values()) <= {"handled", "ignored"}
    await _recorded_once(fake_shop, payments)


async def test_a_forgery_that_comes_first_does_not_keep_the_genuine_one_out(
    fake_shop: Shop, fake: FakeStripe
) -> None:
    """Were the forged one stored under the event's id, the genuine one would be a duplicate."""
    await fake_shop.on_file()
    payment = await _paid_on_page(fake_shop)
    async with _endpoint(fake_shop) as url, aiohttp.ClientSession() as session:
        for event in fake.state.all("event"):
            for forgery in _forgeries(fake, event):
                assert await _post(session, url, *forgery) == REFUSED
        assert await _kept(fake_shop) == {}
        for event in fake.state.all("event"):
            assert (await _post(session, url, *fake.webhooks.signed(event)))[0] == 200
    await _drain(fake_shop)
    assert await _status(fake_shop, payment) is PaymentStatus.SUCCEEDED
    assert len(await fake_shop.heard("payment")) == 1


async def test_an_old_webhook_is_refused_and_its_event_is_asked_for(
    fake_shop: Shop, fake: FakeStripe
) -> None:
    """Whoever recorded a webhook cannot play it back; what it said is not lost by that."""
    await fake_shop.on_file()
    payment = await _paid_on_page(fake_shop)
    recorded = [fake.webhooks.signed(event) for event in fake.state.all("event")]
    fake_shop.clock.advance(timedelta(minutes=6))
    async with _endpoint(fake_shop) as url, aiohttp.ClientSession() as session:
        for webhook in recorded:
            assert await _post(session, url, *webhook) == REFUSED
        assert await _kept(fake_shop) == {}
        # Stripe signs each try anew.
        for event in fake.state.all("event"):
            assert (await _post(session, url, *fake.webhooks.signed(event)))[0] == 200
    await _drain(fake_shop)
    assert await _status(fake_shop, payment) is PaymentStatus.SUCCEEDED


# ── What is sent ─────────────────────────────────────────────────────────────────────────────────


def _forgeries(fake: FakeStripe, event: dict[str, Any]) -> list[Webhook]:
    """The same event with a wrong, an old, a future, a foreign and no signature."""
    headers, body = fake.webhooks.signed(event)
    now = fake.state.now()
    plain = {name: value for name, value in headers.items() if name != HEADER}
    stamp = headers[HEADER].partition(",")[0]
    return [
        (plain, body),
        ({**plain, HEADER: ""}, body),
        ({**plain, HEADER: "nonsense"}, body),
        ({**plain, HEADER: f"{stamp},v1={'0' * 64}"}, body),
        ({**plain, HEADER: headers[HEADER].replace("v1=", "v0=")}, body),
        (headers, body.replace(b'"livemode": false', b'"livemode": true ')),
        fake.webhooks.signed(event, secret="whsec_of_somebody_else"),
        fake.webhooks.signed(event, signed_at=now - 3_600),
        fake.webhooks.signed(event, signed_at=now + 3_600),
    ]


def _invented(fake: FakeStripe, payment: Payment) -> list[Webhook]:
    """Events that never were, such as one that says that a payment has come in."""
    made = {
        "id": "evt_invented",
        "object": "event",
        "type": "payment_intent.succeeded",
        "created": fake.state.now(),
        "livemode": False,
        "data": {"object": {"id": "pi_invented", "amount": payment.amount_minor}},
    }
    body = json.dumps(made).encode()
    return [({}, body), fake.webhooks.signed(made, secret="whsec_guessed")]


@asynccontextmanager
async def _endpoint(shop: Shop) -> AsyncGenerator[str]:
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


async def _post(
    session: aiohttp.ClientSession, url: str, headers: dict[str, str], body: bytes
) -> tuple[int, str]:
    async with session.post(url, data=body, headers=headers) as answer:
        said: dict[str, Any] = await answer.json(content_type=None)
        return answer.status, said.get("code", "")


async def _paid_on_page(shop: Shop) -> Payment:
    payment = await shop.intend(page=PageKind.HOSTED, save_method=True)
    opened = await open_page(shop.till, payment.org_id, payment.payment_id)
    assert (await shop.bank.submit_page(opened.page_url or "", "4242424242424242"))[0] == 303
    return opened


# ── What is there afterwards ─────────────────────────────────────────────────────────────────────


async def _recorded_once(shop: Shop, payments: list[Payment]) -> None:
    heard = Counter((one.what, one.id, one.now) for one in await shop.heard())
    assert set(heard.values()) == {1}
    async with shop.database.connection() as connection:
        for payment in payments:
            (paid,) = await payments_of(connection, payment.org_id, payment.subject_id)
            assert paid.status is PaymentStatus.SUCCEEDED
        given_back = await refunds_of(connection, shop.org_id, payments[1].payment_id)
        assert [(r.status, r.amount_minor) for r in given_back] == [(RefundStatus.SUCCEEDED, 500)]
        for payment, end in ((payments[2], DisputeStatus.LOST), (payments[3], DisputeStatus.WON)):
            disputes = await disputes_of(connection, shop.org_id, payment.payment_id)
            assert [dispute.status for dispute in disputes] == [end]
    succeeded = [one.id for one in await shop.heard("payment") if one.now == "succeeded"]
    assert sorted(succeeded) == sorted(payment.payment_id for payment in payments)


async def _kept(shop: Shop) -> dict[str, str]:
    async with shop.database.connection() as connection:
        found = await connection.execute("SELECT event_id, state FROM inbox_event")
        return dict(await found.fetchall())


async def _status(shop: Shop, payment: Payment) -> PaymentStatus:
    async with shop.database.connection() as connection:
        return (await get_payment(connection, payment.org_id, payment.payment_id)).status


async def _drain(shop: Shop) -> None:
    for _ in range(20):
        await shop.wait(60)
        await handle_pending(shop.till)
