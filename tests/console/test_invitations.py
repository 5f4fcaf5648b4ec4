"""Who is invited, by whom, how the link gets to them, and what it is good for."""

from __future__ import annotations

import re
import secrets
from email.message import EmailMessage

import pytest
from account_holders import (
    ACCOUNT,
    PASSWORD,
    STAFF,
    audited,
    cookies_of,
    enter,
    fill,
    invite_member,
    with_password,
)
from browsing import browser, make_account, signed_in, staff_signed_in

from tollkeeper import orgs
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id
from tollkeeper.console.signing_in import accounts, store
from tollkeeper.console.signing_in.links import making
from tollkeeper.console.signing_in.links import store as links
from tollkeeper.console.signing_in.links.mailing import mailing_handlers
from tollkeeper.console.signing_in.links.making import NewLink, Post
from tollkeeper.console.signing_in.model import Purpose, StaffRole
from tollkeeper.operator import Act
from tollkeeper.orgs import Role
from whole import Customer, Whole


async def test_staff_are_invited_changed_and_disabled_by_admins(whole: Whole) -> None:
    async with (
        staff_signed_in(whole) as admin,
        staff_signed_in(whole, "viewer") as viewer,
        browser(whole) as one,
    ):
        fields = {"email": "new@example.org", "role": "viewer"}
        token = (await viewer.open(STAFF)).form_token
        assert (await viewer.submit(STAFF, form_token=token, **fields)).status == 403
        assert (await fill(admin, STAFF, **fields | {"email": "x"})).status == 400
        invited = await fill(admin, STAFF, **fields)
        link = re.search(rf"{whole.url}/console/invitation/[\w-]+", invited.text)
        assert link, invited.text
        assert link[0] not in (await admin.open(STAFF)).text
        joined = await fill(one, link[0], name="New", password=PASSWORD)
        assert joined.location == "/console/staff"
        page = await one.open(STAFF)
        assert "New · Viewer" in page.text
        async with whole.database.connection() as connection:
            account = await store.find_account_by_email(connection, "new@example.org")
        assert account is not None
        act_path = f"{STAFF}/{show_id('acc', account.account_id)}"
        before = cookies_of(one)["tollkeeper_account"]
        await fill(admin, STAFF, act_path, act="admin")
        assert "New · Admin" in (await one.open(STAFF)).text
        # What somebody may do has changed, and so has their secret.
        assert cookies_of(one)["tollkeeper_account"] != before
        asked = await fill(admin, STAFF, act_path, act="disable")
        assert (asked.status, "Disable New?" in asked.text) == (200, True)
        wrong = await fill(admin, STAFF, f"{act_path}?act=disable", confirmation="Old")
        assert wrong.status == 400
        assert (await one.open(STAFF)).status == 200
        done = await fill(admin, STAFF, f"{act_path}?act=disable", confirmation=" New ")
        assert done.location == f"{STAFF}?done=saved"
        assert (await one.open(STAFF)).status == 303
        assert (await enter(one, account.email)).status == 400
        said = {row["what"] for row in await audited(whole)}
        assert {"staff.invite", "staff.join", "staff.change_role", "staff.disable"} <= said


async def test_somebody_can_always_act(whole: Whole, clock: MovableClock) -> None:
    boss = await make_account(whole, staff="admin")
    act = Act(who="test", why="", at=clock.now())
    for role in (StaffRole.VIEWER, None):
        async with whole.database.transaction() as tx:
            with pytest.raises(accounts.LastAdmin):
                await accounts.set_staff_role(tx, act, boss.account_id, role)
    async with whole.database.transaction() as tx:
        with pytest.raises(accounts.LastAdmin):
            await accounts.set_disabled(tx, act, boss.account_id, disabled=True)


async def test_owners_and_admins_invite_members_to_sign_in(
    whole: Whole, customer: Customer
) -> None:
    gone = await invite_member(whole, customer, "gone@example.org", Role.OWNER)
    await invite_member(whole, customer, "ada@example.org", Role.OWNER)
    async with whole.database.transaction() as tx:
        left, ada = await orgs.list_members(tx, customer.org_id, None, 10)
        await orgs.delete_member(tx, customer.org_id, left.member_id)
    path = f"/console/members/{show_id('mem', ada.member_id)}/invite"
    async with (
        signed_in(whole, customer) as owner,
        signed_in(whole, customer, "admin") as admin,
        signed_in(whole, customer, "member") as member,
        browser(whole) as one,
    ):
        # Who was removed before they came does not come in by the link they have.
        fields = {"name": "Gone", "password": PASSWORD}
        assert (await fill(one, gone, **fields)).status == 404
        assert (await one.open(ACCOUNT)).status == 303
        for who, status in ((admin, 403), (member, 403), (owner, 200)):
            token = (await who.open("/console/usage")).form_token
            answer = await who.submit(path, form_token=token)
            assert answer.status == status
        link = re.search(rf"{whole.url}/console/invitation/[\w-]+", answer.text)
        assert link
        joined = await fill(one, link[0], name="Ada", password=PASSWORD)
        assert joined.location == "/console/organizations"
        again = await owner.submit(path, form_token=token)
        assert again.location == "/console/members?done=has_joined"
    assert "member.invite" in {row["what"] for row in await audited(whole)}


class Letters:
    """A mail server that keeps what it is given."""

    def __init__(self) -> None:
        self.all: list[EmailMessage] = []

    async def send(self, message: EmailMessage) -> None:
        self.all.append(message)


async def test_links_are_mailed_and_lie_in_no_queue(whole: Whole, clock: MovableClock) -> None:
    account = await with_password(whole, "ada@example.org")
    letters, post = Letters(), Post(base_url=whole.url, mails=True)
    handlers = mailing_handlers(
        whole.database, clock, post, mailer=letters, sender="us@example.org", name="Acme"
    )
    mail_link, mail_reset = (one.run for one in handlers)
    new = NewLink(
        purpose=Purpose.STAFF,
        made_by="boss@example.org",
        email="new@example.org",
        staff_role=StaffRole.VIEWER,
    )
    async with whole.database.transaction() as tx:
        chance = secrets.token_bytes(32)
        assert await making.send(tx, new, post, chance=chance, now=clock.now()) is None
        (link,) = await links.list_of_staff(tx, clock.now())
    await mail_link(link.link_id.hex)
    await mail_reset(account.email)
    await mail_reset("nobody@example.org")
    invitation, reset = letters.all
    assert (invitation["to"], reset["to"]) == ("new@example.org", account.email)
    found = [re.search(r"http\S+", one.get_content()) for one in letters.all]
    async with browser(whole) as one:
        for address, fields in zip(found, ({"name": "New"}, {}), strict=True):
            assert address
            assert (await fill(one, address[0], password=PASSWORD, **fields)).status == 303
    await mail_link(link.link_id.hex)
    assert len(letters.all) == 2
