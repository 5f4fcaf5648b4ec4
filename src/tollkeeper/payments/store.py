"""All SQL of payments, refunds and disputes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.rows import kwargs_row

from tollkeeper.db import Connection
from tollkeeper.payments.model import (
    Dispute,
    DisputeStatus,
    FailureCode,
    NewPayment,
    PageKind,
    Payment,
    PaymentStatus,
    Refund,
    RefundStatus,
)

# ── Payments ─────────────────────────────────────────────────────────────────────────────────────

_PAYMENT: Final = """
    org_id, payment_id, livemode, processor, subject_id, status, amount_minor, currency,
    description, return_url, cancel_url, method_id, off_session, page, save_method, page_ref,
    page_url, page_secret, page_expires_at, ref, method_ref, action_url, failure_code,
    failure_retryable, failure_detail, intended_at, settled_at, checks, version, sent_at
"""
_INSERT_PAYMENT: Final = """
INSERT INTO payment (
    org_id, payment_id, livemode, processor, subject_id, status, amount_minor, currency,
    description, return_url, cancel_url, method_id, off_session, page, save_method, intended_at,
    check_at
) VALUES (
    %(org_id)s, %(payment_id)s, %(livemode)s, %(processor)s, %(subject_id)s, 'requires_payment',
    %(amount_minor)s, %(currency)s, %(description)s, %(return_url)s, %(cancel_url)s,
    %(method_id)s, %(off_session)s, %(page)s, %(save_method)s, %(now)s, %(check_at)s
)
ON CONFLICT (org_id, payment_id) DO NOTHING
"""
_READ_PAYMENT: Final = f"""
SELECT {_PAYMENT} FROM payment WHERE org_id = %(org_id)s AND payment_id = %(payment_id)s
"""
_READ_PAYMENTS: Final = f"""
SELECT {_PAYMENT} FROM payment WHERE org_id = %(org_id)s AND payment_id = ANY (%(ids)s)
"""
_LOCK_PAYMENT: Final = f"""
SELECT {_PAYMENT} FROM payment WHERE org_id = %(org_id)s AND payment_id = %(payment_id)s
FOR NO KEY UPDATE
"""
_READ_PAYMENT_BY_REF: Final = f"""
SELECT {_PAYMENT} FROM payment WHERE processor = %(processor)s AND ref = %(ref)s
"""
_READ_PAYMENT_BY_PAGE: Final = f"""
SELECT {_PAYMENT} FROM payment WHERE processor = %(processor)s AND page_ref = %(page_ref)s
"""
_PAYMENTS_OF: Final = f"""
SELECT {_PAYMENT} FROM payment WHERE org_id = %(org_id)s AND subject_id = %(subject_id)s
ORDER BY payment_id
"""
_WRITE_PAYMENT: Final = """
UPDATE payment SET
    status = %(status)s, method_id = %(method_id)s, page_ref = %(page_ref)s,
    page_url = %(page_url)s, page_secret = %(page_secret)s,
    page_expires_at = %(page_expires_at)s, ref = %(ref)s, method_ref = %(method_ref)s,
    action_url = %(action_url)s, failure_code = %(failure_code)s,
    failure_retryable = %(failure_retryable)s, failure_detail = %(failure_detail)s,
    settled_at = %(settled_at)s, sent_at = %(sent_at)s,
    check_at = CASE WHEN %(settled_at)s::timestamptz IS NULL THEN %(check_at)s::timestamptz END,
    version = version + 1
WHERE org_id = %(org_id)s AND payment_id = %(payment_id)s
"""
# Asking moves the next time to ask away, twice as far each time: whoever asks may be killed.
_CLAIM_PAYMENTS: Final = f"""
UPDATE payment SET
    checks = checks + 1,
    check_at = %(now)s::timestamptz
        + least(make_interval(secs => 5 * 2 ^ least(checks, 20)), interval '1 hour')
