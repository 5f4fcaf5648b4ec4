"""`/billing/quotes`, `/billing/purchases`, `/billing/transactions`: by an ADMIN key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Request, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from tollkeeper import ledger, orgs
from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import InvalidRequest, NotFound
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import Money, PositiveMoneyIn
from tollkeeper.credits.errors import AmountOutOfRange, PaymentsNotConfigured
from tollkeeper.credits.purchases import Buyer, Limits, find_purchase, purchase, purchase_of
from tollkeeper.db import Connection, Database
from tollkeeper.http import (
    Cursors,
    CursorText,
    Limit,
    Page,
    list_answer,
    page_of,
    read_path_id,
    run_id_of,
)
from tollkeeper.ledger import Entry, EntryKind, Wallet
from tollkeeper.orgs import Caller

AnyRequest = Request[Any, Any, State]
USD: Final = "USD"
Bought = Callable[[Connection, Wallet, Entry, UUID], Awaitable[object]]


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


class NewPurchase(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    amount: PositiveMoneyIn
    currency: Literal["USD"] = USD


class Quote(Struct, frozen=True, kw_only=True, rename="camel"):
    """What an amount of credit costs."""

    credit: Money
    fee: Money
    tax: Money
    total: Money
    currency: str


class Purchase(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    status: Literal["succeeded"]
    amount: Money
    currency: str
    balance_after: Money
    livemode: bool
    created_at: datetime

    @classmethod
    def of(cls, entry: Entry, purchase_id: UUID, wallet: Wallet) -> Purchase:
        return cls(
            id=show_id("pur", purchase_id),
            status="succeeded",
            amount=Money(entry.amount),
            currency=wallet.currency,
            balance_after=Money(entry.balance_after),
            livemode=wallet.livemode,
            created_at=entry.posted_at,
        )


class Transaction(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    timestamp: datetime
    type: TransactionType
    amount: Money
    currency: str
    balance_after: Money
    purchase_id: str | None
    description: str | None


def purchase_routes(limits: Limits, bought: Bought) -> list[ControllerRouterHandler]:
    """`bought` hears of each purchase in its transaction, as the last."""
    handlers = [*_buying(limits, bought), read_purchase, list_transactions]
    return [Router("/billing", route_handlers=handlers, guards=[orgs.admin_only], tags=["Credit"])]


def _buying(limits: Limits, bought: Bought) -> list[ControllerRouterHandler]:
    @post(
        "/quotes",
        summary="Ask what credit costs",
        status_code=200,
        opt={"errors": (AmountOutOfRange,)},
    )
    async def make_quote(data: JSONBody[NewPurchase]) -> Quote:
        limits.check(data.amount)
        nothing, credit = Money(0), Money(data.amount)
        return Quote(credit=credit, fee=nothing, tax=nothing, total=credit, currency=data.currency)

    @post(
        "/purchases",
        summary="Buy credit",
        description="With a key of test mode the payment is simulated and succeeds at once.",
        opt={"errors": (AmountOutOfRange, PaymentsNotConfigured)},
    )
    async def make_purchase(
        request: AnyRequest,
        data: JSONBody[NewPurchase],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> Purchase:
        caller = orgs.caller_of(request)
        purchase_id = run_id_of(request) or uuid7()
        async with database.transaction() as tx:
            wallet = await _wallet(tx, caller, data.currency)
            buyer = Buyer(
                org_id=caller.org_id,
                wallet_id=wallet.wallet_id,
                livemode=caller.livemode,
                actor=show_id("key", caller.key_id),
            )
            entry = await purchase(tx, buyer, purchase_id, data.amount, limits, clock.now())
            await bought(tx, wallet, entry, purchase_id)
        return Purchase.of(entry, purchase_id, wallet)

    return [make_quote, make_purchase]


@get("/purchases/{purchase_id:str}", summary="Get a purchase")
async def read_purchase(
    request: AnyRequest, purchase_id: FromPath[str], database: NamedDependency[Database]
) -> Purchase:
    caller = orgs.caller_of(request)
    known = read_path_id("pur", purchase_id)
    async with database.connection() as connection:
        entry = await find_purchase(connection, caller.org_id, known)
        wallet = await ledger.find_wallet(connection, caller.org_id, entry.wallet_id)
    if wallet.livemode != caller.livemode:
        raise NotFound(f"There is no purchase {purchase_id}")
    return Purchase.of(entry, known, wallet)


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
        wallet = await _wallet(connection, caller, currency)
        found = await ledger.entries(
            connection,
            caller.org_id,
            wallet.wallet_id,
            limit=limit + 1,
            below=below,
            kinds=kinds,
        )

    def show(entry: Entry) -> Transaction:
        return _transaction(entry, wallet.currency)

    page = page_of(found, limit, show, lambda last: cursors.seal(bound, [last.seq]))
    return list_answer(request, page, Transaction, "transactions.csv")


def _kinds(
    type_: TransactionType | None, include: Literal["purchases", "all"]
) -> Sequence[EntryKind] | None:
    if type_ is not None:
        return (type_.kind,)
    return None if include == "all" else _BOUGHT


def _transaction(entry: Entry, currency: str) -> Transaction:
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


async def _wallet(connection: Connection, caller: Caller, currency: str) -> Wallet:
    for wallet in await ledger.wallets_of(connection, caller.org_id):
        if (wallet.livemode, wallet.currency) == (caller.livemode, currency):
            return wallet
    said = "is no currency of this organization"
    raise InvalidRequest(f"currency: {said}", {"currency": [said]})
