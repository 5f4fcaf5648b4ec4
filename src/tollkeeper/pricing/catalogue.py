"""The price files that come with Tollkeeper: what a fresh installation publishes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from tollkeeper.db import Connection
from tollkeeper.pricing.errors import InvalidPrices
from tollkeeper.pricing.model import PriceVersion
from tollkeeper.pricing.price_file import read_price_file
from tollkeeper.pricing.sanity import clashes_in
from tollkeeper.pricing.store import publish, read_revision

# In a wheel the files lie beside this one; in a checkout, at the root of the repository.
_PACKAGED: Final = Path(__file__).parent / "catalogue"
_CHECKOUT: Final = Path(__file__).parents[3] / "prices"
_EXAMPLE: Final = ".example.yaml"


def catalogue_dir() -> Path:
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def read_catalogue(directory: Path | None = None) -> tuple[PriceVersion, ...]:
    """Read every price file of a directory, examples excepted.

    Raises InvalidPrices with the faults of all files at once.
    """
    faults: dict[str, list[str]] = {}
    versions: list[PriceVersion] = []
    for path in _price_files(catalogue_dir() if directory is None else directory):
        try:
            versions += read_price_file(path.read_text("utf-8"), path.name)
        except InvalidPrices as error:
            faults.update(error.faults)
    for place, said in clashes_in(versions):
        faults.setdefault(place, []).append(said)
    if faults:
        raise InvalidPrices("\n".join(_sentences(faults)), faults)
    return tuple(versions)


async def install_catalogue(tx: Connection, by: str, at: datetime) -> list[PriceVersion]:
    """Publish the catalogue if the book is empty, and return what was published.

    A book with prices in it is its operator's: what a later catalogue says is compared with it
    and published by a person.
    """
    versions, _ = await read_revision(tx)
    return [] if versions else await publish(tx, read_catalogue(), by, at)


def _price_files(directory: Path) -> list[Path]:
    found = sorted(directory.glob("*.yaml"))
    return [path for path in found if not path.name.endswith(_EXAMPLE)]


def _sentences(faults: dict[str, list[str]]) -> Iterator[str]:
    for place, said in faults.items():
        yield f"{place} {'; '.join(said)}"
