"""Tollkeeper's refusals as exceptions: what they have in common, and those caught most often.

The classes of all other codes are in `error_codes`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar, cast


class TollkeeperError(Exception):
    """Any refusal. `code` is stable, `detail` a sentence for people, `problem` the whole answer."""

    codes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        # The names that httpx, openai, Starlette and LiteLLM look for.
        self.status_code = status
        self.headers: dict[str, str] = {}
        self.code: str = str(problem.get("code", "unknown"))
        self.detail: str = str(problem.get("detail", "Tollkeeper did not say why"))
        super().__init__(f"{self.detail} ({self.code})")


class PaymentRequired(TollkeeperError):
    """402: nothing may be spent, for whatever reason: no credit, a budget, a frozen balance."""

    @property
    def required(self) -> Decimal | None:
        return _decimal(self.problem.get("required"))

    @property
    def available(self) -> Decimal | None:
        return _decimal(self.problem.get("available"))

    @property
    def currency(self) -> str | None:
        return self.problem.get("currency")

    @property
    def limit_source(self) -> str | None:
        """Which limit it was, such as `balance`."""
        return self.problem.get("limitSource")

    @property
    def top_up_url(self) -> str | None:
        return self.problem.get("topUpUrl")

    @property
    def resets_at(self) -> datetime | None:
        """When a budget or an allowance begins anew."""
        return _moment(self.problem.get("resetsAt"))


class InsufficientCredits(PaymentRequired):
    codes = ("insufficient_credits",)


class WalletFrozen(PaymentRequired):
    codes = ("wallet_frozen",)


class InvalidRequest(TollkeeperError):
    codes = ("invalid_request", "invalid_usage", "amount_out_of_range", "amount_not_payable")

    @property
    def details(self) -> Mapping[str, Any]:
        """Every fault by member."""
        return self.problem.get("details", {})


class Unauthenticated(TollkeeperError):
    codes = ("invalid_api_key", "admin_key_required")


class Forbidden(TollkeeperError):
    codes = ("forbidden",)


class NotFound(TollkeeperError):
    codes = ("not_found", "project_not_found", "payment_method_not_found")


class Conflict(TollkeeperError):
    """409: not as things are now."""


class Unprocessable(TollkeeperError):
    """422: it can be read, and cannot be done."""


class ModelNotPriced(Unprocessable):
    codes = ("model_not_priced",)


class IdempotencyKeyReused(Unprocessable):
    codes = ("idempotency_key_reused",)


class AlreadyCharged(Unprocessable):
    codes = ("already_charged",)


class PurchaseInProgress(Conflict):
    codes = ("purchase_in_progress",)


class PaymentMethodDeclined(Unprocessable):
    codes = ("payment_method_declined",)


class RateLimited(TollkeeperError):
    codes = ("rate_limit_exceeded",)


class Unavailable(TollkeeperError):
    """Tried several times: nobody knows whether it happened."""

    codes = ("service_unavailable", "server_stopping", "payment_processor_unavailable")


class ConnectionFailed(Unavailable):
    """No answer came, however often it was tried."""

    codes = ()

    def __init__(self, detail: str) -> None:
        super().__init__(503, {"code": "connection_failed", "detail": detail})


def error_of(status: int, content: bytes) -> TollkeeperError:
    """Make the error that an answer is, also where something between us answered."""
    try:
        said: Any = json.loads(content, parse_float=Decimal)
    except ValueError:
        said = None
    problem = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    kind = _by_code().get(str(problem.get("code"))) or kind_of_status(status)
    return kind(status, problem or {"detail": f"The answer was {status}, and no problem JSON"})


def kind_of_status(status: int) -> type[TollkeeperError]:
    return _BY_STATUS.get(status, TollkeeperError)


def kinds(of: type[TollkeeperError] = TollkeeperError) -> Iterator[type[TollkeeperError]]:
    for kind in of.__subclasses__():
        yield kind
        yield from kinds(kind)


def _moment(text: Any) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _decimal(number: Any) -> Decimal | None:
    return None if number is None else Decimal(number)


_BY_STATUS: dict[int, type[TollkeeperError]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    402: PaymentRequired,
    403: Forbidden,
    404: NotFound,
    405: InvalidRequest,
    409: Conflict,
    413: InvalidRequest,
    415: InvalidRequest,
    422: Unprocessable,
    429: RateLimited,
    500: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


@cache
def _by_code() -> Mapping[str, type[TollkeeperError]]:
    return {code: kind for kind in kinds() for code in kind.codes}
