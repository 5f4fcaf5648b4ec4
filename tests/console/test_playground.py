"""The playground over HTTP: charged once, exactly, on record, and refused with the reason."""

from __future__ import annotations

import asyncio
import html
import re
from typing import Any

from browsing import Browser, Page, signed_in, staff_signed_in

from tollkeeper import orgs
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.console.chatting import Catcher
from tollkeeper.orgs import Member, Role
from whole import Customer, Whole

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
PATH = "/console/playground"
TEMPLATES = 2  # of messages, for the page's script


def anew(said: dict[str, str], **more: str) -> dict[str, str]:
    return said | {"send_id": uuid7().hex} | more


async def fields(one: Browser, text: str = "Hello", **more: str) -> dict[str, str]:
    page = await one.open(PATH)
    assert page.status == 200, page.text
    send_id = re.search(r'name="send_id" value="([0-9a-f]{32})"', page.text)
    project = re.search(r'value="(prj_[0-9a-f]{32})"', page.text)
    assert send_id
    assert project
    return {
        "form_token": page.form_token,
        "send_id": send_id[1],
        "project": project[1],
        "model": "sandbox-small",
        "longest": "100",
        "system": "",
        "talk": "",
        "text": text,
        **more,
    }


async def stream(one: Browser, said: dict[str, str]) -> Page:
    return await one.submit(f"{PATH}/answer", **said)


async def records(whole: Whole, customer: Customer) -> list[dict[str, Any]]:
    answer = await whole.ask("GET", "/billing/usage-records", customer.keys["test ADMIN"])
    return answer.json["data"]


async def available(whole: Whole, customer: Customer) -> str:
    answer = await whole.ask("GET", "/billing/balance", customer.keys["test ADMIN"])
    return answer.json["available"]


async def test_an_answer_costs_what_its_record_says(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer) as one:
        page = await one.open(PATH)
        assert "sandbox-small ($" in page.text
        streamed = await stream(one, await fields(one, system="Be brief"))
        assert streamed.status == 200
        assert streamed.headers["content-type"].startswith("text/event-stream")
        assert streamed.text.rstrip().endswith("data: [DONE]")
        (record,) = await records(whole, customer)
        assert record["id"] == streamed.headers["x-tollkeeper-usage"]
        assert record["operation"] == "chat/completions"
        assert record["tags"] == {"source": "playground"}
        assert (record["keyId"], record["status"]) == (None, 200)
        assert record["projectId"] == show_id("prj", customer.project_id)
        assert f'"cost":{record["cost"]}' in streamed.text
        assert record["balanceAfter"] == await available(whole, customer)
        cost = await one.open(f"{PATH}/cost/{record['id']}")
        assert f'title="{record["cost"]} USD"' in cost.text
        assert f'title="{record["balanceAfter"]} USD"' in cost.text
        assert f"/console/usage/{record['id']}" in cost.text
        assert (await one.open(f"{PATH}/cost/{show_id('use', uuid7())}")).status == 204


async def test_without_a_script_the_whole_talk_goes_on(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer) as one:
        said = await fields(one, HOSTILE)
        foreseen = await one.submit(PATH, **said, do="estimate")
        assert "At most" in foreseen.text
        assert await records(whole, customer) == []
        first = await one.submit(PATH, **said, do="send")
        assert first.status == 200
        assert "<script>alert" not in first.text
        assert "&lt;script&gt;alert" in first.text
        assert "Balance after" in first.text
        talk = re.search(r'name="talk" value="([^"]*)"', first.text)
        assert talk
        later = said | {"talk": html.unescape(talk[1]), "send_id": uuid7().hex, "text": "And now?"}
        second = await one.submit(PATH, **later, do="send")
        assert second.status == 200
        assert second.text.count('<li class="said') == 4 + TEMPLATES
        newest, oldest = await records(whole, customer)
        assert newest["id"] != oldest["id"]
        cleared = await one.submit(PATH, **later, do="clear")
        assert (cleared.status, cleared.location) == (303, PATH)


