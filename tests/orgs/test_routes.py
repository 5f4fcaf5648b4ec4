"""The room's endpoints over real HTTP, as an organization's ADMIN key and an operator see them."""

from __future__ import annotations

import asyncio
import re
from contextlib import nullcontext
from types import NoneType
from typing import Any

import aiohttp
import pytest
from people import Acme, found_acme, hire_operator
from psycopg.errors import InsufficientPrivilege

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.orgs import (
    KeyKind,
    LastOwner,
    Member,
    Organization,
    Role,
    create_member,
    delete_member,
    update_member,
)


class Door:
    """One caller's HTTP client: `await door("POST", "projects", name="x")`."""

    def __init__(self, client: aiohttp.ClientSession, secret: str) -> None:
        self._client = client
        self._headers = {"authorization": f"Bearer {secret}"}

    async def __call__(
        self, method: str, path: str, *, headers: Any = None, **body: Any
    ) -> tuple[int, Any]:
        async with self._client.request(
            method,
            path,
            json=body or None,
            headers={**self._headers, **(headers or {})},
        ) as response:
            is_json = response.content_type.endswith("json")
            return response.status, await (
                response.json(content_type=None) if is_json else response.text()
            )


@pytest.fixture
async def admin(acme: Acme, client: aiohttp.ClientSession) -> Door:
    return Door(client, (await acme.key(kind=KeyKind.ADMIN))[1])


@pytest.fixture
async def operator(acme: Acme, client: aiohttp.ClientSession) -> Door:
    return Door(client, (await hire_operator(acme.database, acme.now))[1])


async def test_the_life_of_a_key(acme: Acme, admin: Door, client: aiohttp.ClientSession) -> None:
    project = show_id("prj", acme.project_id)
    status, made = await admin("POST", "api-keys", name="CI", projectId=project)
    assert status == 201
    secret = made.pop("secret")
    assert re.fullmatch(r"tk_live_[A-Za-z0-9_-]{43}", secret)
    assert made.pop("id").startswith("key_")
    assert made == {
        "name": "CI",
        "projectId": project,
        "kind": "INFERENCE",
        "livemode": True,
        "prefix": secret[:12],
        "clamp": False,
        "createdAt": "2026-11-20T08:00:00Z",
        "expiresAt": None,
        "revokedAt": None,
        "lastUsedAt": None,
        "memberId": None,
    }
    status, listed = await admin("GET", "api-keys")
    assert (status, len(listed["data"])) == (200, 2)
    key = listed["data"][1]
    assert "secret" not in key
    assert (await admin("GET", f"api-keys/{key['id']}")) == (200, key)

    change = {"name": "Build", "clamp": True, "expiresAt": "2027-01-01T00:00:00+01:00"}
    status, changed = await admin("PATCH", f"api-keys/{key['id']}", **change)
    expected = {**key, **change, "expiresAt": "2026-12-31T23:00:00Z"}
    assert (status, changed) == (200, expected)
    status, changed = await admin("PATCH", f"api-keys/{key['id']}", clamp=False)
    assert changed == {**expected, "clamp": False}
    status, changed = await admin("PATCH", f"api-keys/{key['id']}", expiresAt=None)
    assert changed == {**expected, "clamp": False, "expiresAt": None}

    holder = Door(client, secret)
    status, problem = await holder("GET", "api-keys")
    assert (status, problem["code"]) == (401, "admin_key_required")
    for _ in range(2):
        assert await admin("DELETE", f"api-keys/{key['id']}") == (204, "")
    await asyncio.sleep(1)
    status, problem = await holder("GET", "api-keys")
    assert (status, problem["code"]) == (401, "invalid_api_key")
    assert (await admin("GET", f"api-keys/{key['id']}"))[1]["revokedAt"] == "2026-11-20T08:00:00Z"


async def test_a_key_belongs_to_a_project_of_its_organization(
    acme: Acme, admin: Door, clock: MovableClock
) -> None:
    other = await found_acme(acme.database, clock.now(), "Other")
    for project_id in (other.project_id, uuid7()):
        project = show_id("prj", project_id)
        status, problem = await admin("POST", "api-keys", name="x", projectId=project)
        assert (status, problem["code"]) == (404, "project_not_found")
        assert project in problem["detail"]


async def test_a_test_key_makes_test_keys(acme: Acme, client: aiohttp.ClientSession) -> None:
    _, secret = await acme.key(kind=KeyKind.ADMIN, livemode=False)
    tester = Door(client, secret)
    new = {"name": "x", "projectId": show_id("prj", acme.project_id)}
    status, made = await tester("POST", "api-keys", **new)
    assert (status, made["livemode"], made["secret"][:8]) == (201, False, "tk_test_")
    status, problem = await tester("POST", "api-keys", **new, livemode=True)
    assert (status, problem["code"]) == (403, "forbidden")


