"""`tollkeeper purchase`: what was bought, and money that goes back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

from commands import Command, Done, run_process

from tollkeeper import credits, ledger  # noqa: A004 (the room's name)
from tollkeeper.base.ids import read_id, show_id, uuid7
from tollkeeper.base.settings import Settings
from tollkeeper.cli.till import open_shop
from tollkeeper.credits import Order
from tollkeeper.db import Database


async def buy(url: str, org_id: UUID, amount: int) -> str:
    async with Database.open(url) as database, open_shop(Settings(), database) as shop:
        async with database.connection() as connection:
            wallets = await ledger.wallets_of(connection, org_id)
        order = Order(
            org_id=org_id,
            purchase_id=uuid7(),
            wallet_id=next(wallet.wallet_id for wallet in wallets if not wallet.livemode),
            livemode=False,
            amount=amount,
            currency="USD",
            actor="test",
            return_url="https://shop.test",
        )
        bought, _ = await credits.buy(shop, order)
    assert bought.status is credits.PurchaseStatus.SUCCEEDED
    return show_id("pur", bought.purchase_id)


def test_purchases_are_listed_and_refunded(
    command: Command, database_url: str, tmp_path: Path
) -> None:
    org = command("org", "create", "Acme", "--json").json["organizationId"]
    bought = asyncio.run(buy(database_url, read_id("org", org), 25_000_000_000))
    (row,) = command("purchase", "list", "--test", "--json").json
    assert (row["id"], row["status"], row["credit"]) == (bought, "succeeded", 25)
    assert command("purchase", "list", "--json").json == []

    def refund(*options: str) -> Done:
        """In a process of its own: what it logs goes to standard error."""
        command = ("purchase", "refund", bought, *options)
        return run_process(*command, cwd=tmp_path, DATABASE_URL=database_url)

    part = refund("--amount", "5", "--why", "late", "--json").json
    assert (part["status"], part["purchase"]) == ("succeeded", bought)
    assert refund("--why", "all of it").status == 0
    (row,) = command("purchase", "list", "--test", "--json").json
    assert row["status"] == "refunded"
    notes = command("invoice", "list", "--test", "--json").json
    assert [note["type"] for note in notes] == ["credit_note", "credit_note", "invoice"]
    refused = command("purchase", "refund", bought, "--why", "more", status=3)
    assert "At most" in refused.err
    assert "is not an id" in command("purchase", "refund", "pur_x", "--why", "x", status=3).err
