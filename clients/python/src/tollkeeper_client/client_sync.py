"""Written by `generate.py` from `client_async.py`: change that one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from typing import Any, ParamSpec, TypeVar, Unpack

from tollkeeper_client.account_sync import Account
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
from tollkeeper_client.billing_sync import Billing
from tollkeeper_client.charging import Charge
from tollkeeper_client.errors import TollkeeperError
from tollkeeper_client.operating_sync import Operator
from tollkeeper_client.spending_sync import Spending
from tollkeeper_client.trying import below
from tollkeeper_client.wire import in_camel_case, write_json

P = ParamSpec("P")
R = TypeVar("R")


class Tollkeeper(Billing, Spending, Account):
    """Everything raises TollkeeperError. Whatever changes something is sent with one
    Idempotency-Key for all its tries; `idempotency_key` makes it yours."""

    @property
    def operator(self) -> Operator:
        """What takes an operator key: organizations, credit by hand, refunds, prices."""
        return Operator(self)

    def estimate(self, usage: Usage, **what: Unpack[What]) -> Estimate:
        """Say what a call would cost; it charges nobody."""
        return self._post(Estimate, "/metering/estimate", {"usage": usage, **what})

    def hold(
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
        return self._post(Hold, "/metering/holds", said, idempotency_key)

    def settle(self, hold_id: str, usage: Usage, **story: Unpack[SettledStory]) -> Receipt:
        """Charge a hold for what was used. It always posts, and only once."""
        said = {"usage": usage, **story}
        return self._post(Receipt, below("/metering/holds", hold_id, "/settle"), said)

    def void(self, hold_id: str) -> Voided:
        return self.request(Voided, "DELETE", below("/metering/holds", hold_id))

    def charge_now(
        self,
        usage: Usage,
        *,
        request_id: str | None = None,
        idempotency_key: str | None = None,
        **told: Unpack[Told],
    ) -> Receipt:
        """Hold and settle in one. Raises InsufficientCredits."""
        said = {"usage": usage, "request_id": request_id, **api_names(told)}
        return self._post(Receipt, "/metering/charges", said, idempotency_key)

    def report_events(self, events: Sequence[Event]) -> EventsTaken:
        """Report usage of the past. Look at `rejected`: one wrong event does not stop the others.

        Safe to send again by the ids of its events, however long ago it was.
        """
        content = write_json([in_camel_case(api_names(event)) for event in events]).encode()
        return self.request(EventsTaken, "POST", "/metering/events", content)

    def report_level(
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
        return self.request(Level, "PUT", "/metering/levels", said)

    def levels(self, organization_id: str, *, livemode: bool = True) -> Iterator[Level]:
        asked = {"organization_id": organization_id, "livemode": livemode}
        return self.each(Level, "/metering/levels", asked)

    @contextmanager
    def charge(
        self,
        *,
        estimate: Usage | None = None,
        max_amount: Amount | None = None,
        request_id: str | None = None,
        ttl_seconds: int | None = None,
        **sale: Unpack[HeldSale],
    ) -> Generator[Charge]:
        """Hold before the block, settle what `charge.used` said after it, void on any exception.

        Raises InsufficientCredits before the block is entered.
        """
        hold = self.hold(
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
                self.void(hold.id)
            raise
        charge.receipt = self.settle(hold.id, usage, **charge.story)

    def metered(
        self,
        *,
        estimate: Usage,
        usage: Callable[[Any], Usage] | None = None,
        customer_key: Callable[..., str] | None = None,
        **what: Unpack[HeldWhat],
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function that costs credit: held before, settled after, free if it raises.

        `usage` reads from the result what it used (unless given: the estimate), `customer_key`
        from the arguments who pays (unless given: whoever this client's key belongs to).
        """

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            @functools.wraps(function)
            def metered(*args: P.args, **kwargs: P.kwargs) -> R:
                payer = None if customer_key is None else customer_key(*args, **kwargs)
                with self.charge(estimate=estimate, customer_key=payer, **what) as charge:
                    result = function(*args, **kwargs)
                    if usage is not None:
                        charge.used(usage(result))
                return result

            return metered

        return decorate
