"""Processors as tests use them: each with hands for what only a cardholder or a bank can do.

`Bank` is the sandbox or the fake Stripe, whose pages can be clicked; `RealStripe` is Stripe itself,
whose pages cannot.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp
import stripe
from fake_stripe import FakeStripe
from fake_stripe.server import SECRET_KEY, WEBHOOK_SECRET

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.settings import Secret, Stripe
from tollkeeper.db import Database
from tollkeeper.payments.model import DisputeStatus, PageKind
from tollkeeper.payments.processors import (
    Charge,
    CustomerDetails,
    MethodSetup,
    PaymentPage,
    Processor,
    SetupRequiresAction,
    SetupSucceeded,
    Sought,
)
from tollkeeper.payments.processors.sandbox import SandboxProcessor, store
from tollkeeper.payments.processors.sandbox.model import (
    Dispute,
    Line,
    Refund,
)
from tollkeeper.payments.processors.stripe import StripeProcessor

RETURN = "https://shop.test/back?from=test"


def fake_settings(fake: FakeStripe, timeout_seconds: int = 1) -> Stripe:
    return Stripe(
        secret_key=Secret(SECRET_KEY),
        webhook_secret=Secret(WEBHOOK_SECRET),
        api_base=fake.base,
        timeout_seconds=timeout_seconds,
    )


async def no_pause(_: float) -> None:
    """Retries wait in production, not in tests."""


class Account(ABC):
    """A processor, one organization that is its customer, and what can be seen from outside."""

    processor: Processor
    clock: MovableClock
    org_id: UUID
    customer: str

    async def open(self) -> None:
        self.org_id = uuid7()
        self.customer = await self.processor.create_customer(
            uuid7(), self.org_id, CustomerDetails(name="Acme", email="pay@acme.test")
        )

    def charge(self, method_ref: str, **more: Any) -> Charge:
        given: dict[str, Any] = {
            "org_id": self.org_id,
            "payment_id": uuid7(),
            "customer_ref": self.customer,
            "method_ref": method_ref,
            "method_kind": "card",
            "amount_minor": 2500,
            "currency": "USD",
            "description": "Credit",
            "off_session": True,
            "return_url": RETURN,
            "intended_at": self.clock.now(),
            **more,
        }
        return Charge(**given)

    def sought(self, payment_id: UUID, **more: Any) -> Sought:
        """A payment of which nothing but our own id is left."""
        given: dict[str, Any] = {
            "org_id": self.org_id,
            "payment_id": payment_id,
            "customer_ref": self.customer,
            "ref": None,
            "paged": False,
            "page_ref": None,
            "intended_at": self.clock.now(),
            **more,
        }
        return Sought(**given)

    def page(self, **more: Any) -> PaymentPage:
        given: dict[str, Any] = {
            "org_id": self.org_id,
            "payment_id": uuid7(),
            "customer_ref": self.customer,
            "amount_minor": 2500,
            "currency": "USD",
            "description": "Credit",
            "kind": PageKind.HOSTED,
            "save_method": False,
            "return_url": RETURN,
            "cancel_url": "https://shop.test/no",
            **more,
        }
        return PaymentPage(**given)

    def setup(self, token: str) -> MethodSetup:
        return MethodSetup(
            setup_id=uuid7(), customer_ref=self.customer, token=token, return_url=RETURN
        )

    @abstractmethod
    async def charged(self, payment_id: UUID) -> list[int]:
        """What the cardholder's statement shows of a payment: an amount for each charge."""

    @abstractmethod
    async def on_file(self, token: str) -> str:
        """Keep a card, with its bank's consent if it asks for that."""


class Bank(Account):
    async def on_file(self, token: str) -> str:
        answer = await self.processor.set_up_method(self.setup(token))
        if isinstance(answer, SetupRequiresAction):
            before = {m.ref for m in (await self.processor.list_methods(self.customer)).methods}
            await self.answer_bank(answer.url, approves=True)
            after = await self.processor.list_methods(self.customer)
            (kept,) = [method.ref for method in after.methods if method.ref not in before]
            return kept
        assert isinstance(answer, SetupSucceeded), answer
        return answer.method_ref

    async def answer_bank(self, url: str, *, approves: bool) -> str:
        """Answer on the bank's page. Returns where the browser is led."""
        return (await self.click(url, **self.bank_form(approves=approves)))[1]

    async def submit_page(self, url: str, number: str) -> tuple[int, str]:
        """Send the form of a payment page with a card."""
        return await self.click(url, **{self.card_field: number})

    async def click(self, url: str, **form: str) -> tuple[int, str]:
        """Send a form. Returns the status, and where the browser is led."""
        async with (
            aiohttp.ClientSession() as browser,
            browser.post(url, data=form, allow_redirects=False) as answer,
        ):
            return answer.status, answer.headers.get("location", "")

    card_field: str

    @abstractmethod
    def bank_form(self, *, approves: bool) -> dict[str, str]: ...

    @abstractmethod
    async def finish_processing(self, ref: str, *, succeeds: bool) -> None: ...

    @abstractmethod
    async def finish_refund(self, ref: str, *, succeeds: bool) -> None: ...

    @abstractmethod
    async def open_dispute(self, payment_ref: str, *, inquiry: bool = False) -> str: ...

    @abstractmethod
    async def move_dispute(self, ref: str, status: DisputeStatus) -> None: ...

    @abstractmethod
    async def methods_charged(self) -> list[str]:
        """With what each payment was made, whatever it was for."""

    @abstractmethod
    async def bill(self) -> None:
        """Let the processor do what its time has come for."""

    @abstractmethod
    async def refund_by_hand(self, payment_ref: str) -> str: ...

    @abstractmethod
    async def event_bodies(self) -> list[tuple[dict[str, str], bytes]]:
        """Every event so far, as a webhook would bring it now."""


