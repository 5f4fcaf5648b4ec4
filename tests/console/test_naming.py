"""Fields offer the newest, all else is reached by its name or id, and polls read no names."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterable
from urllib.parse import urlencode

import pytest
from browsing import Browser, signed_in
from counted import count_statements, statements_of

from tollkeeper import orgs
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.console.customer.naming import OFFERED
from tollkeeper.orgs import KeyKind, NewKey
from whole import Customer, Whole

MANY = OFFERED + 30


async def make_projects(whole: Whole, customer: Customer, names: Iterable[str]) -> list[str]:
    now = whole.app.rooms.clock.now()
    made: list[str] = []
    async with whole.database.transaction() as tx:
        for name in names:
            project_id = uuid7()
            place = {"org_id": customer.org_id, "project_id": project_id}
            await orgs.create_project(tx, **place, name=name, now=now)
            made.append(show_id("prj", project_id))
    return made


async def make_keys(
    whole: Whole, customer: Customer, names: Iterable[str]
) -> list[tuple[str, str]]:
    """The id and the secret of each."""
    now = whole.app.rooms.clock.now()
    made: list[tuple[str, str]] = []
    async with whole.database.transaction() as tx:
        for name in names:
            new = NewKey(
                org_id=customer.org_id,
                key_id=uuid7(),
                project_id=customer.project_id,
                name=name,
                kind=KeyKind.INFERENCE,
                livemode=False,
            )
            key, secret = await orgs.create_key(tx, new, chance=os.urandom(32), now=now)
            made.append((show_id("key", key.key_id), secret))
    return made


async def call(whole: Whole, secret: str, operation: str) -> None:
    said = {"provider": "sandbox", "model": "sandbox-small", "usage": {"input": 5}}
    body = said | {"operation": operation, "requestId": uuid7().hex}
    answer = await whole.ask("POST", "/metering/charges", secret, body)
    assert answer.status < 300, answer.text


def control(page: str, name: str) -> str:
    """A field of a form with all that it offers."""
    found = re.search(
        rf'<select id="{name}".*?</select>|<input id="{name}".*?</datalist>', page, re.DOTALL
    )
    assert found, page
    return html.unescape(found[0])


async def read(one: Browser, path: str, **query: str) -> str:
    page = await one.open(f"/console/{path}?{urlencode(query)}")
    assert page.status == 200, page.text
    return page.text


def calls_of(page: str) -> int:
    return page.count('href="/console/usage/use_')


async def test_few_are_chosen_from_and_many_are_typed(whole: Whole, customer: Customer) -> None:
    (first, secret), *_ = await make_keys(whole, customer, ["Old (blue) key", "Twin", "Twin"])
    await call(whole, secret, "first")
    await call(whole, customer.keys["test INFERENCE"], "second")
    async with signed_in(whole, customer) as one:
        few = control(await read(one, "usage"), "key")
        assert few.startswith("<select")
        assert "Old (blue) key" in few
        await make_keys(whole, customer, [f"new {number}" for number in range(MANY)])
        page = await read(one, "usage")
        many = control(page, "key")
        assert many.startswith("<input")
        assert "Old (blue) key" not in many
        assert many.count("<option") == OFFERED
        assert f"new {MANY - 1} (key_" in many
        assert control(page, "project").startswith("<select")
        assert calls_of(page) == 2
        for said in (first, "Old (blue) key", "old (BLUE) key", f"Old (blue) key ({first})"):
            found = await read(one, "usage", key=said)
            assert calls_of(found) == 1, said
            assert f'value="Old (blue) key ({first})"' in control(found, "key")
            assert f"key={first}" in found, "addresses go on with its id"
        for wrong, words in (("Twin", "Several API keys"), ("No such", "There is no API key")):
            refused = await one.open(f"/console/usage?{urlencode({'key': wrong})}")
            assert (refused.status, words in refused.text) == (400, True)
        assert (await one.open(f"/console/usage?key={'prj' + first[3:]}")).status == 400


async def test_names_of_others_lead_nowhere(whole: Whole, customer: Customer) -> None:
    other = await whole.customer()
    ((theirs, _),) = await make_keys(whole, other, ["Their secret project"])
    async with signed_in(whole, customer) as one:
        assert (await one.open("/console/usage?key=Their+secret+project")).status == 400
        assert "Their secret" not in await read(one, "usage", key=theirs)
        assert "Their secret" not in await read(one, "analytics", key=theirs)


async def test_an_archived_project_keeps_its_name_in_the_log(
    whole: Whole, customer: Customer
) -> None:
    await call(whole, customer.keys["test INFERENCE"], "before")
    async with signed_in(whole, customer) as one:
        (spare,) = await make_projects(whole, customer, ["Spare"])
        now = whole.app.rooms.clock.now()
        async with whole.database.transaction() as tx:
            await orgs.archive_project(tx, customer.org_id, customer.project_id, now)
        page = await read(one, "usage")
        assert '<td class="cut-short hide-small hide-narrow">Default</td>' in page
        assert "Default" not in control(page, "project")
        assert spare in control(page, "project")
        narrowed = await read(one, "usage", project="default")
        assert calls_of(narrowed) == 1
        assert "Default" in control(narrowed, "project")
        assert 'title="Archived"' in await read(one, "keys", ended="1")


async def test_forms_take_what_is_typed(whole: Whole, customer: Customer) -> None:
    (first, *_) = await make_projects(whole, customer, ["First of many", "TWIN", "Twin"])
    await make_projects(whole, customer, [f"project {number}" for number in range(MANY)])
    async with signed_in(whole, customer) as one:
        asked = await one.open("/console/keys/new")
        assert control(asked.text, "projectId").startswith("<input")
        chosen = await read(one, "keys/new", project=first)
        assert f'value="First of many ({first})"' in control(chosen, "projectId")
        new_id = re.search(r'name="newId" value="(key_[0-9a-f]{32})"', asked.text)
        assert new_id
        fields = {"form_token": asked.form_token, "newId": new_id[1], "name": "CI"}
        fields |= {"kind": "INFERENCE", "expiresAt": "", "costLimit": ""}
        wrong = await one.submit("/console/keys", **fields, projectId="twin")
        assert (wrong.status, "Several projects are called twin" in wrong.text) == (400, True)
        assert 'value="twin"' in control(wrong.text, "projectId")
        made = await one.submit("/console/keys", **fields, projectId="first OF many")
        assert made.status == 200, made.text
        keys = await read(one, "keys")
        assert "First of many" in keys

        form = await one.open("/console/limits/new")
        budget = {"form_token": form.form_token, "name": "B", "amount": "5", "measure": "cost"}
        budget |= {"period": "month", "enforcement": "hard", "tolerancePercent": "0"}
        several = budget | {"name": "", "projectId": "nothing", "apiKeyId": "nobody"}
        wrong = await one.submit("/console/limits", **several)
        assert wrong.status == 400
        assert "There is no project called nothing" in wrong.text
        assert "There is no API key called nobody" in wrong.text
        assert wrong.text.count('class="fault"') == 3
        made = await one.submit("/console/limits", **budget, projectId="TWIN", apiKeyId="CI")
        assert made.status == 303, made.text
        assert "TWIN" in await read(one, "limits")


async def test_polls_read_no_names_but_those_of_their_rows(
    whole: Whole, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_statements(monkeypatch)
    key = customer.keys["test INFERENCE"]
    await call(whole, key, "first")
    async with signed_in(whole, customer) as one:
        page = await read(one, "usage", live="1")
        found = re.search(r'hx-get="([^"]+/newer[^"]+)"', page)
        assert found
        path = html.unescape(found[1])
        idle = await statements_of(whole, one, path)
        await call(whole, key, "second")
        busy = await statements_of(whole, one, path)
    named = [asked for asked in busy.statements if "api_key" in asked or "FROM project" in asked]
    assert calls_of(busy.text) == 1
    assert [asked for asked in idle.statements if "api_key" in asked or "project" in asked] == []
    assert len(named) == 1
    assert "ANY (%(ids)s)" in named[0]
    assert "Default" in busy.text


async def test_keys_are_listed_in_one_statement_whatever_lies_between(
    whole: Whole, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that ended, and those of the other mode, are not walked through."""
    made = await make_keys(whole, customer, [f"key {number}" for number in range(300)])
    now = whole.app.rooms.clock.now()
    async with whole.database.transaction() as tx:
        await tx.execute(
            "UPDATE api_key SET revoked_at = %s WHERE org_id = %s AND name LIKE 'key %%'"
            " AND name NOT IN ('key 0', 'key 299')",
            (now, customer.org_id),
        )
    count_statements(monkeypatch)
    async with signed_in(whole, customer) as one:
        active = await statements_of(whole, one, "/console/keys")
        assert made[0][0] in active.text
        assert made[299][0] in active.text
        assert "key 150" not in active.text
        listing = [asked for asked in active.statements.elements() if "display_prefix" in asked]
        assert len(listing) == 1
        walked: list[str] = []
        path = "/console/keys?ended=1"
        while path:
            page = (await one.open(path)).text
            walked += re.findall(r'href="/console/keys/(key_[0-9a-f]{32})" title', page)
            older = re.search(r'href="([^"]+before=[^"]+)">Older', page)
            path = html.unescape(older[1]) if older else ""
        assert walked == [known for known, _ in made[1:299]]


async def test_the_playground_takes_any_project_and_reads_that_one(
    whole: Whole, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_projects(whole, customer, ["First of many"])
    await make_projects(whole, customer, [f"project {number}" for number in range(MANY)])
    count_statements(monkeypatch)
    async with signed_in(whole, customer) as one:
        opened = await statements_of(whole, one, "/console/playground")
        assert control(opened.text, "project").count("<option") == OFFERED
        assert opened.statements.total() <= 5
        form = await one.open("/console/playground")
        send_id = re.search(r'name="send_id" value="([0-9a-f]{32})"', form.text)
        assert send_id
        fields = {"form_token": form.form_token, "send_id": send_id[1], "longest": "10"}
        fields |= {"model": "sandbox-small", "text": "Hello", "do": "send"}
        wrong = await one.submit("/console/playground", **fields, project="nothing")
        assert (wrong.status, "There is no project called nothing" in wrong.text) == (400, True)
        sent = await one.submit("/console/playground", **fields, project="first of many")
        assert sent.status == 200, sent.text
        assert "First of many" in await read(one, "usage")