WHERE (org_id, payment_id) IN (
    SELECT org_id, payment_id FROM payment
    WHERE check_at <= %(now)s AND (processor || livemode::text) = ANY (%(processors)s)
    ORDER BY check_at
    LIMIT %(most)s
    FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING {_PAYMENT}
"""
_PAYMENTS_SETTLED: Final = f"""
SELECT {_PAYMENT} FROM payment
WHERE processor = %(processor)s AND livemode = %(livemode)s AND status = 'succeeded'
  AND settled_at >= %(since)s AND settled_at < %(until)s
ORDER BY settled_at, org_id, payment_id
"""


async def insert_payment(
    tx: Connection, new: NewPayment, processor: str, now: datetime, check_at: datetime
) -> None:
    row = {**asdict(new), "processor": processor, "now": now, "check_at": check_at}
    await tx.execute(_INSERT_PAYMENT, row)


async def read_payment(connection: Connection, org_id: UUID, payment_id: UUID) -> Payment | None:
    return await _payment(connection, _READ_PAYMENT, org_id=org_id, payment_id=payment_id)


async def lock_payment(tx: Connection, org_id: UUID, payment_id: UUID) -> Payment | None:
    return await _payment(tx, _LOCK_PAYMENT, org_id=org_id, payment_id=payment_id)


async def read_payment_by_ref(connection: Connection, processor: str, ref: str) -> Payment | None:
    return await _payment(connection, _READ_PAYMENT_BY_REF, processor=processor, ref=ref)


async def read_payment_by_page(
    connection: Connection, processor: str, page_ref: str
) -> Payment | None:
    return await _payment(connection, _READ_PAYMENT_BY_PAGE, processor=processor, page_ref=page_ref)


async def payments_of(connection: Connection, org_id: UUID, subject_id: UUID) -> list[Payment]:
    """Every payment for one thing that is bought, oldest first."""
    return await _payments(connection, _PAYMENTS_OF, org_id=org_id, subject_id=subject_id)


async def read_payments(
    connection: Connection, org_id: UUID, payment_ids: Sequence[UUID]
) -> dict[UUID, Payment]:
    found = await _payments(connection, _READ_PAYMENTS, org_id=org_id, ids=list(payment_ids))
    return {payment.payment_id: payment for payment in found}


async def write_payment(tx: Connection, payment: Payment, check_at: datetime) -> None:
    """Write what can change; `check_at` is when to ask again if it is not settled."""
    await tx.execute(_WRITE_PAYMENT, {**asdict(payment), "check_at": check_at})


async def claim_payments(
    connection: Connection, processors: Sequence[str], now: datetime, most: int
) -> list[Payment]:
    """Take unfinished payments that are to be asked about; each goes to one process."""
    return await _payments(
        connection, _CLAIM_PAYMENTS, processors=list(processors), now=now, most=most
    )


async def payments_settled(
    connection: Connection, processor: str, since: datetime, until: datetime, *, livemode: bool
) -> AsyncIterator[Payment]:
    """Stream payments that succeeded in `[since, until)`, oldest first."""
    async with connection.cursor(row_factory=kwargs_row(_make_payment)) as cursor:
        asked = {"processor": processor, "livemode": livemode, "since": since, "until": until}
        async for payment in cursor.stream(_PAYMENTS_SETTLED, asked):
            yield payment


async def _payment(connection: Connection, query: LiteralString, **asked: object) -> Payment | None:
    found = await _payments(connection, query, **asked)
    return found[0] if found else None


async def _payments(connection: Connection, query: LiteralString, **asked: object) -> list[Payment]:
    async with connection.cursor(row_factory=kwargs_row(_make_payment)) as cursor:
        await cursor.execute(query, asked)
        return await cursor.fetchall()


def _make_payment(**row: Any) -> Payment:
    page, failure = row.pop("page"), row.pop("failure_code")
    return Payment(
        status=PaymentStatus(row.pop("status")),
        page=None if page is None else PageKind(page),
        failure_code=None if failure is None else FailureCode(failure),
        **row,
    )


# ── Refunds ──────────────────────────────────────────────────────────────────────────────────────

_REFUND: Final = """
    org_id, refund_id, payment_id, livemode, processor, ours, status, amount_minor, currency,
    reason, ref, failure_detail, intended_at, settled_at, version
"""
_INSERT_REFUND: Final = """
INSERT INTO refund (
    org_id, refund_id, payment_id, livemode, processor, ours, status, amount_minor, currency,
    reason, ref, failure_detail, intended_at, settled_at, check_at
) VALUES (
    %(org_id)s, %(refund_id)s, %(payment_id)s, %(livemode)s, %(processor)s, %(ours)s, %(status)s,
    %(amount_minor)s, %(currency)s, %(reason)s, %(ref)s, %(failure_detail)s, %(intended_at)s,
    %(settled_at)s, CASE WHEN %(settled_at)s::timestamptz IS NULL THEN %(check_at)s::timestamptz END
)
ON CONFLICT (org_id, refund_id) DO NOTHING
"""
_READ_REFUND: Final = f"""
SELECT {_REFUND} FROM refund WHERE org_id = %(org_id)s AND refund_id = %(refund_id)s
"""
_REFUNDS_OF: Final = f"""
SELECT {_REFUND} FROM refund WHERE org_id = %(org_id)s AND payment_id = %(payment_id)s
ORDER BY intended_at, refund_id
"""
_NEWEST_REFUNDS: Final = f"""
SELECT {_REFUND} FROM refund
WHERE %(intended_at)s::timestamptz IS NULL
   OR (intended_at, refund_id) < (%(intended_at)s, %(refund_id)s)
ORDER BY intended_at DESC, refund_id DESC
LIMIT %(limit)s
"""
_WRITE_REFUND: Final = """
UPDATE refund SET
    status = %(status)s, ref = %(ref)s, failure_detail = %(failure_detail)s,
    settled_at = %(settled_at)s,
    check_at = CASE WHEN %(settled_at)s::timestamptz IS NULL THEN %(check_at)s::timestamptz END,
    version = version + 1
WHERE org_id = %(org_id)s AND refund_id = %(refund_id)s
"""
_CLAIM_REFUNDS: Final = f"""
UPDATE refund SET
    checks = checks + 1,
    check_at = %(now)s::timestamptz
        + least(make_interval(secs => 5 * 2 ^ least(checks, 20)), interval '1 hour')
WHERE (org_id, refund_id) IN (
    SELECT org_id, refund_id FROM refund
    WHERE check_at <= %(now)s AND (processor || livemode::text) = ANY (%(processors)s)
    ORDER BY check_at
    LIMIT %(most)s
    FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING {_REFUND}
"""


async def insert_refund(tx: Connection, refund: Refund, check_at: datetime) -> None:
    await tx.execute(_INSERT_REFUND, {**asdict(refund), "check_at": check_at})


async def read_refund(connection: Connection, org_id: UUID, refund_id: UUID) -> Refund | None:
    found = await _refunds(connection, _READ_REFUND, org_id=org_id, refund_id=refund_id)
    return found[0] if found else None


async def refunds_of(connection: Connection, org_id: UUID, payment_id: UUID) -> list[Refund]:
    """Oldest first. Within a transaction, lock the payment before: that orders its refunds."""
    return await _refunds(connection, _REFUNDS_OF, org_id=org_id, payment_id=payment_id)


async def newest_refunds(
    connection: Connection, below: tuple[datetime, UUID] | None, limit: int
) -> list[Refund]:
    """Of all organizations, newest first; `below` is where the page before ended."""
    intended_at, refund_id = below or (None, None)
    return await _refunds(
        connection, _NEWEST_REFUNDS, intended_at=intended_at, refund_id=refund_id, limit=limit
    )


async def write_refund(tx: Connection, refund: Refund, check_at: datetime) -> None:
    await tx.execute(_WRITE_REFUND, {**asdict(refund), "check_at": check_at})


async def claim_refunds(
    connection: Connection, processors: Sequence[str], now: datetime, most: int
) -> list[Refund]:
    return await _refunds(
        connection, _CLAIM_REFUNDS, processors=list(processors), now=now, most=most
    )


async def _refunds(connection: Connection, query: LiteralString, **asked: object) -> list[Refund]:
    async with connection.cursor(row_factory=kwargs_row(_make_refund)) as cursor:
        await cursor.execute(query, asked)
        return await cursor.fetchall()


def _make_refund(**row: Any) -> Refund:
    return Refund(status=RefundStatus(row.pop("status")), **row)


# ── Disputes ─────────────────────────────────────────────────────────────────────────────────────

_DISPUTE: Final = """
    org_id, dispute_id, payment_id, livemode, processor, ref, status, amount_minor, currency,
    reason, evidence_due_at, opened_at, settled_at, version
"""
_INSERT_DISPUTE: Final = """
INSERT INTO dispute (
    org_id, dispute_id, payment_id, livemode, processor, ref, status, amount_minor, currency,
    reason, evidence_due_at, opened_at, settled_at
) VALUES (
    %(org_id)s, %(dispute_id)s, %(payment_id)s, %(livemode)s, %(processor)s, %(ref)s, %(status)s,
    %(amount_minor)s, %(currency)s, %(reason)s, %(evidence_due_at)s, %(opened_at)s, %(settled_at)s
)
"""
_WRITE_DISPUTE: Final = """
UPDATE dispute SET
    status = %(status)s, amount_minor = %(amount_minor)s, reason = %(reason)s,
    evidence_due_at = %(evidence_due_at)s, settled_at = %(settled_at)s, version = version + 1
WHERE org_id = %(org_id)s AND dispute_id = %(dispute_id)s
"""
_DISPUTES_OF: Final = f"""
SELECT {_DISPUTE} FROM dispute WHERE org_id = %(org_id)s AND payment_id = %(payment_id)s
ORDER BY opened_at, dispute_id
"""
_NEWEST_DISPUTES: Final = f"""
SELECT {_DISPUTE} FROM dispute
WHERE (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(opened_at)s::timestamptz IS NULL
       OR (opened_at, dispute_id) < (%(opened_at)s, %(dispute_id)s))
ORDER BY opened_at DESC, dispute_id DESC
LIMIT %(limit)s
"""


async def insert_dispute(tx: Connection, dispute: Dispute) -> None:
    await tx.execute(_INSERT_DISPUTE, asdict(dispute))


async def write_dispute(tx: Connection, dispute: Dispute) -> None:
    await tx.execute(_WRITE_DISPUTE, asdict(dispute))


async def newest_disputes(
    connection: Connection,
    status: DisputeStatus | None,
    below: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Dispute]:
    """Of all organizations, newest first; `below` is where the page before ended."""
    opened_at, dispute_id = below or (None, None)
    asked = {"status": status, "opened_at": opened_at, "dispute_id": dispute_id, "limit": limit}
    async with connection.cursor(row_factory=kwargs_row(_make_dispute)) as cursor:
        await cursor.execute(_NEWEST_DISPUTES, asked)
        return await cursor.fetchall()


async def disputes_of(connection: Connection, org_id: UUID, payment_id: UUID) -> list[Dispute]:
    """Oldest first. Within a transaction, lock the payment before: that orders its disputes."""
    asked = {"org_id": org_id, "payment_id": payment_id}
    async with connection.cursor(row_factory=kwargs_row(_make_dispute)) as cursor:
        await cursor.execute(_DISPUTES_OF, asked)
        return await cursor.fetchall()


def _make_dispute(**row: Any) -> Dispute:
    return Dispute(status=DisputeStatus(row.pop("status")), **row)
