"""What nobody has told us the end of: asked for, again and again, until it has one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.payments import store
from tollkeeper.payments.inbox.handling import names
from tollkeeper.payments.methods.keeping import detach_removed
from tollkeeper.payments.paying import conclude
from tollkeeper.payments.refunding import ask_refund
from tollkeeper.payments.subscribing.acting import pursue_unfinished
from tollkeeper.payments.till import Till

_BATCH: Final = 20

_log = structlog.stdlib.get_logger(__name__)


async def settle_unfinished(till: Till) -> int:
    """Ask about payments and refunds that have no end yet, tell processors what they have not heard
    about subscriptions, and finish removals of methods.

    The body of a background job, safe in many processes at once. Returns how many were asked
    about. Each is asked about ever more rarely, at most every hour.
    """
    now, asked = till.clock.now(), names(till)
    async with till.database.connection() as connection:
        payments = await store.claim_payments(connection, asked, now, _BATCH)
        refunds = await store.claim_refunds(connection, asked, now, _BATCH)
    for payment in payments:
        await _try("payment", lambda p=payment: conclude(till, p.org_id, p.payment_id))
    for refund in refunds:
        await _try("refund", lambda r=refund: ask_refund(till, r.org_id, r.refund_id))
    pursued = await pursue_unfinished(till, asked)
    return len(payments) + len(refunds) + pursued + await detach_removed(till, asked, _BATCH)


async def _try(what: str, act: Callable[[], Awaitable[object]]) -> None:
    try:
        await act()
    except TollkeeperError as error:
        _log.warning("unfinished", what=what, reason=f"{error.code}: {error.detail}")
    except Exception:  # noqa: BLE001 (one that cannot be settled must not keep the others waiting)
        _log.exception("unfinished", what=what)
