"""What the middlewares have in common: what a request costs, and how it is refused."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Final

from tollkeeper_client.asking import HeldWhat, SettledStory, Usage
from tollkeeper_client.charging import Charge
from tollkeeper_client.errors import TollkeeperError
from tollkeeper_client.wire import write_json

CHARGE: Final = "tollkeeper.charge"
FAILED: Final = 400
_UNAVAILABLE: Final = 503
_ITS_OWN: Final = frozenset({401, 402, 403})
_MANNERS: Final = {
    401: [("www-authenticate", "Bearer")],
    402: [("x-should-retry", "false")],
    503: [("x-should-retry", "true"), ("retry-after", "1")],
}
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Toll:
    """What a request costs at most. `used(…)` of its `tollkeeper.charge` says what it did cost."""

    estimate: Usage
    what: HeldWhat = field(default_factory=HeldWhat)


@dataclass(frozen=True)
class Refusal:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


NO_KEY: Final = TollkeeperError(
    401,
    {
        "type": "urn:tollkeeper:error:invalid_api_key",
        "title": "The API key is missing",
        "status": 401,
        "detail": "Send Authorization: Bearer, with your API key",
        "code": "invalid_api_key",
    },
)


def refusal_of(error: TollkeeperError) -> Refusal:
    """Say what the customer can mend as Tollkeeper said it; of all else, only that it failed."""
    status, problem = error.status, error.problem
    if status not in _ITS_OWN:
        _log.error("no credit could be held: %s", error)
        status = _UNAVAILABLE
        detail = "Credit cannot be checked just now; try again"
        problem = {"status": status, "code": "service_unavailable", "detail": detail}
    headers = [("content-type", "application/problem+json"), *_MANNERS.get(status, [])]
    return Refusal(status, headers, write_json(problem).encode())


def key_in(authorization: str, x_api_key: str | None) -> str | None:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else x_api_key


def story_of(charge: Charge, status: int | None) -> SettledStory:
    return SettledStory({"status": status or FAILED, **charge.story})
