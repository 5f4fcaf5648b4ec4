"""What a load balancer and Prometheus ask, and what they are told."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from unittest.mock import patch

import aiohttp
import pytest

from serving import served
from tollkeeper.app import open_app
from tollkeeper.base.settings import Secret, Server, Settings
from tollkeeper.db import Connection
from whole import Whole, whole_served


@pytest.fixture
async def whole(database_url: str) -> AsyncIterator[Whole]:
    async with whole_served(database_url) as served:
        yield served


async def test_a_process_at_work_is_alive_and_ready(whole: Whole) -> None:
    alive = await whole.ask("GET", "//healthz")
    assert (alive.status, alive.json) == (200, {"status": "ok"})
    ready = await whole.ask("GET", "//readyz")
    checks = {"database": "ok", "prices": "ok", "jobs": "ok"}
    assert (ready.status, ready.json) == (200, {"status": "ok", "checks": checks})
    assert ready.headers["x-request-id"].startswith("req_")


async def test_it_is_ready_while_a_newer_version_takes_over(
    whole: Whole, owner: Connection
) -> None:
    """The database is migrated first, then one process after another is restarted."""
    await owner.execute("INSERT INTO schema_migration VALUES ('9999_next_version.sql', 'x')")
    ready = await whole.ask("GET", "//readyz")
    assert (ready.status, ready.json["checks"]["database"]) == (200, "ok")


async def test_it_is_not_ready_for_a_database_that_is_older(
    whole: Whole, owner: Connection
) -> None:
    newest = "(SELECT max(name) FROM schema_migration)"
    await owner.execute(f"DELETE FROM schema_migration WHERE name = {newest}".encode())
    ready = await whole.ask("GET", "//readyz")
    assert (ready.status, ready.json["status"]) == (503, "unavailable")
    assert ready.json["checks"]["database"] == "1 migrations are pending"
    assert (await whole.ask("GET", "//healthz")).status == 200


async def test_it_is_not_ready_without_a_database_and_does_not_say_where_that_is(
    whole: Whole, owner: Connection
) -> None:
    await owner.execute("REVOKE SELECT ON schema_migration FROM tollkeeper_app")
    ready = await whole.ask("GET", "//readyz")
    assert ready.status == 503
    assert ready.json["checks"]["database"] == "failed; the log says why"


async def test_it_is_not_ready_without_prices(database_url: str) -> None:
    async with (
        open_app(Settings(), database_url) as app,
        served(app.asgi) as base,
        aiohttp.ClientSession() as session,
        session.get(f"{base.removesuffix('/api/v1')}/readyz") as answer,
    ):
        assert answer.status == 503
        assert (await answer.json())["checks"]["prices"] == "no prices are published"


async def test_it_is_not_ready_when_a_job_has_not_succeeded_for_long(whole: Whole) -> None:
    with patch.object(whole.app.jobs, "late", lambda: ["expire_holds"]):
        ready = await whole.ask("GET", "//readyz")
    assert ready.status == 503
    assert ready.json["checks"]["jobs"] == "have not succeeded for long: expire_holds"


async def test_requests_are_counted_by_route_and_status(whole: Whole) -> None:
    customer = await whole.customer()
    key = customer.keys["test INFERENCE"]
    body = {"model": "sandbox-small", "messages": [{"role": "user", "content": "Hi"}]}
    await whole.ask("POST", "/chat/completions", key, body)
    await whole.ask("POST", "/chat/completions", "tk_test_wrong", body)
    await whole.ask("GET", "/api-keys", customer.keys["live ADMIN"])
    await whole.ask("GET", "/api-keys/key_0", customer.keys["live ADMIN"])
    await whole.ask("GET", "/nowhere/else")
    text = (await whole.ask("GET", "//metrics")).text
    counted = dict(re.findall(r"^tollkeeper_http_requests_total\{(.*)\} (.*)$", text, re.MULTILINE))
    assert counted['method="POST",route="/api/v1/chat/completions",status="200"'] == "1.0"
    assert counted['method="POST",route="/api/v1/chat/completions",status="401"'] == "1.0"
    assert counted['method="GET",route="/api/v1/api-keys",status="200"'] == "1.0"
    assert 'method="GET",route="(none)",status="404"' in counted
    # Ids are not routes: else every customer would have a series of its own.
    assert not any("key_0" in labels or "nowhere" in labels for labels in counted)
    assert str(customer.org_id) not in text
    assert 'tollkeeper_gateway_calls_total{dialect="chat",outcome="answered"} 1.0' in text


async def test_metrics_are_for_this_machine(whole: Whole) -> None:
    assert (await whole.ask("GET", "//metrics")).status == 200
    for name in ("x_forwarded_for", "forwarded", "x_real_ip"):
        refused = await whole.ask("GET", "//metrics", **{name: "198.51.100.7"})
        assert (refused.status, refused.json["code"]) == (403, "forbidden")


async def test_metrics_are_for_who_has_the_token(database_url: str) -> None:
    settings = Settings(server=Server(metrics_token=Secret("let-me-see")))
    async with whole_served(database_url, settings) as whole:
        assert (await whole.ask("GET", "//metrics")).status == 403
        assert (await whole.ask("GET", "//metrics", "let-me-sea")).status == 403
        far = await whole.ask("GET", "//metrics", "let-me-see", x_forwarded_for="198.51.100.7")
        assert far.status == 200
        assert far.headers["content-type"].startswith("text/plain")
