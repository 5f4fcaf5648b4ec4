"""`/billing/quotes` and `/billing/purchases`: by an ADMIN key."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from tollkeeper import orgs, payments, profiles
from tollkeeper.base.errors import InvalidRequest, NotFound
from tollkeeper.base.ids import read_id, show_id, uuid7
from tollkeeper.base.money import Money
from tollkeeper.credits import purchases, store
from tollkeeper.credits.buyers import buyer_of, keep_buyer
from tollkeeper.credits.errors import AmountOutOfRange, PaymentsNotConfigured, PurchaseInProgress
from tollkeeper.credits.model import Order, Purchase, Shop
from tollkeeper.credits.shapes import (
    USD,
    NewPurchase,
    NewQuote,
    PurchaseOptions,
    PurchaseOut,
    Quote,
    Resumption,
    wallet_of,
)
from tollkeeper.credits.transactions import list_transactions
from tollkeeper.db import Connection, Database
from tollkeeper.http import Cursors, CursorText, Limit, Page, page_of, read_path_id, run_id_of
from tollkeeper.orgs import Caller
from tollkeeper.payments import (
    AmountNotPayable,
    PaymentMethodNotFound,
    ProcessorRefused,
    ProcessorUnavailable,
)

AnyRequest = Request[Any, Any, State]
PurchaseId = FromPath[str]
_TALKS_TO_PROCESSOR = (
    PaymentsNotConfigured,
    PaymentMethodNotFound,
    ProcessorUnavailable,
    ProcessorRefused,
)


def purchase_routes(
    shop: Shop, publishable_key: str | None = None
) -> list[ControllerRouterHandler]:
    """`publishable_key` is what the processor's own forms take in a browser."""
    handlers = [
        _options(shop, publishable_key),
        _quote(shop),
        _buy(shop),
        _list(shop),
        _read(shop),
        _resume(shop),
        _cancel(shop),
        list_transactions,
    ]
    return [Router("/billing", route_handlers=handlers, guards=[orgs.admin_only], tags=["Credit"])]


def _options(shop: Shop, publishable_key: str | None) -> ControllerRouterHandler:
    @get("/purchase-options", summary="Ask what may be bought")
    async def read_options(request: AnyRequest) -> PurchaseOptions:
        livemode = orgs.caller_of(request).livemode
        try:
            processor = shop.till.processors.serving(livemode=livemode).name
        except PaymentsNotConfigured:
            processor = None
        return PurchaseOptions(
            currency=USD,
            minimum=Money(shop.rules.least),
            maximum=Money(shop.rules.most),
            presets=[Money(preset) for preset in shop.rules.presets],
            processor=processor,
            publishable_key=publishable_key if processor == "stripe" else None,
        )

    return read_options


def _quote(shop: Shop) -> ControllerRouterHandler:
    @post(
        "/quotes",
        summary="Ask what credit costs",
        status_code=200,
        opt={"errors": (AmountOutOfRange, AmountNotPayable)},
    )
    async def make_quote(
        request: AnyRequest, data: JSONBody[NewQuote], database: NamedDependency[Database]
    ) -> Quote:
        shop.rules.check(data.amount)
        async with database.connection() as connection:
            org_id = orgs.caller_of(request).org_id
            _, taxes = await buyer_of(connection, org_id, shop.taxes)
        return Quote.of(shop.rules.price(data.amount, data.currency, taxes))

    return make_quote


def _buy(shop: Shop) -> ControllerRouterHandler:
    @post(
        "/purchases",
        summary="Buy credit",
        description="The answer says how far it has come: `succeeded`, `requires_action` (the bank"
        " wants to see the customer, at `actionUrl`), `requires_payment` (on the processor's page),"
        " `processing`, or `failed`. In test mode without anything on file a test card is used.",
        opt={
            "errors": (
                AmountOutOfRange,
                AmountNotPayable,
                PurchaseInProgress,
                *_TALKS_TO_PROCESSOR,
            )
        },
    )
    async def make_purchase(request: AnyRequest, data: JSONBody[NewPurchase]) -> PurchaseOut:
        caller = orgs.caller_of(request)
        shop.rules.check(data.amount)
        async with shop.till.database.connection() as connection:
            wallet = await wallet_of(connection, caller, data.currency)
        await _keep_buyer(shop, caller, data)
        purchase_id = run_id_of(request) or uuid7()
        order = Order(
            org_id=caller.org_id,
            purchase_id=purchase_id,
            wallet_id=wallet.wallet_id,
            livemode=caller.livemode,
            amount=data.amount,
            currency=data.currency,
            actor=show_id("key", caller.key_id),
            return_url=data.return_url or shop.return_page(purchase_id),
            cancel_url=data.cancel_url,
            method_id=_method(data.payment_method_id),
            page=data.checkout,
            save_method=data.save_payment_method,
        )
        return PurchaseOut.of(*await purchases.buy(shop, order, orgs.by_key(caller)))

    return make_purchase


