"""The same contract for every processor: refunds, disputes, its books and its events."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from banks import Account, Bank, FakeBank, SandboxBank
from test_processor_contract import VISA

from tollkeeper.base.ids import uuid7
from tollkeeper.payments.errors import WebhookSignatureInvalid
from tollkeeper.payments.model import Absent, DisputeStatus, RefundStatus, Succeeded
from tollkeeper.payments.processors import (
    DisputeTouched,
    MethodsTouched,
    MovementKind,
    PaymentTouched,
    RefundFact,
    RefundOrder,
    RefundRejected,
    RefundTouched,
)

# ── Refunds ──────────────────────────────────────────────────────────────────────────────────────


async def paid(account: Account, token: str = VISA, amount: int = 2500) -> str:
    charge = account.charge(await account.on_file(token), amount_minor=amount)
    answer = await account.processor.pay(charge)
    assert isinstance(answer, Succeeded)
    return answer.ref


def order(account: Account, payment_ref: str, amount: int) -> RefundOrder:
    return RefundOrder(
        org_id=account.org_id,
        refund_id=uuid7(),
        payment_ref=payment_ref,
        amount_minor=amount,
        intended_at=account.clock.now(),
    )


async def test_a_refund_is_made_once_and_never_beyond_what_was_paid(account: Account) -> None:
    ref = await paid(account)
    part = order(account, ref, 1000)
    first = await account.processor.refund(part)
    assert isinstance(first, RefundFact)
    assert (first.status, first.amount_minor, first.payment_ref, first.refund_id) == (
        RefundStatus.SUCCEEDED,
        1000,
        ref,
        part.refund_id,
    )
    again = await account.processor.refund(part)
    assert isinstance(again, RefundFact)
    assert again.ref == first.ref
    found = await account.processor.find_refund(part)
    assert isinstance(found, RefundFact)
    assert found.ref == first.ref
    assert (await account.processor.read_refund(first.ref)).org_id == account.org_id
    assert isinstance(await account.processor.refund(order(account, ref, 1501)), RefundRejected)
    rest = await account.processor.refund(order(account, ref, 1500))
    assert isinstance(rest, RefundFact)
    assert isinstance(await account.processor.refund(order(account, ref, 1)), RefundRejected)


async def test_a_refund_days_later_is_still_the_same_refund(bank: Bank) -> None:
    part = order(bank, await paid(bank), 1000)
    first = await bank.processor.refund(part)
    bank.clock.advance(timedelta(days=3))
    if isinstance(bank, FakeBank):
        bank.fake.forget_keys()
    again = await bank.processor.refund(part)
    assert isinstance(first, RefundFact)
    assert isinstance(again, RefundFact)
    assert again.ref == first.ref


async def test_a_refund_nobody_asked_for_is_absent(account: Account) -> None:
    assert await account.processor.find_refund(order(account, await paid(account), 1)) == Absent()


@pytest.mark.parametrize("succeeds", [True, False])
async def test_a_refund_can_take_its_days(bank: Bank, *, succeeds: bool) -> None:
    made = await bank.processor.refund(order(bank, await paid(bank, "pm_card_pendingRefund"), 700))
    assert isinstance(made, RefundFact)
    assert made.status is RefundStatus.PENDING
    await bank.finish_refund(made.ref, succeeds=succeeds)
    wanted = RefundStatus.SUCCEEDED if succeeds else RefundStatus.FAILED
    assert (await bank.processor.read_refund(made.ref)).status is wanted


async def test_a_refund_that_fails_later_leaves_its_money_with_us(bank: Bank) -> None:
    ref = await paid(bank, "pm_card_refundFail")
    made = await bank.processor.refund(order(bank, ref, 2500))
    assert isinstance(made, RefundFact)
    fact = await bank.processor.read_refund(made.ref)
    assert fact.status is RefundStatus.FAILED
    assert fact.detail
    assert isinstance(await bank.processor.refund(order(bank, ref, 2500)), RefundFact)


# ── Disputes ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", [DisputeStatus.WON, DisputeStatus.LOST])
async def test_a_dispute_is_open_until_it_is_decided(bank: Bank, end: DisputeStatus) -> None:
    ref = await paid(bank)
    dispute = await bank.open_dispute(ref)
    fact = await bank.processor.read_dispute(dispute)
    assert (fact.status, fact.payment_ref, fact.amount_minor, fact.currency, fact.org_id) == (
        DisputeStatus.OPEN,
        ref,
        2500,
        "USD",
        bank.org_id,
    )
    assert fact.evidence_due_at is not None
    assert isinstance(await bank.processor.refund(order(bank, ref, 100)), RefundRejected)
    await bank.move_dispute(dispute, end)
    assert (await bank.processor.read_dispute(dispute)).status is end


async def test_an_inquiry_moves_no_money_until_it_is_a_dispute(bank: Bank) -> None:
    dispute = await bank.open_dispute(await paid(bank), inquiry=True)
    assert (await bank.processor.read_dispute(dispute)).status is DisputeStatus.INQUIRY
    assert await moved(bank) == {MovementKind.PAYMENT: 2500}
    await bank.move_dispute(dispute, DisputeStatus.OPEN)
    assert (await bank.processor.read_dispute(dispute)).status is DisputeStatus.OPEN
    assert (await moved(bank))[MovementKind.DISPUTE] == -2500


async def test_an_inquiry_can_come_to_nothing(bank: Bank) -> None:
    dispute = await bank.open_dispute(await paid(bank), inquiry=True)
    await bank.move_dispute(dispute, DisputeStatus.CLOSED)
    assert (await bank.processor.read_dispute(dispute)).status is DisputeStatus.CLOSED


async def test_some_cards_dispute_by_themselves(sandbox_bank: SandboxBank) -> None:
    await paid(sandbox_bank, "pm_card_createDispute")
    assert (await moved(sandbox_bank))[MovementKind.DISPUTE] == -2500


# ── The processor's books and events ─────────────────────────────────────────────────────────────


async def moved(account: Account) -> Counter[MovementKind]:
    now = account.clock.now()
    sums: Counter[MovementKind] = Counter()
    async for line in account.processor.movements(
        now - timedelta(minutes=1), now + timedelta(minutes=1)
    ):
        if line.org_id in (None, account.org_id):
            sums[line.kind] += line.amount_minor
    return sums


async def test_its_books_say_what_came_and_what_went(bank: Bank) -> None:
    first, second = await paid(bank), await paid(bank, amount=4000)
    await paid(bank, "pm_card_refundFail", 900)
    made = await bank.processor.refund(order(bank, first, 1000))
    failing = [m async for m in movements(bank) if m.amount_minor == 900]
    failed = await bank.processor.refund(order(bank, failing[0].payment_ref or "", 900))
    won = await bank.open_dispute(second)
    await bank.move_dispute(won, DisputeStatus.WON)
    assert await moved(bank) == {
        MovementKind.PAYMENT: 7400,
        MovementKind.REFUND: -1900,
        MovementKind.REFUND_FAILED: 900,
        MovementKind.DISPUTE: -4000,
        MovementKind.DISPUTE_REVERSED: 4000,
    }
    lines = [line async for line in movements(bank)]
    assert len({line.ref for line in lines}) == len(lines)
    payments = [line for line in lines if line.kind is MovementKind.PAYMENT]
    assert sorted(line.fee_minor for line in payments) == [56, 103, 146]
    assert all(line.payment_id is not None and line.currency == "USD" for line in payments)
    refunds = {line.refund_id for line in lines if line.kind is MovementKind.REFUND}
    assert isinstance(made, RefundFact)
    assert isinstance(failed, RefundFact)
    assert refunds == {made.refund_id, failed.refund_id}


async def movements(bank: Bank):
    now = bank.clock.now()
    async for line in bank.processor.movements(
        now - timedelta(minutes=1), now + timedelta(minutes=1)
    ):
        yield line


async def test_its_books_are_read_by_time(bank: Bank) -> None:
    for _ in range(3):
        await paid(bank)
        bank.clock.advance(timedelta(hours=1))
    now = bank.clock.now()
    lines = [
        line
        async for line in bank.processor.movements(
            now - timedelta(hours=2), now - timedelta(hours=1)
        )
    ]
    assert len(lines) == 1
    assert now - timedelta(hours=2) <= lines[0].created_at < now - timedelta(hours=1)


async def test_its_events_say_what_to_ask_about(bank: Bank) -> None:
    ref = await paid(bank)
    refund = await bank.refund_by_hand(ref)
    dispute = await bank.open_dispute(await paid(bank))
    gone = await bank.on_file(VISA)
    await bank.processor.detach_method(gone)
    since = bank.clock.now() - timedelta(minutes=1)
    raws = [raw async for raw in bank.processor.events(since)]
    assert len({raw.event_id for raw in raws}) == len(raws)
    about = [bank.processor.understand(raw) for raw in raws]
    payments = [said for said in about if isinstance(said, PaymentTouched)]
    assert {said.ref for said in payments} >= {ref}
    assert all(said.org_id == bank.org_id for said in payments)
    assert all(said.payment_id is not None for said in payments)
    assert RefundTouched(ref=refund) in about
    assert DisputeTouched(ref=dispute) in about
    assert about.count(MethodsTouched(customer_ref=bank.customer)) >= 2
    bank.clock.advance(timedelta(hours=1))
    later = [raw async for raw in bank.processor.events(bank.clock.now() - timedelta(minutes=1))]
    assert later == []


async def test_a_refund_made_by_hand_names_its_payment(bank: Bank) -> None:
    charge = bank.charge(await bank.on_file(VISA))
    answer = await bank.processor.pay(charge)
    assert isinstance(answer, Succeeded)
    fact = await bank.processor.read_refund(await bank.refund_by_hand(answer.ref))
    assert (fact.org_id, fact.payment_id, fact.refund_id) == (
        bank.org_id,
        charge.payment_id,
        None,
    )


async def test_only_its_own_events_are_believed(bank: Bank) -> None:
    await paid(bank)
    headers, body = (await bank.event_bodies())[-1]
    now = bank.clock.now()
    raw = bank.processor.verify(headers, body, now)
    assert raw.body == body
    (name,) = [name for name in headers if "signature" in name]
    stamp, signature = headers[name].split(",")
    old = now + timedelta(minutes=6)
    for given, said, at in [
        ({}, body, now),
        ({name: ""}, body, now),
        ({name: "nonsense"}, body, now),
        ({name: stamp}, body, now),
        ({name: f"t=x,{signature}"}, body, now),
        ({name: f"t=1,{signature}"}, body, now),
        ({name: f"{stamp},v1={'0' * 64}"}, body, now),
        (headers, body + b" ", now),
        (headers, body.replace(b"2500", b"9900"), now) if b"2500" in body else ({}, body, now),
        (headers, b"\xff\xfe", now),
        (headers, body, old),
        (headers, body, now - timedelta(minutes=6)),
    ]:
        with pytest.raises(WebhookSignatureInvalid):
            bank.processor.verify(given, said, at)
