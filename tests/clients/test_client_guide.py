"""What docs/how-to/use-the-python-client.md tells people to paste works."""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tollkeeper_client import AsyncTollkeeper, WebhookNotVerified
from whole import Customer, Whole

PAGE = Path(__file__).parents[2] / "docs/how-to/use-the-python-client.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def run(question: str) -> list[str]:
    if question == "broken":
        raise ZeroDivisionError
    return ["a row"] * 250


async def test_the_python_of_the_guide(whole: Whole, customer: Customer) -> None:
    names = names_of_the_guide(whole)
    key = customer.keys["test INFERENCE"]
    with names["toll"]:
        answer = await asyncio.to_thread(names["generate_sql"], key, "How many?")
        assert answer["cost"] == Decimal("0.045")
        assert len(await asyncio.to_thread(names["rows_for"], key, "How many?")) == 250
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(names["generate_sql"], key, "broken")
        balance = await whole.ask("GET", "/billing/balance", customer.keys["test ADMIN"])
        assert (balance.json["posted"], balance.json["held"]) == ("9.91", 0)
        poor = (await whole.customer(sandbox_credit=1)).keys["test INFERENCE"]
        refused = await asyncio.to_thread(names["generate_sql"], poor, "How many?")
        assert refused["missing"] == Decimal("1.02") - Decimal("1E-9")
    spent = await asyncio.to_thread(names["spent"], customer.keys["test ADMIN"])
    assert spent == {"generate_sql": Decimal("0.09")}
    with pytest.raises(WebhookNotVerified):
        names["receive"]("whsec_YQ==", {}, b"{}")


async def test_plans_budgets_and_costs_of_the_guide(
    whole: Whole, customer: Customer, admin: AsyncTollkeeper, tmp_path: Path
) -> None:
    names = names_of_the_guide(whole)
    key, admin_key = customer.keys["test INFERENCE"], customer.keys["test ADMIN"]
    with names["toll"]:
        await asyncio.to_thread(names["publish"])
        await whole.app.rooms.plans.refresh()
        await admin.add_payment_method(token="pm_card_visa")
        assert await asyncio.to_thread(names["begin"], admin_key) is None
        await asyncio.to_thread(names["limit"], customer.keys["live ADMIN"])
        await whole.app.rooms.plans.refresh()
        assert len(await asyncio.to_thread(names["rows_of"], key, "ann")) == 250
        (budget,) = [budget async for budget in admin.budgets()]
        async with AsyncTollkeeper(customer.keys["live ADMIN"], whole.url) as live:
            await live.update_budget(budget.id, amount=Decimal("0.02"))
        refused = await asyncio.to_thread(names["rows_of"], key, "ann")
    assert "Try again after 20" in refused
    books = tmp_path / "usage.csv"
    assert await asyncio.to_thread(names["report"], admin_key, str(books)) == {
        "ann": Decimal("0.02")
    }
    assert len(books.read_text("utf-8").splitlines()) == 3
    (rows,) = (await admin.allowances()).data
    assert (rows.used, rows.left) == (250, 49_750)


def names_of_the_guide(whole: Whole) -> dict[str, Any]:
    code = "\n".join(BLOCKS).replace("http://127.0.0.1:8080", whole.url)
    names: dict[str, Any] = {"run": run}
    exec(compile(code.replace("tk_op_…", whole.operator_key), PAGE, "exec"), names)  # noqa: S102 (it is our page)
    return names
