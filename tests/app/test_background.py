"""What repeats in the background does what its name says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tollkeeper import ledger
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.ledger import NewHold, Wallet
from whole import DOLLAR, Customer, Whole, whole_served


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(datetime.now(UTC))


@pytest.fixture
async def whole(database_url: str, clock: MovableClock) -> AsyncIterator[Whole]:
    async with whole_served(database_url, clock=clock) as served:
        yield served


@pytest.fixture
async def customer(whole: Whole) -> Customer:
    return await whole.customer()


async def run(whole: Whole, name: str) -> int:
    (job,) = [job for job in whole.app.jobs.all if job.name == name]
    return await job.run()


async def wallet_of(whole: Whole, customer: Customer) -> Wallet:
    async with whole.database.connection() as connection:
        wallets = await ledger.wallets_of(connection, customer.org_id)
    return next(wallet for wallet in wallets if not wallet.livemode)


async def place(whole: Whole, wallet: Wallet, count: int, expires_at: datetime) -> None:
    async with whole.database.connection() as connection:
        holds = [
            NewHold(
                org_id=wallet.org_id,
                wallet_id=wallet.wallet_id,
                hold_id=uuid7(),
                amount=1,
                expires_at=expires_at,
            )
            for _ in range(count)
        ]
        await ledger.hold(connection, holds, whole.app.rooms.clock.now())


async def test_holds_whose_time_is_over_are_given_back_and_later_forgotten(
    whole: Whole, customer: Customer, clock: MovableClock, owner: Connection
) -> None:
    wallet = await wallet_of(whole, customer)
    await place(whole, wallet, 1_200, clock.now() + timedelta(seconds=10))
    await place(whole, wallet, 1, clock.now() + timedelta(days=30))
    assert (await wallet_of(whole, customer)).held == 1_201
    clock.advance(timedelta(seconds=11))
    assert await run(whole, "expire_holds") == 1_200
    assert (await wallet_of(whole, customer)).held == 1
    assert await run(whole, "expire_holds") == 0
    assert await run(whole, "forget_ended_holds") == 0
    clock.advance(timedelta(days=8))
    assert await run(whole, "forget_ended_holds") == 1_200
    assert await (await owner.execute("SELECT count(*) FROM hold")).fetchone() == (1,)


async def test_credit_past_its_day_leaves(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    body = {
        "amount": 5,
        "reason": "trial",
        "livemode": False,
        "expiresAt": (clock.now() + timedelta(days=1)).isoformat(),
    }
    await whole.operate("POST", f"/organizations/{customer.id}/grants", body)
    assert (await wallet_of(whole, customer)).posted == 15 * DOLLAR
    clock.advance(timedelta(days=2))
    assert await run(whole, "expire_lots") == 1
    assert (await wallet_of(whole, customer)).posted == 10 * DOLLAR


async def test_answers_of_idempotency_keys_are_forgotten(
    whole: Whole, customer: Customer, clock: MovableClock
) -> None:
    path = f"/organizations/{customer.id}/grants"
    await whole.operate("POST", path, {"amount": 5, "reason": "r"}, idempotency_key="a")
    assert await run(whole, "forget_idempotent_answers") == 0
    clock.advance(timedelta(days=2))
    assert await run(whole, "forget_idempotent_answers") == 1


async def test_a_price_is_sold_by_within_its_refresh(whole: Whole) -> None:
    file = {
        "provider": "own",
        "source": "ours",
        "models": {"page": {"prices": [{"from": "always", "rates": {"request": 1}}]}},
    }
    before = len(whole.app.rooms.books.book)
    await whole.operate("POST", "/prices", {"file": file, "reason": "r"})
    await run(whole, "refresh_prices")
    assert len(whole.app.rooms.books.book) == before + 1


async def test_usage_is_summed(whole: Whole, customer: Customer, owner: Connection) -> None:
    body = {"model": "sandbox-small", "messages": [{"role": "user", "content": "Hi"}]}
    key = customer.keys["test INFERENCE"]
    assert (await whole.ask("POST", "/chat/completions", key, body)).status == 200
    await run(whole, "add_up_usage")
    assert await run(whole, "sweep_usage_sums") == 0
    found = await owner.execute("SELECT count(*) FROM usage_sum")
    assert await found.fetchone() == (1,)


async def test_every_job_is_told_to_the_metrics(whole: Whole) -> None:
    async with asyncio.timeout(10):
        text = ""
        while 'tollkeeper_job_runs_total{job="refresh_prices",outcome="ok"}' not in text:
            text = (await whole.ask("GET", "//metrics")).text
    assert {job.name for job in whole.app.jobs.all} == {
        "refresh_prices",
        "watch",
        "expire_holds",
        "expire_lots",
        "forget_ended_holds",
        "forget_idempotent_answers",
        "add_up_usage",
        "sweep_usage_sums",
        "meter_levels",
        "watch_spikes",
        "rescue_jobs",
        "forget_failed_jobs",
        "handle_payment_events",
        "settle_unfinished_payments",
        "catch_up_payment_events",
        "deliver_sandbox_webhooks",
        "renew_sandbox_subscriptions",
        "end_unpaid_plans",
        "show_reconciliation",
        "look_at_balances",
        "sweep_balances",
        "give_up_auto_top_ups",
        "give_recurring_grants",
        "tell_of_budgets",
        "refresh_plans",
        "look_at_allowances",
        "sweep_allowances",
    }
