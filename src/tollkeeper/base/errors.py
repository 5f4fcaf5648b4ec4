"""The one tree of errors that customers see.

TollkeeperError
├── InvalidRequest (400) … one class per stable `code`, declared in the room that raises it

An error's docstring is its title; `detail` is the sentence for this case; `members` are extra
JSON members with what the client needs to go on. `retryable` says whether the same request can
succeed without anybody doing anything. Rooms raise these; `tollkeeper.http` and the gateway render
them. Nothing here knows HTTP beyond the number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar


class TollkeeperError(Exception):
    """Something went wrong"""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, **members: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members: Mapping[str, object] = members

    @property
    def title(self) -> str:
        return (type(self).__doc__ or "").strip()


class InvalidRequest(TollkeeperError):
    """The request is not valid"""

    code = "invalid_request"
    status = 400

    def __init__(self, detail: str, faults: Mapping[str, list[str]] | None = None) -> None:
        """`faults` maps a field (or "" for the whole body) to its sentences, all at once."""
        super().__init__(detail)
        self.faults: Mapping[str, list[str]] = faults or {}


class Unauthenticated(TollkeeperError):
    """The API key is missing, unknown, expired or revoked"""

    code = "invalid_api_key"
    status = 401


class Forbidden(TollkeeperError):
    """This key may not do that"""

    code = "forbidden"
    status = 403


class NotFound(TollkeeperError):
    """There is no such thing here"""

    code = "not_found"
    status = 404


class PayloadTooLarge(TollkeeperError):
    """The body is larger than this endpoint takes"""

    code = "payload_too_large"
    status = 413


class IdempotencyKeyReused(TollkeeperError):
    """This idempotency key was used with another request"""

    # Not 409: OpenAI's SDK retries 409.
    code = "idempotency_key_reused"
    status = 422


class RequestInProgress(TollkeeperError):
    """A request with this idempotency key is still running"""

    code = "request_in_progress"
    status = 409
    retryable = True


class RateLimited(TollkeeperError):
    """Too many requests"""

    code = "rate_limit_exceeded"
    status = 429
    retryable = True


class Unavailable(TollkeeperError):
    """The service cannot answer just now"""

    code = "service_unavailable"
    status = 503
    retryable = True


def catalogue() -> Iterator[type[TollkeeperError]]:
    """Every error class of ours that is loaded, for the reference page and its test."""
    pending: list[type[TollkeeperError]] = [TollkeeperError]
    while pending:
        error = pending.pop(0)
        if error.__module__.startswith("tollkeeper."):
            yield error
        pending.extend(error.__subclasses__())
