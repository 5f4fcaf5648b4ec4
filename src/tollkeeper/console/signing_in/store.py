"""All SQL about accounts and where they are signed in."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import dict_row

from tollkeeper.console.signing_in.model import Account, AccountSession, StaffRole
from tollkeeper.db import Connection

INSERT_ACCOUNT: LiteralString = """
    INSERT INTO account (account_id, email, name, password_hash, staff_role, created_at)
    VALUES (%(account_id)s, %(email)s, %(name)s, %(password_hash)s, %(staff_role)s,
            %(created_at)s)
    ON CONFLICT (email) DO NOTHING
"""

FIND_ACCOUNT: LiteralString = """
    SELECT account_id, email, name, password_hash, staff_role, created_at, disabled_at
    FROM account
    WHERE account_id = %(account_id)s
"""

FIND_ACCOUNT_BY_EMAIL: LiteralString = """
    SELECT account_id, email, name, password_hash, staff_role, created_at, disabled_at
    FROM account
    WHERE email = lower(%(email)s)
"""

LIST_STAFF: LiteralString = """
    SELECT account_id, email, name, password_hash, staff_role, created_at, disabled_at
    FROM account
    WHERE staff_role IS NOT NULL
    ORDER BY account_id
"""

INSERT_SESSION: LiteralString = """
    INSERT INTO account_session (session_id, account_id, secret_hash, user_agent, created_at,
                                 rotated_at, seen_at, expires_at)
    VALUES (%(session_id)s, %(account_id)s, %(secret_hash)s, %(user_agent)s, %(now)s,
            %(now)s, %(now)s, %(expires_at)s)
"""

FORGET_SESSIONS: LiteralString = """
    DELETE FROM account_session WHERE account_id = %(account_id)s AND expires_at <= %(now)s
"""

FIND_SESSION: LiteralString = """
    SELECT s.session_id, s.secret_hash, s.previous_hash, s.user_agent, s.created_at, s.rotated_at,
           s.seen_at, s.expires_at, a.account_id, a.email, a.name, a.staff_role
    FROM account_session s
    JOIN account a ON a.account_id = s.account_id
    WHERE s.session_id = %(session_id)s AND s.expires_at > %(now)s AND a.disabled_at IS NULL
"""

LIST_SESSIONS: LiteralString = """
    SELECT s.session_id, s.secret_hash, s.previous_hash, s.user_agent, s.created_at, s.rotated_at,
           s.seen_at, s.expires_at, a.account_id, a.email, a.name, a.staff_role
    FROM account_session s
    JOIN account a ON a.account_id = s.account_id
    WHERE s.account_id = %(account_id)s AND s.expires_at > %(now)s
    ORDER BY s.session_id DESC
"""

# Of two requests that would change the same secret one does.
ROTATE_SESSION: LiteralString = """
    UPDATE account_session
    SET secret_hash = %(fresh)s, previous_hash = %(previous)s, rotated_at = %(now)s,
        seen_at = %(now)s
    WHERE session_id = %(session_id)s AND secret_hash = %(known)s
"""

NOTE_SEEN: LiteralString = """
    UPDATE account_session SET seen_at = %(now)s WHERE session_id = %(session_id)s
"""

END_SESSIONS: LiteralString = """
    DELETE FROM account_session
    WHERE account_id = %(account_id)s
      AND (%(only)s::uuid IS NULL OR session_id = %(only)s)
      AND (%(but)s::uuid IS NULL OR session_id <> %(but)s)
"""


async def insert_account(tx: Connection, account: Account) -> bool:
    """False when the e-mail has an account already."""
    cursor = await tx.execute(INSERT_ACCOUNT, asdict(account))
    return cursor.rowcount == 1


async def find_account(connection: Connection, account_id: UUID) -> Account | None:
    found = await _rows(connection, FIND_ACCOUNT, account_id=account_id)
    return _account(found[0]) if found else None


async def find_account_by_email(connection: Connection, email: str) -> Account | None:
    found = await _rows(connection, FIND_ACCOUNT_BY_EMAIL, email=email)
    return _account(found[0]) if found else None


async def list_staff(connection: Connection) -> list[Account]:
    """Everybody of the operator's staff, those who are disabled too; oldest first."""
    return [_account(row) for row in await _rows(connection, LIST_STAFF)]


async def insert_session(
    tx: Connection, session: AccountSession, *, secret_hash: bytes, now: datetime
) -> None:
    parameters = {
        "session_id": session.session_id,
        "account_id": session.account_id,
        "secret_hash": secret_hash,
        "user_agent": session.user_agent,
        "now": now,
        "expires_at": session.expires_at,
    }
    await tx.execute(FORGET_SESSIONS, parameters)
    await tx.execute(INSERT_SESSION, parameters)


async def find_session(
    connection: Connection, session_id: UUID, now: datetime
) -> AccountSession | None:
    found = await _rows(connection, FIND_SESSION, session_id=session_id, now=now)
    return _session(found[0]) if found else None


async def list_sessions(
    connection: Connection, account_id: UUID, now: datetime
) -> list[AccountSession]:
    """Newest first."""
    found = await _rows(connection, LIST_SESSIONS, account_id=account_id, now=now)
    return [_session(row) for row in found]


async def rotate_session(
    tx: Connection, session: AccountSession, fresh: bytes, now: datetime, *, keep: bool
) -> bool:
    """False when another request was first. Unless it is to `keep`, the secret before ends now."""
    parameters = {
        "session_id": session.session_id,
        "known": session.secret_hash,
        "fresh": fresh,
        "previous": session.secret_hash if keep else None,
        "now": now,
    }
    cursor = await tx.execute(ROTATE_SESSION, parameters)
    return cursor.rowcount == 1


async def note_seen(tx: Connection, session_id: UUID, now: datetime) -> None:
    await tx.execute(NOTE_SEEN, {"session_id": session_id, "now": now})


async def end_sessions(
    tx: Connection, account_id: UUID, *, only: UUID | None = None, but: UUID | None = None
) -> int:
    """End one session of an account, or all, or all but one; return how many there were."""
    parameters = {"account_id": account_id, "only": only, "but": but}
    cursor = await tx.execute(END_SESSIONS, parameters)
    return cursor.rowcount


def _account(row: dict[str, Any]) -> Account:
    role: str | None = row.pop("staff_role")
    return Account(staff_role=None if role is None else StaffRole(role), **row)


def _session(row: dict[str, Any]) -> AccountSession:
    role: str | None = row.pop("staff_role")
    return AccountSession(staff_role=None if role is None else StaffRole(role), **row)


async def _rows(
    connection: Connection, query: LiteralString, **parameters: object
) -> list[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, parameters)
        return await cursor.fetchall()
