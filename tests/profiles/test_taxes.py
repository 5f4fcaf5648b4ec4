"""Which taxes a buyer pays, and what a profile does to quotes, purchases and invoices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from tax_rules import TAXES

from tollkeeper.base.settings import Percent, TaxRule
from tollkeeper.profiles import Address, BuyerKind, Profile, Tax, TaxId, decide_taxes
from whole import Customer, Whole

BERLIN = {"country": "DE", "line1": "Hauptstr. 1", "city": "Berlin", "postalCode": "10115"}
DUBLIN = {"country": "IE", "line1": "1 Main Street", "city": "Dublin"}
IRISH = {"type": "eu_vat", "value": "IE6433435F"}


def profile(country: str, kind: BuyerKind = BuyerKind.BUSINESS, *tax_ids: TaxId) -> Profile:
    return Profile(
        org_id=uuid4(),
        name="Acme",
        kind=kind,
        address=Address(country=country, line1="x"),
        tax_ids=tax_ids,
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


VAT = TaxId(type="eu_vat", value="IE6433435F")
UID = TaxId(type="ch_uid", value="CHE-100.155.212")


@pytest.mark.parametrize(
    ("buyer", "taxes"),
    [
        (None, ()),
        (profile("US"), ()),
        (profile("DE"), (Tax(label="VAT 19 %", rate_ppm=190_000),)),
        (profile("IE", BuyerKind.CONSUMER, VAT), (Tax(label="VAT 23 %", rate_ppm=230_000),)),
        (profile("IE"), (Tax(label="VAT 23 %", rate_ppm=230_000),)),  # says so, and proves nothing
        (
            profile("IE", BuyerKind.BUSINESS, VAT),
            (Tax(label="VAT", rate_ppm=230_000, reverse_charge=True),),
        ),
        (profile("CH", BuyerKind.BUSINESS, UID), ()),
        (
            profile("IE", BuyerKind.BUSINESS, TaxId(type="eu_oss_vat", value="EU372022452")),
            (Tax(label="VAT 23 %", rate_ppm=230_000),),
        ),
        (profile("CH", BuyerKind.CONSUMER), (Tax(label="MWST 8.1 %", rate_ppm=81_000),)),
    ],
)
def test_the_rule_of_the_country_and_the_kind_of_buyer(
    buyer: Profile | None, taxes: tuple[Tax, ...]
) -> None:
    assert decide_taxes(TAXES, buyer) == taxes


def test_the_rule_for_all_others() -> None:
    rules = {**TAXES, "default": TaxRule(percent=Percent(50_000), name="Sales tax")}
    assert decide_taxes(rules, None) == (Tax(label="Sales tax 5 %", rate_ppm=50_000),)
    assert decide_taxes(rules, profile("US"))[0].label == "Sales tax 5 %"
    assert decide_taxes(rules, profile("DE"))[0].label == "VAT 19 %"


def test_a_private_person_is_no_business() -> None:
    rules = {"BR": TaxRule(percent=Percent(50_000), name="ISS", businesses="exempt")}
    cpf = TaxId(type="br_cpf", value="390.533.447-05")
    cnpj = TaxId(type="br_cnpj", value="16.727.230/0001-97")
    (paid,) = decide_taxes(rules, profile("BR", BuyerKind.BUSINESS, cpf))
    assert (paid.label, paid.rate_ppm) == ("ISS 5 %", 50_000)
    assert decide_taxes(rules, profile("BR", BuyerKind.BUSINESS, cpf, cnpj)) == ()


async def put(whole: Whole, customer: Customer, **body: Any) -> Any:
    key = customer.keys["test ADMIN"]
    return await whole.ask("PUT", "/billing/profile", key, {"name": "Acme GmbH", **body})


async def buy(whole: Whole, customer: Customer, dollars: int) -> Any:
    key = customer.keys["test ADMIN"]
    bought = await whole.ask("POST", "/billing/purchases", key, {"amount": dollars})
    assert bought.json["status"] == "succeeded"
    invoices = (await whole.ask("GET", "/billing/invoices", key)).json["data"]
    invoice = await whole.ask("GET", f"/billing/invoices/{invoices[0]['id']}", key)
    return bought.json, invoice.json


async def test_a_tax_is_quoted_paid_and_on_the_invoice(whole: Whole, customer: Customer) -> None:
    assert (await put(whole, customer, address=BERLIN, kind="consumer")).status == 200
    key = customer.keys["test ADMIN"]
    quote = (await whole.ask("POST", "/billing/quotes", key, {"amount": 25})).json
    assert (quote["credit"], quote["tax"], str(quote["total"])) == (25, "4.75", "29.75")
    bought, invoice = await buy(whole, customer, 25)
    assert (bought["amount"], str(bought["tax"]), str(bought["total"])) == (25, "4.75", "29.75")
    assert bought["balanceAfter"] == 35  # the tax is nobody's credit
    assert (str(invoice["tax"]), str(invoice["total"])) == ("4.75", "29.75")
    assert invoice["buyer"]["name"] == "Acme GmbH"
    assert invoice["buyer"]["address"] == ["Hauptstr. 1", "10115 BERLIN", "GERMANY"]


async def test_a_business_abroad_owes_the_tax_itself(whole: Whole, customer: Customer) -> None:
    assert (await put(whole, customer, address=DUBLIN, taxIds=[IRISH])).status == 200
    bought, invoice = await buy(whole, customer, 25)
    assert (bought["tax"], bought["total"]) == (0, 25)
    (tax,) = invoice["taxes"]
    assert (tax["label"], tax["reverseCharge"], tax["tax"]) == ("VAT", True, 0)
    assert invoice["buyer"]["taxIds"] == ["VAT ID IE6433435F"]


async def test_a_profile_is_kept_whole_and_seen_by_its_own(
    whole: Whole, customer: Customer
) -> None:
    key = customer.keys["test ADMIN"]
    assert (await whole.ask("GET", "/billing/profile", key)).status == 404
    emails = ["pay@acme.test", "pay@acme.test", "cfo@acme.test"]
    made = (await put(whole, customer, address=DUBLIN, taxIds=[IRISH], emails=emails)).json
    assert made["emails"] == ["pay@acme.test", "cfo@acme.test"]
    assert (await whole.ask("GET", "/billing/profile", key)).json == made
    live = customer.keys["live ADMIN"]
    assert (await whole.ask("GET", "/billing/profile", live)).json == made
    stranger = await whole.customer()
    other = stranger.keys["test ADMIN"]
    assert (await whole.ask("GET", "/billing/profile", other)).status == 404
    inference = customer.keys["test INFERENCE"]
    assert (await whole.ask("GET", "/billing/profile", inference)).status == 401


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"address": {**BERLIN, "postalCode": "1"}}, {"address.postalCode"}),
        ({"address": {"country": "DE", "line1": "x"}}, {"address.city", "address.postalCode"}),
        ({"address": {**BERLIN, "country": "de"}}, {"address.country"}),
        ({"address": {**BERLIN, "line1": "a\nb"}}, {"address.line1"}),
        ({"address": BERLIN, "taxIds": [IRISH]}, {"taxIds.0.value"}),
        ({"address": BERLIN, "emails": ["nobody"]}, {"emails.0"}),
        ({"address": BERLIN, "name": " "}, {"name"}),
        ({}, {"address"}),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_kept(
    whole: Whole, customer: Customer, body: dict[str, Any], fields: set[str]
) -> None:
    answer = await put(whole, customer, **body)
    assert answer.status == 400
    assert {name for name in fields if _said(answer.json["details"], name)} == fields
    key = customer.keys["test ADMIN"]
    assert (await whole.ask("GET", "/billing/profile", key)).status == 404


def _said(details: Any, name: str) -> list[str]:
    for part in name.split("."):
        details = details.get(part, {})
    said: list[str] = details.get("_errors", [])
    return said


async def test_forms_are_told_what_a_country_wants(whole: Whole, customer: Customer) -> None:
    key = customer.keys["test ADMIN"]
    form = (await whole.ask("GET", "/billing/address-format?country=US", key)).json
    assert form["required"] == ["line1", "city", "state", "postalCode"]
    assert form["states"][0] == {"code": "AL", "name": "Alabama"}
    assert (await whole.ask("GET", "/billing/address-format?country=ZZ", key)).status == 400
    types = (await whole.ask("GET", "/billing/tax-id-types?country=GB", key)).json["data"]
    assert [one["type"] for one in types] == ["eu_oss_vat", "gb_vat"]


async def test_who_buys_may_say_so_with_the_order(whole: Whole, customer: Customer) -> None:
    key = customer.keys["test ADMIN"]
    order: dict[str, Any] = {"amount": 25, "billingAddress": DUBLIN, "taxId": IRISH}
    bought = await whole.ask("POST", "/billing/purchases", key, order)
    assert (bought.status, bought.json["tax"], bought.json["total"]) == (201, 0, 25)
    kept = (await whole.ask("GET", "/billing/profile", key)).json
    assert (kept["address"]["city"], kept["taxIds"]) == ("DUBLIN", [IRISH])
    assert kept["name"].startswith("org ")
    again = await whole.ask("POST", "/billing/purchases", key, {"amount": 5, "taxId": IRISH})
    assert again.status == 201
    moved = {"amount": 5, "billingAddress": BERLIN}
    assert (await whole.ask("POST", "/billing/purchases", key, moved)).json["tax"] == "0.95"
    assert (await whole.ask("GET", "/billing/profile", key)).json["taxIds"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"taxId": IRISH}, "billingAddress"),
        ({"billingAddress": {**BERLIN, "postalCode": "1"}}, "billingAddress.postalCode"),
        ({"billingAddress": BERLIN, "taxId": IRISH}, "taxId.value"),
    ],
)
async def test_an_order_of_a_buyer_that_cannot_be_is_none(
    whole: Whole, customer: Customer, body: dict[str, Any], field: str
) -> None:
    key = customer.keys["test ADMIN"]
    answer = await whole.ask("POST", "/billing/purchases", key, {"amount": 25, **body})
    assert answer.status == 400
    assert _said(answer.json["details"], field)
    assert (await whole.ask("GET", "/billing/purchases", key)).json["data"] == []
