"""What is wrong about one payment: a pure function of both sides' rows.

Each side is held to the other only for what happened within the window; the rest of a case is
there so that a refund of today finds its payment of last month.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money
from tollkeeper.credits.reconciling.model import (
    About,
    BookedDispute,
    BookedEntry,
    BookedPayment,
    BookedRefund,
    Case,
    Difference,
    Kind,
    Line,
    Window,
)
from tollkeeper.payments.model import DisputeStatus, PaymentStatus, RefundStatus
from tollkeeper.payments.processors import MovementKind

_NO_MONEY: Final = (DisputeStatus.INQUIRY, DisputeStatus.CLOSED)
_GONE: Final = (DisputeStatus.OPEN, DisputeStatus.LOST)
_TAKEN: Final = (DisputeStatus.OPEN, DisputeStatus.LOST, DisputeStatus.WON)
_PAID: Final = ("succeeded", "refunded", "disputed")


def judge(case: Case, window: Window) -> list[Difference]:
    """Name everything about one payment on which the processor, our rows and the ledger differ."""
    return [
        *_judge_payment(case, window),
        *_judge_credit(case, window),
        *_judge_refunds(case, window),
        *_judge_disputes(case, window),
    ]


class _Said(NamedTuple):
    """A finding before it is known whose it is."""

    kind: Kind
    at: datetime
    said: str


def _judge_payment(case: Case, window: Window) -> Iterator[Difference]:
    lines = [line for line in case.lines if line.kind is MovementKind.PAYMENT]
    name = show_id("pay", case.payment_id)
    if case.payment is None:
        credited = "".join(f", but for {_entry(entry)}" for entry in _standing(case.credits))
        for line in lines:
            if window.holds(line.created_at):
                found = _missing_here(line)
                found = found._replace(said=found.said + credited)
                yield _difference(case, About.PAYMENT, name, found)
        return
    for found in _payment_differences(lines, case.payment, window):
        yield _difference(case, About.PAYMENT, name, found)


def _payment_differences(
    lines: Sequence[Line], booked: BookedPayment, window: Window
) -> Iterator[_Said]:
    seen = [line for line in lines if window.holds(line.created_at)]
    paid = booked.status is PaymentStatus.SUCCEEDED
    if not lines:
        if paid and booked.settled_at is not None and window.holds(booked.settled_at):
            said = f"paid here ({_minor(booked)}, {booked.ref}), no line at the processor"
            yield _Said(Kind.MISSING_AT_PROCESSOR, booked.settled_at, said)
        return
    if not seen and not (paid and window.holds(booked.settled_at)):
        return
    first, *others = sorted(lines, key=lambda line: (line.created_at, line.ref))
    if others:
        refs = ", ".join(line.ref for line in (first, *others))
        yield _Said(Kind.CHARGED_TWICE, others[0].created_at, f"charged {len(lines)} times: {refs}")
    if not paid:
        said = f"paid at the processor ({first.ref}), {booked.status.value} here"
        yield _Said(Kind.STATUS_DIFFERS, first.created_at, said)
    yield from _amount_differs(first, first.amount_minor, booked.amount_minor, booked.currency)


def _judge_credit(case: Case, window: Window) -> Iterator[Difference]:
    booked, standing = case.payment, _standing(case.credits)
    if booked is None:
        return
    name = show_id("pay", case.payment_id)
    paid = booked.status is PaymentStatus.SUCCEEDED
    at = booked.settled_at or _first_at(case)
    if at is None or not _touched(case, booked, window):
        return
    if not paid:
        for entry in standing:
            said = f"the entry {_entry(entry)} credits it, and it is {booked.status.value}"
            found = _Said(Kind.CREDIT_WITHOUT_PAYMENT, at, said)
            yield _difference(case, About.ENTRY, show_id("ent", entry.entry_id), found)
        return
    if not case.credits:
        found = _Said(Kind.PAYMENT_WITHOUT_CREDIT, at, f"paid ({_minor(booked)}), no entry")
        yield _difference(case, About.PAYMENT, name, found)
    elif len(standing) > 1:
        said = f"credited by {' and '.join(_entry(entry) for entry in standing)}"
        yield _difference(case, About.PAYMENT, name, _Said(Kind.CREDITED_TWICE, at, said))
    yield from _judge_purchase(case, booked, at)


def _judge_purchase(case: Case, booked: BookedPayment, at: datetime) -> Iterator[Difference]:
    bought = case.purchase
    if bought is None:
        return
    name = show_id("pur", bought.purchase_id)
    if bought.status not in _PAID:
        found = _Said(Kind.STATUS_DIFFERS, at, f"paid, and the purchase is {bought.status}")
        yield _difference(case, About.PURCHASE, name, found)
    if (bought.total_minor, bought.currency) != (booked.amount_minor, booked.currency):
        said = f"the purchase says {bought.total_minor} {bought.currency}, paid {_minor(booked)}"
        same = bought.currency == booked.currency
        kind = Kind.AMOUNT_DIFFERS if same else Kind.CURRENCY_DIFFERS
        yield _difference(case, About.PURCHASE, name, _Said(kind, at, said))
    for entry in case.credits[:1]:
        if entry.amount != bought.credit_nanos and not entry.reversed:
            said = f"the purchase says {Money(bought.credit_nanos)}, the entry {_entry(entry)}"
            found = _Said(Kind.CREDIT_DIFFERS, at, said)
            yield _difference(case, About.ENTRY, show_id("ent", entry.entry_id), found)


# ── Refunds ──────────────────────────────────────────────────────────────────────────────────────


def _judge_refunds(case: Case, window: Window) -> Iterator[Difference]:
    kinds = (MovementKind.REFUND, MovementKind.REFUND_FAILED)
    lines = [line for line in case.lines if line.kind in kinds]
    known = {refund.ref for refund in case.refunds}
    for line in lines:
        if line.source_ref not in known and window.holds(line.created_at):
            yield _difference(case, About.REFUND, line.source_ref or line.ref, _missing_here(line))
    for refund in case.refunds:
        of_it = [line for line in lines if refund.ref and line.source_ref == refund.ref]
        for found in _refund_differences(of_it, refund, window):
            yield _difference(case, About.REFUND, show_id("ref", refund.refund_id), found)
        ended_at = refund.settled_at
        if ended_at is not None and window.holds(ended_at) and not _overlap(case):
            for found in _refund_entries(refund, ended_at):
                yield _difference(case, About.REFUND, show_id("ref", refund.refund_id), found)
    yield from _judge_overlap(case, window)


def _refund_differences(
    lines: Sequence[Line], refund: BookedRefund, window: Window
) -> Iterator[_Said]:
    sent = next((line for line in lines if line.kind is MovementKind.REFUND), None)
    back = next((line for line in lines if line.kind is MovementKind.REFUND_FAILED), None)
    status, ended_at = refund.status, refund.settled_at
    done = status is RefundStatus.SUCCEEDED
    ended_in_window = ended_at is not None and window.holds(ended_at)
    if not ended_in_window and not any(window.holds(line.created_at) for line in lines):
        return
    if sent is None and done and ended_at is not None:
        said = f"refunded here ({refund.ref}), no line at the processor"
        yield _Said(Kind.MISSING_AT_PROCESSOR, ended_at, said)
    if back is not None and status is not RefundStatus.FAILED:
        said = f"the money came back ({back.ref}), {status.value} here"
        yield _Said(Kind.STATUS_DIFFERS, back.created_at, said)
    elif (
        sent is not None
        and back is None
        and status
        in (
            RefundStatus.REQUESTED,
            RefundStatus.FAILED,
        )
    ):
        said = f"refunded at the processor ({sent.ref}), {status.value} here"
        yield _Said(Kind.STATUS_DIFFERS, sent.created_at, said)
    if sent is not None:
        yield from _amount_differs(sent, -sent.amount_minor, refund.amount_minor, refund.currency)


def _refund_entries(refund: BookedRefund, ended_at: datetime) -> Iterator[_Said]:
    took, gave = _standing(refund.entries), _standing(refund.released)
    if refund.status is RefundStatus.SUCCEEDED and not took:
        said = f"{refund.amount_minor} {refund.currency} given back, no entry takes credit off"
        yield _Said(Kind.REFUND_WITHOUT_ENTRY, ended_at, said)
    if refund.status is RefundStatus.FAILED and took and not gave:
        said = "the money did not go back, and its credit was not given again"
        yield _Said(Kind.REFUND_WITHOUT_ENTRY, ended_at, said)


def _overlap(case: Case) -> bool:
    """Whether more went back, at any time, than was paid: then entries are not each one's own, and
    only their sum says anything."""
    back = sum(refund.amount_minor for refund in case.refunds)
    back += sum(one.amount_minor for one in case.disputes if one.status not in _NO_MONEY)
    return case.payment is not None and back > case.payment.amount_minor


def _judge_overlap(case: Case, window: Window) -> Iterator[Difference]:
    bought, at = case.purchase, case.payment and case.payment.settled_at
    if not _overlap(case) or bought is None or at is None or not window.holds(at):
        return
    minor = sum(one.amount_minor for one in case.refunds if one.status is not RefundStatus.FAILED)
    minor += sum(one.amount_minor for one in case.disputes if one.status in _GONE)
    wanted = bought.credit_nanos * min(minor, bought.total_minor) // bought.total_minor
    moved = [*case.refunds, *case.disputes]
    taken = -sum(e.amount for one in moved for e in _standing([*one.entries, *one.released]))
    if taken != wanted:
        said = f"{Money(wanted)} of credit is to be taken back in all, {Money(taken)} is"
        found = _Said(Kind.CREDIT_DIFFERS, at, said)
        yield _difference(case, About.PURCHASE, show_id("pur", bought.purchase_id), found)


# ── Disputes ─────────────────────────────────────────────────────────────────────────────────────


def _judge_disputes(case: Case, window: Window) -> Iterator[Difference]:
    kinds = (MovementKind.DISPUTE, MovementKind.DISPUTE_REVERSED)
    lines = [line for line in case.lines if line.kind in kinds]
    known = {dispute.ref for dispute in case.disputes}
    for line in lines:
        if line.source_ref not in known and window.holds(line.created_at):
            yield _difference(case, About.DISPUTE, line.source_ref or line.ref, _missing_here(line))
    for dispute in case.disputes:
        of_it = [line for line in lines if line.source_ref == dispute.ref]
        for found in _dispute_differences(of_it, dispute, window, exact=not _overlap(case)):
            yield _difference(case, About.DISPUTE, show_id("dis", dispute.dispute_id), found)


def _dispute_differences(
    lines: Sequence[Line], dispute: BookedDispute, window: Window, *, exact: bool
) -> Iterator[_Said]:
    taken = [line for line in lines if line.kind is MovementKind.DISPUTE]
    given = [line for line in lines if line.kind is MovementKind.DISPUTE_REVERSED]
    status, opened_at = dispute.status, dispute.opened_at
    opened = window.holds(opened_at)
    ended_at = dispute.settled_at
    if not (opened or window.holds(ended_at)) and not any(
        window.holds(line.created_at) for line in lines
    ):
        return
    if taken and status not in _TAKEN:
        said = f"the processor took the money ({taken[0].ref}), {status.value} here"
        yield _Said(Kind.STATUS_DIFFERS, taken[0].created_at, said)
    elif given and status is not DisputeStatus.WON:
        said = f"the processor gave the money back ({given[0].ref}), {status.value} here"
        yield _Said(Kind.STATUS_DIFFERS, given[0].created_at, said)
    elif taken and not given and status is DisputeStatus.WON:
        said = f"won here, and the processor has not given the money back ({taken[0].ref})"
        yield _Said(Kind.STATUS_DIFFERS, ended_at or opened_at, said)
    if not taken and status in _TAKEN and opened:
        said = f"{status.value} here ({dispute.ref}), no line at the processor"
        yield _Said(Kind.MISSING_AT_PROCESSOR, opened_at, said)
    if taken:
        theirs = -sum(line.amount_minor for line in taken)
        yield from _amount_differs(taken[0], theirs, dispute.amount_minor, dispute.currency)
    if exact:
        yield from _dispute_entries(dispute)


def _dispute_entries(dispute: BookedDispute) -> Iterator[_Said]:
    took, gave = _standing(dispute.entries), _standing(dispute.released)
    ended_at = dispute.settled_at or dispute.opened_at
    if dispute.status is DisputeStatus.LOST and (not took or gave):
        said = f"{dispute.amount_minor} {dispute.currency} lost, and the credit was not taken back"
        yield _Said(Kind.DISPUTE_WITHOUT_ENTRY, ended_at, said)
    if dispute.status is DisputeStatus.WON and took and not gave:
        yield _Said(Kind.DISPUTE_WITHOUT_ENTRY, ended_at, "won, and the credit was not given back")


# ── Words ────────────────────────────────────────────────────────────────────────────────────────


def _difference(case: Case, about: About, name: str, found: _Said) -> Difference:
    return Difference(
        kind=found.kind,
        about=about,
        name=name,
        at=found.at,
        org_id=case.org_id,
        payment_id=case.payment_id,
        said=found.said,
    )


def _missing_here(line: Line) -> _Said:
    said = f"{line.amount_minor} {line.currency} at the processor ({line.ref}), nothing here"
    return _Said(Kind.MISSING_HERE, line.created_at, said)


def _amount_differs(line: Line, theirs: int, ours: int, currency: str) -> Iterator[_Said]:
    """Amounts are told apart only within a currency: across two of them they say nothing."""
    said = f"{theirs} {line.currency} at the processor ({line.ref}), {ours} {currency} here"
    if line.currency != currency:
        yield _Said(Kind.CURRENCY_DIFFERS, line.created_at, said)
    elif theirs != ours:
        yield _Said(Kind.AMOUNT_DIFFERS, line.created_at, said)


def _standing(entries: Sequence[BookedEntry]) -> list[BookedEntry]:
    return [entry for entry in entries if not entry.reversed]


def _touched(case: Case, booked: BookedPayment, window: Window) -> bool:
    return (
        window.holds(booked.settled_at)
        or any(window.holds(line.created_at) for line in case.lines)
        or any(window.holds(entry.posted_at) for entry in case.credits)
    )


def _first_at(case: Case) -> datetime | None:
    moments = [
        *(line.created_at for line in case.lines),
        *(entry.posted_at for entry in case.credits),
    ]
    return min(moments, default=None)


def _minor(booked: BookedPayment) -> str:
    return f"{booked.amount_minor} {booked.currency}"


def _entry(entry: BookedEntry) -> str:
    return f"{show_id('ent', entry.entry_id)} ({Money(entry.amount)})"
