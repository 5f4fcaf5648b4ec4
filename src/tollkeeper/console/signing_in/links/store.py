"""All SQL about links that are sent to people."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import dict_row

from tollkeeper.console.signing_in.model import AccountLink, Purpose, StaffRole
from tollkeeper.db import Connection
from tollkeeper.orgs import Role

FORGET_LINKS: LiteralString = """
    DELETE FROM account_link WHERE expires_at <= %(now)s AND email = %(email)s
"""

# Who is sent a second link shall not have two.
REPLACE_LINKS: LiteralString = """
    DELETE FROM account_link
    WHERE purpose = %(purpose)s AND email IS NOT DISTINCT FROM %(email)s
      AND org_id IS NOT DISTINCT FROM %(org_id)s AND used_at IS NULL
"""

INSERT_LINK: LiteralString = """
    INSERT INTO account_link (link_id, secret_hash, purpose, email, org_id, role, staff_role,
                              made_by, created_at, expires_at)
    VALUES (%(link_id)s, %(secret_hash)s, %(purpose)s, %(email)s, %(org_id)s, %(role)s,
            %(staff_role)s, %(made_by)s, %(created_at)s, %(expires_at)s)
"""

RENEW_LINK: LiteralString = """
    UPDATE account_link SET secret_hash = %(secret_hash)s
    WHERE link_id = %(link_id)s AND used_at IS NULL AND expires_at > %(now)s
    RETURNING link_id, purpose, email, org_id, role, staff_role, made_by, created_at, expires_at
"""

FIND_LINK: LiteralString = """
    SELECT link_id, purpose, email, org_id, role, staff_role, made_by, created_at, expires_at
    FROM account_link
    WHERE link_id = %(link_id)s AND secret_hash = %(secret_hash)s AND used_at IS NULL
      AND expires_at > %(now)s
"""

# Whoever comes second finds it used.
USE_LINK: LiteralString = """
    UPDATE account_link SET used_at = %(now)s
    WHERE link_id = %(link_id)s AND secret_hash = %(secret_hash)s AND used_at IS NULL
      AND expires_at > %(now)s
    RETURNING link_id, purpose, email, org_id, role, staff_role, made_by, created_at, expires_at
"""

USE_LINKS_TO: LiteralString = """
    UPDATE account_link SET used_at = %(now)s
    WHERE email = %(email)s AND purpose = %(purpose)s AND used_at IS NULL
      AND expires_at > %(now)s
    RETURNING link_id, purpose, email, org_id, role, staff_role, made_by, created_at, expires_at
"""

LIST_OF_ORGANIZATION: LiteralString = """
    SELECT link_id, purpose, email, org_id, role, staff_role, made_by, created_at, expires_at
    FROM account_link
    WHERE org_id = %(org_id)s AND used_at IS NULL AND expires_at > %(now)s
    ORDER BY link_id
"""

LIST_OF_STAFF: LiteralString = """
    SELECT link_id, purpose, email, org_id, role, staff_role, made_by, created_at, expires_at
    FROM account_link
    WHERE purpose = 'staff' AND used_at IS NULL AND expires_at > %(now)s
    ORDER BY link_id
"""

DELETE_LINK: LiteralString = """
    DELETE FROM account_link
    WHERE link_id = %(link_id)s AND org_id IS NOT DISTINCT FROM %(org_id)s
      AND purpose IN ('staff', 'member') AND used_at IS NULL
    RETURNING link_id, purpose, email, org_id, role, staff_role, made_by, created_at, expires_at
"""


async def insert_link(tx: Connection, link: AccountLink, secret_hash: bytes) -> None:
    parameters = asdict(link) | {"secret_hash": secret_hash, "now": link.created_at}
    await tx.execute(FORGET_LINKS, parameters)
    await tx.execute(REPLACE_LINKS, parameters)
    await tx.execute(INSERT_LINK, parameters)


async def renew_link(
    tx: Connection, link_id: UUID, secret_hash: bytes, now: datetime
) -> AccountLink | None:
    """Give a link that is good another secret."""
    found = await _links(tx, RENEW_LINK, link_id=link_id, secret_hash=secret_hash, now=now)
    return found[0] if found else None


async def find_link(
    connection: Connection, link_id: UUID, secret_hash: bytes, now: datetime
) -> AccountLink | None:
    query = FIND_LINK
    found = await _links(connection, query, link_id=link_id, secret_hash=secret_hash, now=now)
    return found[0] if found else None


async def use_link(
    tx: Connection, link_id: UUID, secret_hash: bytes, now: datetime
) -> AccountLink | None:
    found = await _links(tx, USE_LINK, link_id=link_id, secret_hash=secret_hash, now=now)
    return found[0] if found else None


async def use_links_to(
    tx: Connection, email: str, purpose: Purpose, now: datetime
) -> list[AccountLink]:
    """Use up all links of a kind that were sent to somebody."""
    return await _links(tx, USE_LINKS_TO, email=email, purpose=purpose, now=now)


async def list_of_organization(
    connection: Connection, org_id: UUID, now: datetime
) -> list[AccountLink]:
    return await _links(connection, LIST_OF_ORGANIZATION, org_id=org_id, now=now)


async def list_of_staff(connection: Connection, now: datetime) -> list[AccountLink]:
    return await _links(connection, LIST_OF_STAFF, now=now)


async def delete_link(tx: Connection, link_id: UUID, org_id: UUID | None) -> AccountLink | None:
    """Take an invitation back; None when there is none to take back."""
    found = await _links(tx, DELETE_LINK, link_id=link_id, org_id=org_id)
    return found[0] if found else None


async def _links(
    connection: Connection, query: LiteralString, **parameters: object
) -> list[AccountLink]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, parameters)
        return [_link(row) for row in await cursor.fetchall()]


def _link(row: dict[str, Any]) -> AccountLink:
    purpose, role, staff_role = row.pop("purpose"), row.pop("role"), row.pop("staff_role")
    return AccountLink(
        purpose=Purpose(purpose),
        role=None if role is None else Role(role),
        staff_role=None if staff_role is None else StaffRole(staff_role),
        **row,
    )
