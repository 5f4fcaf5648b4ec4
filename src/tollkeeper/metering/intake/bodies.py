"""What the metering endpoints take and give."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional, Protocol, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from tollkeeper.base.money import Money, NonNegativeMoneyIn

_UnitName = Annotated[str, Meta(max_length=64)]
_MANY_UNITS = Meta(max_length=50, description="Quantities by unit, such as `input` or `page`.")

# Numbers are read exactly, and from text too, for clients whose numbers are floats.
Units = Annotated[dict[_UnitName, int | Decimal], _MANY_UNITS]
# What the document says of them: to msgspec, Decimal is text.
_Quantity = (
    Annotated[float, Meta(ge=0, le=10**15)]
    | Annotated[str, Meta(pattern=r"^[0-9]{1,15}(\.[0-9]{1,9})?\Z")]
)
_UnitsShown = Annotated[dict[_UnitName, _Quantity], _MANY_UNITS]

Name = Annotated[str, Meta(min_length=1, max_length=256)]
RequestId = Annotated[
    str,
    Meta(min_length=1, max_length=255, description="Yours; one request id is one charge for ever."),
]
Tags = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=256)]],
    Meta(max_length=50),
]
OrganizationId = Annotated[str, Meta(pattern=r"^org_[0-9a-f]{32}\Z")]
ProjectId = Annotated[str, Meta(pattern=r"^prj_[0-9a-f]{32}\Z")]
ApiKeyText = Annotated[
    str, Meta(max_length=100, description="The customer's API key, as it was given to you.")
]
Status = Annotated[int, Meta(ge=100, le=599)]
DurationMs = Annotated[int, Meta(ge=0, le=2**31 - 1)]
ErrorText = Annotated[str, Meta(max_length=1000)]
Moment = Annotated[datetime, Meta(tz=True)]


class In(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class Named(In, frozen=True, kw_only=True):
    """Whose credit: with an operator key, a customer's `apiKey`, or `organizationId` with
    `projectId`. A customer's own key names nobody."""

    api_key: ApiKeyText | None = None
    organization_id: OrganizationId | None = None
    project_id: ProjectId | None = None
    livemode: bool | None = None


class Sold(Named, frozen=True, kw_only=True):
    """What for: a `sku` of your own, an `operation` that is one, or `provider` and `model`."""

    sku: Name | None = None
    operation: Name | None = None
    provider: Name | None = None
    model: Name | None = None


class NewHoldIn(Sold, frozen=True, kw_only=True):
    request_id: RequestId | None = None
    estimate: Units | None = None
    max_amount: NonNegativeMoneyIn | None = None
    ttl_seconds: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    end_user: Name | None = None
    tags: Tags | None = None


class Report(Protocol):
    """What came of a call, for the usage record."""

    @property
    def usage(self) -> dict[str, int | Decimal]: ...
    @property
    def input(self) -> str | None: ...
    @property
    def thread_id(self) -> str | None: ...
    @property
    def end_user(self) -> str | None: ...
    @property
    def status(self) -> int: ...
    @property
    def tags(self) -> dict[str, str] | None: ...


class SettleIn(In, frozen=True, kw_only=True):
    usage: Units
    operation: Name | None = None
    input: str | None = None
    thread_id: Name | None = None
    end_user: Name | None = None
    status: Status = 200
    duration_ms: DurationMs | None = None
    tags: Tags | None = None
    error: ErrorText | None = None


class Reported(Sold, frozen=True, kw_only=True):
    usage: Units
    input: str | None = None
    thread_id: Name | None = None
    end_user: Name | None = None
    status: Status = 200
    duration_ms: DurationMs | None = None
    tags: Tags | None = None
    error: ErrorText | None = None


class ChargeIn(Reported, frozen=True, kw_only=True):
    request_id: RequestId | None = None


class EventIn(Reported, frozen=True, kw_only=True):
    id: RequestId
    source: Annotated[str, Meta(max_length=255)] = ""
    time: Moment | None = None


class EventData(Reported, frozen=True, kw_only=True):
    """The `data` of a CloudEvent."""


class CloudEvent(Struct, frozen=True, kw_only=True):
    """CloudEvents 1.0, structured. Its other attributes are for others to read."""

    specversion: Literal["1.0"]
    id: RequestId
    source: Annotated[str, Meta(min_length=1, max_length=255)]
    type: Name
    data: EventData
    time: Moment | None = None
    subject: Annotated[str, Meta(max_length=255)] | None = None


class EstimateIn(Sold, frozen=True, kw_only=True):
    usage: Units | None = None
    estimate: Units | None = None


class Out(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class HoldOut(Out, frozen=True, kw_only=True):
    """`amount` is of `currency`, that of the wallet it is held in."""

    id: str
    amount: Money
    currency: str
    expires_at: datetime


class ChargeOut(Out, frozen=True, kw_only=True, omit_defaults=True):
    """`balance` is what was left right after this charge. `late` is there, and true, when the hold
    had ended before it was settled."""

    cost: Money
    currency: str
    balance: Money
    usage_id: str
    late: bool = False


class VoidOut(Out, frozen=True, kw_only=True):
    id: str
    state: Literal["voided", "settled", "expired"]


class LineOut(Out, frozen=True, kw_only=True):
    """`amount` for `quantity` of `unit` at `price` for every `per`."""

    sku: str
    unit: str
    quantity: Any
    price: Money
    per: int
    amount: Money


class EstimateOut(Out, frozen=True, kw_only=True):
    cost: Money
    currency: str
    lines: list[LineOut]


class EventResult(Out, frozen=True, kw_only=True):
    id: str | None
    status: Literal["accepted", "duplicate", "rejected"]
    code: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class EventsOut(Out, frozen=True, kw_only=True):
    """One result for each event, in the order they came."""

    accepted: int
    duplicate: int
    rejected: int
    results: list[EventResult]


def documented(type_: type[Struct]) -> type[Struct]:
    """Make the type that the document shows in place of this one: the same but for quantities."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(type_):
        shown: Any = field.type
        if shown == Units:
            shown = _UnitsShown
        elif Units in get_args(shown):
            shown = Optional[_UnitsShown]  # noqa: UP045 (an alias has no | of its own)
        fields.append((field.name, shown, msgspec.field(default=field.default)))
    return msgspec.defstruct(
        type_.__name__, fields, kw_only=True, rename="camel", forbid_unknown_fields=True
    )
