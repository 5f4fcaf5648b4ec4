"""Server-sent events, split from bytes that arrive cut anywhere (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import re
from typing import Final

# Atomic groups: a CRLF must not be taken apart into two line ends.
_BLANK_LINE: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
# A last event may carry a whole answer with images in it.
MAX_EVENT_BYTES: Final = 64 * 1024 * 1024


class EventTooLarge(ValueError):
    """An event is larger than any that a provider sends."""


class Splitter:
    """Cuts a byte stream into events, each with the blank line that ends it, bytes unchanged."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Give the events that are complete now. Raises EventTooLarge."""
        buffer = self._buffer
        if not buffer and chunk.find(b"\n\n") == len(chunk) - 2 >= 0 and b"\r" not in chunk:
            return [chunk]  # Most often a provider's write is one event.
        buffer += chunk
        blocks: list[bytes] = []
        start = 0
        while (end := self._next_end(start)) >= 0:
            blocks.append(bytes(buffer[start:end]))
            start = end
            self._searched = start
        if start:
            del buffer[:start]
        # Three bytes back: a blank line may have begun there.
        self._searched = max(0, len(buffer) - 3)
        if len(buffer) > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event has more than {MAX_EVENT_BYTES} bytes")
        return blocks

    def rest(self) -> bytes:
        """Give what is left when the stream has ended, and forget it."""
        left = bytes(self._buffer)
        self._buffer.clear()
        self._searched = 0
        return left

    def _next_end(self, start: int) -> int:
        buffer = self._buffer
        begin = max(start, self._searched)
        if buffer.find(b"\r", begin) < 0:
            found = buffer.find(b"\n\n", begin)
            return found + 2 if found >= 0 else -1
        match = _BLANK_LINE.search(buffer, begin)
        # A CR at the very end may be half of a CRLF that is still on its way.
        if match is None or (match.end() == len(buffer) and buffer[-1] == 0x0D):  # noqa: PLR2004 (CR)
            return -1
        return match.end()


def data_of(block: bytes) -> bytes | None:
    """Give an event's data, or None for comments and blank lines."""
    if block.startswith(b"data: ") and block.endswith(b"\n\n"):
        data = block[6:-2]
        if b"\n" not in data and b"\r" not in data:
            return data
    lines = [
        line[6:] if line.startswith(b"data: ") else line[5:]
        for line in _LINE_END.split(block)
        if line.startswith(b"data:")
    ]
    return b"\n".join(lines) if lines else None


def event(data: bytes, name: str | None = None) -> bytes:
    """Write one event."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + data + b"\n\n"
