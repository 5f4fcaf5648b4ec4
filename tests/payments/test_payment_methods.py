"""Payment methods over real HTTP, at the sandbox and at the fake Stripe: Y13 and Y14."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from banks import FakeBank
from fake_stripe import How
from shops import Shop

from serving import served
from tollkeeper.base.ids import read_id, uuid7
from tollkeeper.db import Connection
from tollkeeper.http import Idempotency, make_api
from tollkeeper.orgs import (
    KEYRING,
    KeyKind,
    KeyRing,
    NewKey,
    create_key,
    create_org,
    create_project,
)
from tollkeeper.payments import (
    PaymentMethodInUse,
    default_method,
    describe_customer,
    expiring_methods,
    get_method,
    settle_unfinished,
)
from tollkeeper.payments.methods import customers, keeping
from tollkeeper.payments.methods import store as method_store
from tollkeeper.payments.methods.routes import method_routes
from tollkeeper.payments.model import MethodRemoval
from tollkeeper.payments.processors import Address, CustomerDetails

VISA, MASTERCARD = "pm_card_visa", "pm_card_mastercard"
BILLING_PAGE = "https://console.test/billing"


@dataclass
class Client:
    """The API as one organization's key sees it."""

    session: aiohttp.ClientSession
    key: str

    async def __call__(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        said = {"authorization": f"Bearer {self.key}"}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, path, json=body, headers=said) as answer:
            return answer.status, await answer.json(content_type=None)

    async def add(self, card: str = VISA) -> str:
        status, made = await self("POST", "billing/payment-methods", {"token": card})
        assert status == 201, made
        known: str = made["paymentMethod"]["id"]
        return known

    async def listed(self) -> list[tuple[str, bool]]:
        status, listed = await self("GET", "billing/payment-methods")
        assert (status, listed["nextCursor"]) == (200, None)
        return [(method["id"], method["isDefault"]) for method in listed["data"]]


@pytest.fixture
async def session(shop: Shop) -> AsyncIterator[aiohttp.ClientSession]:
    async with KeyRing.open(shop.database, shop.clock) as ring:
        app = make_api(
            method_routes(shop.till, BILLING_PAGE),
            [],
            idempotency=Idempotency(shop.database, shop.clock),
            max_body_bytes=100_000,
            dependencies={},
            state={KEYRING: ring},
        )
        async with served(app) as base, aiohttp.ClientSession(base_url=f"{base}/") as opened:
            yield opened


async def make_key(shop: Shop, org_id: UUID, *, livemode: bool = False, admin: bool = True) -> str:
    project_id = uuid7()
    new = NewKey(
        org_id=org_id,
        key_id=uuid7(),
        project_id=project_id,
        name="Test",
        kind=KeyKind.ADMIN if admin else KeyKind.INFERENCE,
        livemode=livemode,
    )
    async with shop.database.transaction() as tx:
        await create_project(
            tx, org_id=org_id, project_id=project_id, name=project_id.hex, now=shop.clock.now()
        )
        _, secret = await create_key(tx, new, chance=secrets.token_bytes(32), now=shop.clock.now())
    return secret


@pytest.fixture
async def api(shop: Shop, session: aiohttp.ClientSession) -> Client:
    return Client(session, await make_key(shop, shop.org_id))


async def test_y13_methods_are_added_listed_chosen_and_removed(api: Client) -> None:
    assert await api.listed() == []
    first = await api.add()
    assert await api.listed() == [(first, True)]
    second = await api.add(MASTERCARD)
    assert dict(await api.listed()) == {first: True, second: False}
    status, chosen = await api("PUT", f"billing/payment-methods/{second}/default")
    assert (status, chosen["id"], chosen["isDefault"]) == (200, second, True)
    assert await api.listed() == [(second, True), (first, False)]
    assert (await api("DELETE", f"billing/payment-methods/{second}"))[0] == 204
    assert await api.listed() == [(first, True)]
    assert (await api("DELETE", f"billing/payment-methods/{second}"))[0] == 204
    assert (await api("DELETE", f"billing/payment-methods/{first}"))[0] == 204
    assert await api.listed() == []


