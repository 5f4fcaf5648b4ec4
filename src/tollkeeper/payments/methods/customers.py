"""Who an organization is to a processor: made when it first pays, once."""

from __future__ import annotations

from uuid import UUID

from tollkeeper import orgs
from tollkeeper.base.ids import uuid7
from tollkeeper.payments.methods import store
from tollkeeper.payments.processors import CustomerDetails
from tollkeeper.payments.till import Till


async def ensure(till: Till, org_id: UUID, *, livemode: bool) -> str:
    """Return the customer's ref, having had the processor make the customer if need be.

    Raises PaymentsNotConfigured, ProcessorUnavailable, ProcessorRefused.
    """
    processor = till.processors.serving(livemode=livemode)
    async with till.database.connection() as connection:
        customer = await store.read_customer(connection, org_id, processor.name, livemode=livemode)
        if customer is not None and customer.ref is not None:
            return customer.ref
        organization = await orgs.get_org(connection, org_id)
        # Its id is the key under which the processor makes it: it is there before anybody asks.
        await store.insert_customer(
            connection, org_id, processor.name, uuid7(), till.clock.now(), livemode=livemode
        )
        customer = await store.read_customer(connection, org_id, processor.name, livemode=livemode)
    if customer is None:
        raise RuntimeError("A customer that was just written down is not there")
    details = CustomerDetails(name=organization.name)
    ref = await processor.create_customer(customer.customer_id, org_id, details)
    async with till.database.connection() as connection:
        await store.write_ref(connection, customer, ref)
    return ref


async def describe(till: Till, org_id: UUID, details: CustomerDetails, *, livemode: bool) -> None:
    """Tell the processor an organization's name, address and billing email."""
    ref = await ensure(till, org_id, livemode=livemode)
    await till.processors.serving(livemode=livemode).update_customer(ref, details)
