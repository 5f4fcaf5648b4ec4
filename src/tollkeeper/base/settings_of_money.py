"""The settings of money coming in; `settings` has them all."""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, field

from tollkeeper.base.countries import COUNTRIES
from tollkeeper.base.money import NANOS_PER_UNIT, NonNegativeMoneyIn, PositiveMoneyIn
from tollkeeper.base.setting_types import Percent, Secret, Section

_CENT: Final = NANOS_PER_UNIT // 100
_PRESETS: Final = (5, 10, 25, 50, 100)
_STRIPE_KEY: Final = re.compile(r"(sk|rk)_(live|test)_")


class Credits(Section, frozen=True):
    """What customers may buy."""

    purchase_min_nanos: Annotated[
        PositiveMoneyIn, Meta(description="The least that one purchase may add.")
    ] = field(default=PositiveMoneyIn(5_000_000_000), name="purchase_min")
    purchase_max_nanos: Annotated[
        PositiveMoneyIn, Meta(description="The most that one purchase may add.")
    ] = field(default=PositiveMoneyIn(1_000_000_000_000), name="purchase_max")
    presets: Annotated[
        list[PositiveMoneyIn],
        Meta(description="Amounts that are suggested, as far as they lie within the limits."),
    ] = field(default_factory=lambda: [PositiveMoneyIn(n * NANOS_PER_UNIT) for n in _PRESETS])
    fee_percent: Annotated[
        Percent, Meta(description="A processing fee that is added to the price of a purchase.")
    ] = Percent(0)
    fee_fixed_nanos: Annotated[
        NonNegativeMoneyIn, Meta(description="A fixed part of that fee, in whole cents.")
    ] = field(default=NonNegativeMoneyIn(0), name="fee_fixed")
    fee_min_nanos: Annotated[
        NonNegativeMoneyIn, Meta(description="The least that the fee is, in whole cents.")
    ] = field(default=NonNegativeMoneyIn(0), name="fee_min")
    address_required: Annotated[
        bool,
        Meta(description="Whether a name and an address must be known of who buys by hand."),
    ] = False

    def __post_init__(self) -> None:
        if self.purchase_min_nanos > self.purchase_max_nanos:
            raise ValueError("purchase_min must be at most purchase_max")
        if self.fee_percent < 0:
            raise ValueError("fee_percent must not be negative")
        for name, nanos in (("fixed", self.fee_fixed_nanos), ("min", self.fee_min_nanos)):
            if nanos % _CENT:
                raise ValueError(f"fee_{name} must be whole cents")


class Grants(Section, frozen=True):
    """Credit that is given away. Recurring grants and codes are defined by operators."""

    welcome_nanos: Annotated[
        NonNegativeMoneyIn,
        Meta(description="What each new organization is given once, in USD; 0 is nothing."),
    ] = field(default=NonNegativeMoneyIn(0), name="welcome")
    welcome_days: Annotated[
        int, Meta(ge=1, le=3650, description="How long after that it expires.")
    ] = 30
    reminder_days: Annotated[
        list[Annotated[int, Meta(ge=1, le=365)]],
        Meta(
            max_length=10,
            description="How many days before credit expires its owner is told, each once.",
        ),
    ] = field(default_factory=lambda: [30, 7, 1])


class Plans(Section, frozen=True):
    """What is included for a fee, or for none."""

    default: Annotated[
        str | None,
        Meta(
            description="Code of the plan that organizations without a subscription have, once"
            " there is one of that code.",
        ),
    ] = "free"
    past_due_days: Annotated[
        int,
        Meta(
            ge=0,
            le=365,
            description="How long a plan is kept whose fee is not paid; then it ends, and the"
            " default plan holds.",
        ),
    ] = 7


class AutoTopUpSettings(Section, frozen=True):
    """Purchases that a balance triggers, where its owner has turned that on."""

    amount_min_nanos: Annotated[
        PositiveMoneyIn, Meta(description="The least that one top-up may buy.")
    ] = field(default=PositiveMoneyIn(5_000_000_000), name="amount_min")
    amount_max_nanos: Annotated[
        PositiveMoneyIn, Meta(description="The most that one top-up may buy.")
    ] = field(default=PositiveMoneyIn(100_000_000_000_000), name="amount_max")
    threshold_min_nanos: Annotated[
        NonNegativeMoneyIn, Meta(description="The lowest threshold that may be set.")
    ] = field(default=NonNegativeMoneyIn(0), name="threshold_min")
    threshold_max_nanos: Annotated[
        PositiveMoneyIn | None,
        Meta(description="The highest threshold; it is at most the amount in any case."),
    ] = field(default=None, name="threshold_max")
    monthly_cap_multiple: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="How many top-ups a month may have where its owner sets no cap.",
        ),
    ] = 4
    cooldown_seconds: Annotated[
        int, Meta(ge=0, le=86_400, description="How long it rests after a top-up.")
    ] = 60
    daily_count: Annotated[
        int, Meta(ge=1, le=1000, description="How many payments it tries in a day (UTC).")
    ] = 10

    def __post_init__(self) -> None:
        if self.amount_min_nanos > self.amount_max_nanos:
            raise ValueError("amount_min must be at most amount_max")
        most = self.threshold_max_nanos
        if most is not None and self.threshold_min_nanos > most:
            raise ValueError("threshold_min must be at most threshold_max")