async def test_a_method_is_shown_with_what_a_customer_knows_it_by(api: Client) -> None:
    await api.add()
    _, listed = await api("GET", "billing/payment-methods")
    (shown,) = listed["data"]
    assert shown["type"] == "card"
    assert (shown["brand"], shown["last4"], shown["expMonth"], shown["expYear"]) == (
        "visa",
        "4242",
        12,
        2034,
    )
    assert shown["expired"] is False
    assert set(shown) == {
        *("id", "type", "brand", "last4", "expMonth", "expYear", "expired", "isDefault"),
        "createdAt",
    }


async def test_the_processor_learns_which_one_is_the_default(shop: Shop, api: Client) -> None:
    first, second = await api.add(), await api.add(MASTERCARD)
    ref = await customers.ensure(shop.till, shop.org_id, livemode=False)
    refs = {}
    async with shop.database.connection() as connection:
        for known in (first, second):
            method = await get_method(connection, shop.owner, read_id("met", known))
            refs[known] = method.ref
    assert (await shop.bank.processor.list_methods(ref)).default_ref == refs[first]
    await api("PUT", f"billing/payment-methods/{second}/default")
    assert (await shop.bank.processor.list_methods(ref)).default_ref == refs[second]
    async with shop.database.connection() as connection:
        default = await default_method(connection, shop.till, shop.owner)
    assert default is not None
    assert default.ref == refs[second]


async def test_a_declined_card_says_why_in_a_stable_word(api: Client) -> None:
    body = {"token": "pm_card_chargeDeclinedInsufficientFunds"}
    status, said = await api("POST", "billing/payment-methods", body)
    assert (status, said["code"], said["failureCode"], said["retryable"]) == (
        422,
        "payment_method_declined",
        "insufficient_funds",
        True,
    )
    assert await api.listed() == []


async def test_a_bank_that_asks_is_answered_on_its_page(shop: Shop, api: Client) -> None:
    body = {"token": "pm_card_authenticationRequired", "returnUrl": "https://shop.test/done"}
    status, begun = await api("POST", "billing/payment-methods", body)
    assert (status, begun["status"], begun["paymentMethod"]) == (201, "requires_action", None)
    led_to = await shop.bank.answer_bank(begun["actionUrl"], approves=True)
    assert led_to.startswith("https://shop.test/done")
    await keeping.sync(shop.till, shop.owner)
    assert len(await api.listed()) == 1


@pytest.mark.parametrize("kind", ["hosted", "embedded"])
async def test_the_processors_page_can_ask_for_a_card(shop: Shop, api: Client, kind: str) -> None:
    status, opened = await api("POST", "billing/payment-methods", {"checkout": kind})
    assert (status, opened["status"]) == (201, "open")
    assert (opened["clientSecret"] is not None) == (kind == "embedded")
    assert opened["id"].startswith("set_")
    assert opened["expiresAt"] is not None
    if kind == "hosted":
        _, led_to = await shop.bank.submit_page(opened["actionUrl"], "4242424242424242")
        assert led_to.startswith(BILLING_PAGE)
        await keeping.sync(shop.till, shop.owner)
        assert len(await api.listed()) == 1


async def test_a_retried_request_keeps_a_card_once(shop: Shop, api: Client) -> None:
    body = {"token": VISA}
    first = await api("POST", "billing/payment-methods", body, idempotency_key="k1")
    again = await api("POST", "billing/payment-methods", body, idempotency_key="k1")
    assert first == again
    assert first[0] == 201
    ref = await customers.ensure(shop.till, shop.org_id, livemode=False)
    assert len((await shop.bank.processor.list_methods(ref)).methods) == 1


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, ""),
        ({"token": VISA, "checkout": "hosted"}, ""),
        ({"token": ""}, "token"),
        ({"token": VISA, "returnUrl": "javascript:alert(1)"}, "returnUrl"),
        ({"checkout": "popup"}, "checkout"),
        ({"token": VISA, "extra": 1}, "extra"),
    ],
)
async def test_what_makes_no_sense_is_refused(api: Client, body: Any, place: str) -> None:
    status, said = await api("POST", "billing/payment-methods", body)
    assert (status, said["code"]) == (400, "invalid_request")
    assert said["details"]["_errors"] if place == "" else said["details"][place]["_errors"]


