"""An answer that comes piece by piece: passed on as it comes, charged before its last piece.

When the client leaves, the provider is read on for a while, to learn what the answer costs; it is
charged for what was produced either way.
"""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.gateway.call import Call, Ended, Parts
from tollkeeper.gateway.client import Client
from tollkeeper.gateway.dialects import Answer, Cost, Source, StreamBroken, StreamMeter
from tollkeeper.gateway.errors import CallTimeout, Stopping
from tollkeeper.gateway.metrics import Outcome
from tollkeeper.gateway.providers import Reply, UpstreamFailed
from tollkeeper.gateway.settlement import settle
from tollkeeper.gateway.upstream import (
    Refused,
    dispatch,
    fail,
    now,
    read_refusal,
    refuse,
    shown_error,
    succeeded,
)

_LEFT: Final = "the client left before the end"
_TOO_LONG: Final = "The answer took longer than answers may take here"
_NOTHING_CAME: Final = "The provider ended its answer before it had begun"


class _ClientLeft(TollkeeperError):
    """The client left, and the provider was not finished in time"""

    code = "client_left"
    status = 499  # nginx's number for it


class _End(Struct, frozen=True):
    """How reading ended: `error` is what cut it short, if anything did."""

    error: TollkeeperError | None = None
    refused: Refused | None = None
    reply: Reply | None = None


async def answer_stream(parts: Parts, call: Call, client: Client) -> Ended:
    begun = now()
    meter = call.dialect.meter(call.ask, call.sale.route.provider.secrets)
    end = await _read(parts, call, client, meter)
    try:
        return await _conclude(parts, call, client, meter, end, now() - begun)
    finally:
        # Not before it is settled: by then the end of the reply is here, and its connection can
        # be used again.
        if end.reply is not None:
            await end.reply.close()


async def _conclude(
    parts: Parts, call: Call, client: Client, meter: StreamMeter, end: _End, seconds: float
) -> Ended:
    call.upstream_seconds = seconds
    rest = b"" if meter.ended else meter.end()
    answer = meter.answer()
    if end.refused is not None:
        return await refuse(parts, call, end.refused)
    if not _is_charged(meter, answer):
        return await _give_up(parts, call, client, meter, end.error)
    error = end.error if end.error is not None or meter.complete else _broken(meter)
    return await _charge(parts, call, client, _Ending(meter, answer, rest, error))


class _Ending(Struct, frozen=True):
    meter: StreamMeter
    answer: Answer
    rest: bytes
    error: TollkeeperError | None


async def _charge(parts: Parts, call: Call, client: Client, ending: _Ending) -> Ended:
    meter, answer, error = ending.meter, ending.answer, ending.error
    gone = client.gone
    source: Source = "partial" if gone or (error and answer.source != "provider") else answer.source
    said = error.detail if error is not None else None
    if meter.error is not None:
        said = meter.error.message
    settled = await settle(
        parts, call, answer, source=source, error=said, notes=_notes(answer, gone=gone)
    )
    _note(parts, call, client, ending)
    shown = None if isinstance(error, _ClientLeft) else error
    return Ended(charged=True, last=ending.rest + meter.finish(settled.cost, shown))


async def _read(parts: Parts, call: Call, client: Client, meter: StreamMeter) -> _End:
    """Read until the answer has ended, broken off, or must not be waited for any longer."""
    try:
        with parts.flights.cuttable():
            async with asyncio.timeout_at(call.request.deadline) as limit:
                with client.when_gone(lambda: _hurry(parts, call, limit)):
                    return await _relay(call, client, meter)
    except TimeoutError:
        return _End(_ClientLeft(_LEFT) if client.gone else CallTimeout(_TOO_LONG))
    except (UpstreamFailed, Stopping) as error:
        return _End(error)


async def _relay(call: Call, client: Client, meter: StreamMeter) -> _End:
    reply = await dispatch(call)
    try:
        if not succeeded(call, reply):
            return _End(refused=await read_refusal(call, reply), reply=reply)
        async for chunk in reply.chunks():
            passed = meter.feed(chunk)
            if passed:
                await client.pass_on(passed)
            if meter.ended:
                break
    except BaseException:
        await reply.close()
        raise
    return _End(reply=reply)


def _hurry(parts: Parts, call: Call, limit: asyncio.Timeout) -> None:
    """From the client's leaving on, wait no longer than the settings say.

    An answer that will be asked for again is read to its end.
    """
    if not call.request.awaited:
        latest = now() + parts.settings.gateway.drain_seconds
        limit.reschedule(min(latest, call.request.deadline))


def _is_charged(meter: StreamMeter, answer: Answer) -> bool:
    """An answer that wrote nothing is charged only if it ended properly: then it is the answer."""
    return answer.produced or (meter.complete and meter.error is None)


def _broken(meter: StreamMeter) -> TollkeeperError | None:
    if meter.error is not None:
        return None  # The meter shows it itself.
    return StreamBroken("The provider broke off in the middle of its answer")


async def _give_up(
    parts: Parts, call: Call, client: Client, meter: StreamMeter, error: TollkeeperError | None
) -> Ended:
    """Charge nothing; say why in the stream if it has begun, or else as an answer."""
    failure = error or StreamBroken(_NOTHING_CAME)
    if meter.error is not None:
        ended = await refuse(parts, call, shown_error(call, meter.error))
    else:
        ended = await fail(parts, call, failure)
    if not client.begun:
        return ended
    shown = failure if meter.error is None else None
    return Ended(charged=False, last=meter.finish(Cost(nanos=0), shown))


def _notes(answer: Answer, *, gone: bool) -> list[str]:
    if not gone:
        return []
    counted = "the provider's" if answer.source == "provider" else "estimated"
    return [f"{_LEFT}; the counts are {counted}"]


def _note(parts: Parts, call: Call, client: Client, ending: _Ending) -> None:
    metrics, dialect = parts.metrics, call.dialect.name
    if client.gone:
        metrics.drains.labels("finished" if ending.meter.complete else "cut").inc()
        metrics.note_end(dialect, Outcome.CLIENT_GONE)
    elif ending.error is not None or ending.meter.error is not None:
        metrics.note_end(dialect, Outcome.BROKEN)
    else:
        metrics.note_end(dialect, Outcome.ANSWERED)
