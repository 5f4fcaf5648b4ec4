"""`tollkeeper up`: from nothing to a paid call, again, after a crash, and to the end."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from decimal import Decimal
from typing import Any

import httpx
from openai import OpenAI

from running import Site

HELLO: Any = [{"role": "user", "content": "Hello"}]


def client_of(shown: dict[str, str]) -> OpenAI:
    return OpenAI(base_url=shown["baseUrl"], api_key=shown["inferenceKey"], max_retries=0)


def balance(shown: dict[str, str]) -> Decimal:
    answer = httpx.get(
        f"{shown['baseUrl']}/billing/balance",
        headers={"authorization": f"Bearer {shown['adminKey']}"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    return Decimal(str(json.loads(answer.text, parse_float=Decimal)["available"]))


_ADDRESSES = {"baseUrl": "", "console": "", "operatorConsole": "", "sandboxBank": ""}


def test_from_nothing_to_a_paid_call(place: Site) -> None:
    process, shown = place.up()
    assert set(shown) == {
        "baseUrl",
        "console",
        "operatorConsole",
        "organizationId",
        "projectId",
        "inferenceKey",
        "adminKey",
        "operatorKey",
        "sandboxBank",
    }
    assert "Payments" in httpx.get(shown["sandboxBank"], timeout=30).text
    assert "You are the first" in httpx.get(shown["operatorConsole"], timeout=30).text
    before = balance(shown)
    with client_of(shown) as client:
        answer: Any = client.chat.completions.create(model="sandbox-small", messages=HELLO)
        cost = Decimal(str(answer.cost))
        assert cost > 0
        assert Decimal(str(answer.usage.cost)) == cost
        assert balance(shown) == before - cost
        *_, last = client.chat.completions.create(
            model="sandbox-small",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
        )
        assert Decimal(str(last.usage.cost)) == cost  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue] (an extra of ours)
        assert balance(shown) == before - 2 * cost
    assert process.stop() == 0
    assert "Stopped" in process.said


def test_the_second_start_has_the_same_keys_and_the_same_balance(place: Site) -> None:
    first, shown = place.up()
    with client_of(shown) as client:
        client.chat.completions.create(model="sandbox-small", messages=HELLO)
    left = balance(shown)
    first.kill()
    second, again = place.up()
    assert {**again, **_ADDRESSES} == {**shown, **_ADDRESSES}
    assert balance(again) == left
    keys = place.data_dir / "first-keys.json"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert second.stop() == 0
    assert place.run("verify").returncode == 0


def test_a_start_that_is_cut_off_is_finished_by_the_next(place: Site) -> None:
    for seconds in (0.5, 1.0, 1.7, 2.5, 3.5):
        process = place.start("up", "--json", "--port", "0")
        time.sleep(seconds)
        process.kill()
    process, shown = place.up()
    with client_of(shown) as client:
        client.chat.completions.create(model="sandbox-small", messages=HELLO)
    assert len(place.ask("org", "list")) == 1
    assert [key["name"] for key in place.ask("key", "list")] == ["First key", "First ADMIN key"]
    assert process.stop() == 0


def test_what_stands_in_its_way_is_said_plainly(place: Site, reachable_dir: Any) -> None:
    process, shown = place.up()
    port = shown["baseUrl"].split(":")[2].split("/")[0]
    again = place.run("up", "--port", "0")
    assert again.returncode == 4
    assert f"already runs on {place.data_dir}: http://127.0.0.1:{port} (process" in again.stderr
    elsewhere = place.run("up", "--port", port, "--data-dir", str(reachable_dir / "other"))
    assert elsewhere.returncode == 4
    assert f"Port {port} of 127.0.0.1 is in use" in elsewhere.stderr
    assert not (reachable_dir / "other" / "pgdata").exists()
    assert process.stop() == 0


def test_a_call_in_flight_when_it_is_told_to_stop_is_answered_and_charged(place: Site) -> None:
    process, shown = place.up()
    before = balance(shown)
    slow: Any = [{"role": "user", "content": "[[sandbox: tokens=40, delay=0.05]]"}]
    seen: list[Any] = []
    began = threading.Event()

    def call() -> None:
        with client_of(shown) as client:
            stream = client.chat.completions.create(
                model="sandbox-small",
                messages=slow,
                stream=True,
                stream_options={"include_usage": True},
            )
            for chunk in stream:
                seen.append(chunk)
                began.set()

    caller = threading.Thread(target=call)
    caller.start()
    assert began.wait(30)
    os.kill(process.pid, signal.SIGTERM)
    caller.join(30)
    assert process.wait() == 0
    cost = Decimal(str(seen[-1].usage.cost))
    assert cost > 0
    second, again = place.up()
    assert balance(again) == before - cost
    assert second.stop() == 0


def test_what_it_prints_works_when_it_is_pasted(place: Site) -> None:
    process = place.start("up", "--port", "0")
    text = process.first_line()
    while "Ctrl-C" not in text:
        text += process.first_line()
    (curl,) = [line for line in text.splitlines() if line.startswith("curl ")]
    done = subprocess.run(["/bin/sh", "-c", f"{curl} -s"], capture_output=True, check=True)
    assert json.loads(done.stdout)["cost"] > 0
    start, end = text.index("from openai"), text.index("What is left")
    snippet = text[start:end]
    assert len(snippet.strip().splitlines()) == 5
    run = subprocess.run(
        [sys.executable, "-c", snippet], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip().endswith("- it cost 0.000009900 USD")
    assert process.stop() == 0


def test_a_provider_brings_live_keys_and_keeps_the_others(place: Site) -> None:
    first, shown = place.up()
    assert first.stop() == 0
    place.settings["PROVIDERS__MINE__KIND"] = "openai"
    place.settings["PROVIDERS__MINE__BASE_URL"] = "http://127.0.0.1:9/v1"
    second, again = place.up()
    assert {name: again[name] for name in shown if name.endswith("Key")} == {
        name: shown[name] for name in shown if name.endswith("Key")
    }
    assert again["liveInferenceKey"].startswith("tk_live_")
    headers = {"authorization": f"Bearer {again['liveAdminKey']}"}
    answer = httpx.get(f"{again['baseUrl']}/billing/balance", headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["available"]) == (200, 0)
    assert second.stop() == 0
    third, last = place.up()
    assert last["liveInferenceKey"] == again["liveInferenceKey"]
    assert third.stop() == 0


def test_a_hangup_that_is_ignored_does_not_stop_it(place: Site) -> None:
    """As under nohup, when the terminal closes."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process, shown = place.up()
    finally:
        signal.signal(signal.SIGHUP, before)
    os.kill(process.pid, signal.SIGHUP)
    with client_of(shown) as client:
        client.chat.completions.create(model="sandbox-small", messages=HELLO)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait() == 0
