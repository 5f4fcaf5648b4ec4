"""Payment methods: what is on file to pay with. Card numbers go to the processor, never here."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from litestar import get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import payments
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.console.customer.auto_top_up_page import FIELDS
from tollkeeper.console.customer.auto_top_up_page import PATH as AUTO_TOP_UP
from tollkeeper.console.customer.destroying import destroying_pages
from tollkeeper.console.customer.leaving import leave_for
from tollkeeper.console.customer.noting import by_of
from tollkeeper.console.customer.saying import card_name, owner_of, refuse
from tollkeeper.console.doors import AnyRequest, Door, customers_only, money_only, session_of
from tollkeeper.console.forms import Form, Question, go_on
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.http import read_path_id
from tollkeeper.payments import PaymentsNotConfigured, Till
from tollkeeper.payments.model import Method, PageKind

PATH: Final = "/console/payment-methods"

_BAD: Final = 400
_AUTO_TOP_UP: Final = "auto-top-up"
_ADDED: Final = ("", "succeeded", "processing")


def payment_method_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    till = shelves.payments.till
    return [
        *_reading(door, till),
        *_adding(door, till),
        *_choosing(door, till),
        *_removing(door, till),
    ]


async def _answer(
    door: Door, till: Till, request: AnyRequest, form: Form, status: int = 200
) -> Response[bytes]:
    methods: list[Method] | None = None
    try:
        async with door.database.connection() as connection:
            methods = await payments.list_methods(connection, till, owner_of(session_of(request)))
    except PaymentsNotConfigured:
        methods = None
    now = door.clock.now()
    rows = [
        {
            "id": show_id("met", one.method_id),
            "name": card_name(one),
            "method": one,
            "expired": one.expired(now),
            "soon": (one.exp_year, one.exp_month) == (now.year, now.month),
        }
        for one in methods or []
    ]
    configured = methods is not None
    template = "customer/payment_methods.html"
    return door.page(request, template, status, form=form, methods=rows, configured=configured)


def _reading(door: Door, till: Till) -> list[ControllerRouterHandler]:
    @get("/payment-methods", include_in_schema=False, guards=[money_only])
    async def show_methods(request: AnyRequest, failed: FromQuery[str] = "") -> Response[bytes]:
        said = Form(problem=say("payment_methods.not_added") if failed else "")
        return await _answer(door, till, request, said)

    @post(
        "/payment-methods/portal",
        include_in_schema=False,
        guards=[money_only, customers_only],
        status_code=200,
    )
    async def open_portal(request: AnyRequest) -> Response[bytes] | Redirect:
        await door.read_form(request)
        owner = owner_of(session_of(request))
        try:
            url = await payments.portal_link(till, owner, _address(door, f"{PATH}/added"))
        except TollkeeperError as error:
            return await _answer(door, till, request, refuse(Form(), error), _BAD)
        return leave_for(door, request, url, f"{PATH}/added")

    return [show_methods, open_portal]


def _adding(door: Door, till: Till) -> list[ControllerRouterHandler]:
    @post(
        "/payment-methods/add",
        include_in_schema=False,
        guards=[money_only, customers_only],
        status_code=200,
    )
    async def add_method(request: AnyRequest) -> Response[bytes] | Redirect:
        """From auto top-up's form it comes with what was typed there, which is kept for the way
        back."""
        form = await door.read_form(request)
        back = _where_to(form)
        added = f"{PATH}/added?{urlencode(back)}" if back else f"{PATH}/added"
        try:
            page = await payments.open_setup_page(
                till,
                owner_of(session_of(request)),
                uuid7(),
                PageKind.HOSTED,
                _address(door, added),
                _address(door, _path_of(back)),
                by=by_of(session_of(request)),
            )
        except TollkeeperError as error:
            return await _answer(door, till, request, refuse(Form(), error), _BAD)
        return leave_for(door, request, page.url or "", added)

    @get("/payment-methods/added", include_in_schema=False, guards=[money_only])
    async def come_back(request: AnyRequest, redirect_status: FromQuery[str] = "") -> Redirect:
        """From the processor. Its webhook may be on its way still, so it is asked."""
        typed = {name: request.query_params.get(name, "") for name in ("then", *FIELDS)}
        back = _where_to(Form(values=typed))
        if redirect_status not in _ADDED:
            return go_on(PATH, failed="1")
        before = await _count(door, till, request)
        try:
            after = len(await payments.sync_methods(till, owner_of(session_of(request))))
        except TollkeeperError:
            after = before  # its webhook will tell
        done = "method_added" if after > before or redirect_status else ""
        then = back.pop("then", "")
        return go_on(AUTO_TOP_UP if then else PATH, done, **back)

    return [add_method, come_back]


async def _count(door: Door, till: Till, request: AnyRequest) -> int:
    async with door.database.connection() as connection:
        return len(await payments.list_methods(connection, till, owner_of(session_of(request))))


async def _find(door: Door, request: AnyRequest, method_id: str) -> Method:
    """Raises PaymentMethodNotFound."""
    known = read_path_id("met", method_id)
    async with door.database.connection() as connection:
        return await payments.get_method(connection, owner_of(session_of(request)), known)


def _choosing(door: Door, till: Till) -> list[ControllerRouterHandler]:
    @post(
        "/payment-methods/{method_id:str}/default",
        include_in_schema=False,
        guards=[money_only, customers_only],
        status_code=200,
    )
    async def make_default(
        request: AnyRequest, method_id: FromPath[str]
    ) -> Response[bytes] | Redirect:
        await door.read_form(request)
        session, method = session_of(request), await _find(door, request, method_id)
        try:
            await payments.make_default(till, owner_of(session), method.method_id, by_of(session))
        except TollkeeperError as error:
            return await _answer(door, till, request, refuse(Form(), error), _BAD)
        return go_on(PATH, "method_default")

    return [make_default]


def _removing(door: Door, till: Till) -> list[ControllerRouterHandler]:
    async def find(request: AnyRequest) -> Method:
        return await _find(door, request, request.path_params["method_id"])

    def ask(method: Method) -> Question:
        return Question(
            title=say("payment_methods.remove_title", card=card_name(method)),
            detail=say("payment_methods.remove_detail"),
            name=method.last4 or method.kind,
            action=f"{PATH}/{show_id('met', method.method_id)}/remove",
            button=say("payment_methods.remove"),
            back=PATH,
        )

    async def remove(request: AnyRequest, method: Method) -> Redirect:
        session = session_of(request)
        await payments.remove_method(till, owner_of(session), method.method_id, by_of(session))
        return go_on(PATH, "method_removed")

    path, guards = "/payment-methods/{method_id:str}/remove", (money_only, customers_only)
    return destroying_pages(door, path, *guards, find=find, ask=ask, destroy=remove)


def _where_to(form: Form) -> dict[str, str]:
    """Where the customer came from, with what they had typed there."""
    if form.text("then") != _AUTO_TOP_UP:
        return {}
    return {"then": _AUTO_TOP_UP} | {name: form.text(name) for name in FIELDS if form.text(name)}


def _path_of(back: dict[str, str]) -> str:
    if not back:
        return PATH
    return f"{AUTO_TOP_UP}?{urlencode(back)}"


def _address(door: Door, path: str) -> str:
    return f"{door.base_url.rstrip('/')}{path}"
