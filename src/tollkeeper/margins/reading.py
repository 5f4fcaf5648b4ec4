"""Providers' exports of what they charge, read into days: OpenAI's, Anthropic's, or a plain table.

Shapes: `/v1/organization/costs` and `/v1/organization/usage/…` of OpenAI, `cost_report` and
`usage_report/messages` of Anthropic's admin API, as answered in November 2026.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.money import MAX_NANOS, NANOS_PER_UNIT
from tollkeeper.margins.model import Bucket, Measure

OPENAI: Final = "openai"
ANTHROPIC: Final = "anthropic"

_NANOS_PER_CENT: Final = NANOS_PER_UNIT // 100
_MOST_FAULTS: Final = 20
_LONGEST_NAME: Final = 256
_OF_OPENAI: Final = re.compile(rb'"start_time"')
_COLUMNS: Final = ("date", "model", "cost")

P = TypeVar("P", bound=Struct)
# Provider, day, measure, model, amount: any number of them for the same bucket.
Said = tuple[str, date, Measure, str, int]


class _Amount(Struct):
    value: Decimal
    currency: str


class _OpenAiResult(Struct):
    """Of costs it has `amount`, of usage the tokens; cached ones are among the input."""

    amount: _Amount | None = None
    line_item: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class _OpenAiBucket(Struct):
    start_time: int
    results: list[_OpenAiResult]


class _OpenAiPage(Struct):
    data: list[_OpenAiBucket]


class _CacheCreation(Struct):
    ephemeral_1h_input_tokens: int = 0
    ephemeral_5m_input_tokens: int = 0


class _AnthropicResult(Struct):
    """Of costs it has `amount`, in cents; of usage the tokens, each kind apart."""

    amount: Decimal | None = None
    currency: str = "USD"
    model: str | None = None
    uncached_input_tokens: int | None = None
    cache_read_input_tokens: int = 0
    cache_creation: _CacheCreation | None = None
    output_tokens: int = 0


class _AnthropicBucket(Struct):
    starting_at: datetime
    results: list[_AnthropicResult]


class _AnthropicPage(Struct):
    data: list[_AnthropicBucket]


def read_export(content: bytes, provider: str | None = None) -> list[Bucket]:
    """Read one export: an answer of either API, a list of its pages, or CSV with the columns date,
    model, cost (USD), and perhaps provider and tokens.

    `provider` is its name in our price book; unset, `openai`, `anthropic`, or what each row says.
    Raises InvalidRequest with every fault.
    """
    try:
        if content.lstrip()[:1] not in (b"{", b"["):
            return _sums(_read_table(content, provider))
        if _OF_OPENAI.search(content):
            return _sums(_of_openai(_pages(content, _OpenAiPage), provider or OPENAI))
        return _sums(_of_anthropic(_pages(content, _AnthropicPage), provider or ANTHROPIC))
    except (ValueError, OverflowError, OSError) as why:  # a moment or an amount beyond all bounds
        raise _invalid([str(why)]) from None


def _pages(content: bytes, kind: type[P]) -> Sequence[P]:
    try:
        if content.lstrip().startswith(b"["):
            return msgspec.json.decode(content, type=list[kind])
        return [msgspec.json.decode(content, type=kind)]
    except msgspec.DecodeError as why:
        raise _invalid([str(why)]) from None


def _of_openai(pages: Iterable[_OpenAiPage], provider: str) -> Iterator[Said]:
    buckets = [bucket for page in pages for bucket in page.data]
    told = [result for bucket in buckets for result in bucket.results]
    costs = any(result.amount is not None for result in told)
    measure = Measure.COST if costs or not told else Measure.TOKENS
    for bucket in buckets:
        day = datetime.fromtimestamp(bucket.start_time, UTC).date()
        yield provider, day, measure, "", 0
        for result in bucket.results:
            if result.amount is not None:
                _check_dollars(result.amount.currency)
                # A line item is a model and what of it, such as `gpt-5-2025-08-07, input`.
                model = (result.line_item or "").partition(", ")[0]
                yield provider, day, measure, model, _nanos(result.amount.value, NANOS_PER_UNIT)
            elif not costs:
                tokens = (result.input_tokens or 0) + (result.output_tokens or 0)
                yield provider, day, measure, result.model or "", tokens


def _of_anthropic(pages: Iterable[_AnthropicPage], provider: str) -> Iterator[Said]:
    buckets = [bucket for page in pages for bucket in page.data]
    told = [result for bucket in buckets for result in bucket.results]
    costs = any(result.amount is not None for result in told)
    measure = Measure.COST if costs or not told else Measure.TOKENS
    for bucket in buckets:
        day = bucket.starting_at.astimezone(UTC).date()
        yield provider, day, measure, "", 0
        for result in bucket.results:
            if result.amount is not None:
                _check_dollars(result.currency)
                amount = _nanos(result.amount, _NANOS_PER_CENT)
                yield provider, day, measure, result.model or "", amount
            elif not costs:
                yield provider, day, measure, result.model or "", _tokens(result)


def _tokens(result: _AnthropicResult) -> int:
    kept = result.cache_creation or _CacheCreation()
    return (
        (result.uncached_input_tokens or 0)
        + result.cache_read_input_tokens
        + kept.ephemeral_1h_input_tokens
        + kept.ephemeral_5m_input_tokens
        + result.output_tokens
    )


def _read_table(content: bytes, provider: str | None) -> list[Said]:
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        columns, rows = reader.fieldnames or (), list(reader)
    except (UnicodeDecodeError, csv.Error) as why:
        raise _invalid([f"is neither JSON nor CSV in UTF-8: {why}"]) from None
    needed = [*_COLUMNS, *(["provider"] if provider is None else [])]
    missing = [column for column in needed if column not in columns]
    if missing:
        raise _invalid([f"has no column {column}" for column in missing])
    said: list[Said] = []
    faults: list[str] = []
    for number, row in enumerate(rows, 2):
        try:
            said += _read_row(row, provider)
        except ValueError as why:
            faults.append(f"line {number}: {why}")
    if faults:
        raise _invalid(faults[:_MOST_FAULTS])
    return said


def _read_row(row: Mapping[str, str | None], provider: str | None) -> Iterator[Said]:
    named = row.get("provider") or provider
    if not named:
        raise ValueError("provider is missing")
    day = date.fromisoformat(row["date"] or "")
    model = row["model"] or ""
    cost, tokens = row["cost"] or "", row.get("tokens")
    try:
        yield named, day, Measure.COST, model, _nanos(Decimal(cost), NANOS_PER_UNIT)
        if tokens:
            yield named, day, Measure.TOKENS, model, int(tokens)
    except InvalidOperation:
        raise ValueError(f"{cost!r} is no amount") from None


def _sums(said: Iterable[Said]) -> list[Bucket]:
    sums: dict[tuple[str, date, Measure, str], int] = defaultdict(int)
    for provider, day, measure, model, amount in said:
        sums[_storable(provider), day, measure, _storable(model)] += amount
    if not sums:
        raise _invalid(["has no day in it"])
    if any(abs(amount) > MAX_NANOS for amount in sums.values()):
        raise _invalid(["has an amount that is too large"])
    return [
        Bucket(provider=provider, day=day, measure=measure, model=model, amount=amount)
        for (provider, day, measure, model), amount in sorted(sums.items())
    ]


def _storable(name: str) -> str:
    return name.replace("\0", "")[:_LONGEST_NAME]


def _nanos(amount: Decimal, per: int) -> int:
    if not amount.is_finite() or amount.adjusted() > len(str(MAX_NANOS)):
        raise ValueError(f"{amount} is no amount")
    return int((amount * per).to_integral_value(ROUND_HALF_UP))


def _check_dollars(currency: str) -> None:
    if currency.upper() != "USD":
        raise _invalid([f"is in {currency}, not in USD"])


def _invalid(sentences: list[str]) -> InvalidRequest:
    return InvalidRequest(f"content: {'; '.join(sentences[:3])}", {"content": sentences})
