"""`/billing/payment-methods` and `/billing/portal-session`: by an ADMIN key."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Request, Router, delete, get, post, put
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from tollkeeper import orgs
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.http import Page as ListPage
from tollkeeper.http import read_path_id, run_id_of
from tollkeeper.orgs import By
from tollkeeper.payments.errors import (
    PaymentMethodDeclined,
    PaymentMethodInUse,
    PaymentMethodNotFound,
    PaymentsNotConfigured,
    ProcessorRefused,
    ProcessorUnavailable,
)
from tollkeeper.payments.methods import keeping
from tollkeeper.payments.methods.keeping import Owner
from tollkeeper.payments.model import Method, PageKind
from tollkeeper.payments.processors import (
    Page,
    SetupAnswer,
    SetupDeclined,
    SetupPending,
    SetupRequiresAction,
    SetupSucceeded,
)
from tollkeeper.payments.till import Till

AnyRequest = Request[Any, Any, State]
WebAddress = Annotated[
    str, Meta(pattern=r"^https?://\S+\Z", max_length=2000, examples=["https://example.com/billing"])
]
_TALKS_TO_PROCESSOR = (PaymentsNotConfigured, ProcessorUnavailable, ProcessorRefused)


class NewPaymentMethod(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """A method to keep: by a `token` of the processor's own form, or on its page (`checkout`)."""

    token: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200, examples=["pm_card_visa"])] | None,
        Meta(description="What the processor's own form made of the card, such as `pm_…`."),
    ] = None
    checkout: Annotated[
        PageKind | None, Meta(description="How the processor's page is to be shown.")
    ] = None
    return_url: Annotated[
        WebAddress | None, Meta(description="Where the customer is led when it is done.")
    ] = None
    cancel_url: Annotated[
        WebAddress | None, Meta(description="Where the customer is led who does not want to.")
    ] = None

    def __post_init__(self) -> None:
        if (self.token is None) == (self.checkout is None):
            raise ValueError("must have either token or checkout")


