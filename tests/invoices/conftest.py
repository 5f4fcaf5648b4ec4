from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tollkeeper.base.settings import Invoices, Seller, Settings
from tollkeeper.invoices import Typesetter
from whole import Customer, Whole, whole_served

SELLER = Seller(
    name="Harbourlight AI GmbH",
    address=["Speicherstraße 12", "20457 Hamburg", "Germany"],
    country="DE",
    tax_ids=["VAT ID DE123456789"],
    email="billing@harbourlight.example",
    register="Amtsgericht Hamburg HRB 123456",
)


@pytest.fixture(scope="session")
def typesetter() -> Iterator[Typesetter]:
    with Typesetter.open() as setter:
        yield setter


@pytest.fixture
async def whole(database_url: str) -> AsyncIterator[Whole]:
    settings = Settings(seller=SELLER, invoices=Invoices(footer="Thank you."))
    async with whole_served(database_url, settings) as served:
        yield served


@pytest.fixture
async def customer(whole: Whole) -> Customer:
    return await whole.customer()
