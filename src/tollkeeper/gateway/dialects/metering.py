"""What all stream meters share: events in, bytes out, one withheld ending."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.gateway import sse
from tollkeeper.gateway.dialects import faults
from tollkeeper.gateway.dialects.bounds import estimated_tokens
from tollkeeper.gateway.dialects.loose import is_text, members_of
from tollkeeper.gateway.dialects.model import Ask, Source, UpstreamError


class BaseMeter:
    """Splits events and keeps count of the text they carry. `_take` is each dialect's own."""

    def __init__(self, ask: Ask, secrets: tuple[str, ...] = ()) -> None:
        self.ended = False
        self.complete = False
        self.produced = False
        self.error: UpstreamError | None = None
        self._ask = ask
        self._secrets = secrets
        self._splitter = sse.Splitter()
        self._text_bytes = 0
        self._oddities: dict[str, None] = {}  # each once, in order

    def feed(self, chunk: bytes) -> bytes:
        if self.ended:
            return b""
        try:
            blocks = self._splitter.feed(chunk)
        except sse.EventTooLarge as why:
            return self._broken(str(why))
        out: list[bytes] = []
        for block in blocks:
            data = sse.data_of(block)
            out.append(block if data is None else self._take_text(block, data))
            if self.ended:
                break
        return b"".join(out)

    def end(self) -> bytes:
        rest = self._splitter.rest()
        data = None if self.ended else sse.data_of(rest)
        if data is None or not (data == b"[DONE]" or members_of(data)):
            return b""
        return self._take_text(rest.rstrip(b"\r\n") + b"\n\n", data)

    def _take_text(self, block: bytes, data: bytes) -> bytes:
        if is_text(data):
            return self._take(block, data)
        self._note_oddity("an event is not UTF-8")
        return block

    def _take(self, block: bytes, data: bytes) -> bytes:
        """Take one event; give what of it, and of what was held before it, passes on now."""
        raise AssertionError(block, data)

    def _count(self, text: str | None) -> None:
        if text:
            self.produced = True
            self._text_bytes += len(text) if text.isascii() else len(text.encode())

    def _note_oddity(self, said: str) -> None:
        self._oddities[said] = None

    def _fail_as_told(self, error: Any) -> bytes:
        """End with an error that the provider reported, as far as it is the client's business."""
        return self._fail(faults.judge_inside(error, self._secrets))

    def _fail(self, error: UpstreamError) -> bytes:
        self.error = error
        self.ended = True
        return b""

    def _broken(self, said: str) -> bytes:
        return self._fail(UpstreamError(message=said, type="api_error", code="upstream_broken"))

    def _source(self, *, reported: bool) -> Source:
        if reported:
            return "provider"
        return "estimated" if self.complete else "partial"

    def _estimated_output(self) -> int:
        """Estimate what was written: from its bytes, within what was allowed."""
        tokens = estimated_tokens(self._text_bytes)
        most = self._ask.output_bound(None)
        return tokens if most is None else min(tokens, most)

    def _estimated_input(self) -> int:
        bound = self._ask.input_tokens
        return self._ask.input_estimate if bound is None else min(self._ask.input_estimate, bound)


class StreamBroken(TollkeeperError):
    """The provider broke off in the middle of its answer"""

    code = "upstream_broken"
    status = 502
    retryable = True


def encoded(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))
