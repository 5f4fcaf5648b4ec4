"""Free credit that comes again each period, and lapses with it.

One period, one organization, one entry: its source says both, so however many processes give at
once, and however often one dies in between, each period is given once. A period that is over is
not given any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from tollkeeper import ledger, orgs
from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import Money
from tollkeeper.credits.granting import store
from tollkeeper.credits.granting.model import PRIORITY, Period, RecurringGrant, Welcome
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import BalanceTooLarge, EntryKind, LotKind, NewLot, Posting, Wallet
from tollkeeper.orgs import AuditEntry

ID: Final = "rgr"
_USD: Final = "USD"
# One that gives says so every page; after so long without a word it is taken to be dead.
_LEASE: Final = timedelta(seconds=60)
_PAGE: Final = 200
_AT_ONCE: Final = 4

_log = structlog.stdlib.get_logger(__name__)


async def define(tx: Connection, grant: RecurringGrant) -> RecurringGrant:
    """Write it down; it is given within seconds of `next_at`. The same id again changes nothing.

    Raises NotFound for an unknown organization.
    """
    if grant.org_id is not None:
        await orgs.get_org(tx, grant.org_id)
    known = await store.read_recurring(tx, grant.grant_id)
    if known is not None:
        return known
    await store.lock_newcomers(tx, shared=False)
    await store.insert_recurring(tx, grant)
    await _note(tx, grant, "recurring_grant.create", grant.created_by, grant.reason)
    return grant


async def find(connection: Connection, grant_id: UUID) -> RecurringGrant:
    """Raises NotFound."""
    found = await store.read_recurring(connection, grant_id)
    if found is None:
        raise NotFound(f"There is no recurring grant {show_id(ID, grant_id)}")
    return found


async def end(
    tx: Connection, grant_id: UUID, *, who: str, why: str, now: datetime
) -> RecurringGrant:
    """Give no more of it; what was given stays until its period ends. Raises NotFound."""
    ended = await store.end_recurring(tx, grant_id, now)
    if ended is None:
        return await find(tx, grant_id)
    await _note(tx, ended, "recurring_grant.end", who, why)
    return ended


async def give_due(database: Database, clock: Clock) -> int:
    """Give what is due, each to whom it is for. Returns to how many."""
    given = 0
    while True:
        now = clock.now()
        async with database.transaction() as tx:
            grant = await store.claim(tx, now, now + _LEASE)
        if grant is None:
            return given
        period = grant.period_at(now)
        async with database.transaction() as tx:
            # Whoever made an organization before this has done so, and it is found below.
            await store.lock_newcomers(tx, shared=False)
            begun = await store.begin_period(tx, grant.grant_id, period.start)
            ended = (await find(tx, grant.grant_id)).ended_at is not None
        if ended:
            continue
        given += await _give_period(database, clock, grant, period, fresh=begun)


async def _give_period(
    database: Database, clock: Clock, grant: RecurringGrant, period: Period, *, fresh: bool
) -> int:
    if grant.org_id is not None:
        await give(database, grant, period, [grant.org_id], clock.now())
        given, whole = 1, True
    else:
        after = None if fresh else grant.given_up_to
        given, whole = await _give_to_all(database, clock, grant, period, after)
    if whole:
        async with database.transaction() as tx:
            await store.end_period(tx, grant.grant_id, period.start, period.end)
    return given


async def _give_to_all(
    database: Database, clock: Clock, grant: RecurringGrant, period: Period, after: UUID | None
) -> tuple[int, bool]:
    """From the newest organization down; False when it was ended, or is over, on the way."""
    given = 0
    while True:
        async with database.connection() as connection:
            page = [one.org_id for one in await orgs.list_orgs(connection, after, _PAGE)]
        shares = [page[nth::_AT_ONCE] for nth in range(_AT_ONCE)]
        now = clock.now()
        async with asyncio.TaskGroup() as group:
            for share in shares:
                group.create_task(give(database, grant, period, share, now))
        given += len(page)
        if len(page) < _PAGE:
            return given, True
        after = page[-1]
        async with database.transaction() as tx:
            until = clock.now() + _LEASE
            if not await store.keep_on(tx, grant.grant_id, period.start, up_to=after, until=until):
                return given, False


async def give(
    database: Database,
    grant: RecurringGrant,
    period: Period,
    org_ids: Sequence[UUID],
    now: datetime,
) -> None:
    """Post it to each, by itself: a wallet is locked no longer than its own entry takes."""
    for org_id in org_ids:
        try:
            async with database.transaction() as tx:
                await _post(tx, grant, period, org_id, now)
        except BalanceTooLarge:
            _log.warning("recurring_grant_too_large", org_id=str(org_id), grant=str(grant.grant_id))


async def give_to_newcomer(tx: Connection, org_id: UUID, welcome: Welcome, now: datetime) -> None:
    """Give a new organization, in the transaction that makes it, what all have and what is new."""
    await store.lock_newcomers(tx, shared=True)
    for grant in await store.for_all(tx, now):
        await _post(tx, grant, grant.period_at(now), org_id, now)
    if welcome.amount_nanos:
        wallet = await _open(tx, org_id, now, livemode=True, currency=_USD)
        posting = Posting(
            org_id=org_id,
            wallet_id=wallet.wallet_id,
            entry_id=uuid7(),
            kind=EntryKind.GRANT,
            amount=welcome.amount_nanos,
            lot=NewLot(
                kind=LotKind.PROMOTIONAL,
                priority=PRIORITY,
                expires_at=now + timedelta(days=welcome.days),
                label="Welcome credit",
            ),
            source="welcome",
            reason="Welcome credit",
        )
        await ledger.post(tx, posting, now)


async def _post(
    tx: Connection, grant: RecurringGrant, period: Period, org_id: UUID, now: datetime
) -> None:
    wallet = await _open(tx, org_id, now, livemode=grant.livemode, currency=grant.currency)
    posting = Posting(
        org_id=org_id,
        wallet_id=wallet.wallet_id,
        entry_id=uuid7(),
        kind=EntryKind.GRANT,
        amount=grant.amount_nanos,
        lot=NewLot(
            kind=LotKind.PROMOTIONAL,
            priority=grant.priority,
            expires_at=period.end,
            label=grant.label,
        ),
        source=f"recurring:{grant.grant_id.hex}:{period.start:%Y-%m-%dT%H:%M:%SZ}",
        actor=grant.created_by,
        reason=grant.reason,
    )
    await ledger.post(tx, posting, now)


async def _open(
    tx: Connection, org_id: UUID, now: datetime, *, livemode: bool, currency: str
) -> Wallet:
    return await ledger.open_wallet(
        tx, org_id=org_id, wallet_id=uuid7(), livemode=livemode, currency=currency, now=now
    )


async def _note(tx: Connection, grant: RecurringGrant, what: str, who: str, why: str) -> None:
    entry = AuditEntry(
        audit_id=uuid7(),
        at=grant.ended_at or grant.created_at,
        who=who,
        what=what,
        why=why,
        org_id=grant.org_id,
        details={
            "grantId": show_id(ID, grant.grant_id),
            "amount": str(Money(grant.amount_nanos)),
            "currency": grant.currency,
            "every": grant.every.value,
        },
    )
    await orgs.audit(tx, entry)
