"""What a usage record says: who called for what, what came of it, how the cost was worked out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from tollkeeper import pricing
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.ids import named_uuid, uuid7
from tollkeeper.base.money import NANOS_PER_UNIT
from tollkeeper.ledger import Draw, NewCharge
from tollkeeper.limits import Facts
from tollkeeper.metering.covering import Drawn
from tollkeeper.metering.paying import USD, Purse
from tollkeeper.metering.worth import convert_rating
from tollkeeper.pricing import Rating

Source = Literal["provider", "partial", "estimated", "reported", "none"]

# A record can be looked up by these, and an index takes only so much; the rest keeps rows small.
LONGEST_NAME: Final = 256
LONGEST_ERROR: Final = 1000
_FINGERPRINT_BYTES: Final = 8

_encode: Final = msgspec.json.Encoder().encode
# The hook is for amounts, which are integers of a class of their own.
_encode_sorted: Final = msgspec.json.Encoder(order="sorted", enc_hook=int).encode
_ESCAPE: Final = re.compile(rb"\\(u0000|.)")


@dataclass(frozen=True, slots=True)
class Previews:
    """How much of what was sent is kept: `chars` characters, or nothing when switched off."""

    kept: bool = True
    chars: int = 200

    def of(self, text: str | None) -> str | None:
        return text[: self.chars] if self.kept and text else None


class Call(Struct, frozen=True, kw_only=True):
    """One call: whose it is and what it is for. Known before it is made.

    `usage_id` is the id of its record and of its hold; see `usage_id_of`. `operation` is what
    customers read as API type; `input` is a preview of what was sent, cut by `Previews`. The
    wallet is the one that pays; `paid_from` changes it with what belongs to it.
    """

    org_id: UUID
    wallet_id: UUID
    usage_id: UUID
    started_at: datetime
    livemode: bool = True
    currency: str = USD
    usd_value: int = NANOS_PER_UNIT
    operation: str | None = None
    hold_id: UUID | None = None
    fingerprint: int | None = None
    project_id: UUID | None = None
    key_id: UUID | None = None
    member_id: UUID | None = None
    request_id: str | None = None
    provider: str | None = None
    model: str | None = None
    thread_id: str | None = None
    end_user: str | None = None
    tags: Mapping[str, str] | None = None
    input: str | None = None


class Detail(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The `detail` column of a usage record. `rating` is as `pricing.to_record` writes it.

    Where the wallet is not one of dollars, `currency` is there, and what one unit of it was worth
    in nanos of USD; the amounts of the rating are then of that currency, its prices of dollars.
    `allowances` is written by the statement that charges: what they paid is not in the rating.
    """

    rating: dict[str, Any] | None = None
    currency: str = USD
    usd_value: int = NANOS_PER_UNIT
    allowances: tuple[Drawn, ...] = ()
    input: str | None = None
    end_user: str | None = None
    tags: Mapping[str, str] | None = None
    usage: Any = None  # as the provider or the reporter said it
    response_id: str | None = None
    error: str | None = None
    notes: str | None = None


def facts_of(call: Call) -> Facts:
    """Give what limits ask of a call."""
    return Facts(
        org_id=call.org_id,
        livemode=call.livemode,
        project_id=call.project_id,
        key_id=call.key_id,
        member_id=call.member_id,
        end_user=call.end_user,
        provider=call.provider,
        model=call.model,
        tags=call.tags,
    )


def paid_from(call: Call, purse: Purse) -> Call:
    """Give the call as this wallet pays for it."""
    return replace(
        call, wallet_id=purse.wallet_id, currency=purse.currency, usd_value=purse.usd_value
    )


def usage_id_of(
    org_id: UUID, request_id: str | None, *, livemode: bool, by_customer: bool = False
) -> UUID:
    """Return the id of a call's record: one request id is one charge, for each `names_of`."""
    if request_id is None:
        return uuid7()
    return named_uuid(org_id, f"{names_of(livemode, by_customer)}/request/{request_id}")


def names_of(livemode: bool, by_customer: bool) -> str:
    """Say among which names an id is unique: in test and live each, and what a customer reports
    with a key of its own takes no name from what the operator reports."""
    mode = "live" if livemode else "test"
    return f"{mode}/customer" if by_customer else mode