async def _keep_buyer(shop: Shop, caller: Caller, data: NewPurchase) -> None:
    if data.billing_address is None and data.tax_id is None:
        if shop.rules.address_required:
            await _check_known(shop, caller)
        return
    address = data.billing_address and data.billing_address.read()
    tax_id = data.tax_id and data.tax_id.read()
    await keep_buyer(shop, caller.org_id, address, tax_id, by=orgs.by_key(caller))


async def _check_known(shop: Shop, caller: Caller) -> None:
    async with shop.till.database.connection() as connection:
        if await profiles.read_profile(connection, caller.org_id) is None:
            said = "is required, while there is no billing profile"
            raise InvalidRequest(f"billingAddress: {said}", {"billingAddress": [said]})


def _list(shop: Shop) -> ControllerRouterHandler:
    @get("/purchases", summary="List purchases, newest first")
    async def list_own(
        request: AnyRequest,
        cursors: NamedDependency[Cursors],
        limit: Limit = 50,
        cursor: CursorText = None,
    ) -> Page[PurchaseOut]:
        caller = orgs.caller_of(request)
        return await list_purchases(
            shop, cursors, caller.org_id, livemode=caller.livemode, limit=limit, cursor=cursor
        )

    return list_own


async def list_purchases(
    shop: Shop, cursors: Cursors, org_id: UUID, *, livemode: bool, limit: int, cursor: str | None
) -> Page[PurchaseOut]:
    bound = ("purchases", org_id, livemode)
    below = None if cursor is None else cursors.open(bound, cursor, tuple[UUID])[0]
    async with shop.till.database.connection() as connection:
        found = await store.page(
            connection, org_id, livemode=livemode, below=below, limit=limit + 1
        )
        ids = [purchase.purchase_id for purchase in found]
        paid = await payments.read_payments(connection, org_id, ids)

    def show(known: Purchase) -> PurchaseOut:
        return PurchaseOut.of(known, paid[known.purchase_id])

    return page_of(found, limit, show, lambda last: cursors.seal(bound, [last.purchase_id]))


def _read(shop: Shop) -> ControllerRouterHandler:
    @get("/purchases/{purchase_id:str}", summary="Get a purchase")
    async def read_purchase(request: AnyRequest, purchase_id: PurchaseId) -> PurchaseOut:
        caller = orgs.caller_of(request)
        async with shop.till.database.connection() as connection:
            known = await _find(connection, caller, purchase_id)
            payment = await payments.get_payment(connection, caller.org_id, known.purchase_id)
        return PurchaseOut.of(known, payment)

    return read_purchase


def _resume(shop: Shop) -> ControllerRouterHandler:
    @post(
        "/purchases/{purchase_id:str}/resume",
        summary="Go on with a purchase that was declined, or that the bank asks about",
        description="The same payment is tried again, so it is charged once. `actionUrl` is where"
        " the customer confirms, if the bank wants that.",
        status_code=200,
        opt={"errors": (PurchaseInProgress, *_TALKS_TO_PROCESSOR)},
    )
    async def resume_purchase(
        request: AnyRequest, purchase_id: PurchaseId, data: JSONBody[Resumption]
    ) -> PurchaseOut:
        caller = orgs.caller_of(request)
        async with shop.till.database.connection() as connection:
            known = await _find(connection, caller, purchase_id)
        method_id = _method(data.payment_method_id)
        return_url = data.return_url or shop.return_page(known.purchase_id)
        by = orgs.by_key(caller)
        return PurchaseOut.of(*await purchases.resume(shop, known, method_id, return_url, by))

    return resume_purchase


def _cancel(shop: Shop) -> ControllerRouterHandler:
    @post(
        "/purchases/{purchase_id:str}/cancel",
        summary="Cancel a purchase that is not paid",
        description="One that is paid already is answered as it is; money goes back by a refund.",
        status_code=200,
        opt={"errors": _TALKS_TO_PROCESSOR},
    )
    async def cancel_purchase(request: AnyRequest, purchase_id: PurchaseId) -> PurchaseOut:
        caller = orgs.caller_of(request)
        async with shop.till.database.connection() as connection:
            known = await _find(connection, caller, purchase_id)
        return PurchaseOut.of(*await purchases.cancel(shop, known, orgs.by_key(caller)))

    return cancel_purchase


async def _find(connection: Connection, caller: Caller, purchase_id: str) -> Purchase:
    known = await purchases.find_purchase(
        connection, caller.org_id, read_path_id("pur", purchase_id)
    )
    if known.livemode != caller.livemode:
        raise NotFound(f"There is no purchase {purchase_id}")
    return known


def _method(method_id: str | None) -> UUID | None:
    return None if method_id is None else read_id("met", method_id)
