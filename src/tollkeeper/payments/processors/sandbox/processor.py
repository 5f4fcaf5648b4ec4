"""The sandbox as a Processor. Its network is the database: each act is a transaction of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection, Database
from tollkeeper.payments.errors import ProcessorRefused
from tollkeeper.payments.model import (
    Absent,
    Answer,
    Declined,
    Failure,
    FailureCode,
    PageKind,
    RefundStatus,
)
from tollkeeper.payments.processors import (
    Charge,
    CustomerDetails,
    DisputeFact,
    Happening,
    MethodSetup,
    Movement,
    PaymentPage,
    RawEvent,
    RefundAnswer,
    RefundFact,
    RefundOrder,
    RefundRejected,
    SetupAnswer,
    SetupDeclined,
    SetupPage,
    SetupRequiresAction,
    SetupSucceeded,
    Sought,
    TaxId,
    Wallet,
)
from tollkeeper.payments.processors import Page as PageAnswer
from tollkeeper.payments.processors.sandbox import acts, events, store
from tollkeeper.payments.processors.sandbox.answers import (
    answer_of,
    dispute_of,
    failure_of,
    movement_of,
    on_file,
    refund_of,
    tax_id_of,
)
from tollkeeper.payments.processors.sandbox.cards import BY_TOKEN
from tollkeeper.payments.processors.sandbox.model import (
    Customer,
    Dispute,
    Line,
    OnFile,
    Page,
    Payment,
    Refund,
    Setup,
    TaxNumber,
)
from tollkeeper.payments.processors.sandbox.seals import Seals
from tollkeeper.payments.processors.sandbox.subscriptions import Subscriptions
from tollkeeper.payments.subscription import (
    PaymentWay,
    Price,
    Stopping,
    SubscriptionAnswer,
    SubscriptionSought,
)

_PAGE_LASTS: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook as it would come over the network, and how many times it is to come."""

    headers: dict[str, str]
    body: bytes
    times: int


