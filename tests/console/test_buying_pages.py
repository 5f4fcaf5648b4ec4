"""Buying on pages: every way it can go, once, for whom, and what is left of it."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from typing import Any

import pytest
from browsing import Browser, Page, signed_in

from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.settings import Credits, Settings, TaxRule
from whole import Customer, Whole, whole_served

ADD = "/console/credits/add"
QUOTE = "/console/credits/quote"
BERLIN = {
    "name": "Acme GmbH",
    "billingAddress.country": "DE",
    "billingAddress.line1": "Speicherstraße 12",
    "billingAddress.city": "Hamburg",
    "billingAddress.postalCode": "20457",
}


def value_of(page: Page, name: str) -> str:
    found = re.search(rf'name="{re.escape(name)}" value="([^"]*)"', page.text)
    assert found, (name, page.text)
    return unescape(found[1])


async def filled(one: Browser, amount: str = "25", **more: str) -> dict[str, str]:
    """What somebody sends who has looked at the total."""
    page = await one.open(f"{ADD}?amount={amount}")
    assert page.status == 200, page.text
    fields = {
        "form_token": page.form_token,
        "once": value_of(page, "once"),
        "preset": "other",
        "amount": amount,
        "method": "new",
        **BERLIN,
        **more,
    }
    quoted = await one.submit(QUOTE, **fields)
    assert quoted.status == 200, quoted.text
    return fields | {"seen": value_of(quoted, "seen")} if 'name="seen"' in quoted.text else fields


async def keep_card(whole: Whole, customer: Customer, token: str) -> str:
    key = customer.keys["test ADMIN"]
    answer = await whole.ask("POST", "/billing/payment-methods", key, {"token": token})
    assert answer.status == 201, answer.text
    return answer.json["paymentMethod"]["id"]


async def purchases(whole: Whole, customer: Customer, mode: str = "test") -> list[Any]:
    listed = await whole.ask("GET", "/billing/purchases", customer.keys[f"{mode} ADMIN"])
    return listed.json["data"]


async def posted(whole: Whole, customer: Customer) -> str:
    balance = await whole.ask("GET", "/billing/balance", customer.keys["test ADMIN"])
    return balance.json["posted"]


async def test_credits_are_bought_with_a_card_on_file(whole: Whole, customer: Customer) -> None:
    card = await keep_card(whole, customer, "pm_card_visa")
    async with signed_in(whole, customer, "billing") as one:
        page = await one.open(ADD)
        assert f'value="{card}" checked' in page.text
        assert "Visa •••• 4242" in page.text
        sent = await filled(one, "25", method=card)
        done = await one.submit(ADD, **sent)
        assert done.status == 303, done.text
        bought = (await purchases(whole, customer))[0]
        assert done.location == f"/console/credits/purchases/{bought['id']}"
        shown = await one.open(done.location)
        assert "Thank you" in shown.text
        assert 'title="35 USD"' in shown.text  # the new balance
        paper = re.search(r"/console/invoices/inv_[0-9a-f]{32}", shown.text)
        assert paper
        assert (await one.open(paper[0])).text.startswith("%PDF-")
        again = await one.submit(ADD, **sent)
        assert again.location == done.location
    assert len(await purchases(whole, customer)) == 1
    assert bought["status"] == "succeeded"
    assert await posted(whole, customer) == 35
    profile = await whole.ask("GET", "/billing/profile", customer.keys["test ADMIN"])
    assert profile.json["name"] == "Acme GmbH"
    assert profile.json["address"]["city"] == "HAMBURG"


async def test_a_form_that_is_sent_twice_at_once_buys_once(
    whole: Whole, customer: Customer
) -> None:
    card = await keep_card(whole, customer, "pm_card_visa")
    async with signed_in(whole, customer) as one:
        sent = await filled(one, "12.50", method=card)
        answers = await asyncio.gather(*(one.submit(ADD, **sent) for _ in range(4)))
        assert {answer.status for answer in answers} == {303}
        assert len({answer.location for answer in answers}) == 1
        other = await one.submit(ADD, **{**sent, "amount": "50"})
        assert other.status == 400
        assert "sent before, with another amount" in other.text
        assert value_of(other, "once") != sent["once"]
    assert [one["amount"] for one in await purchases(whole, customer)] == ["12.5"]


async def test_a_new_card_is_entered_on_the_sandboxs_page(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer) as one:
        sent = await filled(one, "10", save="yes")
        led = await one.submit(ADD, **sent)
        assert led.location.startswith(f"{whole.url}/sandbox/pay/")
        mine = f"/console/credits/purchases/{sent['once']}"
        waiting = await one.open(mine)
        assert "Your payment is not made yet" in waiting.text
        assert 'hx-trigger="every 3s"' in waiting.text
        declined = await one.submit(led.location, number="4000000000000002")
        assert declined.status == 422
        paid = await one.submit(led.location, number="4242424242424242")
        assert paid.location == (
            f"{whole.url}/console/billing?purchase={sent['once']}&redirect_status=succeeded"
        )
        landed = await one.open(paid.location)
        assert landed.location == mine
        assert "Thank you" in (await one.open(mine)).text
    assert await posted(whole, customer) == 20
    methods = await whole.ask("GET", "/billing/payment-methods", customer.keys["test ADMIN"])
    assert [method["last4"] for method in methods.json["data"]] == ["4242"]


async def test_a_declined_card_can_be_changed(whole: Whole, customer: Customer) -> None:
    bad = await keep_card(whole, customer, "pm_card_chargeCustomerFail")
    good = await keep_card(whole, customer, "pm_card_visa")
    async with signed_in(whole, customer) as one:
        done = await one.submit(ADD, **await filled(one, "10", method=bad))
        failed = await one.open(done.location)
        assert "The bank declined the card." in failed.text
        assert "Try the same purchase again" in failed.text
        assert await posted(whole, customer) == 10
        resume, token = f"{done.location}/resume", failed.form_token
        for forged in (show_id("met", uuid7()), "x"):
            refused = await one.submit(resume, form_token=token, method=forged)
            assert refused.status in {400, 404}, refused.text
        again = await one.submit(resume, form_token=token, method=good)
        assert again.location == done.location
        assert "Thank you" in (await one.open(done.location)).text
    assert await posted(whole, customer) == 20
    assert len(await purchases(whole, customer)) == 1


async def keep_asking_card(whole: Whole, customer: Customer, one: Browser, token: str) -> str:
    """Keep a card whose bank asks each time, and once now."""
    key = customer.keys["test ADMIN"]
    asked = await whole.ask("POST", "/billing/payment-methods", key, {"token": token})
    await one.submit(asked.json["actionUrl"], outcome="approve")
    kept = await whole.ask("GET", "/billing/payment-methods", key)
    return kept.json["data"][0]["id"]


@pytest.mark.parametrize(
    ("token", "outcome", "said"),
    [
        ("pm_card_authenticationRequired", "approve", "Thank you"),
        ("pm_card_authenticationRequired", "refuse", "Your bank did not get your consent."),
        (
            "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
            "approve",
            "The card does not have enough funds.",
        ),
    ],
)
async def test_the_bank_wants_to_see_the_cardholder(
    whole: Whole, customer: Customer, token: str, outcome: str, said: str
) -> None:
    async with signed_in(whole, customer) as one:
        card = await keep_asking_card(whole, customer, one, token)
        done = await one.submit(ADD, **await filled(one, "10", method=card))
        shown = await one.open(done.location)
        assert "Your bank wants to hear from you" in shown.text
        link = re.search(r'href="([^"]*/sandbox/bank/[^"]*)"', shown.text)
        assert link
        assert await posted(whole, customer) == 10
        back = await one.submit(unescape(link[1]), outcome=outcome)
        assert (await one.open(back.location)).location == done.location
        assert said in (await one.open(done.location)).text
    assert await posted(whole, customer) == (
        20 if outcome == "approve" and said == "Thank you" else 10
    )


async def test_a_purchase_that_is_not_paid_can_be_given_up(
    whole: Whole, customer: Customer
) -> None:
    async with signed_in(whole, customer) as one:
        led = await one.submit(ADD, **(sent := await filled(one, "10")))
        mine = f"/console/credits/purchases/{sent['once']}"
        page = await one.open(mine)
        await one.submit(f"{mine}/cancel", form_token=page.form_token)
        over = await one.open(mine)
        assert "You canceled it. Nothing was charged." in over.text
        assert "/console/credits/add?amount=10" in over.text
        assert (await one.open(led.location)).status == 410
    assert await posted(whole, customer) == 10


async def test_faults_stand_beside_their_fields_and_nothing_typed_is_lost(
    whole: Whole, customer: Customer
) -> None:
    async with signed_in(whole, customer) as one:
        sent = await filled(one, "25")
        wrong = {
            **sent,
            "amount": "4.99",
            "taxId.type": "eu_vat",
            "taxId.value": "DE123456789",
            "billingAddress.line1": "",
            "billingAddress.postalCode": "1",
            "name": "",
            "save": "yes",
        }
        page = await one.submit(ADD, **wrong)
        assert page.status == 400
        for name, said in {
            "amount": "Choose an amount from $5.00 to $1,000.00.",
            "taxId.value": "Is no European VAT; one looks like",
            "billingAddress.line1": "Is required in Germany.",
            "billingAddress.postalCode": "Must be a postal code such as 26133 or 53225.",
            "name": "Say who the invoice is for.",
        }.items():
            beside = re.search(rf'id="{re.escape(name)}-fault" role="alert">([^<]*)<', page.text)
            assert beside, (name, page.text)
            assert unescape(beside[1]).startswith(said), (name, beside[1])
        for name in ("once", "amount", "taxId.value", "billingAddress.city"):
            assert value_of(page, name) if name == "once" else f'value="{wrong[name]}"' in page.text
        assert value_of(page, "once") == sent["once"]
        for amount in ("", "x", "12.345", "1,5", "1e3", "100000", "-5"):
            page = await one.submit(ADD, **{**sent, "amount": amount})
            assert page.status == 400, amount
            assert 'id="amount-fault"' in page.text, amount
        assert 'id="amount-fault"' in (await one.open(f"{ADD}?amount=1")).text
    assert await purchases(whole, customer) == []
    profile = await whole.ask("GET", "/billing/profile", customer.keys["test ADMIN"])
    assert profile.status == 404


async def test_nobody_pays_a_total_that_they_were_not_shown(database_url: str) -> None:
    settings = Settings(
        credits=Credits(fee_percent=50_000),  # pyright: ignore[reportArgumentType] parts per million
        taxes={"DE": TaxRule(name="VAT", percent=190_000, businesses="reverse_charge")},  # pyright: ignore[reportArgumentType]
    )
    async with whole_served(database_url, settings) as whole:
        customer = await whole.customer()
        card = await keep_card(whole, customer, "pm_card_visa")
        async with signed_in(whole, customer) as one:
            sent = await filled(one, "100", method=card)
            assert sent["seen"] == "12495"  # 100 + 5 % fee, and 19 % on both
            quoted = await one.submit(
                QUOTE, **sent, **{"taxId.type": "eu_vat", "taxId.value": "DE136695976"}
            )
            assert "Reverse charge" in quoted.text
            assert value_of(quoted, "seen") == "10500"
            unseen = {name: value for name, value in sent.items() if name != "seen"}
            for seen in ({}, {"seen": "10500"}, {"seen": "x"}):
                page = await one.submit(ADD, **unseen, **seen)
                assert page.status == 400
                assert "Look at the total" in page.text
            assert await purchases(whole, customer) == []
            done = await one.submit(ADD, **sent)
            assert done.status == 303
            assert "$124.95" in (await one.open(done.location)).text
