"""The sandbox's pages: where one pays, confirms at the bank, keeps methods, and plays the bank.

Each address carries a seal, so that nobody gets to a page who was not given it. They are forms and
links, and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper.base.errors import NotFound
from tollkeeper.db import Connection
from tollkeeper.payments.minor import show_minor
from tollkeeper.payments.model import FailureCode
from tollkeeper.payments.processors.sandbox import acts, html, store
from tollkeeper.payments.processors.sandbox.cards import BY_NUMBER, CARDS
from tollkeeper.payments.processors.sandbox.dashboard import play, show_dashboard
from tollkeeper.payments.processors.sandbox.model import (
    Customer,
    Delivery,
    OnFile,
    Page,
    Payment,
    Setup,
)
from tollkeeper.payments.processors.sandbox.processor import SandboxProcessor

AnyRequest = Request[Any, Any, State]
Html = Response[bytes]
# What makes webhooks that are due go out now, rather than when the background job comes by.
Changed = Callable[[], Awaitable[object]]

_NOTE: Final = '<p class="note">This is the sandbox: no real money, no real cards.</p>'
_HTML: Final = "text/html"
_UNPROCESSABLE: Final = 422
_GONE: Final = 410
_SEE_OTHER: Final = 303

_SAYS: Final = {
    FailureCode.CARD_DECLINED: "The card was declined.",
    FailureCode.INSUFFICIENT_FUNDS: "The card has not enough funds.",
    FailureCode.EXPIRED_CARD: "The card has expired.",
    FailureCode.INCORRECT_CVC: "The security code is wrong.",
    FailureCode.PROCESSING_ERROR: "The bank had an error. Try again in a little while.",
    FailureCode.AUTHENTICATION_FAILED: "The bank did not get the cardholder's consent.",
}
_DELIVERIES: Final = (
    (Delivery.ONCE, "and at once"),
    (Delivery.TWICE, "the same event"),
    (Delivery.LATE, "a minute late"),
    (Delivery.NEVER, "until it is asked for"),
)


def sandbox_pages(sandbox: SandboxProcessor, changed: Changed) -> list[ControllerRouterHandler]:
    """Routes below `/sandbox`; `changed` is called after each act that has something to tell."""
    return [
        *_pay_pages(sandbox, changed),
        *_bank_pages(sandbox, changed),
        *_portal_pages(sandbox, changed),
        *_dashboard_pages(sandbox, changed),
    ]


def _opened(sandbox: SandboxProcessor, purpose: str, ticket: str) -> str:
    ref = sandbox.seals.open(purpose, ticket)
    if ref is None:
        raise NotFound("There is no such page in the sandbox")
    return ref


async def _form(request: AnyRequest) -> dict[str, str]:
    return {name: str(value) for name, value in (await request.form()).items()}


def _shown(body: bytes, *leads_to: str | None, status: int = 200) -> Html:
    return Response(body, status_code=status, media_type=_HTML, headers=html.headers(*leads_to))


def _gone(title: str, said: str) -> Html:
    return _shown(html.page(title, [f"<h1>{title}</h1><p>{said}</p>"]), status=_GONE)


def _back(url: str, **said: str) -> Redirect:
    """Lead back to whoever sent the customer, telling how it went as processors do."""
    parts = urlsplit(url)
    query = f"{parts.query}&{urlencode(said)}" if parts.query else urlencode(said)
    return Redirect(urlunsplit(parts._replace(query=query)), status_code=_SEE_OTHER)


# ── Paying, or keeping a card ────────────────────────────────────────────────────────────────────


def _pay_pages(sandbox: SandboxProcessor, changed: Changed) -> list[ControllerRouterHandler]:
    @get("/sandbox/pay/{ticket:str}", include_in_schema=False)
    async def show_page(ticket: FromPath[str]) -> Html:
        async with sandbox.database.transaction() as tx:
            page, payment = await _page(tx, sandbox, _opened(sandbox, "pay", ticket))
        if page.status != "open":
            return _gone("This page is over", f"It is {page.status}.")
        return _shown(_pay_form(page, payment, None), page.return_url, page.cancel_url)

    @post("/sandbox/pay/{ticket:str}", include_in_schema=False)
    async def submit(request: AnyRequest, ticket: FromPath[str]) -> Html | Redirect:
        form = await _form(request)
        async with sandbox.database.transaction() as tx:
            page, payment = await _page(tx, sandbox, _opened(sandbox, "pay", ticket))
            if page.status != "open":
                return _gone("This page is over", f"It is {page.status}.")
            failure, goes = await _submit(tx, sandbox, page, payment, form)
        await changed()
        if goes is not None:
            return goes
        body = _pay_form(page, payment, failure)
        return _shown(body, page.return_url, page.cancel_url, status=_UNPROCESSABLE)

    return [show_page, submit]


async def _page(tx: Connection, sandbox: SandboxProcessor, ref: str) -> tuple[Page, Payment | None]:
    known = await store.read(tx, Page, ref)
    payment = None
    if known is not None and known.payment is not None:
        payment = await store.lock(tx, Payment, known.payment)
    page = await store.lock(tx, Page, ref)
    if page is None:
        raise NotFound("There is no such page in the sandbox")
    if page.status == "open" and page.expires_at <= sandbox.clock.now():
        await acts.expire(tx, page, payment, sandbox.clock.now())
    return page, payment


async def _submit(
    tx: Connection,
    sandbox: SandboxProcessor,
    page: Page,
    payment: Payment | None,
    form: dict[str, str],
) -> tuple[FailureCode | None, Redirect | None]:
    """Return why the card did not do, or where the browser goes."""
    card = BY_NUMBER.get(form.get("number", "").replace(" ", ""))
    if card is None:
        return FailureCode.INCORRECT_NUMBER, None
    now = sandbox.clock.now()
    if payment is None:
        setup = await store.lock(tx, Setup, page.setup or "")
        if setup is None:
            raise NotFound("There is no such page in the sandbox")
        await acts.set_up(tx, setup, card, page.return_url, now)
        return setup.failure, await _after(tx, sandbox, page, setup.ref, setup.status)
    payment.delivery = Delivery(form.get("delivery", Delivery.ONCE))
    method = await acts.new_method(tx, page.customer, card, now)
    await acts.confirm(tx, payment, method, now, off_session=False, return_url=page.return_url)
    return payment.failure, await _after(tx, sandbox, page, payment.ref, payment.status)


async def _after(
    tx: Connection, sandbox: SandboxProcessor, page: Page, ref: str, status: str
) -> Redirect | None:
    if status == "requires_action":
        return Redirect(sandbox.bank_url(ref), status_code=_SEE_OTHER)
    if status not in ("succeeded", "processing"):
        return None
    page.status = "complete"
    await store.write(tx, page)
    return _back(page.return_url, redirect_status=status)


def _pay_form(page: Page, payment: Payment | None, failure: FailureCode | None) -> bytes:
    amount = None if payment is None else show_minor(payment.amount, payment.currency)
    title = "Keep a card" if amount is None else f"Pay {amount}"
    said = "" if payment is None else f'<p class="soft">{html.text(payment.description)}</p>'
    wrong = _SAYS.get(failure, "The sandbox takes the cards below only.") if failure else ""
    cancel = page.cancel_url
    parts = [
        _NOTE,
        f"<h1>{html.text(title)}</h1>{said}",
        f'<p class="bad" role="alert">{wrong}</p>' if wrong else "",
        '<form method="post">',
        html.choices("With which card", "number", [(c.number, c.number, c.says) for c in CARDS]),
        ""
        if payment is None
        else html.choices(
            "Its webhooks come", "delivery", [(how, how, says) for how, says in _DELIVERIES]
        ),
        f'<p><button class="act">{html.text(title)}</button></p></form>',
        f'<p><a href="{html.text(cancel)}">Do not pay</a></p>' if cancel else "",
    ]
    return html.page(title, parts)


# ── The bank's own page ──────────────────────────────────────────────────────────────────────────


def _bank_pages(sandbox: SandboxProcessor, changed: Changed) -> list[ControllerRouterHandler]:
    @get("/sandbox/bank/{ticket:str}", include_in_schema=False)
    async def show_bank(ticket: FromPath[str]) -> Html:
        async with sandbox.database.transaction() as tx:
            asked = await _asked(tx, _opened(sandbox, "bank", ticket))
        if asked.status != "requires_action":
            return _gone("Nothing to confirm", "This has been answered already.")
        what = "that your card is kept for later payments"
        if isinstance(asked, Payment):
            what = f"to a payment of {show_minor(asked.amount, asked.currency)}"
        parts = [
            _NOTE,
            f"<h1>Your bank asks</h1><p>Do you agree {html.text(what)}?</p>",
            '<form method="post"><p>',
            html.button("Approve", "outcome", "approve", main=True),
            html.button("Refuse", "outcome", "refuse"),
            "</p></form>",
        ]
        return _shown(html.page("Your bank asks", parts), asked.return_url)

    @post("/sandbox/bank/{ticket:str}", include_in_schema=False)
    async def answer_bank(request: AnyRequest, ticket: FromPath[str]) -> Html | Redirect:
        approved = (await _form(request)).get("outcome") == "approve"
        now = sandbox.clock.now()
        async with sandbox.database.transaction() as tx:
            asked = await _asked(tx, _opened(sandbox, "bank", ticket))
            if asked.status != "requires_action":
                return _gone("Nothing to confirm", "This has been answered already.")
            if isinstance(asked, Payment):
                asked = await acts.answer_payment(tx, asked, now, approved=approved)
            else:
                asked = await acts.answer_setup(tx, asked, now, approved=approved)
        await changed()
        went = "succeeded" if asked.status in ("succeeded", "processing") else "failed"
        return _back(asked.return_url, redirect_status=went)

    return [show_bank, answer_bank]


async def _asked(tx: Connection, ref: str) -> Payment | Setup:
    found = await store.lock(tx, Payment, ref) or await store.lock(tx, Setup, ref)
    if found is None:
        raise NotFound("There is no such page in the sandbox")
    return found


# ── The customer's portal ────────────────────────────────────────────────────────────────────────


def _portal_pages(sandbox: SandboxProcessor, changed: Changed) -> list[ControllerRouterHandler]:
    @get("/sandbox/portal/{ticket:str}", include_in_schema=False)
    async def show_portal(ticket: FromPath[str]) -> Html:
        ref = _opened(sandbox, "portal", ticket)
        async with sandbox.database.connection() as connection:
            customer = await store.read(connection, Customer, ref)
            methods = await store.list_of(connection, OnFile, ref)
        if customer is None:
            raise NotFound("There is no such page in the sandbox")
        rows = "".join(
            _method_row(method, customer.default_method) for method in methods if method.attached
        )
        table = f"<table>{rows}</table>" if rows else "<p>No payment methods are on file.</p>"
        title = f"Payment methods of {customer.name}"
        return _shown(html.page(title, [_NOTE, f"<h1>{html.text(title)}</h1>", table]))

    @post("/sandbox/portal/{ticket:str}", include_in_schema=False)
    async def change_portal(request: AnyRequest, ticket: FromPath[str]) -> Redirect:
        ref = _opened(sandbox, "portal", ticket)
        form = await _form(request)
        async with sandbox.database.transaction() as tx:
            method = await store.lock(tx, OnFile, form.get("method", ""))
            if method is None or method.customer != ref:
                raise NotFound("There is no such payment method in the sandbox")
            if form.get("act") == "remove":
                await acts.detach(tx, method, sandbox.clock.now())
            else:
                customer = await store.lock(tx, Customer, ref)
                if customer is not None:
                    customer.default_method = method.ref
                    await store.write(tx, customer)
                    await acts.tell(tx, "method.default", {"customer": ref}, sandbox.clock.now())
        await changed()
        return Redirect(f"/sandbox/portal/{ticket}", status_code=_SEE_OTHER)

    return [show_portal, change_portal]


def _method_row(method: OnFile, default: str | None) -> str:
    card = acts.card_of(method)
    first = (
        "default"
        if method.ref == default
        else html.act("Make default", act="default", method=method.ref)
    )
    remove = html.act("Remove", act="remove", method=method.ref)
    return (
        f"<tr><td>{html.text(card.brand.capitalize())} <code>…{card.number[-4:]}</code></td>"
        f"<td>{first}</td><td>{remove}</td></tr>"
    )


# ── Playing the bank ─────────────────────────────────────────────────────────────────────────────


def _dashboard_pages(sandbox: SandboxProcessor, changed: Changed) -> list[ControllerRouterHandler]:
    @get("/sandbox/dashboard/{ticket:str}", include_in_schema=False)
    async def dashboard(ticket: FromPath[str]) -> Html:
        _opened(sandbox, "dashboard", ticket)
        async with sandbox.database.connection() as connection:
            return _shown(await show_dashboard(connection))

    @post("/sandbox/dashboard/{ticket:str}", include_in_schema=False)
    async def played(request: AnyRequest, ticket: FromPath[str]) -> Redirect:
        _opened(sandbox, "dashboard", ticket)
        form = await _form(request)
        async with sandbox.database.transaction() as tx:
            await play(tx, sandbox, form)
        await changed()
        return Redirect(f"/sandbox/dashboard/{ticket}", status_code=_SEE_OTHER)

    return [dashboard, played]
