"""The pages by which a customer runs their organization: acts, roles, faults, strangers."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from browsing import Browser, Page, signed_in

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id, uuid7
from whole import Answer, Customer, Whole

KEYS, PROJECTS, MEMBERS = "/console/keys", "/console/projects", "/console/members"


def read(page: Page) -> str:
    """What a page says, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


async def send(one: Browser, path: str, **fields: str) -> Page:
    token = (await one.open("/console/usage")).form_token
    return await one.submit(path, form_token=token, **fields)


async def new_id(one: Browser) -> str:
    found = re.search(r'name="newId" value="(key_\w+)"', (await one.open(f"{KEYS}/new")).text)
    assert found
    return found[1]


async def make_key(one: Browser, customer: Customer, name: str = "Production", **more: str) -> Page:
    fields = {
        "newId": await new_id(one),
        "name": name,
        "projectId": show_id("prj", customer.project_id),
        "kind": "INFERENCE",
        "expiresAt": "",
        "costPeriod": "month",
        "tokenPeriod": "month",
    }
    return await send(one, KEYS, **(fields | more))


def secret_in(page: Page) -> str:
    found = re.search(r'id="secret" value="(tk_\w+_[\w-]{43})"', page.text)
    assert found, page.text
    return found[1]


async def ask(whole: Whole, customer: Customer, path: str) -> Any:
    return (await whole.ask("GET", path, customer.keys["test ADMIN"])).json


async def call(whole: Whole, secret: str, output: int = 2000) -> Answer:
    body = {
        "provider": "sandbox",
        "model": "sandbox-small",
        "operation": "chat",
        "usage": {"input": 1000, "output": output},
        "requestId": str(uuid7()),
    }
    return await whole.ask("POST", "/metering/charges", secret, body)


async def audited(whole: Whole, customer: Customer) -> list[tuple[str, str]]:
    rows = (await whole.operate("GET", "/audit-log")).json["data"]
    return [(row["what"], row["who"]) for row in rows if row["organizationId"] == customer.id]


async def test_a_key_is_made_once_and_its_secret_shown_once(
    whole: Whole, customer: Customer
) -> None:
    async with signed_in(whole, customer, "admin") as one:
        fields = {
            "newId": await new_id(one),
            "name": "Production",
            "projectId": show_id("prj", customer.project_id),
            "kind": "INFERENCE",
            "expiresAt": "",
            "costLimit": "$1,000.50",
            "costPeriod": "month",
            "tokenLimit": "200,000",
            "tokenPeriod": "day",
            "requestLimit": "60",
        }
        made = await send(one, KEYS, **fields)
        assert made.status == 200
        assert made.headers["cache-control"] == "no-store"
        secret = secret_in(made)
        assert secret.startswith("tk_test_")
        again = await send(one, KEYS, **fields)
        assert (again.status, again.location) == (303, f"{KEYS}?done=key_made_before")
        page = await one.open(KEYS)
        assert secret not in page.text
        assert page.text.count("Production</strong>") == 1
        assert secret[:12] in page.text
        assert "$0.00 / $1,000.50" in read(page)
        assert "200,000 tokens" in read(page)
        assert (await call(whole, secret)).status == 200
    budgets = (await ask(whole, customer, "/budgets"))["data"]
    assert [(one["measure"], one["amount"], one["period"]) for one in budgets] == [
        ("cost", "1000.5", "month"),
        ("tokens", 200_000, "day"),
        ("requests", 60, "minute"),
    ]
    assert len({one["apiKeyId"] for one in budgets}) == 1
    (what, who), *_ = await audited(whole, customer)
    assert what == "api_key.create"
    assert who.startswith("console ses_")


@pytest.mark.parametrize("livemode", [True, False])
async def test_a_session_makes_keys_of_its_own_mode(
    whole: Whole, customer: Customer, livemode: bool
) -> None:
    prefix = "tk_live_" if livemode else "tk_test_"
    other = customer.key_ids["test INFERENCE" if livemode else "live INFERENCE"]
    async with signed_in(whole, customer, "owner", livemode=livemode) as one:
        made = await make_key(one, customer, kind="ADMIN")
        assert secret_in(made).startswith(prefix)
        listed = await one.open(KEYS)
        assert ("live ADMIN" in listed.text, "test ADMIN" in listed.text) == (
            livemode,
            not livemode,
        )
        for path in ("", "/revoke"):
            assert (await one.open(f"{KEYS}/{show_id('key', other)}{path}")).status == 404


