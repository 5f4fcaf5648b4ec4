"""A purchase: how far it has come, what to do next, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import credits, invoices, payments  # noqa: A004 (the room's name)
from tollkeeper.base.errors import NotFound, TollkeeperError, Unauthenticated
from tollkeeper.base.ids import read_id, show_id
from tollkeeper.base.money import Money
from tollkeeper.console.customer.noting import by_of
from tollkeeper.console.customer.order_form import said_by
from tollkeeper.console.customer.saying import card_name, owner_of
from tollkeeper.console.customer.wallets import wallet_of
from tollkeeper.console.doors import AnyRequest, Door, customers_only, money_only, session_of
from tollkeeper.console.forms import Form, go_on
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.credits import Origin, Purchase, PurchaseStatus
from tollkeeper.db import Connection
from tollkeeper.http import read_path_id
from tollkeeper.payments import PaymentsNotConfigured, Till
from tollkeeper.payments.model import FailureCode, Method, PageKind, Payment

_PATH: Final = "/console/credits/purchases"
_FINE: Final = 200
_BAD: Final = 400
_STRIPE: Final = "https://js.stripe.com"
# The processor's form in our page, and nothing of it on any other page.
_POLICY: Final = {
    "script-src 'self'": f"script-src 'self' {_STRIPE}",
    "connect-src 'self'": "connect-src 'self' https://api.stripe.com",
    "base-uri": f"frame-src {_STRIPE} https://hooks.stripe.com; base-uri",
}


class Stage(StrEnum):
    """What somebody who looks at a purchase is told."""

    PAID = "paid"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    PROCESSING = "processing"
    ACTION = "action"
    """The bank wants to see the cardholder."""
    PAGE = "page"
    """It is paid on the processor's page."""
    CARD_FORM = "card_form"
    """It is paid in the processor's form, within ours."""
    UNSENT = "unsent"
    """Nobody was asked for money yet: something went wrong on the way."""
    FAILED = "failed"

    @property
    def moves(self) -> bool:
        """Whether the page looks again by itself."""
        return self in (Stage.PROCESSING, Stage.ACTION, Stage.PAGE)


