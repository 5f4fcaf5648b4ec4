"""What the operator sells, on pages: the price book and its changes, plans and their versions."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from browsing import Browser, Page, staff_signed_in

from tollkeeper.plans import read_plan_file, read_plans, terms_in, write_plan_file
from whole import Whole

EXAMPLES = Path(__file__).parents[2] / "examples"
STAFF = "/console/staff"
PRICES = """\
provider: own
source: invented for this test
checked_on: 2026-11-01
models:
  report: {prices: [{from: always, rates: {call: %s}}]}
"""
PLAN = """\
code = "pro"
name = "Pro <b>"
feeMinor = 2900
[[consumables]]
code = "reports"
name = "Reports"
covers = [{ sku = "report" }]
included = 100
overagePrice = 0.25
overagePer = 10
"""


async def read(one: Browser, path: str) -> str:
    page = await one.open(STAFF + path)
    assert page.status == 200, page.text
    return page.text


async def send(one: Browser, path: str, **fields: str) -> Page:
    token = (await one.open(f"{STAFF}/overview")).form_token
    return await one.submit(STAFF + path, form_token=token, **fields)


def seen_in(page: Page) -> str:
    found = re.search(r'name="seen" value="([0-9a-f]{8})"', page.text)
    assert found is not None, page.text
    return found[1]


async def test_a_price_is_shown_before_it_is_published(whole: Whole) -> None:
    async with staff_signed_in(whole) as one:
        assert "sandbox-small" in await read(one, "/prices")
        assert "sandbox-small" not in await read(one, "/prices?q=nothing-like-it")
        file = PRICES % "0.5"
        compared = await send(one, "/prices/publish", file=file, act="compare")
        assert compared.status == 200
        assert "+ own/report" in compared.text
        assert "report" not in await read(one, "/prices?q=own/")
        seen = seen_in(compared)
        dearer = await send(
            one, "/prices/publish", file=PRICES % "50", act="publish", seen=seen, reason="new"
        )
        assert dearer.status == 400, "another price than the one that was seen"
        for fields in ({"seen": "00000000", "reason": "new"}, {"seen": seen}):
            refused = await send(one, "/prices/publish", file=file, act="publish", **fields)
            assert refused.status == 400
            assert "invented for this test" in refused.text
        done = await send(
            one, "/prices/publish", file=file, act="publish", seen=seen, reason="a new report"
        )
        assert (done.status, done.location) == (303, f"{STAFF}/prices?done=prices_published")
        assert '<td class="right figure">$0.50</td>' in await read(one, "/prices/models/own/report")
        assert "a new report" in await read(one, "/audit")
        # The price in force is not changed, unless somebody says that it shall be.
        file = PRICES % "0.7"
        compared = await send(one, "/prices/publish", file=file, act="compare")
        assert "~ own/report" in compared.text
        seen = seen_in(compared)
        refused = await send(
            one, "/prices/publish", file=file, act="publish", seen=seen, reason="dearer"
        )
        assert refused.status == 400
        later = "}}, {from: 2030-01-01, rates: {call: 0.7"
        planned = PRICES % f"0.5{later}"
        compared = await send(one, "/prices/publish", file=planned, act="compare")
        assert "@ own/report" in compared.text
        done = await send(
            one,
            "/prices/publish",
            file=planned,
            act="publish",
            seen=seen_in(compared),
            reason="from 2030",
        )
        assert done.status == 303
        history = await read(one, "/prices/models/own/report")
        assert "To come" in history
        assert "0.7" in history
        edit = await one.open(f"{STAFF}/prices/publish?provider=own&model=report")
        assert "2030-01-01" in edit.text


async def test_a_file_that_cannot_be_read_is_kept_and_said_so(whole: Whole) -> None:
    async with staff_signed_in(whole) as one:
        for file in ("", "provider: [", "provider: own\nmodels: 3", "<script>alert(1)</script>"):
            page = await send(one, "/prices/publish", file=file, act="compare")
            assert page.status == 400, file
            assert "<script>alert" not in page.text


async def test_the_library_is_compared_and_published(whole: Whole) -> None:
    async with staff_signed_in(whole) as one:
        compared = await send(one, "/prices/import", providers="anthropic", act="compare")
        assert compared.status == 200
        assert "+ anthropic/" in compared.text
        assert "input $3.00 / 1M" in compared.text
        assert "per 1000" not in compared.text
        done = await send(
            one,
            "/prices/import",
            providers="anthropic",
            act="publish",
            seen=seen_in(compared),
            reason="the first prices",
        )
        assert done.status == 303, done.text
        assert "anthropic/" in await read(one, "/prices?q=anthropic")
        cliffs = await read(one, "/prices/models/anthropic/claude-sonnet-4-5")
        assert "$3.00 / 1M, above 200,000 input tokens $6.00 / 1M" in cliffs
        again = await send(one, "/prices/import", providers="anthropic", act="compare")
        assert "Nothing would change" in again.text
        unknown = await send(one, "/prices/import", providers="acme", act="compare")
        assert unknown.status == 400


async def test_a_plan_is_published_followed_and_retired(whole: Whole) -> None:
    async with staff_signed_in(whole) as one:
        assert "There is no plan" in await read(one, "/plans")
        refused = await send(one, "/plans/publish", file=PLAN)
        assert refused.status == 400
        assert "Pro &lt;b&gt;" in refused.text
        made = await send(one, "/plans/publish", file=PLAN, reason="our first")
        assert made.location == f"{STAFF}/plans/pro?done=plan_published"
        listed = await read(one, "/plans")
        assert "Pro &lt;b&gt;" in listed
        assert "$29.00" in listed
        shown = await read(one, "/plans/pro")
        assert "$0.25" in shown
        assert "per 10" in shown
        edit = await one.open(f"{STAFF}/plans/publish?plan=pro")
        assert "&#34;feeMinor&#34;: 2900" in edit.text
        for _ in range(2):
            gone = await send(one, "/plans/pro/retire", reason="too cheap", intent="retire")
            assert gone.status == 303
            assert "Not sold any more" in await read(one, "/plans/pro")
        assert 'name="intent" value="back"' in await read(one, "/plans/pro/retire")
        back = await send(one, "/plans/pro/retire", reason="asked for", intent="back")
        assert back.status == 303
        assert "Not sold any more" not in await read(one, "/plans/pro")
        for path in ("/plans/none", "/plans/none/retire", "/prices/models/own/none"):
            assert (await one.open(STAFF + path)).status == 404
        for file in ("code = 3", "{", "code = 'x'"):
            assert (await send(one, "/plans/publish", file=file, reason="x")).status == 400


async def test_viewers_read_and_change_nothing(whole: Whole) -> None:
    async with staff_signed_in(whole, "viewer") as one:
        for path in ("/plans", "/prices", "/prices/models/sandbox/sandbox-small"):
            assert "publish" not in await read(one, path)
        for path in ("/plans/publish", "/prices/publish", "/prices/import", "/plans/pro/retire"):
            assert (await one.open(STAFF + path)).status == 403
            assert (await send(one, path, file=PLAN, reason="x")).status == 403
    async with whole.database.connection() as connection:
        assert not await read_plans(connection)


@pytest.mark.parametrize("name", ["free", "starter", "pro"])
async def test_a_plan_that_is_written_is_read_as_it_was(whole: Whole, name: str) -> None:
    text = (EXAMPLES / "shingle" / f"{name}.toml").read_text("utf-8")
    plan = read_plan_file(text, "plan.toml")
    async with staff_signed_in(whole) as one:
        await send(one, "/plans/publish", file=text, reason="test")
    async with whole.database.connection() as connection:
        (version,) = await read_plans(connection)
    again = read_plan_file(write_plan_file(version), "plan.json")
    assert terms_in(again) == terms_in(plan) == version.terms
    assert version.effective_from <= datetime.now(UTC)
