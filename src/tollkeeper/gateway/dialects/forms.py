"""Forms with files (RFC 7578, multipart/form-data): read in place, one field replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from tollkeeper.gateway.dialects.reading import fault

MAX_PARTS: Final = 200
MAX_TEXT: Final = 100_000
_BOUNDARY: Final = re.compile(r'boundary="?(?P<name>[^";,\s]{1,70})"?', re.IGNORECASE)
_NAME: Final = re.compile(rb'[;\s]name="?(?P<name>[^";\r\n]*)"?', re.IGNORECASE)


class Form(Struct, frozen=True):
    """Where each field's value begins and ends in the body."""

    body: bytes
    parts: Mapping[str, tuple[int, int]]

    def size(self, name: str) -> int:
        start, end = self.parts[name]
        return end - start

    def text(self, name: str) -> str:
        """Give a field's text; "" where it is not there. Raises InvalidRequest."""
        start, end = self.parts.get(name, (0, 0))
        if end - start > MAX_TEXT:
            raise fault(name, f"must have at most {MAX_TEXT} bytes")
        try:
            return self.body[start:end].decode()
        except UnicodeDecodeError as why:
            raise fault(name, "must be text in UTF-8") from why


def read(body: bytes, content_type: str) -> Form:
    """Find the fields of a form. Raises InvalidRequest."""
    found = _BOUNDARY.search(content_type)
    if found is None or not content_type.lower().startswith("multipart/form-data"):
        raise fault("", "The body must be a form (multipart/form-data) with a boundary")
    line = b"--" + found["name"].encode()
    parts: dict[str, tuple[int, int]] = {}
    at = 0 if body.startswith(line) else body.find(b"\r\n" + line) + 2
    if not body.startswith(line, at):
        raise fault("", "The body has no part that begins with its boundary")
    while not body.startswith(b"--", at + len(line)):
        name, start, end = _part(body, at + len(line), line)
        if name in parts and not name.endswith("[]"):
            raise fault(name, "must be given once")
        parts[name] = (start, end)
        if len(parts) > MAX_PARTS:
            raise fault("", f"The form has more than {MAX_PARTS} fields")
        at = end + 2
    return Form(body, parts)


def _part(body: bytes, at: int, line: bytes) -> tuple[str, int, int]:
    """Read the part whose boundary ends at `at`: its name, and where its value is."""
    head_end = body.find(b"\r\n\r\n", at)
    end = body.find(b"\r\n" + line, at)
    if head_end < 0 or end < head_end + 2:
        raise fault("", "The form is cut short or a part of it has no headers")
    named = _NAME.search(body[at:head_end])
    if named is None:
        raise fault("", "A part of the form has no name")
    start = head_end + 4
    return named["name"].decode("utf-8", "replace"), start, max(start, end)
