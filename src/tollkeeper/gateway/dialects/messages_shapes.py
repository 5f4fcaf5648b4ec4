"""What the reader of messages and their stream meter share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct


class _Served(Struct):
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None


def served_tier(usage: Raw | bytes | None, asked: str | None) -> str | None:
    """Name the tier that served, from the usage object, as the price book names it.

    A region counts only where it was asked for: the workspace's own is the operator's choice.
    """
    if usage is None:
        return None
    try:
        served = msgspec.json.decode(usage, type=_Served)
    except msgspec.ValidationError:
        return None
    if served.speed not in (None, "standard"):
        return served.speed
    if served.inference_geo is not None and asked == f"inference_geo_{served.inference_geo}":
        return asked
    return served.service_tier


def shown_usage(usage: Mapping[str, int]) -> dict[str, Any]:
    """Write buckets as a usage object, where the provider wrote none."""
    return {
        "input_tokens": usage.get("input", 0),
        "cache_creation_input_tokens": usage.get("cache_write", 0) + usage.get("cache_write_1h", 0),
        "cache_read_input_tokens": usage.get("cache_read", 0),
        "output_tokens": usage.get("output", 0) + usage.get("reasoning", 0),
    }
