"""All SQL about accounts and where they are signed in."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import dict_row

from tollkeeper.console.signing_in.model import Account, AccountSession, Membership, StaffRole
from tollkeeper.db import Connection
from tollkeeper.orgs import Role

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


CHANGE_HASH: LiteralString = """
    UPDATE account SET password_hash = %(password_hash)s WHERE account_id = %(account_id)s
"""

UPDATE_NAME: LiteralString = """
    UPDATE account SET name = %(name)s WHERE account_id = %(account_id)s
"""

# What somebody may do has changed: their sessions take new secrets at the next request.
UPDATE_STAFF_ROLE: LiteralString = """
    WITH changed AS (
        UPDATE account SET staff_role = %(staff_role)s WHERE account_id = %(account_id)s
        RETURNING account_id
    )
    UPDATE account_session s SET rotated_at = 'epoch', previous_hash = NULL
    FROM changed
    WHERE s.account_id = changed.account_id
"""

UPDATE_DISABLED: LiteralString = """
    UPDATE account SET disabled_at = %(disabled_at)s WHERE account_id = %(account_id)s
"""

# One at a time changes who acts, so that never the last one goes.
LOCK_ADMINS: LiteralString = """
    SELECT account_id FROM account
    WHERE staff_role = 'admin' AND disabled_at IS NULL
    ORDER BY account_id
    FOR NO KEY UPDATE
"""

HAS_ANY: LiteralString = """
    SELECT EXISTS (SELECT FROM account) AS found
"""

COUNT_STAFF: LiteralString = """
    SELECT count(*) FROM account WHERE staff_role IS NOT NULL
"""

INSERT_MEMBER: LiteralString = """
    INSERT INTO account_member (org_id, member_id, account_id, created_at)
    VALUES (%(org_id)s, %(member_id)s, %(account_id)s, %(now)s)
"""

# The member that an invited e-mail is already, if the account is not another one.
FIND_MEMBER_BY_EMAIL: LiteralString = """
    SELECT m.member_id, a.account_id
    FROM member m
    LEFT JOIN account_member a ON a.org_id = m.org_id AND a.member_id = m.member_id
    WHERE m.org_id = %(org_id)s AND m.email = %(email)s
"""

LIST_MEMBERSHIPS: LiteralString = """
    SELECT a.org_id, a.member_id, o.name AS organization, m.role
    FROM account_member a
    JOIN organization o ON o.org_id = a.org_id
    JOIN member m ON m.org_id = a.org_id AND m.member_id = a.member_id
    WHERE a.account_id = %(account_id)s
    ORDER BY lower(o.name), a.org_id
    LIMIT 200
"""

FORGET_BUCKETS: LiteralString = """
    DELETE FROM sign_in_pace WHERE bucket IN (
        SELECT bucket FROM sign_in_pace WHERE empty_at <= %(now)s
        ORDER BY empty_at LIMIT 100 FOR UPDATE SKIP LOCKED
    )
"""

FILL_BUCKET: LiteralString = """
    INSERT INTO sign_in_pace AS p (bucket, empty_at)
    VALUES (%(bucket)s, %(now)s::timestamptz + %(each)s::interval)
    ON CONFLICT (bucket) DO UPDATE SET empty_at = greatest(p.empty_at, %(now)s) + %(each)s
    WHERE greatest(p.empty_at, %(now)s) + %(each)s <= %(now)s + %(room)s::interval
"""

READ_BUCKET: LiteralString = """
    SELECT empty_at FROM sign_in_pace WHERE bucket = %(bucket)s
"""

EMPTY_BUCKET: LiteralString = """
    DELETE FROM sign_in_pace WHERE bucket = %(bucket)s
"""

FIND_IDENTITY: LiteralString = """
    SELECT a.account_id, a.email, a.name, a.password_hash, a.staff_role, a.created_at,
           a.disabled_at
    FROM account_identity i
    JOIN account a ON a.account_id = i.account_id
    WHERE i.issuer = %(issuer)s AND i.subject = %(subject)s
