"""Every fault of a request at once, by name, in one shape."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

GOOD = {"name": "car", "price": 1.5}


async def fault(client: aiohttp.ClientSession, method: str, path: str, **more: Any) -> Any:
    async with client.request(method, path, **more) as response:
        assert response.status == 400, await response.text()
        assert response.content_type == "application/problem+json"
        problem = await response.json(content_type=None)
    assert problem["type"] == "urn:tollkeeper:error:invalid_request"
    assert problem["code"] == "invalid_request"
    assert problem["error"] == problem["title"] == "The request is not valid"
    assert problem["status"] == 400
    assert "\n" not in problem["error"]
    return problem["details"]


async def test_all_faults_of_query_at_once(client: aiohttp.ClientSession) -> None:
    query = "limit=0&since=yesterday&sortOrder=up&sort=asc&cursor=a&cursor=b"
    details = await fault(client, "GET", f"toys?{query}")
    assert details == {
        "_errors": [],
        "limit": {"_errors": ["must be a whole number from 1 to 500"]},
        "since": {"_errors": ["must be a date and time such as 2026-01-31T08:00:00Z or null"]},
        "sortOrder": {"_errors": ["must be text that matches ^asc$|^desc$"]},
        "sort": {"_errors": ["is not known; did you mean sortOrder?"]},
        "cursor": {"_errors": ["may be given once"]},
    }


async def test_all_faults_of_body_and_query_at_once(client: aiohttp.ClientSession) -> None:
    body = {
        "nmae": "car",
        "price": -1,
        "parts": [{"name": "wheel"}, {"name": "", "count": 10, "colour": "red"}, 7],
        "mainPart": {},
        "labels": {"a": "b"},
    }
    details = await fault(client, "POST", "toys?dry=1", json=body)
    assert details == {
        "_errors": [],
        "dry": {"_errors": ["is not known"]},
        "nmae": {"_errors": ["is not known; did you mean name?"]},
        "name": {"_errors": ["is required: text of 1 to 20 characters"]},
        "price": {
            "_errors": ["must be an amount above 0 such as 12.50, with at most 9 decimals"],
        },
        "parts": {
            "_errors": [],
            "1": {
                "_errors": [],
                "name": {"_errors": ["must be text that is not empty"]},
                "count": {"_errors": ["must be a whole number from 1 to 9"]},
                "colour": {"_errors": ["is not known"]},
            },
            "2": {"_errors": ["must be an object"]},
        },
        "mainPart": {"_errors": [], "name": {"_errors": ["is required: text that is not empty"]}},
        "labels": {"_errors": [], "a": {"_errors": ["must be a whole number"]}},
    }


@pytest.mark.parametrize("path", ["toys", "fast"])
@pytest.mark.parametrize(
    ("body", "place", "sentence"),
    [
        (b"", "", "A JSON body is required"),
        (b"{", "", "Input data was truncated"),
        (b"[1]", "", "must be an object"),
        (b'{"name": "\xff"}', "", "not valid UTF-8"),
        (b"[" * 50_000, "", "JSON is nested too deeply"),
        (b'{"name": "a", "price": NaN}', "", "JSON is malformed"),
        (b'{"name": "a", "price": 1e5}', "price", "'1e5' is not a plain decimal"),
        (b'{"name": "a", "price": 0.0000000001}', "price", "at most 9 decimals"),
        (b'{"name": "a", "price": 99999999999999}', "price", "is not a plain decimal"),
        (b'{"name": "a", "price": 3000000000}', "price", "beyond the largest amount"),
        (b'{"name": "a", "price": 1' + b"0" * 5000 + b"}", "price", "out of range"),
        (b'{"name": "a", "price": "1"}', "price", "must be an amount above 0"),
        (b'{"name": "a", "price": true}', "price", "must be an amount above 0"),
        (b'{"name": "a\\u0000", "price": 1}', "name", "U+0000"),
        (b'{"name": "a", "price": 1, "_errors": 1}', "", "is not known"),
        (b'{"name": "a", "price": 1, "": 1}', "", "is not known"),
    ],
)
async def test_bad_bodies(
    client: aiohttp.ClientSession, path: str, body: bytes, place: str, sentence: str
) -> None:
    details = await fault(client, "POST", path, data=body)
    named = details[place] if place else details
    assert sentence in " ".join(named["_errors"])


async def test_a_backslash_that_spells_a_nul_is_only_text(client: aiohttp.ClientSession) -> None:
    async with client.post("toys", data=rb'{"name": "a\\u0000", "price": 1}') as response:
        assert response.status == 201
        assert (await response.json())["name"] == r"a\u0000"


async def test_a_million_wrong_items_get_a_short_answer(client: aiohttp.ClientSession) -> None:
    body = {**GOOD, "parts": [1] * 30_000}
    async with client.post("toys", json=body) as response:
        assert response.status == 400
        assert len(await response.read()) < 10_000


@pytest.mark.parametrize("query", ["limit=%ff", "cursor=%00", "&".join(["tag=x"] * 101), "limit="])
async def test_bad_query_strings(client: aiohttp.ClientSession, query: str) -> None:
    async with client.get(f"toys?{query}") as response:
        assert response.status == 400


@pytest.mark.parametrize(
    "query", ["tag=a&tag=b", "sortOrder=desc", "since=2026-01-01T00:00:00Z", ""]
)
async def test_good_query_strings(client: aiohttp.ClientSession, query: str) -> None:
    async with client.get(f"toys?{query}") as response:
        assert response.status == 200


@pytest.mark.parametrize(("method", "path"), [("GET", "toys/car"), ("POST", "fast")])
async def test_nothing_unknown_passes_a_route_without_parameters(
    client: aiohttp.ClientSession, method: str, path: str
) -> None:
    assert await fault(client, method, f"{path}?x=1", json=GOOD) == {
        "_errors": [],
        "x": {"_errors": ["is not known"]},
    }
