"""The comparison itself, without a database: whatever is agreed upon is clean, and each thing that
is then changed on one side is named as exactly that."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.credits.reconciling.judging import judge
from tollkeeper.credits.reconciling.model import (
    About,
    BookedDispute,
    BookedEntry,
    BookedPayment,
    BookedPurchase,
    BookedRefund,
    Case,
    Kind,
    Line,
    Window,
)
from tollkeeper.payments.model import DisputeStatus, PaymentStatus, RefundStatus
from tollkeeper.payments.processors import MovementKind

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
WINDOW = Window(SINCE, SINCE + timedelta(days=2))
NANOS_PER_CENT = 10_000_000


class Books:
    """Makes cases on which both sides agree, from a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 (no secret)

    def id(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128), version=4)

    def moment(self) -> datetime:
        return SINCE + timedelta(seconds=self.chance.randrange(2 * 86_400))

    def line(self, kind: MovementKind, source: str, amount: int, at: datetime) -> Line:
        return Line(
            ref=f"txn_{self.id().hex}",
            kind=kind,
            source_ref=source,
            amount_minor=amount,
            currency="USD",
            created_at=at,
        )

    def entry(self, amount: int, at: datetime) -> BookedEntry:
        return BookedEntry(entry_id=self.id(), amount=amount, posted_at=at, reversed=False)

    def heard(self, at: datetime) -> datetime:
        """When we know of it: our clock goes wrong by up to an hour, and webhooks are late."""
        return at + timedelta(seconds=self.chance.randrange(-3_600, 40_000))

    def refund(self, lines: list[Line], amount: int, status: RefundStatus) -> BookedRefund:
        at, ref = self.moment(), f"re_{self.id().hex}"
        if status is not RefundStatus.REQUESTED:
            lines.append(self.line(MovementKind.REFUND, ref, -amount, at))
        if status is RefundStatus.FAILED:
            lines.append(self.line(MovementKind.REFUND_FAILED, ref, amount, at))
        done = status is RefundStatus.SUCCEEDED
        ended = done or status is RefundStatus.FAILED
        return BookedRefund(
            refund_id=self.id(),
            ref=ref,
            status=status,
            amount_minor=amount,
            currency="USD",
            settled_at=self.heard(at) if ended else None,
            entries=[self.entry(-amount, at)] if done else [],
            released=[],
        )

    def dispute(self, lines: list[Line], amount: int, status: DisputeStatus) -> BookedDispute:
        at, ref = self.moment(), f"dp_{self.id().hex}"
        taken = status in (DisputeStatus.OPEN, DisputeStatus.LOST, DisputeStatus.WON)
        won = status is DisputeStatus.WON
        if taken:
            lines.append(self.line(MovementKind.DISPUTE, ref, -amount, at))
        if won:
            lines.append(self.line(MovementKind.DISPUTE_REVERSED, ref, amount, at))
        open_ = status in (DisputeStatus.INQUIRY, DisputeStatus.OPEN)
        return BookedDispute(
            dispute_id=self.id(),
            ref=ref,
            status=status,
            amount_minor=amount,
            currency="USD",
            opened_at=at,
            settled_at=None if open_ else self.heard(at),
            entries=[self.entry(-amount, at)] if taken else [],
            released=[self.entry(amount, at)] if won else [],
        )

    def case(self, status: PaymentStatus = PaymentStatus.SUCCEEDED) -> Case:
        at, amount = self.moment(), self.chance.randrange(100, 100_000)
        paid = status is PaymentStatus.SUCCEEDED
        lines = [self.line(MovementKind.PAYMENT, "ch_1", amount, at)] if paid else []
        refunds = [
            self.refund(
                lines, self.chance.randrange(1, amount // 3), self.chance.choice([*RefundStatus])
            )
            for _ in range(self.chance.randrange(3) if paid else 0)
        ]
        disputes = [
            self.dispute(lines, amount // 3, self.chance.choice([*DisputeStatus]))
            for _ in range(self.chance.randrange(2) if paid else 0)
        ]
        self.chance.shuffle(lines)
        settled = self.heard(at) if status.final else None
        return Case(
            org_id=self.id(),
            payment_id=self.id(),
            payment=BookedPayment(
                ref="pi_1", status=status, amount_minor=amount, currency="USD", settled_at=settled
            ),
            purchase=BookedPurchase(
                purchase_id=self.id(),
                status="succeeded" if paid else status.value,
                credit_nanos=amount * NANOS_PER_CENT,
                total_minor=amount,
                currency="USD",
            ),
            lines=lines,
            credits=[self.entry(amount * NANOS_PER_CENT, at)] if paid else [],
            refunds=refunds,
            disputes=disputes,
        )

    def bare(self) -> Case:
        """Paid and credited, and nothing since."""
        case = self.case()
        lines = [line for line in case.lines if line.kind is MovementKind.PAYMENT]
        assert case.payment is not None
        booked = replace(case.payment, settled_at=lines[0].created_at)
        return replace(case, payment=booked, lines=lines, refunds=[], disputes=[])


seeds = st.integers(0, 2**32)


@given(seeds)
def test_what_both_sides_agree_upon_is_clean(seed: int) -> None:
    books = Books(seed)
    for status in PaymentStatus:
        assert judge(books.case(status), WINDOW) == []


def _payment(case: Case) -> BookedPayment:
    assert case.payment is not None
    return case.payment


def _purchase(case: Case) -> BookedPurchase:
    assert case.purchase is not None
    return case.purchase


def _line(case: Case) -> Line:
    return case.lines[0]


def _entry(case: Case) -> BookedEntry:
    return case.credits[0]


PAYMENT_BREAKS: dict[str, tuple[Callable[[Case], Case], list[tuple[Kind, About]]]] = {
    "our row is gone": (
        lambda case: replace(case, payment=None, purchase=None, credits=[]),
        [(Kind.MISSING_HERE, About.PAYMENT)],
    ),
    "their line is gone": (
        lambda case: replace(case, lines=[]),
        [(Kind.MISSING_AT_PROCESSOR, About.PAYMENT)],
    ),
    "their amount": (
        lambda case: replace(case, lines=[replace(_line(case), amount_minor=1)]),
        [(Kind.AMOUNT_DIFFERS, About.PAYMENT)],
    ),
    "their currency": (
        lambda case: replace(case, lines=[replace(_line(case), currency="EUR")]),
        [(Kind.CURRENCY_DIFFERS, About.PAYMENT)],
    ),
    "charged twice": (
        lambda case: replace(case, lines=[_line(case), replace(_line(case), ref="txn_2")]),
        [(Kind.CHARGED_TWICE, About.PAYMENT)],
    ),
    "processing here": (
        lambda case: replace(
            case,
            payment=replace(_payment(case), status=PaymentStatus.PROCESSING, settled_at=None),
            credits=[],
        ),
        [(Kind.STATUS_DIFFERS, About.PAYMENT)],
    ),
    "credited and failed": (
        lambda case: replace(
            case, payment=replace(_payment(case), status=PaymentStatus.FAILED), lines=[]
        ),
        [(Kind.CREDIT_WITHOUT_PAYMENT, About.ENTRY)],
    ),
    "not credited": (
        lambda case: replace(case, credits=[]),
        [(Kind.PAYMENT_WITHOUT_CREDIT, About.PAYMENT)],
    ),
    "credited twice": (
        lambda case: replace(
            case, credits=[*case.credits, replace(_entry(case), entry_id=UUID(int=7))]
        ),
        [(Kind.CREDITED_TWICE, About.PAYMENT)],
    ),
    "credited twice, and one taken back": (
        lambda case: replace(
            case,
            credits=[*case.credits, replace(_entry(case), entry_id=UUID(int=7), reversed=True)],
        ),
        [],
    ),
    "another credit": (
        lambda case: replace(case, credits=[replace(_entry(case), amount=5)]),
        [(Kind.CREDIT_DIFFERS, About.ENTRY)],
    ),
    "purchase unpaid": (
        lambda case: replace(case, purchase=replace(_purchase(case), status="failed")),
        [(Kind.STATUS_DIFFERS, About.PURCHASE)],
    ),
    "purchase of another total": (
        lambda case: replace(case, purchase=replace(_purchase(case), total_minor=1)),
        [(Kind.AMOUNT_DIFFERS, About.PURCHASE)],
    ),
    "purchase in another currency": (
        lambda case: replace(case, purchase=replace(_purchase(case), currency="EUR")),
        [(Kind.CURRENCY_DIFFERS, About.PURCHASE)],
    ),
}


@pytest.mark.parametrize("name", PAYMENT_BREAKS)
@given(seed=seeds)
def test_what_is_broken_of_a_payment_is_named_as_that(name: str, seed: int) -> None:
    broken, expected = PAYMENT_BREAKS[name]
    case = broken(Books(seed).bare())
    assert [(found.kind, found.about) for found in judge(case, WINDOW)] == expected


REFUND_BREAKS: dict[str, tuple[Callable[[Case], Case], list[Kind]]] = {
    "our row is gone": (lambda case: replace(case, refunds=[]), [Kind.MISSING_HERE]),
    "their line is gone": (
        lambda case: replace(case, lines=case.lines[:1]),
        [Kind.MISSING_AT_PROCESSOR],
    ),
    "their amount": (
        lambda case: replace(case, lines=[_line(case), replace(case.lines[1], amount_minor=-1)]),
        [Kind.AMOUNT_DIFFERS],
    ),
    "their currency": (
        lambda case: replace(case, lines=[_line(case), replace(case.lines[1], currency="EUR")]),
        [Kind.CURRENCY_DIFFERS],
    ),
    "it came back": (
        lambda case: replace(
            case,
            lines=[
                *case.lines,
                replace(
                    case.lines[1],
                    ref="txn_back",
                    kind=MovementKind.REFUND_FAILED,
                    amount_minor=-case.lines[1].amount_minor,
                ),
            ],
        ),
        [Kind.STATUS_DIFFERS],
    ),
    "failed here": (
        lambda case: replace(
            case, refunds=[replace(case.refunds[0], status=RefundStatus.FAILED, entries=[])]
        ),
        [Kind.STATUS_DIFFERS],
    ),
    "no entry": (
        lambda case: replace(case, refunds=[replace(case.refunds[0], entries=[])]),
        [Kind.REFUND_WITHOUT_ENTRY],
    ),
}


@pytest.mark.parametrize("name", REFUND_BREAKS)
@given(seed=seeds)
def test_what_is_broken_of_a_refund_is_named_as_that(name: str, seed: int) -> None:
    books = Books(seed)
    case = books.bare()
    lines = [*case.lines]
    refund = books.refund(lines, 50, RefundStatus.SUCCEEDED)
    refund = replace(refund, settled_at=lines[1].created_at)
    broken, expected = REFUND_BREAKS[name]
    found = judge(broken(replace(case, lines=lines, refunds=[refund])), WINDOW)
    assert [(one.kind, one.about) for one in found] == [(kind, About.REFUND) for kind in expected]


DISPUTE_BREAKS: dict[str, tuple[DisputeStatus, Callable[[Case], Case], list[Kind]]] = {
    "our row is gone": (
        DisputeStatus.LOST,
        lambda case: replace(case, disputes=[]),
        [Kind.MISSING_HERE],
    ),
    "their line is gone": (
        DisputeStatus.OPEN,
        lambda case: replace(case, lines=case.lines[:1]),
        [Kind.MISSING_AT_PROCESSOR],
    ),
    "their amount": (
        DisputeStatus.OPEN,
        lambda case: replace(case, lines=[_line(case), replace(case.lines[1], amount_minor=-1)]),
        [Kind.AMOUNT_DIFFERS],
    ),
    "an inquiry here": (
        DisputeStatus.OPEN,
        lambda case: replace(
            case, disputes=[replace(case.disputes[0], status=DisputeStatus.INQUIRY)]
        ),
        [Kind.STATUS_DIFFERS],
    ),
    "given back there": (
        DisputeStatus.WON,
        lambda case: replace(
            case,
            disputes=[replace(case.disputes[0], status=DisputeStatus.LOST, released=[])],
        ),
        [Kind.STATUS_DIFFERS],
    ),
    "given back here alone": (
        DisputeStatus.WON,
        lambda case: replace(case, lines=case.lines[:2]),
        [Kind.STATUS_DIFFERS],
    ),
    "lost, without an entry": (
        DisputeStatus.LOST,
        lambda case: replace(case, disputes=[replace(case.disputes[0], entries=[])]),
        [Kind.DISPUTE_WITHOUT_ENTRY],
    ),
    "won, and not given back": (
        DisputeStatus.WON,
        lambda case: replace(case, disputes=[replace(case.disputes[0], released=[])]),
        [Kind.DISPUTE_WITHOUT_ENTRY],
    ),
}


@pytest.mark.parametrize("name", DISPUTE_BREAKS)
@given(seed=seeds)
def test_what_is_broken_of_a_dispute_is_named_as_that(name: str, seed: int) -> None:
    status, broken, expected = DISPUTE_BREAKS[name]
    books = Books(seed)
    case = books.bare()
    lines = [*case.lines]
    dispute = books.dispute(lines, _payment(case).amount_minor, status)
    found = judge(broken(replace(case, lines=lines, disputes=[dispute])), WINDOW)
    assert [(one.kind, one.about) for one in found] == [(kind, About.DISPUTE) for kind in expected]


@given(seeds)
def test_what_lies_outside_the_window_is_nobodys_fault(seed: int) -> None:
    later = Window(WINDOW.until + timedelta(days=30), WINDOW.until + timedelta(days=31))
    case = Books(seed).case()
    assert judge(replace(case, payment=None, credits=[]), later) == []
    assert judge(replace(case, lines=[]), later) == []
    assert judge(replace(case, credits=[]), later) == []


def test_every_kind_says_what_to_do() -> None:
    assert all(kind.advice for kind in Kind)
