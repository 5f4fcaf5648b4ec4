"""`GET /billing/balance`: what there is, and whether a call may be made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, cast
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct, defstruct, structs

from tollkeeper import ledger
from tollkeeper.base.money import Money
from tollkeeper.base.settings import Settings
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import Wallet
from tollkeeper.metering.billing.asked import AnyRequest
from tollkeeper.metering.worth import worth_of
from tollkeeper.orgs import caller_of

_USD: Final = "USD"


class AutoTopUp(Struct, frozen=True, kw_only=True, rename="camel"):
    """`GET /billing/auto-top-up` says more."""

    enabled: bool = False
    threshold: Money | None = None


# Who knows whether a wallet buys by itself, and below what.
ReadTopUp = Callable[[Connection, Wallet], Awaitable[AutoTopUp]]
# Who knows how much an organization is given each period, by currency; `bool` is live or test.
ReadAllocations = Callable[[Connection, UUID, bool], Awaitable[Mapping[str, int]]]


class Balance(Struct, frozen=True, kw_only=True, rename="camel"):
    """Amounts are of `consumptionCurrency`; `balances` are what is owned in each currency, null
    where no balance was opened in it. `available` is what is owned and not held by running calls.
    Whether it is low is judged by its worth in dollars."""

    can_consume: bool
    consumption_currency: str
    balances: dict[str, Money | None]
    available: Money
    held: Money
    posted: Money
    low_balance: bool
    lifetime_added: Money
    lifetime_spent: Money
    auto_top_up: AutoTopUp


def balance_route(
    settings: Settings,
    read_top_up: ReadTopUp | None,
    read_allocations: ReadAllocations | None = None,
) -> HTTPRouteHandler:
    epochs = {
        code: f"{code.lower()}_epoch_allocation" for code in settings.spending if code != _USD
    }
    shape = _with_epochs(epochs.values())

    async def get_balance(request: AnyRequest, database: NamedDependency[Database]) -> Balance:
        caller = caller_of(request)
        given: Mapping[str, int] = {}
        async with database.connection() as connection:
            wallets = await ledger.wallets_of(connection, caller.org_id)
            own = {w.currency: w for w in wallets if w.livemode == caller.livemode}
            usd, top_up = own.get(_USD), AutoTopUp()
            if usd is not None and read_top_up is not None:
                top_up = await read_top_up(connection, usd)
            if epochs and read_allocations is not None:
                given = await read_allocations(connection, caller.org_id, caller.livemode)
        low = settings.billing.low_balance_nanos
        shown = show_balance(own, settings.spending, low, top_up)
        allocations = {name: Money(given[code]) for code, name in epochs.items() if code in given}
        members: dict[str, Any] = {**structs.asdict(shown), **allocations}
        return shape(**members)

    get_balance.__annotations__["return"] = shape
    return get("/balance", summary="Get the balance")(get_balance)


def _with_epochs(names: Iterable[str]) -> type[Balance]:
    """Give the balance a member for each currency that may come again each period, as Venice's
    `diemEpochAllocation`; null where none does."""
    if not (members := [(name, Money | None, None) for name in names]):
        return Balance
    made = defstruct(
        "Balance",
        members,
        bases=(Balance,),
        frozen=True,
        kw_only=True,
        rename="camel",
        namespace={"__doc__": Balance.__doc__},
    )
    return cast("type[Balance]", made)


def show_balance(
    wallets: Mapping[str, Wallet],
    spending: Mapping[str, int],
    low_balance_nanos: int,
    top_up: AutoTopUp,
) -> Balance:
    """`spending`: what a unit of each currency is worth, in the order in which they are spent."""
    currency = next((code for code in spending if _spendable(wallets.get(code))), _USD)
    wallet = wallets.get(currency)
    available = 0 if wallet is None else wallet.available
    low = low_balance_nanos if top_up.threshold is None else top_up.threshold.nanos
    return Balance(
        can_consume=_spendable(wallet),
        consumption_currency=currency,
        balances={camel(code): _owned(wallets.get(code)) for code in spending},
        available=Money(available),
        held=Money(0 if wallet is None else wallet.held),
        posted=Money(0 if wallet is None else wallet.posted),
        low_balance=worth_of(available, spending[currency]) <= low,
        lifetime_added=Money(0 if wallet is None else wallet.added),
        lifetime_spent=Money(0 if wallet is None else wallet.spent),
        auto_top_up=top_up,
    )


def camel(code: str) -> str:
    """Write a currency's code as a member's name: `BUNDLED_CREDITS` is `bundledCredits`."""
    first, *others = code.lower().split("_")
    return first + "".join(word.capitalize() for word in others)


def _owned(wallet: Wallet | None) -> Money | None:
    return None if wallet is None else Money(wallet.posted)


def _spendable(wallet: Wallet | None) -> bool:
    return wallet is not None and wallet.frozen_reason is None and wallet.spendable > 0
