"""Acceptance, where it needs a provider of one's own and customers with little money.

`test_main_job.py` has the newcomer's way, with test keys and the sandbox alone.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import anthropic
import httpx
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from running import Site, site
from standin import OWN_PRICES, PRICES, StandIn, cost_nanos, stand_in

CENT = Decimal("0.01")
NANO = Decimal("0.000000001")
# What is held for a token written by sandbox-large.
DEAR_TOKEN = Decimal("0.000015")
# A request of less than 200 bytes is held as so many tokens, read in the dearest way.
INPUT_BOUND = 200 * Decimal("0.000006")
COLUMNS = [
    *("timestamp", "sku", "units", "pricePerUnitUsd", "amount", "currency", "notes"),
    "inferenceDetails.requestId",
    "inferenceDetails.inferenceExecutionTime",
    "inferenceDetails.promptTokens",
    "inferenceDetails.completionTokens",
]


class House:
    """A running installation with a provider; each customer has a cent of sandbox credit."""

    def __init__(self, here: Site, provider: StandIn, shown: dict[str, str]) -> None:
        self.site, self.provider, self.shown = here, provider, shown
        self.base_url = shown["baseUrl"]

    def customer(self, dollars: str = "1") -> Customer:
        made = self.site.ask("org", "create", f"org {uuid4().hex[:8]}")
        org = made["organizationId"]
        granted = httpx.post(
            f"{self.base_url}/operator/organizations/{org}/grants",
            json={"amount": float(dollars), "reason": "a test"},
            headers={"authorization": f"Bearer {self.shown['operatorKey']}"},
            timeout=30,
        )
        assert granted.status_code == 201, granted.text
        return Customer(self, org, made["liveAdminKey"], made["testAdminKey"])


class Customer:
    def __init__(self, house: House, org: str, live: str, test: str) -> None:
        self.house, self.org, self.live, self.test = house, org, live, test
        self.requests: list[Any] = []

    def openai(self, key: str) -> OpenAI:
        counting = openai.DefaultHttpxClient(event_hooks={"request": [self.requests.append]})
        return OpenAI(base_url=self.house.base_url, api_key=key, http_client=counting)

    def anthropic(self, key: str) -> Anthropic:
        base = self.house.base_url.removesuffix("/v1")
        counting = anthropic.DefaultHttpxClient(event_hooks={"request": [self.requests.append]})
        return Anthropic(base_url=base, api_key=key, http_client=counting)

    def get(self, path: str, key: str | None = None, **headers: str) -> httpx.Response:
        said = {"authorization": f"Bearer {key or self.live}", **headers}
        return httpx.get(self.house.base_url + path, headers=said, timeout=30)

    def ask(self, path: str, key: str | None = None) -> Any:
        answer = self.get(path, key)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_float=Decimal)

    def balance(self, key: str | None = None) -> Decimal:
        found = self.ask("/billing/balance", key)
        assert found["held"] == 0
        return Decimal(found["posted"])

    def record(self) -> dict[str, Any]:
        """Wait for the only usage record."""
        until = time.monotonic() + 20
        while not (found := self.ask("/billing/usage-records")["data"]):
            assert time.monotonic() < until, "the call was not recorded"
            time.sleep(0.1)
        (only,) = found
        return only


@pytest.fixture(scope="module")
def house(run_directory: Path) -> Iterator[House]:
    directory = run_directory / f"acceptance-{uuid4().hex[:8]}"
    directory.mkdir(mode=0o711)
    settings = {"BILLING__SANDBOX_CREDIT": "0.01", "GATEWAY__DRAIN_SECONDS": "1"}
    with stand_in() as provider, site(directory, **provider.settings(), **settings) as here:
        serving, shown = here.up()
        for name, text in (("up.yaml", PRICES), ("own.yaml", OWN_PRICES)):
            (directory / name).write_text(text, "utf-8")
            here.ask("price", "publish", name)
        yield House(here, provider, shown)
        assert serving.stop() == 0
        verified = here.run("verify")
        assert verified.returncode == 0, verified.stdout


def told(**what: Any) -> Any:
    return [{"role": "user", "content": json.dumps(what)}]


def exact(cost: Any) -> Decimal:
    return Decimal(str(cost))


# ── b: what is said is what is charged ────────────────────────────────────────────────────────────


def test_a_providers_answer_costs_what_it_says(house: House) -> None:
    acme = house.customer()
    with acme.openai(acme.live) as client:
        whole: Any = client.chat.completions.create(
            model="up-chat", messages=told(**{"in": 12, "out": 34}), max_tokens=50
        )
        *_, last = client.chat.completions.create(
            model="up-chat", messages=told(**{"in": 7, "out": 40}), max_tokens=50, stream=True
        )
    first, second = cost_nanos(12, 34) * NANO, cost_nanos(7, 40) * NANO
    assert exact(whole.cost) == exact(whole.usage.cost) == first
    said: Any = last
    assert exact(said.cost) == exact(said.usage.cost) == second
    assert acme.balance() == 1 - first - second


# ── c: at the end of the money ────────────────────────────────────────────────────────────────────


def refused(customer: Customer, **more: Any) -> Any:
    """Ask for more than a cent can pay; return what the 402 says."""
    customer.requests.clear()
    with customer.openai(customer.test) as client, pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="sandbox-large", **more)
    assert raised.value.status_code == 402
    assert len(customer.requests) == 1, "the SDK has tried again"
    error = json.loads(raised.value.response.text, parse_float=Decimal)["error"]
    assert error["code"] == "insufficient_credits"
    return error["metadata"]


def test_the_numbers_of_a_402_are_right(house: House) -> None:
    acme = house.customer()
    hello: Any = [{"role": "user", "content": "Hello"}]
    # Three digits, as in what it is told to ask for: a longer body is bounded by more.
    said = refused(acme, messages=hello, max_tokens=999)
    assert (said["available"], said["currency"], said["limitSource"]) == (CENT, "USD", "balance")
    assert 0 < said["required"] - 999 * DEAR_TOKEN < INPUT_BOUND
    most = said["affordableMaxTokens"]
    # One token more is refused, for want of at most that token's price.
    beyond = refused(acme, messages=hello, max_tokens=most + 1)
    assert 0 < beyond["required"] - CENT <= DEAR_TOKEN
    with acme.openai(acme.test) as client:
        client.chat.completions.create(model="sandbox-large", messages=hello, max_tokens=most)


def test_anthropics_client_is_told_as_much_and_does_not_retry(house: House) -> None:
    acme = house.customer()
    hello: Any = [{"role": "user", "content": "Hello"}]
    with (
        acme.anthropic(acme.test) as client,
        pytest.raises(anthropic.APIStatusError) as raised,
    ):
        client.messages.create(model="sandbox-large", messages=hello, max_tokens=2_000)
    assert raised.value.status_code == 402
    assert len(acme.requests) == 1, "the SDK has tried again"
    metadata = raised.value.response.json()["error"]["metadata"]
    assert exact(metadata["available"]) == CENT
    assert exact(metadata["required"]) > CENT
    assert acme.balance(acme.test) == CENT


def test_a_clamped_request_is_answered_within_the_money(house: House) -> None:
    acme = house.customer()
    long: Any = [{"role": "user", "content": "[[sandbox: tokens=5000]]"}]
    with acme.openai(acme.test) as client:
        answer: Any = client.chat.completions.create(
            model="sandbox-large", messages=long, extra_headers={"x-tollkeeper-clamp": "true"}
        )
    assert answer.choices[0].finish_reason == "length"
    left = acme.balance(acme.test)
    assert left == CENT - exact(answer.cost)
    assert 0 <= left < INPUT_BOUND, "all that the money could pay was written"


# ── d: the client is killed in mid-stream ─────────────────────────────────────────────────────────

KILLED = """
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)
messages = [{"role": "user", "content": sys.argv[3]}]
for _ in client.chat.completions.create(model="up-chat", messages=messages, stream=True):
    print("got one", flush=True)