class SandboxProcessor:
    """`base_url` is where `sandbox_pages` are served, without a slash at its end."""

    def __init__(
        self, database: Database, clock: Clock, instance_secret: bytes, base_url: str
    ) -> None:
        self.name: Final = "sandbox"
        self.livemode: Final = False
        self.database = database
        self.clock = clock
        self.seals = Seals(instance_secret)
        self._base_url = base_url.rstrip("/")
        self.subscriptions: Final = Subscriptions(database, clock, self.bank_url)

    @property
    def webhook_secret(self) -> str:
        return self.seals.webhook_secret

    @property
    def dashboard_url(self) -> str:
        """Where one plays the bank: disputes, refunds, and what becomes of webhooks."""
        return f"{self._base_url}/sandbox/dashboard/{self.seals.seal('dashboard', 'sandbox')}"

    def dispute_url(self, ref: str) -> str:
        del ref  # the dashboard shows them all
        return self.dashboard_url

    def bank_url(self, ref: str) -> str:
        return f"{self._base_url}/sandbox/bank/{self.seals.seal('bank', ref)}"

    # ── Customers and their ways to pay ──────────────────────────────────────────────────────────

    async def create_customer(
        self, customer_id: UUID, org_id: UUID, details: CustomerDetails
    ) -> str:
        our_id = show_id("cus", customer_id)
        async with self.database.transaction() as tx:
            made = Customer(
                ref=store.new_ref(Customer),
                created_at=self.clock.now(),
                name=details.name,
                email=details.email,
            )
            await store.insert(tx, made, parent=show_id("org", org_id), our_id=our_id)
            known = await store.read_ours(tx, Customer, our_id)
        return made.ref if known is None else known.ref

    async def update_customer(self, customer_ref: str, details: CustomerDetails) -> None:
        async with self.database.transaction() as tx:
            customer = await self._customer(tx, customer_ref)
            customer.name, customer.email = details.name, details.email
            await store.write(tx, customer)

    async def set_up_method(self, setup: MethodSetup) -> SetupAnswer:
        card = BY_TOKEN.get(setup.token)
        if card is None:
            known = f"The sandbox does not know the token {setup.token!r}; pm_card_visa is one"
            return SetupDeclined(failure=Failure.of(FailureCode.METHOD_UNUSABLE, known))
        our_id = show_id("set", setup.setup_id)
        now = self.clock.now()
        async with self.database.transaction() as tx:
            await self._customer(tx, setup.customer_ref)
            begun = Setup(ref=store.new_ref(Setup), created_at=now, customer=setup.customer_ref)
            if await store.insert(tx, begun, parent=setup.customer_ref, our_id=our_id):
                return self._setup_answer(await acts.set_up(tx, begun, card, setup.return_url, now))
            known_setup = await store.read_ours(tx, Setup, our_id)
        return self._setup_answer(known_setup or begun)

    def _setup_answer(self, setup: Setup) -> SetupAnswer:
        if setup.status == "succeeded" and setup.method is not None:
            return SetupSucceeded(method_ref=setup.method)
        if setup.status == "requires_action":
            return SetupRequiresAction(url=self.bank_url(setup.ref))
        return SetupDeclined(failure=failure_of(setup.failure))

    async def open_setup_page(self, page: SetupPage) -> PageAnswer:
        our_id = show_id("set", page.setup_id)
        now = self.clock.now()
        async with self.database.transaction() as tx:
            setup = Setup(ref=store.new_ref(Setup), created_at=now, customer=page.customer_ref)
            await store.insert(tx, setup, parent=page.customer_ref, our_id=our_id)
            begun = await store.read_ours(tx, Setup, our_id) or setup
            made = await self._page(
                tx, our_id, now, page, payment=None, setup=begun.ref, parent=begun.ref
            )
        return self._page_answer(made)

    async def list_methods(self, customer_ref: str) -> Wallet:
        async with self.database.connection() as connection:
            customer = await self._customer(connection, customer_ref)
            methods = await store.list_of(connection, OnFile, customer_ref)
        return Wallet(
            methods=[on_file(method) for method in methods if method.attached],
            default_ref=customer.default_method,
        )

    async def set_default_method(self, customer_ref: str, method_ref: str) -> None:
        async with self.database.transaction() as tx:
            customer = await self._customer(tx, customer_ref)
            method = await store.read(tx, OnFile, method_ref)
            if method is None or not method.attached or method.customer != customer_ref:
                raise ProcessorRefused("The sandbox has no such method of this customer")
            customer.default_method = method_ref
            await store.write(tx, customer)

    async def detach_method(self, method_ref: str) -> None:
        async with self.database.transaction() as tx:
            method = await store.lock(tx, OnFile, method_ref)
            if method is not None:
                await acts.detach(tx, method, self.clock.now())

    async def add_tax_id(self, tax_id: UUID, customer_ref: str, kind: str, value: str) -> TaxId:
        our_id = show_id("tax", tax_id)
        async with self.database.transaction() as tx:
            await self._customer(tx, customer_ref)
            made = TaxNumber(
                ref=store.new_ref(TaxNumber),
                created_at=self.clock.now(),
                customer=customer_ref,
                type=kind,
                value=value,
            )
            await store.insert(tx, made, parent=customer_ref, our_id=our_id)
            return tax_id_of(await store.read_ours(tx, TaxNumber, our_id) or made)

    async def list_tax_ids(self, customer_ref: str) -> list[TaxId]:
        async with self.database.connection() as connection:
            found = await store.list_of(connection, TaxNumber, customer_ref)
        return [tax_id_of(number) for number in found if not number.removed]

    async def remove_tax_id(self, customer_ref: str, tax_id_ref: str) -> None:
        async with self.database.transaction() as tx:
            number = await store.lock(tx, TaxNumber, tax_id_ref)
            if number is not None and number.customer == customer_ref:
                number.removed = True
                await store.write(tx, number)

    async def portal_link(self, customer_ref: str, return_url: str) -> str:
        del return_url  # the portal is a page among others here: nothing leads back from it
        async with self.database.connection() as connection:
            await self._customer(connection, customer_ref)
        return f"{self._base_url}/sandbox/portal/{self.seals.seal('portal', customer_ref)}"

    async def _customer(self, connection: Connection, ref: str) -> Customer:
        found = await store.lock(connection, Customer, ref)
        if found is None:
            raise ProcessorRefused(f"The sandbox has no customer {ref}")
        return found

    # ── Payments ─────────────────────────────────────────────────────────────────────────────────

    async def pay(self, charge: Charge) -> Answer:
        our_id = show_id("pay", charge.payment_id)
        now = self.clock.now()
        async with self.database.transaction() as tx:
            method = await store.read(tx, OnFile, charge.method_ref)
            if method is None or not method.attached or method.customer != charge.customer_ref:
                return Declined(ref=None, failure=Failure.of(FailureCode.METHOD_UNUSABLE))
            made = Payment(
                ref=store.new_ref(Payment),
                created_at=now,
                customer=charge.customer_ref,
                org_id=charge.org_id,
                payment_id=charge.payment_id,
                amount=charge.amount_minor,
                currency=charge.currency,
                description=charge.description,
            )
            await store.insert(tx, made, parent=charge.customer_ref, our_id=our_id)
            payment = await store.lock_ours(tx, Payment, our_id) or made
            if payment.status == "open":
                await acts.confirm(
                    tx,
                    payment,
                    method,
                    now,
                    off_session=charge.off_session,
                    return_url=charge.return_url,
                )
        return self._answer(payment, None)

    async def resume(
        self, payment: Sought, method_ref: str, return_url: str, attempt: int
    ) -> Answer:
        del attempt  # the payment's own lock makes of two attempts one
        async with self.database.transaction() as tx:
            found = await store.lock_ours(tx, Payment, show_id("pay", payment.payment_id))
            method = await store.read(tx, OnFile, method_ref)
            if found is None or method is None:
                return Absent()
            waits = found.status == "requires_action" and not found.at_bank
            if found.status == "failed" or waits:
                await acts.confirm(
                    tx,
                    found,
                    method,
                    self.clock.now(),
                    off_session=False,
                    return_url=return_url,
                )
        return self._answer(found, None)

    async def open_page(self, page: PaymentPage) -> PageAnswer:
        our_id = show_id("pay", page.payment_id)
        now = self.clock.now()
        async with self.database.transaction() as tx:
            payment = Payment(
                ref=store.new_ref(Payment),
                created_at=now,
                customer=page.customer_ref,
                org_id=page.org_id,
                payment_id=page.payment_id,
                amount=page.amount_minor,
                currency=page.currency,
                description=page.description,
                save_method=page.save_method,
            )
            await store.insert(tx, payment, parent=page.customer_ref, our_id=our_id)
            begun = await store.read_ours(tx, Payment, our_id) or payment
            made = await self._page(
                tx, our_id, now, page, payment=begun.ref, setup=None, parent=begun.ref
            )
        return self._page_answer(made)

    async def _page(
        self,
        tx: Connection,
        our_id: str,
        now: datetime,
        wanted: PaymentPage | SetupPage,
        *,
        payment: str | None,
        setup: str | None,
        parent: str,
    ) -> Page:
        made = Page(
            ref=store.new_ref(Page),
            created_at=now,
            customer=wanted.customer_ref,
            payment=payment,
            setup=setup,
            return_url=wanted.return_url,
            cancel_url=wanted.cancel_url,
            expires_at=now + _PAGE_LASTS,
            embedded=wanted.kind is PageKind.EMBEDDED,
        )
        await store.insert(tx, made, parent=parent, our_id=our_id)
        return await store.read_ours(tx, Page, our_id) or made

    def _page_answer(self, page: Page) -> PageAnswer:
        # Also for one that is embedded: there is no script to embed it with, so it is shown in a
        # frame, or gone to.
        ticket = self.seals.seal("pay", page.ref)
        return PageAnswer(
            ref=page.ref,
            url=f"{self._base_url}/sandbox/pay/{ticket}",
            secret=ticket if page.embedded else None,
            expires_at=page.expires_at,
        )

    async def find_payment(self, payment: Sought) -> Answer:
        async with self.database.transaction() as tx:
            found = await store.lock_ours(tx, Payment, show_id("pay", payment.payment_id))
            if found is None:
                return Absent()
            page = await self._page_of(tx, found)
        return self._answer(found, page)

    async def cancel_payment(self, payment: Sought) -> Answer:
        async with self.database.transaction() as tx:
            found = await store.lock_ours(tx, Payment, show_id("pay", payment.payment_id))
            if found is None:
                return Absent()
            page = await self._page_of(tx, found)
            if page is not None and page.status == "open":
                await acts.expire(tx, page, None, self.clock.now())
            await acts.cancel(tx, found, self.clock.now())
        answer = self._answer(found, page)
        if isinstance(answer, Declined):
            return Declined(ref=found.ref, failure=Failure.of(FailureCode.CANCELED))
        return answer

    async def _page_of(self, tx: Connection, payment: Payment) -> Page | None:
        for page in await store.list_of(tx, Page, payment.ref):
            if page.status == "open" and page.expires_at <= self.clock.now():
                await acts.expire(tx, page, payment, self.clock.now())
            return page
        return None

    def _answer(self, payment: Payment, page: Page | None) -> Answer:
        return answer_of(payment, page, self.bank_url(payment.ref))

    # ── Refunds, disputes ────────────────────────────────────────────────────────────────────────

    async def refund(self, order: RefundOrder) -> RefundAnswer:
        our_id = show_id("ref", order.refund_id)
        async with self.database.transaction() as tx:
            payment = await store.lock(tx, Payment, order.payment_ref)
            known = await store.read_ours(tx, Refund, our_id)
            if known is not None and payment is not None:
                return refund_of(known, payment)
            if payment is None or payment.status != "succeeded":
                return RefundRejected("This payment has not succeeded")
            if payment.disputed:
                return RefundRejected("This payment is disputed")
            if not 0 < order.amount_minor <= payment.amount - payment.refunded:
                return RefundRejected("So much is not left of this payment")
            made = await self.begin_refund(tx, payment, order.amount_minor, order.refund_id)
            return refund_of(made, payment)

    async def begin_refund(
        self, tx: Connection, payment: Payment, amount: int, refund_id: UUID | None
    ) -> Refund:
        """Refund a payment that was found to have so much left; without an id by our hand."""
        method = await store.read(tx, OnFile, payment.method or "")
        waits = method is not None and acts.card_of(method).refund_waits
        made = Refund(
            ref=store.new_ref(Refund),
            created_at=self.clock.now(),
            payment=payment.ref,
            org_id=payment.org_id,
            refund_id=refund_id,
            amount=amount,
            currency=payment.currency,
            status=RefundStatus.PENDING if waits else RefundStatus.SUCCEEDED,
        )
        our_id = None if refund_id is None else show_id("ref", refund_id)
        await acts.refund(tx, payment, made, our_id)
        return made

    async def find_refund(self, order: RefundOrder) -> RefundAnswer:
        async with self.database.connection() as connection:
            found = await store.read_ours(connection, Refund, show_id("ref", order.refund_id))
            payment = await store.read(connection, Payment, order.payment_ref)
        return Absent() if found is None or payment is None else refund_of(found, payment)

    async def read_refund(self, ref: str) -> RefundFact:
        async with self.database.connection() as connection:
            found = await store.read(connection, Refund, ref)
            payment = found and await store.read(connection, Payment, found.payment)
        if found is None or payment is None:
            raise ProcessorRefused(f"The sandbox has no refund {ref}")
        return refund_of(found, payment)

    async def read_dispute(self, ref: str) -> DisputeFact:
        async with self.database.connection() as connection:
            found = await store.read(connection, Dispute, ref)
            payment = found and await store.read(connection, Payment, found.payment)
        if found is None or payment is None:
            raise ProcessorRefused(f"The sandbox has no dispute {ref}")
        return dispute_of(found, payment)

    # ── Subscriptions ────────────────────────────────────────────────────────────────────────────

    async def start_subscription(
        self, sought: SubscriptionSought, price: Price, way: PaymentWay
    ) -> SubscriptionAnswer:
        return await self.subscriptions.start(sought, price, way)

    async def change_subscription(
        self, sought: SubscriptionSought, price: Price, way: PaymentWay | None
    ) -> SubscriptionAnswer:
        return await self.subscriptions.change(sought, price, way)

    async def pay_subscription(
        self, sought: SubscriptionSought, way: PaymentWay
    ) -> SubscriptionAnswer:
        return await self.subscriptions.pay(sought, way)

    async def stop_subscription(
        self, sought: SubscriptionSought, stopping: Stopping
    ) -> SubscriptionAnswer:
        return await self.subscriptions.stop(sought, stopping)

    async def find_subscription(self, sought: SubscriptionSought) -> SubscriptionAnswer:
        return await self.subscriptions.find(sought)

    # ── Books and events ─────────────────────────────────────────────────────────────────────────

    async def movements(self, since: datetime, until: datetime) -> AsyncIterator[Movement]:
        async with self.database.connection() as connection:
            async for line in store.between(connection, Line, since, until):
                yield movement_of(line)

    async def events(self, since: datetime) -> AsyncIterator[RawEvent]:
        async with self.database.connection() as connection:
            async for event in store.events_since(connection, since):
                yield events.raw_event(event.body.encode())

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> RawEvent:
        return events.verify(headers, body, self.webhook_secret, now)

    def understand(self, event: RawEvent) -> Happening:
        return events.understand(event)

    async def take_deliveries(self, most: int) -> list[Delivery]:
        """Take the webhooks that are to be delivered now; the caller delivers them."""
        now = self.clock.now()
        async with self.database.connection() as connection:
            due = await store.take_due(connection, now, most)
        return [
            Delivery(
                headers={events.HEADER: events.sign(event.body.encode(), self.webhook_secret, now)},
                body=event.body.encode(),
                times=event.times,
            )
            for event in due
        ]
