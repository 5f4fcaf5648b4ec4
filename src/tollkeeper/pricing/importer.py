"""Prices from outside, on their way to a person who looks at them and publishes them.

`read_genai_prices` → `compare` with the book → `Diff.to_publish` → `publish`; or, for the files
that come with Tollkeeper, → `write_price_files`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path

from tollkeeper.pricing.content import seal
from tollkeeper.pricing.imported import Imported
from tollkeeper.pricing.model import PriceVersion
from tollkeeper.pricing.price_writer import write_price_file


def read_genai_prices(providers: Collection[str] | None = None, *, read_on: date) -> Imported:
    """Read the installed genai-prices library, past and announced prices included. No network.

    `providers` are our names for them; None means all. `read_on` becomes `checked_on`. Raises
    ValueError for a provider that the library does not have.
    """
    # It costs 40 MB and a fifth of a second, and only an import needs it.
    from tollkeeper.pricing.genai_source import read_library

    return read_library(providers, read_on)


def with_limits(
    versions: Iterable[PriceVersion], known: Iterable[PriceVersion]
) -> tuple[PriceVersion, ...]:
    """Fill in token limits that the source does not give from versions that have them."""
    newest: dict[tuple[str, str], PriceVersion] = {}
    for version in sorted(known, key=lambda version: version.effective_from):
        newest[version.provider, version.model] = version
    return tuple(
        _filled(version, newest.get((version.provider, version.model))) for version in versions
    )


def _filled(version: PriceVersion, known: PriceVersion | None) -> PriceVersion:
    if known is None:
        return version
    return seal(
        replace(
            version,
            context=version.context or known.context,
            max_input_tokens=version.max_input_tokens or known.max_input_tokens,
            max_output_tokens=version.max_output_tokens or known.max_output_tokens,
        )
    )


def write_price_files(
    versions: Iterable[PriceVersion], directory: Path, heading: str = ""
) -> list[Path]:
    """Write `<provider>.yaml` for each provider, replacing what is there."""
    by_provider: dict[str, list[PriceVersion]] = defaultdict(list)
    for version in versions:
        by_provider[version.provider].append(version)
    written: list[Path] = []
    for provider, group in sorted(by_provider.items()):
        path = directory / f"{provider}.yaml"
        path.write_text(write_price_file(group, heading), "utf-8")
        written.append(path)
    return written
