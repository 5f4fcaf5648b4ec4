"""Errors in the shapes that OpenAI's and Anthropic's SDKs read."""

from __future__ import annotations

import re
from typing import Any, Final, cast

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.base.money import Money, format_nanos
from tollkeeper.gateway import sse
from tollkeeper.gateway.dialects.model import UpstreamError

_OPENAI_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SERVER_FAULT: Final = 500
_BAD_GATEWAY: Final = 502
_PAYMENT_REQUIRED: Final = 402
_TOO_MANY: Final = 429
# A provider's word about the operator's own account is none of the customer's business.
# In a stream it has no status; some write one as the code.
_OPERATORS_STATUSES: Final = frozenset({401, 402, 407})
_OPERATORS_CODES: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "invalid_api_key"}
    | {"exceeded_current_quota_error", "authentication_error", "billing_error"}
    | {str(status) for status in _OPERATORS_STATUSES}
)
_OPERATORS_WORDS: Final = re.compile(
    r"\b(?:credit balance|billing|quota|(?:spend|spending|usage) limits?|available credits"
    r"|(?:insufficient|out of|not enough|purchase|more) (?:credits?|funds|balance)"
    r"|(?:your|this) (?:account|organi[sz]ation|team|workspace|plan|subscription|api key))\b",
    re.IGNORECASE,
)
_LIMIT_CODES: Final = frozenset({"429", "rate_limit_exceeded", "rate_limit_error"})
_LIMIT_WORDS: Final = re.compile(
    r"\brate[ -]limit|\b(?:tokens|requests) per (?:min|hour|day)", re.IGNORECASE
)
# Names that the customer chose, as providers quote them: of a tool, a field, a model.
_QUOTED: Final = re.compile(r"(['\"`])[\w./:-]*\1")
_SECRETS: Final = re.compile(
    r"(?:\b(?:sk|pk|rk|gsk|xai|org|proj|user|key|AIza)[-_][\w*.-]{6,}|\bAIza[\w-]{10,}"
    r"|\bBearer\s+\S+)"
)
_MAX_MESSAGE: Final = 4_000


class OpenAIFaults:
    """How every endpoint of OpenAI's shows errors."""

    def error_body(self, error: TollkeeperError, request_id: str | None = None) -> bytes:
        del request_id  # OpenAI's clients read it from the header x-request-id.
        return openai_body(error)

    def stream_error(self, error: TollkeeperError, request_id: str | None = None) -> bytes:
        return sse.event(self.error_body(error, request_id))

    def upstream_error(
        self, status: int, body: bytes, secrets: tuple[str, ...] = ()
    ) -> tuple[int, bytes]:
        shown, error = judge_upstream(status, body, secrets)
        kind = error.type or _OPENAI_TYPES.get(shown) or _plain_type(shown)
        return shown, openai_shown(replace(error, type=kind))


def openai_body(error: TollkeeperError) -> bytes:
    return _encode({"error": _openai_error(error)})


def anthropic_body(error: TollkeeperError, request_id: str | None = None) -> bytes:
    """Anthropic's own members first; `code`, `param` and `metadata` tell what there is to know."""
    full = _openai_error(error)
    kind = _ANTHROPIC_TYPES.get(error.status) or _plain_type(error.status)
    body: dict[str, Any] = {
        "type": "error",
        "error": {"type": kind, "message": error.detail}
        | {name: full[name] for name in ("code", "param", "metadata") if full.get(name)},
    }
    if request_id:
        body["request_id"] = request_id
    return _encode(body)


def read_error(body: bytes, secrets: tuple[str, ...] = ()) -> UpstreamError | None:
    """Read a provider's error in any of the usual shapes. None: the body holds none."""
    try:
        whole: Any = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(whole, list) and whole:  # Google wraps its errors in a list.
        whole = cast("list[Any]", whole)[0]
    if not isinstance(whole, dict):
        return None
    fields = cast("dict[str, Any]", whole)
    error: Any = fields.get("error")
    if not error:
        error = fields if "message" in fields or "detail" in fields else None
    return None if error is None else error_from(error, secrets)