"""

INSERT_IDENTITY: LiteralString = """
    INSERT INTO account_identity (issuer, subject, account_id, created_at)
    VALUES (%(issuer)s, %(subject)s, %(account_id)s, %(now)s)
    ON CONFLICT (issuer, subject) DO NOTHING
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


async def change_password(tx: Connection, account_id: UUID, password_hash: str | None) -> None:
    parameters = {"account_id": account_id, "password_hash": password_hash}
    await tx.execute(CHANGE_HASH, parameters)


async def change_name(tx: Connection, account_id: UUID, name: str) -> None:
    await tx.execute(UPDATE_NAME, {"account_id": account_id, "name": name})


async def change_staff_role(tx: Connection, account_id: UUID, role: StaffRole | None) -> None:
    await tx.execute(UPDATE_STAFF_ROLE, {"account_id": account_id, "staff_role": role})


async def change_disabled(tx: Connection, account_id: UUID, at: datetime | None) -> None:
    await tx.execute(UPDATE_DISABLED, {"account_id": account_id, "disabled_at": at})


async def lock_admins(tx: Connection) -> list[UUID]:
    """Return whoever of the staff can act, and have other changes of that wait."""
    return [row["account_id"] for row in await _rows(tx, LOCK_ADMINS)]


async def has_any(connection: Connection) -> bool:
    """Whether anybody has an account."""
    return (await _rows(connection, HAS_ANY))[0]["found"]


async def count_staff(connection: Connection) -> int:
    return (await _rows(connection, COUNT_STAFF))[0]["count"]


async def insert_member(
    tx: Connection, org_id: UUID, member_id: UUID, account_id: UUID, now: datetime
) -> None:
    parameters = {"org_id": org_id, "member_id": member_id, "account_id": account_id, "now": now}
    await tx.execute(INSERT_MEMBER, parameters)


async def find_member_by_email(
    connection: Connection, org_id: UUID, email: str
) -> tuple[UUID, UUID | None] | None:
    """Return the member with that e-mail, and the account it belongs to if there is one."""
    found = await _rows(connection, FIND_MEMBER_BY_EMAIL, org_id=org_id, email=email)
    return (found[0]["member_id"], found[0]["account_id"]) if found else None


async def list_memberships(connection: Connection, account_id: UUID) -> list[Membership]:
    found = await _rows(connection, LIST_MEMBERSHIPS, account_id=account_id)
    return [Membership(role=Role(row.pop("role")), **row) for row in found]


async def forget_buckets(tx: Connection, now: datetime) -> None:
    await tx.execute(FORGET_BUCKETS, {"now": now})


async def fill_bucket(
    tx: Connection, bucket: bytes, each: timedelta, room: timedelta, now: datetime
) -> datetime | None:
    """Return None when it went in, and when the bucket will be empty when it is too full."""
    parameters = {"bucket": bucket, "each": each, "room": room, "now": now}
    cursor = await tx.execute(FILL_BUCKET, parameters)
    if cursor.rowcount == 1:
        return None
    return (await _rows(tx, READ_BUCKET, bucket=bucket))[0]["empty_at"]


async def empty_bucket(tx: Connection, bucket: bytes) -> None:
    await tx.execute(EMPTY_BUCKET, {"bucket": bucket})


async def find_by_identity(connection: Connection, issuer: str, subject: str) -> Account | None:
    found = await _rows(connection, FIND_IDENTITY, issuer=issuer, subject=subject)
    return _account(found[0]) if found else None


async def insert_identity(
    tx: Connection, issuer: str, subject: str, account_id: UUID, now: datetime
) -> None:
    parameters = {"issuer": issuer, "subject": subject, "account_id": account_id, "now": now}
    await tx.execute(INSERT_IDENTITY, parameters)


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
