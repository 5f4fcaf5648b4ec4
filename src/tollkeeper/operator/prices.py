"""What an operator does to the price book: publish, and import from genai-prices."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from tollkeeper import pricing
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.db import Connection
from tollkeeper.operator.acts import Act, note
from tollkeeper.pricing import OWN, Book, Diff, PriceVersion

# The audit log names so many models; the price book itself names all.
_NAMED: Final = 20


async def publish_prices(
    tx: Connection, act: Act, versions: Sequence[PriceVersion], *, backdate: bool = False
) -> list[PriceVersion]:
    """Add versions to the book and return those that were new. Raises as `pricing.publish`."""
    added = await pricing.publish(tx, versions, act.who, act.at, backdate=backdate)
    if added:
        names = [f"{version.provider}/{version.model}" for version in added[:_NAMED]]
        await note(tx, act, "price.publish", None, versions=len(added), models=names)
    return added


def compare_with_library(book: Book, providers: Collection[str] | None, at: datetime) -> Diff:
    """Compare genai-prices with the book: what an import at that moment would change.

    Takes a fifth of a second of reading, so servers do it in a thread. Raises InvalidRequest for
    a provider that the library does not have.
    """
    try:
        imported = pricing.read_genai_prices(providers, read_on=at.date())
    except ValueError as error:
        raise InvalidRequest(f"providers: {error}", {"providers": [str(error)]}) from None
    known = [version for version in book if version.provider != OWN]
    return pricing.compare(book, pricing.with_limits(imported.versions, known), at)
