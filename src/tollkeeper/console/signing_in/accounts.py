"""What happens to accounts, each act with its audit row. All run in the caller's transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from tollkeeper import operator
from tollkeeper.base.errors import InvalidRequest, NotFound, TollkeeperError
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.console.rendering import say
from tollkeeper.console.signing_in import store
from tollkeeper.console.signing_in.model import Account, AccountLink, Purpose, StaffRole
from tollkeeper.db import Connection
from tollkeeper.operator import Act

_LONGEST_EMAIL: Final = 254


class LastAdmin(TollkeeperError):
    """The staff must keep somebody who may act"""

    code = "last_staff_admin"
    status = 409


async def create(
    tx: Connection, *, email: str, name: str, password_hash: str | None, now: datetime
) -> Account:
    """Make an account. Raises InvalidRequest where there is one with that e-mail."""
    account = Account(
        account_id=uuid7(),
        email=email.strip().lower(),
        name=name,
        password_hash=password_hash,
        staff_role=None,
        created_at=now,
    )
    if not await store.insert_account(tx, account):
        said = say("link.taken")
        raise InvalidRequest(said, {"email": [said]})
    return account


async def take_up(tx: Connection, link: AccountLink, account: Account, now: datetime) -> Account:
    """Make an account what a link that was just used says: of the staff, or a member."""
    if link.purpose in (Purpose.FIRST_RUN, Purpose.STAFF):
        return await _join_staff(tx, link, account, now)
    if link.org_id is not None:
        await _join(tx, link, link.org_id, account, now)
    return account


async def _join_staff(
    tx: Connection, link: AccountLink, account: Account, now: datetime
) -> Account:
    if link.purpose is Purpose.FIRST_RUN and await store.count_staff(tx):
        raise NotFound(say("link.gone"))
    role = link.staff_role or StaffRole.ADMIN
    await store.change_staff_role(tx, account.account_id, role)
    act = Act(who=account.email, why="", at=now)
    await operator.note(tx, act, "staff.join", None, role=role.value, invitedBy=link.made_by)
    return replace(account, staff_role=role)


async def _join(
    tx: Connection, link: AccountLink, org_id: UUID, account: Account, now: datetime
) -> None:
    known = await store.find_member_by_email(tx, org_id, account.email)
    if known is not None and known[1] is not None:
        return
    if known is None:
        raise NotFound(say("link.gone"))  # They were removed before they came.
    member_id = known[0]
    await store.insert_member(tx, org_id, member_id, account.account_id, now)
    said = {"member": show_id("mem", member_id), "role": link.role, "invitedBy": link.made_by}
    await operator.note(tx, Act(who=account.email, why="", at=now), "member.join", org_id, **said)


async def reset_password(
    tx: Connection, account: Account, password_hash: str, now: datetime
) -> None:
    """Give an account another password, by a link; whoever is signed in with it is no more."""
    await store.change_password(tx, account.account_id, password_hash)
    await store.end_sessions(tx, account.account_id)
    await operator.note(tx, Act(who=account.email, why="", at=now), "account.reset_password", None)


async def set_staff_role(
    tx: Connection, act: Act, account_id: UUID, role: StaffRole | None
) -> None:
    """Change what somebody of the staff may do; None is nothing more.

    Raises NotFound, and LastAdmin where nobody could act any more.
    """
    admins = await store.lock_admins(tx)
    account = await _of_staff(tx, account_id)
    if role is not StaffRole.ADMIN:
        _keep_one(admins, account)
    await store.change_staff_role(tx, account_id, role)
    said = {"email": account.email, "role": role, "before": account.staff_role}
    await operator.note(tx, act, "staff.change_role", None, **said)


async def set_disabled(tx: Connection, act: Act, account_id: UUID, *, disabled: bool) -> None:
    """Have somebody of the staff sign in no more, at once; or again.

    Raises NotFound, and LastAdmin where nobody could act any more.
    """
    admins = await store.lock_admins(tx)
    account = await _of_staff(tx, account_id)
    if disabled:
        _keep_one(admins, account)
        await store.end_sessions(tx, account_id)
    await store.change_disabled(tx, account_id, act.at if disabled else None)
    what = "staff.disable" if disabled else "staff.enable"
    await operator.note(tx, act, what, None, email=account.email)


def _keep_one(admins: list[UUID], account: Account) -> None:
    if admins == [account.account_id]:
        raise LastAdmin(say("staff.last_admin"))


async def _of_staff(tx: Connection, account_id: UUID) -> Account:
    account = await store.find_account(tx, account_id)
    if account is None or account.staff_role is None:
        raise NotFound(say("staff.nobody"))
    return account


def is_email(text: str) -> bool:
    """Whether it can be one; whether it is one is found out by writing there."""
    local, _, domain = text.partition("@")
    odd = not text.isprintable() or set(text) & set(" <>,;")
    return bool(local and domain) and not odd and len(text) <= _LONGEST_EMAIL
