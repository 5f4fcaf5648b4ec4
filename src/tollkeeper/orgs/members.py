"""People of an organization, with their roles."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from tollkeeper.base.errors import Forbidden, NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection
from tollkeeper.orgs import store
from tollkeeper.orgs.errors import DuplicateMember, LastOwner
from tollkeeper.orgs.model import Member, Role


async def create_member(tx: Connection, member: Member, *, with_key: bool = False) -> Member:
    """`with_key`: it is asked for with an API key, which makes the first owner and no other.

    Raises DuplicateMember when the organization has somebody else with that address, Forbidden.
    """
    made = replace(member, email=member.email.lower())
    if await store.insert_member(tx, made):
        if with_key and made.role is Role.OWNER and await store.count_owners(tx, made.org_id) > 1:
            raise _owners_only()
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
    tx: Connection,
    org_id: UUID,
    member_id: UUID,
    *,
    name: str | None,
    role: Role | None,
    with_key: bool = False,
) -> Member:
    """Change what is not None. Raises NotFound, LastOwner; Forbidden with a key for who is an owner
    or would be another one."""
    await store.lock_organization(tx, org_id)
    member = await get_member(tx, org_id, member_id)
    changed = replace(member, name=name or member.name, role=role or member.role)
    of_owners = Role.OWNER in (member.role, changed.role)
    if with_key and of_owners and await store.count_owners(tx, org_id):
        raise _owners_only()
    if member.role is Role.OWNER and changed.role is not Role.OWNER:
        await _keep_an_owner(tx, org_id)
    await store.update_member(tx, changed)
    return changed


async def delete_member(
    tx: Connection, org_id: UUID, member_id: UUID, *, with_key: bool = False
) -> None:
    """Raises NotFound, LastOwner; Forbidden for an owner with a key."""
    await store.lock_organization(tx, org_id)
    member = await get_member(tx, org_id, member_id)
    if with_key and member.role is Role.OWNER:
        raise _owners_only()
    if member.role is Role.OWNER:
        await _keep_an_owner(tx, org_id)
    await store.delete_member(tx, org_id, member_id)


async def _keep_an_owner(tx: Connection, org_id: UUID) -> None:
    if await store.count_owners(tx, org_id) == 1:
        raise LastOwner("Make somebody else an owner first")


def _owners_only() -> Forbidden:
    # An admin can make an ADMIN key; with it they are no more than they are in the console.
    return Forbidden(
        "Owners are made, changed and removed by owners, in the console; a key makes only the"
        " first owner of an organization that has none"
    )
