"""One row per SKU line of a call, in the shape of Venice's billing usage (V1, V4)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct

from tollkeeper.base.ids import show_id
from tollkeeper.base.money import NANOS_PER_UNIT, Money, divide_half_up
from tollkeeper.metering.billing.store import LinesRow
from tollkeeper.metering.billing.windows import Lines
from tollkeeper.pricing import INPUT_TOKENS, OUTPUT_TOKENS, OWN, TOKENS, Quantity

# sku, unit, quantity, per, price, list price, amount: as `pricing.to_record` writes them.
Line = tuple[str, str, int | str, int, int, int, int]


class Rated(Struct, frozen=True):
    """What a record's rating says that a row needs."""

    lines: list[Line]
    usage: dict[str, int | str]


class InferenceDetails(Struct, frozen=True, kw_only=True, rename="camel"):
    """The call behind the row; all rows of one call say the same. Tokens only where there are."""

    request_id: str
    inference_execution_time: int | None
    prompt_tokens: int | None
    completion_tokens: int | None


class UsageRow(Struct, frozen=True, kw_only=True, rename="camel"):
    """One SKU of one call. `amount` is negative; `units` are in the SKU's unit, such as millions
    of tokens."""

    timestamp: datetime
    sku: str
    units: Money  # a plain decimal, as money is
    price_per_unit_usd: Money
    amount: Money
    currency: str
    notes: str
    inference_details: InferenceDetails | None


COLUMNS: Final = (
    "timestamp",
    "sku",
    "units",
    "pricePerUnitUsd",
    "amount",
    "currency",
    "notes",
    "inferenceDetails.requestId",
    "inferenceDetails.inferenceExecutionTime",
    "inferenceDetails.promptTokens",
    "inferenceDetails.completionTokens",
)

_decode: Final = msgspec.json.Decoder(Rated).decode


def rows_of(found: Iterable[Lines]) -> list[UsageRow]:
    return [row for lines in found for row in _rows(lines)]


def cells_of(row: UsageRow) -> Sequence[object]:
    """Lay a row out in `COLUMNS`."""
    details = row.inference_details
    said = (
        (None, None, None, None)
        if details is None
        else (
            details.request_id,
            details.inference_execution_time,
            details.prompt_tokens,
            details.completion_tokens,
        )
    )
    return (
        row.timestamp,
        row.sku,
        row.units,
        row.price_per_unit_usd,
        row.amount,
        row.currency,
        row.notes,
        *said,
    )


def _rows(lines: Lines) -> Iterable[UsageRow]:
    row = lines.row
    rated = _decode(row.rating)
    details = _details(row, rated)
    notes = _notes(row)
    for place in lines.places:
        sku, _, quantity, per, price, _, amount = rated.lines[place]
        yield UsageRow(
            timestamp=row.recorded_at,
            sku=sku,
            units=Money(_units(quantity, per)),
            price_per_unit_usd=Money(price),
            amount=Money(-amount),
            currency=lines.head.currency,
            notes=notes,
            inference_details=details,
        )


def _details(row: LinesRow, rated: Rated) -> InferenceDetails | None:
    prompt = _tokens(rated, INPUT_TOKENS)
    completion = _tokens(rated, OUTPUT_TOKENS)
    if row.request_id is None and row.duration_ms is None and prompt is completion is None:
        return None
    return InferenceDetails(
        request_id=row.request_id or show_id("use", row.usage_id),
        inference_execution_time=row.duration_ms,
        prompt_tokens=prompt,
        completion_tokens=completion,
    )


def _tokens(rated: Rated, kinds: Container[str]) -> int | None:
    """Sum the tokens of one direction. None for a call that has none in either."""
    if not any(unit in TOKENS for unit in rated.usage):
        return None
    return int(sum(Decimal(quantity) for unit, quantity in rated.usage.items() if unit in kinds))


def _units(quantity: int | str, per: int) -> int:
    exact: Quantity = quantity if isinstance(quantity, int) else Decimal(quantity)
    top, bottom = exact.as_integer_ratio()
    return divide_half_up(top * NANOS_PER_UNIT, bottom * per)


def _notes(row: LinesRow) -> str:
    if row.notes is not None:
        return row.notes
    return "API Inference" if row.provider != OWN else row.operation or "API usage"
