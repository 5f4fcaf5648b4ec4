"""The processor is told who its customer is, whenever the billing profile changes."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from tollkeeper import payments, profiles
from tollkeeper.base.ids import named_uuid
from tollkeeper.db import Connection
from tollkeeper.jobs import Handler, Task, enqueue
from tollkeeper.payments import Till
from tollkeeper.payments.processors import Address, CustomerDetails, Processor
from tollkeeper.profiles import Profile

INTRODUCE: Final = Task("tell_processor_of_profile")


async def introduce_later(tx: Connection, profile: Profile) -> None:
    """Add the job that tells each processor; it commits with the profile."""
    org = str(profile.org_id)
    await enqueue(tx, INTRODUCE, once=f"profile/{org}", org_id=org)


async def introduce(till: Till, org_id: UUID) -> None:
    """Tell each processor the name, address, mail and tax ids as they are now. Safe to repeat."""
    async with till.database.connection() as connection:
        profile = await profiles.read_profile(connection, org_id)
    if profile is None:
        return
    for processor in till.processors.all:
        await payments.describe_customer(
            till, org_id, _details(profile), livemode=processor.livemode
        )
        await _tell_tax_ids(till, processor, profile)


async def _tell_tax_ids(till: Till, processor: Processor, profile: Profile) -> None:
    ref = await payments.customer_ref(till, profile.org_id, livemode=processor.livemode)
    wanted = {(tax_id.type, _plain(tax_id.value)): tax_id for tax_id in profile.tax_ids}
    known = {(told.type, _plain(told.value)): told for told in await processor.list_tax_ids(ref)}
    for name in known.keys() - wanted.keys():
        await processor.remove_tax_id(ref, known[name].ref)
    for name in wanted.keys() - known.keys():
        tax_id = wanted[name]
        # At another time it is another one: the same may have been removed in between.
        said = f"tax id/{processor.livemode}/{tax_id.type}/{tax_id.value}/{profile.updated_at}"
        tax_id_id = named_uuid(profile.org_id, said)
        await processor.add_tax_id(tax_id_id, ref, tax_id.type, tax_id.value)


def _details(profile: Profile) -> CustomerDetails:
    address = profile.address
    return CustomerDetails(
        name=profile.name,
        email=profile.emails[0] if profile.emails else None,
        address=Address(
            line1=address.line1,
            line2=address.line2,
            city=address.city,
            state=address.state,
            postal_code=address.postal_code,
            country=address.country,
        ),
    )


def _plain(value: str) -> str:
    return "".join(letter for letter in value if letter.isalnum())


def introduction_jobs(till: Till) -> list[Handler]:
    async def run(org_id: str) -> None:
        await introduce(till, UUID(org_id))

    return [Handler(INTRODUCE, run)]
