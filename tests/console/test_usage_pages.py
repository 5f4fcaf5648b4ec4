"""The pages of usage say what analytics and the records say, to the nano, and to whom they may."""

from __future__ import annotations

import csv
import html
import io
import os
import random
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

import msgspec
import pytest
from browsing import Browser, Page, signed_in

from tollkeeper import orgs
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import parse_nanos
from tollkeeper.metering.billing import spans
from tollkeeper.orgs import KeyKind, Member, NewKey, Role
from whole import Customer, Whole

Passes = Callable[[dict[str, Any]], bool]

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
DIMENSIONS = {
    "model": "model",
    "key": "apiKey",
    "project": "project",
    "member": "member",
    "provider": "provider",
    "operation": "operation",
    "endUser": "endUser",
    "tag": "tag:team",
}


async def report(whole: Whole, key: str, events: list[dict[str, Any]]) -> None:
    answer = await whole.ask("POST", "/metering/events", key, events)
    assert answer.status < 300, answer.text
    assert "rejected" not in [one["status"] for one in answer.json["results"]], answer.text


def event(number: int, at: datetime, **said: Any) -> dict[str, Any]:
    return {
        "id": f"event {number}",
        "time": at.isoformat(),
        "provider": "sandbox",
        "model": "sandbox-small",
        "usage": {"input": 100 + number, "output": 7 * number},
        **said,
    }


def random_events(seed: int, now: datetime) -> list[dict[str, Any]]:
    chance = random.Random(seed)  # noqa: S311 (test data)
    events: list[dict[str, Any]] = []
    for number in range(150):
        at = now - timedelta(seconds=chance.randrange(1, 40 * 86_400))
        said: dict[str, Any] = {"model": chance.choice(["sandbox-small", "sandbox-large"])}
        for name, values in (
            ("operation", ["chat", "search & find", None]),
            ("endUser", ["ann", "bob", None]),
            ("threadId", ["t1", None]),
        ):
            value = chance.choice(values)
            said |= {} if value is None else {name: value}
        if chance.random() < 0.6:
            said["tags"] = {"team": chance.choice(["north", "so:uth"])}
        events.append(event(number, at, **said))
    return events


async def own_key(whole: Whole, customer: Customer, now: datetime) -> str:
    """Another project with a key that a member has."""
    member_id, project_id = uuid7(), uuid7()
    async with whole.database.transaction() as tx:
        member = Member(
            org_id=customer.org_id,
            member_id=member_id,
            name="Ada",
            email="ada@example.org",
            role=Role.MEMBER,
            created_at=now,
        )
        await orgs.create_member(tx, member)
        await orgs.create_project(
            tx, org_id=customer.org_id, project_id=project_id, name="Second", now=now
        )
        new = NewKey(
            org_id=customer.org_id,
            key_id=uuid7(),
            project_id=project_id,
            name="Ada's",
            kind=KeyKind.INFERENCE,
            livemode=False,
            member_id=member_id,
        )
        _, secret = await orgs.create_key(tx, new, chance=os.urandom(32), now=now)
    return secret


async def read(one: Browser, path: str, **query: str) -> str:
    page: Page = await one.open(f"/console/{path}" + (f"?{urlencode(query)}" if query else ""))
    assert page.status == 200, page.text
    return page.text


async def read_csv(one: Browser, path: str) -> list[dict[str, str]]:
    page = await one.open(path)
    assert page.status == 200, page.text
    assert page.headers["content-disposition"].startswith("attachment")
    return list(csv.DictReader(io.StringIO(page.text)))


def exact(text: str) -> int:
    """The exact amount of the first money in a piece of a page."""
    found = re.search(r'class="money" title="(-?[0-9.]+) USD"', text)
    assert found, text
    return parse_nanos(found[1])


def rows_of(page: str) -> list[tuple[str | None, int, int]]:
    """Of each row of the table: where it leads, its calls, its cost."""
    table = page.split("<tbody>", 1)[1].split("</tbody>", 1)[0]
    found: list[tuple[str | None, int, int]] = []
    for row in table.split("<tr>")[1:]:
        link = re.search(r'<a href="([^"]+)"', row)
        calls = re.search(r'<td class="right figure">([0-9,]+)</td>', row)
        assert calls
        href = None if link is None else html.unescape(link[1])
        found.append((href, int(calls[1].replace(",", "")), exact(row)))
    return found


