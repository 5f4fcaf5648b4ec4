"""A provider's word is kept, in the place of what it said of the same days before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tollkeeper import orgs
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.margins import store
from tollkeeper.margins.model import Bucket, Measure
from tollkeeper.orgs import AuditEntry


async def import_buckets(
    tx: Connection, buckets: Sequence[Bucket], *, who: str, why: str, now: datetime
) -> int:
    """Keep them, with an audit row. Returns how many days of costs there are among them."""
    await store.replace_buckets(tx, buckets, who, now)
    days = {(bucket.provider, bucket.day) for bucket in buckets if bucket.measure is Measure.COST}
    known = sorted({bucket.day for bucket in buckets})
    await orgs.audit(
        tx,
        AuditEntry(
            audit_id=uuid7(),
            at=now,
            who=who,
            what="provider_costs.import",
            why=why,
            org_id=None,
            details={
                "providers": sorted({bucket.provider for bucket in buckets}),
                "first": known[0].isoformat(),
                "last": known[-1].isoformat(),
                "rows": len(buckets),
            },
        ),
    )
    return len(days)
