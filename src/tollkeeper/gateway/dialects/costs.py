"""The cost in a body: exact decimals, under OpenRouter's names."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from tollkeeper.base.money import format_nanos
from tollkeeper.gateway.dialects.loose import members_of
from tollkeeper.gateway.dialects.model import ABSENT, Cost, Fields

# What other gateways and providers charged our operator: replaced or left out, because a
# customer who sums it with our cost pays twice in his books.
UPSTREAM_MONEY: Final = ("cost", "cost_details", "cost_in_usd_ticks", "estimated_cost", "is_byok")

_PRICED_IN: Final = "USD"


def money(nanos: int) -> Raw:
    return Raw(format_nanos(nanos).encode())


def put_cost(fields: Fields, cost: Cost, usage: Raw) -> Fields:
    """Set `cost` and `usage.cost`, `usage.cost_details` in an answer taken apart."""
    inside = {
        name: value for name, value in members_of(usage).items() if name not in UPSTREAM_MONEY
    }
    inside["cost"] = money(cost.nanos)
    inside["cost_details"] = details(cost)
    return {**fields, "usage": Raw(msgspec.json.encode(inside)), "cost": money(cost.nanos)}


def without_upstream_money(fields: Fields) -> Fields:
    """Leave out of an answer's usage what its provider charged the operator."""
    usage = {
        name: value
        for name, value in members_of(fields["usage"]).items()
        if name not in UPSTREAM_MONEY
    }
    return {**fields, "usage": Raw(msgspec.json.encode(usage))}


def details(cost: Cost) -> Raw:
    upstream = cost.upstream_nanos
    said: dict[str, object] = {
        "upstream_inference_cost": None if upstream is None else money(upstream),
        "upstream_inference_prompt_cost": money(cost.input_nanos),
        "upstream_inference_completions_cost": money(cost.output_nanos),
    }
    if cost.currency != _PRICED_IN:
        said["currency"] = cost.currency
        said["deducted"] = money(cost.deducted_nanos)
    return Raw(msgspec.json.encode(said))


def has_object(raw: Raw | None) -> bool:
    return raw is not None and raw is not ABSENT and bytes(memoryview(raw)[:1]) == b"{"