def bars_of(page: str) -> list[tuple[str, int]]:
    """Of each bar: where it leads, and its exact cost."""
    found = re.findall(
        r'class="bar" href="([^"]+)" data-label="[^"]*" data-total="\$([^"]+)"', page
    )
    return [(html.unescape(href), parse_nanos(total)) for href, total in found]


async def costs(whole: Whole, customer: Customer, **query: str) -> list[dict[str, Any]]:
    admin = customer.keys["test ADMIN"]
    query |= {"currency": "USD", "limit": "5000"}
    answer = await whole.ask("GET", f"/billing/costs?{urlencode(query)}", admin)
    assert answer.status == 200, answer.text
    return answer.json["data"]


async def calls_behind(one: Browser, href: str) -> list[dict[str, str]]:
    """All calls of the log that a link leads to."""
    assert (await one.open(href)).status == 200
    return await read_csv(one, f"/console/usage/export?{urlsplit(href).query}&format=csv")


def filters_of(
    chance: random.Random, member: str, key: str
) -> tuple[dict[str, str], dict[str, str]]:
    """What the page is asked, and what the API calls it."""
    all_of_them = [
        ({}, {}),
        ({"model": "sandbox-large"}, {"model": "sandbox-large"}),
        ({"operation": "search & find"}, {"operation": "search & find"}),
        ({"endUser": "ann"}, {"endUser": "ann"}),
        ({"tag": "team:so:uth"}, {"tag": "team:so:uth"}),
        ({"key": key}, {"apiKey": key}),
        ({"member": member}, {"member": member}),
    ]
    return chance.choice(all_of_them)


async def test_pages_say_what_analytics_say(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    now = clock.now()
    await report(whole, customer.keys["test INFERENCE"], random_events(1, now))
    ada = await own_key(whole, customer, now)
    await report(whole, ada, [event(900 + n, now - timedelta(days=n)) for n in range(20)])
    members = (await whole.ask("GET", "/members", customer.keys["test ADMIN"])).json["data"]
    key = show_id("key", customer.key_ids["test INFERENCE"])
    chance = random.Random(2)  # noqa: S311 (what a test asks)
    async with signed_in(whole, customer, "billing") as one:
        for by, dimension in DIMENSIONS.items():
            said, meant = filters_of(chance, members[0]["id"], key)
            zone = chance.choice(["UTC", "Asia/Tokyo", "America/St_Johns"])
            each = chance.choice(["day", "week", "month"])
            last = now.astimezone(ZoneInfo(zone)).date()
            first = last - timedelta(days=chance.randrange(3, 40))
            asked = {"by": by, "name": "team", "each": each, "zone": zone, "compare": "before"}
            asked |= {"from": str(first), "to": str(last), **said}
            times = {"start": str(first), "end": str(last), "timezone": zone, **meant}
            page = await read(one, "analytics", **asked)

            groups = await costs(whole, customer, groupBy=dimension, **times)
            assert sorted((row[1], row[2]) for row in rows_of(page)) == sorted(
                (group["calls"], parse_nanos(str(group["cost"]))) for group in groups
            ), asked
            total = sum(parse_nanos(str(group["cost"])) for group in groups)
            assert exact(page.split('<div class="main-figure">')[1]) == total

            days = await costs(whole, customer, granularity=each, **times)
            drawn = [amount for _, amount in bars_of(page) if amount]
            assert drawn == [parse_nanos(str(day["cost"])) for day in days if day["calls"]], asked

            before = {"start": str(first - (last - first) - timedelta(days=1)), "timezone": zone}
            gone = now - datetime.combine(first, datetime.min.time(), ZoneInfo(zone))
            since = datetime.combine(date.fromisoformat(before["start"]), datetime.min.time())
            until = (since.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) + gone).isoformat()
            old = await costs(whole, customer, **{**times, **before, "end": until})
            shown = page.split("Period before</dt>")[1]
            assert exact(shown) == sum(parse_nanos(str(row["cost"])) for row in old)

            listed = await read_csv(one, f"/console/analytics/costs.csv?{urlencode(asked)}")
            assert sum(parse_nanos(row["cost"]) for row in listed) == total
            by_value: dict[str, int] = {}
            for row in listed:
                nanos = parse_nanos(row["cost"])
                by_value[row[dimension]] = by_value.get(row[dimension], 0) + nanos
            assert sorted(by_value.values()) == sorted(row[2] for row in rows_of(page))


