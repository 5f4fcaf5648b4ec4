"""Every setting, its default and its one-line description: read top to bottom.

`load_settings` in `settings_source` reads them; docs/reference/settings.md is written from here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, field
from msgspec.structs import replace

from tollkeeper.base.money import NANOS_PER_UNIT, NonNegativeMoneyIn, PositiveMoneyIn
from tollkeeper.base.setting_types import Percent, Seconds, Secret, Section
from tollkeeper.base.settings_of_console import Console, Oidc
from tollkeeper.base.settings_of_money import (
    AutoTopUpSettings,
    Credits,
    Grants,
    Invoices,
    Payments,
    Plans,
    Seller,
    Stripe,
    TaxRule,
)

# As an address, or in the driver's own words.
_DATABASE_ADDRESS: Final = re.compile(r"postgres(ql)?://|[a-z_]+ *=")


class Server(Section, frozen=True):
    """Where Tollkeeper listens."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    ] = 8080
    workers: Annotated[int, Meta(ge=1, le=256, description="Processes that serve requests.")] = 1
    public_url: Annotated[
        Annotated[str, Meta(pattern=r"^https?://[^\s/?#]+", examples=["https://ai.example.com"])]
        | None,
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
        if self.url is not None and not _DATABASE_ADDRESS.match(self.url.reveal()):
            raise ValueError("url must be an address such as postgresql://user:password@host/name")


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
        Annotated[str, Meta(pattern=r"^https?://\S+\Z", examples=["https://api.openai.com/v1"])]
        | None,
        Meta(description="Where it is; unset, the public address of that API."),
    ] = None
    api_key: Annotated[Secret | None, Meta(description="Your key with this provider.")] = None
    admin_key: Annotated[
        Secret | None,
        Meta(description="A key that may read costs, for `provider-costs import --fetch`."),
    ] = None
    models: Annotated[
        list[str], Meta(description="Models served from here, by name or pattern such as `gpt-*`.")
    ] = field(default_factory=lambda: ["*"])
    model_names: Annotated[
        dict[str, str],
        Meta(description="Names customers use, each with the provider's name for that model."),
    ] = field(default_factory=dict[str, str])
    ask_usage: Annotated[
        bool | None,
        Meta(
            description="Whether streams are asked for their usage, by"
            " `stream_options.include_usage`; unset, all but Mistral's are, which tell it unasked."
        ),
    ] = None
    markup_percent: Annotated[
        Percent,
        Meta(
            description="What is added to this provider's prices in the gateway; a mark-up of"
            " the price book goes before it, and is the one for calls that are metered."
        ),
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
        Annotated[str, Meta(pattern=r"^https?://\S+\Z", examples=["https://example.com/credits"])]
        | None,
        Meta(
            description="Where a customer without credit is sent to buy some; unset, the"
            " console's own page."
        ),
    ] = None
    sandbox_credit_nanos: Annotated[
        NonNegativeMoneyIn, Meta(description="Test-mode credit that a new organization gets.")
    ] = field(default=NonNegativeMoneyIn(100_000_000_000), name="sandbox_credit")
    spending_order: Annotated[
        list[str],
        Meta(
            description="Codes of currencies in the order in which calls spend them. Those that it"
            " leaves out come after it as they are defined, and `USD` last."
        ),
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
            pattern=r"^[^@\r\n]+@[^@\s]+\Z",
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


class Analytics(Section, frozen=True):
    """Costs by time and dimension, and alerts of unusual spending."""

    records_limit: Annotated[
        int,
        Meta(
            ge=1_000,
            le=100_000_000,
            description="Most single calls read for one answer, where it asks for what no sums"
            " hold; more are refused.",
        ),
    ] = 500_000
    spike_alerts: Annotated[
        bool, Meta(description="Whether organizations are told of unusual spending.")
    ] = True
    spike_factor: Annotated[
        int,
        Meta(
            ge=2,
            le=1_000,
            description="How many times what is usual the spending of an hour or a day must be.",
        ),
    ] = 3
    spike_minimum_nanos: Annotated[
        NonNegativeMoneyIn,
        Meta(description="By how many US dollars it must lie above what is usual."),
    ] = field(default=NonNegativeMoneyIn(10_000_000_000), name="spike_minimum")


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


# Sections that hold one of a kind under each name, and what stands for the name in their places.
KEYED: Final = {"providers": ".<name>", "currencies": ".<CODE>", "taxes": ".<COUNTRY>"}


class Settings(Section, frozen=True):
    server: Server = field(default_factory=Server)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    gateway: Gateway = field(default_factory=Gateway)
    providers: dict[str, Provider] = field(default_factory=dict[str, Provider])
    currencies: dict[str, Currency] = field(default_factory=lambda: {"USD": Currency()})
    billing: Billing = field(default_factory=Billing)
    credits: Credits = field(default_factory=Credits)
    grants: Grants = field(default_factory=Grants)
    plans: Plans = field(default_factory=Plans)
    auto_top_up: AutoTopUpSettings = field(default_factory=AutoTopUpSettings)
    taxes: dict[str, TaxRule] = field(default_factory=dict[str, TaxRule])
    payments: Payments = field(default_factory=Payments)
    stripe: Stripe = field(default_factory=Stripe)
    seller: Seller = field(default_factory=Seller)
    invoices: Invoices = field(default_factory=Invoices)
    mail: Mail = field(default_factory=Mail)
    webhooks: Webhooks = field(default_factory=Webhooks)
    metering: Metering = field(default_factory=Metering)
    analytics: Analytics = field(default_factory=Analytics)
    console: Console = field(default_factory=Console)
    oidc: Oidc = field(default_factory=Oidc)
    log: Log = field(default_factory=Log)

    def __post_init__(self) -> None:
        usd = self.currencies.get("USD")
        if usd is None or usd.usd_value != PositiveMoneyIn(NANOS_PER_UNIT):
            raise ValueError("currencies.USD.usd_value must be 1")
        order = self.billing.spending_order
        if len(set(order)) < len(order) or not self.currencies.keys() >= set(order):
            raise ValueError("billing.spending_order must name defined currencies, each once")

    @property
    def spending(self) -> dict[str, int]:
        """What one unit of each currency is worth, in nanos of USD, in the order of spending."""
        named = self.billing.spending_order
        others = [code for code in self.currencies if code not in (*named, "USD")]
        order = dict.fromkeys([*named, *others, "USD"])
        return {code: int(self.currencies[code].usd_value) for code in order}

    @property
    def data_dir(self) -> Path:
        return Path(self.database.data_dir).expanduser()


def with_page_to_buy(settings: Settings, base_url: str) -> Settings:
    """Whoever is out of credit is told of the console's page, unless there is another."""
    billing = settings.billing
    page = billing.top_up_url or f"{base_url.rstrip('/')}/console/credits/add"
    return replace(settings, billing=replace(billing, top_up_url=page))
