"""One organization as the staff see it: its credit, what moved it, who spends it, how it pays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import get
from litestar.params import FromPath, QueryParameter
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper import (
    credits,  # noqa: A004 (the room's name)
    ledger,
    limits,
    metering,
    notifications,
    orgs,
)
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.model import USD
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff.actors import actor_of
from tollkeeper.console.staff.mode import Asked, Mode
from tollkeeper.console.staff.organization_acts import organization_acts, organization_path
from tollkeeper.console.staff_door import StaffDoor
from tollkeeper.credits import TopUp
from tollkeeper.db import Connection
from tollkeeper.http import read_path_id
from tollkeeper.ledger import Wallet
from tollkeeper.orgs import ApiKey
from tollkeeper.payments import to_nanos

_FEW: Final = 5
_MOVEMENTS: Final = 8
_KEYS: Final = 20
_MONTH: Final = timedelta(days=30)


def organization_pages(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    @get("/organizations/{organization_id:str}", include_in_schema=False)
    async def show_organization(
        request: AnyRequest,
        organization_id: FromPath[str],
        asked: Annotated[Asked, QueryParameter(name="mode")] = "",
    ) -> Response[bytes]:
        org_id, now = read_path_id("org", organization_id), door.door.clock.now()
        async with door.door.database.transaction() as tx:
            org = await orgs.get_org(tx, org_id)
            mode = asked or await _mode_of(tx, org_id)
            livemode = mode == "live"
            known: dict[str, Any] = {
                **await _read_credit(tx, org_id, livemode, now),
                **await _read_people(tx, org_id, livemode, now),
                "budgets": await _read_budgets(tx, shelves, org_id, livemode, now),
            }
        subscription = shelves.plans.subscription(org_id, livemode)
        return door.page(
            request,
            "staff/organization.html",
            org=org,
            shown_id=show_id("org", org_id),
            here=organization_path(org_id),
            mode=mode,
            money=Money,
            paid=_paid,
            show_id=show_id,
            terms=shelves.plans.look_up(org_id, livemode, now),
            subscription=subscription,
            **known,
        )

    return [show_organization, *organization_acts(door, shelves)]


async def _mode_of(tx: Connection, org_id: UUID) -> Mode:
    """Live, unless nothing has moved but with test keys."""
    standings = {
        livemode: (await ledger.standings(tx, [org_id], livemode=livemode))[org_id]
        for livemode in (True, False)
    }
    begun = {livemode: any(one.begun for one in of) for livemode, of in standings.items()}
    return "test" if begun[False] and not begun[True] else "live"


async def _read_credit(
    tx: Connection, org_id: UUID, livemode: bool, now: datetime
) -> dict[str, Any]:
    wallets = await ledger.wallets_of(tx, org_id)
    hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    spent = await metering.spent_by_all(
        tx, [(hour - _MONTH, hour)], livemode=livemode, org_ids=[org_id]
    )
    own = [one for one in wallets if one.livemode == livemode]
    main = next((one for one in own if one.currency == USD), own[0] if own else None)
    return {
        "wallets": wallets,
        "main": main,
        "spent": {one.currency: one for one in spent},
        "purchases": await credits.newest_purchases(
            tx, org_id, livemode=livemode, below=None, limit=_FEW
        ),
        **await _read_wallet(tx, main),
    }


async def _read_wallet(tx: Connection, wallet: Wallet | None) -> dict[str, Any]:
    if wallet is None:
        return {"entries": [], "lots": [], "remaining": {}, "top_up": None, "top_up_state": "off"}
    org_id, wallet_id = wallet.org_id, wallet.wallet_id
    drawn = await ledger.drawn_lots(tx, org_id, wallet_id, wallet.posted)
    top_up = await credits.read_top_up(tx, org_id, wallet_id)
    return {
        "entries": await ledger.entries(tx, org_id, wallet_id, limit=_MOVEMENTS),
        "lots": drawn.left,
        "remaining": drawn.remaining,
        "top_up": top_up,
        "top_up_state": top_up_state(top_up),
    }


def top_up_state(top_up: TopUp | None) -> Literal["off", "on", "failing", "suspended"]:
    if top_up is None or not top_up.enabled:
        return "off"
    if top_up.suspended_reason is not None:
        return "suspended"
    return "failing" if top_up.failures else "on"


async def _read_people(
    tx: Connection, org_id: UUID, livemode: bool, now: datetime
) -> dict[str, Any]:
    keys = await orgs.list_keys(tx, org_id, None, _KEYS + 1)
    return {
        "keys": [(key, _key_state(key, now)) for key in keys[:_KEYS]],
        "more_keys": len(keys) > _KEYS,
        "members": await orgs.list_members(tx, org_id, None, _KEYS),
        "notices": await notifications.list_notices(
            tx, org_id, livemode=livemode, below=None, types=None, unread=False, limit=_FEW
        ),
        "actor": actor_of,
        "acts": await orgs.list_audit(tx, org_id, None, _FEW),
    }


def _key_state(key: ApiKey, now: datetime) -> Literal["active", "revoked", "expired"]:
    if key.revoked_at is not None:
        return "revoked"
    expired = key.expires_at is not None and key.expires_at <= now
    return "expired" if expired else "active"


async def _read_budgets(
    tx: Connection, shelves: Shelves, org_id: UUID, livemode: bool, now: datetime
) -> list[limits.BudgetOut]:
    page = await limits.page_of_budgets(
        tx,
        shelves.limits,
        org_id,
        livemode=livemode,
        now=now,
        cursors=shelves.cursors,
        cursor=None,
        limit=_FEW,
    )
    return page.data


def _paid(minor: int, currency: str) -> Money:
    return Money(to_nanos(minor, currency))
