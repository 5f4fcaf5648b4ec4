"""The sandbox's dashboard: what a bank and a processor can do to a payment, by a click."""

from __future__ import annotations

from typing import Final

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import show_id
from tollkeeper.db import Connection
from tollkeeper.payments.minor import show_minor
from tollkeeper.payments.model import DisputeStatus, FailureCode, RefundStatus
from tollkeeper.payments.processors.sandbox import acts, html, store
from tollkeeper.payments.processors.sandbox.model import Dispute, Payment, Refund
from tollkeeper.payments.processors.sandbox.processor import SandboxProcessor

_SHOWN: Final = 50
_OPEN: Final = (DisputeStatus.INQUIRY, DisputeStatus.OPEN)


async def show_dashboard(connection: Connection) -> bytes:
    payments = await store.newest(connection, Payment, _SHOWN)
    rows = [await _payment_row(connection, payment) for payment in payments]
    events = await store.newest_events(connection, _SHOWN)
    return html.page(
        "Dashboard",
        [
            '<p class="note">This is the sandbox: here you play the bank.</p>',
            "<h1>Payments</h1>",
            _table(("Payment", "Amount", "Status", "What the bank may do"), rows),
            "<h2>Webhooks</h2>",
            _table(("Event", "Type", "Made", "Sent", ""), [_event_row(event) for event in events]),
        ],
        wide=True,
    )


def _table(names: tuple[str, ...], rows: list[str]) -> str:
    if not rows:
        return '<p class="soft">There are none yet.</p>'
    heads = "".join(f"<th>{name}</th>" for name in names)
    return f'<div class="scroll"><table><tr>{heads}</tr>{"".join(rows)}</table></div>'


async def _payment_row(connection: Connection, payment: Payment) -> str:
    acts_there: list[str] = []
    if payment.status == "processing":
        acts_there += [
            html.act("Money arrives", act="finish", ref=payment.ref),
            html.act("Money does not", act="fail", ref=payment.ref),
        ]
    if payment.status == "succeeded":
        if not payment.disputed:
            acts_there.append(html.act("Dispute", act="dispute", ref=payment.ref))
            acts_there.append(html.act("Inquire", act="inquire", ref=payment.ref))
            if payment.refunded < payment.amount:
                acts_there.append(html.act("Refund by hand", act="refund", ref=payment.ref))
        for dispute in await store.list_of(connection, Dispute, payment.ref):
            acts_there += _dispute_acts(dispute)
        for refund in await store.list_of(connection, Refund, payment.ref):
            if refund.status is RefundStatus.PENDING:
                acts_there.append(html.act("Refund arrives", act="refunded", ref=refund.ref))
                acts_there.append(html.act("Refund fails", act="unrefunded", ref=refund.ref))
    status = payment.status + (", disputed" if payment.disputed else "")
    if payment.refunded:
        status += f", {show_minor(payment.refunded, payment.currency)} refunded"
    return (
        f"<tr><td><code>{html.text(show_id('pay', payment.payment_id))}</code></td>"
        f'<td class="money">{show_minor(payment.amount, payment.currency)}</td>'
        f"<td>{html.text(status)}</td><td>{' '.join(acts_there)}</td></tr>"
    )


def _dispute_acts(dispute: Dispute) -> list[str]:
    if dispute.status is DisputeStatus.INQUIRY:
        return [
            html.act("Inquiry becomes dispute", act="open", ref=dispute.ref),
            html.act("Inquiry ends", act="closed", ref=dispute.ref),
        ]
    if dispute.status is DisputeStatus.OPEN:
        return [
            html.act("Dispute won", act="won", ref=dispute.ref),
            html.act("Dispute lost", act="lost", ref=dispute.ref),
        ]
    return []


def _event_row(event: store.Event) -> str:
    again = "Send again" if event.delivered else "Send now"
    made = event.created_at.strftime("%Y-%m-%d %H:%M:%S")
    return (
        f"<tr><td><code>{html.text(event.event_id)}</code></td><td>{html.text(event.type)}</td>"
        f"<td>{made}</td><td>{event.delivered or 'not yet'}</td>"
        f"<td>{html.act(again, act='send', ref=event.event_id)}</td></tr>"
    )


async def play(tx: Connection, sandbox: SandboxProcessor, form: dict[str, str]) -> None:
    """Do what the form says, if it can be done now; a second click does nothing more."""
    act, ref = form.get("act", ""), form.get("ref", "")
    if act == "send":
        await store.deliver_again(tx, ref, sandbox.clock.now())
    elif act in _OF_PAYMENTS:
        payment = await store.lock(tx, Payment, ref)
        if payment is not None:
            await _play_payment(tx, sandbox, act, payment)
    elif act in ("refunded", "unrefunded"):
        await _play_refund(tx, sandbox, ref, succeeds=act == "refunded")
    elif act in [status.value for status in DisputeStatus]:
        await _play_dispute(tx, sandbox, ref, DisputeStatus(act))
    else:
        raise InvalidRequest(f"The sandbox cannot {act!r}")


_OF_PAYMENTS: Final = ("finish", "fail", "dispute", "inquire", "refund")


async def _play_payment(
    tx: Connection, sandbox: SandboxProcessor, act: str, payment: Payment
) -> None:
    now = sandbox.clock.now()
    if payment.status == "processing" and act == "finish":
        await acts.settle(tx, payment, now)
    elif payment.status == "processing" and act == "fail":
        await acts.fail(tx, payment, FailureCode.INSUFFICIENT_FUNDS, now)
    elif payment.status != "succeeded" or payment.disputed:
        return
    elif act == "refund" and payment.refunded < payment.amount:
        await sandbox.begin_refund(tx, payment, payment.amount - payment.refunded, None)
    elif act in ("dispute", "inquire"):
        await acts.open_dispute(tx, payment, now, inquiry=act == "inquire")


async def _play_refund(
    tx: Connection, sandbox: SandboxProcessor, ref: str, *, succeeds: bool
) -> None:
    known = await store.read(tx, Refund, ref)
    payment = known and await store.lock(tx, Payment, known.payment)
    refund = await store.lock(tx, Refund, ref)
    if payment is not None and refund is not None and refund.status is RefundStatus.PENDING:
        await acts.finish_refund(tx, payment, refund, sandbox.clock.now(), succeeds=succeeds)


async def _play_dispute(
    tx: Connection, sandbox: SandboxProcessor, ref: str, status: DisputeStatus
) -> None:
    known = await store.read(tx, Dispute, ref)
    payment = known and await store.lock(tx, Payment, known.payment)
    dispute = await store.lock(tx, Dispute, ref)
    if payment is not None and dispute is not None and dispute.status in _OPEN:
        await acts.close_dispute(tx, payment, dispute, status, sandbox.clock.now())
