"""Who hears of what: rooms above register here, and act in the transaction of the change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tollkeeper.db import Connection
from tollkeeper.payments.model import (
    Change,
    DisputeChanged,
    MethodAdded,
    MethodRemoval,
    MethodRemoved,
    PaymentChanged,
    RefundChanged,
)
from tollkeeper.payments.subscription import SubscriptionChanged, SubscriptionFeePaid

C = TypeVar(
    "C",
    PaymentChanged,
    RefundChanged,
    DisputeChanged,
    MethodAdded,
    MethodRemoval,
    MethodRemoved,
    SubscriptionChanged,
    SubscriptionFeePaid,
)


class Handlers:
    """A handler that raises undoes the change: it is told of it again later, except of a
    `MethodRemoval`, which it refuses for good. It must not speak to the network."""

    def __init__(self) -> None:
        self._of: defaultdict[type, list[Callable[[Connection, Any], Awaitable[None]]]] = (
            defaultdict(list)
        )

    def on(self, kind: type[C], handler: Callable[[Connection, C], Awaitable[None]]) -> None:
        """Have `handler(tx, change)` called for each change of that kind, in order of `on`."""
        self._of[kind].append(handler)

    async def tell(
        self, tx: Connection, change: Change | SubscriptionChanged | SubscriptionFeePaid
    ) -> None:
        for handler in self._of[type(change)]:
            await handler(tx, change)