"""


def kill_in_mid_stream(customer: Customer, **what: Any) -> dict[str, Any]:
    """Kill a client that has read one piece; return the record of its call."""
    script = [sys.executable, "-c", KILLED, customer.house.base_url, customer.live]
    with subprocess.Popen([*script, json.dumps(what)], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"got one\n"
        os.kill(client.pid, signal.SIGKILL)
    record = customer.record()
    assert record["source"] == "partial"
    assert customer.balance() == 1 - record["cost"]
    return record


def test_who_is_killed_pays_what_the_provider_counted(house: House) -> None:
    """The rest comes within the second that is waited for it, with its counts."""
    acme = house.customer()
    record = kill_in_mid_stream(acme, **{"in": 10, "out": 80, "pause": 0.1})
    assert record["cost"] == cost_nanos(10, 80) * NANO


def test_who_is_killed_pays_what_was_produced_until_the_provider_was_stopped(
    house: House,
) -> None:
    """A piece of 10 words every half second, and one second of waiting."""
    acme = house.customer()
    record = kill_in_mid_stream(acme, **{"in": 10, "out": 80, "pause": 0.5})
    assert cost_nanos(0, 10) * NANO < record["cost"] < cost_nanos(60, 60) * NANO


# ── e: the usage list, field by field ─────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def spender(house: House) -> Customer:
    """Two calls to a model, and one to the operator's own API."""
    acme = house.customer()
    with acme.openai(acme.live) as client:
        for written in (5, 6):
            client.chat.completions.create(
                model="up-chat", messages=told(**{"in": 10, "out": written}), max_tokens=50
            )
    charge = {"sku": "generate_sql", "usage": {"request": 1}, "requestId": "own-1"}
    headers = {"authorization": f"Bearer {acme.live}"}
    url = f"{house.base_url}/metering/charges"
    assert httpx.post(url, json=charge, headers=headers, timeout=30).status_code == 200
    return acme