async def test_s1_only_admin_keys_see_and_change_methods(
    shop: Shop, session: aiohttp.ClientSession
) -> None:
    spender = Client(session, await make_key(shop, shop.org_id, admin=False))
    for method, path in [
        ("GET", "billing/payment-methods"),
        ("POST", "billing/payment-methods"),
        ("DELETE", f"billing/payment-methods/met_{'0' * 32}"),
        ("PUT", f"billing/payment-methods/met_{'0' * 32}/default"),
        ("POST", "billing/portal-session"),
    ]:
        assert (await spender(method, path, {}))[0] == 401


async def test_another_organizations_method_is_not_there(
    shop: Shop, session: aiohttp.ClientSession, api: Client
) -> None:
    known = await api.add()
    other_org = uuid7()
    async with shop.database.transaction() as tx:
        await create_org(tx, org_id=other_org, name="Other", now=shop.clock.now())
    other = Client(session, await make_key(shop, other_org))
    assert await other.listed() == []
    for method, path in [
        ("DELETE", f"billing/payment-methods/{known}"),
        ("PUT", f"billing/payment-methods/{known}/default"),
        ("DELETE", "billing/payment-methods/met_nonsense"),
    ]:
        status, said = await other(method, path)
        assert status == 404, said
    assert await api.listed() == [(known, True)]


async def test_live_balances_have_methods_of_their_own(
    shop: Shop, session: aiohttp.ClientSession, api: Client
) -> None:
    await api.add()
    live = Client(session, await make_key(shop, shop.org_id, livemode=True))
    status, said = await live("GET", "billing/payment-methods")
    assert (status, said["code"]) == (422, "payments_not_configured")


async def test_y14_a_method_that_is_needed_is_not_removed(shop: Shop, api: Client) -> None:
    known = await api.add()

    async def needed(_: Connection, removal: MethodRemoval) -> None:
        if removal.method.is_default:
            raise PaymentMethodInUse("Automatic top-up pays with it; choose another one first")

    shop.till.handlers.on(MethodRemoval, needed)
    status, said = await api("DELETE", f"billing/payment-methods/{known}")
    assert (status, said["code"]) == (409, "payment_method_in_use")
    assert await api.listed() == [(known, True)]
    another = await api.add()
    await api("PUT", f"billing/payment-methods/{another}/default")
    assert (await api("DELETE", f"billing/payment-methods/{known}"))[0] == 204


async def test_a_removal_the_processor_did_not_hear_of_is_told_later(
    fake_shop: Shop, fake_bank: FakeBank
) -> None:
    method = await fake_shop.on_file()
    fake_bank.fake.fail("/v1/payment_methods/.*/detach", How.LOST_BEFORE, times=-1)
    await keeping.remove(fake_shop.till, fake_shop.owner, method.method_id)
    async with fake_shop.database.connection() as connection:
        assert await keeping.list_methods(connection, fake_shop.till, fake_shop.owner) == []
    assert await keeping.sync(fake_shop.till, fake_shop.owner) == []
    fake_bank.fake.heal()
    await fake_shop.wait(minutes=2)
    assert await settle_unfinished(fake_shop.till) == 1
    assert await settle_unfinished(fake_shop.till) == 0
    assert (await fake_bank.processor.list_methods(fake_bank.customer)).methods == []
    assert [heard.now for heard in await fake_shop.heard("method")] == ["added", "removed"]


