"""What the routes of this room take and give."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money, MoneyIn, NonNegativeMoneyIn, PositiveMoneyIn
from tollkeeper.ledger import Entry, EntryKind, Wallet
from tollkeeper.pricing import PriceVersion, Rate

Why = Annotated[str, Meta(min_length=1, max_length=1000, description="Why, for the audit log.")]
Currency = Annotated[
    str, Meta(pattern=r"^[A-Z][A-Z0-9_]{1,31}\Z", examples=["USD"], description="Its code.")
]
Live = Annotated[bool, Meta(description="The live balance, or the one of test keys.")]
LotId = Annotated[str, Meta(pattern=r"^lot_[0-9a-f]{32}\Z")]
Priority = Annotated[int, Meta(ge=0, le=1000, description="Lower is spent first.")]
Label = Annotated[str, Meta(min_length=1, max_length=200)]


class In(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class Out(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class OnBalance(In, frozen=True, kw_only=True):
    """An act on one of an organization's balances."""

    reason: Why
    livemode: Live = True
    currency: Currency = "USD"


class Grant(OnBalance, frozen=True, kw_only=True):
    amount: PositiveMoneyIn
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    priority: Priority = 100
    label: Label | None = None


class Adjustment(OnBalance, frozen=True, kw_only=True):
    """A correction: a positive amount adds, a negative one takes off."""

    amount: MoneyIn


class Refund(OnBalance, frozen=True, kw_only=True):
    amount: PositiveMoneyIn
    lot_id: LotId | None = None


class Overdraft(OnBalance, frozen=True, kw_only=True):
    amount: NonNegativeMoneyIn


class EntryOut(Out, frozen=True, kw_only=True):
    id: str
    kind: EntryKind
    amount: Money
    balance_after: Money
    posted_at: datetime
    lot_id: str | None
    reason: str | None

    @classmethod
    def of(cls, entry: Entry) -> EntryOut:
        return cls(
            id=show_id("ent", entry.entry_id),
            kind=entry.kind,
            amount=Money(entry.amount),
            balance_after=Money(entry.balance_after),
            posted_at=entry.posted_at,
            lot_id=None if entry.lot_id is None else show_id("lot", entry.lot_id),
            reason=entry.reason,
        )


class BalanceOut(Out, frozen=True, kw_only=True):
    livemode: bool
    currency: str
    posted: Money
    held: Money
    available: Money
    overdraft: Money
    lifetime_added: Money
    lifetime_spent: Money
    frozen_reason: str | None

    @classmethod
    def of(cls, wallet: Wallet) -> BalanceOut:
        return cls(
            livemode=wallet.livemode,
            currency=wallet.currency,
            posted=Money(wallet.posted),
            held=Money(wallet.held),
            available=Money(wallet.available),
            overdraft=Money(wallet.overdraft),
            lifetime_added=Money(wallet.added),
            lifetime_spent=Money(wallet.spent),
            frozen_reason=wallet.frozen_reason,
        )


class BalancesOut(Out, frozen=True, kw_only=True):
    data: list[BalanceOut]


class PublishPrices(In, frozen=True, kw_only=True):
    """A price file (prices/README.md) as JSON; its own field names are kept."""

    file: Annotated[dict[str, Any], Meta(description="provider, source, models, …")]
    backdate: Annotated[
        bool, Meta(description="Allow a price that holds from a moment already past.")
    ] = False
    reason: Why


class ImportPrices(In, frozen=True, kw_only=True):
    reason: Why
    providers: Annotated[list[str], Meta(max_length=100)] | None = None
    end_missing: Annotated[bool, Meta(description="End models that the source no longer has.")] = (
        False
    )


class PriceOut(Out, frozen=True, kw_only=True):
    id: str
    provider: str
    model: str
    effective_from: datetime
    rates: dict[str, Any]
    service_tiers: dict[str, dict[str, Any]]
    aliases: list[str]
    max_input_tokens: int | None
    max_output_tokens: int | None
    source: str
    checked_on: date | None
    ended: bool

    @classmethod
    def of(cls, version: PriceVersion) -> PriceOut:
        return cls(
            id=str(version.id),
            provider=version.provider,
            model=version.model,
            effective_from=version.effective_from,
            rates=_show_rates(version.rates),
            service_tiers={
                tier: _show_rates(rates) for tier, rates in version.service_tiers.items()
            },
            aliases=list(version.aliases),
            max_input_tokens=version.max_input_tokens or version.context,
            max_output_tokens=version.max_output_tokens,
            source=version.source,
            checked_on=version.checked_on,
            ended=version.ended,
        )


class PricesOut(Out, frozen=True, kw_only=True):
    data: list[PriceOut]


class PublishedOut(Out, frozen=True, kw_only=True):
    """How many versions were new, and which."""

    published: int
    data: list[PriceOut]

    @classmethod
    def of(cls, versions: list[PriceVersion]) -> PublishedOut:
        return cls(published=len(versions), data=[PriceOut.of(version) for version in versions])


def _show_rates(rates: Any) -> dict[str, Any]:
    return {unit: _show_rate(rate) for unit, rate in rates.items()}


def _show_rate(rate: Rate) -> dict[str, Any]:
    shown: dict[str, Any] = {"price": Money(rate.price_nanos), "per": rate.per}
    if rate.above:
        shown["above"] = {str(start): Money(price) for start, price in rate.above}
    return shown
