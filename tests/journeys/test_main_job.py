"""The main job: official clients spend prepaid credit, see every cost, and are stopped cleanly.

One installation as a newcomer has it: `tollkeeper up`, test keys, the sandbox.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from running import Site

HI: Any = [{"role": "user", "content": "Hi"}]
SLOW: Any = "[[sandbox: tokens=60, delay=0.05]] Hi"


class Newcomer:
    """Somebody who has started Tollkeeper and reads what it printed."""

    def __init__(self, shown: dict[str, str]) -> None:
        self.base_url, self.key = shown["baseUrl"], shown["inferenceKey"]
        self._admin = {"authorization": f"Bearer {shown['adminKey']}"}

    def openai(self, **more: Any) -> OpenAI:
        return OpenAI(base_url=self.base_url, api_key=self.key, **more)

    def anthropic(self) -> Anthropic:
        return Anthropic(base_url=self.base_url.removesuffix("/v1"), api_key=self.key)

    def ask(self, path: str) -> Any:
        answer = httpx.get(self.base_url + path, headers=self._admin, timeout=30)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_float=Decimal)

    def balance(self) -> Decimal:
        found = self.ask("/billing/balance")
        assert found["held"] == 0
        return Decimal(found["posted"])

    def records(self) -> list[dict[str, Any]]:
        return self.ask("/billing/usage-records")["data"]


def exact(cost: Any) -> Decimal:
    return Decimal(str(cost))


def test_every_answer_costs_what_it_says(place: Site) -> None:
    """Acceptance b and e: answers, streams, the balance and the usage log agree to the nano."""
    process, shown = place.up()
    me = Newcomer(shown)
    began, costs = me.balance(), list[Decimal]()
    with me.openai() as client, me.anthropic() as other:
        for model in ("sandbox-small", "gpt-5-mini", "sandbox-large"):
            whole: Any = client.chat.completions.create(model=model, messages=HI, max_tokens=50)
            assert exact(whole.usage.cost) == exact(whole.cost)
            costs.append(exact(whole.cost))
            *_, last = client.chat.completions.create(model=model, messages=HI, stream=True)
            costs.append(exact(last.usage.cost))  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue] (an extra of ours)
            said: Any = other.messages.create(model=model, messages=HI, max_tokens=50)
            costs.append(exact(said.usage.cost))
            events: list[Any] = list(
                other.messages.create(model=model, messages=HI, max_tokens=50, stream=True)
            )
            costs += [exact(event.cost) for event in events if event.type == "message_delta"]
            responded: Any = client.responses.create(model=model, input="Hi")
            costs.append(exact(responded.cost))
    assert len(costs) == 15
    assert all(costs)
    assert began - me.balance() == sum(costs)
    rows = me.ask("/billing/usage?limit=500&sortOrder=asc")["data"]
    by_request: dict[str, Decimal] = {}
    for row in rows:
        request = row["inferenceDetails"]["requestId"]
        by_request[request] = by_request.get(request, Decimal(0)) - row["amount"]
    assert [*by_request.values()] == costs
    assert process.stop() == 0
    assert place.run("verify").returncode == 0


def test_at_the_end_of_the_money(place: Site) -> None:
    """Acceptance c: a 402 whose numbers are right, no retry; with clamp, an answer within it."""
    place.settings["BILLING__SANDBOX_CREDIT"] = "0.01"
    process, shown = place.up()
    me = Newcomer(shown)
    assert me.balance() == Decimal("0.01")
    dear: Any = {"model": "sandbox-large", "messages": HI, "max_tokens": 2_000}
    sent: list[httpx.Request] = []
    counting = openai.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    with me.openai(max_retries=5, http_client=counting) as client:
        with pytest.raises(openai.APIStatusError) as raised:
            client.chat.completions.create(**dear)
        assert len(sent) == 1, "it was tried again"
        assert raised.value.status_code == 402
        metadata = raised.value.response.json()["error"]["metadata"]
        assert exact(metadata["available"]) == Decimal("0.01")
        # 2,000 tokens at 22.50 dollars a million (beyond the cliff it may be served on), and input.
        assert exact(metadata["required"]) > Decimal("0.03")
        limit = metadata["affordableMaxTokens"]
        assert 0 < limit < 2_000
        clamped: Any = client.chat.completions.create(
            **dear, extra_headers={"x-tollkeeper-clamp": "true"}
        )
        left = me.balance()
        assert left == Decimal("0.01") - exact(clamped.cost)
        assert left >= 0
        # Down to the last call that fits: never below zero, and then every call is refused.
        with pytest.raises(openai.APIStatusError) as at_last:
            for _ in range(200):
                client.chat.completions.create(
                    model="sandbox-large",
                    messages=[{"role": "user", "content": "[[sandbox: tokens=40]]"}],
                    max_tokens=40,
                )
        assert at_last.value.status_code == 402
        assert (
            0
            <= me.balance()
            < exact(at_last.value.response.json()["error"]["metadata"]["required"])
        )
    assert process.stop() == 0
    assert place.run("verify").returncode == 0


KILLED = """
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)
for chunk in client.chat.completions.create(
    model="sandbox-small", messages=[{"role": "user", "content": sys.argv[3]}], stream=True
):
    print("got one", flush=True)
"""


def test_a_client_that_is_killed_and_a_model_without_a_price(place: Site) -> None:
    """Acceptance d and f."""
    process, shown = place.up()
    me = Newcomer(shown)
    began = me.balance()
    command = [sys.executable, "-c", KILLED, me.base_url, me.key, SLOW]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "got one\n"
        os.kill(client.pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while not me.records():
        assert time.monotonic() < until, "the broken call was not recorded"
        time.sleep(0.1)
    (record,) = me.records()
    assert record["source"] == "partial"
    assert began - me.balance() == exact(record["cost"]) > 0
    with me.openai() as other, pytest.raises(openai.UnprocessableEntityError) as refused:
        other.chat.completions.create(model="no-such-model-has-a-price", messages=HI)
    assert refused.value.code == "model_not_priced"
    assert len(me.records()) == 1
    assert process.stop() == 0
    assert place.run("verify").returncode == 0
