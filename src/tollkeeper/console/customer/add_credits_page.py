"""Add credits: what, paid with what, by whom; priced while it is filled in, and bought once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.params import FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import credits, orgs, payments, profiles  # noqa: A004 (the room's name)
from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.base.ids import read_id, show_id, uuid7
from tollkeeper.base.money import Money, parse_nanos
from tollkeeper.console.customer import order_form
from tollkeeper.console.customer.address_words import SOMEWHERE, address_form, tax_types
from tollkeeper.console.customer.noting import by_of
from tollkeeper.console.customer.order_form import NEW_CARD, OTHER, Draft, Total
from tollkeeper.console.customer.purchase_page import (
    find_own,
    page_of_purchase,
    return_address,
)
from tollkeeper.console.customer.saying import actor_of, card_name, faults_of, owner_of
from tollkeeper.console.customer.wallets import wallet_of
from tollkeeper.console.doors import (
    AnyRequest,
    Door,
    customers_only,
    is_framed,
    money_only,
    session_of,
)
from tollkeeper.console.forms import Form, go_on
from tollkeeper.console.model import USD, Session
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.credits import Order, Purchase, Shop
from tollkeeper.ledger import Wallet
from tollkeeper.payments import PaymentsNotConfigured
from tollkeeper.payments.model import Method, PageKind, Payment, PaymentStatus
from tollkeeper.profiles import Profile

_BAD: Final = 400
_REGION: Final = re.compile(r"[a-zA-Z]{2,3}-([A-Z]{2})\b")
_TEMPLATE: Final = "customer/add_credits.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Who buys, as far as it is known, where the credit goes, and who takes the money."""

    organization: str
    profile: Profile | None
    wallet: Wallet
    methods: list[Method]
    page: PageKind


class NotBought(Exception):
    """Nothing was bought; the form says why."""

    def __init__(self, form: Form) -> None:
        super().__init__(form.problem)
        self.form = form


def add_credits_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    shop = shelves.top_ups.shop

    def answer(
        request: AnyRequest, draft: Draft, counter: Counter, status: int = 200
    ) -> Response[bytes]:
        total = _total(shop, draft, counter)
        shown = _show(draft.form, counter, shop)
        return door.page(request, _TEMPLATE, status, total=total, **shown)

    @get("/credits/add", include_in_schema=False, guards=[money_only, customers_only])
    async def show_order(request: AnyRequest, amount: FromQuery[str] = "") -> Response[bytes]:
        counter = await _open_counter(door, shelves, session_of(request))
        if counter is None:
            return door.page(request, _TEMPLATE, counter=None)
        blank = _blank(counter, shop, amount, _country_of(request, counter))
        draft = order_form.read_order(blank, shop.rules)
        faults = {"amount": draft.form.faults["amount"]} if amount and not draft.amount else {}
        return answer(request, replace(draft, form=replace(blank, faults=faults)), counter)

    @post("/credits/quote", include_in_schema=False, guards=[money_only], status_code=200)
    async def show_total(request: AnyRequest) -> Response[bytes]:
        form = await door.read_form(request)
        counter = await _open_counter(door, shelves, session_of(request))
        if counter is None:
            return door.page(request, _TEMPLATE, counter=None)
        draft = order_form.read_order(form, shop.rules)
        typed = {name: said for name, said in draft.form.faults.items() if form.text(name)}
        return answer(request, replace(draft, form=replace(form, faults=typed)), counter)

    @post(
        "/credits/add",
        include_in_schema=False,
        guards=[money_only, customers_only],
        status_code=200,
    )
    async def place_order(request: AnyRequest) -> Response[bytes] | Redirect:
        form = await door.read_form(request)
        session = session_of(request)
        counter = await _open_counter(door, shelves, session)
        if counter is None:
            return door.page(request, _TEMPLATE, _BAD, counter=None)
        draft = order_form.read_order(form, shop.rules)
        try:
            bought, payment = await _place(door, shop, session, counter, draft)
        except NotBought as refused:
            return answer(request, replace(draft, form=refused.form), counter, _BAD)
        return _lead_on(door, request, bought, payment)

    return [show_order, show_total, place_order]


# ── The counter ──────────────────────────────────────────────────────────────────────────────────


async def _open_counter(door: Door, shelves: Shelves, session: Session) -> Counter | None:
    """Return nothing where nothing can be bought."""
    till = shelves.payments.till
    try:
        processor = till.processors.serving(livemode=session.livemode)
    except PaymentsNotConfigured:
        return None
    own_form = processor.name == "stripe" and shelves.settings.stripe.publishable_key
    async with door.database.connection() as connection:
        wallet = await wallet_of(connection, session)
        if wallet is None:
            return None
        return Counter(
            organization=(await orgs.get_org(connection, session.org_id)).name,
            profile=await profiles.read_profile(connection, session.org_id),
            wallet=wallet,
            methods=await payments.list_methods(connection, till, owner_of(session)),
            page=PageKind.EMBEDDED if own_form else PageKind.HOSTED,
        )


def _total(shop: Shop, draft: Draft, counter: Counter) -> Total | None:
    return order_form.price_of(draft, shop.rules, shop.taxes, counter.profile)


