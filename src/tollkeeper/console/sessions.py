"""Links that sign in, and the sessions that come of them."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper import orgs
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import uuid7
from tollkeeper.console import store
from tollkeeper.console.model import Link, Pass, Session, lower_of
from tollkeeper.console.tokens import (
    ID_BYTES,
    SECRET_BYTES,
    hash_secret,
    opens,
    read_token,
    write_token,
)
from tollkeeper.db import Connection
from tollkeeper.orgs import Role

CONSOLE: Final = "/console"
LINK_LASTS: Final = timedelta(minutes=10)
SESSION_LASTS: Final = timedelta(hours=12)


async def make_link(
    tx: Connection,
    where: Pass,
    base_url: str,
    *,
    chance: bytes,
    now: datetime,
    lasts: timedelta = LINK_LASTS,
) -> Link:
    """Make a link to the console of an organization from 32 random bytes.

    Raises NotFound for an organization or a member that is not there, InvalidRequest for a role
    above the member's own.
    """
    await orgs.get_org(tx, where.org_id)
    if where.member_id is not None:
        member = await orgs.get_member(tx, where.org_id, where.member_id)
        if lower_of(where.role, member.role) is not where.role:
            said = f"must not be above the member's own, which is {member.role}"
            raise InvalidRequest(f"role: {said}", {"role": [said]})
    token = write_token(where.org_id.bytes, chance)
    await store.insert_link(tx, where, hash_secret(chance), now, now + lasts)
    return Link(url=f"{base_url.rstrip('/')}{CONSOLE}/enter/{token}", expires_at=now + lasts)


async def enter(tx: Connection, token: str, *, chance: bytes, now: datetime) -> str | None:
    """Use a link up, and return the new session's token; None for a link that is not good."""
    parts = read_token(token, ID_BYTES, SECRET_BYTES)
    if parts is None:
        return None
    org_id, secret = UUID(bytes=parts[0]), parts[1]
    where = await store.use_link(tx, org_id, hash_secret(secret), now)
    if where is None:
        return None
    session_id = uuid7()
    await store.insert_session(
        tx, where, session_id, hash_secret(chance), now=now, expires_at=now + SESSION_LASTS
    )
    return write_token(org_id.bytes, session_id.bytes, chance)


async def open_from_account(
    tx: Connection,
    where: Pass,
    account_session_id: UUID,
    *,
    chance: bytes,
    now: datetime,
    expires_at: datetime,
) -> str:
    """Open an organization for who is signed in with an account; return the session's token."""
    session_id = uuid7()
    await store.insert_session(
        tx,
        where,
        session_id,
        hash_secret(chance),
        now=now,
        expires_at=expires_at,
        account_session_id=account_session_id,
    )
    return write_token(where.org_id.bytes, session_id.bytes, chance)


async def find(connection: Connection, token: str, now: datetime) -> Session | None:
    """Return whose session it is; None when it is over, or never was."""
    parts = read_token(token, ID_BYTES, ID_BYTES, SECRET_BYTES)
    if parts is None:
        return None
    session = await store.find_session(connection, UUID(bytes=parts[0]), UUID(bytes=parts[1]), now)
    return session if session is not None and opens(parts[2], session, now) else None


async def rotate(tx: Connection, session: Session, *, chance: bytes, now: datetime) -> str | None:
    """Change the session's secret and return its new token; None when another request did."""
    if not await store.rotate(tx, session, hash_secret(chance), now):
        return None
    return write_token(session.org_id.bytes, session.session_id.bytes, chance)


async def leave(tx: Connection, session: Session) -> None:
    """End a session, and its account's where a member came with one."""
    await store.end_session(tx, session.org_id, session.session_id)
    if session.account_session_id is not None and not session.looking:
        await store.end_account_session(tx, session.account_session_id)


async def switch_mode(
    tx: Connection, session: Session, *, chance: bytes, now: datetime
) -> str | None:
    """Go from live to test data or back; None for a session that a link opened."""
    if session.account_session_id is None:
        return None
    where = Pass(
        org_id=session.org_id,
        # A member's own role bounds it, as it did before.
        role=Role.OWNER if session.member_id is not None else session.role,
        livemode=not session.livemode,
        member_id=session.member_id,
    )
    await store.end_session(tx, session.org_id, session.session_id)
    return await open_from_account(
        tx,
        where,
        session.account_session_id,
        chance=chance,
        now=now,
        expires_at=session.expires_at,
    )


def form_token(secret: bytes, session: Session) -> str:
    """What each form of a session carries, and a page of another origin cannot know."""
    said = b"console form" + session.org_id.bytes + session.session_id.bytes
    return hmac.new(secret, said, hashlib.sha256).hexdigest()
