"""What a usage record says, and what it never fails on (M6)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from metered import GPT, PAGES, Purse, rated
from msgspec import Raw

from tollkeeper import pricing
from tollkeeper.base.errors import IdempotencyKeyReused, NotFound
from tollkeeper.base.ids import uuid7
from tollkeeper.base.money import Money
from tollkeeper.ledger import (
    BalanceTooLarge,
    ChargeOutcome,
    ChargeResult,
    HoldOutcome,
    HoldResult,
    InsufficientCredits,
    NewCharge,
    WalletFrozen,
)
from tollkeeper.metering import (
    AlreadyCharged,
    Call,
    Meter,
    Previews,
    failed_call,
    fingerprint_of,
    refuse_charge,
    refuse_hold,
    refuse_settlement,
    refused_call,
    usage_id_of,
)


def detail_of(charge: NewCharge) -> dict[str, Any]:
    return msgspec.json.decode(charge.detail)


def test_one_request_id_is_one_record() -> None:
    org, other = uuid7(), uuid7()
    assert usage_id_of(org, "r", livemode=True) == usage_id_of(org, "r", livemode=True)
    names = {
        usage_id_of(org, "r", livemode=True),
        usage_id_of(org, "r", livemode=False),
        usage_id_of(org, "s", livemode=True),
        usage_id_of(other, "r", livemode=True),
        usage_id_of(org, None, livemode=True),
        usage_id_of(org, None, livemode=True),
    }
    assert len(names) == 6


def test_a_fingerprint_is_of_the_content() -> None:
    assert fingerprint_of({"a": 1, "b": [2]}) == fingerprint_of({"b": [2], "a": 1})
    assert fingerprint_of({"a": 1}) != fingerprint_of({"a": 2})
    assert -(2**63) <= fingerprint_of("x") < 2**63


def test_the_cost_can_be_worked_out_again(purse: Purse) -> None:
    usage = {"request": 3, "second": Decimal("0.125")}
    charge = rated(purse, PAGES, usage=usage)
    record = detail_of(charge)["rating"]
    assert pricing.recompute(record, pricing.Book([PAGES, GPT])) == charge.amount
    assert charge.lines == len(record["lines"]) == 2


def test_what_was_not_said_is_not_there(purse: Purse) -> None:
    assert detail_of(rated(purse)).keys() == {"rating"}


def test_previews() -> None:
    assert Previews(True, 3).of("Hello") == "Hel"
    assert Previews(True, 3).of(None) is None
    assert Previews(True, 3).of("") is None
    assert Previews(False, 3).of("Hello") is None


def test_a_failed_call_costs_nothing_and_may_be_tried_again(purse: Purse) -> None:
    call = Call(
        org_id=purse.org_id,
        wallet_id=purse.wallet_id,
        usage_id=uuid7(),
        hold_id=uuid7(),
        fingerprint=5,
        started_at=purse.clock.now(),
        request_id="r",
        input="Hello",
    )
    failed = failed_call(call, status=502, error="x" * 2000, duration_ms=7)
    assert (failed.amount, failed.lines, failed.status, failed.source) == (0, 0, 502, "none")
    assert failed.usage_id != call.usage_id
    assert (failed.hold_id, failed.fingerprint) == (None, None)
    assert len(detail_of(failed)["error"]) == 1000
    refused = refused_call(call, NotFound("nowhere"))
    assert (refused.status, detail_of(refused)["error"]) == (404, "not_found: nowhere")


nasty = st.text(st.characters(codec="utf-8"), max_size=300) | st.sampled_from(
    ["\0", "a\0b", "\\", "\\\\u0000", "\\u0000", "\\\0", '"', "\x1f", "\ud7ff", "😀" * 200]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=nasty, other=nasty, number=st.integers() | st.floats() | st.just(Raw(b"1e999999")))
async def test_any_text_is_recorded(
    meter: Meter, purse: Purse, text: str, other: str, number: Any
) -> None:
    """Whatever a client or a provider says, the call is charged, and the text is what it was."""
    usage: Any = number if isinstance(number, Raw) else {text: number, "n": [other]}
    charge = rated(
        purse,
        operation=text,
        thread_id=other,
        request_id=text,
        end_user=text,
        input=text,
        tags={text: other},
        usage_said=usage,
        response_id=text,
        error=other,
        notes=text,
    )
    result = await meter.settle(charge)
    assert result.outcome is ChargeOutcome.POSTED
    detail = detail_of(charge)
    assert detail["input"] == text.replace("\0", "")
    assert detail["tags"] == {text.replace("\0", ""): other.replace("\0", "")}
    assert charge.operation == text.replace("\0", "")[:256]


@pytest.mark.parametrize(
    "raw",
    [b'{"a":1e400}', b'{"a":123456789012345678901234567890}', b'{"a":"\\u0000"}', b"nonsense"],
)
async def test_any_usage_a_provider_says(meter: Meter, purse: Purse, raw: bytes) -> None:
    charge = rated(purse, usage_said=Raw(raw))
    assert (await meter.settle(charge)).outcome is ChargeOutcome.POSTED


def hold_of(outcome: HoldOutcome) -> HoldResult:
    return HoldResult(outcome=outcome, spendable=7)


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (HoldOutcome.WALLET_UNKNOWN, NotFound),
        (HoldOutcome.ALREADY_CHARGED, AlreadyCharged),
        (HoldOutcome.EXISTS, None),
        (HoldOutcome.EXISTS_WITH_OTHER_AMOUNT, IdempotencyKeyReused),
        (HoldOutcome.FROZEN, WalletFrozen),
        (HoldOutcome.INSUFFICIENT, InsufficientCredits),
        (HoldOutcome.PLACED, None),
    ],
)
def test_every_outcome_of_a_hold(outcome: HoldOutcome, error: type[Exception] | None) -> None:
    found = refuse_hold(hold_of(outcome), required=9, currency="USD", top_up_url=None)
    assert type(found) is (error or type(None))


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (ChargeOutcome.WALLET_UNKNOWN, NotFound),
        (ChargeOutcome.EXISTS, None),
        (ChargeOutcome.EXISTS_WITH_OTHER_FINGERPRINT, IdempotencyKeyReused),
        (ChargeOutcome.FROZEN, WalletFrozen),
        (ChargeOutcome.INSUFFICIENT, InsufficientCredits),
        (ChargeOutcome.POSTED, None),
        (ChargeOutcome.POSTED_LATE, None),
    ],
)
def test_every_outcome_of_a_charge(outcome: ChargeOutcome, error: type[Exception] | None) -> None:
    result = ChargeResult(outcome=outcome, amount=1, balance_after=2, spendable=3)
    found = refuse_charge(result, required=9, currency="USD", top_up_url=None)
    assert type(found) is (error or type(None))
    settled = refuse_settlement(result, currency="USD")
    if outcome is ChargeOutcome.INSUFFICIENT:
        assert isinstance(settled, BalanceTooLarge)
    else:
        assert type(settled) is type(found)


def test_no_outcome_is_forgotten() -> None:
    for outcome in HoldOutcome:
        refuse_hold(hold_of(outcome), required=9, currency="USD", top_up_url=None)


def test_the_402_says_what_helps() -> None:
    refusal = refuse_hold(
        HoldResult(outcome=HoldOutcome.INSUFFICIENT, spendable=-5),
        required=9,
        currency="USD",
        top_up_url="https://example.com/buy",
        affordable_max_tokens=12,
    )
    assert refusal is not None
    assert refusal.members == {
        "required": Money(9),
        "available": Money(0),
        "currency": "USD",
        "limitSource": "balance",
        "affordableMaxTokens": 12,
        "topUpUrl": "https://example.com/buy",
    }


def test_ids_are_uuids() -> None:
    assert isinstance(usage_id_of(uuid7(), "x", livemode=True), UUID)
