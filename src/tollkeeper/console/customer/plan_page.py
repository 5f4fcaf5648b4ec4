"""Plan: what is included, what is used of it in this cycle, and which other plans there are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import payments, plans, subscriptions
from tollkeeper.base.errors import NotFound, TollkeeperError
from tollkeeper.base.ids import uuid7
from tollkeeper.console.customer.leaving import leave_for
from tollkeeper.console.customer.noting import by_of
from tollkeeper.console.customer.plan_words import offer_of, say_cost, say_fee, show_fee
from tollkeeper.console.customer.saying import sentence
from tollkeeper.console.doors import AnyRequest, Door, customers_only, money_only, session_of
from tollkeeper.console.forms import Form, Question, go_on
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.payments import Subscription
from tollkeeper.plans import BillingPlanOut, PlanVersion
from tollkeeper.subscriptions import FeeDesk, Prospect, Subscriber, Wish

PATH: Final = "/console/plan"
_BAD: Final = 400
_NO_METHOD: Final = "payment_method_not_found"

Act = Callable[[FeeDesk, Wish], Awaitable[Subscription | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What an organization has, and what of it is billed."""

    shown: BillingPlanOut
    billed: Subscription | None

    @property
    def code(self) -> str | None:
        return None if self.shown.plan is None else self.shown.plan.code

    @property
    def name(self) -> str:
        return "" if self.shown.plan is None else self.shown.plan.name

    @property
    def coming(self) -> str | None:
        return None if self.shown.subscription is None else self.shown.subscription.next_plan


def plan_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    @get("/plan", include_in_schema=False)
    async def show_plan(request: AnyRequest) -> Response[bytes]:
        return await _answer(door, shelves, request, Form())

    return [show_plan, *_choosing(door, shelves), *_ending(door, shelves)]


async def _answer(
    door: Door, shelves: Shelves, request: AnyRequest, form: Form, status: int = 200
) -> Response[bytes]:
    session, now = session_of(request), door.clock.now()
    terms = shelves.plans.look_up(session.org_id, session.livemode, now)
    async with door.database.connection() as connection:
        allowances = await plans.show_allowances(connection, terms)
    held = await _read_held(door, shelves, session, now)
    sold = shelves.plans.sold(now) if session.sees_money else []
    offered = await _foresee(door, shelves, session, sold)
    billed = held.billed
    past_due = billed.past_due_since if billed is not None else None
    return door.page(
        request,
        "customer/plan.html",
        status,
        form=form,
        allowances=allowances,
        held=held,
        billed=billed if session.sees_money else None,
        fee=None if billed is None else show_fee(billed.fee_minor, billed.currency),
        ends_at=None if past_due is None else past_due + shelves.fees.grace,
        offers=[
            offer_of(
                one,
                current=one.version.code == held.code,
                coming=one.version.code == held.coming,
            )
            for one in offered
        ],
    )


async def _foresee(
    door: Door, shelves: Shelves, session: Session, wanted: Sequence[PlanVersion]
) -> list[Prospect]:
    if not wanted:
        return []
    who = Subscriber(org_id=session.org_id, livemode=session.livemode)
    async with door.database.connection() as connection:
        return await subscriptions.foresee(connection, shelves.fees, who, wanted, door.clock.now())


async def _read_held(door: Door, shelves: Shelves, session: Session, now: datetime) -> _Held:
    who = (session.org_id, session.livemode)
    async with door.database.connection() as connection:
        shown = await plans.show_plan(connection, shelves.plans, who, now)
        billed = await payments.open_subscription(connection, who[0], livemode=who[1])
    return _Held(shown=shown, billed=billed)