async def test_an_expiry_lies_ahead(acme: Acme, admin: Door) -> None:
    new = {"name": "x", "projectId": show_id("prj", acme.project_id)}
    for moment, sentence in [
        ("2026-11-20T08:00:00Z", "must lie ahead"),
        ("9999-12-31T23:59:59-14:00", "must be between 1970 and 9000, with a time zone"),
        ("2027-01-01T00:00:00", "must be a date and time such as 2026-01-31T08:00:00Z or null"),
    ]:
        status, problem = await admin("POST", "api-keys", **new, expiresAt=moment)
        assert (status, problem["details"]["expiresAt"]["_errors"]) == (400, [sentence])


async def test_the_secret_is_shown_once(acme: Acme, admin: Door) -> None:
    new = {"name": "x", "projectId": show_id("prj", acme.project_id)}
    headers = {"idempotency-key": "k1"}
    _, made = await admin("POST", "api-keys", **new, headers=headers)
    _, again = await admin("POST", "api-keys", **new, headers=headers)
    assert again == {**made, "secret": None}
    assert len((await admin("GET", "api-keys"))[1]["data"]) == 2


async def test_the_life_of_a_project(admin: Door) -> None:
    status, made = await admin("POST", "projects", name="Søren's")
    assert status == 201
    status, problem = await admin("POST", "projects", name="Søren's")
    assert (status, problem["code"]) == (409, "duplicate_project")
    assert "Søren's" in problem["detail"]
    path = f"projects/{made['id']}"
    assert await admin("GET", path) == (200, made)
    status, problem = await admin("PATCH", path, name="Default")
    assert (status, problem["code"]) == (409, "duplicate_project")
    assert await admin("PATCH", path, name="Søren's") == (200, made)
    status, renamed = await admin("PATCH", path, name="Two")
    assert (status, renamed) == (200, {**made, "name": "Two"})
    assert await admin("DELETE", path) == (204, "")
    for method, body in [("GET", {}), ("PATCH", {"name": "x"}), ("DELETE", {})]:
        status, problem = await admin(method, path, **body)
        assert (status, problem["code"]) == (404, "project_not_found")
    assert (await admin("POST", "projects", name="Two"))[0] == 201
    status, problem = await admin("POST", "api-keys", name="x", projectId=made["id"])
    assert (status, problem["code"]) == (404, "project_not_found")


async def test_a_project_is_made_once_at_once(admin: Door) -> None:
    made = await asyncio.gather(*(admin("POST", "projects", name="Race") for _ in range(8)))
    assert sorted(status for status, _ in made) == [201] + [409] * 7
    ids = [(await admin("POST", "projects", name=f"P{n}"))[1]["id"] for n in range(6)]
    renamed = await asyncio.gather(*(admin("PATCH", f"projects/{one}", name="R") for one in ids))
    assert sorted(status for status, _ in renamed) == [200] + [409] * 5


async def test_the_life_of_a_member(admin: Door) -> None:
    ada = {"name": "Ada", "email": "Ada@Example.com", "role": "owner"}
    status, made = await admin("POST", "members", **ada)
    assert (status, made["email"], made["role"]) == (201, "ada@example.com", "owner")
    status, problem = await admin("POST", "members", name="A", email="ADA@example.com")
    assert (status, problem["code"]) == (409, "duplicate_member")
    path = f"members/{made['id']}"
    status, bob = await admin("POST", "members", name="Bob", email="bob@example.com")
    assert bob["role"] == "member"
    path = f"members/{bob['id']}"
    status, changed = await admin("PATCH", path, role="billing", name="Bob L")
    assert (status, changed) == (200, {**bob, "name": "Bob L", "role": "billing"})
    assert await admin("GET", path) == (200, changed)
    assert await admin("DELETE", path) == (204, "")
    assert (await admin("DELETE", path))[0] == 404
    assert (await admin("GET", "members"))[1]["data"] == [made]


async def test_a_members_name_turns_no_text_around(admin: Door) -> None:
    ada = {"name": "Ada ב Лу", "email": "ada@example.com"}
    status, made = await admin("POST", "members", **ada)
    assert (status, made["name"]) == (201, ada["name"])
    for name in ("Ada\u202eecila", "\u2066Ada", "\u202e", " "):
        for method, path in (("POST", "members"), ("PATCH", f"members/{made['id']}")):
            status, problem = await admin(method, path, **ada | {"name": name})
            assert (status, [*problem["details"]["name"]]) == (400, ["_errors"]), (method, name)