def test_usage_as_json_is_as_the_contract_has_it(spender: Customer) -> None:
    answer = spender.get("/billing/usage?sortOrder=asc")
    found = json.loads(answer.text, parse_float=Decimal)
    assert answer.headers["content-type"] == "application/json"
    assert not re.search(r":-?[\d.]+[eE]", answer.text), "a number in exponent form"
    assert [*found] == ["data", "pagination"]
    assert found["pagination"] == {"limit": 200, "page": 1, "total": 5, "totalPages": 1}
    first, second = found["data"][:2]
    moment = first.pop("timestamp")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", moment)
    details = first.pop("inferenceDetails")
    assert [*details] == [
        *("requestId", "inferenceExecutionTime", "promptTokens", "completionTokens")
    ]
    assert details["requestId"].startswith("req_")
    assert isinstance(details["inferenceExecutionTime"], int)
    assert (details["promptTokens"], details["completionTokens"]) == (10, 5)
    assert first == {
        "sku": "up-chat-llm-input-mtoken",
        "units": Decimal("0.00001"),
        "pricePerUnitUsd": 1,
        "amount": Decimal("-0.00001"),
        "currency": "USD",
        "notes": "API Inference",
    }
    assert second["sku"] == "up-chat-llm-output-mtoken"
    assert (second["units"], second["pricePerUnitUsd"]) == (Decimal("0.000005"), 2)
    assert second["inferenceDetails"] == details, "one call gives rows with one requestId"
    own = found["data"][4]
    assert (own["sku"], own["units"], own["amount"]) == ("generate_sql-request", 1, -CENT)
    assert own["inferenceDetails"] == {
        "requestId": "own-1",
        "inferenceExecutionTime": None,
        "promptTokens": None,
        "completionTokens": None,
    }
    assert -sum(row["amount"] for row in found["data"]) == 1 - spender.balance()


