"""The toll in front of a Litestar application, over its own ASGI calls and a served Tollkeeper."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar, Request, get
from litestar.response import Response, Stream

from tollkeeper_client import AsyncTollkeeper, InsufficientCredits, Toll, TollMiddleware
from tollkeeper_client.asgi import App, Scope
from tollkeeper_client.errors import error_of
from whole import Customer

COSTS = {
    "/rows": Toll({"request": 1, "row": 1000}, {"sku": "generate_sql"}),
    "/plain": Toll({"request": 1}, {"sku": "generate_sql"}),
    "/missing": Toll({"request": 1}, {"sku": "generate_sql"}),
    "/stream": Toll({"request": 1}, {"sku": "generate_sql"}),
    "/dear": Toll({"row": 1_000_000}, {"sku": "generate_sql"}),
    "/broken": Toll({"request": 1}, {"sku": "generate_sql"}),
    "/unpriced": Toll({"hour": 1}, {"sku": "generate_sql"}),
}
AnyRequest = Request[Any, Any, Any]


@get("/rows")
async def rows(request: AnyRequest) -> list[int]:
    request.scope["tollkeeper.charge"].used({"row": 10}, thread_id="t")  # pyright: ignore[reportGeneralTypeIssues] (a key of ours)
    return [1]


@get("/plain")
async def plain() -> str:
    return "done"


@get("/missing")
async def missing() -> Response[str]:
    return Response("no", status_code=404)


@get("/stream")
async def stream() -> Stream:
    async def parts() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    return Stream(parts())


@get(["/dear", "/unpriced"])
async def unreached() -> None:
    raise AssertionError("work was done without credit")


@get("/free")
async def free() -> str:
    return "free"


def toll(scope: Scope) -> Toll | None:
    return COSTS.get(scope["path"])


def tolled(app: App, client: AsyncTollkeeper) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(cast("Any", TollMiddleware(app, client=client, toll=toll)))
    return httpx.AsyncClient(transport=transport, base_url="http://shop.invalid")


@pytest.fixture
async def shop(operator: AsyncTollkeeper, customer: Customer) -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar([rows, plain, missing, stream, unreached, free], openapi_config=None)
    async with tolled(cast("App", app), operator) as client:
        client.headers["authorization"] = f"Bearer {customer.keys['test INFERENCE']}"
        yield client


async def test_settled_before_the_answer_ends(
    shop: httpx.AsyncClient, admin: AsyncTollkeeper
) -> None:
    for path, left in (("/plain", "9.98"), ("/rows", "9.979"), ("/stream", "9.959")):
        assert (await shop.get(path)).status_code == 200
        balance = await admin.balance()
        assert (balance.posted, balance.held) == (Decimal(left), 0), path
    (record,) = (await admin.list_usage_records(thread_id="t")).data
    assert (record.status, record.cost) == (200, Decimal("0.001"))


async def test_what_failed_is_free(shop: httpx.AsyncClient, admin: AsyncTollkeeper) -> None:
    assert (await shop.get("/missing")).status_code == 404
    assert (await shop.get("/free")).text == "free"
    assert (await admin.balance()).available == 10


async def test_402_before_any_work(shop: httpx.AsyncClient) -> None:
    answer = await shop.get("/dear")
    assert answer.status_code == 402
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-should-retry"] == "false"
    error = error_of(402, answer.content)
    assert isinstance(error, InsufficientCredits)
    assert (error.required, error.available) == (100, 10)


async def test_401_without_a_key(shop: httpx.AsyncClient) -> None:
    wrong = await shop.get("/plain", headers={"authorization": "Bearer tk_test_wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "invalid_api_key")
    del shop.headers["authorization"]
    none = await shop.get("/plain")
    assert (none.status_code, none.json()["code"]) == (401, "invalid_api_key")
    assert none.headers["www-authenticate"] == "Bearer"


async def test_what_is_no_fault_of_the_customer_is_503(shop: httpx.AsyncClient) -> None:
    answer = await shop.get("/unpriced")
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")


async def test_an_application_that_breaks(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, customer: Customer
) -> None:
    async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ZeroDivisionError

    async def costs_more(_scope: Any, _receive: Any, _send: Any) -> None:
        key = customer.keys["test INFERENCE"]
        async with operator.charge(max_amount=99, sku="generate_sql", customer_key=key):
            pass

    headers = {"x-api-key": customer.keys["test INFERENCE"]}
    async with tolled(broken, operator) as client:
        with pytest.raises(ZeroDivisionError):
            await client.get("/broken", headers=headers)
    async with tolled(costs_more, operator) as client:
        assert (await client.get("/broken", headers=headers)).status_code == 402
    assert (await admin.balance()).available == 10


async def test_a_settlement_that_fails_does_not_take_the_answer(
    operator: AsyncTollkeeper, customer: Customer
) -> None:
    async def wrong(scope: Any, _receive: Any, send: Any) -> None:
        scope["tollkeeper.charge"].used({"hour": 1})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    headers = {"x-api-key": customer.keys["test INFERENCE"]}
    async with tolled(wrong, operator) as client:
        assert (await client.get("/plain", headers=headers)).text == "done"


@pytest.mark.parametrize("told", [True, False])
async def test_who_leaves_early_pays_for_what_is_known(
    told: bool, operator: AsyncTollkeeper, admin: AsyncTollkeeper, customer: Customer
) -> None:
    async def breaks_off(scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        if told:
            scope["tollkeeper.charge"].used({"row": 10})
        raise ConnectionResetError

    headers = {"x-api-key": customer.keys["test INFERENCE"]}
    async with tolled(breaks_off, operator) as client:
        with pytest.raises(ConnectionResetError):
            await client.get("/plain", headers=headers)
    balance = await admin.balance()
    assert (balance.posted, balance.held) == (Decimal("9.999") if told else 10, 0)
