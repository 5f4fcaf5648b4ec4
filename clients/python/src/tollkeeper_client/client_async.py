"""The client. `client_sync.py` is written from this file by `generate.py`."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from decimal import Decimal
from typing import Any, ParamSpec, TypeVar, Unpack

from tollkeeper_client.account_async import AsyncAccount
from tollkeeper_client.answers import Estimate, EventsTaken, Hold, Receipt, Voided
from tollkeeper_client.answers_selling import Level
from tollkeeper_client.asking import (
    Amount,
    Event,
    HeldSale,
    HeldWhat,
    SettledStory,
    Told,
    Usage,
    What,
    api_names,
)
from tollkeeper_client.billing_async import AsyncBilling
from tollkeeper_client.charging import Charge
from tollkeeper_client.errors import TollkeeperError
from tollkeeper_client.operating_async import AsyncOperator
from tollkeeper_client.spending_async import AsyncSpending
from tollkeeper_client.trying import below
from tollkeeper_client.wire import in_camel_case, write_json

P = ParamSpec("P")
R = TypeVar("R")


class AsyncTollkeeper(AsyncBilling, AsyncSpending, AsyncAccount):
    """Everything raises TollkeeperError. Whatever changes something is sent with one
    Idempotency-Key for all its tries; `idempotency_key` makes it yours."""

    @property
    def operator(self) -> AsyncOperator:
        """What takes an operator key: organizations, credit by hand, refunds, prices."""
        return AsyncOperator(self)

    async def estimate(self, usage: Usage, **what: Unpack[What]) -> Estimate:
        """Say what a call would cost; it charges nobody."""
        return await self._post(Estimate, "/metering/estimate", {"usage": usage, **what})

    async def hold(
        self,
        *,
        estimate: Usage | None = None,
        max_amount: Amount | None = None,
        request_id: str | None = None,
        ttl_seconds: int | None = None,
        idempotency_key: str | None = None,
        **sale: Unpack[HeldSale],
    ) -> Hold:
        """Reserve the worst case, `estimate` or `max_amount`. One `request_id` is one charge.

        Raises InsufficientCredits.
        """
        said = {
            "estimate": estimate,
            "max_amount": max_amount,
            "request_id": request_id,
            "ttl_seconds": ttl_seconds,
            **api_names(sale),
        }
        return await self._post(Hold, "/metering/holds", said, idempotency_key)

    async def settle(self, hold_id: str, usage: Usage, **story: Unpack[SettledStory]) -> Receipt:
        """Charge a hold for what was used. It always posts, and only once."""
        said = {"usage": usage, **story}
        return await self._post(Receipt, below("/metering/holds", hold_id, "/settle"), said)

    async def void(self, hold_id: str) -> Voided:
        return await self.request(Voided, "DELETE", below("/metering/holds", hold_id))

    async def charge_now(
        self,
        usage: Usage,
        *,
        request_id: str | None = None,
        idempotency_key: str | None = None,
        **told: Unpack[Told],
    ) -> Receipt:
        """Hold and settle in one. Raises InsufficientCredits."""
        said = {"usage": usage, "request_id": request_id, **api_names(told)}
        return await self._post(Receipt, "/metering/charges", said, idempotency_key)

    async def report_events(self, events: Sequence[Event]) -> EventsTaken:
        """Report usage of the past. Look at `rejected`: one wrong event does not stop the others.

        Safe to send again by the ids of its events, however long ago it was.
        """
        content = write_json([in_camel_case(api_names(event)) for event in events]).encode()
        return await self.request(EventsTaken, "POST", "/metering/events", content)

    async def report_level(
        self,
        organization_id: str,
        name: str,
        level: int | Decimal,
        *,
        since: datetime | None = None,
        livemode: bool = True,
    ) -> Level:
        """Say what an organization has from `since` (now) on: each full hour of it is charged."""
        said = {
            "organization_id": organization_id,
            "name": name,
            "level": level,
            "since": since,
            "livemode": livemode,
        }
        return await self.request(Level, "PUT", "/metering/levels", said)

    def levels(self, organization_id: str, *, livemode: bool = True) -> AsyncIterator[Level]:
        asked = {"organization_id": organization_id, "livemode": livemode}
        return self.each(Level, "/metering/levels", asked)

    @asynccontextmanager
    async def charge(
        self,
        *,
        estimate: Usage | None = None,
        max_amount: Amount | None = None,
        request_id: str | None = None,
        ttl_seconds: int | None = None,
        **sale: Unpack[HeldSale],
    ) -> AsyncGenerator[Charge]:
        """Hold before the block, settle what `charge.used` said after it, void on any exception.

        Raises InsufficientCredits before the block is entered.
        """
        hold = await self.hold(
            estimate=estimate,
            max_amount=max_amount,
            request_id=request_id,
            ttl_seconds=ttl_seconds,
            **sale,
        )
        charge = Charge(hold, estimate)
        try:
            yield charge
            usage = charge.known_usage()
        except BaseException:
            # A hold that cannot be given back ends by itself; the block's exception matters more.
            with suppress(TollkeeperError):
                await self.void(hold.id)
            raise
        charge.receipt = await self.settle(hold.id, usage, **charge.story)

    def metered(
        self,
        *,
        estimate: Usage,
        usage: Callable[[Any], Usage] | None = None,
        customer_key: Callable[..., str] | None = None,
        **what: Unpack[HeldWhat],
    ) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
        """Decorate a function that costs credit: held before, settled after, free if it raises.

        `usage` reads from the result what it used (unless given: the estimate), `customer_key`
        from the arguments who pays (unless given: whoever this client's key belongs to).
        """

        def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
            @functools.wraps(function)
            async def metered(*args: P.args, **kwargs: P.kwargs) -> R:
                payer = None if customer_key is None else customer_key(*args, **kwargs)
                async with self.charge(estimate=estimate, customer_key=payer, **what) as charge:
                    result = await function(*args, **kwargs)
                    if usage is not None:
                        charge.used(usage(result))
                return result

            return metered

        return decorate
