"""The client. `client_sync.py` is written from this file by `generate.py`."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, ParamSpec, Self, TypeVar, Unpack

import httpx

from tollkeeper_client.answers import (
    AutoTopUp,
    Balance,
    Estimate,
    EventsTaken,
    Hold,
    Page,
    PaymentMethod,
    Purchase,
    Quote,
    Receipt,
    Transaction,
    UsageRecord,
    Voided,
)
from tollkeeper_client.asking import (
    Amount,
    Event,
    PurchaseTerms,
    RecordFilter,
    Sale,
    SettledStory,
    Told,
    TopUpChange,
    TransactionFilter,
    Usage,
    What,
    api_names,
)
from tollkeeper_client.charging import Charge
from tollkeeper_client.errors import TollkeeperError
from tollkeeper_client.pausing import pause_async
from tollkeeper_client.trying import (
    Outcome,
    answer_of,
    below,
    body_of,
    headers_of,
    may_retry,
    pause_before,
    query_of,
)
from tollkeeper_client.wire import in_camel_case, write_json

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class AsyncTollkeeper:
    """Everything raises TollkeeperError. Whatever changes something is sent with one
    Idempotency-Key for all its tries; `idempotency_key` makes it yours."""

    def __init__(
        self,
        api_key: str,
        base_url: str,
        *,
        timeout_seconds: float = 30,
        retries: int = 3,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`base_url` is the server's address, such as `https://billing.example.com`."""
        self._retries = retries
        self._http = httpx.AsyncClient(
            base_url=f"{base_url.rstrip('/').removesuffix('/api/v1')}/api/v1",
            headers={"authorization": f"Bearer {api_key}"},
            timeout=timeout_seconds,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def balance(self) -> Balance:
        return await self._get(Balance, "/billing/balance")

    async def quote(self, amount: Amount) -> Quote:
        return await self._post(Quote, "/billing/quotes", {"amount": amount})

    async def create_purchase(
        self, amount: Amount, *, idempotency_key: str | None = None, **terms: Unpack[PurchaseTerms]
    ) -> Purchase:
        """Buy credit: by the default payment method, unless the terms say otherwise."""
        said = {"amount": amount, **terms}
        return await self._post(Purchase, "/billing/purchases", said, idempotency_key)

    async def get_purchase(self, purchase_id: str) -> Purchase:
        return await self._get(Purchase, below("/billing/purchases", purchase_id))

    async def list_purchases(self, *, limit: int = 50, cursor: str | None = None) -> Page[Purchase]:
        asked = {"limit": limit, "cursor": cursor}
        return await self._get(Page[Purchase], "/billing/purchases", asked)

    async def resume_purchase(
        self,
        purchase_id: str,
        *,
        payment_method_id: str | None = None,
        return_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Purchase:
        said = {"payment_method_id": payment_method_id, "return_url": return_url}
        path = below("/billing/purchases", purchase_id, "/resume")
        return await self._post(Purchase, path, said, idempotency_key)

    async def cancel_purchase(self, purchase_id: str) -> Purchase:
        return await self._post(Purchase, below("/billing/purchases", purchase_id, "/cancel"))

    async def get_auto_top_up(self) -> AutoTopUp:
        return await self._get(AutoTopUp, "/billing/auto-top-up")

    async def set_auto_top_up(self, *, enabled: bool, **change: Unpack[TopUpChange]) -> AutoTopUp:
        said = {"enabled": enabled, **change}
        return await self._send(AutoTopUp, "PUT", "/billing/auto-top-up", content=body_of(said))

    async def list_payment_methods(self) -> Page[PaymentMethod]:
        return await self._get(Page[PaymentMethod], "/billing/payment-methods")

    async def list_usage_records(self, **asked: Unpack[RecordFilter]) -> Page[UsageRecord]:
        """Newest first. A page may be short, or empty, while it has a `next_cursor`."""
        return await self._get(Page[UsageRecord], "/billing/usage-records", asked)

    async def list_transactions(self, **asked: Unpack[TransactionFilter]) -> Page[Transaction]:
        return await self._get(Page[Transaction], "/billing/transactions", asked)

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
        **sale: Unpack[Sale],
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
        return await self._send(Voided, "DELETE", below("/metering/holds", hold_id))

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
        return await self._send(EventsTaken, "POST", "/metering/events", content=content)

    @asynccontextmanager
    async def charge(
        self,
        *,
        estimate: Usage | None = None,
        max_amount: Amount | None = None,
        request_id: str | None = None,
        ttl_seconds: int | None = None,
        **sale: Unpack[Sale],
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
        **what: Unpack[What],
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

    async def _get(self, kind: type[T], path: str, asked: Mapping[str, Any] | None = None) -> T:
        return await self._send(kind, "GET", path, query=query_of(asked))

    async def _post(
        self,
        kind: type[T],
        path: str,
        said: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> T:
        return await self._send(kind, "POST", path, content=body_of(said), key=key)

    async def _send(
        self,
        kind: type[T],
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        key: str | None = None,
    ) -> T:
        request = self._http.build_request(
            method, path, params=query, content=content, headers=headers_of(method, key)
        )
        outcome = await self._try(request)
        for attempt in range(self._retries):
            if not may_retry(outcome):
                break
            await pause_async(pause_before(attempt, outcome))
            outcome = await self._try(request)
        return answer_of(kind, outcome)

    async def _try(self, request: httpx.Request) -> Outcome:
        try:
            return await self._http.send(request)
        except httpx.TransportError as error:
            return error
