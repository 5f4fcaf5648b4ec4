"""Buying on pages: every way it can go, once, for whom, and what is left of it."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from typing import Any

import pytest
from banks import fake_settings
from browsing import Browser, Page, signed_in
from fake_stripe import How
from fake_stripe import served as fake_served
from msgspec.structs import replace

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
        assert "Visa ···· 4242" in page.text
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


async def test_members_and_strangers_buy_nothing_and_see_no_purchase(
    whole: Whole, customer: Customer
) -> None:
    card = await keep_card(whole, customer, "pm_card_visa")
    async with signed_in(whole, customer) as one:
        sent = await filled(one, "10", method=card)
        mine = (await one.submit(ADD, **sent)).location
        waiting = await filled(one, "10")
        open_one = (await one.submit(ADD, **waiting)).location
        assert open_one
    unpaid = f"/console/credits/purchases/{waiting['once']}"
    other = await whole.customer()
    async with (
        signed_in(whole, customer, "member") as member,
        signed_in(whole, other) as stranger,
        signed_in(whole, customer, livemode=True) as live,
    ):
        for path in (ADD, mine, "/console/invoices", "/console/transactions/download"):
            assert (await member.open(path)).status == 403, path
        for path in (ADD, QUOTE, f"{unpaid}/cancel", f"{unpaid}/resume"):
            assert (await member.submit(path, **sent)).status == 403, path
        for who in (stranger, live):
            token = (await who.open("/console/invoices")).form_token
            for path in (mine, unpaid):
                assert (await who.open(path)).status == 404
                for act in ("cancel", "resume"):
                    answer = await who.submit(f"{path}/{act}", form_token=token)
                    assert answer.status == 404, path
            for known in (sent["once"], waiting["once"]):
                landed = await who.open(f"/console/billing?purchase={known}")
                assert (landed.status, "close this page" in landed.text) == (200, True)
        # Another's method is nobody's, and another's purchase is no purchase of theirs.
        theirs = await filled(stranger, "10", method=card)
        assert "This payment method is gone" in (await stranger.submit(ADD, **theirs)).text
        assert (await stranger.submit(ADD, **{**theirs, "once": sent["once"]})).status == 400
    assert await purchases(whole, other) == []
    assert [one["status"] for one in await purchases(whole, customer)] == [
        "requires_payment",
        "succeeded",
    ]


async def test_no_money_moves_without_the_forms_token(whole: Whole, customer: Customer) -> None:
    card = await keep_card(whole, customer, "pm_card_visa")
    async with signed_in(whole, customer) as one:
        sent = await filled(one, "10", method=card)
        for token in ({}, {"form_token": ""}, {"form_token": "0" * 64}):
            forged = {name: value for name, value in sent.items() if name != "form_token"} | token
            for path in (ADD, QUOTE, "/console/credits/purchases/x/resume"):
                assert (await one.submit(path, **forged)).status == 403, path
        for once in ("", "x", "pur_1", show_id("met", uuid7())):
            answer = await one.submit(ADD, **{**sent, "once": once})
            assert answer.status == 400
            assert value_of(answer, "once").startswith("pur_")
    assert await purchases(whole, customer) == []


async def test_live_credit_is_not_for_sale_without_a_processor(
    whole: Whole, customer: Customer
) -> None:
    async with signed_in(whole, customer, livemode=True) as one:
        page = await one.open(ADD)
        assert "Credits cannot be bought here yet" in page.text
        fields = {"form_token": page.form_token, "once": show_id("pur", uuid7()), "amount": "10"}
        for path in (ADD, QUOTE):
            assert "Credits cannot be bought here yet" in (await one.submit(path, **fields)).text
    assert await purchases(whole, customer, "live") == []


async def test_the_form_asks_for_what_the_country_wants(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer) as one:
        async with one.session.get(
            whole.url + ADD, headers={"accept-language": "de-AT,de;q=0.9"}
        ) as answer:
            text = await answer.text()
            assert '<option value="AT" selected>' in text
        page = await one.open(ADD)
        assert '<option value="US" selected>' in page.text
        assert "ZIP code" in page.text
        sent = await filled(one, "25")
        japan = await one.submit(QUOTE, **{**sent, "billingAddress.country": "JP"})
        assert "Prefecture" in japan.text
        assert 'name="billingAddress.city"' not in japan.text
        forged = await one.submit(ADD, **{**sent, "billingAddress.country": "XX"})
        assert forged.status == 400
        assert 'id="billingAddress.country-fault"' in forged.text


async def test_invoices_and_statements_are_listed_and_downloaded(
    whole: Whole, customer: Customer
) -> None:
    key = customer.keys["test ADMIN"]
    async with signed_in(whole, customer, "billing") as one:
        empty = await one.open("/console/invoices")
        assert "No invoices yet" in empty.text
        every = [
            await whole.ask("POST", "/billing/purchases", key, {"amount": 5}) for _ in range(27)
        ]
        bought = every[-1]
        body = {"amount": 2, "reason": "asked for"}
        path = f"/organizations/{customer.id}/purchases/{bought.json['id']}/refunds"
        refunded = await whole.operate("POST", path, body)
        page = await one.open("/console/invoices")
        numbers = re.findall(r'<span class="tight">([^<]+)</span>', page.text)
        assert len(numbers) == 25
        assert refunded.status == 201, refunded.text
        assert numbers[0].startswith("TEST-CN-")
        assert f"for {numbers[1]}" in page.text
        older = re.search(r'href="(/console/invoices\?before=[^"]+)"', page.text)
        assert older
        rest = await one.open(unescape(older[1]))
        more = re.findall(r'<span class="tight">([^<]+)</span>', rest.text)
        assert len({*numbers, *more}) == 28
        assert "Monthly statements" not in rest.text
        months = re.findall(r"/console/statements/(\d{4}-\d{2})", page.text)
        assert months
        pdf = await one.open(f"/console/statements/{months[0]}")
        assert (pdf.status, pdf.text[:5]) == (200, "%PDF-")
        assert pdf.headers["content-disposition"].endswith(f'"statement-{months[0]}.pdf"')
        for month in ("2026-13", "x", "9999-01"):
            assert (await one.open(f"/console/statements/{month}")).status in {400, 404}
        assert (await one.open("/console/invoices?before=forged")).status == 400


async def test_transactions_are_filtered_and_exported(whole: Whole, customer: Customer) -> None:
    key = customer.keys["test ADMIN"]
    for amount in (5, 6):
        await whole.ask("POST", "/billing/purchases", key, {"amount": amount})
    said = await whole.ask("GET", "/billing/transactions?include=all", key, accept="text/csv")
    async with signed_in(whole, customer, "billing") as one:
        page = await one.open("/console/transactions")
        for heading in ("Date", "Time", "Type", "Amount"):
            assert f">{heading}</th>" in page.text
        assert page.text.count("<tr>") == 3
        assert page.text.count("Download invoice TEST-INV-") == 2
        assert (await one.open("/console/transactions?show=purchase")).text.count("<tr>") == 3
        assert "Nothing here yet" in (await one.open("/console/transactions?show=refund")).text
        everything = await one.open("/console/transactions?show=all")
        assert everything.text.count("<tr>") == 4
        assert 'title="21 USD"' in everything.text
        file = await one.open("/console/transactions/download?show=all")
        assert file.text == said.text
        assert file.headers["content-disposition"] == "attachment; filename=transactions.csv"
        assert (await one.open("/console/transactions/download?show=x")).status == 400


async def test_with_stripe_the_card_form_is_in_the_page_that_alone_lets_it_in(
    database_url: str,
) -> None:
    async with fake_served() as fake:
        stripe = replace(fake_settings(fake, timeout_seconds=5), publishable_key="pk_test_ours")
        async with whole_served(database_url, Settings(stripe=stripe)) as whole:
            customer = await whole.customer()
            async with signed_in(whole, customer) as one:
                form = await one.open(ADD)
                assert "stripe.com" not in form.headers["content-security-policy"]
                led = await one.submit(ADD, **await filled(one, "10", save="yes"))
                assert re.fullmatch(r"/console/credits/purchases/pur_[0-9a-f]{32}", led.location)
                page = await one.open(led.location)
                policy = page.headers["content-security-policy"]
                assert "script-src 'self' https://js.stripe.com;" in policy
                assert "frame-src https://js.stripe.com https://hooks.stripe.com;" in policy
                assert "connect-src 'self' https://api.stripe.com;" in policy
                assert "default-src 'none'" in policy
                assert 'data-key="pk_test_ours"' in page.text
                secret = re.search(r'data-secret="([^"]+)"', page.text)
                assert secret
                session = secret[1].removesuffix("_secret_fake")
                fault = await one.submit(f"{fake.base}/pay/{session}", card="4000000000000002")
                assert fault.status == 402
                assert "data-secret" in (await one.open(led.location)).text
                paid = await one.submit(f"{fake.base}/pay/{session}", card="4242424242424242")
                assert f"purchase={led.location.rpartition('/')[2]}" in paid.location
                assert (await one.open(paid.location)).location == led.location
                done = await one.open(led.location)
                assert "Thank you" in done.text
                assert "stripe.com" not in done.headers["content-security-policy"]
    assert fake.charged == 1000


async def test_stripes_bank_page_is_a_link_to_follow(database_url: str) -> None:
    async with fake_served() as fake:
        settings = Settings(stripe=fake_settings(fake, timeout_seconds=5))
        async with whole_served(database_url, settings) as whole:
            customer = await whole.customer()
            card = await keep_card(whole, customer, "pm_card_visa")
            async with signed_in(whole, customer) as one:
                # Without a key for browsers the card is entered on Stripe's own page.
                led = await one.submit(ADD, **await filled(one, "10"))
                page = await one.open(led.location)
                assert f'href="{fake.base}/pay/' in page.text
                fake.fail("/v1/payment_intents", How.LOST_BEFORE, times=-1)
                sent = await filled(one, "10", method=card)
                lost = await one.submit(ADD, **sent)
                assert lost.status == 303
                assert "on its way" in (await one.open(lost.location)).text
