"""The callback in the real LiteLLM, which has pins of its own and so an environment of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from standin import PRICES, StandIn, stand_in
from tollkeeper.db.users import exclusive
from tollkeeper.ops.server import listen
from tollkeeper.pricing import publish, read_price_file
from tollkeeper_client import AsyncTollkeeper
from whole import Customer, Whole

ROOT = Path(__file__).parents[2]
LITELLM = "litellm[proxy]==1.106.2"
SCRIPT = Path(__file__).with_name("litellm_calls.py")
CHAT = "chat/completions"
OPERATIONS = {"embedding": "embeddings", "bridged": "responses"}
ENDED = {"whole": ["ada"]}
SENT = {"same_id": 4, "sync": 2}
UNSENT = ("embedding", "refused", "unpriced", "nobody")


@pytest.fixture(scope="session")
def litellm_python() -> Path:
    """An interpreter that has LiteLLM. Made once, and kept for the next run."""
    place = ROOT / ".cache" / f"tests-{LITELLM.split('==')[1]}-{sys.version_info.minor}"
    place.parent.mkdir(exist_ok=True)
    python = place / "bin" / "python"
    with exclusive(place.with_suffix(".lock")):
        if not (place / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
            install = [python, "-m", "pip", "install", "--quiet", LITELLM, "httpx>=0.28,<1"]
            subprocess.run(install, check=True)
            (place / "complete").touch()
    return python


@pytest.fixture(scope="session")
async def upstream(clients_whole: Whole) -> AsyncIterator[StandIn]:
    """A provider whose tokens cost 1,000 nanos read, and 2,000 written."""
    async with clients_whole.database.transaction() as tx:
        at = datetime.now(UTC) - timedelta(days=1)
        await publish(tx, read_price_file(PRICES, "up.yaml"), "a test", at)
    await clients_whole.app.rooms.books.refresh()
    with stand_in() as made:
        yield made


CALLS = {
    # What it says, and what it costs.
    "whole": ("150", "0.0002"),
    "positional": ("150", "0.0002"),
    "stream": ("several parts", "0.0002"),
    "embedding": ("1", "0.00000002"),
    "router": ("15", "0.00002"),
    "refused": ("InsufficientCredits 402", "0"),
    "unpriced": ("ModelNotPriced 422", "0"),
    "nobody": ("InvalidRequest 400", "0"),
    "failed": ("InternalServerError 500", "0"),
    "bridged": ("150", "0.0002"),
    "fallback": ("150", "0.0002"),
    "same_id": ("{150}", "0.0004"),
    "sync": ("{150}", "0.0004"),
}


async def test_what_litellm_used_is_paid(
    litellm_python: Path, whole: Whole, upstream: StandIn
) -> None:
    customers = {name: await whole.customer() for name in CALLS}
    poor, other = await whole.customer(sandbox_credit=1), await whole.customer()
    same = await whole.customer()
    place = {
        "url": whole.url,
        "upstream": upstream.url,
        "operatorKey": whole.operator_key,
        "poor": poor.keys["test INFERENCE"],
        "other": other.keys["test INFERENCE"],
        "same": same.keys["test INFERENCE"],
        "calls": {name: known.keys["test INFERENCE"] for name, known in customers.items()},
    }
    said = await ran([litellm_python, SCRIPT, json.dumps(place)])
    assert json.loads(said.splitlines()[-1]) == {name: said for name, (said, _) in CALLS.items()}
    spent: dict[str, Decimal] = {}
    for name, known in (customers | {"same": same}).items():
        async with AsyncTollkeeper(known.keys["test ADMIN"], whole.url) as admin:
            balance = await admin.balance()
            records = [record async for record in admin.usage_records()]
        assert {record.operation for record in records} <= {OPERATIONS.get(name, CHAT)}
        assert [record.end_user for record in records if record.end_user] == ENDED.get(name, [])
        assert balance.held == 0, name
        spent[name] = 10 - balance.posted
    assert spent.pop("same") == spent["same_id"]
    assert spent == {name: Decimal(cost) for name, (_, cost) in CALLS.items()}
    # Those refused were not sent.
    assert len(upstream.heard) == sum(SENT.get(name, name not in UNSENT) for name in CALLS)


def environment() -> dict[str, str]:
    ours = {"PYTHONPATH": str(ROOT / "clients/python/src"), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return os.environ | ours


async def ran(command: list[Any]) -> str:
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


CALLBACK = """\
import os

