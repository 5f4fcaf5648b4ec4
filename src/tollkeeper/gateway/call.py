"""One call on its way: what was asked and by whom, what it is sold for, what is held for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from msgspec import Struct

from tollkeeper.base.clock import Clock
from tollkeeper.base.settings import Settings
from tollkeeper.gateway.dialects import Ask, Dialect
from tollkeeper.gateway.flights import Flights
from tollkeeper.gateway.headers import CallHeaders
from tollkeeper.gateway.metrics import GatewayMetrics
from tollkeeper.gateway.models import Models, Sale
from tollkeeper.gateway.providers import Call as UpstreamCall
from tollkeeper.gateway.quote import Quote
from tollkeeper.http.idempotency import Answer
from tollkeeper.metering import Call as MeteredCall
from tollkeeper.metering import Meter
from tollkeeper.orgs import Caller, Guest
from tollkeeper.pricing import BookKeeper, Overage

CURRENCY: Final = "USD"
JSON: Final = "application/json"


class Parts(Struct, frozen=True, kw_only=True):
    """What the pipeline works with; one of each per process."""

    settings: Settings
    clock: Clock
    books: BookKeeper
    meter: Meter
    models: Models
    metrics: GatewayMetrics
    flights: Flights
    top_up_url: str | None


class Request(Struct, frozen=True, kw_only=True):
    """A call that was read and whose caller is known; `usage_id` will name its record.

    Moments are in seconds of the event loop's clock. `awaited`: the answer will be asked for
    again under its Idempotency-Key if the client leaves.
    """

    dialect: Dialect
    ask: Ask
    caller: Caller | Guest
    headers: CallHeaders
    request_id: str
    usage_id: UUID
    started: float
    deadline: float
    awaited: bool


class Visit(Struct, frozen=True, kw_only=True):
    """A call that comes without a key, from somebody who is signed in. Of two with the same
    `usage_id` one is made; they are the same call if they have the same `hashed`."""

    dialect: Dialect
    ask: Ask
    guest: Guest
    headers: CallHeaders
    request_id: str
    usage_id: UUID
    hashed: bytes


class Call(Struct, kw_only=True):
    """A request whose worst case is held for. `upstream_seconds` are the provider's own.

    `overage` are prices of the customer's plan, as they were when it was held for.
    """

    request: Request
    sale: Sale
    quote: Quote
    overage: Overage | None
    metered: MeteredCall
    upstream_seconds: float = 0.0

    @property
    def dialect(self) -> Dialect:
        return self.request.dialect

    @property
    def ask(self) -> Ask:
        return self.request.ask

    def for_upstream(self, body: bytes) -> UpstreamCall:
        return UpstreamCall(
            dialect=self.dialect.name,
            path=self.dialect.path,
            body=body,
            stream=self.ask.stream,
            content_type=self.request.headers.content_type or JSON,
            headers=self.request.headers.passed,
        )


class Ended(Struct, frozen=True, kw_only=True):
    """How a call ended: what is still to be sent, which is an answer or a stream's last piece."""

    charged: bool
    answer: Answer | None = None
    last: bytes = b""


def answered(status: int, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    return Answer(status, [("content-type", JSON), *headers], body)