async def test_a_double_click_is_one_call(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer) as one:
        said = await fields(one, "[[sandbox: slow_first_byte=0.4]] hello")
        first, second = await asyncio.gather(stream(one, said), stream(one, said))
        assert sorted((first.status, second.status)) == [200, 409]
        assert "sent before" in first.text + second.text
        again = await stream(one, said)
        assert again.status == 200
        assert again.headers["idempotent-replayed"] == "true"
        other = await stream(one, said | {"text": "something else"})
        assert other.status == 422
        assert len(await records(whole, customer)) == 1
        plain = await fields(one)
        answers = await asyncio.gather(*(one.submit(PATH, **plain, do="send") for _ in range(2)))
        assert {page.status for page in answers} <= {200, 409}
        assert len(await records(whole, customer)) == 2


async def test_out_of_credits_says_what_is_missing(whole: Whole) -> None:
    poor = await whole.customer(sandbox_credit=1_000)
    async with signed_in(whole, poor, "billing") as one, signed_in(whole, poor, "member") as other:
        said = await fields(one, longest="4000")
        refused = await stream(one, said)
        assert refused.status == 402
        assert refused.headers["content-type"].startswith("text/html")
        assert "Out of credits" in refused.text
        assert 'href="/console/credits/add"' in refused.text
        assert 'title="0.000001 USD"' in refused.text
        whole_page = await one.submit(PATH, **anew(said), do="send")
        assert whole_page.status == 402
        assert ">Hello</textarea>" in whole_page.text
        for_member = await stream(other, await fields(other, longest="4000"))
        assert for_member.status == 402
        assert "Ask an owner" in for_member.text
        assert "/console/credits" not in for_member.text
        assert "USD" not in for_member.text
        # What was refused is not lost: once there is credit the same is sent again.
        bought = await whole.ask(
            "POST", "/billing/purchases", poor.keys["test ADMIN"], {"amount": 5}
        )
        assert bought.json["status"] == "succeeded"
        assert (await stream(one, said)).status == 200
        assert len(await records(whole, poor)) == 1


async def test_members_chat_and_are_told_of_no_money(whole: Whole, customer: Customer) -> None:
    async with signed_in(whole, customer, "member") as one:
        said = await fields(one, '"cost": 1')
        first, again = await stream(one, said), await stream(one, said)
        assert again.headers["idempotent-replayed"] == "true"
        for streamed in (first, again):
            assert streamed.status == 200
            assert "cost" not in streamed.text.replace('\\"cost', "")
            assert '"usage":{' in streamed.text
            assert streamed.text.endswith("data: [DONE]\n\n")
            assert "x-tollkeeper-cost" not in streamed.headers
        said = anew(said)
        estimate = await one.submit(f"{PATH}/estimate", **said)
        assert "tokens read" in estimate.text
        page = await one.submit(PATH, **said, do="send")
        for shown in (estimate.text, page.text, (await one.open(PATH)).text):
            assert "$" not in shown
            assert 'class="money"' not in shown
        assert len(await records(whole, customer)) == 2


async def test_an_event_that_comes_in_pieces_tells_no_cost() -> None:
    passed: list[Any] = []

    async def send(message: Any) -> None:
        passed.append(message)

    words = b'data: {"choices":[{"delta":{"content":"the \\"cost\\": 1"}}],"usage":null}\n\n'
    ending = (
        b'data: {"cost":0.1,"choices":[],"usage":{"total_tokens":3,"cost":0.1,"cost_details":{}}}'
    )
    sent = words + ending + b"\r\n\ndata: [DONE]\n\n"
    kept = words + b'data: {"choices":[],"usage":{"total_tokens":3}}\n\ndata: [DONE]\n\n'
    for size in (1, 7, len(sent)):
        passed.clear()
        catcher = Catcher(send, sees_money=False)
        headers = [(b"x-tollkeeper-cost", b"0.1"), (b"content-length", b"1"), (b"x", b"y")]
        await catcher({"type": "http.response.start", "status": 200, "headers": headers})
        for start in range(0, len(sent), size):
            more, piece = start + size < len(sent), sent[start : start + size]
            await catcher({"type": "http.response.body", "body": piece, "more_body": more})
        assert passed[0]["headers"] == [(b"x", b"y")]
        assert b"".join(message["body"] for message in passed[1:]) == kept