async def test_a_portal_link_leads_to_the_processor(api: Client) -> None:
    status, said = await api("POST", "billing/portal-session", {"returnUrl": "https://a.test"})
    assert status == 201
    assert said["url"].startswith("http://127.0.0.1")
    assert (await api("POST", "billing/portal-session", {}))[0] == 201


async def test_a_stripe_that_is_away_is_said_so(fake_shop: Shop, fake_bank: FakeBank) -> None:
    fake_bank.fake.fail("/v1/.*", How.LOST_BEFORE, times=-1)
    async with KeyRing.open(fake_shop.database, fake_shop.clock) as ring:
        app = make_api(
            method_routes(fake_shop.till, BILLING_PAGE),
            [],
            idempotency=Idempotency(fake_shop.database, fake_shop.clock),
            max_body_bytes=100_000,
            dependencies={},
            state={KEYRING: ring},
        )
        async with served(app) as base, aiohttp.ClientSession(base_url=f"{base}/") as session:
            client = Client(session, await make_key(fake_shop, fake_shop.org_id))
            status, said = await client("POST", "billing/payment-methods", {"token": VISA})
            assert (status, said["code"]) == (503, "payment_processor_unavailable")
            # What is on file is known here.
            assert await client.listed() == []


# ── The copy ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_customer_is_made_once_however_many_ask_at_once(shop: Shop) -> None:
    refs = await asyncio.gather(
        *(customers.ensure(shop.till, shop.org_id, livemode=False) for _ in range(8))
    )
    assert len(set(refs)) == 1
    address = Address(line1="1 Road", city="Berlin", country="DE")
    details = CustomerDetails(name="Acme GmbH", email="a@acme.test", address=address)
    await describe_customer(shop.till, shop.org_id, details, livemode=False)


async def test_copies_made_at_once_agree(shop: Shop) -> None:
    shop.bank.org_id = shop.org_id
    shop.bank.customer = await customers.ensure(shop.till, shop.org_id, livemode=False)
    for _ in range(3):
        await shop.bank.on_file(VISA)
    await asyncio.gather(*(keeping.sync(shop.till, shop.owner) for _ in range(4)))
    methods = await keeping.sync(shop.till, shop.owner)
    assert len(methods) == 3
    assert [method.is_default for method in methods].count(True) == 1
    assert len(await shop.heard("method")) == 3


async def test_what_was_heard_before_the_latest_change_is_not_believed(shop: Shop) -> None:
    await shop.on_file()
    async with shop.database.connection() as connection:
        seen = await method_store.read_customer(
            connection, shop.org_id, shop.bank.processor.name, livemode=False
        )
    assert seen is not None
    old = await shop.bank.processor.list_methods(shop.bank.customer)
    await shop.on_file(MASTERCARD)
    async with shop.database.transaction() as tx:
        assert not await keeping.apply(tx, shop.till, seen, old)
    async with shop.database.connection() as connection:
        assert len(await keeping.list_methods(connection, shop.till, shop.owner)) == 2


async def test_cards_that_are_about_to_expire_are_found(shop: Shop) -> None:
    kept = [await shop.on_file() for _ in range(3)]
    gone = await shop.on_file()
    await keeping.remove(shop.till, shop.owner, gone.method_id)
    async with shop.database.connection() as connection:
        found = await expiring_methods(connection, 2034, 12)
        assert [method.method_id for method in found] == sorted(m.method_id for m in kept)
        first = await expiring_methods(connection, 2034, 12, most=1)
        rest = await expiring_methods(connection, 2034, 12, after=first[0].method_id)
        assert first + rest == found
        assert await expiring_methods(connection, 2034, 11) == []


async def test_a_card_is_good_to_the_end_of_its_month(shop: Shop) -> None:
    card = await shop.on_file()
    now = shop.clock.now().replace(year=2034, month=12, day=31, hour=23, minute=59)
    assert not card.expired(now)
    assert card.expired(now.replace(year=2035, month=1, day=1, hour=0, minute=0))
    assert not replace(card, exp_year=None, exp_month=None).expired(now)
