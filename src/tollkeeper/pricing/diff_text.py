"""A diff of prices as text for a person and as JSON for a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast

from tollkeeper.base.money import format_nanos
from tollkeeper.pricing import units
from tollkeeper.pricing.content import rates_to_json
from tollkeeper.pricing.diff import Change, Diff, Kind
from tollkeeper.pricing.model import PriceVersion, Rate, Rates

_MARKS: Final[Mapping[Kind, str]] = {"new": "+", "changed": "~", "announced": "@", "missing": "-"}
_NONE: Final[Rates] = {}
_NO_TIERS: Final[Mapping[str, Rates]] = {}


def render_diff(diff: Diff, show: Callable[[Rate], str] | None = None) -> str:
    """Write a count, then for each model one line and one for each price that differs.
    `show` writes a rate where it is not to be `show_rate`."""
    show = show or show_rate
    counts = [f"{diff.count(kind)} {kind}" for kind in _MARKS]
    lines = [", ".join([*counts, f"{diff.unchanged} unchanged"])]
    for change in diff.changes:
        lines += _change_lines(change, show)
    return "\n".join(lines)


def diff_to_json(diff: Diff) -> dict[str, Any]:
    return {
        "at": diff.at.isoformat(),
        **{kind: diff.count(kind) for kind in _MARKS},
        "unchanged": diff.unchanged,
        "changes": [_change_json(change) for change in diff.changes],
    }


def _change_lines(change: Change, show: Callable[[Rate], str]) -> Iterator[str]:
    version = change.version
    said = {
        "announced": f" from {version.effective_from.date()}",
        "missing": " is no longer in the source",
    }.get(change.kind, "")
    yield f"{_MARKS[change.kind]} {version.provider}/{version.model}{said}"
    if change.kind == "missing":
        return
    before = change.before
    yield from _rate_lines("", _NONE if before is None else before.rates, version.rates, show)
    tiers_before = _NO_TIERS if before is None else before.service_tiers
    for tier in sorted({*tiers_before, *version.service_tiers}):
        old, new = tiers_before.get(tier, _NONE), version.service_tiers.get(tier, _NONE)
        yield from _rate_lines(f"{tier} ", old, new, show)
    for name in ("aliases", "context", "max_input_tokens", "max_output_tokens", "ended"):
        old, new = getattr(before, name, None), getattr(version, name)
        if before is not None and old != new:
            yield f"    {name} {_plain(old)} -> {_plain(new)}"


def _rate_lines(
    tier: str, before: Rates, after: Rates, show: Callable[[Rate], str]
) -> Iterator[str]:
    for unit in sorted({*before, *after}, key=units.rank):
        old, new = before.get(unit), after.get(unit)
        if old is None and new is not None:
            yield f"    {tier}{unit} {show(new)}"
        elif old is not None and new is None:
            yield f"    {tier}{unit} {show(old)} -> no price"
        elif old is not None and new is not None and old != new:
            yield f"    {tier}{unit} {show(old)} -> {show(new)}{_percent(old, new)}"


def show_rate(rate: Rate) -> str:
    """Write a rate for a person: `2.5 per 1000000, above 272000 input tokens 5`."""
    per = "" if rate.per == 1 else f" per {rate.per}"
    cliffs = (f", above {start} input tokens {format_nanos(at)}" for start, at in rate.above)
    return f"{format_nanos(rate.price_nanos)}{per}{''.join(cliffs)}"


def _percent(old: Rate, new: Rate) -> str:
    was, now = old.price_nanos * new.per, new.price_nanos * old.per
    if not was or was == now:
        return ""
    tenths = (now - was) * 1000 // was
    return f" ({'+' if tenths > 0 else '-'}{abs(tenths) // 10}.{abs(tenths) % 10} %)"


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(cast("tuple[str, ...]", value)) or "none"
    return "none" if value is None else str(value)


def _change_json(change: Change) -> dict[str, Any]:
    missing = change.kind == "missing"
    return {
        "kind": change.kind,
        "provider": change.version.provider,
        "model": change.version.model,
        "before": _version_json(change.version if missing else change.before),
        "after": _version_json(None if missing else change.version),
    }


def _version_json(version: PriceVersion | None) -> dict[str, Any] | None:
    if version is None:
        return None
    return {
        "effectiveFrom": version.effective_from.isoformat(),
        "rates": rates_to_json(version.rates),
        "serviceTiers": {t: rates_to_json(rates) for t, rates in version.service_tiers.items()},
        "source": version.source,
        "ended": version.ended,
    }
