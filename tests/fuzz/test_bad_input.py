"""What no client should send, to every endpoint that writes: refused clearly, and nothing done."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec
import pytest
from bad_bodies import (
    BAD_OBJECT,
    NO_JSON,
    NO_OBJECT,
    STRANGE,
    STRANGE_TEXTS,
    WRONG_VALUES,
)
from good_bodies import GOOD, leaves, with_name, with_value
from psycopg import sql

from running import Site, site

# Written now and then by work that no request causes.
BACKGROUND = (
    *("idempotency", "inbox_cursor", "usage_sum", "usage_line_sum", "usage_summed"),
    *("usage_rollup", "usage_stray", "usage_unpriced"),
    *("balance_told", "notice"),
)
LIMIT = 4 * 2**20
JSON = "application/json"
WRITES = ("post", "put", "patch")
# They answer in their providers' shapes, and pass on what they do not know.
GATEWAY = (
    *("/chat/completions", "/responses", "/embeddings", "/messages", "/v1/messages"),
    *("/images/generations", "/audio/speech", "/audio/transcriptions"),
)
# A form, which is none of these.
FORMS = ("/audio/transcriptions",)
EVENTS = "/metering/events"
# Nothing that takes so long is refused while its client still waits.
LONGEST_SECONDS = 10


def encode(body: Any) -> bytes:
    """As JSON, in ASCII: with escapes for what no UTF-8 can hold."""
    return json.dumps(body).encode()


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass(frozen=True)
class Endpoint:
    method: str
    path: str
    operator: bool
    fields: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


class Victim:
    """A server that is sent bad things, and what it knows of itself."""

    def __init__(self, here: Site, shown: dict[str, str]) -> None:
        self.site, self.shown = here, shown
        self.base = shown["baseUrl"]
        self.session: aiohttp.ClientSession
        self._ids = {
            "organization_id": shown["organizationId"],
            "project_id": shown["projectId"],
            "id": f"hold_{uuid4().hex}{uuid4().hex}",
        }

    def key(self, endpoint: Endpoint) -> str:
        return self.shown["operatorKey" if endpoint.operator else "adminKey"]

    async def send(
        self,
        endpoint: Endpoint,
        body: bytes | AsyncIterator[bytes],
        content_type: str | None = JSON,
        **headers: str,
    ) -> Reply:
        said = {"authorization": f"Bearer {self.key(endpoint)}", **headers}
        if content_type is not None:
            said["content-type"] = content_type
        # From memory in pieces: all at once, aiohttp complains of large ones.
        content = io.BytesIO(body) if isinstance(body, bytes) else body
        path = endpoint.path
        for name in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
            path = path.replace(f"{{{name}}}", self._ids.get(name, f"key_{uuid4().hex}"))
        began = time.monotonic()
        async with self.session.request(
            endpoint.method, self.base + path, data=content, headers=said
        ) as answer:
            content = await answer.read()
            took = time.monotonic() - began
            lower = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, lower, content, took)

    async def enrich(self) -> None:
        """Make up for what others spent: without credit, nothing of a call is looked at."""
        path = "/operator/organizations/{organization_id}/grants"
        grants = Endpoint("post", path, operator=True, fields={})
        granted = await self.send(
            grants, encode({"amount": 1_000_000, "livemode": False, "reason": "why"})
        )
        assert granted.status == 201, granted.body

    async def endpoints(self) -> list[Endpoint]:
        async with self.session.get(f"{self.base}/openapi.json") as answer:
            document = await answer.json()
        found: list[Endpoint] = []
        for path, entry in document["paths"].items():
            for method in WRITES:
                operation = entry.get(method)
                short = path.removeprefix("/api/v1")
                # What processors send is refused for its signature before anything is read.
                if short.startswith("/processors/"):
                    continue
                if operation and ("requestBody" in operation or short in GATEWAY):
                    operator = any("operatorKey" in ways for ways in operation["security"])
                    found.append(Endpoint(method, short, operator, _fields(document, operation)))
        assert len(found) > 25
        return found

    def rows(self) -> dict[str, int]:
        """How many rows each table has; idempotency keys and background work are no outcome."""
        with self.site.books() as connection:
            names = [
                row[0]
                for row in connection.execute(
                    "SELECT table_name FROM information_schema.tables"
                    " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
                )
                if row[0] not in BACKGROUND and not row[0].startswith("procrastinate")
            ]
            counted: dict[str, int] = {}
            for name in names:
                count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
                (counted[name],) = connection.execute(count).fetchone() or (0,)
            return counted

    def posted(self) -> list[tuple[int, int]]:
        with self.site.books() as connection:
            return connection.execute("SELECT posted, held FROM wallet ORDER BY 1, 2").fetchall()


def _fields(document: Any, operation: Any) -> dict[str, Any]:
    """The names and types of a body's fields."""
    content = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema", {})
    schema = content.get("items", content)
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema.get("properties", {})