async def test_with_a_key_the_first_owner_is_made_and_no_other_touched(admin: Door) -> None:
    bob = (await admin("POST", "members", name="Bob", email="bob@example.com"))[1]
    new = [{"name": "O", "email": f"o{number}@example.com", "role": "owner"} for number in range(5)]
    made = await asyncio.gather(*(admin("POST", "members", **one) for one in new))
    assert sorted(status for status, _ in made) == [201] + [403] * 4
    (owner,) = [one for status, one in made if status == 201]
    path = f"members/{owner['id']}"
    for method, at, body in (
        ("PATCH", f"members/{bob['id']}", {"role": "owner"}),
        ("PATCH", path, {"role": "member"}),
        ("PATCH", path, {"name": "Somebody else"}),
        ("DELETE", path, {}),
    ):
        status, problem = await admin(method, at, **body)
        assert (status, problem["code"]) == (403, "forbidden"), (method, at, body)
        assert "by owners, in the console" in problem["detail"]
    assert (await admin("GET", "members"))[1]["data"] == [bob, owner]


async def test_a_member_becomes_the_first_owner_by_a_key(admin: Door) -> None:
    bob = (await admin("POST", "members", name="Bob", email="bob@example.com"))[1]
    status, changed = await admin("PATCH", f"members/{bob['id']}", role="owner")
    assert (status, changed) == (200, {**bob, "role": "owner"})


async def test_the_last_owner_stays_also_when_two_leave_at_once(acme: Acme) -> None:
    owners = [
        Member(
            org_id=acme.org_id,
            member_id=uuid7(),
            name="O",
            email=f"o{number}@example.com",
            role=Role.OWNER,
            created_at=acme.now,
        )
        for number in range(2)
    ]
    async with acme.database.transaction() as tx:
        for one in owners:
            await create_member(tx, one)

    async def leave(one: Member) -> None:
        async with acme.database.transaction() as tx:
            await delete_member(tx, one.org_id, one.member_id)

    left = await asyncio.gather(*map(leave, owners), return_exceptions=True)
    assert sorted(map(type, left), key=str) == [NoneType, LastOwner]
    (last,) = [one for one, how in zip(owners, left, strict=True) if how is not None]
    with pytest.raises(LastOwner):
        async with acme.database.transaction() as tx:
            place = last.org_id, last.member_id
            await update_member(tx, *place, name=None, role=Role.MEMBER)


@pytest.mark.parametrize("kind", ["projects", "members"])
async def test_lists_are_stable_while_rows_arrive(admin: Door, kind: str) -> None:
    async def make(number: int) -> None:
        more = {"email": f"m{number}@example.com"} if kind == "members" else {}
        assert (await admin("POST", kind, name=f"n{number:02}", **more))[0] == 201

    for number in range(7):
        await make(number)
    _, whole = await admin("GET", f"{kind}?limit=100")
    seen, cursor = [], ""
    while cursor is not None:
        _, page = await admin("GET", f"{kind}?limit=3&cursor={cursor}".removesuffix("&cursor="))
        seen += page["data"]
        cursor = page["nextCursor"]
        if len(seen) == 3:
            await make(99)
    assert seen[: len(whole["data"])] == whole["data"]
    assert len(seen) == len(whole["data"]) + 1


async def test_a_cursor_is_of_one_list_and_organization(
    acme: Acme, admin: Door, client: aiohttp.ClientSession, clock: MovableClock
) -> None:
    await admin("POST", "projects", name="Two")
    cursor = (await admin("GET", "projects?limit=1"))[1]["nextCursor"]
    other = await found_acme(acme.database, clock.now(), "Other")
    outsider = Door(client, (await other.key(kind=KeyKind.ADMIN))[1])
    assert (await admin("GET", f"projects?cursor={cursor}"))[0] == 200
    assert (await admin("GET", f"api-keys?cursor={cursor}"))[0] == 400
    status, problem = await outsider("GET", f"projects?cursor={cursor}")
    assert (status, [*problem["details"]]) == (400, ["_errors", "cursor"])


async def test_lists_come_as_csv_too(admin: Door) -> None:
    await admin("POST", "projects", name="=cmd()")
    status, text = await admin("GET", "projects", headers={"accept": "text/csv"})
    heading, *rows = text.splitlines()
    assert (status, heading) == (200, "id,name,createdAt")
    assert rows[1].endswith(",'=cmd(),2026-11-20T08:00:00Z")


