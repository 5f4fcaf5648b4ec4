"""The pages of settings about money: each act, fault and role, and what is of others."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from browsing import Browser, Page, browser, make_link, signed_in
from sending import read, send, soon

from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import PositiveMoneyIn
from tollkeeper.base.settings import Currency, Server, Settings
from whole import Customer, Whole, whole_served

VISA, MASTERCARD, DECLINES = "4242424242424242", "5555555555554444", "4000000000000341"
MONEY = ("owner", "admin", "billing")
TOP_UP = "/console/auto-top-up"
METHODS = "/console/payment-methods"
PROFILE = "/console/billing-profile"
NOTICES = "/console/notifications"
WEBHOOKS = "/console/webhooks"
BERLIN = {
    "name": "Acme GmbH",
    "kind": "business",
    "address.country": "DE",
    "address.line1": "Invalidenstr. 1",
    "address.city": "Berlin",
    "address.postalCode": "10115",
    "emails": "bills@acme.test, cfo@acme.test",
}


async def add_card(one: Browser, number: str = VISA, **fields: str) -> Page:
    """Go through the sandbox's page, and come back."""
    begun = await send(one, f"{METHODS}/add", **fields)
    assert begun.status == 303, begun.text
    kept = await one.submit(begun.location, number=number)
    assert kept.status == 303, kept.text
    if "/sandbox/bank/" in kept.location:
        kept = await one.submit(kept.location, outcome="approve")
    back = await one.open(kept.location)
    assert back.status == 303, back.text
    return await one.open(back.location)


def method_ids(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(rf"{METHODS}/(met_\w+)/remove", text)))


async def set_by_key(whole: Whole, customer: Customer, **body: Any) -> Any:
    key = customer.keys["test ADMIN"]
    answer = await whole.ask("PUT", "/billing/auto-top-up", key, body)
    assert answer.status == 200, answer.text
    return answer.json


async def read_top_up(whole: Whole, customer: Customer) -> Any:
    return (await whole.ask("GET", "/billing/auto-top-up", customer.keys["test ADMIN"])).json


async def spend_six(whole: Whole, customer: Customer) -> None:
    """A call that costs 6 dollars."""
    body = {"provider": "sandbox", "model": "sandbox-large", "usage": {"input": 1_000_000}}
    key = customer.keys["test INFERENCE"]
    answer = await whole.ask("POST", "/metering/charges", key, body | {"requestId": "six"})
    assert answer.status < 300, answer.text


async def test_cards_are_added_made_default_and_removed(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer, "billing") as one:
        assert "No payment method yet" in (await one.open(METHODS)).text
        assert "Add a card" in (await one.open("/console/credits")).text
        page = await add_card(one)
        assert "The payment method is on file." in page.text
        assert "Visa ···· 4242" in page.text
        page = await add_card(one, MASTERCARD)
        assert page.text.index("Visa") < page.text.index("Mastercard ···· 4444")
        visa, mastercard = method_ids(page.text)
        made = await send(one, f"{METHODS}/{mastercard}/default")
        assert (made.status, made.location) == (303, f"{METHODS}?done=method_default")
        page = await one.open(METHODS)
        assert method_ids(page.text) == [mastercard, visa]
        assert "Mastercard ···· 4444" in (await one.open("/console/credits")).text
        asked = await one.open(f"{METHODS}/{visa}/remove")
        assert "type 4242" in asked.text
        wrong = await send(one, f"{METHODS}/{visa}/remove", confirmation="4444")
        assert wrong.status == 400
        assert "This is not the name" in wrong.text
        assert len(method_ids((await one.open(METHODS)).text)) == 2
        gone = await send(one, f"{METHODS}/{visa}/remove", confirmation="4242")
        assert (gone.status, gone.location) == (303, f"{METHODS}?done=method_removed")
        assert method_ids((await one.open(METHODS)).text) == [mastercard]
        portal = await send(one, f"{METHODS}/portal")
        assert portal.status == 303
        assert "/sandbox/portal/" in portal.location
        declined = await send(one, f"{METHODS}/add")
        assert "declined" in (await one.submit(declined.location, number="4000000000000002")).text
        refused = await one.open(f"{METHODS}/added?redirect_status=failed")
        assert "was not added" in (await one.open(refused.location)).text


