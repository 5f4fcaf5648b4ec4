"""A form that was opened before somebody else saved does not undo unseen what they saved."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from browsing import Browser, Page, signed_in

from tollkeeper.base.ids import show_id
from whole import Customer, Whole

CHANGED = "Somebody else changed these settings since you opened them."


def fields_of(page: Page, path: str) -> dict[str, str]:
    """What the form that is sent to a path holds, as a browser would send it."""
    form = page.text.split(f'action="{path}"')[1].split("</form>")[0]
    fields = {
        name: unescape(value)
        for name, value in re.findall(r'<input[^>]* name="(\w+)"[^>]* value="([^"]*)"', form)
    }
    for name, options in re.findall(r'(?s)<select[^>]* name="(\w+)"[^>]*>(.*?)</select>', form):
        chosen = re.search(r'value="(\w+)" selected', options)
        assert chosen, name
        fields[name] = chosen[1]
    return fields


async def budgets(whole: Whole, customer: Customer) -> list[Any]:
    listed = await whole.ask("GET", "/budgets", customer.keys["live ADMIN"])
    return [(one["name"], one["amount"], one["period"]) for one in listed.json["data"]]


async def save(one: Browser, path: str, opened: dict[str, str], **changed: str) -> Page:
    return await one.submit(path, **opened | changed)


async def test_a_stale_tab_removes_no_limit_of_a_key(whole: Whole, customer: Customer) -> None:
    path = f"/console/keys/{show_id('key', customer.key_ids['test INFERENCE'])}"
    async with signed_in(whole, customer) as one:
        stale = fields_of(await one.open(path), path)
        saved = await save(one, path, stale, costLimit="5", costPeriod="week", name="CI")
        assert saved.status == 303
        kept = await budgets(whole, customer)
        assert [(amount, period) for _, amount, period in kept] == [(5, "week")]
        refused = await save(one, path, stale, requestLimit="60")
        assert refused.status == 400
        assert CHANGED in refused.text
        for said in ("It is now: CI", "It is now: 5", "It is now: a week", "It is empty now."):
            assert said.lower() in refused.text.lower(), said
        assert await budgets(whole, customer) == kept
        # Wrong once more, it still knows; sent again as it is, it is done.
        again = fields_of(refused, path)
        assert again["requestLimit"] == "60"
        assert (await save(one, path, again, costLimit="x")).status == 400
        assert (await save(one, path, again)).status == 303
    assert [(amount, period) for _, amount, period in await budgets(whole, customer)] == [
        (60, "minute")
    ]


async def test_what_is_wrong_does_not_hide_that_somebody_saved(
    whole: Whole, customer: Customer
) -> None:
    path = f"/console/keys/{show_id('key', customer.key_ids['test INFERENCE'])}"
    async with signed_in(whole, customer) as one:
        stale = fields_of(await one.open(path), path)
        assert (await save(one, path, stale, costLimit="5")).status == 303
        wrong = await save(one, path, stale, tokenLimit="many")
        assert (wrong.status, CHANGED in wrong.text) == (400, False)
        right = await save(one, path, fields_of(wrong, path), tokenLimit="9")
        assert (right.status, CHANGED in right.text) == (400, True)
    assert [amount for _, amount, _ in await budgets(whole, customer)] == [5]


async def test_a_stale_tab_does_not_widen_a_budget(whole: Whole, customer: Customer) -> None:
    new = {"name": "All of it", "amount": 50, "period": "month"}
    made = await whole.ask("POST", "/budgets", customer.keys["live ADMIN"], new)
    path = f"/console/limits/{made.json['id']}"
    async with signed_in(whole, customer) as one:
        stale = fields_of(await one.open(path), path)
        assert (await save(one, path, stale, amount="7.50")).status == 303
        refused = await save(one, path, stale, name="Everything", enforcement="soft")
        assert (refused.status, CHANGED in refused.text) == (400, True)
        assert "It is now: 7.50" in refused.text
        assert [amount for _, amount, _ in await budgets(whole, customer)] == ["7.5"]
        assert (await save(one, path, fields_of(refused, path))).status == 303
    assert await budgets(whole, customer) == [("Everything", 50, "month")]
