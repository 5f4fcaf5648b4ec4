"""What every answer has in common, hot or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from toy import BODY_LIMIT, OutOfToys, Shelf

from tollkeeper.base.errors import PayloadTooLarge, RateLimited
from tollkeeper.base.money import Money
from tollkeeper.http import Api
from tollkeeper.http.asgi import ClientGone, HotRoutes, Message, read_body

GOOD = {"name": "car", "price": 1.5}
ANSWERS = [
    ("GET", "toys", None, 200),
    ("GET", "toys/car", None, 200),
    ("POST", "toys", GOOD, 201),
    ("POST", "toys", {}, 400),
    ("POST", "fast", GOOD, 201),
    ("POST", "fast", {}, 400),
    ("POST", "fast/x1/paint", None, 200),
    ("DELETE", "toys/car", None, 204),
    ("DELETE", "toys/car/paint", None, 200),
    ("GET", "nowhere", None, 404),
    ("GET", "fast", None, 405),
    ("GET", "fast/x1/paint", None, 405),
    ("PUT", "toys", None, 405),
    ("GET", "broken", None, 500),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), ANSWERS)
async def test_every_answer_has_a_request_id(
    client: aiohttp.ClientSession, method: str, path: str, body: Any, status: int
) -> None:
    async with client.request(method, path, json=body) as response:
        assert response.status == status
        assert response.headers["x-request-id"].startswith("req_")
        if status >= 400:
            assert response.content_type == "application/problem+json"
            problem = await response.json(content_type=None)
            assert problem["status"] == status
            assert {"type", "title", "detail", "code", "error"} < problem.keys()


@pytest.mark.parametrize("given", ["abc-1", "01HZX:9.z_", "x" * 128])
async def test_a_sane_request_id_is_kept(client: aiohttp.ClientSession, given: str) -> None:
    async with client.get("toys", headers={"x-request-id": given}) as response:
        assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "-x", "é", '"><script>'])
async def test_another_request_id_is_replaced(client: aiohttp.ClientSession, given: str) -> None:
    async with client.get("toys", headers={"x-request-id": given}) as response:
        assert response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "fast", {"POST"}),
        ("PUT", "fast/x1/paint", {"POST"}),
        ("PUT", "toys", {"GET", "POST", "OPTIONS"}),
        ("GET", "toys/car/paint", {"DELETE"}),
    ],
)
async def test_405_names_what_is_allowed(
    client: aiohttp.ClientSession, method: str, path: str, allow: set[str]
) -> None:
    async with client.request(method, path) as response:
        assert response.status == 405
        assert set(response.headers["allow"].split(", ")) == allow


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("fast", {"POST", "OPTIONS"}),
        ("fast/x1/paint", {"POST", "OPTIONS"}),
        ("toys", {"GET", "POST", "OPTIONS"}),
        ("toys/car", {"GET", "DELETE", "OPTIONS"}),
    ],
)
async def test_options_names_what_is_allowed_and_asks_for_no_key(
    client: aiohttp.ClientSession, path: str, allow: set[str]
) -> None:
    async with client.options(path) as response:
        assert response.status == 204
        assert set(response.headers["allow"].split(", ")) == allow
        assert await response.read() == b""
        assert "x-request-id" in response.headers


@pytest.mark.parametrize("path", ["/fast/", "//fast", "/fast//"])
async def test_slashes_that_say_nothing_are_forgiven(base: str, path: str, shelf: Shelf) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base}{path}", json=GOOD) as answer,
    ):
        assert answer.status == 201
    assert shelf.made == ["car"]


async def test_an_unexpected_error_says_nothing_of_the_inside(
    client: aiohttp.ClientSession, shelf: Shelf
) -> None:
    shelf.fail_with.append(RuntimeError("the inside"))
    for method, path in [("GET", "broken"), ("POST", "fast")]:
        async with client.request(method, path, json=GOOD) as response:
            assert response.status == 500
            text = await response.text()
            assert "inside" not in text
            assert "Traceback" not in text
            assert '"code":"internal_error"' in text


async def test_402_is_not_retried_and_carries_its_members(
    client: aiohttp.ClientSession, shelf: Shelf
) -> None:
    error = OutOfToys("No toys", required=Money(1_500_000_000), topUpUrl=None)
    shelf.fail_with.extend([error, error])
    for path in ("toys", "fast"):
        async with client.post(path, json=GOOD) as response:
            assert response.status == 402
            assert response.headers["x-should-retry"] == "false"
            problem = await response.json(content_type=None)
            assert problem == {
                "type": "urn:tollkeeper:error:out_of_toys",
                "title": "Out of toys",
                "status": 402,
                "detail": "No toys",
                "code": "out_of_toys",
                "error": "Out of toys",
                "required": 1.5,
                "topUpUrl": None,
            }


async def test_what_may_be_retried_says_so(client: aiohttp.ClientSession, shelf: Shelf) -> None:
    shelf.fail_with.append(RateLimited("Slow down", retryAfterSeconds=7))
    async with client.post("fast", json=GOOD) as response:
        assert response.status == 429
        assert response.headers["x-should-retry"] == "true"
        assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize("path", ["toys", "fast"])
async def test_a_large_body_is_refused(client: aiohttp.ClientSession, path: str) -> None:
    async with client.post(path, data=b"x" * (BODY_LIMIT + 1)) as response:
        assert response.status == 413
        problem = await response.json(content_type=None)
        assert problem["code"] == "payload_too_large"
        assert problem["limit"] == BODY_LIMIT


@pytest.mark.parametrize("path", ["toys", "fast"])
async def test_a_large_body_without_a_length_is_refused(
    client: aiohttp.ClientSession, path: str
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(BODY_LIMIT // 1000 + 2):
            yield b" " * 1000

    async with client.post(path, data=chunks()) as response:
        assert response.status == 413


@pytest.mark.parametrize("path", ["toys", "fast"])
async def test_a_client_that_leaves_changes_nothing(base: str, path: str, shelf: Shelf) -> None:
    address = urlsplit(base)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"POST {address.path}/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"
    writer.write(head.encode() + b'{"name"')
    await writer.drain()
    writer.close()
    await asyncio.sleep(0.1)
    assert shelf.made == []


def scope_of(path: str, method: str = "POST", **headers: str) -> dict[str, Any]:
    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "headers": named, "query_string": b""}


def receiving(*messages: Message) -> Any:
    waiting = list(messages)

    async def receive() -> Message:
        return waiting.pop(0)

    return receive


PIECE = {"type": "http.request", "body": b"x" * 6, "more_body": True}
LAST = {"type": "http.request", "body": b"x" * 6, "more_body": False}
GONE = {"type": "http.disconnect"}


@pytest.mark.parametrize("length", ["11", "9" * 400, "00000000000000000000011"])
async def test_a_client_that_asks_first_is_refused_before_it_sends(length: str) -> None:
    asking = {"content-length": length, "expect": "100-continue"}
    with pytest.raises(PayloadTooLarge):
        await read_body(scope_of("/", **asking), receiving(), 10)


@pytest.mark.parametrize("length", ["11", "9" * 400, "00000000000000000000011"])
@pytest.mark.parametrize("end", [LAST, GONE])
async def test_what_is_still_sent_is_taken_before_the_answer(length: str, end: Message) -> None:
    receive = receiving(PIECE, PIECE, end)
    with pytest.raises(PayloadTooLarge):
        await read_body(scope_of("/", **{"content-length": length}), receive, 10)
    with pytest.raises(IndexError):
        await receive()


async def test_a_length_that_lies_does_not_help() -> None:
    lying = {"content-length": "5"}
    with pytest.raises(PayloadTooLarge):
        await read_body(scope_of("/", **lying), receiving(PIECE, PIECE, LAST), 10)


async def test_nothing_is_waited_for_after_the_last_piece() -> None:
    with pytest.raises(PayloadTooLarge):
        await read_body(scope_of("/"), receiving(PIECE, LAST), 10)


async def test_a_body_in_pieces_is_put_together() -> None:
    pieces = [{"type": "http.request", "body": b"a", "more_body": True} for _ in range(3)]
    end = {"type": "http.request", "body": b"", "more_body": False}
    assert await read_body(scope_of("/"), receiving(*pieces, end), 10) == b"aaa"


async def test_leaving_within_the_body_is_noticed() -> None:
    piece = {"type": "http.request", "body": b"a", "more_body": True}
    with pytest.raises(ClientGone):
        await read_body(scope_of("/"), receiving(piece, {"type": "http.disconnect"}), 10)


async def nothing(*_: Any) -> None:
    pass


def test_hot_routes_are_found_by_method_and_path() -> None:
    hot = HotRoutes(
        [("POST", "/a", nothing), ("POST", "/a/{id}/b", nothing), ("GET", "/{id}", nothing)]
    )
    for method, path, template, params in [
        ("POST", "/a", "/a", None),
        ("POST", "/a/7/b", "/a/{id}/b", {"id": "7"}),
        ("GET", "/a", "/{id}", {"id": "a"}),
    ]:
        scope = scope_of(path, method)
        assert hot.find(scope) is nothing, path
        assert scope["path_template"] == template
        assert scope.get("path_params") == params
    for method, path in [("GET", "/a/7/b"), ("POST", "/a//b"), ("POST", "/a/7/c"), ("GET", "/")]:
        assert hot.find(scope_of(path, method)) is None, path
    assert hot.methods_at("/a") == {"GET", "POST"}


def test_a_hot_route_may_take_the_rest_of_the_path() -> None:
    hot = HotRoutes([("GET", "/a", nothing), ("GET", "/a/{id:path}", nothing)])
    for path, found in [("/a/7", "7"), ("/a/b/7", "b/7"), ("/a/b/c/d", "b/c/d")]:
        scope = scope_of(path, "GET")
        assert hot.find(scope) is nothing, path
        assert (scope["path_template"], scope["path_params"]) == ("/a/{id}", {"id": found})
        assert hot.methods_at(path) == {"GET"}
    for path in ("/a/", "/a//b", "/a/b/", "/a/b//c", "/ab/c", "/b/a/c"):
        assert hot.find(scope_of(path, "GET")) is None, path
        assert hot.methods_at(path) == set()


def test_a_hot_route_has_one_handler() -> None:
    with pytest.raises(ValueError, match="two handlers"):
        HotRoutes([("POST", "/a", nothing), ("POST", "/a", nothing)])


async def test_the_document_has_hot_and_cold_routes_alike(
    client: aiohttp.ClientSession, api: Api
) -> None:
    async with client.get("openapi.json") as response:
        assert response.status == 200
        document = await response.json()
    assert document["openapi"] == "3.1.0"
    paths = document["paths"]
    assert set(paths) == {
        "/api/v1/toys",
        "/api/v1/toys.csv",
        "/api/v1/toys/{name}",
        "/api/v1/broken",
        "/api/v1/fast",
        "/api/v1/fast/{id}/paint",
        "/api/v1/toys/{id}/paint",
    }
    assert "http" not in api.document.decode().replace('"type":"http"', "")
    made = paths["/api/v1/toys"]["post"]
    assert made["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Toy"
    }
    assert set(made["responses"]) == {
        *("201", "400", "401", "402", "403", "409", "413", "422", "500", "503")
    }
    assert "`out_of_toys`" in made["responses"]["402"]["description"]
    toy = document["components"]["schemas"]["Toy"]
    assert toy["additionalProperties"] is False
    assert toy["properties"]["price"]["type"] == "number"
    limit = paths["/api/v1/toys"]["get"]["parameters"][0]
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}
    assert set(paths["/api/v1/toys"]["get"]["responses"]["200"]["content"]) == {
        "application/json",
        "text/csv",
    }