class NewPortalSession(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    return_url: Annotated[
        WebAddress | None, Meta(description="Where the portal leads back to.")
    ] = None


class PortalSession(Struct, frozen=True, kw_only=True, rename="camel"):
    url: str


class PaymentMethod(Struct, frozen=True, kw_only=True, rename="camel"):
    """A way to pay that is on file. `type` is the processor's word, such as `card`."""

    id: str
    type: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    expired: bool
    is_default: bool
    created_at: datetime

    @classmethod
    def of(cls, method: Method, now: datetime) -> PaymentMethod:
        return cls(
            id=show_id("met", method.method_id),
            type=method.kind,
            brand=method.brand,
            last4=method.last4,
            exp_month=method.exp_month,
            exp_year=method.exp_year,
            expired=method.expired(now),
            is_default=method.is_default,
            created_at=method.added_at,
        )


class PaymentMethodSetup(Struct, frozen=True, kw_only=True, rename="camel"):
    """How far keeping a method has come. At `actionUrl` the customer goes on: to the processor's
    page (`open`), or to the bank (`requires_action`); embedded pages take `clientSecret`."""

    id: str
    status: Literal["open", "requires_action", "processing", "succeeded"]
    action_url: str | None = None
    client_secret: str | None = None
    expires_at: datetime | None = None
    payment_method: PaymentMethod | None = None


def method_routes(till: Till, billing_page: str) -> list[ControllerRouterHandler]:
    """`billing_page` is where customers are led back to who name no other place."""
    routes = [
        _list(till),
        _add(till, billing_page),
        _make_default(till),
        _remove(till),
        _open_portal(till, billing_page),
    ]
    return [
        Router(
            "/billing", route_handlers=routes, guards=[orgs.admin_only], tags=["Payment methods"]
        )
    ]


def _owner(request: AnyRequest) -> Owner:
    caller = orgs.caller_of(request)
    return Owner(org_id=caller.org_id, livemode=caller.livemode)


def _by(request: AnyRequest) -> By:
    return orgs.by_key(orgs.caller_of(request))


def _list(till: Till) -> ControllerRouterHandler:
    @get(
        "/payment-methods",
        summary="List payment methods, the default first",
        opt={"errors": (PaymentsNotConfigured,)},
    )
    async def list_methods(request: AnyRequest) -> ListPage[PaymentMethod]:
        async with till.database.connection() as connection:
            methods = await keeping.list_methods(connection, till, _owner(request))
        now = till.clock.now()
        return ListPage(
            data=[PaymentMethod.of(method, now) for method in methods], next_cursor=None
        )

    return list_methods


def _add(till: Till, billing_page: str) -> ControllerRouterHandler:
    @post(
        "/payment-methods",
        summary="Keep a payment method, without buying anything",
        opt={"errors": (PaymentMethodDeclined, *_TALKS_TO_PROCESSOR)},
    )
    async def add_method(
        request: AnyRequest, data: JSONBody[NewPaymentMethod]
    ) -> PaymentMethodSetup:
        owner, setup_id = _owner(request), run_id_of(request) or uuid7()
        return_url = data.return_url or billing_page
        if data.token is not None:
            answer, method = await keeping.add_by_token(
                till, owner, setup_id, data.token, return_url
            )
            return _set_up(answer, method, setup_id, till.clock.now())
        kind = data.checkout or PageKind.HOSTED
        page = await keeping.open_setup_page(
            till, owner, setup_id, kind, return_url, data.cancel_url, by=_by(request)
        )
        return _opened(page, setup_id)

    return add_method


def _opened(page: Page, setup_id: UUID) -> PaymentMethodSetup:
    return PaymentMethodSetup(
        id=show_id("set", setup_id),
        status="open",
        action_url=page.url,
        client_secret=page.secret,
        expires_at=page.expires_at,
    )


def _set_up(
    answer: SetupAnswer, method: Method | None, setup_id: UUID, now: datetime
) -> PaymentMethodSetup:
    known = show_id("set", setup_id)
    match answer:
        case SetupSucceeded():
            shown = None if method is None else PaymentMethod.of(method, now)
            return PaymentMethodSetup(id=known, status="succeeded", payment_method=shown)
        case SetupRequiresAction(url=url):
            return PaymentMethodSetup(id=known, status="requires_action", action_url=url)
        case SetupPending():
            return PaymentMethodSetup(id=known, status="processing")
        case SetupDeclined(failure=failure):
            raise PaymentMethodDeclined(
                failure.detail or "The bank declined it; try another one",
                failureCode=failure.code.value,
                retryable=failure.retryable,
            )


def _make_default(till: Till) -> ControllerRouterHandler:
    @put(
        "/payment-methods/{method_id:str}/default",
        summary="Make a payment method the default",
        opt={"errors": (PaymentMethodNotFound, *_TALKS_TO_PROCESSOR)},
    )
    async def make_default(request: AnyRequest, method_id: FromPath[str]) -> PaymentMethod:
        known = read_path_id("met", method_id)
        method = await keeping.make_default(till, _owner(request), known, _by(request))
        return PaymentMethod.of(method, till.clock.now())

    return make_default


def _remove(till: Till) -> ControllerRouterHandler:
    @delete(
        "/payment-methods/{method_id:str}",
        summary="Remove a payment method",
        description="Refused while something still needs it, such as automatic top-up.",
        opt={"errors": (PaymentMethodNotFound, PaymentMethodInUse)},
    )
    async def remove_method(request: AnyRequest, method_id: FromPath[str]) -> None:
        known = read_path_id("met", method_id)
        await keeping.remove(till, _owner(request), known, _by(request))

    return remove_method


def _open_portal(till: Till, billing_page: str) -> ControllerRouterHandler:
    @post(
        "/portal-session",
        summary="Get a link to the payment processor's own portal",
        opt={"errors": _TALKS_TO_PROCESSOR},
    )
    async def open_portal(request: AnyRequest, data: JSONBody[NewPortalSession]) -> PortalSession:
        return_url = data.return_url or billing_page
        return PortalSession(url=await keeping.portal_link(till, _owner(request), return_url))

    return open_portal
