"""`/operator/…/purchases` and `/operator/disputes`: money that came, and money that goes back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper import credits, orgs, payments  # noqa: A004 (the room's name)
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import Money, PositiveMoneyIn
from tollkeeper.credits import PurchaseOut, RefundOrder, Shop
from tollkeeper.db import Database
from tollkeeper.http import Cursors, CursorText, Limit, Page, page_of, read_path_id, run_id_of
from tollkeeper.ledger import InsufficientCredits
from tollkeeper.operator.acts import Act, note
from tollkeeper.operator.shapes import In, Out, Why
from tollkeeper.payments import RefundRefused, to_minor, to_nanos
from tollkeeper.payments.model import Dispute, DisputeStatus, Refund, RefundStatus

AnyRequest = Request[Any, Any, State]


class NewPurchaseRefund(In, frozen=True, kw_only=True):
    """Money that goes back to the card; without an `amount`, all that is left of the payment."""

    reason: Why
    amount: Annotated[
        PositiveMoneyIn | None, Meta(description="In the currency that was paid, fee and tax too.")
    ] = None
    force: Annotated[
        bool, Meta(description="Whether credit that is spent is refunded too, into debt.")
    ] = False


class RefundOut(Out, frozen=True, kw_only=True):
    id: str
    purchase_id: str
    status: RefundStatus
    amount: Money
    currency: str
    reason: str
    failure_message: str | None
    created_at: datetime

    @classmethod
    def of(cls, refund: Refund) -> RefundOut:
        return cls(
            id=show_id("ref", refund.refund_id),
            purchase_id=show_id("pur", refund.payment_id),
            status=refund.status,
            amount=Money(to_nanos(refund.amount_minor, refund.currency)),
            currency=refund.currency,
            reason=refund.reason,
            failure_message=refund.failure_detail,
            created_at=refund.intended_at,
        )


class DisputeOut(Out, frozen=True, kw_only=True):
    """Answered in the processor's dashboard, before `evidenceDueAt`; `reference` is its name
    there."""

    id: str
    organization_id: str
    purchase_id: str
    reference: str
    status: DisputeStatus
    amount: Money
    currency: str
    reason: str
    evidence_due_at: datetime | None
    opened_at: datetime
    settled_at: datetime | None

    @classmethod
    def of(cls, dispute: Dispute) -> DisputeOut:
        return cls(
            id=show_id("dis", dispute.dispute_id),
            organization_id=show_id("org", dispute.org_id),
            purchase_id=show_id("pur", dispute.payment_id),
            reference=dispute.ref,
            status=dispute.status,
            amount=Money(to_nanos(dispute.amount_minor, dispute.currency)),
            currency=dispute.currency,
            reason=dispute.reason,
            evidence_due_at=dispute.evidence_due_at,
            opened_at=dispute.opened_at,
            settled_at=dispute.settled_at,
        )


async def refund_purchase(
    shop: Shop, act: Act, order: RefundOrder, amount: int | None = None
) -> Refund:
    """Take the credit off, then have the money sent back; `amount` in nanos, None for all of it.

    The same `refund_id` again does it once. Raises NotFound, RefundRefused, InsufficientCredits,
    AmountNotPayable.
    """
    till = shop.till
    async with till.database.transaction() as tx:
        bought = await credits.find_purchase(tx, order.org_id, order.purchase_id)
        minor = None if amount is None else to_minor(amount, bought.currency)
        refund, new = await credits.begin_refund(tx, shop, order, minor)
        if new:
            await note(
                tx,
                act,
                "purchase.refund",
                order.org_id,
                purchaseId=show_id("pur", order.purchase_id),
                refundId=show_id("ref", order.refund_id),
                amount=payments.show_minor(refund.amount_minor, refund.currency),
                force=order.force,
            )
    return await payments.refund(till, order.org_id, order.refund_id)


def purchase_handlers(shop: Shop) -> list[ControllerRouterHandler]:
    return [_list(shop), _refund(shop), list_disputes]


def _list(shop: Shop) -> ControllerRouterHandler:
    @get(
        "/organizations/{organization_id:str}/purchases",
        summary="List an organization's purchases, newest first",
    )
    async def list_for_operator(
        organization_id: FromPath[str],
        cursors: NamedDependency[Cursors],
        livemode: FromQuery[bool] = True,
        limit: Limit = 50,
        cursor: CursorText = None,
    ) -> Page[PurchaseOut]:
        org_id = read_path_id("org", organization_id)
        async with shop.till.database.connection() as connection:
            await orgs.get_org(connection, org_id)
        return await credits.list_purchases(
            shop, cursors, org_id, livemode=livemode, limit=limit, cursor=cursor
        )

    return list_for_operator


def _refund(shop: Shop) -> ControllerRouterHandler:
    @post(
        "/organizations/{organization_id:str}/purchases/{purchase_id:str}/refunds",
        summary="Refund a purchase, whole or in part",
        description="The credit it stands for is taken off, the money sent back, a credit note"
        " issued. Credit that is spent is refunded only by `force`.",
        opt={"errors": (RefundRefused, InsufficientCredits)},
    )
    async def refund_by_operator(
        request: AnyRequest,
        organization_id: FromPath[str],
        purchase_id: FromPath[str],
        data: JSONBody[NewPurchaseRefund],
    ) -> RefundOut:
        who = orgs.name_of(orgs.operator_of(request))
        order = RefundOrder(
            org_id=read_path_id("org", organization_id),
            purchase_id=read_path_id("pur", purchase_id),
            refund_id=run_id_of(request) or uuid7(),
            reason=data.reason,
            actor=who,
            force=data.force,
        )
        act = Act(who=who, why=data.reason, at=shop.till.clock.now())
        return RefundOut.of(await refund_purchase(shop, act, order, data.amount))

    return refund_by_operator


@get("/disputes", summary="List disputes, newest first")
async def list_disputes(
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    status: Annotated[FromQuery[DisputeStatus | None], Meta(description="Only these.")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[DisputeOut]:
    bound = ("disputes", status)
    below = None if cursor is None else cursors.open(bound, cursor, tuple[datetime, UUID])
    async with database.connection() as connection:
        found = await payments.newest_disputes(connection, status, below, limit + 1)
    return page_of(
        found,
        limit,
        DisputeOut.of,
        lambda last: cursors.seal(bound, [last.opened_at, last.dispute_id]),
    )
