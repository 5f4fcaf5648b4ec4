"""Every setting, its default and its one-line description: read top to bottom.

`load_settings` in `settings_source` reads them; docs/reference/settings.md is written from here.
"""

from __future__ import annotations

import re
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from tollkeeper.base.money import (
    NANOS_PER_UNIT,
    NonNegativeMoneyIn,
    NumberText,
    PositiveMoneyIn,
    parse_nanos,
)

_CENT: Final = NANOS_PER_UNIT // 100
_PRESETS: Final = (5, 10, 25, 50, 100)
_WHOLE_PRICE_OFF: Final = -1_000_000  # in parts per million
_NANOS_PER_PPM_OF_PERCENT: Final = 100_000  # 0.0001 % is one part per million
_STRIPE_KEY: Final = re.compile(r"(sk|rk)_(live|test)_")


class Secret:
    """Text that is used and never shown."""

    __slots__ = ("_text",)
    allowed: ClassVar[str] = "text"

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "(secret)"


class Percent(int):
    """A percentage, kept as parts per million: 12.5 is 125,000."""

    allowed: ClassVar[str] = "a percentage above -100 such as 12.5, with at most 4 decimals"

    @classmethod
    def read(cls, number: object) -> Self:
        if isinstance(number, bool) or not isinstance(number, int | NumberText):
            raise ValueError(f"must be {cls.allowed}")  # noqa: TRY004 (msgspec reports ValueError)
        try:
            ppm, rest = divmod(parse_nanos(str(number)), _NANOS_PER_PPM_OF_PERCENT)
        except ValueError:
            raise ValueError(f"must be {cls.allowed}") from None
        if rest or ppm <= _WHOLE_PRICE_OFF:
            raise ValueError(f"must be {cls.allowed}")
        return cls(ppm)


