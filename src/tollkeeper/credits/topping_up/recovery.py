"""The link by which a cardholder gives a bank the consent that an auto top-up needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from html import escape
from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper.base.errors import InvalidRequest, NotFound
from tollkeeper.credits.model import Purchase, PurchaseStatus
from tollkeeper.http import Cursors
from tollkeeper.payments import show_minor
from tollkeeper.payments.model import Payment

_BOUND: Final = ("recovery",)
_GONE: Final = 410
_SEE_OTHER: Final = 303
_HTML: Final = "text/html; charset=utf-8"

Open = Callable[[UUID, UUID], Awaitable[Purchase]]
Resume = Callable[[Purchase, str], Awaitable[tuple[Purchase, Payment]]]


class RecoveryLinks:
    """Makes and opens links below `/recover`; nobody else can make one."""

    def __init__(self, cursors: Cursors, base_url: str) -> None:
        self._cursors = cursors
        self._base = f"{base_url.rstrip('/')}/recover"

    def make(self, org_id: UUID, purchase_id: UUID, expires_at: datetime) -> str:
        sealed = self._cursors.seal(_BOUND, [org_id, purchase_id, expires_at])
        return f"{self._base}/{sealed}"

    def open(self, sealed: str) -> tuple[UUID, UUID, datetime]:
        """Raises NotFound."""
        try:
            return self._cursors.open(_BOUND, sealed, tuple[UUID, UUID, datetime])
        except InvalidRequest:
            raise NotFound("There is no such page") from None

    def address(self, sealed: str) -> str:
        return f"{self._base}/{sealed}"


def recovery_pages(
    links: RecoveryLinks, now: Callable[[], datetime], find: Open, resume: Resume
) -> list[ControllerRouterHandler]:
    @get("/recover/{sealed:str}", include_in_schema=False)
    async def show_recovery(sealed: FromPath[str]) -> Response[bytes]:
        org_id, purchase_id, expires_at = links.open(sealed)
        purchase = await find(org_id, purchase_id)
        if purchase.status.credited:
            return _page("Thank you", "The payment is made and the credit is in the balance.")
        if now() >= expires_at or purchase.status is PurchaseStatus.FAILED:
            return _page("This link has expired", _EXPIRED, status=_GONE)
        amount = show_minor(purchase.total_minor, purchase.currency)
        said = f"Your bank asks for your consent to the payment of {amount} for prepaid credit."
        return _page("Your bank asks for your consent", said, button="Continue to your bank")

    @post("/recover/{sealed:str}", include_in_schema=False, status_code=_SEE_OTHER)
    async def go_to_bank(sealed: FromPath[str]) -> Response[bytes] | Redirect:
        org_id, purchase_id, expires_at = links.open(sealed)
        purchase = await find(org_id, purchase_id)
        back = links.address(sealed)
        if purchase.status is not PurchaseStatus.REQUIRES_ACTION or now() >= expires_at:
            return Redirect(back, status_code=_SEE_OTHER)
        _, payment = await resume(purchase, back)
        return Redirect(payment.action_url or back, status_code=_SEE_OTHER)

    return [show_recovery, go_to_bank]


_EXPIRED: Final = "Buy credit by hand, or save auto top-up again to have it try anew."
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;place-items:center;"
    "min-height:100vh;background:#f6f7f9;color:#1a1d21}main{background:#fff;padding:40px;"
    "border-radius:12px;max-width:420px;box-shadow:0 1px 3px #0002}h1{font-size:22px;margin:0 0 "
    "12px}p{margin:0 0 24px}button{font:inherit;font-weight:600;background:#1a56db;color:#fff;"
    "border:0;border-radius:8px;padding:12px 20px;cursor:pointer}"
)


def _page(
    title: str, text: str, *, button: str | None = None, status: int = 200
) -> Response[bytes]:
    form = "" if button is None else f'<form method="post"><button>{escape(button)}</button></form>'
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<style>{_STYLE}</style><main><h1>{escape(title)}</h1><p>{escape(text)}</p>{form}</main>"
    )
    return Response(
        page.encode(),
        media_type=_HTML,
        status_code=status,
        headers={"cache-control": "no-store", "referrer-policy": "no-referrer"},
    )
