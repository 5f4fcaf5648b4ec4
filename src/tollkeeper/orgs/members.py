"""People of an organization, with their roles."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection
from tollkeeper.orgs import store
from tollkeeper.orgs.errors import DuplicateMember, LastOwner
from tollkeeper.orgs.model import Member, Role


async def create_member(tx: Connection, member: Member) -> Member:
    """Raises DuplicateMember when the organization has somebody else with that address."""
    made = replace(member, email=member.email.lower())
    if await store.insert_member(tx, made):
        return made
    known = await store.read_member(tx, made.org_id, made.member_id)
    if known is None:
        raise DuplicateMember(f"{made.email} is a member already")
    return known  # the request ran before, and is run again


async def get_member(tx: Connection, org_id: UUID, member_id: UUID) -> Member:
    """Raises NotFound."""
    found = await store.read_member(tx, org_id, member_id)
    if found is None:
        raise NotFound(f"There is no member {show_id('mem', member_id)} in this organization")
    return found


async def list_members(
    tx: Connection, org_id: UUID, after: UUID | None, limit: int
) -> list[Member]:
    """Oldest first."""
    return await store.list_members(tx, org_id, after, limit)


async def update_member(
    tx: Connection, org_id: UUID, member_id: UUID, *, name: str | None, role: Role | None
) -> Member:
    """Change what is not None. Raises NotFound, LastOwner."""
    await store.lock_organization(tx, org_id)
    member = await get_member(tx, org_id, member_id)
    changed = replace(member, name=name or member.name, role=role or member.role)
    if member.role is Role.OWNER and changed.role is not Role.OWNER:
        await _keep_an_owner(tx, org_id)
    await store.update_member(tx, changed)
    return changed


async def delete_member(tx: Connection, org_id: UUID, member_id: UUID) -> None:
    """Raises NotFound, LastOwner."""
    await store.lock_organization(tx, org_id)
    member = await get_member(tx, org_id, member_id)
    if member.role is Role.OWNER:
        await _keep_an_owner(tx, org_id)
    await store.delete_member(tx, org_id, member_id)


async def _keep_an_owner(tx: Connection, org_id: UUID) -> None:
    if await store.count_owners(tx, org_id) == 1:
        raise LastOwner("Make somebody else an owner first")
