"""Several workers: one book, one set of keys, one set of counts; replaced when they die."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from typing import Any

import httpx
import psutil
import pytest

from running import Process, Site
from walking import PATIENCE

BODY = {"model": "sandbox-small", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def server(place: Site) -> Iterator[tuple[Process, dict[str, str]]]:
    place.settings["SERVER__WORKERS"] = "2"
    process, shown = place.up()
    yield process, shown
    assert process.stop() == 0, process.said


def call(shown: dict[str, str], key: str) -> httpx.Response:
    """Each on a connection of its own, so that either worker may get it."""
    headers = {"authorization": f"Bearer {key}"}
    url = f"{shown['baseUrl']}/chat/completions"
    return httpx.post(url, json=BODY, headers=headers, timeout=PATIENCE)


def calls(pool: ThreadPoolExecutor, count: int, shown: dict[str, str], key: str) -> list[Any]:
    return [future.result() for future in [pool.submit(call, shown, key) for _ in range(count)]]


def workers_of(process: Process) -> list[int]:
    found: list[int] = []
    for child in process.children():
        with suppress(psutil.NoSuchProcess):  # a dead one that nobody has looked after yet
            if "tollkeeper.cli.serving" in child.cmdline():
                found.append(child.pid)
    return found


def balance(shown: dict[str, str]) -> Decimal:
    headers = {"authorization": f"Bearer {shown['adminKey']}"}
    answer = httpx.get(f"{shown['baseUrl']}/billing/balance", headers=headers, timeout=PATIENCE)
    return Decimal(str(json.loads(answer.text, parse_float=Decimal)["available"]))


def test_calls_through_both_are_in_one_book(server: tuple[Process, dict[str, str]]) -> None:
    process, shown = server
    assert len(workers_of(process)) == 2
    before = balance(shown)
    with ThreadPoolExecutor(10) as pool:
        answers = calls(pool, 60, shown, shown["inferenceKey"])
    costs = [json.loads(answer.text, parse_float=Decimal)["cost"] for answer in answers]
    assert balance(shown) == before - sum(costs)
    root = shown["baseUrl"].removesuffix("/api/v1")
    counted = [
        line
        for line in httpx.get(f"{root}/metrics", timeout=30).text.splitlines()
        if line.startswith("tollkeeper_http_requests_total") and "chat/completions" in line
    ]
    assert [float(line.split()[-1]) for line in counted] == [60]


def test_a_killed_worker_is_replaced_and_nothing_is_lost(
    server: tuple[Process, dict[str, str]],
) -> None:
    process, shown = server
    before = balance(shown)
    victim, other = workers_of(process)
    os.kill(victim, signal.SIGKILL)
    paid = Decimal(0)
    until = time.monotonic() + 30
    while len(alive := workers_of(process)) < 2 or victim in alive:
        assert time.monotonic() < until
        answer = call(shown, shown["inferenceKey"])
        assert answer.status_code == 200
        paid += json.loads(answer.text, parse_float=Decimal)["cost"]
    assert other in alive
    assert balance(shown) == before - paid


def test_a_revoked_key_is_refused_by_both_within_a_second(
    server: tuple[Process, dict[str, str]],
) -> None:
    _, shown = server
    admin = {"authorization": f"Bearer {shown['adminKey']}"}
    new = {"name": "short-lived", "projectId": shown["projectId"]}
    made = httpx.post(f"{shown['baseUrl']}/api-keys", json=new, headers=admin, timeout=30).json()
    with ThreadPoolExecutor(8) as pool:
        warm = calls(pool, 40, shown, made["secret"])
        assert {answer.status_code for answer in warm} == {200}
        gone = httpx.delete(f"{shown['baseUrl']}/api-keys/{made['id']}", headers=admin, timeout=30)
        assert gone.status_code < 300
        time.sleep(1.0)
        late = calls(pool, 40, shown, made["secret"])
    assert {answer.status_code for answer in late} == {401}
