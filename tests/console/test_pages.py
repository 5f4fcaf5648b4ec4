"""Every page for every role: what it shows, to whom, and of whom."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from browsing import Browser, signed_in

from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import Money
from tollkeeper.console import rendering
from whole import Customer, Whole

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
MONEY_PAGES = ("credits", "transactions", "limits")
PAGES = (*MONEY_PAGES, "usage", "plan")


async def charge(whole: Whole, customer: Customer, request_id: str, **more: Any) -> str:
    body = {
        "provider": "sandbox",
        "model": "sandbox-small",
        "operation": "search",
        "usage": {"input": 1000, "output": 2000},
        "input": "select 1",
        "requestId": request_id,
        **more,
    }
    answer = await whole.ask("POST", "/metering/charges", customer.keys["test INFERENCE"], body)
    assert answer.status < 300, answer.text
    return answer.json["usageId"] if "usageId" in answer.json else answer.json["id"]


async def read(one: Browser, path: str) -> str:
    page = await one.open(path)
    assert page.status == 200, page.text
    return page.text


async def test_each_role_sees_its_pages_and_no_more(whole: Whole, customer: Customer) -> None:
    usage_id = await charge(whole, customer, "r1")
    for role in ("owner", "admin", "billing"):
        async with signed_in(whole, customer, role) as one:
            assert (await one.open("/console")).location == "/console/credits"
            for name in PAGES:
                assert f'href="/console/{name}" aria-current' in await read(one, f"/console/{name}")
            record = await read(one, f"/console/usage/{usage_id}")
            assert "How the cost was worked out" in record
            assert "$" in await read(one, "/console/usage")
    async with signed_in(whole, customer, "member") as one:
        assert (await one.open("/console")).location == "/console/usage"
        for name in MONEY_PAGES:
            assert (await one.open(f"/console/{name}")).status == 403
        invoice = f"/console/invoices/{show_id('inv', uuid7())}"
        assert (await one.open(invoice)).status == 403
        for path in ("usage", "plan", f"usage/{usage_id}"):
            text = await read(one, f"/console/{path}")
            assert "$" not in text
            assert 'class="money"' not in text
            assert "/console/credits" not in text


async def test_what_is_anothers_does_not_exist(whole: Whole, customer: Customer) -> None:
    usage_id = await charge(whole, customer, "r1", input="our secret question")
    other = await whole.customer()
    async with (
        signed_in(whole, other) as stranger,
        signed_in(whole, customer, livemode=True) as live,
    ):
        for one in (stranger, live):
            assert (await one.open(f"/console/usage/{usage_id}")).status == 404
            assert "our secret question" not in await read(one, "/console/usage")
        for path in (
            f"usage/{show_id('use', uuid7())}",
            "usage/x",
            f"invoices/{show_id('inv', uuid7())}",
            "usage?before=forged",
            "usage?from=yesterday",
            "usage?project=x",
            "transactions?show=everything",
            "transactions?before=forged",
            "limits?before=forged",
        ):
            page = await stranger.open(f"/console/{path}")
            assert page.status in {400, 404}, path
            assert page.headers["content-type"].startswith("text/html"), path


async def test_credit_and_usage_are_shown_as_the_books_have_them(
    whole: Whole, customer: Customer
) -> None:
    for number in range(3):
        await charge(whole, customer, f"r{number}", threadId=f"thread {number}")
    admin = customer.keys["test ADMIN"]
    balance = (await whole.ask("GET", "/billing/balance", admin)).json
    records = (await whole.ask("GET", "/billing/usage-records", admin)).json["data"]
    async with signed_in(whole, customer, "billing") as one:
        page = await read(one, "/console/credits")
        for name in ("available", "lifetimeSpent", "lifetimeAdded"):
            assert f'title="{balance[name]} USD"' in page, name
        assert "Healthy" in page
        assert "Sandbox credit" in page
        entries = (await whole.ask("GET", "/billing/entries", admin)).json["data"]
        listed = await read(one, "/console/transactions?show=all")
        for entry in entries:
            assert f'title="{entry["balanceAfter"]} USD"' in listed
        assert "Nothing here yet" in await read(one, "/console/transactions")
        log = await read(one, "/console/usage")
        for record in records:
            assert record["id"] in log
            assert f'title="{record["cost"]} USD"' in log
        filtered = await read(one, "/console/usage?thread=thread+1&status=success")
        found = set(re.findall(r"/console/usage/(use_\w+)", filtered))
        assert found == {r["id"] for r in records if r["threadId"] == "thread 1"}
        assert "No calls found" in await read(one, "/console/usage?status=error")


async def test_a_purchase_has_its_invoice_to_download(whole: Whole, customer: Customer) -> None:
    for amount in (25, 30):
        body = {"amount": amount}
        bought = await whole.ask("POST", "/billing/purchases", customer.keys["test ADMIN"], body)
        assert bought.json["status"] == "succeeded"
    other = await whole.customer()
    async with (
        signed_in(whole, customer, "billing") as one,
        signed_in(whole, customer, "billing", livemode=True) as live,
        signed_in(whole, customer, "member") as member,
        signed_in(whole, other) as stranger,
    ):
        page = await read(one, "/console/transactions")
        assert "+<span" in page
        paths = re.findall(r'href="(/console/invoices/inv_[0-9a-f]{32})"', page)
        assert len(set(paths)) == 2
        got = await one.open(paths[0])
        assert (got.status, got.headers["content-type"]) == (200, "application/pdf")
        assert got.headers["content-disposition"].startswith("attachment")
        assert got.text.startswith("%PDF-")
        for who, status in ((live, 404), (stranger, 404), (member, 403)):
            assert (await who.open(paths[0])).status == status
        assert "Nothing here yet" in await read(live, "/console/transactions")
        grants = await read(one, "/console/transactions?show=grant")
        assert grants.count("<tr>") == 2  # the head, and the sandbox credit


async def test_what_customers_write_is_text(whole: Whole, customer: Customer) -> None:
    usage_id = await charge(
        whole,
        customer,
        "r<b>",
        input=HOSTILE,
        threadId=HOSTILE,
        operation=HOSTILE,
        endUser=HOSTILE,
        tags={"team": HOSTILE},
        error=HOSTILE,
    )
    admin = customer.keys["live ADMIN"]
    budget = {"name": HOSTILE, "amount": 5, "period": "month", "endUser": HOSTILE}
    assert (await whole.ask("POST", "/budgets", admin, budget)).status == 201
    async with signed_in(whole, customer) as one:
        for path in (
            "usage",
            f"usage/{usage_id}",
            "limits",
            "credits",
            "transactions?show=all",
            "usage?model=%3Cscript%3E%22%3E",
        ):
            text = await read(one, f"/console/{path}")
            assert "<script>" not in text, path
            assert "<img" not in text, path
        assert "&lt;script&gt;" in await read(one, f"/console/usage/{usage_id}")


def test_every_text_that_templates_name_is_in_the_catalogue() -> None:
    folder = Path(rendering.__file__).parent / "templates"
    named = {
        key
        for template in folder.rglob("*.html")
        for key in re.findall(r'\bt\("([a-z_.0-9]+[a-z0-9])"[),]', template.read_text("utf-8"))
    }
    assert len(named) > 50
    for key in named:
        found: Any = rendering.TEXTS
        for part in key.split("."):
            found = found[part]
        assert isinstance(found, str), key
    written = rendering.files("tollkeeper.console").joinpath("texts/en.toml").read_text("utf-8")
    assert tomllib.loads(written) == rendering.TEXTS


def test_money_is_shown_to_the_cent_and_told_to_the_nano() -> None:
    for nanos, shown in [
        (0, "$0.00"),
        (1_234_567_890_000, "$1,234.57"),
        (123_456, "$0.000123"),
        (-500_000_000, "\N{MINUS SIGN}$0.50"),
        (-1_005_000_000, "\N{MINUS SIGN}$1.01"),
        (10_000_000, "$0.01"),
        (9_999_999, "$0.010000"),
        (123_456_789, "$0.12"),
        (1, "&lt;$0.000001"),
        (-499, "&lt;\N{MINUS SIGN}$0.000001"),
    ]:
        text = rendering.show_money(Money(nanos))
        assert f">{shown}<" in text
        assert f'title="{Money(nanos)} USD"' in text


def test_costs_are_even_and_prices_exact() -> None:
    for nanos, cost, price in [
        (0, "$0.00", "$0.00"),
        (30_000_000, "$0.030000", "$0.03"),
        (1_250_000_500, "$1.250001", "$1.2500005"),
        (75_000, "$0.000075", "$0.000075"),
    ]:
        assert f">{cost}<" in rendering.show_cost(Money(nanos))
        assert f">{price}<" in rendering.show_price(Money(nanos))
    assert ">2.50 DIEM<" in rendering.show_price(Money(2_500_000_000), "DIEM")
