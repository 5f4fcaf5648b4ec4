"""Filters of the log that cannot be read: said beside their field, with what was typed."""

from __future__ import annotations

import re
from html import unescape
from typing import Final

import pytest
from browsing import Browser, signed_in

from whole import Customer, Whole

_FAULT: Final = re.compile(r'id="(\w+)-fault"[^>]*>([^<]*)<')


async def faults_of(one: Browser, query: str) -> dict[str, str]:
    page = await one.open(f"/console/usage?{query}")
    assert page.status == 400, query
    assert "<title>Usage logs" in page.text
    return {name: unescape(said) for name, said in _FAULT.findall(page.text)}


async def test_each_fault_stands_beside_its_filter(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer) as one:
        query = "least=1,50&most=2&tag=growth&from=yesterday&model=gpt-5&project=Moble&status=tea"
        said = await faults_of(one, query)
        page = await one.open(f"/console/usage?{query}")
    assert said == {
        "least": "Cost from is an amount such as 0.25.",
        "tag": "A tag is written as its name, a colon and its value, such as team:growth.",
        "from": "A time is written as 2026-01-31 or 2026-01-31T08:00, from 1970 on.",
        "project": said["project"],
        "status": "A status is success, error, or a number such as 429.",
    }
    assert "Moble" in said["project"]
    for kept in ("1,50", "2", "growth", "yesterday", "gpt-5"):
        assert f'value="{kept}"' in page.text, kept


@pytest.mark.parametrize("query", ["without=x", "without=x&model=gpt-5"])
async def test_what_has_no_field_is_said_above(
    whole: Whole, customer: Customer, query: str
) -> None:
    async with signed_in(whole, customer) as one:
        assert await faults_of(one, query) == {}
        page = await one.open(f"/console/usage?{query}")
    assert "Calls cannot be narrowed to those without this" in page.text


async def test_costs_are_typed_as_amounts_are(whole: Whole, customer: Customer) -> None:
    call = {
        "provider": "sandbox",
        "model": "sandbox-large",
        "operation": "found",
        "usage": {"input": 100_000},
        "requestId": "1",
    }
    key = customer.keys["test INFERENCE"]
    assert (await whole.ask("POST", "/metering/charges", key, call)).status == 200
    async with signed_in(whole, customer) as one:
        for query, seen in (("most=$1,000.00", True), ("least=$1,000", False)):
            page = await one.open(f"/console/usage?{query}")
            assert (page.status, "/console/usage/use_" in page.text) == (200, seen), query


async def test_other_addresses_that_cannot_be_read_lead_back(
    whole: Whole, customer: Customer
) -> None:
    async with signed_in(whole, customer) as one:
        for path, back in (
            ("/console/usage/export?format=xml", "/console/usage"),
            ("/console/usage/older?before=x", "/console/usage"),
            ("/console/analytics?period=x", "/console/analytics"),
        ):
            page = await one.open(path)
            assert page.status == 400, path
            assert f'<a class="button first" href="{back}">Go back</a>' in page.text, path


async def test_chips_say_times_of_the_readers_zone(whole: Whole, customer: Customer) -> None:
    # What a bar of a chart leads to: the 21st in Berlin.
    bar = "from=2026-11-20T23:00:00%2B00:00&to=2026-11-21T22:59:59.999%2B00:00"
    async with signed_in(whole, customer) as one:
        for query, chips in (
            (f"{bar}&zone=Europe/Berlin", ["2026-11-21 00:00", "2026-11-21 23:59"]),
            (f"{bar}&zone=Asia/Tokyo", ["2026-11-21 08:00", "2026-11-22 07:59"]),
            (
                "from=2026-11-20&to=2026-11-20T08:15&zone=Asia/Tokyo",
                ["2026-11-20", "2026-11-20 08:15"],
            ),
        ):
            page = await one.open(f"/console/usage?{query}")
            assert re.findall(r'<span class="cut-short">([^<]*)<', page.text) == chips, query
