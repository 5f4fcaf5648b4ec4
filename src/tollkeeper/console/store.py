"""All SQL of this room: links and sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import dict_row

from tollkeeper.console.model import Pass, Session, lower_of
from tollkeeper.db import Connection
from tollkeeper.orgs import Role

INSERT_LINK: LiteralString = """
    INSERT INTO portal_link (org_id, secret_hash, role, member_id, livemode, created_at, expires_at)
    VALUES (%(org_id)s, %(secret_hash)s, %(role)s, %(member_id)s, %(livemode)s, %(now)s,
            %(expires_at)s)
"""

# Whoever comes second finds it used.
USE_LINK: LiteralString = """
    UPDATE portal_link SET used_at = %(now)s
    WHERE org_id = %(org_id)s AND secret_hash = %(secret_hash)s
      AND used_at IS NULL AND expires_at > %(now)s
    RETURNING role, member_id, livemode
"""

FORGET_LINKS: LiteralString = """
    DELETE FROM portal_link WHERE org_id = %(org_id)s AND expires_at <= %(now)s
"""

FORGET_SESSIONS: LiteralString = """
    DELETE FROM console_session WHERE org_id = %(org_id)s AND expires_at <= %(now)s
"""

INSERT_SESSION: LiteralString = """
    INSERT INTO console_session (org_id, session_id, secret_hash, role, member_id, livemode,
                                 created_at, rotated_at, expires_at, account_session_id)
    VALUES (%(org_id)s, %(session_id)s, %(secret_hash)s, %(role)s, %(member_id)s, %(livemode)s,
            %(now)s, %(now)s, %(expires_at)s, %(account_session_id)s)
"""

# What an account opened is there as long as the account is signed in, and is a member or an admin
# of the staff.
FIND_SESSION: LiteralString = """
    SELECT s.org_id, s.session_id, s.secret_hash, s.previous_hash, s.role, s.livemode,
           s.rotated_at, s.expires_at, o.name AS organization, m.name AS member,
           s.member_id, m.role AS member_role, s.account_session_id, p.name AS person, p.email
    FROM console_session s
    JOIN organization o ON o.org_id = s.org_id
    LEFT JOIN member m ON m.org_id = s.org_id AND m.member_id = s.member_id
    LEFT JOIN account_session a ON a.session_id = s.account_session_id
    LEFT JOIN account p ON p.account_id = a.account_id
    WHERE s.org_id = %(org_id)s AND s.session_id = %(session_id)s AND s.expires_at > %(now)s
      AND (s.account_session_id IS NULL
           OR (a.expires_at > %(now)s AND p.disabled_at IS NULL
               AND (s.member_id IS NOT NULL OR p.staff_role = 'admin')))
"""

# Of two requests that would change the same secret one does.
ROTATE: LiteralString = """
    UPDATE console_session
    SET secret_hash = %(fresh)s, previous_hash = secret_hash, rotated_at = %(now)s
    WHERE org_id = %(org_id)s AND session_id = %(session_id)s AND secret_hash = %(known)s
"""

END_SESSION: LiteralString = """
    DELETE FROM console_session WHERE org_id = %(org_id)s AND session_id = %(session_id)s
"""


END_ACCOUNT_SESSION: LiteralString = """
    DELETE FROM account_session WHERE session_id = %(session_id)s
"""


async def insert_link(
    tx: Connection, where: Pass, secret_hash: bytes, now: datetime, expires_at: datetime
) -> None:
    parameters = _of_pass(where) | {
        "secret_hash": secret_hash,
        "now": now,
        "expires_at": expires_at,
    }
    await tx.execute(FORGET_LINKS, parameters)
    await tx.execute(INSERT_LINK, parameters)


async def use_link(tx: Connection, org_id: UUID, secret_hash: bytes, now: datetime) -> Pass | None:
    parameters = {"org_id": org_id, "secret_hash": secret_hash, "now": now}
    cursor = await tx.execute(USE_LINK, parameters)
    row = await cursor.fetchone()
    if row is None:
        return None
    role, member_id, livemode = row
    return Pass(org_id=org_id, role=Role(role), member_id=member_id, livemode=livemode)


async def insert_session(
    tx: Connection,
    where: Pass,
    session_id: UUID,
    secret_hash: bytes,
    *,
    now: datetime,
    expires_at: datetime,
    account_session_id: UUID | None = None,
) -> None:
    parameters = _of_pass(where) | {
        "account_session_id": account_session_id,
        "session_id": session_id,
        "secret_hash": secret_hash,
        "now": now,
        "expires_at": expires_at,
    }
    await tx.execute(FORGET_SESSIONS, parameters)
    await tx.execute(INSERT_SESSION, parameters)


async def find_session(
    connection: Connection, org_id: UUID, session_id: UUID, now: datetime
) -> Session | None:
    parameters = {"org_id": org_id, "session_id": session_id, "now": now}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(FIND_SESSION, parameters)
        row = await cursor.fetchone()
    if row is None:
        return None
    own, role = row.pop("member_role"), Role(row.pop("role"))
    return Session(role=role if own is None else lower_of(role, Role(own)), **row)


async def rotate(tx: Connection, session: Session, fresh: bytes, now: datetime) -> bool:
    """False when another request was first."""
    parameters = {
        "org_id": session.org_id,
        "session_id": session.session_id,
        "known": session.secret_hash,
        "fresh": fresh,
        "now": now,
    }
    cursor = await tx.execute(ROTATE, parameters)
    return cursor.rowcount == 1


async def end_session(tx: Connection, org_id: UUID, session_id: UUID) -> None:
    await tx.execute(END_SESSION, {"org_id": org_id, "session_id": session_id})


async def end_account_session(tx: Connection, session_id: UUID) -> None:
    await tx.execute(END_ACCOUNT_SESSION, {"session_id": session_id})


def _of_pass(where: Pass) -> dict[str, Any]:
    return {
        "org_id": where.org_id,
        "role": where.role,
        "member_id": where.member_id,
        "livemode": where.livemode,
    }
