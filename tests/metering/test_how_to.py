"""What docs/how-to/meter-your-own-api.md tells people to paste works."""

from __future__ import annotations

import asyncio
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from shop import Customer, Shop
from test_charges import records, wallet_of

from tollkeeper.pricing import publish, read_price_file

PAGE = Path(__file__).parents[2] / "docs/how-to/meter-your-own-api.md"


def block(language: str) -> str:
    found = re.search(
        rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return textwrap.dedent(found[1])


def run(_question: str) -> list[str]:
    return ["a row"] * 250


def break_down(_question: str) -> list[str]:
    raise ZeroDivisionError


async def own_prices(shop: Shop) -> None:
    """Publish the page's price list, as of before the test's own time."""
    text = block("yaml").replace("generate_sql", "page_sql").replace("-12-01", "-01-01")
    versions = read_price_file(text, "own.yaml")
    async with shop.database.transaction() as tx:
        await publish(tx, versions, "a test", shop.clock.now())
    await shop.books.refresh()


async def test_the_python_of_the_page(shop: Shop, customer: Customer) -> None:
    await own_prices(shop)
    code = (
        block("python")
        .replace("http://127.0.0.1:8080/api/v1", shop.url)
        .replace("tk_op_…", shop.operator)
        .replace("generate_sql", "page_sql")
    )
    names: dict[str, Any] = {"run": run}
    exec(compile(code, PAGE, "exec"), names)  # noqa: S102 (it is our page)
    ask = names["page_sql"]
    status, answer = await asyncio.to_thread(ask, customer.inference, "How many?", "r-1")
    assert (status, answer["cost"]) == (200, 0.045)
    (record,) = await records(shop, customer.purse)
    assert (record["thread_id"], record["detail"]["input"]) == ("thread-7", "How many?")

    names["run"] = break_down
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(ask, customer.inference, "Why?", "r-2")
    wallet = await wallet_of(shop, customer.purse)
    assert (wallet.posted, wallet.held) == (99_955_000_000, 0)

    poor = await shop.customer(1)
    status, answer = await asyncio.to_thread(ask, poor.inference, "How many?", "r-3")
    assert (status, answer["required"]) == (402, 1.02)
    names["toll"].close()


async def test_the_events_of_the_page(shop: Shop, customer: Customer) -> None:
    await own_prices(shop)
    lines = [line for line in block("bash").splitlines() if line.startswith("{")]
    body = "\n".join(lines).replace("tk_live_…", customer.inference)
    body = body.replace("generate_sql", "page_sql").replace("2026-12-01", "2026-11-01")
    kind = "application/x-ndjson"
    reply = await shop.post("/metering/events", shop.operator, body.encode(), content_type=kind)
    assert (reply.json["accepted"], reply.json["rejected"]) == (2, 0), reply.body
    assert (await wallet_of(shop, customer.purse)).posted == 99_920_000_000
