"""Test keys are handed around: with one of them nothing that is live is seen or changed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from recycling import Databases
from tollkeeper import orgs
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.db import EmbeddedServer
from tollkeeper.orgs import KeyKind, NewKey
from whole import Answer, Customer, Whole, whole_served

BUDGET = {"name": "A limit", "amount": 5, "period": "month"}


@pytest.fixture(scope="module")
async def whole(server: EmbeddedServer, databases: Databases) -> AsyncIterator[Whole]:
    name = databases.take(f"t{uuid7().hex}")
    async with whole_served(server.url_of(name)) as served:
        yield served
    databases.drop(name)


class Two:
    """One customer with both kinds of key."""

    def __init__(self, whole: Whole, customer: Customer) -> None:
        self.whole = whole
        self.customer = customer

    async def test(self, method: str, path: str, body: Any = None) -> Answer:
        return await self.whole.ask(method, path, self.customer.keys["test ADMIN"], body)

    async def live(self, method: str, path: str, body: Any = None) -> Answer:
        return await self.whole.ask(method, path, self.customer.keys["live ADMIN"], body)

    def key(self, which: str) -> str:
        return show_id("key", self.customer.key_ids[which])

    async def made(self, path: str, body: Any) -> str:
        answer = await self.live("POST", path, body)
        assert answer.status == 201, answer.text
        return answer.json["id"]


@pytest.fixture
async def two(whole: Whole) -> Two:
    return Two(whole, await whole.customer())


async def test_a_test_key_knows_of_no_live_keys(two: Two) -> None:
    assert len((await two.live("GET", "/api-keys")).json["data"]) == 4
    listed = (await two.test("GET", "/api-keys")).json["data"]
    assert [one["livemode"] for one in listed] == [False, False]
    path = f"/api-keys/{two.key('live INFERENCE')}"
    before = (await two.live("GET", path)).json
    for method, body in (("GET", None), ("PATCH", {"expiresAt": None}), ("DELETE", None)):
        assert (await two.test(method, path, body)).status == 404, method
    assert (await two.live("GET", path)).json == before
    own = f"/api-keys/{two.key('test INFERENCE')}"
    assert (await two.test("PATCH", own, {"name": "Mine"})).json["name"] == "Mine"
    assert (await two.live("DELETE", own)).status == 204
    assert (await two.test("GET", own)).json["revokedAt"] is not None


async def test_a_budget_of_a_live_key_does_not_exist_for_a_test_key(two: Two) -> None:
    of_live = BUDGET | {"apiKeyId": two.key("live INFERENCE")}
    path = f"/budgets/{await two.made('/budgets', of_live)}"
    shared = await two.made("/budgets", BUDGET)
    of_test = await two.made("/budgets", BUDGET | {"apiKeyId": two.key("test INFERENCE")})
    assert [one["id"] for one in (await two.test("GET", "/budgets")).json["data"]] == [
        shared,
        of_test,
    ]
    for method, at, body in (
        ("GET", path, None),
        ("GET", f"{path}/counters", None),
        ("PATCH", path, {"amount": 900}),
        ("DELETE", path, None),
        ("POST", f"{path}/reset", {}),
    ):
        answer = await two.test(method, at, body)
        assert (answer.status, answer.json["code"]) == (404, "budget_not_found"), (method, at)
    refused = await two.test("POST", "/budgets", of_live)
    said = refused.json["details"]["apiKeyId"]["_errors"]
    assert (refused.status, said) == (400, ["names no API key of this organization"])
    assert len((await two.live("GET", "/budgets")).json["data"]) == 3


async def test_what_holds_for_live_calls_is_limited_with_a_live_key(two: Two) -> None:
    path = f"/budgets/{await two.made('/budgets', BUDGET)}"
    before = (await two.live("GET", path)).json
    for method, at, body in (
        ("POST", "/budgets", BUDGET | {"amount": 0}),
        ("POST", "/budgets", BUDGET | {"model": "gpt-*"}),
        ("PATCH", path, {"enforcement": "soft"}),
        ("DELETE", path, None),
    ):
        answer = await two.test(method, at, body)
        assert (answer.status, answer.json["code"]) == (403, "forbidden"), (method, at)
    assert [(await two.live("GET", path)).json] == [before]
    # Its own counter is the test mode's, and so are budgets of test keys.
    assert (await two.test("POST", f"{path}/reset", {})).status == 200
    of_test = BUDGET | {"apiKeyId": two.key("test INFERENCE")}
    made = await two.test("POST", "/budgets", of_test)
    own = f"/budgets/{made.json['id']}"
    assert (await two.test("PATCH", own, {"amount": 7})).json["amount"] == 7
    assert (await two.test("DELETE", own)).status == 204


async def test_people_and_live_projects_are_managed_with_a_live_key(two: Two) -> None:
    ada = {"name": "Ada", "email": "ada@example.org"}
    path = f"/members/{await two.made('/members', ada)}"
    project = show_id("prj", two.customer.project_id)
    for method, at, body in (
        ("POST", "/members", {"name": "Bob", "email": "bob@example.org"}),
        ("PATCH", path, {"role": "admin"}),
        ("DELETE", path, None),
        ("DELETE", f"/projects/{project}", None),
    ):
        answer = await two.test(method, at, body)
        assert (answer.status, answer.json["code"]) == (403, "forbidden"), (method, at)
    assert (await two.test("GET", path)).json["role"] == "member"
    assert (await two.test("GET", f"/projects/{project}")).status == 200
    live = (await two.live("GET", f"/api-keys/{two.key('live INFERENCE')}")).json
    assert live["revokedAt"] is None
    # A project without live keys is a test key's to make and to archive.
    made = await two.test("POST", "/projects", {"name": "For a test"})
    assert (await two.test("DELETE", f"/projects/{made.json['id']}")).status == 204


async def test_where_nothing_is_live_a_test_key_does_all_of_it(whole: Whole) -> None:
    org_id, project_id, now = uuid7(), uuid7(), whole.app.rooms.clock.now()
    async with whole.database.transaction() as tx:
        await orgs.create_org(tx, org_id=org_id, name="Trying", now=now)
        await orgs.create_project(tx, org_id=org_id, project_id=project_id, name="One", now=now)
        new = NewKey(
            org_id=org_id,
            key_id=uuid7(),
            project_id=project_id,
            name="Test",
            kind=KeyKind.ADMIN,
            livemode=False,
        )
        _, key = await orgs.create_key(tx, new, chance=os.urandom(32), now=now)

    async def ask(method: str, path: str, body: Any = None) -> Answer:
        return await whole.ask(method, path, key, body)

    budget = await ask("POST", "/budgets", BUDGET)
    assert budget.status == 201
    assert (await ask("PATCH", f"/budgets/{budget.json['id']}", {"amount": 6})).status == 200
    assert (await ask("DELETE", f"/budgets/{budget.json['id']}")).status == 204
    member = await ask("POST", "/members", {"name": "Ada", "email": "a@b", "role": "owner"})
    assert member.status == 201
    project = await ask("POST", "/projects", {"name": "Two"})
    assert (await ask("DELETE", f"/projects/{project.json['id']}")).status == 204
