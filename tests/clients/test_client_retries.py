"""When the Python client tries again, with what, and what it makes of answers."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from generate import CATALOGUE, ROW, SOURCES, target_of, written

from tollkeeper_client import (
    AsyncTollkeeper,
    ConnectionFailed,
    TollkeeperError,
    Unavailable,
    calling_async,
    errors,
    trying,
    wire,
)

QUOTE = {"credit": 1, "fee": 0, "tax": 0.000000001, "total": 1, "currency": "USD", "new": [1]}


class Line(httpx.AsyncBaseTransport):
    """Answers each try with the next of its answers; an exception is raised."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.seen: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def failing(status: int, **headers: str) -> httpx.Response:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=said, json={"code": "x", "detail": "y"})


def good() -> httpx.Response:
    return httpx.Response(200, json=QUOTE)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []

    async def note(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(calling_async, "pause_async", note)
    return made


def client(line: Line) -> AsyncTollkeeper:
    return AsyncTollkeeper("tk_test_x", "http://toll.invalid/api/v1/", transport=line)


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        failing(429),
        failing(500),
        failing(503, x_should_retry="true"),
        failing(409, x_should_retry="true"),
    ],
)
async def test_tried_again_with_the_same_key(
    fault: httpx.Response | Exception, pauses: list[float]
) -> None:
    line = Line(fault, fault, good())
    quote = await client(line).quote(Decimal("1.10"))
    assert quote.tax == Decimal("0.000000001")
    assert len({request.headers["idempotency-key"] for request in line.seen}) == 1
    assert {request.content for request in line.seen} == {b'{"amount":1.10}'}
    assert str(line.seen[0].url) == "http://toll.invalid/api/v1/billing/quotes"
    first, second = pauses
    assert 0.125 <= first <= 0.25 <= second <= 0.5


async def test_each_call_has_a_key_of_its_own(pauses: list[float]) -> None:
    line = Line(good(), good())
    toll = client(line)
    await toll.quote(1)
    await toll.quote(1)
    assert len({request.headers["idempotency-key"] for request in line.seen}) == 2
    assert pauses == []


@pytest.mark.parametrize(
    "answer",
    [failing(402, x_should_retry="false"), failing(503, x_should_retry="false"), failing(422)],
)
async def test_not_tried_again(answer: httpx.Response, pauses: list[float]) -> None:
    line = Line(answer)
    with pytest.raises(TollkeeperError) as caught:
        await client(line).quote(1)
    assert (caught.value.status, len(line.seen), pauses) == (answer.status_code, 1, [])


async def test_it_gives_up(pauses: list[float]) -> None:
    line = Line(*[httpx.ConnectError("refused")] * 4)
    with pytest.raises(ConnectionFailed, match="refused"):
        await client(line).balance()
    assert "idempotency-key" not in line.seen[0].headers
    with pytest.raises(Unavailable):
        await client(Line(*[httpx.Response(502, text="<html>") for _ in range(4)])).balance()
    assert len(pauses) == 6


def test_the_server_says_how_long_to_wait() -> None:
    assert trying.pause_before(0, failing(429, retry_after="7")) == 7
    assert trying.pause_before(0, failing(429, retry_after="86400")) == 60
    assert trying.pause_before(30, failing(429)) <= 8


def test_every_error_named_here_is_one_of_the_servers() -> None:
    known = {code for _, code, _ in ROW.findall(CATALOGUE.read_text("utf-8"))}
    assert {code for kind in errors.kinds() for code in kind.codes} - known == set()


@pytest.mark.parametrize(("status", "code", "_meaning"), ROW.findall(CATALOGUE.read_text("utf-8")))
def test_every_error_of_the_catalogue_has_a_class_here(
    status: str, code: str, _meaning: str
) -> None:
    """Its own, or until `generate.py` is run again that of its status."""
    made = errors.error_of(int(status), json.dumps({"code": code}).encode())
    assert isinstance(made, errors.kind_of_status(int(status)))
    assert (made.code, made.status, made.status_code) == (code, int(status), int(status))


def test_money_is_never_a_float() -> None:
    assert wire.write_json({"a": Decimal("1E-9"), "b": None, "c": [1, "x"]}) == (
        '{"a":0.000000001,"c":[1,"x"]}'
    )
    with pytest.raises(ValueError, match="NaN"):
        wire.write_json(Decimal("NaN"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_the_two_clients_are_one_source(source: Path) -> None:
    assert target_of(source).read_text("utf-8") == written(source)


async def test_an_answer_of_somebody_else() -> None:
    for text in ("<html>", "[]", '{"credit": "much"}'):
        with pytest.raises(TollkeeperError, match="unreadable_answer"):
            await client(Line(httpx.Response(200, text=text))).quote(1)


async def test_an_id_leads_nowhere_else() -> None:
    line = Line(failing(404), failing(404))
    for name in ("../balance", "a?b#c"):
        with pytest.raises(TollkeeperError):
            await client(line).get_purchase(name)
    assert [request.url.raw_path for request in line.seen] == [
        b"/api/v1/billing/purchases/..%2Fbalance",
        b"/api/v1/billing/purchases/a%3Fb%23c",
    ]
    for name in ("", ".", ".."):
        with pytest.raises(ValueError, match="no id"):
            await client(line).get_purchase(name)
