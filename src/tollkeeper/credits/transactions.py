"""`/billing/transactions`: what changed a balance, by an ADMIN key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from litestar import Request, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Response
from msgspec import Meta, Struct

from tollkeeper import ledger, orgs
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.credits.purchases import purchase_of
from tollkeeper.credits.shapes import USD, wallet_of
from tollkeeper.db import Database
from tollkeeper.http import Cursors, CursorText, Limit, Page, list_answer, page_of
from tollkeeper.ledger import Entry, EntryKind

AnyRequest = Request[Any, Any, State]


class TransactionType(StrEnum):
    """An entry's kind in the customer's words."""

    PURCHASE = "Purchase"
    AUTO_TOP_UP = "Auto Top-up"
    GRANT = "Grant"
    CONSUMPTION = "Consumption"
    REFUND = "Refund"
    DISPUTE = "Dispute"
    EXPIRY = "Expiry"
    ADJUSTMENT = "Adjustment"

    @property
    def kind(self) -> EntryKind:
        return EntryKind[self.name]


_BOUGHT: Final = (EntryKind.PURCHASE, EntryKind.AUTO_TOP_UP)


class Transaction(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    timestamp: datetime
    type: TransactionType
    amount: Money
    currency: str
    balance_after: Money
    purchase_id: str | None
    description: str | None


@get(
    "/transactions",
    summary="List purchases, or every entry, newest first",
    opt={"csv": True},
)
async def list_transactions(
    request: AnyRequest,
    database: NamedDependency[Database],
    cursors: NamedDependency[Cursors],
    type: Annotated[  # noqa: A002 (the parameter's public name)
        FromQuery[TransactionType | None], Meta(description="Only these.")
    ] = None,
    include: Annotated[
        FromQuery[Literal["purchases", "all"]],
        Meta(description="`all` lists every entry with the balance after it."),
    ] = "purchases",
    currency: FromQuery[str] = USD,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response[Page[Transaction]]:
    caller = orgs.caller_of(request)
    kinds = _kinds(type, include)
    bound = ("transactions", caller.org_id, caller.livemode, currency, kinds)
    below = None if cursor is None else cursors.open(bound, cursor, tuple[int])[0]
    async with database.connection() as connection:
        wallet = await wallet_of(connection, caller, currency)
        found = await ledger.entries(
            connection,
            caller.org_id,
            wallet.wallet_id,
            limit=limit + 1,
            below=below,
            kinds=kinds,
        )

    def show(entry: Entry) -> Transaction:
        return transaction_of(entry, wallet.currency)

    page = page_of(found, limit, show, lambda last: cursors.seal(bound, [last.seq]))
    return list_answer(request, page, Transaction, "transactions.csv")


def _kinds(
    type_: TransactionType | None, include: Literal["purchases", "all"]
) -> Sequence[EntryKind] | None:
    if type_ is not None:
        return (type_.kind,)
    return None if include == "all" else _BOUGHT


def transaction_of(entry: Entry, currency: str) -> Transaction:
    purchase_id = purchase_of(entry)
    return Transaction(
        id=show_id("ent", entry.entry_id),
        timestamp=entry.posted_at,
        type=TransactionType[entry.kind.name],
        amount=Money(entry.amount),
        currency=currency,
        balance_after=Money(entry.balance_after),
        purchase_id=None if purchase_id is None else show_id("pur", purchase_id),
        description=None if entry.kind in _BOUGHT else entry.reason,
    )