def test_usage_as_csv_says_the_same(spender: Customer) -> None:
    answer = spender.get("/billing/usage?limit=2&page=2", accept="text/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == "attachment; filename=billing_usage.csv"
    said = {
        name: answer.headers[f"x-pagination-{name}"]
        for name in ("limit", "page", "total", "total-pages")
    }
    assert said == {"limit": "2", "page": "2", "total": "5", "total-pages": "3"}
    header, *rows = csv.reader(io.StringIO(answer.text))
    assert header == COLUMNS
    as_json = spender.ask("/billing/usage?limit=2&page=2")["data"]
    assert [_cells(row) for row in as_json] == [
        [Decimal(cell) if re.fullmatch(r"-?\d+(\.\d+)?", cell) else cell for cell in row]
        for row in rows
    ]


def _cells(row: dict[str, Any]) -> list[Any]:
    """Lay a JSON row out as the CSV has it."""
    details = row.pop("inferenceDetails")
    values = [*row.values(), *details.values()]
    return ["" if value is None else value for value in values]


def test_pages_of_usage_in_either_order_are_the_whole(spender: Customer) -> None:
    newest = spender.ask("/billing/usage")["data"]
    oldest = spender.ask("/billing/usage?sortOrder=asc")["data"]
    assert newest == oldest[::-1]
    pages = [spender.ask(f"/billing/usage?limit=2&page={n}")["data"] for n in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert [row for page in pages for row in page] == newest
    assert spender.ask("/billing/usage?currency=USD&startDate=2020-01-01")["data"] == newest
    assert spender.ask("/billing/usage?endDate=2020-01-01")["pagination"]["total"] == 0


def test_usage_asked_for_wrongly_is_told_all_that_is_wrong(house: House, spender: Customer) -> None:
    wrong = "limit=501&page=0&sortOrder=up&currency=EUR&startDate=soon&frob=1"
    answer = spender.get(f"/billing/usage?{wrong}")
    assert answer.status_code == 400
    said = answer.json()
    assert said["details"]["_errors"] == []
    assert {"limit", "page", "sortOrder", "frob"} <= said["details"].keys()
    assert isinstance(said["error"], str)
    for limit in ("0", "-1", "501", "x"):
        assert spender.get(f"/billing/usage?limit={limit}").status_code == 400
    made = house.site.ask("key", "create", "spends only", "--org", spender.org)
    assert spender.get("/billing/usage", made["secret"]).status_code == 401


# ── f: no price, no call ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_without_a_price_is_not_called(house: House, stream: bool) -> None:
    acme = house.customer()
    before = len(house.provider.heard)
    with acme.openai(acme.live) as client, pytest.raises(openai.UnprocessableEntityError) as no:
        client.chat.completions.create(model="up-unpriced", messages=told(), stream=stream)
    assert no.value.code == "model_not_priced"
    assert len(acme.requests) == 1
    assert len(house.provider.heard) == before, "it was sent to the provider"
    assert acme.balance() == 1
    assert acme.ask("/billing/usage-records")["data"] == []


# ── g: the books ──────────────────────────────────────────────────────────────────────────────────

BREAKS = {
    "usage_record": "UPDATE usage_record SET amount = amount {} 1 WHERE seq = 1 AND org_id = %s",
    "entry": "UPDATE entry SET amount = amount {} 1 WHERE seq = 2 AND org_id = %s",
    "wallet": "UPDATE wallet SET posted = posted {0} 1, revenue = revenue {1} 1"
    " WHERE livemode AND org_id = %s",
    "lot": "UPDATE lot SET amount = amount {} 1 WHERE entry_seq = 1 AND org_id = %s",
}


@pytest.mark.parametrize("table", BREAKS)
def test_a_nano_changed_by_hand_is_named(house: House, spender: Customer, table: str) -> None:
    """That they are clean otherwise is asked when all is over."""
    statement = BREAKS[table].replace("%s", f"'{spender.org.removeprefix('org_')}'")
    with house.site.books() as superuser:
        superuser.execute(statement.format("+", "-").encode())
        try:
            found = house.site.run("verify", "--org", spender.org)
        finally:
            superuser.execute(statement.format("-", "+").encode())
    assert found.returncode == 1
    named = [line for line in found.stdout.splitlines() if table.replace("_", " ") in line]
    assert any("should be" in line or "but is" in line for line in named), found.stdout