def error_from(error: Any, secrets: tuple[str, ...] = ()) -> UpstreamError:
    if not isinstance(error, dict):
        return UpstreamError(message=redact(str(error), secrets))
    fields = cast("dict[str, Any]", error)
    said: Any = fields.get("message") or fields.get("detail") or "The provider reported an error"
    text = said if isinstance(said, str) else msgspec.json.encode(said).decode()
    kind, code = fields.get("type"), fields.get("code")
    return UpstreamError(
        message=redact(text, secrets),
        type=kind if isinstance(kind, str) and kind != "error" else None,
        code=str(code) if isinstance(code, str | int) and not isinstance(code, bool) else None,
    )


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Take out anything that looks like a key or an account of the operator's."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return _SECRETS.sub("***", text)[:_MAX_MESSAGE]


def judge_upstream(
    status: int, body: bytes, secrets: tuple[str, ...] = ()
) -> tuple[int, UpstreamError]:
    """Decide what a client is told of a provider's error: its status, and its words redacted."""
    found = read_error(body, secrets) or UpstreamError(message=f"The provider answered {status}")
    return _judge(status, found)


def judge_inside(error: Any, secrets: tuple[str, ...] = ()) -> UpstreamError:
    """Decide the same of an error that a provider reported with status 200, or in a stream."""
    return _judge(_BAD_GATEWAY, error_from(error, secrets))[1]


def _judge(status: int, found: UpstreamError) -> tuple[int, UpstreamError]:
    named, words = {found.code, found.type}, _QUOTED.sub("", found.message)
    limited = status == _TOO_MANY or named & _LIMIT_CODES or _LIMIT_WORDS.search(words)
    theirs = status in _OPERATORS_STATUSES or named & _OPERATORS_CODES or status < 400  # noqa: PLR2004 (the first status that is an error)
    if theirs or (not limited and _OPERATORS_WORDS.search(words)):
        said = "The provider did not accept this gateway's request"
        return _BAD_GATEWAY, UpstreamError(message=said, type="api_error", code="upstream_refused")
    if limited:  # How much the operator may ask for, and how much of it is used.
        said = "Rate limit reached at the provider: send less, or later"
        shown = status if status < _SERVER_FAULT else _TOO_MANY
        return shown, replace(found, message=said, type="rate_limit_error")
    return status, found


def openai_shown(error: UpstreamError) -> bytes:
    """Show an error that a provider reported inside a stream."""
    kind = error.type or "api_error"
    inside = {"message": error.message, "type": kind, "param": None, "code": error.code}
    return _encode({"error": inside})


def anthropic_shown(error: UpstreamError) -> bytes:
    inside = {"type": error.type or "api_error", "message": error.message}
    return _encode({"type": "error", "error": inside})


def responses_event(body: bytes) -> bytes:
    """Make the event of a failed response out of an error body.

    The Responses reference puts the members at the top; OpenAI's SDK raises on `error`.
    """
    error: dict[str, Any] = msgspec.json.decode(body)["error"]
    top = {name: error.get(name) for name in ("code", "message", "param")}
    return _encode({"type": "error", **top, "sequence_number": 0, "error": error})


def anthropic_upstream(
    status: int, body: bytes, secrets: tuple[str, ...] = ()
) -> tuple[int, bytes]:
    shown, error = judge_upstream(status, body, secrets)
    kind = error.type or _ANTHROPIC_TYPES.get(shown) or _plain_type(shown)
    return shown, anthropic_shown(replace(error, type=kind))


def _openai_error(error: TollkeeperError) -> dict[str, Any]:
    inside: dict[str, Any] = {
        "message": error.detail,
        "type": _openai_type(error),
        "param": None,
        "code": error.code,
    }
    if isinstance(error, InvalidRequest) and error.faults:
        inside["param"] = next(iter(error.faults)) or None
    if error.members:
        inside["metadata"] = error.members
    return inside


def _openai_type(error: TollkeeperError) -> str:
    if error.status == _PAYMENT_REQUIRED:
        return error.code
    return _OPENAI_TYPES.get(error.status) or _plain_type(error.status)


def _plain_type(status: int) -> str:
    return "api_error" if status >= _SERVER_FAULT else "invalid_request_error"


def _encode(value: object) -> bytes:
    return msgspec.json.encode(value, enc_hook=_plain)


def _plain(value: object) -> object:
    return Raw(format_nanos(value.nanos).encode()) if isinstance(value, Money) else str(value)
