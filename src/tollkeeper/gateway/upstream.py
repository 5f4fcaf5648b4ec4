"""Send a call to its provider, and turn what can go wrong into what the client is told."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
import structlog
from msgspec import Raw, Struct
from msgspec.structs import replace

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.gateway.call import JSON, Call, Ended, Parts, answered
from tollkeeper.gateway.dialects import Answer, Change, UpstreamError
from tollkeeper.gateway.dialects.faults import judge_inside, read_error
from tollkeeper.gateway.dialects.loose import value_of
from tollkeeper.gateway.metrics import Outcome
from tollkeeper.gateway.providers import Reply, UpstreamFailed, returned_headers
from tollkeeper.gateway.settlement import give_back
from tollkeeper.http.problem import manner_headers

_log = structlog.stdlib.get_logger(__name__)

# Images in base64 are the largest answers there are.
MAX_ANSWER_BYTES: Final = 64 * 2**20
_MAX_ERROR_BYTES: Final = 2**20
_SUCCESS: Final = range(200, 300)
_BAD_GATEWAY: Final = 502


class Refused(Struct, frozen=True, kw_only=True):
    """What the client is told of an answer that is none."""

    status: int
    body: bytes
    headers: dict[str, str]
    said: str


async def dispatch(call: Call) -> Reply:
    """Send the call. The reply is the caller's to close. Raises UpstreamFailed."""
    provider = call.sale.route.provider
    change = Change(
        model=call.sale.route.model,
        output_cap=call.quote.cap,
        cap_field=provider.cap_field,
        ask_usage=provider.ask_usage,
    )
    return await provider.send(call.for_upstream(call.dialect.upstream_body(call.ask, change)))


def succeeded(call: Call, reply: Reply) -> bool:
    """Tell whether an answer follows. A stream that comes as JSON is an error with status 200."""
    as_asked = not call.ask.stream or not reply.headers.get("content-type", "").startswith(JSON)
    return reply.status in _SUCCESS and as_asked


async def read_refusal(call: Call, reply: Reply) -> Refused:
    """Read a provider's error answer, as far as it concerns the client."""
    try:
        body = await reply.body(_MAX_ERROR_BYTES)
    except UpstreamFailed:
        body = b""
    return shown(call, reply.status, body, returned_headers(reply.headers))


def shown(call: Call, status: int, body: bytes, headers: dict[str, str]) -> Refused:
    told = _BAD_GATEWAY if status in _SUCCESS else status
    secrets = call.sale.route.provider.secrets
    found = read_error(body, secrets)
    status, body = call.dialect.upstream_error(told, body, secrets)
    error = read_error(body)
    if found is not None and error is not None and found.message != error.message:
        # It is the operator's business, and his alone.
        _log.warning(
            "provider_refused", provider=call.sale.route.name, status=told, said=found.message
        )
    kept = {n: v for n, v in headers.items() if n != "content-type" and is_plain(v)}
    said = error.message if error is not None else f"the provider answered {told}"
    return Refused(status=status, body=body, headers=kept, said=said)


def is_plain(value: str) -> bool:
    """Tell whether a provider's header can be sent on as it is."""
    return value.isascii() and value.isprintable()


def shown_error(call: Call, error: UpstreamError) -> Refused:
    """Show an error that a provider reported with status 200."""
    inside = {"message": error.message, "type": error.type, "code": error.code}
    return shown(call, _BAD_GATEWAY, msgspec.json.encode({"error": inside}), {})


def without_operators_words(call: Call, answer: Answer) -> Answer:
    """Leave out of an answer's error what only the operator may know."""
    if answer.error is None or "error" not in answer.fields:
        return answer
    secrets = call.sale.route.provider.secrets
    error = judge_inside(value_of(answer.fields["error"]), secrets)
    fields = {**answer.fields, "error": Raw(msgspec.json.encode(error))}
    return replace(answer, error=error, fields=fields)


async def refuse(parts: Parts, call: Call, refused: Refused) -> Ended:
    """Nothing was produced: charge nothing, and tell the client what the provider said."""
    await give_back(parts, call, status=refused.status, error=refused.said)
    parts.metrics.note_end(call.dialect.name, Outcome.UPSTREAM_ERROR)
    answer = answered(refused.status, refused.body, refused.headers.items())
    return Ended(charged=False, answer=answer)


async def fail(parts: Parts, call: Call, error: TollkeeperError) -> Ended:
    """Nothing was produced: charge nothing, and tell the client what went wrong on the way."""
    await give_back(parts, call, status=error.status, error=error.detail)
    parts.metrics.note_end(call.dialect.name, Outcome.UPSTREAM_ERROR)
    headers = ((name.decode(), value.decode()) for name, value in manner_headers(error))
    body = call.dialect.error_body(error, call.request.request_id)
    return Ended(charged=False, answer=answered(error.status, body, headers))


def now() -> float:
    return asyncio.get_running_loop().time()
