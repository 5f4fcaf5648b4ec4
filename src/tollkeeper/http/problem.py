"""Errors as `application/problem+json` (RFC 9457), in the one shape that CONTRACT names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.http.asgi import Headers
from tollkeeper.http.encoding import encode_json

MEDIA_TYPE: Final = "application/problem+json"
_PAYMENT_REQUIRED: Final = 402
_UNAUTHENTICATED: Final = 401
_TOO_LARGE: Final = 413
_TOO_MANY: Final = 429
# The members by which a rate limit is told, and their headers.
_RATES: Final = {
    "limit": b"x-ratelimit-limit",
    "remaining": b"x-ratelimit-remaining",
    "resetsInSeconds": b"x-ratelimit-reset",
}


class MethodNotAllowed(TollkeeperError):
    """This path does not take that method"""

    code = "method_not_allowed"
    status = 405

    def __init__(self, detail: str, allow: str) -> None:
        super().__init__(detail)
        self.allow = allow


def unexpected() -> TollkeeperError:
    """Make the answer to an exception nobody expected: it says nothing of the inside."""
    return TollkeeperError("It has been logged under this answer's x-request-id")


def problem_body(error: TollkeeperError) -> bytes:
    """Encode `{type, title, status, detail, code, error, …members}`, validation adds `details`."""
    body: dict[str, object] = {
        "type": f"urn:tollkeeper:error:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "error": error.title,
        **error.members,
    }
    if isinstance(error, InvalidRequest):
        body["details"] = nest_faults(error.faults)
    return encode_json(body)


def problem_headers(error: TollkeeperError) -> Headers:
    return [(b"content-type", MEDIA_TYPE.encode()), *manner_headers(error)]


def manner_headers(error: TollkeeperError) -> Headers:
    """Say by header what the client should do next; the gateway's own error shapes use it too."""
    headers: Headers = []
    if error.status == _PAYMENT_REQUIRED:
        headers.append((b"x-should-retry", b"false"))
    elif error.retryable:
        headers.append((b"x-should-retry", b"true"))
        seconds = error.members.get("retryAfterSeconds", 1)
        headers.append((b"retry-after", str(seconds).encode()))
    if error.status == _TOO_MANY:
        headers += [
            (header, str(error.members[name]).encode())
            for name, header in _RATES.items()
            if name in error.members
        ]
        if not error.retryable:
            headers.append((b"x-should-retry", b"false"))
    if error.status == _UNAUTHENTICATED:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.status == _TOO_LARGE:
        # The rest of the body is not read, so the connection cannot be used again.
        headers.append((b"connection", b"close"))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allow.encode()))
    return headers


def nest_faults(faults: Mapping[str, list[str]]) -> dict[str, Any]:
    """Turn `{"a.b": ["…"]}` into `{"_errors": [], "a": {"_errors": [], "b": {"_errors": …}}}`."""
    root: dict[str, Any] = {"_errors": []}
    for path, sentences in faults.items():
        place = root
        for name in path.split(".") if path else []:
            below: object = place.setdefault(name, {"_errors": []})
            if not isinstance(below, dict):  # a field that calls itself `_errors`
                break
            place = cast("dict[str, Any]", below)
        place["_errors"].extend(sentences)
    return root
