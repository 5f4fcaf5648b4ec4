"""An answer that comes in one piece: read it, charge it, send it with its cost."""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct

from tollkeeper.base.money import format_nanos
from tollkeeper.gateway.call import CURRENCY, JSON, Call, Ended, Parts
from tollkeeper.gateway.dialects import Answer as DialectAnswer
from tollkeeper.gateway.dialects import UnreadableAnswer
from tollkeeper.gateway.errors import CallTimeout, Stopping
from tollkeeper.gateway.metrics import Outcome
from tollkeeper.gateway.providers import UpstreamFailed
from tollkeeper.gateway.settlement import settle
from tollkeeper.gateway.upstream import (
    MAX_ANSWER_BYTES,
    Refused,
    dispatch,
    fail,
    is_plain,
    now,
    read_refusal,
    refuse,
    shown_error,
    succeeded,
    without_operators_words,
)
from tollkeeper.http.idempotency import Answer

_OK: Final = 200


class _Body(Struct, frozen=True):
    content: bytes
    content_type: str


async def answer_whole(parts: Parts, call: Call) -> Ended:
    begun = now()
    try:
        fetched = await _fetch(parts, call)
        call.upstream_seconds = now() - begun
        if isinstance(fetched, Refused):
            return await refuse(parts, call, fetched)
        answer = call.dialect.read_answer(call.ask, fetched.content, fetched.content_type)
    except (UpstreamFailed, UnreadableAnswer, CallTimeout, Stopping) as error:
        return await fail(parts, call, error)
    if answer.error is not None and not answer.produced:
        return await refuse(parts, call, shown_error(call, answer.error))
    return await _charge(parts, call, answer, fetched)


async def _fetch(parts: Parts, call: Call) -> _Body | Refused:
    try:
        with parts.flights.cuttable():
            async with asyncio.timeout_at(call.request.deadline):
                reply = await dispatch(call)
                try:
                    if not succeeded(call, reply):
                        return await read_refusal(call, reply)
                    content = await reply.body(MAX_ANSWER_BYTES)
                    return _Body(content, reply.headers.get("content-type", JSON))
                finally:
                    await reply.close()
    except TimeoutError as why:
        raise CallTimeout("The provider did not finish in time") from why


async def _charge(parts: Parts, call: Call, answer: DialectAnswer, fetched: _Body) -> Ended:
    answer = without_operators_words(call, answer)
    error = None if answer.error is None else answer.error.message
    settled = await settle(parts, call, answer, source=answer.source, error=error)
    parts.metrics.note_end(call.dialect.name, Outcome.ANSWERED)
    body = call.dialect.with_cost(answer, settled.cost)
    content_type = fetched.content_type if body is None else JSON
    if not is_plain(content_type):
        content_type = "application/octet-stream"
    headers = [
        ("content-type", content_type),
        ("x-tollkeeper-cost", format_nanos(settled.cost.nanos)),
        ("x-tollkeeper-balance", format_nanos(settled.balance_nanos)),
    ]
    if settled.cost.currency != CURRENCY:
        headers.append(("x-tollkeeper-currency", settled.cost.currency))
    whole = Answer(_OK, headers, fetched.content if body is None else body)
    return Ended(charged=True, answer=whole)
