"""Stripe as a Processor."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

import stripe

from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import show_id
from tollkeeper.payments.errors import WebhookSignatureInvalid
from tollkeeper.payments.model import Answer
from tollkeeper.payments.processors import (
    Charge,
    CustomerDetails,
    DisputeFact,
    Happening,
    MethodSetup,
    Movement,
    Page,
    PaymentPage,
    RawEvent,
    RefundAnswer,
    RefundFact,
    RefundOrder,
    SetupAnswer,
    SetupPage,
    Sought,
    TaxId,
    Wallet,
)
from tollkeeper.payments.processors.stripe import (
    charging,
    events,
    methods,
    refunds,
    subscribing,
)
from tollkeeper.payments.processors.stripe.failures import as_ours
from tollkeeper.payments.processors.stripe.shapes import (
    ORG,
    dispute_of,
    movement_of,
    page_of,
    refund_of,
    tax_id_of,
)
from tollkeeper.payments.subscription import (
    PaymentWay,
    Price,
    Stopping,
    SubscriptionAnswer,
    SubscriptionSought,
)

if TYPE_CHECKING:
    from stripe.params import CustomerCreateParams

_PAGE: Final = 100
_WHOSE: Final[Any] = {"expand": ["payment_intent"]}


class StripeProcessor:
    def __init__(
        self,
        client: stripe.StripeClient,
        clock: Clock,
        *,
        livemode: bool,
        webhook_secret: str | None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._webhook_secret = webhook_secret
        self.name: Final = "stripe"
        self.livemode: Final = livemode

    def dispute_url(self, ref: str) -> str:
        return f"https://dashboard.stripe.com/{'' if self.livemode else 'test/'}disputes/{ref}"

    async def create_customer(
        self, customer_id: UUID, org_id: UUID, details: CustomerDetails
    ) -> str:
        # Only what never changes is sent under the key: the same key with other details would be
        # another request.
        params: CustomerCreateParams = {"metadata": {ORG: show_id("org", org_id)}}
        with as_ours():
            made = await self._client.v1.customers.create_async(
                params, {"idempotency_key": show_id("cus", customer_id)}
            )
            await self._client.v1.customers.update_async(made.id, methods.described(details))
        return made.id

    async def update_customer(self, customer_ref: str, details: CustomerDetails) -> None:
        with as_ours():
            await self._client.v1.customers.update_async(customer_ref, methods.described(details))

    async def set_up_method(self, setup: MethodSetup) -> SetupAnswer:
        with as_ours():
            return await methods.set_up(self._client, setup)

    async def open_setup_page(self, page: SetupPage) -> Page:
        with as_ours():
            return await methods.open_setup_page(self._client, page)

    async def list_methods(self, customer_ref: str) -> Wallet:
        with as_ours():
            return await methods.list_methods(self._client, customer_ref)

    async def set_default_method(self, customer_ref: str, method_ref: str) -> None:
        with as_ours():
            await self._client.v1.customers.update_async(
                customer_ref, {"invoice_settings": {"default_payment_method": method_ref}}
            )

    async def detach_method(self, method_ref: str) -> None:
        with as_ours():
            await methods.detach(self._client, method_ref)

    async def add_tax_id(self, tax_id: UUID, customer_ref: str, kind: str, value: str) -> TaxId:
        with as_ours():
            made = await self._client.v1.customers.tax_ids.create_async(
                customer_ref,
                {"type": kind, "value": value},
                {"idempotency_key": show_id("tax", tax_id)},
            )
        return tax_id_of(made)

    async def list_tax_ids(self, customer_ref: str) -> list[TaxId]:
        with as_ours():
            listed = await self._client.v1.customers.tax_ids.list_async(
                customer_ref, {"limit": _PAGE}
            )
            return [tax_id_of(tax_id) async for tax_id in listed.auto_paging_iter()]

    async def remove_tax_id(self, customer_ref: str, tax_id_ref: str) -> None:
        with as_ours():
            await self._client.v1.customers.tax_ids.delete_async(customer_ref, tax_id_ref)

    async def portal_link(self, customer_ref: str, return_url: str) -> str:
        with as_ours():
            session = await self._client.v1.billing_portal.sessions.create_async(
                {"customer": customer_ref, "return_url": return_url}
            )
        return session.url

    async def pay(self, charge: Charge) -> Answer:
        return await charging.pay(self._client, charge, self._clock.now())

    async def resume(
        self, payment: Sought, method_ref: str, return_url: str, attempt: int
    ) -> Answer:
        return await charging.resume(self._client, payment, method_ref, return_url, attempt)

    async def open_page(self, page: PaymentPage) -> Page:
        with as_ours():
            return page_of(await charging.open_page(self._client, page))

    async def find_payment(self, payment: Sought) -> Answer:
        return await charging.find(self._client, payment)

    async def cancel_payment(self, payment: Sought) -> Answer:
        return await charging.cancel(self._client, payment)

    async def refund(self, order: RefundOrder) -> RefundAnswer:
        return await refunds.make(self._client, order, self._clock.now())

    async def find_refund(self, order: RefundOrder) -> RefundAnswer:
        return await refunds.find(self._client, order)

    async def read_refund(self, ref: str) -> RefundFact:
        with as_ours():
            return refund_of(await self._client.v1.refunds.retrieve_async(ref, _WHOSE))

    async def read_dispute(self, ref: str) -> DisputeFact:
        with as_ours():
            return dispute_of(await self._client.v1.disputes.retrieve_async(ref, _WHOSE))

    async def start_subscription(
        self, sought: SubscriptionSought, price: Price, way: PaymentWay
    ) -> SubscriptionAnswer:
        return await subscribing.answered(subscribing.start(self._client, sought, price, way))

    async def change_subscription(
        self, sought: SubscriptionSought, price: Price, way: PaymentWay | None
    ) -> SubscriptionAnswer:
        return await subscribing.answered(subscribing.change(self._client, sought, price, way))

    async def pay_subscription(
        self, sought: SubscriptionSought, way: PaymentWay
    ) -> SubscriptionAnswer:
        return await subscribing.answered(subscribing.pay(self._client, sought, way))

    async def stop_subscription(
        self, sought: SubscriptionSought, stopping: Stopping
    ) -> SubscriptionAnswer:
        return await subscribing.answered(subscribing.stop(self._client, sought, stopping))

    async def find_subscription(self, sought: SubscriptionSought) -> SubscriptionAnswer:
        return await subscribing.answered(subscribing.find(self._client, sought))

    async def movements(self, since: datetime, until: datetime) -> AsyncIterator[Movement]:
        with as_ours():
            listed = await self._client.v1.balance_transactions.list_async(
                {
                    "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
                    "limit": _PAGE,
                    "expand": ["data.source"],
                }
            )
            async for line in listed.auto_paging_iter():
                yield movement_of(line)

    async def events(self, since: datetime) -> AsyncIterator[RawEvent]:
        with as_ours():
            for types in events.TYPES_ASKED:
                listed = await self._client.v1.events.list_async(
                    {
                        "created": {"gte": int(since.timestamp())},
                        "types": list(types),
                        "limit": _PAGE,
                    }
                )
                async for event in listed.auto_paging_iter():
                    written = cast("dict[str, object]", event.to_dict(for_json=True))
                    yield events.raw_event(json.dumps(written).encode())

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> RawEvent:
        if self._webhook_secret is None:
            raise WebhookSignatureInvalid("stripe.webhook_secret is not set, so nothing can be")
        return events.verify(headers, body, self._webhook_secret, now)

    def understand(self, event: RawEvent) -> Happening:
        return events.understand(event, livemode=self.livemode)