from tollkeeper_client.litellm import TollkeeperCallback

toll = TollkeeperCallback(
    os.environ["TOLLKEEPER_KEY"],
    os.environ["TOLLKEEPER_URL"],
    priced_as=lambda provider, model: ("up", model),
)
"""
CONFIG = """\
model_list:
  - model_name: chat
    litellm_params: {{model: openai/up-chat, api_base: "{upstream}", api_key: sk-stand-in}}
litellm_settings:
  callbacks: [billing.toll]
general_settings:
  master_key: sk-master
"""


@pytest.fixture
async def proxy(
    litellm_python: Path, whole: Whole, upstream: StandIn, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """LiteLLM's own server, with the callback in its configuration."""
    (tmp_path / "billing.py").write_text(CALLBACK, "utf-8")
    (tmp_path / "config.yaml").write_text(CONFIG.format(upstream=upstream.url), "utf-8")
    with closing(listen("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environ = environment() | {"TOLLKEEPER_KEY": whole.operator_key, "TOLLKEEPER_URL": whole.url}
    command = [litellm_python.parent / "litellm", "--config", "config.yaml"]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 (it takes a millisecond)
            [*command, *address], cwd=tmp_path, env=environ, stdout=log, stderr=log
        )
        try:
            base = f"http://127.0.0.1:{port}"
            headers = {"authorization": "Bearer sk-master"}
            async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as client:
                await answering(client, process)
                yield client
        finally:
            process.terminate()
            process.wait(20)


async def answering(client: httpx.AsyncClient, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(90):
        while process.poll() is None:
            with suppress(httpx.TransportError):
                if (await client.get("/health/liveliness")).is_success:
                    return
            await asyncio.sleep(0.2)
    raise AssertionError("LiteLLM's proxy did not start")


async def test_litellms_proxy_charges_whoever_a_request_names(
    proxy: httpx.AsyncClient, whole: Whole, customer: Customer, admin: AsyncTollkeeper
) -> None:
    poor = (await whole.customer(sandbox_credit=1)).keys["test INFERENCE"]
    told = {"role": "user", "content": json.dumps({"in": 100, "out": 50})}
    body = {"model": "chat", "messages": [told], "max_tokens": 50}
    refused = await proxy.post("/chat/completions", json=body, headers={"x-tollkeeper-key": poor})
    assert refused.status_code == 402, refused.text
    assert "insufficient_credits" in refused.text
    headers = {"x-tollkeeper-key": customer.keys["test INFERENCE"]}
    answered = await proxy.post("/chat/completions", json=body, headers=headers)
    assert answered.json()["usage"]["total_tokens"] == 150, answered.text
    assert (await admin.balance()).posted == 10 - Decimal("0.0002")
    several = body | {"model": "chat,chat"}
    both = await proxy.post("/chat/completions", json=several, headers=headers)
    assert len(both.json()) == 2, both.text
    assert (await admin.balance()).posted == 10 - Decimal("0.0006")
    streamed = await proxy.post("/chat/completions", json=body | {"stream": True}, headers=headers)
    assert streamed.text.count("data:") > 2, streamed.text
    async with asyncio.timeout(20):
        while (await admin.balance()).held:  # noqa: ASYNC110 (settled after the last byte)
            await asyncio.sleep(0.05)
    assert (await admin.balance()).posted == 10 - Decimal("0.0008")
