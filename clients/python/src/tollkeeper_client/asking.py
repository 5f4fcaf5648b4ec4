"""What may be said with a call to the metering endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias, TypedDict

# Floats are not taken: they are not what they look like. Text with a number in it is.
Amount: TypeAlias = int | Decimal
Usage: TypeAlias = Mapping[str, int | Decimal | str]


class What(TypedDict, total=False):
    """What is sold: a `sku`, an `operation` that is one, or `provider` and `model`."""

    sku: str | None
    operation: str | None
    provider: str | None
    model: str | None


class Sale(What, total=False):
    """And to whom: with an operator key by the customer's own `customer_key`, or by organization
    and project; a customer's own key names nobody."""

    customer_key: str | None
    organization_id: str | None
    project_id: str | None
    livemode: bool | None


class _Behind(TypedDict, total=False):
    """By whom among the customer's own: budgets of an end user or a tag ask before the call."""

    end_user: str | None
    tags: Mapping[str, str] | None


class HeldWhat(What, _Behind, total=False):
    """What is sold, and who is behind the call."""


class HeldSale(Sale, _Behind, total=False):
    """A sale, and who is behind the call."""


class Story(TypedDict, total=False):
    """What the customer reads of a call in the log."""

    input: str | None
    thread_id: str | None
    end_user: str | None
    status: int
    duration_ms: int | None
    tags: Mapping[str, str] | None
    error: str | None


class Told(Sale, Story, total=False):
    """A sale and its story."""


class SettledStory(Story, total=False):
    operation: str | None


class _Identified(TypedDict):
    id: str
    usage: Usage


class Event(_Identified, Told, total=False):
    """Usage of the past: unique by organization, `source` and `id`."""

    source: str
    time: datetime


class TopUpChange(TypedDict, total=False):
    """What is left out stays as it was; either `amount` or `target_balance`."""

    threshold: Amount
    amount: Amount
    target_balance: Amount
    monthly_cap: Amount
    payment_method_id: str


class SetupTerms(TypedDict, total=False):
    """`token` comes from the processor's own form; `checkout` opens a page of its instead."""

    token: str
    checkout: str
    return_url: str
    cancel_url: str


class ProfileChange(TypedDict, total=False):
    """`kind` is `business` or `consumer`; a tax id is `{"type": "eu_vat", "value": "…"}`."""

    kind: str
    tax_ids: Sequence[Mapping[str, str]]
    emails: Sequence[str]


class KeyTerms(TypedDict, total=False):
    """`kind` is `INFERENCE` or `ADMIN`; with `clamp` a call asks for no more than can be paid."""

    kind: str
    livemode: bool
    clamp: bool
    expires_at: datetime


class OnBalance(TypedDict, total=False):
    """Which balance of an organization; live dollars unless said."""

    livemode: bool
    currency: str


class GrantTerms(OnBalance, total=False):
    expires_at: datetime
    priority: int
    label: str


class PurchaseTerms(TypedDict, total=False):
    """`checkout` is `hosted` or `embedded`: a page of the processor, instead of a method."""

    payment_method_id: str
    checkout: str
    save_payment_method: bool
    billing_address: Mapping[str, Any]
    tax_id: Mapping[str, Any]
    return_url: str
    cancel_url: str


class RecordFilter(TypedDict, total=False):
    status: str | int
    operation: str
    thread_id: str
    project_id: str
    key_id: str
    model: str
    start: datetime | str
    end: datetime | str
    currency: str
    limit: int
    cursor: str | None


class TransactionFilter(TypedDict, total=False):
    """`include="all"` lists every entry, not purchases alone."""

    type: str
    include: str
    currency: str
    limit: int
    cursor: str | None


class EntryFilter(TypedDict, total=False):
    kind: str
    currency: str
    limit: int


class LotFilter(TypedDict, total=False):
    currency: str
    limit: int


class NoticeFilter(TypedDict, total=False):
    type: str
    unread: bool
    limit: int


class InvoiceFilter(TypedDict, total=False):
    """`type` is `invoice` or `credit_note`."""

    type: str
    purchase_id: str
    limit: int


class CostFilter(TypedDict, total=False):
    """`granularity` is `minute` to `year`; each dimension takes one value or several; `tag` is
    `name:value`."""

    start: datetime | date | str
    end: datetime | date | str
    granularity: str
    timezone: str
    currency: str
    fill: bool
    project: str | Sequence[str]
    api_key: str | Sequence[str]
    member: str | Sequence[str]
    model: str | Sequence[str]
    provider: str | Sequence[str]
    operation: str | Sequence[str]
    end_user: str | Sequence[str]
    sku: str | Sequence[str]
    tag: str | Sequence[str]
    limit: int


class BudgetChange(TypedDict, total=False):
    """`enforcement` is `hard` or `soft`."""

    enforcement: str
    tolerance_percent: int
    alert_percents: Sequence[int]


class BudgetTerms(BudgetChange, total=False):
    """`measure` is `cost`, `tokens` or `requests`; `each` counts every value of one apart, such
    as `endUser` or `tag:team`. All others say whose calls are meant."""

    measure: str
    time_zone: str
    project_id: str
    api_key_id: str
    member_id: str
    end_user: str
    provider: str
    model: str
    tag: str
    each: str


class BudgetEdit(BudgetChange, total=False):
    name: str
    amount: Amount


class PlanTerms(TypedDict, total=False):
    """`when` is `now` or `cycle_end`; cycles begin by `timezone` and `anchor`."""

    livemode: bool
    when: str
    timezone: str
    anchor: datetime


class RecurringTerms(OnBalance, total=False):
    """All organizations, unless `organization_id` names one."""

    organization_id: str
    time_zone: str
    start_at: datetime
    priority: int
    label: str


class CampaignTerms(OnBalance, total=False):
    """The credit lapses after `lot_days` or at `lot_expires_at`; `new_days` is how old an
    organization may be."""

    valid_from: datetime
    valid_until: datetime
    most_redemptions: int
    lot_days: int
    lot_expires_at: datetime
    new_days: int
    priority: int
    label: str


def api_names(told: Mapping[str, Any]) -> dict[str, Any]:
    """The API calls the customer's key `apiKey`; here that is the name of one's own."""
    said = dict(told)
    if "customer_key" in said:
        said["api_key"] = said.pop("customer_key")
    return said