async def test_others_things_do_not_exist(
    acme: Acme, admin: Door, client: aiohttp.ClientSession, clock: MovableClock
) -> None:
    other = await found_acme(acme.database, clock.now(), "Other")
    outsider = Door(client, (await other.key(kind=KeyKind.ADMIN))[1])
    key = (await admin("GET", "api-keys"))[1]["data"][0]["id"]
    member = (await admin("POST", "members", name="A", email="a@b"))[1]["id"]
    project = show_id("prj", acme.project_id)
    for path in (f"api-keys/{key}", f"members/{member}", f"projects/{project}"):
        for method, body in [("GET", {}), ("PATCH", {"name": "x"}), ("DELETE", {})]:
            assert (await outsider(method, path, **body))[0] == 404, (method, path)
    assert (await admin("GET", f"api-keys/{key}"))[1]["revokedAt"] is None


@pytest.mark.parametrize("secret", ["", "tk_live_x", "tk_live_" + "A" * 43])
async def test_without_a_good_key_there_is_401(client: aiohttp.ClientSession, secret: str) -> None:
    for path in ("api-keys", "projects", "members", "operator/organizations"):
        async with client.get(path, headers={"x-api-key": secret}) as response:
            assert response.status == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert (await response.json(content_type=None))["code"] == "invalid_api_key"


async def test_401_comes_before_400(client: aiohttp.ClientSession) -> None:
    async with client.post("projects?x=1", json={}) as response:
        assert response.status == 401


async def test_an_operator_makes_an_organization(
    operator: Door, client: aiohttp.ClientSession, opened_for: list[Organization]
) -> None:
    headers = {"idempotency-key": "o1"}
    body = {"name": "Globex", "projectName": "Main", "reason": "Signed"}
    status, made = await operator("POST", "operator/organizations", **body, headers=headers)
    assert status == 201
    assert [one.name for one in opened_for] == ["Globex"]
    owner = Door(client, made["secret"])
    projects = (await owner("GET", "projects"))[1]["data"]
    assert [(one["id"], one["name"]) for one in projects] == [(made["projectId"], "Main")]
    _, again = await operator("POST", "operator/organizations", **body, headers=headers)
    assert again == {**made, "secret": None}
    shown = {name: made[name] for name in ("id", "name", "createdAt")}
    assert await operator("GET", f"operator/organizations/{made['id']}") == (200, shown)
    _, listed = await operator("GET", "operator/organizations?limit=1")
    assert listed["data"] == [shown]
    _, rest = await operator("GET", f"operator/organizations?cursor={listed['nextCursor']}")
    assert [one["name"] for one in rest["data"]] == ["Acme"]

    _, log = await operator("GET", "operator/audit-log")
    (entry,) = log["data"]
    assert entry["who"].endswith(" Olga")
    assert entry["who"].startswith("opk_")
    assert {name: entry[name] for name in ("what", "why", "organizationId", "at")} == {
        "what": "organization.create",
        "why": "Signed",
        "organizationId": made["id"],
        "at": "2026-11-20T08:00:00Z",
    }


async def test_an_organization_is_whole_or_not_at_all(operator: Door, owner: Connection) -> None:
    status, _ = await operator("POST", "operator/organizations", name="Fails")
    assert status == 500
    for table in ("organization", "project", "audit_log"):
        found = await owner.execute(f"SELECT count(*) FROM {table}".encode())
        assert (await found.fetchone() or (0,))[0] == (0 if table == "audit_log" else 1)


async def test_keys_open_their_own_doors_only(admin: Door, operator: Door) -> None:
    status, problem = await admin("GET", "operator/organizations")
    assert (status, problem["code"]) == (401, "invalid_api_key")
    status, problem = await operator("GET", "projects")
    assert (status, problem["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("UPDATE audit_log SET who = 'x'", True),
        ("DELETE FROM audit_log", True),
        ("DELETE FROM api_key", True),
        ("UPDATE api_key SET secret_hash = secret_hash", True),
        ("UPDATE api_key SET kind = 'ADMIN'", True),
        ("DELETE FROM organization", True),
        ("UPDATE instance_secret SET secret = secret", True),
        ("UPDATE organization SET name = 'x'", False),
        ("DELETE FROM member", False),
    ],
)
async def test_the_application_may_do_what_it_needs(
    database: Database, statement: str, refused: bool
) -> None:
    denied = pytest.raises(InsufficientPrivilege) if refused else nullcontext()
    async with database.connection() as connection:
        with denied:
            await connection.execute(statement.encode())