@pytest.fixture(scope="module")
def started(run_directory: Path) -> Iterator[Victim]:
    directory = run_directory / f"bad-{uuid4().hex[:8]}"
    directory.mkdir(mode=0o711)
    settings = {"SERVER__MAX_BODY_BYTES": LIMIT, "LOG__FORMAT": "json"}
    with site(directory, **settings) as here:
        serving, shown = here.up()
        yield Victim(here, shown)
        assert serving.stop() == 0
        assert "unexpected_error" not in serving.said, serving.said
        assert "Traceback" not in serving.said
        assert here.run("verify").returncode == 0


@pytest.fixture
async def victim(started: Victim) -> AsyncIterator[Victim]:
    """The test must leave every row and every balance as they were."""
    rows, posted = started.rows(), started.posted()
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as started.session:
        yield started
    assert started.rows() == rows
    assert started.posted() == posted


@pytest.fixture
async def careless(started: Victim) -> AsyncIterator[Victim]:
    """What is sent may be taken; that the books are right all the same is asked at the end."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as started.session:
        await started.enrich()
        yield started


def check_shape(endpoint: Endpoint, reply: Reply, *, named: str = "") -> list[str]:
    """Say what is wrong with an error; `named` is the field it must name."""
    wrong = _faults_of_shape(endpoint, reply)
    if reply.seconds > LONGEST_SECONDS:
        wrong.append(f"took {reply.seconds:.1f} s")
    if "x-request-id" not in reply.headers:
        wrong.append("has no x-request-id")
    if len(reply.body) > 50_000:
        wrong.append(f"answers with {len(reply.body)} bytes")
    if named and named not in reply.body.decode():
        wrong.append(f"does not name {named}")
    return [f"{said}: {reply.body[:300]!r}" for said in wrong]


def _faults_of_shape(endpoint: Endpoint, reply: Reply) -> list[str]:
    if endpoint.path in GATEWAY:
        error = reply.json.get("error", {})
        anthropic = endpoint.path.endswith("/messages")
        as_should = reply.json.get("type") == "error" if anthropic else "code" in error
        fine = as_should and error["message"] and error["type"]
        return [] if fine else ["is not in its provider's shape"]
    if reply.headers.get("content-type") != "application/problem+json":
        return [f"is {reply.headers.get('content-type')}"]
    lacking = {"type", "title", "status", "detail", "code", "error"} - reply.json.keys()
    if lacking or reply.json["status"] != reply.status:
        return [f"lacks {lacking}, or says another status in its body"]
    return []


async def test_bodies_that_are_no_json(victim: Victim) -> None:
    wrong: list[str] = []
    for endpoint in await victim.endpoints():
        for name, body in {**NO_JSON, **NO_OBJECT}.items():
            reply = await victim.send(endpoint, body)
            place = f"{endpoint}, {name}"
            allowed = {415} if endpoint.path in FORMS else {400}
            # Events that are wrong are rejected one by one, in a list of not too many.
            if endpoint.path == EVENTS and name == "list of nulls":
                assert (reply.status, reply.json["rejected"]) == (200, 2), place
                continue
            if reply.status not in allowed:
                wrong.append(f"{place}: {reply.status} {reply.body[:200]!r}")
            else:
                wrong += [f"{place} {said}" for said in check_shape(endpoint, reply)]
    assert wrong == []


async def test_objects_that_are_no_request(victim: Victim) -> None:
    wrong: list[str] = []
    for endpoint in await victim.endpoints():
        if endpoint.path in FORMS or endpoint.path == EVENTS:
            continue
        for name, body in BAD_OBJECT.items():
            reply = await victim.send(endpoint, body)
            if reply.status != 400:
                wrong.append(f"{endpoint}, {name}: {reply.status} {reply.body[:200]!r}")
            else:
                wrong += [f"{endpoint}, {name} {s}" for s in check_shape(endpoint, reply)]
    assert wrong == []


async def test_fields_of_a_wrong_type_are_named(victim: Victim) -> None:
    """Each field of each body, with each value it cannot have, and nothing else beside it.

    So the request is refused, at the latest for what it lacks. Only values that the field takes
    may go unnamed.
    """
    wrong: list[str] = []
    for endpoint in await victim.endpoints():
        # An optional field alone is a whole request to change something.
        if endpoint.path in (*GATEWAY, EVENTS) or endpoint.method == "patch":
            continue
        for field in endpoint.fields:
            for name, value in WRONG_VALUES.items():
                body = b'{"%s": %s, "frobnicate": 1}' % (field.encode(), value)
                reply = await victim.send(endpoint, body)
                place = f"{endpoint}, {field}: {name}"
                if reply.status != 400:
                    wrong.append(f"{place}: {reply.status} {reply.body[:200]!r}")
                    continue
                # Half a character is no JSON: its place is a byte, not a field.
                named = "" if _may_be(endpoint.fields[field], value) else field
                named = "byte" if name == "lone surrogate" else named
                wrong += [f"{place} {s}" for s in check_shape(endpoint, reply, named=named)]
    assert wrong == []


def _may_be(schema: dict[str, Any], value: bytes) -> bool:
    """Guess whether a field of this schema may have this value; if in doubt, yes."""
    kinds = {"[": "array", "{": "object", "n": "null", "t": "boolean", '"': "string"}
    kind = kinds.get(value[:1].decode(), "number")
    either = schema.get("anyOf", [schema])
    types: set[str] = {one.get("type", kind) for one in either}
    return (
        kind in types or "$ref" in json.dumps(schema) or ("integer" in types and kind == "number")
    )


@pytest.mark.parametrize("name", GOOD)
async def test_a_value_that_is_strange_in_a_request_that_is_good(
    careless: Victim, name: str
) -> None:
    """Each value and each name in turn: taken, or refused in the right shape, never a fault."""
    method, path = name.split()
    found = {str(endpoint): endpoint for endpoint in await careless.endpoints()}
    endpoint = found[f"{method.upper()} {path}"]
    good = GOOD[name]
    first = await careless.send(endpoint, encode(with_value(good, next(leaves(good)), "x")))
    assert first.status < 500
    assert first.status != 402, first.body
    wrong: list[str] = []
    for place in leaves(good):
        bodies = {str(v)[:20]: with_value(good, place, v) for v in STRANGE}
        if isinstance(place[-1], str):
            bodies |= {f"named {t[:20]!r}": with_name(good, place, t) for t in STRANGE_TEXTS}
        for what, body in bodies.items():
            reply = await careless.send(endpoint, encode(body))
            said = f"{name} {place} {what}"
            if reply.status >= 500 or reply.seconds > LONGEST_SECONDS:
                wrong.append(f"{said}: {reply.status} {reply.seconds:.1f} s {reply.body[:200]!r}")
            elif reply.status >= 400:
                wrong += [f"{said} {fault}" for fault in check_shape(endpoint, reply)]
    assert wrong == []


async def test_two_members_of_one_name_are_the_last_one(victim: Victim) -> None:
    """Never one for the check and the other for the deed."""
    estimate = Endpoint("post", "/metering/estimate", operator=False, fields={})
    body = b'{"provider": "sandbox", "model": "sandbox-small", %s}'
    twice = await victim.send(estimate, body % b'"usage": {"input": 1}, "usage": {"input": 7}')
    once = await victim.send(estimate, body % b'"usage": {"input": 7}')
    assert (twice.status, twice.json) == (200, once.json)


@pytest.mark.parametrize("told", [True, False])
async def test_bodies_over_the_limit(victim: Victim, told: bool) -> None:
    """With a Content-Length that says so, and without, when it must be noticed on the way."""
    wrong: list[str] = []
    for endpoint in await victim.endpoints():
        # So little over it that the last piece is the one too much, or by far.
        over = 100 if endpoint.method == "post" else LIMIT
        body = b'{"model": "' + b"x" * (LIMIT + over) + b'"}'
        reply = await victim.send(endpoint, body if told else _in_pieces(body))
        if reply.status != 413 or reply.headers.get("connection") != "close":
            wrong.append(f"{endpoint}: {reply.status} {reply.body[:200]!r}")
        else:
            wrong += [f"{endpoint} {said}" for said in check_shape(endpoint, reply)]
    assert wrong == []


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "application/json; charset=utf-16",
        "application/octet-stream",
        "x" * 5_000,
        "/",
        "json",
    ],
)
async def test_other_content_types(victim: Victim, content_type: str) -> None:
    """A body that is no JSON is refused, whatever it says it is."""
    wrong: list[str] = []
    for endpoint in await victim.endpoints():
        reply = await victim.send(endpoint, b"name=Acme&amount=1", content_type)
        if reply.status not in (400, 415):
            wrong.append(f"{endpoint}: {reply.status} {reply.body[:200]!r}")
        else:
            wrong += [f"{endpoint} {said}" for said in check_shape(endpoint, reply)]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "value", "statuses"),
    [
        ("idempotency-key", "x" * 256, {400, 415}),
        ("idempotency-key", "two words", {400, 415}),
        ("idempotency-key", "é", {400, 415}),
        ("idempotency-key", "", {400, 415}),
        ("x-request-id", "y" * 5_000, {400, 415}),
        ("authorization", "Bearer", {401}),
        ("authorization", "Bearer " + "k" * 5_000, {401}),
        ("authorization", "Basic dGs6dGs=", {401}),
        ("authorization", "Bearer tk_live_\u20ac".encode().decode("latin-1"), {401}),
        ("content-encoding", "gzip", {400, 415}),
        ("accept", "*/*;q=NaN, text/csv;q=9", {400, 415}),
        ("x-forwarded-for", "1.1.1.1, " * 500, {400, 415}),
    ],
)
async def test_absurd_headers(victim: Victim, name: str, value: str, statuses: set[int]) -> None:
    wrong: list[str] = []
    for endpoint in await victim.endpoints():
        reply = await victim.send(endpoint, b'{"frobnicate"', **{name: value})
        if reply.status not in statuses:
            wrong.append(f"{endpoint}: {reply.status} {reply.body[:200]!r}")
        else:
            wrong += [f"{endpoint} {said}" for said in check_shape(endpoint, reply)]
    assert wrong == []


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("Content-Length: abc", 400),
        ("Content-Length: -1", 400),
        ("Content-Length: 5\r\nContent-Length: 6", 400),
        ("Content-Length: 99999999999999999999", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: banana", 400),
        ("Transfer-Encoding: chunked", 400),
        ("Bad Header: x\r\nContent-Length: 5", 400),
        ("X: " + "y" * 200_000 + "\r\nContent-Length: 5", 400),
        ("\r\n".join(f"X-{n}: y" for n in range(5_000)) + "\r\nContent-Length: 5", 400),
    ],
)
async def test_requests_that_are_no_http(victim: Victim, head: str, expected: int) -> None:
    """Answered or hung up on at once: never left waiting, never a 500."""
    host, port = victim.base.removeprefix("http://").partition("/")[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    start = "POST /api/v1/metering/charges HTTP/1.1\r\nHost: x\r\n"
    key = f"Authorization: Bearer {victim.shown['adminKey']}\r\n"
    writer.write(f"{start}{key}{head}\r\n\r\nhello\r\n\r\n".encode())
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            first = await reader.readline()
    except ConnectionError:
        first = b""
    writer.close()
    assert first == b"" or int(first.split()[1]) in (expected, 413, 431), first


async def test_a_client_that_stops_in_the_middle_of_its_body(victim: Victim) -> None:
    """Its request never happened, whichever endpoint it was for."""
    host, port = victim.base.removeprefix("http://").partition("/")[0].split(":")
    whole = b'{"sku": "generate_sql", "usage": {"request": 1}}'
    for endpoint in await victim.endpoints():
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"{endpoint.method.upper()} /api/v1{endpoint.path} HTTP/1.1\r\nHost: x\r\n"
        key = f"Authorization: Bearer {victim.key(endpoint)}\r\nContent-Type: {JSON}\r\n"
        length = f"Content-Length: {len(whole)}\r\n\r\n"
        writer.write(f"{head}{key}{length}".encode() + whole[: len(whole) // 2])
        await writer.drain()
        writer.close()
    await asyncio.sleep(0.5)