def _choosing(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    @get(
        "/plan/choose/{code:str}",
        include_in_schema=False,
        guards=[money_only, customers_only],
    )
    async def ask_for_plan(request: AnyRequest, code: FromPath[str]) -> Response[bytes]:
        session, now = session_of(request), door.clock.now()
        version = _find_sold(shelves, code, now)
        held = await _read_held(door, shelves, session, now)
        (prospect,) = await _foresee(door, shelves, session, [version])
        return door.page(
            request,
            "customer/plan_choose.html",
            offer=offer_of(prospect, current=code == held.code, coming=code == held.coming),
            fee=say_fee(version),
            cost=say_cost(prospect, held.billed, now),
        )

    @post(
        "/plan/choose/{code:str}",
        include_in_schema=False,
        guards=[money_only, customers_only],
        status_code=200,
    )
    async def choose_plan(request: AnyRequest, code: FromPath[str]) -> Response[bytes] | Redirect:
        session, now = session_of(request), door.clock.now()
        await door.read_form(request)
        version = _find_sold(shelves, code, now)
        held = await _read_held(door, shelves, session, now)
        has = held.billed is not None or held.shown.subscription is not None
        return await _act(
            door,
            shelves,
            request,
            version.code,
            subscriptions.change if has else subscriptions.subscribe,
        )

    @post(
        "/plan/resume",
        include_in_schema=False,
        guards=[money_only, customers_only],
        status_code=200,
    )
    async def resume_plan(request: AnyRequest) -> Response[bytes] | Redirect:
        """Keep a plan that was cancelled, and pay a fee that is open."""
        await door.read_form(request)
        held = await _read_held(door, shelves, session_of(request), door.clock.now())
        code = None
        if held.billed is not None:
            async with door.database.connection() as connection:
                code = await subscriptions.plan_of(connection, held.billed.product_id)
        if code is None:
            form = Form(problem=say("plan.nothing_to_resume"))
            return await _answer(door, shelves, request, form, _BAD)
        return await _act(door, shelves, request, code, subscriptions.subscribe)

    return [ask_for_plan, choose_plan, resume_plan]


def _find_sold(shelves: Shelves, code: str, now: datetime) -> PlanVersion:
    for version in shelves.plans.sold(now):
        if version.code == code:
            return version
    raise NotFound(say("plan.not_sold"))


async def _act(
    door: Door, shelves: Shelves, request: AnyRequest, plan: str, ask: Act
) -> Response[bytes] | Redirect:
    """Ask for a plan, and go where that leads: to its page, or to the bank."""
    session = session_of(request)
    wish = Wish(
        subscriber=Subscriber(org_id=session.org_id, livemode=session.livemode),
        plan=plan,
        run_id=uuid7(),
        method_id=None,
        return_url=f"{door.base_url.rstrip('/')}{PATH}",
        by=by_of(session),
    )
    try:
        billed = await ask(shelves.fees, wish)
    except TollkeeperError as error:
        values = {"no_method": "yes"} if error.code == _NO_METHOD else {}
        form = Form(values=values, problem=sentence(error.detail))
        return await _answer(door, shelves, request, form, _BAD)
    await shelves.plans.refresh()
    if billed is not None and billed.action_url is not None:
        return leave_for(door, request, billed.action_url, PATH)
    failed = billed is not None and billed.failure_code is not None
    return go_on(PATH, "" if failed else "plan_chosen")


def _ending(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    def ask(request: AnyRequest, held: _Held, form: Form) -> Response[bytes]:
        question = Question(
            title=say("plan.cancel_title", name=held.name),
            detail=say("plan.cancel_detail"),
            name=held.name,
            action=f"{PATH}/cancel",
            button=say("plan.cancel"),
            back=PATH,
        )
        return door.ask_back(request, question, form)

    async def find(request: AnyRequest) -> _Held:
        held = await _read_held(door, shelves, session_of(request), door.clock.now())
        if held.shown.subscription is None and held.billed is None:
            raise NotFound(say("plan.nothing_to_cancel"))
        return held

    @get("/plan/cancel", include_in_schema=False, guards=[money_only, customers_only])
    async def ask_to_cancel(request: AnyRequest) -> Response[bytes]:
        return ask(request, await find(request), Form())

    @post(
        "/plan/cancel",
        include_in_schema=False,
        guards=[money_only, customers_only],
        status_code=200,
    )
    async def cancel_plan(request: AnyRequest) -> Response[bytes] | Redirect:
        session = session_of(request)
        form = await door.read_form(request)
        held = await find(request)
        if not form.confirms(held.name):
            wrong = say("confirm.mismatch", name=held.name)
            return ask(request, held, form.faulty(confirmation=wrong))
        try:
            who = Subscriber(org_id=session.org_id, livemode=session.livemode)
            await subscriptions.cancel(shelves.fees, who, at_once=False, by=by_of(session))
        except TollkeeperError as error:
            return ask(request, held, form.refused(error))
        await shelves.plans.refresh()
        return go_on(PATH, "plan_cancelled")

    return [ask_to_cancel, cancel_plan]
