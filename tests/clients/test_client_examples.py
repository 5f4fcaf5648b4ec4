"""Each example of a framework is started as its first line says, and called over HTTP."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing, suppress
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tollkeeper.ops.server import listen
from tollkeeper_client import AsyncTollkeeper, InsufficientCredits
from tollkeeper_client.errors import error_of
from whole import Customer, Whole

CLIENT = Path(__file__).parents[2] / "clients/python"
STARTS = {
    "fastapi": ["uvicorn", "fastapi_app:app"],
    "litestar": ["uvicorn", "litestar_app:app"],
    "flask": ["flask", "--app", "flask_app", "run"],
}


@asynccontextmanager
async def started(command: list[str], whole: Whole, log: Path) -> AsyncGenerator[httpx.AsyncClient]:
    with closing(listen("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environ = {
        **os.environ,
        "PYTHONPATH": str(CLIENT / "src"),
        "TOLLKEEPER_KEY": whole.operator_key,
        "TOLLKEEPER_URL": whole.url,
    }
    with log.open("w") as said:
        process = subprocess.Popen(  # noqa: ASYNC220 (it takes a millisecond)
            [sys.executable, "-m", *command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=CLIENT / "examples",
            env=environ,
            stdout=said,
            stderr=said,
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as shop:
                async with asyncio.timeout(60):
                    while process.poll() is None:
                        with suppress(httpx.TransportError):
                            await shop.get("/prices")
                            break
                        await asyncio.sleep(0.1)
                yield shop
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.parametrize("framework", STARTS)
def test_the_page_shows_the_example(framework: str) -> None:
    page = (CLIENT.parents[1] / "docs/how-to/charge-per-request.md").read_text("utf-8")
    example = (CLIENT / f"examples/{framework}_app.py").read_text("utf-8")
    _, code = example.split("from __future__ import annotations\n\n")
    assert f"```python\n{code}```" in page


@pytest.mark.parametrize("framework", STARTS)
async def test_the_example(
    framework: str, whole: Whole, customer: Customer, admin: AsyncTollkeeper, tmp_path: Path
) -> None:
    poor = (await whole.customer(sandbox_credit=1)).keys["test INFERENCE"]
    async with started(STARTS[framework], whole, tmp_path / "log") as shop:
        assert (await shop.get("/prices")).is_success
        asked = {"question": "How many?"}
        nobody = await shop.get("/sql", params=asked)
        assert (nobody.status_code, nobody.json()["code"]) == (401, "invalid_api_key")
        bearer = {"authorization": f"Bearer {customer.keys['test INFERENCE']}"}
        answer = await shop.get("/sql", params=asked, headers=bearer)
        assert len(answer.json()) == 3
        balance = await admin.balance()
        assert (balance.posted, balance.held) == (10 - Decimal("0.0203"), 0)
        (record,) = (await admin.list_usage_records()).data
        assert (record.input, record.status) == ("How many?", 200)
        wrong = await shop.get("/sql", headers=bearer)
        assert wrong.status_code in (400, 422)
        assert (await admin.balance()).available == 10 - Decimal("0.0203")
        refused = await shop.get("/sql", params=asked, headers={"x-api-key": poor})
        assert refused.status_code == 402
        assert refused.headers["content-type"] == "application/problem+json"
        assert isinstance(error_of(402, refused.content), InsufficientCredits)