Seconds = Annotated[int, Meta(ge=1, le=86_400)]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Server(Section, frozen=True):
    """Where Tollkeeper listens."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    ] = 8080
    workers: Annotated[int, Meta(ge=1, le=256, description="Processes that serve requests.")] = 1
    public_url: Annotated[
        str | None,
        Meta(
            description="Address under which customers reach this server, without `/api`; unset,"
            " the one it listens on."
        ),
    ] = None
    max_body_bytes: Annotated[
        int, Meta(ge=1024, le=2**30, description="Largest request body taken, in bytes.")
    ] = 32 * 2**20
    shutdown_grace_seconds: Annotated[
        Seconds, Meta(description="How long calls in flight may take to finish when stopping.")
    ] = 30
    metrics_token: Annotated[
        Secret | None,
        Meta(
            description="Bearer token that `/metrics` asks for; unset, only this machine may read"
            " them."
        ),
    ] = None


class DatabaseSettings(Section, frozen=True):
    """PostgreSQL, embedded or your own."""

    url: Annotated[
        Secret | None,
        Meta(
            description="Address of your PostgreSQL (16 or newer), also read from `DATABASE_URL`;"
            " unset, an embedded server runs under `data_dir`."
        ),
    ] = None
    data_dir: Annotated[
        str, Meta(min_length=1, description="Directory of the embedded server and its data.")
    ] = ".tollkeeper"
    pool_min: Annotated[
        int, Meta(ge=0, le=1000, description="Connections each process keeps open.")
    ] = 1
    pool_max: Annotated[
        int, Meta(ge=1, le=1000, description="Most pooled connections of each process.")
    ] = 10

    def __post_init__(self) -> None:
        if self.pool_min > self.pool_max:
            raise ValueError("pool_min must be at most pool_max")


class Gateway(Section, frozen=True):
    """Calls to models."""

    hold_ttl_seconds: Annotated[
        Seconds, Meta(description="How long a hold lasts if its call never reports.")
    ] = 1200
    connect_timeout_seconds: Annotated[
        Seconds, Meta(description="How long connecting to a provider may take.")
    ] = 10
    first_byte_timeout_seconds: Annotated[
        Seconds, Meta(description="How long a provider may take to begin its answer.")
    ] = 300
    idle_timeout_seconds: Annotated[
        Seconds, Meta(description="How long a provider may pause within its answer.")
    ] = 60
    total_timeout_seconds: Annotated[
        Seconds, Meta(description="How long a call may take in all.")
    ] = 900
    drain_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=3600,
            description="How long a provider's answer is read on after the client has left, to"
            " learn what it cost; 0 stops the provider at once.",
        ),
    ] = 30
    clamp: Annotated[
        bool,
        Meta(
            description="Whether keys made without saying so have requests cut to what is"
            " affordable, where they would be refused."
        ),
    ] = False
    input_preview: Annotated[
        bool, Meta(description="Whether usage records keep the beginning of what was sent.")
    ] = True
    input_preview_chars: Annotated[
        int, Meta(ge=1, le=10_000, description="How many characters of it are kept.")
    ] = 200

    def __post_init__(self) -> None:
        longest = self.total_timeout_seconds + self.drain_seconds
        if self.hold_ttl_seconds < longest:
            raise ValueError(
                "hold_ttl_seconds must be at least total_timeout_seconds + drain_seconds"
                f" ({longest}), or holds end before their calls do"
            )


class Provider(Section, frozen=True):
    """A model provider, under a name you choose."""

    kind: Annotated[
        Literal["openai", "anthropic", "sandbox"],
        Meta(description="Which API it speaks; `sandbox` simulates a model and costs nothing."),
    ]
    base_url: Annotated[
        Annotated[str, Meta(pattern=r"^https?://\S+$", examples=["https://api.openai.com/v1"])]
        | None,
        Meta(description="Where it is; unset, the public address of that API."),
    ] = None
    api_key: Annotated[Secret | None, Meta(description="Your key with this provider.")] = None
    models: Annotated[
        list[str], Meta(description="Models served from here, by name or pattern such as `gpt-*`.")
    ] = field(default_factory=lambda: ["*"])
    model_names: Annotated[
        dict[str, str],
        Meta(description="Names customers use, each with the provider's name for that model."),
    ] = field(default_factory=dict[str, str])
    markup_percent: Annotated[
        Percent, Meta(description="What is added to this provider's prices.")
    ] = Percent(0)


class Currency(Section, frozen=True):
    """A unit of credit, under its code; `USD` is always there."""

    precision: Annotated[int, Meta(ge=0, le=9, description="Decimals shown to people.")] = 2
    usd_value: Annotated[
        PositiveMoneyIn, Meta(description="What one unit is worth in US dollars.")
    ] = PositiveMoneyIn(NANOS_PER_UNIT)


class Billing(Section, frozen=True):
    """Balances and what customers are told about them."""

    low_balance_nanos: Annotated[
        NonNegativeMoneyIn, Meta(description="At or below this, a balance is called low.")
    ] = field(default=NonNegativeMoneyIn(5_000_000_000), name="low_balance")
    overdraft_nanos: Annotated[
        NonNegativeMoneyIn, Meta(description="How far below zero new wallets may be spent.")
    ] = field(default=NonNegativeMoneyIn(0), name="overdraft")
    top_up_url: Annotated[
        str | None, Meta(description="Where a customer without credit is sent to buy some.")
    ] = None
    sandbox_credit_nanos: Annotated[
        NonNegativeMoneyIn, Meta(description="Test-mode credit that a new organization gets.")
    ] = field(default=NonNegativeMoneyIn(100_000_000_000), name="sandbox_credit")


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

    def __post_init__(self) -> None:
        if self.purchase_min_nanos > self.purchase_max_nanos:
            raise ValueError("purchase_min must be at most purchase_max")
        if self.fee_percent < 0:
            raise ValueError("fee_percent must not be negative")
        for name, nanos in (("fixed", self.fee_fixed_nanos), ("min", self.fee_min_nanos)):
            if nanos % _CENT:
                raise ValueError(f"fee_{name} must be whole cents")


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
        str, Meta(pattern=r"^https?://\S+$", description="Where Stripe's API is.")
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
        Annotated[str, Meta(pattern="^[A-Z]{2}$", examples=["DE"])] | None,
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
            pattern="^[a-z0-9_-]{1,40}$",
            description="A short name of the legal entity. Each has invoice numbers of its own.",
        ),
    ] = "main"
    time_zone: Annotated[
        str, Meta(description="Where your year ends, and the day on invoices is read.")
    ] = "UTC"

    def __post_init__(self) -> None:
        try:
            _ = self.zone
        except (ValueError, OSError):
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
        str, Meta(pattern="^[A-Z0-9]{1,10}$", description="What invoice numbers begin with.")
    ] = "INV"
    credit_note_prefix: Annotated[
        str,
        Meta(
            pattern="^[A-Z0-9]{1,10}$",
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


class Mail(Section, frozen=True):
    """Mails to members. Without a host there are none; notices are listed all the same."""

    host: Annotated[str | None, Meta(description="Your SMTP server.")] = None
    port: Annotated[int, Meta(ge=1, le=65_535, description="Its port.")] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(description="How the connection is encrypted; `tls` is from the first byte on."),
    ] = "starttls"
    username: Annotated[str | None, Meta(description="Your name there.")] = None
    secret: Annotated[Secret | None, Meta(description="Your password or token there.")] = None
    sender: Annotated[
        str,
        Meta(
            pattern=r"^[^@\r\n]+@[^@\s]+$",
            examples=["Tollkeeper <billing@example.com>"],
            description="Who mails are from.",
        ),
    ] = "Tollkeeper <tollkeeper@localhost>"


class Webhooks(Section, frozen=True):
    """Webhooks to customers' endpoints."""

    private_targets: Annotated[
        bool,
        Meta(
            description="Whether they may go to `http://` and to addresses inside your network."
            " Only where every customer is trusted."
        ),
    ] = False
    timeout_seconds: Annotated[
        int, Meta(ge=1, le=60, description="How long an endpoint may take to answer.")
    ] = 15


