"""What a fresh installation is given: prices, an organization, a project, and keys to begin with.

The keys are kept in a file that only its owner may read, so that the next start prints the same.
The file is written before the database is told, and everything in it is made unless it is there
already: a start that is cut off anywhere is finished by the next one.
"""

from __future__ import annotations

import os
import secrets
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tollkeeper import operator, orgs, pricing
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import read_id, show_id, uuid7
from tollkeeper.cli.installation import NoDatabase
from tollkeeper.db import Connection
from tollkeeper.operator import Act, Opening
from tollkeeper.orgs import KeyKind, NewKey

FILE: Final = "first-keys.json"
WHO: Final = "tollkeeper up"

_TEST, _LIVE, _OPERATOR = "tk_test_", "tk_live_", "tk_op_"


class FirstKey(Struct, frozen=True):
    id: str
    secret: str


class FirstKeys(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Keys by what they are for. The live ones are made when a provider is configured."""

    organization_id: str
    project_id: str
    inference_key: FirstKey
    admin_key: FirstKey
    operator_key: FirstKey
    live_inference_key: FirstKey | None = None
    live_admin_key: FirstKey | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    key: FirstKey
    name: str
    kind: KeyKind
    livemode: bool


def plan(data_dir: Path, *, live: bool) -> FirstKeys:
    """Read the keys of the first start, or choose them and write them down."""
    file = data_dir / FILE
    try:
        planned = msgspec.json.decode(file.read_bytes(), type=FirstKeys)
    except FileNotFoundError:
        planned = FirstKeys(
            organization_id=show_id("org", uuid7()),
            project_id=show_id("prj", uuid7()),
            inference_key=_choose("key", _TEST),
            admin_key=_choose("key", _TEST),
            operator_key=_choose("opk", _OPERATOR),
        )
        _write(file, planned)
    except msgspec.DecodeError as error:
        raise NoDatabase(
            f"{file} cannot be read: {error}. Put it back from a backup, or remove it to have a"
            " new organization with new keys."
        ) from None
    if live and planned.live_inference_key is None:
        planned = msgspec.structs.replace(
            planned,
            live_inference_key=_choose("key", _LIVE),
            live_admin_key=_choose("key", _LIVE),
        )
        _write(file, planned)
    return planned


async def make(tx: Connection, planned: FirstKeys, opening: Opening, now: datetime) -> bool:
    """Make what is missing of it, and say whether the organization is new."""
    act = Act(who=WHO, why="First start", at=now)
    await pricing.install_catalogue(tx, WHO, now)
    org_id = read_id("org", planned.organization_id)
    project_id = read_id("prj", planned.project_id)
    fresh = not await _has_organization(tx, org_id)
    if fresh:
        await operator.create_organization(
            tx, act, org_id=org_id, name="First organization", opening=opening
        )
        await orgs.create_project(tx, org_id=org_id, project_id=project_id, name="Default", now=now)
    for wanted in _wanted(planned):
        await _make_key(tx, org_id, project_id, wanted, now)
    await _make_operator_key(tx, planned.operator_key, now)
    return fresh


def _wanted(planned: FirstKeys) -> list[_Wanted]:
    wanted = [
        _Wanted(planned.inference_key, "First key", KeyKind.INFERENCE, livemode=False),
        _Wanted(planned.admin_key, "First ADMIN key", KeyKind.ADMIN, livemode=False),
    ]
    if planned.live_inference_key is not None and planned.live_admin_key is not None:
        inference, admin = planned.live_inference_key, planned.live_admin_key
        wanted += [
            _Wanted(inference, "First live key", KeyKind.INFERENCE, livemode=True),
            _Wanted(admin, "First live ADMIN key", KeyKind.ADMIN, livemode=True),
        ]
    return wanted


async def _has_organization(tx: Connection, org_id: UUID) -> bool:
    try:
        await orgs.get_org(tx, org_id)
    except NotFound:
        return False
    return True


async def _make_key(
    tx: Connection, org_id: UUID, project_id: UUID, wanted: _Wanted, now: datetime
) -> None:
    key_id = read_id("key", wanted.key.id)
    try:
        await orgs.get_key(tx, org_id, key_id)
    except NotFound:
        new = NewKey(
            org_id=org_id,
            key_id=key_id,
            project_id=project_id,
            name=wanted.name,
            kind=wanted.kind,
            livemode=wanted.livemode,
        )
        await orgs.create_key(tx, new, chance=_chance(wanted.key.secret), now=now)


async def _make_operator_key(tx: Connection, key: FirstKey, now: datetime) -> None:
    key_id = read_id("opk", key.id)
    if all(known.key_id != key_id for known in await orgs.list_operator_keys(tx)):
        await orgs.create_operator_key(
            tx, key_id=key_id, name="First operator key", chance=_chance(key.secret), now=now
        )


def _choose(kind: str, prefix: str) -> FirstKey:
    return FirstKey(show_id(kind, uuid7()), prefix + secrets.token_urlsafe(32))


def _chance(secret: str) -> bytes:
    """Return the random bytes that a secret was made of."""
    for prefix in (_TEST, _LIVE, _OPERATOR):
        if secret.startswith(prefix):
            return urlsafe_b64decode(secret.removeprefix(prefix) + "=")
    raise ValueError("not a secret of ours")


def _write(file: Path, planned: FirstKeys) -> None:
    """Write it whole or not at all, readable by its owner alone."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as written:
        written.write(msgspec.json.format(msgspec.json.encode(planned)) + b"\n")
        written.flush()
        os.fsync(written.fileno())
    draft.replace(file)