@dataclass
class SandboxBank(Bank):
    sandbox: SandboxProcessor
    database: Database
    clock: MovableClock
    card_field = "number"

    def __post_init__(self) -> None:
        self.processor = self.sandbox

    def bank_form(self, *, approves: bool) -> dict[str, str]:
        return {"outcome": "approve" if approves else "refuse"}

    async def charged(self, payment_id: UUID) -> list[int]:
        async with self.database.connection() as connection:
            found = await connection.execute(
                "SELECT (body->>'amount')::int FROM sandbox_object WHERE kind = %s"
                " AND body->>'movement' = 'payment' AND body->>'payment_id' = %s",
                (Line.kind, str(payment_id)),
            )
            return [row[0] for row in await found.fetchall()]

    async def finish_processing(self, ref: str, *, succeeds: bool) -> None:
        await self._play("finish" if succeeds else "fail", ref)

    async def finish_refund(self, ref: str, *, succeeds: bool) -> None:
        await self._play("refunded" if succeeds else "unrefunded", ref)

    async def open_dispute(self, payment_ref: str, *, inquiry: bool = False) -> str:
        await self._play("inquire" if inquiry else "dispute", payment_ref)
        async with self.database.connection() as connection:
            return (await store.list_of(connection, Dispute, payment_ref))[0].ref

    async def move_dispute(self, ref: str, status: DisputeStatus) -> None:
        await self._play(status.value, ref)

    async def methods_charged(self) -> list[str]:
        async with self.database.connection() as connection:
            found = await connection.execute(
                "SELECT body->>'method' FROM sandbox_object"
                " WHERE kind = 'payment' AND body->>'status' = 'succeeded'"
            )
            return [row[0] for row in await found.fetchall()]

    async def bill(self) -> None:
        await self.sandbox.subscriptions.renew_due()

    async def refund_by_hand(self, payment_ref: str) -> str:
        await self._play("refund", payment_ref)
        async with self.database.connection() as connection:
            return (await store.list_of(connection, Refund, payment_ref))[0].ref

    async def _play(self, act: str, ref: str) -> None:
        status, _ = await self.click(self.sandbox.dashboard_url, act=act, ref=ref)
        assert status == 303

    async def event_bodies(self) -> list[tuple[dict[str, str], bytes]]:
        async with self.database.connection() as connection:
            await connection.execute("UPDATE sandbox_event SET deliver_at = created_at")
        deliveries = await self.sandbox.take_deliveries(10_000)
        return [(delivery.headers, delivery.body) for delivery in deliveries]


@dataclass
class FakeBank(Bank):
    stripe: StripeProcessor
    fake: FakeStripe
    clock: MovableClock
    card_field = "card"

    def __post_init__(self) -> None:
        self.processor = self.stripe

    def bank_form(self, *, approves: bool) -> dict[str, str]:
        return {"outcome": "succeed" if approves else "fail"}

    async def charged(self, payment_id: UUID) -> list[int]:
        found = self.fake.charges(tollkeeper_payment=show_id("pay", payment_id))
        return [charge["amount"] for charge in found]

    async def finish_processing(self, ref: str, *, succeeds: bool) -> None:
        self.fake.finish_processing(ref, succeeds=succeeds)

    async def finish_refund(self, ref: str, *, succeeds: bool) -> None:
        self.fake.finish_refund(ref, succeeds=succeeds)

    async def open_dispute(self, payment_ref: str, *, inquiry: bool = False) -> str:
        ref: str = self.fake.dispute(payment_ref, inquiry=inquiry)["id"]
        return ref

    async def move_dispute(self, ref: str, status: DisputeStatus) -> None:
        dispute = self.fake.state.objects[ref]
        if status is DisputeStatus.OPEN:
            self.fake.escalate(dispute)
        else:
            words = {DisputeStatus.CLOSED: "warning_closed"}
            self.fake.close_dispute(dispute, words.get(status, status.value))

    async def methods_charged(self) -> list[str]:
        return [charge["payment_method"] for charge in self.fake.charges()]

    async def bill(self) -> None:
        self.fake.tick()

    async def refund_by_hand(self, payment_ref: str) -> str:
        ref: str = self.fake.refund_by_hand(payment_ref)["id"]
        return ref

    async def event_bodies(self) -> list[tuple[dict[str, str], bytes]]:
        return [self.fake.webhooks.signed(event) for event in self.fake.state.all("event")]


@dataclass
class RealStripe(Account):
    """Stripe itself, in its test mode: only with STRIPE_TEST_KEY."""

    stripe: StripeProcessor
    client: stripe.StripeClient
    clock: MovableClock

    def __post_init__(self) -> None:
        self.processor = self.stripe

    async def charged(self, payment_id: UUID) -> list[int]:
        listed = await self.client.v1.charges.list_async({"customer": self.customer})
        return [
            charge.amount
            async for charge in listed.auto_paging_iter()
            if charge.status == "succeeded"
            and charge.metadata.to_dict().get("tollkeeper_payment") == show_id("pay", payment_id)
        ]

    async def on_file(self, token: str) -> str:
        attached = await self.client.v1.payment_methods.attach_async(
            token, {"customer": self.customer}
        )
        return attached.id
