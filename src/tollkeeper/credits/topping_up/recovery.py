"""The link by which a cardholder gives a bank the consent that an auto top-up needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper.base.errors import InvalidRequest, NotFound
from tollkeeper.credits.model import Purchase, PurchaseStatus
from tollkeeper.http import Cursors
from tollkeeper.payments import plain_page, show_minor
from tollkeeper.payments.model import Payment

_BOUND: Final = ("recovery",)
_GONE: Final = 410
_SEE_OTHER: Final = 303

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
    async def show_recovery(
        sealed: FromPath[str],
        redirect_status: FromQuery[str] = "",
    ) -> Response[bytes]:
        org_id, purchase_id, expires_at = links.open(sealed)
        purchase = await find(org_id, purchase_id)
        if purchase.status.credited:
            return plain_page("Thank you", "The payment is made and the credit is in the balance.")
        failed = purchase.status is PurchaseStatus.FAILED
        if failed or now() >= expires_at:
            over = "This payment was not made" if failed else "This link has expired"
            return plain_page(over, _EXPIRED, status=_GONE)
        # What the bank told the browser may be here before what the processor tells us.
        if purchase.status is not PurchaseStatus.REQUIRES_ACTION or redirect_status == "succeeded":
            return plain_page("Thank you", _ON_ITS_WAY)
        amount = show_minor(purchase.total_minor, purchase.currency)
        said = (
            f"A payment of {amount} for prepaid credit waits. Your bank charges it once you agree."
        )
        return plain_page("Your bank asks for your consent", said, button="Continue to your bank")

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


_ON_ITS_WAY: Final = "The payment is on its way. The credit appears when it has arrived."
_EXPIRED: Final = "Buy credit by hand, or save auto top-up again to have it try anew."
