"""An organization with a project and keys, made through the room's own acts."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tollkeeper.base.ids import uuid7
from tollkeeper.db import Database
from tollkeeper.orgs import (
    ApiKey,
    KeyKind,
    NewKey,
    create_key,
    create_operator_key,
    create_org,
    create_project,
)


@dataclass(frozen=True)
class Acme:
    """One organization, and a hand that makes its keys."""

    database: Database
    now: datetime
    org_id: UUID
    project_id: UUID

    async def key(self, **more: Any) -> tuple[ApiKey, str]:
        new: dict[str, Any] = {
            "org_id": self.org_id,
            "key_id": uuid7(),
            "project_id": self.project_id,
            "name": "Test",
            "kind": KeyKind.INFERENCE,
            "livemode": True,
            **more,
        }
        async with self.database.transaction() as tx:
            return await create_key(tx, NewKey(**new), chance=secrets.token_bytes(32), now=self.now)


async def found_acme(database: Database, now: datetime, name: str = "Acme") -> Acme:
    org_id, project_id = uuid7(), uuid7()
    async with database.transaction() as tx:
        await create_org(tx, org_id=org_id, name=name, now=now)
        await create_project(tx, org_id=org_id, project_id=project_id, name="Default", now=now)
    return Acme(database, now, org_id, project_id)


async def hire_operator(database: Database, now: datetime) -> tuple[UUID, str]:
    """Return an operator key's id and secret."""
    async with database.transaction() as tx:
        key, secret = await create_operator_key(
            tx, key_id=uuid7(), name="Olga", chance=secrets.token_bytes(32), now=now
        )
    return key.key_id, secret
