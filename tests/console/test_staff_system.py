"""The operator's pages of the system: jobs, the inbox, the audit log, settings, providers."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from browsing import Browser, signed_in, staff_signed_in

from tollkeeper import jobs
from tollkeeper.base.clock import MovableClock
from tollkeeper.jobs import Task
from tollkeeper.payments.inbox import store as inbox
from tollkeeper.payments.processors.__init__ import RawEvent
from whole import Customer, Whole

PAGES = ("jobs", "inbox", "audit", "settings", "providers")
HOPELESS = Task("tests.hopeless", tries=1)


async def read(one: Browser, path: str) -> str:
    page = await one.open(f"/console/staff/{path}")
    assert page.status == 200, page.text
    return page.text


async def add_event(whole: Whole, clock: MovableClock, event_id: str = "evt_1") -> None:
    event = RawEvent(
        processor="sandbox",
        event_id=event_id,
        type="no.such.thing",
        created_at=clock.now(),
        body=b'{"id": "evt_1", "note": "<b>bold</b>"}',
    )
    async with whole.database.connection() as connection:
        await inbox.insert(connection, event, clock.now(), livemode=False)


async def fail_a_job(whole: Whole) -> int:
    async with whole.database.transaction() as tx:
        await jobs.enqueue(tx, HOPELESS, once="only one", org="org_1")
        row = await (
            await tx.execute(
                "UPDATE queue.procrastinate_jobs SET status = 'failed'"
                " WHERE task_name = 'tests.hopeless' RETURNING id"
            )
        ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("role", ["admin", "viewer"])
async def test_the_staff_reads_every_page_and_others_none(
    whole: Whole, customer: Customer, role: str
) -> None:
    async with staff_signed_in(whole, role) as one, signed_in(whole, customer) as owner:
        for page in PAGES:
            assert f'href="/console/staff/{page}" aria-current' in await read(one, page)
            assert (await owner.open(f"/console/staff/{page}")).status in {303, 401, 403}


async def test_a_job_that_was_given_up_runs_again_and_is_noted(whole: Whole) -> None:
    job_id = await fail_a_job(whole)
    path = f"/console/staff/jobs/{job_id}/run"
    async with staff_signed_in(whole, "viewer") as viewer:
        page = await viewer.open("/console/staff/jobs")
        assert "tests.hopeless" in page.text
        assert "Run again" not in page.text
        assert (await viewer.submit(path, form_token=page.form_token)).status == 403
    async with staff_signed_in(whole) as one:
        page = await one.open("/console/staff/jobs")
        assert "Run again" in page.text
        assert (await one.submit(path)).status == 403
        again = await one.submit(path, form_token=page.form_token)
        assert (again.status, again.location) == (303, "/console/staff/jobs?done=job_again")
        assert (await one.submit(path, form_token=page.form_token)).status == 404
        assert "job.run_again" in await read(one, "audit")
    async with whole.database.connection() as connection:
        backlog = await jobs.read_backlog(connection)
    (found,) = [one for one in backlog if one.task == "tests.hopeless"]
    assert (found.failed, found.waiting + found.running) == (0, 1)


async def test_an_event_is_shown_as_it_came_and_handled_again(
    whole: Whole, clock: MovableClock
) -> None:
    await add_event(whole, clock)
    async with staff_signed_in(whole) as one:
        listed = await read(one, "inbox?processor=sandbox")
        assert "no.such.thing" in listed
        path = re.search(r'href="(/console/staff/inbox/sandbox/evt_1)"', listed)
        assert path is not None
        page = await one.open(path[1])
        assert "&lt;b&gt;bold&lt;/b&gt;" in page.text
        replayed = await one.submit(f"{path[1]}/replay", form_token=page.form_token)
        assert replayed.status == 303
        assert "webhook.replay" in await read(one, "audit")
        for wrong in ("inbox/sandbox/evt_2", "inbox/paypal/evt_1"):
            assert (await one.open(f"/console/staff/{wrong}")).status == 404
        for wrong in ("inbox?processor=paypal", "inbox?state=lost"):
            assert (await one.open(f"/console/staff/{wrong}")).status == 400


async def test_the_audit_log_is_narrowed_to_an_organization(
    whole: Whole, customer: Customer
) -> None:
    other = await whole.customer()
    for who, reason in ((customer, "welcome & <hello>"), (other, "for another")):
        body = {"amount": 5, "reason": reason, "currency": "USD"}
        answer = await whole.operate("POST", f"/organizations/{who.id}/grants", body)
        assert answer.status < 300, answer.text
    async with staff_signed_in(whole, "viewer") as one:
        everything = await read(one, "audit")
        assert "welcome &amp; &lt;hello&gt;" in everything
        assert "for another" in everything
        # The operator's key by its name; the id when one points at it.
        assert re.search(
            r'title="opk_[0-9a-f]{32} ([^"]+)">\1 <span class="badge">Operator key</span>',
            everything,
        )
        assert not re.search(r">\s*opk_", everything)
        narrowed = await read(one, f"audit?organization={customer.id}")
        assert "welcome" in narrowed
        assert "for another" not in narrowed
        assert (await one.open("/console/staff/audit?organization=acme")).status == 400


async def test_settings_say_what_was_set_and_never_a_secret(whole: Whole) -> None:
    async with staff_signed_in(whole, "viewer") as one:
        text = await read(one, "settings")
    assert "low_balance" in text
    assert "Most pooled connections of each process." in text
    assert "[server]" in text


async def test_jobs_are_read_page_by_page(whole: Whole, clock: MovableClock) -> None:
    clock.advance(timedelta(seconds=1))
    made = [await fail_a_job(whole) for _ in range(27)]
    async with staff_signed_in(whole, "viewer") as one:
        first = await read(one, "jobs")
        older = re.search(r'href="(/console/staff/jobs\?before=\d+)"', first)
        assert older is not None
        second = (await one.open(older[1])).text
    assert first.count("tests.hopeless") == 25 + 1
    assert second.count("tests.hopeless") == len(made) - 25 + 1