async def test_faults_stand_beside_their_fields_and_what_was_typed_is_kept(
    whole: Whole, customer: Customer
) -> None:
    async with signed_in(whole, customer) as one:
        page = await make_key(
            one,
            customer,
            name=" ",
            projectId=show_id("prj", uuid7()),
            expiresAt="2020-01-31",
            costLimit="much",
            tokenLimit="1.5",
            requestLimit="0",
            kind="ROOT",
        )
        assert page.status == 400
        faulty = ("name", "kind", "expiresAt", "costLimit", "tokenLimit", "requestLimit")
        for field in faulty:
            assert f'id="{field}-fault"' in page.text, field
        assert 'value="much"' in page.text
        gone = await make_key(one, customer, projectId=show_id("prj", uuid7()))
        assert 'id="projectId-fault"' in gone.text
        assert (await ask(whole, customer, "/budgets"))["data"] == []


async def test_a_key_is_changed_and_revoked(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    async with signed_in(whole, customer) as one:
        secret = secret_in(await make_key(one, customer, "Robot", costLimit="5"))
        listed = (await ask(whole, customer, "/api-keys"))["data"]
        key = next(key["id"] for key in listed if key["name"] == "Robot")
        path = f"{KEYS}/{key}"
        assert 'value="5"' in (await one.open(path)).text
        soon = f"{clock.now() + timedelta(days=3):%Y-%m-%d}"
        fields = {"costPeriod": "month", "tokenPeriod": "month"}
        saved = await send(one, path, name="Rover", expiresAt=soon, costLimit="7.25", **fields)
        assert (saved.status, saved.location) == (303, f"{KEYS}?done=saved")
        shown = await one.open(path)
        assert f'value="{soon}"' in shown.text
        assert 'value="7.25"' in shown.text
        wrong = await send(one, path, name="", expiresAt="2020-01-01", **fields)
        assert wrong.status == 400
        assert 'id="name-fault"' in wrong.text
        assert 'id="expiresAt-fault"' in wrong.text
        await send(one, path, name="Rover", expiresAt="", **fields)
        assert (await ask(whole, customer, "/budgets"))["data"] == []
        assert (await ask(whole, customer, f"/api-keys/{key}"))["expiresAt"] is None
        assert "type Rover" in (await one.open(f"{path}/revoke")).text
        mistyped = await send(one, f"{path}/revoke", confirmation="Robot")
        assert (mistyped.status, "This is not the name" in mistyped.text) == (400, True)
        assert (await call(whole, secret)).status == 200
        revoked = await send(one, f"{path}/revoke", confirmation="Rover")
        assert (revoked.status, revoked.location) == (303, f"{KEYS}?done=key_revoked")
        assert "Rover" not in (await one.open(KEYS)).text
        assert "Rover" in (await one.open(f"{KEYS}?ended=1")).text
        assert "This key was revoked" in (await one.open(path)).text
    acts = [what for what, _ in await audited(whole, customer)]
    assert acts[:4] == ["api_key.revoke", "api_key.update", "api_key.update", "api_key.create"]


async def test_projects_are_made_renamed_and_archived(whole: Whole, customer: Customer) -> None:
    await call(whole, customer.keys["test INFERENCE"])
    async with signed_in(whole, customer) as one:
        page = await one.open(PROJECTS)
        assert "All projects share one balance" in page.text
        assert re.search(r"\$0\.00\d*[1-9]", read(page))
        made = await send(one, PROJECTS, name="Research")
        assert (made.status, made.location) == (303, f"{PROJECTS}?done=project_made")
        twice = await send(one, PROJECTS, name="Research")
        assert (twice.status, 'id="name-fault"' in twice.text) == (400, True)
        assert (await send(one, PROJECTS, name=" ")).status == 400
        listed = (await ask(whole, customer, "/projects"))["data"]
        path = f"{PROJECTS}/{listed[-1]['id']}"
        assert (await send(one, path, name="Default")).status == 400
        assert (await send(one, path, name="Science")).status == 303
        assert "Rename Science" in (await one.open(path)).text
        assert (await send(one, f"{path}/archive", confirmation="Research")).status == 400
        done = await send(one, f"{path}/archive", confirmation="Science")
        assert (done.status, done.location) == (303, f"{PROJECTS}?done=project_archived")
        assert "Science" not in (await one.open(PROJECTS)).text
        assert (await one.open(path)).status == 404
    acts = [what for what, _ in await audited(whole, customer)]
    assert acts[:3] == ["project.archive", "project.rename", "project.create"]


async def test_members_are_added_changed_and_removed(whole: Whole, customer: Customer) -> None:
    ada = {"name": "Ada", "email": "Ada@example.org", "role": "owner"}
    async with signed_in(whole, customer) as one:
        made = await send(one, MEMBERS, **ada)
        assert (made.status, made.location) == (303, f"{MEMBERS}?done=member_added")
        twice = await send(one, MEMBERS, **ada)
        assert (twice.status, 'id="email-fault"' in twice.text) == (400, True)
        wrong = await send(one, MEMBERS, name="", email="nobody", role="king")
        assert all(f'id="{name}-fault"' in wrong.text for name in ("name", "email", "role"))
        (member,) = (await ask(whole, customer, "/members"))["data"]
        assert (member["email"], member["role"]) == ("ada@example.org", "owner")
        path = f"{MEMBERS}/{member['id']}"
        last = await send(one, path, name="Ada", role="member")
        assert (last.status, 'id="role-fault"' in last.text) == (400, True)
        stays = await send(one, f"{path}/remove", confirmation="Ada")
        assert (stays.status, "Make somebody else an owner first" in stays.text) == (400, True)
        await send(one, MEMBERS, name="Bob", email="bob@example.org", role="owner")
        assert (await send(one, path, name="Ada L.", role="billing")).status == 303
        assert (await send(one, f"{path}/remove", confirmation="Ada")).status == 400
        gone = await send(one, f"{path}/remove", confirmation="Ada L.")
        assert (gone.status, gone.location) == (303, f"{MEMBERS}?done=member_removed")
        page = await one.open(MEMBERS)
        assert ("Bob" in page.text, "Ada" in page.text) == (True, False)
    acts = [what for what, _ in await audited(whole, customer)]
    assert acts[:4] == ["member.remove", "member.update", "member.add", "member.add"]


async def test_only_owners_make_change_and_remove_owners(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer, "owner") as owner:
        for name, role in (("Ada", "owner"), ("Bob", "owner"), ("Eve", "member")):
            await send(owner, MEMBERS, name=name, email=f"{name}@example.org", role=role)
    ids = {one["name"]: one["id"] for one in (await ask(whole, customer, "/members"))["data"]}
    async with signed_in(whole, customer, "admin") as admin:
        page = await admin.open(MEMBERS)
        assert 'value="owner"' not in page.text
        assert f"{MEMBERS}/{ids['Ada']}" not in page.text
        ada, eve = f"{MEMBERS}/{ids['Ada']}", f"{MEMBERS}/{ids['Eve']}"
        refused = [
            await admin.open(ada),
            await send(admin, ada, name="Ada", role="member"),
            await send(admin, f"{ada}/remove", confirmation="Ada"),
            await send(admin, eve, name="Eve", role="owner"),
            await send(admin, MEMBERS, name="Mo", email="mo@example.org", role="owner"),
        ]
        assert [one.status for one in refused] == [403] * 5
        assert (await send(admin, eve, name="Eve", role="admin")).status == 303
    roles = {one["name"]: one["role"] for one in (await ask(whole, customer, "/members"))["data"]}
    assert roles == {"Ada": "owner", "Bob": "owner", "Eve": "admin"}


async def test_what_a_plan_has_no_room_for_leads_to_the_plans(
    whole: Whole, customer: Customer
) -> None:
    plan = {
        "code": "free",
        "name": "Free",
        "capacities": {"api_keys": 4, "projects": 1, "seats": 0},
    }
    await whole.operate("POST", "/plans", {"plan": plan, "reason": "x"})
    async with signed_in(whole, customer) as one:
        refused = {
            "4 API keys": await make_key(one, customer, "Kept"),
            "1 projects": await send(one, PROJECTS, name="Kept"),
            "0 members": await send(
                one, MEMBERS, name="Kept", email="a@example.org", role="member"
            ),
        }
    for said, page in refused.items():
        assert page.status == 400
        assert f"Your plan, Free, has room for {said}" in read(page)
        assert 'href="/console/plan"' in page.text
        assert 'value="Kept"' in page.text
    kept = await whole.ask("GET", "/api-keys", customer.keys["live ADMIN"])
    assert len(kept.json["data"]) == 4


def places(customer: Customer, ids: dict[str, str]) -> list[tuple[str, str]]:
    """Every address with an id, and every form, with who is asked for."""
    key = show_id("key", customer.key_ids["test INFERENCE"])
    project = show_id("prj", customer.project_id)
    paths = [
        f"{KEYS}/{key}",
        f"{KEYS}/{key}/revoke",
        f"{PROJECTS}/{project}",
        f"{PROJECTS}/{project}/archive",
        f"{MEMBERS}/{ids['member']}",
        f"{MEMBERS}/{ids['member']}/remove",
    ]
    return [(method, path) for path in paths for method in ("GET", "POST")]


async def test_nothing_of_another_organization_is_reached(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer) as one:
        await send(one, MEMBERS, name="Eve", email="eve@example.org", role="member")
    ids = {"member": (await ask(whole, customer, "/members"))["data"][0]["id"]}
    fields = {"name": "Taken", "role": "member", "confirmation": "Default", "expiresAt": ""}
    async with signed_in(whole, await whole.customer()) as stranger:
        for method, path in places(customer, ids):
            page = (
                await stranger.open(path)
                if method == "GET"
                else await send(stranger, path, **fields)
            )
            assert page.status == 404, (method, path)
        foreign = await make_key(stranger, customer, "Foreign")
        assert (foreign.status, 'id="projectId-fault"' in foreign.text) == (400, True)
        for path in (KEYS, PROJECTS, MEMBERS):
            assert (await stranger.open(f"{path}/nonsense")).status == 404
    assert "Taken" not in str(await ask(whole, customer, "/api-keys"))
    assert "Taken" not in str(await ask(whole, customer, "/projects"))


@pytest.mark.parametrize("role", ["billing", "member"])
async def test_keys_projects_and_members_are_for_owners_and_admins(
    whole: Whole, customer: Customer, role: str
) -> None:
    async with signed_in(whole, customer) as owner:
        await send(owner, MEMBERS, name="Eve", email="eve@example.org", role="member")
    ids = {"member": (await ask(whole, customer, "/members"))["data"][0]["id"]}
    lists = [(method, path) for path in (KEYS, PROJECTS, MEMBERS) for method in ("GET", "POST")]
    async with signed_in(whole, customer, role) as one:
        for method, path in [*places(customer, ids), *lists, ("GET", f"{KEYS}/new")]:
            page = await one.open(path) if method == "GET" else await send(one, path, name="x")
            assert page.status == 403, (method, path)
        assert KEYS not in (await one.open("/console/usage")).text


async def test_names_of_customers_are_shown_as_text(whole: Whole, customer: Customer) -> None:
    hostile = "<script>alert(1)</script>"
    async with signed_in(whole, customer) as one:
        await make_key(one, customer, hostile)
        await send(one, PROJECTS, name=hostile)
        await send(one, MEMBERS, name=hostile, email="x@example.org", role="member")
        for path in (KEYS, PROJECTS, MEMBERS):
            page = await one.open(path)
            assert hostile not in page.text
            assert "&lt;script&gt;" in page.text


LIMITS = "/console/limits"
BUDGET = {
    "name": "Research",
    "measure": "cost",
    "amount": "12.50",
    "period": "day",
    "timeZone": "Europe/Berlin",
    "model": "sandbox-*",
    "tag": "team=search",
    "enforcement": "soft",
    "alertPercents": "80, 50%, 120",
    "tolerancePercent": "10",
}


async def budgets_of(whole: Whole, customer: Customer) -> list[dict[str, Any]]:
    return (await ask(whole, customer, "/budgets"))["data"]


async def test_budgets_are_added_changed_begun_anew_and_deleted(
    whole: Whole, customer: Customer
) -> None:
    key = show_id("key", customer.key_ids["test INFERENCE"])
    async with signed_in(whole, customer, "billing") as one:
        shown = (await one.open(f"{LIMITS}/new")).text
        (named,) = re.findall(r'name="newId" value="(bud_[0-9a-f]{32})"', shown)
        made = await send(one, LIMITS, **BUDGET, newId=named)
        assert (made.status, made.location) == (303, f"{LIMITS}?done=budget_made")
        again = await send(one, LIMITS, **BUDGET | {"amount": "99"}, newId=named)
        assert again.location == f"{LIMITS}/{named}?done=budget_made_before"
        (budget,) = await budgets_of(whole, customer)
        said = {name: budget[name] for name in BUDGET}
        assert said == BUDGET | {
            "amount": "12.5",
            "alertPercents": [50, 80, 120],
            "tolerancePercent": 10,
        }
        only_key = {"name": "Keyed", "measure": "tokens", "amount": "5,000", "period": "month"}
        await send(one, LIMITS, **only_key, apiKeyId=key, enforcement="hard")
        await send(one, LIMITS, **only_key, each="model", enforcement="hard")
        spent = {"name": "Spent", "measure": "cost", "amount": "12", "period": "month"}
        await send(one, LIMITS, **spent, each="apiKey", enforcement="hard")
        page = await one.open(LIMITS)
        assert "$12.00</span> each" in page.text
        assert "model sandbox-*, tag team=search" in page.text
        assert "key test INFERENCE" in page.text
        assert key not in page.text
        assert "each model" in page.text
        assert "5,000 tokens each" in page.text
        path = f"{LIMITS}/{(await budgets_of(whole, customer))[1]['id']}"
        assert (await call(whole, customer.keys["test INFERENCE"])).status == 200
        assert "3,000 tokens / 5,000 tokens" in read(await one.open(path))
        refused = await call(whole, customer.keys["test INFERENCE"])
        assert (refused.status, refused.json["code"]) == (402, "api_key_spend_limit_exceeded")
        begun = await send(one, f"{path}/reset")
        assert (begun.status, begun.location) == (303, f"{LIMITS}?done=budget_reset")
        assert "0 tokens / 5,000 tokens" in read(await one.open(path))
        fields = {"name": "Keyed", "amount": "9000", "enforcement": "soft"}
        saved = await send(one, path, **fields, alertPercents="", tolerancePercent="")
        assert (saved.status, saved.location) == (303, f"{LIMITS}?done=saved")
        changed = (await budgets_of(whole, customer))[1]
        assert (changed["amount"], changed["enforcement"]) == (9000, "soft")
        assert changed["alertPercents"] == []
        assert (await send(one, f"{path}/delete", confirmation="keyed")).status == 400
        gone = await send(one, f"{path}/delete", confirmation="Keyed")
        assert (gone.status, gone.location) == (303, f"{LIMITS}?done=budget_deleted")
        assert len(await budgets_of(whole, customer)) == 3
        assert (await one.open(path)).status == 404
    acts = [what for what, _ in await audited(whole, customer)]
    assert acts[:4] == ["budget.delete", "budget.update", "budget.reset", "budget.create"]


async def test_every_fault_of_a_budget_stands_beside_its_field(
    whole: Whole, customer: Customer
) -> None:
    wrong = {
        "name": "",
        "measure": "hours",
        "amount": "",
        "period": "year",
        "tag": "search",
        "alertPercents": "all",
        "tolerancePercent": "101",
        "enforcement": "hard",
    }
    faulty = (
        "name",
        "measure",
        "amount",
        "period",
        "tag",
        "alertPercents",
        "tolerancePercent",
    )
    async with signed_in(whole, customer) as one:
        page = await send(one, LIMITS, **wrong)
        assert page.status == 400
        for name in faulty:
            assert f'id="{name}-fault"' in page.text, name
        assert 'value="all"' in page.text
        strange = {"projectId": show_id("prj", uuid7()), "timeZone": "Mars/Base"}
        unknown = await send(one, LIMITS, **(BUDGET | strange))
        assert unknown.status == 400
        assert 'id="projectId-fault"' in unknown.text
        assert 'id="timeZone-fault"' in unknown.text
        parts = await send(one, LIMITS, **(BUDGET | {"measure": "tokens"}))
        assert 'id="amount-fault"' in parts.text
        await send(one, LIMITS, **BUDGET)
        path = f"{LIMITS}/{(await budgets_of(whole, customer))[0]['id']}"
        changed = await send(one, path, name="", amount="x", alertPercents="x", enforcement="x")
        for name in ("name", "amount", "alertPercents", "enforcement"):
            assert f'id="{name}-fault"' in changed.text, name


async def test_budgets_are_for_who_sees_money_and_for_no_stranger(
    whole: Whole, customer: Customer
) -> None:
    async with signed_in(whole, customer) as one:
        await send(one, LIMITS, **BUDGET)
    path = f"{LIMITS}/{(await budgets_of(whole, customer))[0]['id']}"
    asked = [path, f"{path}/delete"]
    sent = [path, f"{path}/delete", f"{path}/reset"]
    fields = BUDGET | {"confirmation": BUDGET["name"], "amount": "1"}
    async with signed_in(whole, customer, "member") as one:
        pages = [await one.open(at) for at in [LIMITS, f"{LIMITS}/new", *asked]]
        pages += [await send(one, at, **fields) for at in [LIMITS, *sent]]
        assert [page.status for page in pages] == [403] * 8
    async with signed_in(whole, await whole.customer()) as stranger:
        pages = [await stranger.open(at) for at in asked]
        pages += [await send(stranger, at, **fields) for at in sent]
        assert [page.status for page in pages] == [404] * 5
        key = show_id("key", customer.key_ids["test INFERENCE"])
        foreign = await send(stranger, LIMITS, **(BUDGET | {"apiKeyId": key}))
        assert (foreign.status, 'id="apiKeyId-fault"' in foreign.text) == (400, True)
    (budget,) = await budgets_of(whole, customer)
    assert budget["amount"] == "12.5"