async def test_auto_top_up_is_set_and_buys(whole: Whole, customer: Customer) -> None:
    wanted = {"enabled": "yes", "threshold": "5", "buys": "amount", "amount": "1,000.00"}
    async with signed_in(whole, customer, "admin") as one:
        page = await one.open(TOP_UP)
        assert "Auto top-up is off" in read(page)
        assert "needs a payment method" in page.text
        refused = await send(one, TOP_UP, **wanted)
        assert refused.status == 400
        assert 'id="paymentMethodId-fault"' in refused.text
        assert 'value="1,000.00"' in refused.text
        assert "below $5.00 , $1,000.00 of credit is bought with the default" in read(refused)
        page = await add_card(one, then="auto-top-up", **wanted)
        assert page.status == 200
        assert "The payment method is on file." in page.text
        assert 'value="1,000.00"' in page.text
        assert "Visa ···· 4242" in page.text
        assert not (await read_top_up(whole, customer))["enabled"]
        wanted = {"enabled": "yes", "threshold": "5", "buys": "amount", "amount": "25"}
        saved = await send(one, TOP_UP, **wanted)
        assert (saved.status, saved.location) == (303, f"{TOP_UP}?done=top_up_on")
        known = await read_top_up(whole, customer)
        assert (known["state"], known["monthlyCap"]) == ("active", 100)
        told = read(await one.open("/console/credits"))
        assert "below $5.00 , $25.00 of credit is bought with Visa ···· 4242" in told
        await spend_six(whole, customer)

        async def bought() -> bool:
            return "$29.00" in (await one.open("/console/credits/balance")).text

        await soon(bought)
        assert "Resting" in read(await one.open(TOP_UP))
        saved = await send(one, TOP_UP, **(wanted | {"enabled": ""}))
        assert saved.location == f"{TOP_UP}?done=top_up_off"


async def test_what_cannot_be_set_is_said_beside_its_field(
    whole: Whole, customer: Customer
) -> None:
    async with signed_in(whole, customer) as one:
        await add_card(one)
        for fields, name, said in [
            ({"amount": "4"}, "amount", "Must be from 5 to 100000."),
            ({"amount": "1,50"}, "amount", "Must be an amount above 0 such as 12.50"),
            ({"amount": ""}, "amount", "Is required."),
            ({"amount": "25.001"}, "amount", "Must be a multiple of 0.01 USD"),
            ({"threshold": ""}, "threshold", "Is required."),
            ({"threshold": "30"}, "threshold", "Must be at most the amount, 25."),
            ({"monthlyCap": "10"}, "monthlyCap", "Must be at least what one top-up buys."),
            ({"buys": "target", "targetBalance": "12"}, "targetBalance", "at least 15"),
            ({"paymentMethodId": show_id("met", uuid7())}, "paymentMethodId", "no payment method"),
            ({"paymentMethodId": "x"}, "paymentMethodId", "Must be"),
        ]:
            wanted = {"enabled": "yes", "threshold": "10", "buys": "amount", "amount": "25"}
            page = await send(one, TOP_UP, **(wanted | fields))
            assert page.status == 400, fields
            fault = re.search(rf'id="{name}-fault"[^>]*>([^<]*)<', page.text)
            assert fault, (fields, page.text)
            assert said in unescape(fault[1]), fields
        assert not (await read_top_up(whole, customer))["enabled"]
        both = await send(one, TOP_UP, enabled="yes", threshold="-1", amount="x", buys="amount")
        assert 'id="threshold-fault"' in both.text
        assert 'id="amount-fault"' in both.text
        wanted = {"enabled": "yes", "threshold": "10", "buys": "target", "targetBalance": "40"}
        said = read(await send(one, f"{TOP_UP}/sentence", **wanted))
        assert "what is missing to $40.00 is bought with Visa" in said
        assert "at most $160.00 in a month" in said
        assert "Fill in" in read(await send(one, f"{TOP_UP}/sentence", enabled="yes"))


async def test_one_that_is_suspended_says_why_and_goes_on(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer, "billing") as one:
        await add_card(one, DECLINES)
        await set_by_key(whole, customer, enabled=True, threshold=20, amount=25)

        async def failed() -> bool:
            return (await read_top_up(whole, customer))["lastFailure"] is not None

        await soon(failed)
        resting = read(await one.open(TOP_UP))
        assert "It tries again at" in resting
        assert "The bank declined the card." in resting
        async with whole.database.transaction() as tx:
            await tx.execute(
                "UPDATE auto_top_up SET failures = 3, suspended_reason = 'card_declined'"
                " WHERE org_id = %s",
                [customer.org_id],
            )
        for path in (TOP_UP, "/console/credits"):
            said = read(await one.open(path))
            assert "Suspended" in said
            assert "Several payments failed" in said
        again = await send(one, f"{TOP_UP}/resume")
        assert again.location == f"{TOP_UP}?done=top_up_resumed"
        assert (await read_top_up(whole, customer))["state"] != "suspended"


