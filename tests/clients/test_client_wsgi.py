"""The toll in front of WSGI applications: when an answer ends, and what is charged by then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tollkeeper_client import InsufficientCredits, Toll, Tollkeeper, TollWsgiMiddleware
from whole import Customer, Whole

Start = Callable[..., Any]


class Called:
    """One request, as a WSGI server makes it."""

    def __init__(self, app: Any, key: str) -> None:
        self.status = ""
        self.parts = iter(app({"HTTP_AUTHORIZATION": f"Bearer {key}"}, self.start))

    def start(self, status: str, _headers: list[tuple[str, str]]) -> None:
        self.status = status


def toll(_environ: Any) -> Toll:
    return Toll({"request": 1}, {"sku": "generate_sql"})


@pytest.fixture
def client(whole: Whole) -> Iterator[Tollkeeper]:
    with Tollkeeper(whole.operator_key, whole.url) as made:
        yield made


class Purse:
    def __init__(self, whole: Whole, customer: Customer) -> None:
        self.url = whole.url
        self.key = customer.keys["test INFERENCE"]
        self.admin_key = customer.keys["test ADMIN"]

    def left(self) -> tuple[Decimal, Decimal]:
        with Tollkeeper(self.admin_key, self.url) as toll:
            balance = toll.balance()
            return balance.posted, balance.held


@pytest.fixture
def purse(whole: Whole, customer: Customer) -> Purse:
    return Purse(whole, customer)


def sized(_environ: Any, start: Start) -> Iterable[bytes]:
    start("200 OK", [("Content-Length", "2")])
    return [b"a", b"b"]


def streamed(_environ: Any, start: Start) -> Iterable[bytes]:
    start("200 OK", [])
    yield b"a"
    yield b"b"


async def test_a_sized_answer_is_settled_before_its_last_part(
    client: Tollkeeper, purse: Purse
) -> None:
    def ask() -> None:
        called = Called(TollWsgiMiddleware(sized, client=client, toll=toll), purse.key)
        assert next(called.parts) == b"a"
        assert purse.left() == (10, Decimal("0.02"))
        assert next(called.parts) == b"b"
        assert purse.left() == (Decimal("9.98"), 0)

    await asyncio.to_thread(ask)


async def test_a_stream_does_not_wait(client: Tollkeeper, purse: Purse) -> None:
    def ask() -> None:
        called = Called(TollWsgiMiddleware(streamed, client=client, toll=toll), purse.key)
        assert [next(called.parts), next(called.parts)] == [b"a", b"b"]
        assert purse.left() == (10, Decimal("0.02"))
        assert list(called.parts) == []
        assert purse.left() == (Decimal("9.98"), 0)

    await asyncio.to_thread(ask)


@pytest.mark.parametrize("told", [True, False])
async def test_who_leaves_early_pays_for_what_is_known(
    told: bool, client: Tollkeeper, purse: Purse
) -> None:
    closed: list[bool] = []

    def left(environ: Any, start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        if told:
            environ["tollkeeper.charge"].used({"row": 10})
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    def ask() -> None:
        called = Called(TollWsgiMiddleware(left, client=client, toll=toll), purse.key)
        next(called.parts)
        called.parts.close()  # pyright: ignore[reportAttributeAccessIssue] (it is a generator)
        assert purse.left() == (Decimal("9.999") if told else 10, 0)

    await asyncio.to_thread(ask)
    assert closed == [True]


async def test_an_application_that_needs_more(client: Tollkeeper, purse: Purse) -> None:
    def costs_more(_environ: Any, _start: Start) -> Iterable[bytes]:
        with client.charge(max_amount=99, sku="generate_sql", customer_key=purse.key):
            return []

    def breaks(_environ: Any, start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        raise InsufficientCredits(402, {})

    def ask() -> None:
        called = Called(TollWsgiMiddleware(costs_more, client=client, toll=toll), purse.key)
        assert b"insufficient_credits" in b"".join(called.parts)
        assert called.status == "402 Payment Required"
        broken = Called(TollWsgiMiddleware(breaks, client=client, toll=toll), purse.key)
        with pytest.raises(InsufficientCredits):
            list(broken.parts)
        assert purse.left() == (10, 0)

    await asyncio.to_thread(ask)