class Metering(Section, frozen=True):
    """Usage that your own API reports."""

    events_limit: Annotated[
        int, Meta(ge=1, le=10_000, description="Most events taken in one call.")
    ] = 10_000
    late_limit_days: Annotated[
        int, Meta(ge=1, le=3650, description="Events older than this are rejected.")
    ] = 90


class Log(Section, frozen=True):
    """What is written to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least serious lines that are written."),
    ] = "info"
    format: Annotated[
        Literal["json", "console"],
        Meta(description="`json` for machines, `console` for people."),
    ] = "console"


class Settings(Section, frozen=True):
    server: Server = field(default_factory=Server)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    gateway: Gateway = field(default_factory=Gateway)
    providers: dict[str, Provider] = field(default_factory=dict[str, Provider])
    currencies: dict[str, Currency] = field(default_factory=lambda: {"USD": Currency()})
    billing: Billing = field(default_factory=Billing)
    credits: Credits = field(default_factory=Credits)
    payments: Payments = field(default_factory=Payments)
    stripe: Stripe = field(default_factory=Stripe)
    seller: Seller = field(default_factory=Seller)
    invoices: Invoices = field(default_factory=Invoices)
    mail: Mail = field(default_factory=Mail)
    webhooks: Webhooks = field(default_factory=Webhooks)
    metering: Metering = field(default_factory=Metering)
    log: Log = field(default_factory=Log)

    def __post_init__(self) -> None:
        usd = self.currencies.get("USD")
        if usd is None or usd.usd_value != PositiveMoneyIn(NANOS_PER_UNIT):
            raise ValueError("currencies.USD.usd_value must be 1")

    @property
    def data_dir(self) -> Path:
        return Path(self.database.data_dir).expanduser()