async def test_it_is_turned_off_whatever_else_is_typed(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer) as one:
        await add_card(one)
        for fields in ({"amount": "4"}, {"amount": "x"}, {"threshold": ""}, {"monthlyCap": "1"}):
            await set_by_key(whole, customer, enabled=True, threshold=5, amount=25)
            wanted = {"threshold": "10", "buys": "amount", "amount": "25", **fields}
            said = read(await send(one, f"{TOP_UP}/sentence", **wanted))
            assert "Auto top-up is off" in said
            saved = await send(one, TOP_UP, **wanted)
            assert (saved.status, saved.location) == (303, f"{TOP_UP}?done=top_up_off"), fields
            known = await read_top_up(whole, customer)
            assert (known["enabled"], known["threshold"], known["amount"]) == (False, 5, 25)


async def test_one_that_is_disputed_says_so(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer, "billing") as one:
        await add_card(one)
        await set_by_key(whole, customer, enabled=True, threshold=0, amount=25)
        async with whole.database.transaction() as tx:
            await tx.execute(
                "UPDATE auto_top_up SET suspended_reason = 'disputed' WHERE org_id = %s",
                [customer.org_id],
            )
        for path in (TOP_UP, "/console/credits"):
            said = read(await one.open(path))
            assert "A payment was disputed at its bank." in said
            assert "Several payments failed" not in said


async def test_a_bank_that_asks_is_a_link_away(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer) as one:
        await add_card(one, "4000002760003184")
        await set_by_key(whole, customer, enabled=True, threshold=20, amount=25)

        async def asked() -> str:
            found = re.search(r'href="([^"]*/recover/[^"]+)"', (await one.open(TOP_UP)).text)
            return found[1] if found else ""

        link = await soon(asked)
        assert "Your bank asks for your consent" in (await one.open(link)).text
        assert "/recover/" in (await one.open("/console/credits")).text


async def test_who_sees_no_money_sets_none(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer, "member") as one:
        for path in ("/console/credits/balance", TOP_UP, METHODS):
            assert (await one.open(path)).status == 403, path
        known = f"{METHODS}/{show_id('met', uuid7())}"
        for path in (
            TOP_UP,
            f"{TOP_UP}/sentence",
            f"{TOP_UP}/resume",
            f"{METHODS}/add",
            f"{known}/remove",
        ):
            assert (await one.submit(path)).status == 403, path
        for path in (PROFILE, NOTICES, WEBHOOKS, f"{WEBHOOKS}/new"):
            assert (await one.open(path)).status == 403, path
        for path in (PROFILE, f"{PROFILE}/country", f"{NOTICES}/read", WEBHOOKS):
            assert (await one.submit(path)).status == 403, path
    async with signed_in(whole, customer, "billing") as one:
        known = f"{WEBHOOKS}/{show_id('whk', uuid7())}"
        for path in (WEBHOOKS, f"{WEBHOOKS}/new", known, f"{known}/change", f"{known}/delete"):
            assert (await one.open(path)).status == 403, path
        for act in ("change", "enabled", "rotate", "delete", "test", "deliveries/dlv_x/redeliver"):
            assert (await send(one, f"{known}/{act}")).status == 403, act
        assert (await send(one, WEBHOOKS, url="https://example.com/")).status == 403
    for role in MONEY:
        async with signed_in(whole, customer, role) as one:
            for path in ("/console/credits", TOP_UP, METHODS, PROFILE, NOTICES):
                assert (await one.open(path)).status == 200
            assert (await one.submit(TOP_UP, enabled="yes")).status == 403  # without its token


async def test_cards_of_others_do_not_exist(whole: Whole, customer: Customer) -> None:
    other = await whole.customer()
    async with (
        signed_in(whole, customer) as one,
        signed_in(whole, other) as stranger,
        signed_in(whole, customer, livemode=True) as live,
    ):
        (known,) = method_ids((await add_card(one)).text)
        for who in (stranger, live):
            assert (await who.open(f"{METHODS}/{known}/remove")).status == 404
        for act in ("default", "remove"):
            fields = {"confirmation": "4242"}
            assert (await send(stranger, f"{METHODS}/{known}/{act}", **fields)).status == 404
            assert (await send(one, f"{METHODS}/met_x/{act}", **fields)).status == 404
        wanted = {"enabled": "yes", "threshold": "5", "buys": "amount", "amount": "25"}
        stolen = await send(stranger, TOP_UP, paymentMethodId=known, **wanted)
        assert stolen.status == 400
        assert "Nothing can be paid here yet" in (await live.open(METHODS)).text
        assert "has not connected a payment processor" in read(await live.open(TOP_UP))
        assert (await live.open("/console/credits")).status == 200


