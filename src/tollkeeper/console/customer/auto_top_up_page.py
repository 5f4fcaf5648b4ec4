"""Auto top-up: whether the balance buys by itself, below what, how much and with which card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from litestar import get, post
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import credits, payments  # noqa: A004 (the room's name)
from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import MAX_NANOS, Money, NumberText, format_nanos, parse_nanos
from tollkeeper.console.customer.noting import by_of
from tollkeeper.console.customer.saying import card_name, owner_of, refuse
from tollkeeper.console.customer.top_up_words import Plan, say_plan, standing_of
from tollkeeper.console.doors import AnyRequest, Door, customers_only, money_only, session_of
from tollkeeper.console.forms import Form, go_on, read_as
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say, show_money
from tollkeeper.console.shelves import Shelves
from tollkeeper.credits import AutoTopUp, NewAutoTopUp, TopUps
from tollkeeper.db import Connection
from tollkeeper.payments import PaymentsNotConfigured
from tollkeeper.payments.model import Method

PATH: Final = "/console/auto-top-up"
FIELDS: Final = ("enabled", "threshold", "buys", "amount", "targetBalance", "monthlyCap")

_TARGET: Final = "target"
_BAD: Final = 400
_SUGGESTED: Final = 10_000_000_000
_PLACES: Final = {
    "payment_method_not_found": "paymentMethodId",
    "auto_top_up_needs_method": "paymentMethodId",
    "amount_not_payable": "amount",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the page is about: the setting as it is kept, the cards that could pay, and the link to
    a bank that waits for its customer. Without a processor (`cards` is None) nobody can pay."""

    kept: AutoTopUp
    cards: Sequence[Method] | None
    recovery: str | None

    def card(self, method_id: str | None) -> str | None:
        """The name of the card that pays."""
        on_file = self.cards or []
        chosen = [one for one in on_file if show_id("met", one.method_id) == method_id]
        default = [one for one in on_file if one.is_default]
        return next((card_name(one) for one in [*chosen, *default]), None)


def auto_top_up_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    return [*_showing(door, shelves.top_ups), *_setting(door, shelves.top_ups)]


async def _answer(
    door: Door, top_ups: TopUps, request: AnyRequest, form: Form, status: int = 200
) -> Response[bytes]:
    session = session_of(request)
    async with door.database.connection() as connection:
        desk = await read_desk(connection, top_ups, session)
        plan = await _foresee(connection, top_ups, session, form)
    return door.page(
        request,
        "customer/auto_top_up.html",
        status,
        form=form,
        desk=desk,
        how=standing_of(desk.kept),
        cards=[(show_id("met", one.method_id), card_name(one)) for one in desk.cards or []],
        plan=_say_typed(plan, desk, form),
        seen=_mark_of(desk.kept),
        hints=_hints(top_ups),
    )


def _showing(door: Door, top_ups: TopUps) -> list[ControllerRouterHandler]:
    @get("/auto-top-up", include_in_schema=False, guards=[money_only])
    async def show_auto_top_up(request: AnyRequest) -> Response[bytes]:
        session = session_of(request)
        async with door.database.connection() as connection:
            desk = await read_desk(connection, top_ups, session)
        typed = {
            name: request.query_params[name] for name in FIELDS if name in request.query_params
        }
        form = _form_of(desk, top_ups)
        return await _answer(door, top_ups, request, replace(form, values={**form.values, **typed}))

    @post("/auto-top-up/sentence", include_in_schema=False, guards=[money_only], status_code=200)
    async def show_sentence(request: AnyRequest) -> Response[bytes]:
        form = await door.read_form(request)
        session = session_of(request)
        async with door.database.connection() as connection:
            desk = await read_desk(connection, top_ups, session)
            plan = await _foresee(connection, top_ups, session, form)
        said = _say_typed(plan, desk, form)
        return door.page(request, "customer/auto_top_up_sentence.html", plan=said)

    return [show_auto_top_up, show_sentence]


def _setting(door: Door, top_ups: TopUps) -> list[ControllerRouterHandler]:
    @post(
        "/auto-top-up",
        include_in_schema=False,
        guards=[money_only, customers_only],
        status_code=200,
    )
    async def save_auto_top_up(request: AnyRequest) -> Response[bytes] | Redirect:
        form = await door.read_form(request)
        session = session_of(request)
        if await _changed_since(door, top_ups, session, form.text("seen")):
            told = replace(form, problem=say("top_up.changed"))
            return await _answer(door, top_ups, request, told, _BAD)
        try:
            wanted = _read(form, top_ups)
            await credits.set_top_up(top_ups, owner_of(session), wanted, by_of(session))
        except TollkeeperError as error:
            return await _answer(door, top_ups, request, refuse(form, error, _PLACES), _BAD)
        return go_on(PATH, "top_up_on" if wanted.enabled else "top_up_off")

    @post(
        "/auto-top-up/resume",
        include_in_schema=False,
        guards=[money_only, customers_only],
        status_code=200,
    )
    async def resume_auto_top_up(request: AnyRequest) -> Response[bytes] | Redirect:
        await door.read_form(request)
        session = session_of(request)
        try:
            again = NewAutoTopUp(enabled=True)
            await credits.set_top_up(top_ups, owner_of(session), again, by_of(session))
        except TollkeeperError as error:
            async with door.database.connection() as connection:
                desk = await read_desk(connection, top_ups, session)
            return await _answer(
                door, top_ups, request, refuse(_form_of(desk, top_ups), error, _PLACES), _BAD
            )
        return go_on(PATH, "top_up_resumed")

    return [save_auto_top_up, resume_auto_top_up]