class TaxRule(Section, frozen=True):
    """The tax that buyers of a country pay, under its code (ISO 3166); `default` is for all others.
    Where there is no rule, there is no tax."""

    percent: Annotated[Percent, Meta(description="The rate, on price and fee.")]
    name: Annotated[
        str, Meta(min_length=1, max_length=40, description="What it is called on invoices.")
    ] = "VAT"
    businesses: Annotated[
        Literal["taxed", "reverse_charge", "exempt"],
        Meta(
            description="What a business with a tax id of its country pays: the same; nothing, as"
            " it owes the tax itself; or nothing at all."
        ),
    ] = "taxed"
    note: Annotated[
        str | None,
        Meta(description="What an invoice with reverse charge says; unset, the usual sentence."),
    ] = None

    def __post_init__(self) -> None:
        if self.percent < 0:
            raise ValueError("percent must not be negative")


class Payments(Section, frozen=True):
    """How credit is paid for."""

    sandbox: Annotated[
        bool,
        Meta(
            description="Whether test mode pays with the built-in sandbox, whose money is not"
            " real. A Stripe key of test mode takes its place."
        ),
    ] = True
    on_dispute: Annotated[
        Literal["hold", "freeze"],
        Meta(
            description="What a dispute does besides taking back its purchase's credit: nothing"
            " more, or freeze the balance until it is over."
        ),
    ] = "hold"


class Stripe(Section, frozen=True):
    """Your account at Stripe. The key says which balances it serves: live ones or test ones."""

    secret_key: Annotated[
        Secret | None,
        Meta(description="Your secret or restricted key, such as `sk_live_…` or `sk_test_…`."),
    ] = None
    publishable_key: Annotated[
        str | None,
        Meta(description="The key for browsers, which embedded payment pages need."),
    ] = None
    webhook_secret: Annotated[
        Secret | None,
        Meta(
            description="What your webhook endpoint's events are signed with, such as `whsec_…`;"
            " unset, there is no endpoint, and Stripe is asked for events instead."
        ),
    ] = None
    api_base: Annotated[
        str, Meta(pattern=r"^https?://\S+\Z", description="Where Stripe's API is.")
    ] = "https://api.stripe.com"
    timeout_seconds: Annotated[
        int, Meta(ge=1, le=80, description="How long one request to Stripe may take.")
    ] = 20

    def __post_init__(self) -> None:
        key = self.secret_key
        if key is not None and _STRIPE_KEY.match(key.reveal()) is None:
            raise ValueError("secret_key must begin with sk_live_, rk_live_, sk_test_ or rk_test_")
        if key is None and self.webhook_secret is not None:
            raise ValueError("webhook_secret is of no use without secret_key")


class Seller(Section, frozen=True):
    """Who you are on invoices."""

    name: Annotated[str, Meta(min_length=1, description="Your company, as it is registered.")] = (
        "Your company (set seller.name)"
    )
    address: Annotated[
        list[str],
        Meta(
            examples=[["Harbour Street 12", "20457 Hamburg", "Germany"]],
            description="Your address, line by line.",
        ),
    ] = field(default_factory=list[str])
    country: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z", examples=["DE"])] | None,
        Meta(description="Your country's code (ISO 3166)."),
    ] = None
    tax_ids: Annotated[
        list[str],
        Meta(
            examples=[["VAT ID DE123456789"]],
            description="Your tax numbers, as they are to be printed.",
        ),
    ] = field(default_factory=list[str])
    email: Annotated[str | None, Meta(description="Where customers ask about an invoice.")] = None
    register: Annotated[
        str | None,
        Meta(description="What law wants at the foot of your letters, such as your register."),
    ] = None
    entity: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9_-]{1,40}\Z",
            description="A short name of the legal entity. Each has invoice numbers of its own.",
        ),
    ] = "main"
    time_zone: Annotated[
        str, Meta(description="Where your year ends, and the day on invoices is read.")
    ] = "UTC"

    def __post_init__(self) -> None:
        if self.country is not None and self.country not in COUNTRIES:
            raise ValueError("country must be a country's code (ISO 3166) such as DE")
        try:
            _ = self.zone
        except (KeyError, ValueError, OSError):
            raise ValueError("time_zone must be a name such as Europe/Berlin") from None

    @property
    def zone(self) -> tzinfo:
        # UTC is known where no time zones are installed, too.
        return UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)


class Invoices(Section, frozen=True):
    """Invoices, credit notes and statements."""

    language: Annotated[
        Literal["en", "de", "fr", "es"], Meta(description="The language they are written in.")
    ] = "en"
    invoice_prefix: Annotated[
        str, Meta(pattern=r"^[A-Z0-9]{1,10}\Z", description="What invoice numbers begin with.")
    ] = "INV"
    credit_note_prefix: Annotated[
        str,
        Meta(
            pattern=r"^[A-Z0-9]{1,10}\Z",
            description="What numbers of credit notes begin with; the same as `invoice_prefix`,"
            " and both are numbered in one row.",
        ),
    ] = "CN"
    footer: Annotated[
        str | None, Meta(description="A sentence at the end, such as your thanks.")
    ] = None
    font_dirs: Annotated[
        list[str],
        Meta(description="Directories with more fonts, for scripts that would be romanised."),
    ] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        for directory in self.font_dirs:
            if not Path(directory).is_dir():
                raise ValueError(f"font_dirs must be directories; {directory} is none")
