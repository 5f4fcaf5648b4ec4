"""All SQL about billing profiles."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import msgspec

from tollkeeper.db import Connection
from tollkeeper.profiles.model import Profile

_READ: Final = """
SELECT org_id, name, kind, address, tax_ids, emails, updated_at FROM billing_profile
WHERE org_id = %(org_id)s
"""
_WRITE: Final = """
INSERT INTO billing_profile (org_id, name, kind, address, tax_ids, emails, updated_at)
VALUES (%(org_id)s, %(name)s, %(kind)s, %(address)s, %(tax_ids)s, %(emails)s, %(updated_at)s)
ON CONFLICT (org_id) DO UPDATE SET
    name = excluded.name, kind = excluded.kind, address = excluded.address,
    tax_ids = excluded.tax_ids, emails = excluded.emails, updated_at = excluded.updated_at
"""
_NAMES: Final = ("org_id", "name", "kind", "address", "tax_ids", "emails", "updated_at")


async def read_profile(connection: Connection, org_id: UUID) -> Profile | None:
    found = await connection.execute(_READ, {"org_id": org_id})
    row = await found.fetchone()
    return None if row is None else msgspec.convert(dict(zip(_NAMES, row, strict=True)), Profile)


async def write_profile(tx: Connection, profile: Profile) -> None:
    values: dict[str, Any] = {
        "org_id": profile.org_id,
        "name": profile.name,
        "kind": profile.kind.value,
        "address": msgspec.json.encode(profile.address).decode(),
        "tax_ids": msgspec.json.encode(profile.tax_ids).decode(),
        "emails": list(profile.emails),
        "updated_at": profile.updated_at,
    }
    await tx.execute(_WRITE, values)
