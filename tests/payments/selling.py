"""A shop that sells credit: a till, a wallet, and what a customer and an operator do there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from banks import RETURN, Bank
from shops import VISA, Shop

from tollkeeper import credits, ledger, payments  # noqa: A004 (the room's name)
from tollkeeper.base.ids import uuid7
from tollkeeper.base.settings import Settings
from tollkeeper.credits import Order, Purchase, RefundOrder, find_purchase
from tollkeeper.credits.purchases import resume
from tollkeeper.credits.reconciling.comparing import reconcile
from tollkeeper.credits.reconciling.model import Window
from tollkeeper.ledger import Entry, EntryKind, Posting, Wallet
from tollkeeper.payments.inbox.handling import catch_up
from tollkeeper.payments.model import Method, Payment, Refund

DOLLAR = 1_000_000_000
USD = "USD"


@dataclass
class Seller:
    shop: Shop
    desk: credits.Shop
    wallet_id: UUID
    told: list[UUID] = field(default_factory=list[UUID])

    @property
    def bank(self) -> Bank:
        return self.shop.bank

    @property
    def org_id(self) -> UUID:
        return self.shop.org_id

    def order(self, dollars: int = 25, **more: Any) -> Order:
        given: dict[str, Any] = {
            "org_id": self.org_id,
            "purchase_id": uuid7(),
            "wallet_id": self.wallet_id,
            "livemode": False,
            "amount": dollars * DOLLAR,
            "currency": USD,
            "actor": "test",
            "return_url": RETURN,
            **more,
        }
        return Order(**given)

    async def buy(self, dollars: int = 25, **more: Any) -> tuple[Purchase, Payment]:
        return await credits.buy(self.desk, self.order(dollars, **more))

    async def bought(self, dollars: int = 25, card: str = VISA) -> Purchase:
        """A purchase that is paid, with a card that is put on file for it."""
        method = await self.card(card)
        purchase, _ = await self.buy(dollars, method_id=method.method_id)
        assert purchase.status is credits.PurchaseStatus.SUCCEEDED
        return purchase

    async def card(self, card: str = VISA) -> Method:
        return await self.shop.on_file(card)

    async def resume(
        self, purchase: Purchase, method_id: UUID | None = None
    ) -> tuple[Purchase, Payment]:
        return await resume(self.desk, purchase, method_id, RETURN)

    async def refund(self, purchase: Purchase, minor: int | None = None, **more: Any) -> Refund:
        order = RefundOrder(
            org_id=self.org_id,
            purchase_id=purchase.purchase_id,
            refund_id=uuid7(),
            reason="asked for it",
            actor="operator",
            **more,
        )
        async with self.shop.database.transaction() as tx:
            begun, _ = await credits.begin_refund(tx, self.desk, order, minor)
        return await payments.refund(self.shop.till, self.org_id, begun.refund_id)

    async def spend(self, dollars: float) -> None:
        posting = Posting(
            org_id=self.org_id,
            wallet_id=self.wallet_id,
            entry_id=uuid7(),
            kind=EntryKind.ADJUSTMENT,
            amount=-int(dollars * DOLLAR),
        )
        async with self.shop.database.transaction() as tx:
            await ledger.post(tx, posting, self.shop.clock.now())

    async def hear(self) -> None:
        """Hear from the processor, by asking for its events."""
        await self.shop.wait(1)
        await catch_up(self.shop.till)
        while await payments.handle_pending(self.shop.till):
            pass

    async def settle(self) -> None:
        """Let so much time pass, and ask so often, that nothing is unfinished any more."""
        for _ in range(5):
            await self.hear()
            await self.shop.wait(minutes=4)
            await payments.settle_unfinished(self.shop.till)

    async def wallet(self) -> Wallet:
        async with self.shop.database.connection() as connection:
            return await ledger.find_wallet(connection, self.org_id, self.wallet_id)

    async def balance(self) -> float:
        return (await self.wallet()).posted / DOLLAR

    async def read(self, purchase: Purchase) -> Purchase:
        async with self.shop.database.connection() as connection:
            return await find_purchase(connection, self.org_id, purchase.purchase_id)

    async def entries(self) -> list[Entry]:
        async with self.shop.database.connection() as connection:
            return await ledger.entries(connection, self.org_id, self.wallet_id, limit=1000)

    async def notices(self) -> list[str]:
        async with self.shop.database.connection() as connection:
            found = await connection.execute(
                "SELECT type FROM notice WHERE org_id = %s ORDER BY notice_id", (self.org_id,)
            )
            return [row[0] for row in await found.fetchall()]

    async def reconciled(self) -> list[tuple[str, str]]:
        """What the processor's books and ours differ in."""
        now = self.shop.clock.now()
        window = Window(now - timedelta(days=300), now + timedelta(seconds=1))
        found = await reconcile(self.shop.till, self.bank.processor, window)
        return [(difference.kind.value, difference.said) for difference in found.differences]


async def verified(seller: Seller) -> list[str]:
    """What the ledger's own proof finds wrong."""
    async with seller.shop.database.connection() as connection:
        found = ledger.verify(connection, seller.shop.clock)
        return [finding.sentence async for finding in found]


async def open_seller(shop: Shop, settings: Settings | None = None) -> Seller:
    async with shop.database.transaction() as tx:
        wallet = await ledger.open_wallet(
            tx,
            org_id=shop.org_id,
            wallet_id=uuid7(),
            livemode=False,
            currency=USD,
            now=shop.clock.now(),
        )
    desk = credits.open_shop(settings or Settings(), shop.till, "https://shop.test/billing")
    seller = Seller(shop, desk, wallet.wallet_id)

    async def tell(_: object, told: credits.PurchaseSucceeded) -> None:
        seller.told.append(told.purchase.purchase_id)

    desk.succeeded.append(tell)
    return seller
