"""Disputes: whose payment a bank takes back, until when it can be answered, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from urllib.parse import urlencode
from uuid import UUID

from litestar import get
from litestar.params import FromQuery
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper import credits, ledger, orgs, payments  # noqa: A004 (the room's name)
from tollkeeper.base.money import Money
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff.organization_acts import organization_path
from tollkeeper.console.staff_door import STAFF_PAGES, StaffDoor
from tollkeeper.db import Connection
from tollkeeper.payments import PaymentsNotConfigured, Till
from tollkeeper.payments.model import Dispute, DisputeStatus

DISPUTES: Final = f"{STAFF_PAGES}/disputes"
_PAGE: Final = 25
_SOON: Final = timedelta(days=3)
_ANSWERABLE: Final = (DisputeStatus.OPEN, DisputeStatus.INQUIRY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A dispute with whose it is. `url` is where it is answered; None once that is over."""

    dispute: Dispute
    amount: Money
    organization: str
    path: str
    url: str | None
    soon: bool
    frozen: bool


def disputes_pages(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    cursors, till = shelves.cursors, shelves.payments.till

    @get("/disputes", include_in_schema=False)
    async def show_disputes(
        request: AnyRequest,
        status: FromQuery[Literal["", "open", "inquiry", "won", "lost", "closed"]] = "",
        before: FromQuery[str] = "",
    ) -> Response[bytes]:
        bound, now = ("staff/disputes", status), door.door.clock.now()
        below = cursors.open(bound, before, tuple[datetime, UUID]) if before else None
        only = DisputeStatus(status) if status else None
        async with door.door.database.connection() as connection:
            found = await payments.newest_disputes(connection, only, below, _PAGE + 1)
            rows = await _rows(connection, till, found[:_PAGE], now)
        said = {"status": status} if status else {}
        older = None
        if len(found) > _PAGE:
            last = found[_PAGE - 1]
            sealed = cursors.seal(bound, [last.opened_at, last.dispute_id])
            older = f"{DISPUTES}?{urlencode(said | {'before': sealed})}"
        return door.page(
            request,
            "staff/disputes.html",
            rows=rows,
            shown=status,
            statuses=[one.value for one in DisputeStatus],
            older=older,
            newest=f"{DISPUTES}?{urlencode(said)}" if before else None,
        )

    return [show_disputes]


async def _rows(
    connection: Connection, till: Till, found: Sequence[Dispute], now: datetime
) -> list[Row]:
    names = await orgs.names_of_orgs(connection, [one.org_id for one in found])
    frozen = await _frozen(connection, found)
    rows: list[Row] = []
    for one in found:
        open_ = one.status in _ANSWERABLE
        due = one.evidence_due_at
        rows.append(
            Row(
                dispute=one,
                amount=Money(payments.to_nanos(one.amount_minor, one.currency)),
                organization=names.get(one.org_id, ""),
                path=organization_path(one.org_id),
                url=_where(till, one) if open_ else None,
                soon=open_ and due is not None and due - now < _SOON,
                frozen=(one.org_id, one.payment_id) in frozen,
            )
        )
    return rows


def _where(till: Till, dispute: Dispute) -> str | None:
    try:
        processor = till.processors.named(dispute.processor, livemode=dispute.livemode)
    except PaymentsNotConfigured:
        return None  # it was taken out of the settings since
    return processor.dispute_url(dispute.ref)


async def _frozen(connection: Connection, found: Sequence[Dispute]) -> set[tuple[UUID, UUID]]:
    """The payments whose balance is frozen, for whatever reason; some bought nothing here."""
    paid = [(one.org_id, one.payment_id) for one in found]
    bought = await credits.wallets_bought_for(connection, paid)
    wallets = {purchase: (purchase[0], wallet_id) for purchase, wallet_id in bought.items()}
    frozen = await ledger.frozen_wallets(connection, list(set(wallets.values())))
    return {purchase for purchase, wallet in wallets.items() if wallet in frozen}