async def test_a_members_budget_stops_them(whole: Whole, customer: Customer) -> None:
    member_id = uuid7()
    async with whole.database.transaction() as tx:
        member = Member(
            org_id=customer.org_id,
            member_id=member_id,
            name="Ada",
            email="ada@example.org",
            role=Role.ADMIN,
            created_at=whole.app.rooms.clock.now(),
        )
        await orgs.create_member(tx, member)
    key = customer.keys["live ADMIN"]
    budget = {
        "name": "Ada's",
        "memberId": show_id("mem", member_id),
        "measure": "cost",
        "amount": 0,
        "period": "month",
    }
    made = await whole.ask("POST", "/budgets", key, budget)
    assert made.status == 201, made.text
    body = {
        "organizationId": customer.id,
        "role": "admin",
        "member": show_id("mem", member_id),
        "livemode": False,
    }
    link = (await whole.operate("POST", "/portal-sessions", body)).json["url"]
    async with signed_in(whole, customer) as other, signed_in(whole, customer) as one:
        await one.open(link)
        refused = await stream(one, await fields(one))
        assert refused.status == 402
        assert "A limit is reached" in refused.text
        assert "Ada&#39;s" in refused.text or "member" in refused.text
        assert (await stream(other, await fields(other))).status == 200


async def test_what_cannot_be_sent_is_told_beside_its_field(
    whole: Whole, customer: Customer
) -> None:
    other = await whole.customer()
    async with signed_in(whole, customer) as one:
        good = await fields(one)
        for fault, said in {
            "Write something": {"text": "  "},
            "A number of tokens": {"longest": "0"},
            "tokens, 1 to": {"longest": "9" * 5000},
            "number of tokens": {"longest": "00000000199999"},
            "Choose a model": {"model": ""},
            "Choose a project": {"project": show_id("prj", other.project_id)},
            "could not be read": {"talk": '[{"role":"system","content":"x"}]'},
            "too long": {"talk": "x" * 400_001},
        }.items():
            page = await one.submit(PATH, **good | said, do="send")
            assert (page.status, fault in page.text) == (400, True), fault
            assert (await stream(one, good | said)).status == 400
            estimate = await one.submit(f"{PATH}/estimate", **good | said)
            assert estimate.status == 200
        unknown = await stream(one, anew(good, model=HOSTILE))
        assert unknown.status in {404, 422}
        assert "not for sale" in unknown.text
        assert "<script>" not in unknown.text
        failed = await stream(one, anew(good, text="[[sandbox: error=500]]"))
        assert failed.status >= 500
        assert "did not answer" in failed.text
        assert {record["cost"] for record in await records(whole, customer)} <= {"0", 0}
        forged = await stream(one, good | {"form_token": "0" * 64})
        assert forged.status == 403


async def test_staff_who_look_on_do_not_spend(whole: Whole, customer: Customer) -> None:
    async with staff_signed_in(whole) as one:
        path = f"/console/staff/organizations/{customer.id}/open"
        asked = await one.open(path)
        once = re.search(r'name="once" value="([0-9a-f]{32})"', asked.text)
        assert once
        known = {"form_token": asked.form_token, "once": once[1]}
        why = {"role": "owner", "livemode": "false", "reason": "a call of theirs"}
        opened = await one.submit(path, **known, **why)
        assert opened.status == 303, opened.text
        said = await fields(one)
        assert "At most" in (await one.submit(f"{PATH}/estimate", **said)).text
        for refused in (await stream(one, said), await one.submit(PATH, **said, do="send")):
            assert refused.status == 403
            assert "You only look at this organization" in refused.text
        assert await records(whole, customer) == []
