"""Links are made with their cause, and mailed by a job that makes their secret."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper.base.ids import uuid7
from tollkeeper.console.sessions import CONSOLE
from tollkeeper.console.signing_in import store as accounts
from tollkeeper.console.signing_in.links import store
from tollkeeper.console.signing_in.model import AccountLink, Purpose, StaffRole
from tollkeeper.console.tokens import (
    ID_BYTES,
    SECRET_BYTES,
    hash_secret,
    read_token,
    write_token,
)
from tollkeeper.db import Connection
from tollkeeper.jobs import Task, enqueue
from tollkeeper.orgs import Role

LASTS: Final = {
    Purpose.FIRST_RUN: timedelta(hours=1),
    Purpose.STAFF: timedelta(days=3),
    Purpose.MEMBER: timedelta(days=3),
    Purpose.RESET: timedelta(hours=1),
}
PATHS: Final = {
    Purpose.FIRST_RUN: "first-run",
    Purpose.STAFF: "invitation",
    Purpose.MEMBER: "invitation",
    Purpose.RESET: "reset",
}
# A link that is not sent within a day is of little use to who waits for it.
MAIL_LINK: Final = Task("mail_account_link", tries=12)
MAIL_RESET: Final = Task("mail_password_reset", tries=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """How links get to people: below which address, and whether there is a mail server."""

    base_url: str
    mails: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLink:
    """What a link is to be for. `made_by` is who asks for it, as its mail says it."""

    purpose: Purpose
    made_by: str
    email: str | None = None
    org_id: UUID | None = None
    role: Role | None = None
    staff_role: StaffRole | None = None


async def make(tx: Connection, new: NewLink, post: Post, *, chance: bytes, now: datetime) -> str:
    """Make a link and return its address, with 32 random bytes; an earlier one is good no more."""
    link = _link(new, now)
    await store.insert_link(tx, link, hash_secret(chance))
    return address_of(link, post, chance)


async def send(
    tx: Connection, new: NewLink, post: Post, *, chance: bytes, now: datetime
) -> str | None:
    """Have a link mailed when `tx` commits. Where there is no mail server, return its address, for
    whoever asked for it to pass on."""
    if not post.mails:
        return await make(tx, new, post, chance=chance, now=now)
    link = _link(new, now)
    # Nobody knows this secret: the mail gets another one when it is sent.
    await store.insert_link(tx, link, hash_secret(chance))
    await enqueue(tx, MAIL_LINK, link_id=link.link_id.hex)
    return None


async def find(connection: Connection, token: str, now: datetime) -> AccountLink | None:
    """Return what a link is for; None when it is used, over, or none of ours."""
    parts = read_token(token, ID_BYTES, SECRET_BYTES)
    if parts is None:
        return None
    return await store.find_link(connection, UUID(bytes=parts[0]), hash_secret(parts[1]), now)


async def use(tx: Connection, token: str, now: datetime) -> AccountLink | None:
    """Use a link up; of two who do, one gets it."""
    parts = read_token(token, ID_BYTES, SECRET_BYTES)
    if parts is None:
        return None
    return await store.use_link(tx, UUID(bytes=parts[0]), hash_secret(parts[1]), now)


def address_of(link: AccountLink, post: Post, secret: bytes) -> str:
    token = write_token(link.link_id.bytes, secret)
    return f"{post.base_url.rstrip('/')}{CONSOLE}/{PATHS[link.purpose]}/{token}"


def _link(new: NewLink, now: datetime) -> AccountLink:
    return AccountLink(
        link_id=uuid7(),
        purpose=new.purpose,
        email=None if new.email is None else new.email.strip().lower(),
        made_by=new.made_by,
        created_at=now,
        expires_at=now + LASTS[new.purpose],
        org_id=new.org_id,
        role=new.role,
        staff_role=new.staff_role,
    )


async def first_run_or_sign_in(tx: Connection, base_url: str, now: datetime) -> str:
    """Return where the operator's pages begin: as long as there is no staff, a link that makes the
    first of them, and then the page where they sign in."""
    if await accounts.count_staff(tx):
        return f"{base_url.rstrip('/')}{CONSOLE}/sign-in"
    new = NewLink(purpose=Purpose.FIRST_RUN, made_by="tollkeeper up")
    post = Post(base_url=base_url, mails=False)
    return await make(tx, new, post, chance=secrets.token_bytes(32), now=now)
