"""Price versions written the way a person would write them; price_file.py reads them back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from tollkeeper.base.money import format_nanos
from tollkeeper.pricing import units
from tollkeeper.pricing.model import PriceVersion, Rate, Rates
from tollkeeper.pricing.price_file import ALWAYS

_WIDTH: Final = 100
_PLAIN_SCALAR: Final = re.compile(r"[A-Za-z](?:[\w./@-]|:(?=\w))*")
_YAML_WORDS: Final = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}


def write_price_file(versions: Iterable[PriceVersion], heading: str = "") -> str:
    """Write the versions of one provider; reading the text gives the same versions, ids too.

    Raises ValueError when they are not of one provider, or name no source.
    """
    ordered = sorted(versions, key=lambda version: (version.model, version.effective_from))
    providers = {version.provider for version in ordered}
    if len(providers) != 1:
        raise ValueError(f"A price file is for one provider, not {sorted(providers)}")
    first = ordered[0]
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    lines += [f"provider: {_scalar(first.provider)}", f"source: {_scalar(first.source)}"]
    if first.checked_on:
        lines.append(f"checked_on: {first.checked_on}")
    lines.append("models:")
    for _, group in groupby(ordered, key=lambda version: version.model):
        lines += _model_lines([*group], first)
    return "\n".join(lines) + "\n"


def _model_lines(versions: list[PriceVersion], first: PriceVersion) -> Iterator[str]:
    newest = versions[-1]
    yield f"  {_scalar(newest.model)}:"
    if newest.aliases:
        yield f"    aliases: [{', '.join(_scalar(alias) for alias in newest.aliases)}]"
    for name in ("context", "max_input_tokens", "max_output_tokens"):
        if getattr(newest, name) is not None:
            yield f"    {name}: {getattr(newest, name)}"
    if newest.source != first.source:
        yield f"    source: {_scalar(newest.source)}"
    if newest.checked_on and newest.checked_on != first.checked_on:
        yield f"    checked_on: {newest.checked_on}"
    yield "    prices:"
    for version in versions:
        yield from _version_lines(version)


def _version_lines(version: PriceVersion) -> Iterator[str]:
    yield f"      - from: {_show_moment(version.effective_from)}"
    if version.note:
        yield f"        note: {_scalar(version.note)}"
    if version.ended:
        yield "        ended: true"
    if version.rates:
        yield from _rates_lines(" " * 8, "rates", version.rates)
    if version.service_tiers:
        yield "        service_tiers:"
    for tier, rates in version.service_tiers.items():
        yield from _rates_lines(" " * 10, _scalar(tier), rates)


def _rates_lines(indent: str, name: str, rates: Rates) -> Iterator[str]:
    shown = [f"{unit}: {_show_rate(unit, rates[unit])}" for unit in sorted(rates, key=units.rank)]
    line = f"{indent}{name}: {{{', '.join(shown)}}}"
    if len(line) <= _WIDTH:
        yield line
        return
    yield f"{indent}{name}:"
    yield from (f"{indent}  {rate}" for rate in shown)


def _show_rate(unit: str, rate: Rate) -> str:
    if rate.per == units.usual_per(unit) and not rate.above:
        return format_nanos(rate.price_nanos)
    shown = [f"price: {format_nanos(rate.price_nanos)}"]
    if rate.per != units.usual_per(unit):
        shown.append(f"per: {rate.per}")
    if rate.above:
        cliffs = ", ".join(f"{start}: {format_nanos(price)}" for start, price in rate.above)
        shown.append(f"above: {{{cliffs}}}")
    return "{" + ", ".join(shown) + "}"


def _show_moment(moment: datetime) -> str:
    if moment == ALWAYS:
        return "always"
    moment = moment.astimezone(UTC)
    if moment == moment.replace(hour=0, minute=0, second=0, microsecond=0):
        return moment.date().isoformat()
    return moment.isoformat()


def _scalar(text: str) -> str:
    if _PLAIN_SCALAR.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
