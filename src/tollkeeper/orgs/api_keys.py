"""API keys and operator keys: made, changed, revoked. The secret leaves this file once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tollkeeper.base.errors import Forbidden, InvalidRequest, NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection
from tollkeeper.orgs import store
from tollkeeper.orgs.members import get_member
from tollkeeper.orgs.model import ApiKey, Caller, KeyKind, OperatorKey
from tollkeeper.orgs.organizations import project_not_found
from tollkeeper.orgs.secrets import LIVE, OPERATOR, TEST, hash_secret, make_secret, shown_part


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    org_id: UUID
    key_id: UUID
    project_id: UUID
    name: str
    kind: KeyKind
    livemode: bool
    clamp: bool = False
    expires_at: datetime | None = None
    member_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """What a key is to become: None leaves a thing as it is."""

    name: str | None = None
    clamp: bool | None = None
    expires_at: datetime | None = None
    never_expires: bool = False


async def create_key(
    tx: Connection, new: NewKey, *, chance: bytes, now: datetime
) -> tuple[ApiKey, str]:
    """Make a key from 32 random bytes; return it and its secret, which is kept nowhere.

    Raises ProjectNotFound when the organization has no such project, NotFound when it has no such
    member, InvalidRequest when the key would have expired already.
    """
    _check_expiry(new.expires_at, now)
    if new.member_id is not None:
        await get_member(tx, new.org_id, new.member_id)
    prefix = LIVE if new.livemode else TEST
    secret = make_secret(prefix, chance)
    key = ApiKey(
        org_id=new.org_id,
        key_id=new.key_id,
        project_id=new.project_id,
        name=new.name,
        kind=new.kind,
        livemode=new.livemode,
        display_prefix=shown_part(prefix, secret),
        clamp=new.clamp,
        created_at=now,
        expires_at=new.expires_at,
        member_id=new.member_id,
    )
    if not await store.insert_key(tx, key, hash_secret(secret)):
        raise project_not_found(new.project_id)
    return key, secret


async def get_key(tx: Connection, org_id: UUID, key_id: UUID) -> ApiKey:
    """Raises NotFound."""
    found = await store.read_key(tx, org_id, key_id)
    if found is None:
        raise _key_not_found(key_id)
    return found


async def get_key_for(tx: Connection, caller: Caller, key_id: UUID) -> ApiKey:
    """Raises NotFound, also for a live key that a test key asks for."""
    found = await get_key(tx, caller.org_id, key_id)
    if found.livemode and not caller.livemode:
        raise _key_not_found(key_id)
    return found


async def keep_off_live(tx: Connection, caller: Caller, project_id: UUID | None = None) -> None:
    """Raises Forbidden for a test key that would change what live calls depend on too: where there
    are live keys, or were, maybe of one project. Test keys are handed around."""
    if not caller.livemode and await store.has_live_keys(tx, caller.org_id, project_id):
        raise Forbidden("This is not of test calls alone: use a live ADMIN key")


async def list_keys(
    tx: Connection,
    org_id: UUID,
    after: UUID | None,
    limit: int,
    *,
    livemode: bool | None = None,
    working_at: datetime | None = None,
    ended_at: datetime | None = None,
) -> list[ApiKey]:
    """Oldest first: those that work at a moment, or have expired or been revoked by one; all of
    them where no moment is given."""
    return await store.list_keys(
        tx,
        org_id=org_id,
        after=after,
        limit=limit,
        livemode=livemode,
        working_at=working_at,
        ended_at=ended_at,
    )


async def update_key(
    tx: Connection, org_id: UUID, key_id: UUID, change: KeyChange, now: datetime
) -> ApiKey:
    """Raises NotFound, and InvalidRequest when the key would have expired already."""
    _check_expiry(change.expires_at, now)
    changed = await store.update_key(
        tx,
        org_id,
        key_id,
        name=change.name,
        clamp=change.clamp,
        expires_at=change.expires_at,
        never_expires=change.never_expires,
    )
    if changed is None:
        raise _key_not_found(key_id)
    return changed


async def revoke_key(tx: Connection, org_id: UUID, key_id: UUID, now: datetime) -> ApiKey:
    """Refuse a key from now on, in every process within a second of the commit.

    A key that was revoked before stays as it is. Raises NotFound.
    """
    revoked = await store.revoke_key(tx, org_id, key_id, now)
    if revoked is None:
        raise _key_not_found(key_id)
    return revoked


async def create_operator_key(
    tx: Connection,
    *,
    key_id: UUID,
    name: str,
    chance: bytes,
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[OperatorKey, str]:
    """Make an operator's key from 32 random bytes; return it and its secret."""
    _check_expiry(expires_at, now)
    secret = make_secret(OPERATOR, chance)
    key = OperatorKey(
        key_id=key_id,
        name=name,
        display_prefix=shown_part(OPERATOR, secret),
        created_at=now,
        expires_at=expires_at,
    )
    await store.insert_operator_key(tx, key, hash_secret(secret))
    return key, secret


async def list_operator_keys(tx: Connection) -> list[OperatorKey]:
    return await store.list_operator_keys(tx)


async def revoke_operator_key(tx: Connection, key_id: UUID, now: datetime) -> OperatorKey:
    """Raises NotFound."""
    revoked = await store.revoke_operator_key(tx, key_id, now)
    if revoked is None:
        raise NotFound(f"There is no operator key {show_id('opk', key_id)}")
    return revoked


def _check_expiry(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise InvalidRequest("expiresAt: must lie ahead", {"expiresAt": ["must lie ahead"]})


def _key_not_found(key_id: UUID) -> NotFound:
    return NotFound(f"There is no API key {show_id('key', key_id)} in this organization")
