"""A price version as plain JSON, and the id that follows from what it says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from typing import Any, Final
from uuid import UUID

from tollkeeper.base.ids import named_uuid
from tollkeeper.pricing.model import PriceVersion, Rate, Rates

_SCOPE: Final = UUID("0193a1f0-5d3b-7b3a-9c5e-70726963655f")


def seal(version: PriceVersion) -> PriceVersion:
    """Give a version the id that its content makes: the same prices, the same id, everywhere."""
    return replace(version, id=named_uuid(_SCOPE, content_hash(version).hex()))


def content_hash(version: PriceVersion) -> bytes:
    text = json.dumps(to_content(version), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def to_content(version: PriceVersion) -> dict[str, Any]:
    return {
        "provider": version.provider,
        "model": version.model,
        "effective_from": version.effective_from.astimezone(UTC).isoformat(),
        "rates": rates_to_json(version.rates),
        "service_tiers": {
            tier: rates_to_json(rates) for tier, rates in version.service_tiers.items()
        },
        "aliases": list(version.aliases),
        "context": version.context,
        "max_input_tokens": version.max_input_tokens,
        "max_output_tokens": version.max_output_tokens,
        "source": version.source,
        "checked_on": version.checked_on.isoformat() if version.checked_on else None,
        "note": version.note,
        "ended": version.ended,
    }


def rates_to_json(rates: Rates) -> dict[str, Any]:
    """Write rates as `{unit: [price_nanos, per, [[above, price_nanos], …]]}`."""
    return {
        unit: [rate.price_nanos, rate.per, [list(cliff) for cliff in rate.above]]
        for unit, rate in rates.items()
    }


def rates_from_json(rates: Mapping[str, Any]) -> dict[str, Rate]:
    return {
        unit: Rate(price, per, tuple((start, beyond) for start, beyond in above))
        for unit, (price, per, above) in rates.items()
    }


def same_terms(one: PriceVersion, other: PriceVersion) -> bool:
    """Tell whether they sell alike, wherever the prices are said to come from."""
    return _terms(one) == _terms(other)


def _terms(version: PriceVersion) -> tuple[object, ...]:
    return (
        version.rates,
        version.service_tiers,
        frozenset(version.aliases),
        version.context,
        version.max_input_tokens,
        version.max_output_tokens,
        version.ended,
    )