def _show(form: Form, counter: Counter, shop: Shop) -> dict[str, Any]:
    wants = address_form(form.text("billingAddress.country"))
    return {
        "form": form,
        "counter": counter,
        "presets": [Money(preset) for preset in shop.rules.presets],
        "least": Money(shop.rules.least),
        "most": Money(shop.rules.most),
        "wants": wants,
        "countries": profiles.countries(),
        "tax_types": tax_types(wants.country),
        "tax_ids": _known_tax_ids(counter, wants.country),
        "city_label": say(f"place.{wants.city_label}"),
        "state_label": say(f"place.{wants.state_label}"),
        "postal_label": say(f"place.{wants.postal_code_label}"),
        "methods": [
            (show_id("met", one.method_id), card_name(one), one) for one in counter.methods
        ],
    }


def _known_tax_ids(counter: Counter, country: str) -> list[str]:
    """Tax ids are kept as long as the country stays the same."""
    profile = counter.profile
    if profile is None or profile.address.country != country:
        return []
    return [tax_id.value for tax_id in profile.tax_ids]


# ── What the form begins with ────────────────────────────────────────────────────────────────────


def _blank(counter: Counter, shop: Shop, amount: str, country: str) -> Form:
    profile = counter.profile
    values = {
        "once": _once(),
        "method": _usual_method(counter),
        "name": counter.organization if profile is None else profile.name,
        **_chosen(shop, amount),
        **_address_values(profile, country),
    }
    return Form(values=values)


def _once() -> str:
    """Name a purchase before it is ordered: whoever sends its form twice orders it once."""
    return show_id("pur", uuid7())


def _chosen(shop: Shop, amount: str) -> dict[str, str]:
    presets = [str(Money(preset)) for preset in shop.rules.presets]
    try:
        wanted = str(Money(parse_nanos(amount)))
    except ValueError:
        wanted = amount
    if not amount and presets:
        wanted = presets[len(presets) // 2]
    return {"preset": wanted if wanted in presets else OTHER, "amount": amount}


def _usual_method(counter: Counter) -> str:
    return show_id("met", counter.methods[0].method_id) if counter.methods else NEW_CARD


def _address_values(profile: Profile | None, country: str) -> Mapping[str, str]:
    if profile is None:
        return {"billingAddress.country": country}
    address = profile.address
    return {
        "billingAddress.country": address.country,
        "billingAddress.line1": address.line1,
        "billingAddress.line2": address.line2 or "",
        "billingAddress.city": address.city or "",
        "billingAddress.district": address.district or "",
        "billingAddress.state": address.state or "",
        "billingAddress.postalCode": address.postal_code or "",
    }


def _country_of(request: AnyRequest, counter: Counter) -> str:
    """Guess where somebody is from the language of their browser."""
    if counter.profile is not None:
        return counter.profile.address.country
    known = {code for code, _ in profiles.countries()}
    said = _REGION.findall(request.headers.get("accept-language", ""))
    return next((code for code in said if code in known), SOMEWHERE)


# ── The order ────────────────────────────────────────────────────────────────────────────────────


async def _place(
    door: Door, shop: Shop, session: Session, counter: Counter, draft: Draft
) -> tuple[Purchase, Payment]:
    """Buy what the form says, once, however often it is sent. Raises NotBought."""
    form = draft.form
    try:
        purchase_id = read_id("pur", form.text("once"))
    except ValueError:
        raise NotBought(_renewed(form, say("buy.old_form"))) from None
    known = await find_own(door, session, purchase_id)
    if known is None:
        _check_ready(form, _total(shop, draft, counter))
    elif known.credit_nanos != draft.amount:
        raise NotBought(_renewed(form, say("buy.bought_before")))
    try:
        if known is None:
            said = draft.address, draft.tax_id, draft.name
            await credits.keep_buyer(shop, session.org_id, *said, by=by_of(session))
        order = _order_of(door, session, counter, draft, purchase_id)
        return await credits.buy(shop, order, by_of(session))
    except InvalidRequest as error:
        faults = faults_of(error)
        said = "" if faults else order_form.said_by(error)
        raise NotBought(replace(form, faults=faults, problem=said)) from None
    except TollkeeperError as error:
        raise NotBought(replace(form, problem=order_form.said_by(error))) from None


def _check_ready(form: Form, total: Total | None) -> None:
    """Nobody pays a total that they were not shown."""
    if form.faults or total is None:
        raise NotBought(form)
    if form.text("seen") != total.seen:
        raise NotBought(replace(form, problem=say("buy.look_at_total")))


def _renewed(form: Form, problem: str) -> Form:
    return replace(form, values={**form.values, "once": _once()}, problem=problem)


def _order_of(
    door: Door, session: Session, counter: Counter, draft: Draft, purchase_id: UUID
) -> Order:
    by_card = draft.method_id is None
    return Order(
        org_id=session.org_id,
        purchase_id=purchase_id,
        wallet_id=counter.wallet.wallet_id,
        livemode=session.livemode,
        amount=draft.amount or 0,
        currency=USD,
        actor=actor_of(session),
        return_url=return_address(door, purchase_id),
        cancel_url=door.base_url.rstrip("/") + page_of_purchase(purchase_id),
        method_id=draft.method_id,
        page=counter.page if by_card else None,
        save_method=by_card and draft.save_card,
    )


def _lead_on(door: Door, request: AnyRequest, bought: Purchase, payment: Payment) -> Redirect:
    """To the page on which it is paid, if that is ours; else to the purchase, which says more."""
    home = door.base_url.rstrip("/") + "/"
    waits = payment.status is PaymentStatus.REQUIRES_PAYMENT and not is_framed(request)
    if waits and payment.page_url is not None and payment.page_url.startswith(home):
        return go_on(payment.page_url)
    return go_on(page_of_purchase(bought.purchase_id))