def fingerprint_of(content: object) -> int:
    """Reduce a request to the number by which another under the same id is told from it."""
    digest = blake2b(_encode_sorted(content), digest_size=_FINGERPRINT_BYTES).digest()
    return int.from_bytes(digest, signed=True)


def new_charge(
    call: Call,
    rating: Rating,
    *,
    status: int = 200,
    source: Source = "provider",
    duration_ms: int | None = None,
    usage: object = None,
    response_id: str | None = None,
    error: str | None = None,
    notes: str | None = None,
) -> NewCharge:
    """Make the charge of a call that was answered, wholly or in part. `rating` is in dollars.

    `usage` is what the provider said (a JSON value, or Raw), kept beside what was rated.
    """
    rating = convert_rating(rating, call.usd_value)
    detail = Detail(
        rating=pricing.to_record(rating),
        currency=call.currency,
        usd_value=call.usd_value,
        input=call.input,
        end_user=_short(call.end_user),
        tags=call.tags or None,
        usage=_known(usage),
        response_id=_short(response_id),
        error=_short(error, LONGEST_ERROR),
        notes=notes,
    )
    return NewCharge(
        org_id=call.org_id,
        wallet_id=call.wallet_id,
        usage_id=call.usage_id,
        hold_id=call.hold_id,
        fingerprint=call.fingerprint,
        amount=rating.cost_nanos,
        lines=len(rating.lines),
        started_at=call.started_at,
        duration_ms=duration_ms,
        status=status,
        source=source,
        project_id=call.project_id,
        key_id=call.key_id,
        request_id=_short(call.request_id),
        provider=_short(call.provider),
        model=_short(call.model),
        operation=_short(call.operation),
        thread_id=_short(call.thread_id),
        detail=_storable(detail),
    )


def drawing(charge: NewCharge, draws: tuple[Draw, ...]) -> NewCharge:
    """Give the charge with what it takes of limits and allowances."""
    return replace(charge, draws=draws) if draws else charge


def failed_call(
    call: Call, *, status: int, error: str, duration_ms: int | None = None
) -> NewCharge:
    """Make the record of a call that cost nothing: refused, or failed before any output.

    It has an id of its own, so that the same request may be made again, and leaves the hold to
    be voided.
    """
    detail = Detail(
        currency=call.currency,
        usd_value=call.usd_value,
        input=call.input,
        end_user=_short(call.end_user),
        tags=call.tags or None,
        error=_short(error, LONGEST_ERROR),
    )
    return NewCharge(
        org_id=call.org_id,
        wallet_id=call.wallet_id,
        usage_id=uuid7(),
        amount=0,
        lines=0,
        started_at=call.started_at,
        duration_ms=duration_ms,
        status=status,
        source="none",
        project_id=call.project_id,
        key_id=call.key_id,
        request_id=_short(call.request_id),
        provider=_short(call.provider),
        model=_short(call.model),
        operation=_short(call.operation),
        thread_id=_short(call.thread_id),
        detail=_storable(detail),
    )


def refused_call(call: Call, refusal: TollkeeperError) -> NewCharge:
    """Make the record of a call that was refused: it tells the customer why nothing happened."""
    error = f"{refusal.code}: {refusal.detail}"
    return failed_call(call, status=refusal.status, error=error)


def _short(text: str | None, longest: int = LONGEST_NAME) -> str | None:
    """Cut, and without NUL, which PostgreSQL has no place for."""
    if text is None or (len(text) <= longest and "\0" not in text):
        return text
    return text.replace("\0", "")[:longest]


def _known(usage: object) -> object:
    """Read a provider's own words, so that no number in them is beyond what a column takes."""
    if not isinstance(usage, Raw):
        return usage
    try:
        return msgspec.json.decode(usage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _storable(detail: Detail) -> Raw:
    encoded = _encode(detail)
    if b"\\u0000" in encoded:
        # Escape by escape, or the end of an escaped backslash would look like the start of one.
        encoded = _ESCAPE.sub(lambda found: b"" if found[1] == b"u0000" else found[0], encoded)
    return Raw(encoded)