async def read_desk(connection: Connection, top_ups: TopUps, session: Session) -> Desk:
    """Raises InvalidRequest for an organization without a balance in dollars."""
    owner = owner_of(session)
    cards: Sequence[Method] | None = None
    try:
        cards = await payments.list_methods(connection, top_ups.shop.till, owner)
    except PaymentsNotConfigured:
        cards = None
    return Desk(
        kept=await credits.show_top_up(connection, top_ups, owner),
        cards=cards,
        recovery=await credits.recovery_link(connection, top_ups, owner),
    )


async def _changed_since(door: Door, top_ups: TopUps, session: Session, seen: str) -> bool:
    """Whether somebody else saved since the form was opened; what they chose is not undone
    unseen."""
    async with door.database.connection() as connection:
        kept = await credits.show_top_up(connection, top_ups, owner_of(session))
    return seen not in ("", _mark_of(kept))


def _mark_of(kept: AutoTopUp) -> str:
    chosen = (kept.enabled, kept.threshold, kept.amount, kept.target_balance, kept.monthly_cap)
    return sha256(repr((*map(str, chosen), kept.payment_method_id)).encode()).hexdigest()[:16]


def _form_of(desk: Desk, top_ups: TopUps) -> Form:
    """The setting as it is kept; a suggestion where nothing was ever set."""
    kept, rules = desk.kept, top_ups.rules
    threshold, amount = kept.threshold, kept.amount
    fresh = (threshold, amount) == (Money(rules.threshold_min), Money(rules.amount_min))
    if fresh and not kept.enabled:
        most = rules.threshold_max or rules.amount_max
        threshold = Money(max(rules.threshold_min, min(_SUGGESTED, most)))
        amount = Money(min(max(rules.amount_min, 2 * threshold.nanos), rules.amount_max))
    target = kept.target_balance
    # The usual one is not written down, so that it follows what is typed as the amount.
    usual = _usual_cap(NumberText(str(kept.amount if target is None else target)), top_ups)
    cap = "" if str(kept.monthly_cap) == usual else str(kept.monthly_cap)
    default = next((one for one in desk.cards or [] if one.is_default), None)
    chosen = kept.payment_method_id
    known = {show_id("met", one.method_id) for one in desk.cards or []}
    if chosen not in known:
        chosen = "" if default is None else show_id("met", default.method_id)
    return Form(
        values={
            "enabled": "yes" if kept.enabled else "",
            "threshold": str(threshold),
            "buys": "amount" if target is None else _TARGET,
            "amount": "" if amount is None else str(amount),
            "targetBalance": "" if target is None else str(target),
            "monthlyCap": cap,
            "paymentMethodId": chosen or "",
        }
    )


def _read(form: Form, top_ups: TopUps) -> NewAutoTopUp:
    """Raises InvalidRequest with every fault that can be seen without knowing what is kept.
    Turning it off has none, whatever else is typed."""
    try:
        return _read_typed(form, top_ups)
    except InvalidRequest:
        if form.ticked("enabled"):
            raise
        return NewAutoTopUp(enabled=False)


def _read_typed(form: Form, top_ups: TopUps) -> NewAutoTopUp:
    buys = "targetBalance" if form.text("buys") == _TARGET else "amount"
    wanted: dict[str, Any] = {
        "enabled": form.ticked("enabled"),
        "threshold": form.amount("threshold"),
        buys: form.amount(buys),
        "monthlyCap": form.amount("monthlyCap") or _usual_cap(form.amount(buys), top_ups),
        "paymentMethodId": form.text("paymentMethodId") or None,
    }
    missing = {name: [say("top_up.missing")] for name in ("threshold", buys) if not wanted[name]}
    try:
        read = read_as(NewAutoTopUp, wanted)
    except InvalidRequest as error:
        raise InvalidRequest(error.detail, {**error.faults, **missing}) from None
    if missing:
        raise InvalidRequest(say("top_up.missing"), missing)
    return read


def _usual_cap(amount: NumberText | None, top_ups: TopUps) -> NumberText | None:
    try:
        nanos = parse_nanos(amount or "")
    except ValueError:
        return None
    return NumberText(format_nanos(min(nanos * top_ups.rules.cap_multiple, MAX_NANOS)))


async def _foresee(
    connection: Connection, top_ups: TopUps, session: Session, form: Form
) -> Plan | None:
    """What the form would do; nothing while it cannot be kept."""
    try:
        wanted = _read(form, top_ups)
        found = await credits.foresee_top_up(connection, top_ups, owner_of(session), wanted)
    except TollkeeperError:
        return None
    return Plan.of(found)


def _say_typed(plan: Plan | None, desk: Desk, form: Form) -> str:
    if plan is None:
        return say("top_up.plan_unclear")
    return say_plan(plan, desk.card(form.text("paymentMethodId")))


def _hints(top_ups: TopUps) -> dict[str, str]:
    rules = top_ups.rules
    least, most = _plain(rules.amount_min), _plain(rules.amount_max)
    low = _plain(rules.threshold_min)
    high = None if rules.threshold_max is None else _plain(rules.threshold_max)
    return {
        "threshold": say("top_up.threshold_hint", low=low)
        if high is None
        else say("top_up.threshold_range", low=low, high=high),
        "amount": say("top_up.amount_hint", least=least, most=most),
        "targetBalance": say("top_up.target_hint", least=least),
        "monthlyCap": say("top_up.cap_hint", times=rules.cap_multiple),
    }


def _plain(nanos: int) -> str:
    return str(show_money(Money(nanos)).striptags())