_STAGES: Final = {
    PurchaseStatus.SUCCEEDED: Stage.PAID,
    PurchaseStatus.REFUNDED: Stage.REFUNDED,
    PurchaseStatus.DISPUTED: Stage.DISPUTED,
    PurchaseStatus.PROCESSING: Stage.PROCESSING,
    PurchaseStatus.REQUIRES_ACTION: Stage.ACTION,
    PurchaseStatus.FAILED: Stage.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    purchase: Purchase
    payment: Payment

    @property
    def stage(self) -> Stage:
        return _STAGES.get(self.purchase.status) or self._unpaid

    @property
    def _unpaid(self) -> Stage:
        if self.payment.page is PageKind.EMBEDDED and self.payment.page_secret is not None:
            return Stage.CARD_FORM
        return Stage.PAGE if self.payment.page_url is not None else Stage.UNSENT

    @property
    def may_be_tried_again(self) -> bool:
        """By the same payment. What was paid on a page begins with a new order instead."""
        return (
            self.stage is Stage.FAILED
            and self.payment.page is None
            and self.payment.ref is not None
            and self.purchase.origin is Origin.PURCHASE
            and self.payment.failure_code is not FailureCode.CANCELED
        )


def page_of_purchase(purchase_id: UUID) -> str:
    return f"{_PATH}/{show_id('pur', purchase_id)}"


def return_address(door: Door, purchase_id: UUID) -> str:
    """Where the processor sends customers back to; good for who is not signed in there, too."""
    home = door.base_url.rstrip("/") + payments.BILLING_PATH
    return f"{home}?purchase={show_id('pur', purchase_id)}"


async def find_own(door: Door, session: Session, purchase_id: UUID) -> Purchase | None:
    async with door.database.connection() as connection:
        try:
            found = await credits.find_purchase(connection, session.org_id, purchase_id)
        except NotFound:
            return None
    return found if found.livemode == session.livemode else None


def purchase_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    return [_reading(door, shelves), _going_on(door, shelves), _giving_up(door, shelves)]


def _reading(door: Door, shelves: Shelves) -> ControllerRouterHandler:
    @get("/credits/purchases/{purchase_id:str}", include_in_schema=False, guards=[money_only])
    async def show_purchase(request: AnyRequest, purchase_id: FromPath[str]) -> Response[bytes]:
        till = shelves.payments.till
        story = await _read(door, till, session_of(request), purchase_id, ask=True)
        return await _answer(door, shelves, request, story)

    return show_purchase


def _going_on(door: Door, shelves: Shelves) -> ControllerRouterHandler:
    till, shop = shelves.payments.till, shelves.top_ups.shop

    @post(
        "/credits/purchases/{purchase_id:str}/resume",
        include_in_schema=False,
        guards=[money_only, customers_only],
        status_code=200,
    )
    async def go_on_paying(
        request: AnyRequest, purchase_id: FromPath[str]
    ) -> Response[bytes] | Redirect:
        form = await door.read_form(request)
        session = session_of(request)
        story = await _read(door, till, session, purchase_id)
        purchase, payment, by = story.purchase, story.payment, by_of(session)
        try:
            if story.stage is Stage.UNSENT:
                await payments.charge(till, payment.org_id, payment.payment_id, by)
                await payments.open_page(till, payment.org_id, payment.payment_id, by)
            else:
                back = return_address(door, purchase.purchase_id)
                await credits.resume_purchase(shop, purchase, _method(form), back, by)
        except TollkeeperError as error:
            return await _answer(door, shelves, request, story, said_by(error))
        return go_on(page_of_purchase(purchase.purchase_id))

    return go_on_paying


def _giving_up(door: Door, shelves: Shelves) -> ControllerRouterHandler:
    till, shop = shelves.payments.till, shelves.top_ups.shop

    @post(
        "/credits/purchases/{purchase_id:str}/cancel",
        include_in_schema=False,
        guards=[money_only, customers_only],
        status_code=200,
    )
    async def give_up(
        request: AnyRequest, purchase_id: FromPath[str]
    ) -> Response[bytes] | Redirect:
        await door.read_form(request)
        session = session_of(request)
        story = await _read(door, till, session, purchase_id)
        try:
            await credits.cancel_purchase(shop, story.purchase, by_of(session))
        except TollkeeperError as error:
            return await _answer(door, shelves, request, story, said_by(error))
        return go_on(page_of_purchase(story.purchase.purchase_id))

    return give_up


async def _answer(
    door: Door, shelves: Shelves, request: AnyRequest, story: Story, problem: str = ""
) -> Response[bytes]:
    async with door.database.connection() as connection:
        told = await _read_more(connection, shelves.payments.till, session_of(request), story)
    shown = door.page(
        request,
        "customer/purchase.html",
        _BAD if problem else _FINE,
        story=story,
        form=Form(problem=problem),
        key=shelves.settings.stripe.publishable_key,
        **told,
    )
    return _let_in_stripe(shown) if story.stage is Stage.CARD_FORM else shown


def landing_page(door: Door) -> ControllerRouterHandler:
    """Where processors lead customers back to: to their purchase, if they are signed in here."""

    @get("/billing", include_in_schema=False)
    async def land(
        request: AnyRequest,
        purchase: FromQuery[str] = "",
        redirect_status: FromQuery[str] = "",
    ) -> Response[bytes] | Redirect:
        plain = payments.land(redirect_status)
        try:
            await door.admit(request)
            purchase_id = read_id("pur", purchase)
        except (Unauthenticated, ValueError):
            return plain
        session = session_of(request)
        own = session.sees_money and await find_own(door, session, purchase_id)
        return go_on(page_of_purchase(purchase_id)) if own else plain

    return land


async def _read(
    door: Door, till: Till, session: Session, shown: str, *, ask: bool = False
) -> Story:
    """Raises NotFound. What is not settled is asked about, if it is to be."""
    purchase_id = read_path_id("pur", shown)
    story = await _load(door, session, purchase_id, shown)
    if ask and not story.payment.status.final and story.stage is not Stage.UNSENT:
        try:
            await payments.ask(till, session.org_id, purchase_id)
        except PaymentsNotConfigured:
            return story
        return await _load(door, session, purchase_id, shown)
    return story


async def _load(door: Door, session: Session, purchase_id: UUID, shown: str) -> Story:
    purchase = await find_own(door, session, purchase_id)
    if purchase is None:
        raise NotFound(say("purchase.none", id=shown))
    async with door.database.connection() as connection:
        payment = await payments.get_payment(connection, session.org_id, purchase_id)
    return Story(purchase=purchase, payment=payment)


async def _read_more(
    connection: Connection, till: Till, session: Session, story: Story
) -> dict[str, Any]:
    purchase = story.purchase
    papers = await invoices.invoices_of_purchases(
        connection, session.org_id, [purchase.purchase_id], livemode=session.livemode
    )
    wallet = await wallet_of(connection, session)
    return {
        "here": page_of_purchase(purchase.purchase_id),
        "credit": Money(purchase.credit_nanos),
        "fee": _money(purchase, purchase.fee_minor),
        "tax": _money(purchase, purchase.tax_minor),
        "total": _money(purchase, purchase.total_minor),
        "balance": None if purchase.balance_after is None else Money(purchase.balance_after),
        "available": None if wallet is None else Money(wallet.available),
        "invoice": next(
            ((show_id("inv", paper), number) for paper, number in papers.values()), None
        ),
        "paid_with": await _paid_with(connection, session, story.payment),
        "methods": await _methods(connection, till, session, story),
        "failure": _why(story.payment),
        "method_name": card_name,
    }


def _money(purchase: Purchase, minor: int) -> Money:
    return Money(payments.to_nanos(minor, purchase.currency))


async def _paid_with(connection: Connection, session: Session, payment: Payment) -> Method | None:
    if payment.method_id is None:
        return None
    try:
        return await payments.get_method(connection, owner_of(session), payment.method_id)
    except payments.PaymentMethodNotFound:
        return None


async def _methods(
    connection: Connection, till: Till, session: Session, story: Story
) -> list[tuple[str, str]]:
    """What it may be tried with again: ids and words."""
    if not story.may_be_tried_again:
        return []
    try:
        found = await payments.list_methods(connection, till, owner_of(session))
    except PaymentsNotConfigured:
        return []
    return [(show_id("met", one.method_id), card_name(one)) for one in found]


def _why(payment: Payment) -> str:
    code = payment.failure_code
    return "" if code is None else say(f"failure.{code}")


def _method(form: Form) -> UUID | None:
    """The one that is chosen; a forged one is none of theirs, and is refused by the room."""
    chosen = form.text("method")
    return read_path_id("met", chosen) if chosen else None


def _let_in_stripe(page: Response[bytes]) -> Response[bytes]:
    policy = page.headers["content-security-policy"]
    for said, wanted in _POLICY.items():
        policy = policy.replace(said, wanted, 1)
    page.headers["content-security-policy"] = policy
    # Wallets of phones ask for these.
    page.headers["permissions-policy"] = f'camera=(), geolocation=(), payment=(self "{_STRIPE}")'
    page.headers["cross-origin-opener-policy"] = "same-origin-allow-popups"
    return page