async def test_a_bar_and_a_group_lead_to_their_calls(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    now = clock.now()
    await report(whole, customer.keys["test INFERENCE"], random_events(3, now))
    ada = await own_key(whole, customer, now)
    await report(whole, ada, [event(900 + n, now - timedelta(days=n)) for n in range(3)])
    async with signed_in(whole, customer) as one:
        for by in DIMENSIONS:
            page = await read(one, "analytics", by=by, name="team", period="30d", zone="Asia/Tokyo")
            for href, calls, cost in rows_of(page):
                assert href is not None
                behind = await calls_behind(one, href)
                assert len(behind) == calls, href
                assert sum(parse_nanos(row["cost"]) for row in behind) == cost
        page = await read(one, "analytics", period="7d", zone="Asia/Tokyo", model="sandbox-small")
        for href, cost in bars_of(page):
            query = dict(parse_qsl(urlsplit(href).query))
            behind = await calls_behind(one, href)
            assert sum(parse_nanos(row["cost"]) for row in behind) == cost
            for row in behind:
                at = datetime.fromisoformat(row["timestamp"])
                assert datetime.fromisoformat(query["from"]) <= at
                assert at < datetime.fromisoformat(query["to"])
                assert row["model"] == "sandbox-small"


async def test_many_groups_are_drawn_as_the_biggest_and_the_rest(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    """Calls of twelve end users and of nobody: those of nobody are the most."""
    now = clock.now()
    events = [
        event(
            100 * user + n, now - timedelta(days=n % 3), **({"endUser": f"u{user}"} if user else {})
        )
        for user in range(13)
        for n in range(20 - user)
    ]
    await report(whole, customer.keys["test INFERENCE"], events)
    async with signed_in(whole, customer) as one:
        page = await read(one, "analytics", by="endUser", period="7d", measure="calls")
    drawn: dict[str, int] = {}
    for key, amount in re.findall(r'data-key="(\d)" data-amount="(\d+)"', page):
        drawn[key] = drawn.get(key, 0) + int(amount)
    wanted = {str(user): 20 - user for user in range(7)}
    assert drawn == wanted | {"7": sum(20 - user for user in range(7, 13))}
    assert [row[1] for row in rows_of(page)] == [20 - user for user in range(13)]


async def test_unusual_spending_is_said_to_who_sees_money(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    key, now = customer.keys["test INFERENCE"], clock.now()
    days = [event(n, now - timedelta(days=n), usage={"input": 1_000}) for n in range(1, 7)]
    await report(whole, key, days)
    async with (
        signed_in(whole, customer, "billing") as one,
        signed_in(whole, customer, "member") as member,
    ):
        assert "Unusual spending" not in await read(one, "analytics")
        wild = event(99, now - timedelta(minutes=1), usage={"input": 1_000_000_000})
        await report(whole, key, [wild])
        said = (await read(one, "analytics")).split("Unusual spending")[1]
        records = (
            await whole.ask("GET", "/billing/usage-records", customer.keys["test ADMIN"])
        ).json
        cost = parse_nanos(str(records["data"][0]["cost"]))
        assert cost <= exact(said) <= cost + 10**9
        assert "Unusual spending" not in await read(member, "analytics")


async def test_members_see_counts_and_no_cost(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    await report(whole, customer.keys["test INFERENCE"], random_events(4, clock.now())[:30])
    async with signed_in(whole, customer, "member") as one:
        for query in ({}, {"by": "tag"}, {"shape": "lines"}, {"each": "week", "period": "year"}):
            page = await read(one, "analytics", **query)
            assert "$" not in page
            assert 'class="money"' not in page
            assert "Calls over time" in page
        log = await read(one, "usage", live="1")
        later = re.search(r'hx-get="([^"]+/newer[^"]+)"', log)
        assert later
        await report(whole, customer.keys["test INFERENCE"], [event(999, clock.now())])
        for text in (log, (await one.open(html.unescape(later[1]))).text):
            assert "/console/usage/use_" in text
            assert "$" not in text
            assert 'class="money"' not in text
        assert (await one.open("/console/analytics?measure=cost")).status == 400
        for row in await read_csv(one, "/console/analytics/costs.csv"):
            assert not {"cost", "currency"} & row.keys()
        assert (await one.open("/console/usage?least=0.1")).status == 403
        assert (await one.open("/console/usage/export?format=csv&most=1")).status == 403
        for form in ("csv", "jsonl"):
            listed = (await one.open(f"/console/usage/export?format={form}")).text
            for word in ("cost", "balanceAfter", "currency"):
                assert word not in listed
            assert "sandbox-small" in listed


def cases_of(records: list[dict[str, Any]], since: datetime) -> list[tuple[dict[str, str], Passes]]:
    """What the log is asked, and which records pass. `since` is a minute in Tokyo."""

    def at(record: dict[str, Any]) -> datetime:
        return datetime.fromisoformat(record["timestamp"])

    def nanos(record: dict[str, Any]) -> int:
        return parse_nanos(str(record["cost"]))

    middle = sorted(records, key=nanos)[len(records) // 2]
    local = since.replace(tzinfo=None).isoformat()
    return [
        ({}, lambda _: True),
        ({"operation": "search & find"}, lambda r: r["operation"] == "search & find"),
        ({"without": "operation"}, lambda r: r["operation"] is None),
        ({"tag": "team:so:uth"}, lambda r: bool(r["tags"]) and r["tags"].get("team") == "so:uth"),
        ({"without": "tag:team"}, lambda r: "team" not in (r["tags"] or ())),
        (
            {"endUser": "ann", "thread": "t1"},
            lambda r: (r["endUser"], r["threadId"]) == ("ann", "t1"),
        ),
        ({"least": str(middle["cost"])}, lambda r: nanos(r) >= nanos(middle)),
        ({"most": "0"}, lambda r: nanos(r) == 0),
        ({"from": local, "zone": "Asia/Tokyo"}, lambda r: at(r) >= since),
        ({"to": since.isoformat()}, lambda r: at(r) < since),
        ({"status": "error"}, lambda r: r["status"] >= 400),
        ({"status": "200"}, lambda r: r["status"] == 200),
    ]


async def walked(one: Browser, **query: str) -> list[str]:
    """The ids of all calls of the log, page after page."""
    page = await read(one, "usage", **query)
    found: list[str] = []
    while True:
        found += re.findall(r'href="/console/usage/(use_\w+)"', page)
        more = re.search(r'hx-get="([^"]+/older[^"]+)"', page)
        if more is None:
            return found
        page = (await one.open(html.unescape(more[1]))).text


async def test_the_log_is_narrowed_walked_and_written_out(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    now = clock.now()
    await report(whole, customer.keys["test INFERENCE"], random_events(5, now))
    admin = customer.keys["test ADMIN"]
    records = (await whole.ask("GET", "/billing/usage-records?limit=500", admin)).json["data"]
    since = (now - timedelta(days=11, hours=5)).astimezone(ZoneInfo("Asia/Tokyo"))
    async with signed_in(whole, customer) as one:
        for query, passes in cases_of(records, since.replace(second=0, microsecond=0)):
            wanted = [record["id"] for record in records if passes(record)]
            assert await walked(one, **query) == wanted, query
            said = urlencode(query)
            listed = await read_csv(one, f"/console/usage/export?format=csv&{said}")
            assert [row["id"] for row in listed] == wanted
            lines = (await one.open(f"/console/usage/export?format=jsonl&{said}")).text
            decoded = [msgspec.json.decode(line) for line in lines.splitlines()]
            assert [row["id"] for row in decoded] == wanted
        chips = await read(one, "usage", operation="chat", status="success")
        remove = 'href="/console/usage?status=success" aria-label="Remove the filter API type"'
        assert remove in chips


async def test_the_log_says_how_far_it_looked_when_its_time_is_over(
    whole: Whole, customer: Customer, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page takes one step down at least, and finds everything over several pages."""
    monkeypatch.setattr(spans, "_STEP", 2)
    monkeypatch.setattr(spans, "_PATIENCE_SECONDS", 0)
    began = clock.now()
    for number in range(7):
        clock.advance(timedelta(minutes=1))
        made = event(number, clock.now(), operation="rare" if number < 2 else "usual")
        await report(whole, customer.keys["test INFERENCE"], [made])
    async with signed_in(whole, customer) as one:
        page = await read(one, "usage", operation="rare")
        assert f'back to <time datetime="{(began + timedelta(minutes=6)).isoformat()}' in page
        assert "None among those looked at so far" in page
        assert "Look further" in page
        assert len(await walked(one, operation="rare")) == 2
        everything = await read(one, "usage")
        assert "Look further" not in everything
        assert "Older" not in everything


async def test_what_cannot_be_read_is_said(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer) as one:
        for bad in (
            "from=yesterday",
            "status=fine",
            "least=much",
            "tag=team",
            "without=x",
            "key=x",
        ):
            assert (await one.open(f"/console/usage?{bad}")).status == 400, bad
        for bad in ("period=x", "by=x", "each=x", "from=x", "shape=x", "project=x", "tag=x"):
            assert (await one.open(f"/console/analytics?{bad}")).status == 400, bad
        assert (await one.open("/console/usage/export?format=xml")).status == 400


async def test_new_calls_come_once_and_alone(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    key = customer.keys["test INFERENCE"]
    await report(whole, key, [event(n, clock.now(), operation="chat") for n in range(3)])
    other = await whole.customer()
    async with signed_in(whole, customer) as one, signed_in(whole, other) as stranger:
        assert "/usage/newer" not in await read(one, "usage")
        page = await read(one, "usage", live="1", operation="chat")
        for fresh in (2, 0, 1):
            found = re.search(r'hx-get="([^"]+/newer[^"]+)"', page)
            assert found
            for n in range(fresh):
                made = [event(100 * fresh + n, clock.now(), operation="chat")]
                made.append(event(100 * fresh + n + 50, clock.now(), operation="other"))
                await report(whole, key, made)
            href = html.unescape(found[1])
            page = (await one.open(href)).text
            assert len(re.findall(r'href="/console/usage/use_', page)) == fresh
            assert (await stranger.open(href)).status == 400


async def test_what_customers_write_stays_text_and_what_is_anothers_is_not_there(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    now = clock.now()
    said: dict[str, Any] = {
        "input": HOSTILE,
        "threadId": HOSTILE,
        "operation": HOSTILE,
        "endUser": HOSTILE,
        "tags": {HOSTILE[:60]: HOSTILE},
    }
    await report(whole, customer.keys["test INFERENCE"], [event(1, now, **said)])
    other = await whole.customer()
    hostile = quote(HOSTILE)
    async with signed_in(whole, customer) as one, signed_in(whole, other) as stranger:
        paths = [
            f"analytics?by={by}&shape={shape}" for by in DIMENSIONS for shape in ("bars", "lines")
        ]
        paths += [
            f"analytics?by=tag&name={quote(HOSTILE[:60])}",
            f"analytics?by=tag&name={hostile}",
        ]
        paths += [f"analytics?endUser={hostile}", f"usage?operation={hostile}", "usage?live=1"]
        paths += [
            f"usage?zone={hostile}",
            f"analytics?zone={hostile}",
            "usage?without=tag:%3Cscript",
        ]
        for path in paths:
            text = await read(one, path)
            assert "<script>" not in text, path
            assert "<img" not in text, path
        project = show_id("prj", customer.project_id)
        key = show_id("key", customer.key_ids["test INFERENCE"])
        for query in ({}, {"project": project}, {"key": key}, {"member": show_id("mem", uuid7())}):
            assert "use_" not in await read(stranger, "usage", **query)
            assert "No calls in this time" in await read(stranger, "analytics", **query)
            assert not await read_csv(
                stranger, f"/console/usage/export?format=csv&{urlencode(query)}"
            )
            assert not await read_csv(stranger, f"/console/analytics/costs.csv?{urlencode(query)}")
