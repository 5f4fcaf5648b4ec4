"""A processor knows its customer as the billing profile has them, and nothing else."""

from __future__ import annotations

import pytest
from banks import FakeBank
from selling import Seller, open_seller
from shops import Shop

from tollkeeper import profiles
from tollkeeper.base.ids import uuid7
from tollkeeper.credits.introducing import introduce, introduce_later
from tollkeeper.profiles import Address, Profile, TaxId

DUBLIN = Address(country="IE", line1="1 Main Street", city="Dublin")
IRISH = TaxId(type="eu_vat", value="IE6433435F")


@pytest.fixture
async def seller(shop: Shop) -> Seller:
    return await open_seller(shop)


async def know(seller: Seller, *tax_ids: TaxId) -> None:
    async with seller.shop.database.transaction() as tx:
        known = await profiles.amend_profile(
            tx, seller.org_id, DUBLIN, None, seller.shop.clock.now(), introduce_later
        )
        profile = Profile(
            org_id=known.org_id,
            name="Acme Ltd",
            kind=known.kind,
            address=known.address,
            tax_ids=tax_ids,
            emails=("pay@acme.test",),
            updated_at=seller.shop.clock.now(),
        )
        await profiles.write_profile(tx, profile)
    await introduce(seller.shop.till, seller.org_id)


async def told(seller: Seller) -> list[tuple[str, str]]:
    from tollkeeper.payments import customer_ref

    ref = await customer_ref(seller.shop.till, seller.org_id, livemode=False)
    listed = await seller.bank.processor.list_tax_ids(ref)
    return [(tax_id.type, tax_id.value) for tax_id in listed]


async def test_tax_ids_follow_the_profile(seller: Seller) -> None:
    await know(seller, IRISH)
    assert await told(seller) == [("eu_vat", "IE6433435F")]
    await introduce(seller.shop.till, seller.org_id)
    assert await told(seller) == [("eu_vat", "IE6433435F")]
    await seller.shop.wait(1)
    await know(seller)
    assert await told(seller) == []
    await seller.shop.wait(1)
    await know(seller, IRISH)
    assert await told(seller) == [("eu_vat", "IE6433435F")]


async def test_stripe_has_name_and_address(fake_shop: Shop, fake_bank: FakeBank) -> None:
    seller = await open_seller(fake_shop)
    await know(seller)
    (customer,) = [one for one in fake_bank.fake.state.all("customer") if one["name"] == "Acme Ltd"]
    assert customer["email"] == "pay@acme.test"
    assert (customer["address"]["country"], customer["address"]["city"]) == ("IE", "DUBLIN")


async def test_nothing_is_told_of_who_has_no_profile(seller: Seller) -> None:
    await introduce(seller.shop.till, uuid7())
