"""Refunds: money that went back, and the form that sends it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from litestar import get
from litestar.params import FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import credits, operator, orgs, payments  # noqa: A004 (the room's name)
from tollkeeper.base.money import Money
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import Form, go_on
from tollkeeper.console.rendering import say, say_with, show_moment, show_money
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff.acting import REASON, Field, Sheet, act_page, once_of, read_shape
from tollkeeper.console.staff.organization_acts import org_of, organization_path
from tollkeeper.console.staff_door import STAFF_PAGES, StaffDoor, act_of
from tollkeeper.credits import Purchase, Refundable, RefundOrder
from tollkeeper.http import read_path_id
from tollkeeper.operator import NewPurchaseRefund
from tollkeeper.payments.model import RefundStatus

REFUNDS: Final = f"{STAFF_PAGES}/refunds"
_PAGE: Final = 25


def refunds_pages(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    cursors, bound = shelves.cursors, ("staff/refunds",)

    @get("/refunds", include_in_schema=False)
    async def show_refunds(request: AnyRequest, before: FromQuery[str] = "") -> Response[bytes]:
        below = cursors.open(bound, before, tuple[datetime, UUID]) if before else None
        async with door.door.database.connection() as connection:
            found = await payments.newest_refunds(connection, below, _PAGE + 1)
            shown = found[:_PAGE]
            names = await orgs.names_of_orgs(connection, [one.org_id for one in shown])
        older = None
        if len(found) > _PAGE:
            sealed = cursors.seal(bound, [shown[-1].intended_at, shown[-1].refund_id])
            older = f"{REFUNDS}?{urlencode({'before': sealed})}"
        return door.page(
            request,
            "staff/refunds.html",
            refunds=shown,
            names=names,
            where=organization_path,
            paid=_money,
            older=older,
            newest=REFUNDS if before else None,
        )

    return [show_refunds, *_refund(door, shelves)]


def _refund(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    async def prepare(request: AnyRequest) -> Sheet:
        org_id, purchase_id = org_of(request), _purchase_of(request)
        async with door.door.database.connection() as connection:
            org = await orgs.get_org(connection, org_id)
            purchase = await credits.find_purchase(connection, org_id, purchase_id)
            left = await credits.read_refundable(connection, purchase)
        return Sheet(
            title=say("staff_refunds.refund_title"),
            lead=say("staff_refunds.refund_lead", organization=org.name),
            button=say("staff_refunds.refund_button"),
            back=organization_path(org_id),
            fields=[
                Field(
                    name="amount",
                    kind="number",
                    required=False,
                    label=say("staff_refunds.part"),
                    hint=say("staff_refunds.part_hint"),
                ),
                Field(name="force", kind="tick", required=False, hint=True),
                REASON,
            ],
            facts=_facts(purchase, left),
            warning=_warn(purchase, left),
            danger=True,
        )

    async def refund(request: AnyRequest, form: Form) -> Redirect:
        data = read_shape(form, NewPurchaseRefund, ticks=["force"])
        act = act_of(request, data.reason, door.door.clock.now())
        order = RefundOrder(
            org_id=org_of(request),
            purchase_id=_purchase_of(request),
            refund_id=once_of(form),
            reason=data.reason,
            actor=act.who,
            force=data.force,
        )
        shop = shelves.top_ups.shop
        made = await operator.refund_purchase(shop, act, order, data.amount)
        failed = made.status is RefundStatus.FAILED
        done = "staff_refund_failed" if failed else "staff_refunded"
        return go_on(organization_path(order.org_id), done)

    path = "/organizations/{organization_id:str}/purchases/{purchase_id:str}/refund"
    return act_page(door, path, prepare, refund)


def _purchase_of(request: AnyRequest) -> UUID:
    return read_path_id("pur", request.path_params["purchase_id"])


def _facts(purchase: Purchase, left: Refundable) -> list[tuple[str, Any]]:
    currency = purchase.currency
    credit = say_with(
        "staff_refunds.of",
        part=show_money(Money(left.unspent), currency),
        whole=show_money(Money(purchase.credit_nanos), currency),
    )
    return [
        (say("staff_refunds.bought"), show_moment(purchase.created_at)),
        (say("staff_refunds.paid"), show_money(_money(purchase.total_minor, currency), currency)),
        (
            say("staff_refunds.money_left"),
            show_money(_money(left.money_minor, currency), currency),
        ),
        (say("staff_refunds.credit_left"), credit),
    ]


def _warn(purchase: Purchase, left: Refundable) -> str:
    if left.money_minor == 0:
        return say("staff_refunds.nothing_left")
    if left.unspent >= left.credit:
        return ""
    spent = show_money(Money(left.credit - left.unspent), purchase.currency)
    return say_with("staff_refunds.partly_spent", spent=spent)


def _money(minor: int, currency: str) -> Money:
    return Money(payments.to_nanos(minor, currency))
