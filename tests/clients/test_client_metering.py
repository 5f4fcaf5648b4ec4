"""The Python client against the served application: holds, charges, events."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from tollkeeper_client import (
    AlreadyCharged,
    AsyncTollkeeper,
    InsufficientCredits,
    ModelNotPriced,
    Tollkeeper,
)
from whole import Customer, Whole

WORST = {"request": 1, "row": 1000}
SKU = "generate_sql"


async def test_an_estimate_is_exact(operator: AsyncTollkeeper) -> None:
    estimate = await operator.estimate({"request": 1, "row": Decimal("0.5")}, sku=SKU)
    assert estimate.cost == Decimal("0.02005")
    assert [(line.unit, line.amount) for line in estimate.lines] == [
        ("request", Decimal("0.02")),
        ("row", Decimal("0.00005")),
    ]
    with pytest.raises(ModelNotPriced):
        await operator.estimate({"hour": 1}, sku=SKU)


async def test_held_then_settled(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, customer: Customer
) -> None:
    request_id, key = str(uuid4()), customer.keys["test INFERENCE"]
    held = await operator.hold(
        estimate=WORST, sku=SKU, customer_key=key, request_id=request_id, ttl_seconds=60
    )
    assert held.amount == Decimal("0.12")
    assert (await admin.balance()).held == Decimal("0.12")
    told: Any = {"thread_id": "t-1", "tags": {"some_team": "a"}, "duration_ms": 12}
    receipt = await operator.settle(held.id, {"request": 1, "row": 250}, **told)
    assert (receipt.cost, receipt.balance, receipt.late) == (
        Decimal("0.045"),
        Decimal("9.955"),
        False,
    )
    assert await operator.settle(held.id, {"request": 1, "row": 250}, **told) == receipt
    with pytest.raises(AlreadyCharged):
        await operator.hold(
            estimate=WORST, sku=SKU, customer_key=key, request_id=request_id, ttl_seconds=60
        )
    (record,) = (
        await admin.list_usage_records(thread_id="t-1", start=datetime(2026, 1, 1, tzinfo=UTC))
    ).data
    assert (record.id, record.cost, record.tags) == (
        receipt.usage_id,
        Decimal("0.045"),
        {"some_team": "a"},
    )


async def test_a_hold_given_back(operator: AsyncTollkeeper, customer: Customer) -> None:
    key = customer.keys["test INFERENCE"]
    held = await operator.hold(max_amount=Decimal("2.5"), sku=SKU, customer_key=key)
    assert held.amount == Decimal("2.5")
    assert (await operator.void(held.id)).state == "voided"


async def test_a_refusal_says_what_is_missing(
    operator: AsyncTollkeeper, customer: Customer
) -> None:
    key = customer.keys["test INFERENCE"]
    with pytest.raises(InsufficientCredits) as caught:
        await operator.hold(max_amount=Decimal("10.5"), sku=SKU, customer_key=key)
    error = caught.value
    assert (error.status, error.required, error.available) == (402, Decimal("10.5"), 10)
    assert (error.currency, error.limit_source, error.code) == (
        "USD",
        "balance",
        "insufficient_credits",
    )


async def test_charged_at_once_by_organization(
    operator: AsyncTollkeeper, customer: Customer
) -> None:
    whose: Any = {"organization_id": customer.id, "livemode": False}
    whose["project_id"] = f"prj_{customer.project_id.hex}"
    once: Any = {"request_id": "r-1", "sku": SKU, **whose}
    receipt = await operator.charge_now({"row": "1000"}, **once)
    assert receipt.cost == Decimal("0.1")
    assert await operator.charge_now({"row": "1000"}, **once) == receipt


async def test_events_are_taken_once(operator: AsyncTollkeeper, customer: Customer) -> None:
    key, now = customer.keys["test INFERENCE"], datetime.now(UTC)
    taken = await operator.report_events(
        [
            {"id": "a", "usage": {"request": 1}, "sku": SKU, "customer_key": key, "time": now},
            {"id": "a", "usage": {"request": 1}, "sku": SKU, "customer_key": key, "time": now},
            {"id": "b", "usage": {"request": 1}, "sku": "unknown", "customer_key": key},
        ]
    )
    assert (taken.accepted, taken.duplicate, taken.rejected) == (1, 1, 1)
    assert [result.code for result in taken.results] == [None, None, "model_not_priced"]


async def test_a_block_is_charged(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, customer: Customer
) -> None:
    key = customer.keys["test INFERENCE"]
    async with operator.charge(estimate=WORST, sku=SKU, customer_key=key) as charge:
        assert (await admin.balance()).held == charge.hold.amount
        charge.used({"request": 1, "row": 250}, thread_id="block")
    assert charge.receipt is not None
    assert charge.receipt.cost == Decimal("0.045")
    assert len((await admin.list_usage_records(thread_id="block")).data) == 1


async def test_a_block_that_says_nothing_used_its_estimate(
    operator: AsyncTollkeeper, customer: Customer
) -> None:
    key = customer.keys["test INFERENCE"]
    async with operator.charge(estimate=WORST, sku=SKU, customer_key=key) as charge:
        pass
    assert charge.receipt is not None
    assert charge.receipt.cost == Decimal("0.12")
    with pytest.raises(ValueError, match=r"charge\.used"):
        async with operator.charge(max_amount=1, sku=SKU, customer_key=key):
            pass


async def test_a_block_that_fails_is_free(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, customer: Customer
) -> None:
    key = customer.keys["test INFERENCE"]
    with pytest.raises(ZeroDivisionError):
        async with operator.charge(estimate=WORST, sku=SKU, customer_key=key) as charge:
            charge.used({"request": 1})
            raise ZeroDivisionError
    balance = await admin.balance()
    assert (balance.held, balance.posted) == (0, 10)


async def test_a_block_without_credit_is_not_entered(
    operator: AsyncTollkeeper, customer: Customer
) -> None:
    key, entered = customer.keys["test INFERENCE"], False
    with pytest.raises(InsufficientCredits):
        async with operator.charge(max_amount=11, sku=SKU, customer_key=key):
            entered = True
    assert not entered


async def test_a_cancelled_block_is_free(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, customer: Customer
) -> None:
    key, inside = customer.keys["test INFERENCE"], asyncio.Event()

    async def work() -> None:
        async with operator.charge(estimate=WORST, sku=SKU, customer_key=key):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await admin.balance()).held == 0


async def test_a_metered_function(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, customer: Customer
) -> None:
    def payer(key: str, _rows: int) -> str:
        return key

    def usage_of(rows: list[str]) -> dict[str, int]:
        return {"request": 1, "row": len(rows)}

    @operator.metered(sku=SKU, estimate=WORST, usage=usage_of, customer_key=payer)
    async def generate(_key: str, rows: int) -> list[str]:
        return ["row"] * (rows * rows // rows)

    key = customer.keys["test INFERENCE"]
    assert len(await generate(key, 250)) == 250
    assert (await admin.balance()).posted == Decimal("9.955")
    with pytest.raises(ZeroDivisionError):
        await generate(key, 0)
    assert (await admin.balance()).available == Decimal("9.955")


async def test_the_other_client_charges_too(whole: Whole, customer: Customer) -> None:
    def spend() -> tuple[Decimal, Decimal]:
        with Tollkeeper(customer.keys["test ADMIN"], whole.url) as client:

            @client.metered(sku=SKU, estimate={"request": 1})
            def once() -> int:
                return 1

            once()
            with client.charge(estimate=WORST, sku=SKU) as charge:
                charge.used({"row": 10})
            assert charge.receipt is not None
            return charge.receipt.cost, client.balance().posted

    assert await asyncio.to_thread(spend) == (Decimal("0.001"), Decimal("9.979"))