async def test_each_currency_has_its_figures(database_url: str) -> None:
    diem = Currency(usd_value=PositiveMoneyIn(100_000_000))
    settings = Settings(currencies={"USD": Currency(), "DIEM": diem})
    async with whole_served(database_url, settings) as whole:
        customer = await whole.customer()
        body = {"amount": 7, "currency": "DIEM", "livemode": False, "reason": "epoch"}
        path = f"/organizations/{customer.id}/grants"
        assert (await whole.operate("POST", path, body)).status == 201
        async with signed_in(whole, customer) as one:
            assert (await one.open("/console/credits?currency=XXX")).status == 404
            page = await one.open("/console/credits?currency=DIEM")
            assert "7.00 DIEM" in page.text
            assert 'href="/console/credits?currency=USD"' in page.text
            part = await one.open("/console/credits/balance?currency=USD")
            assert "<html" not in part.text
            assert part.text.count("hx-swap-oob") == 2
            assert "$10.00" in part.text
            assert "DIEM" not in part.text


async def test_a_profile_is_kept_as_its_country_writes_it(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer, "billing") as one:
        page = await one.open(PROFILE)
        assert "ZIP code" in page.text
        drawn = await send(one, f"{PROFILE}/country", **(BERLIN | {"address.country": "JP"}))
        assert "Prefecture" in drawn.text
        assert 'value="Acme GmbH"' in drawn.text
        saved = await send(one, PROFILE, **BERLIN)
        assert (saved.status, saved.location) == (303, f"{PROFILE}?done=profile_saved")
        ids = {"taxIds.1.type": "eu_vat", "taxIds.1.value": "DE136695976"}
        assert (await send(one, PROFILE, **BERLIN, **ids)).status == 303
        key = customer.keys["test ADMIN"]
        kept = (await whole.ask("GET", "/billing/profile", key)).json
        assert kept["taxIds"] == [{"type": "eu_vat", "value": "DE136695976"}]
        assert kept["emails"] == ["bills@acme.test", "cfo@acme.test"]
        assert kept["address"]["postalCode"] == "10115"
        shown = await one.open(PROFILE)
        assert 'value="DE136695976"' in shown.text
        assert 'name="taxIds.1.value"' in shown.text


async def test_each_fault_of_a_profile_is_beside_its_field(
    whole: Whole, customer: Customer
) -> None:
    async with signed_in(whole, customer) as one:
        faulty = BERLIN | {
            "name": " ",
            "address.postalCode": "1",
            "address.city": "",
            "address.line1": "x\ty",
            "emails": "nobody",
            "taxIds.0.value": "",
            "taxIds.1.type": "eu_vat",
            "taxIds.1.value": "DE1",
        }
        page = await send(one, PROFILE, **faulty)
        assert page.status == 400
        for name, said in [
            ("name", "Is required."),
            ("address.postalCode", "Must be a postal code such as"),
            ("address.city", "Is required in Germany."),
            ("address.line1", "Must be one line"),
            ("emails", "Must be email addresses"),
            ("taxIds.1.value", "Is no European VAT"),
        ]:
            fault = re.search(rf'id="{re.escape(name)}-fault"[^>]*>([^<]*)<', page.text)
            assert fault, name
            assert said in unescape(fault[1]), name
        assert 'value="DE1"' in page.text
        assert (await send(one, PROFILE, **(BERLIN | {"address.country": "XX"}))).status == 400
        key = customer.keys["test ADMIN"]
        assert (await whole.ask("GET", "/billing/profile", key)).status == 404


async def test_a_page_stands_before_a_processor_elsewhere(database_url: str) -> None:
    """Browsers hold the redirect after a form against `form-action`."""
    settings = Settings(server=Server(public_url="http://billing.test"))
    async with whole_served(database_url, settings) as whole:
        customer = await whole.customer()
        link = (await make_link(whole, customer)).removeprefix("http://billing.test")
        async with browser(whole) as one:
            assert (await one.open(link)).status == 303
            for act in ("add", "portal"):
                page = await send(one, f"{METHODS}/{act}")
                assert page.status == 200
                address = r'content="0; url=(http://billing.test/sandbox/[^"]+)"'
                leads = re.search(address, page.text)
                assert leads
                assert f'href="{leads[1]}"' in page.text
                assert "form-action 'self'" in page.headers["content-security-policy"]
