"""What docs/how-to/use-the-python-client.md tells people to paste works."""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tollkeeper_client import WebhookNotVerified
from whole import Customer, Whole

PAGE = Path(__file__).parents[2] / "docs/how-to/use-the-python-client.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def run(question: str) -> list[str]:
    if question == "broken":
        raise ZeroDivisionError
    return ["a row"] * 250


async def test_the_python_of_the_guide(whole: Whole, customer: Customer) -> None:
    code = "\n".join(BLOCKS).replace("http://127.0.0.1:8080", whole.url)
    names: dict[str, Any] = {"run": run}
    exec(compile(code.replace("tk_op_…", whole.operator_key), PAGE, "exec"), names)  # noqa: S102 (it is our page)
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
