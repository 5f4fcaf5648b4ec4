"""Forms with files (RFC 7578, multipart/form-data): read in place, some fields replaced.

The provider reads the same bytes again, with a reader of its own. So what two readers could take
for two different forms is refused: a second boundary, a boundary inside of a part, a name in
another header, line ends that some take for none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.gateway.dialects.reading import fault

MAX_PARTS: Final = 200
MAX_TEXT: Final = 100_000
# A quotation mark inside of a value is the end of it for some readers.
_PARAMETER: Final = re.compile(
    r'\s*;\s*(?P<name>[\w!#$%&+.^`|~*-]+)=(?:"(?P<quoted>(?:[^"\\\r\n]|\\[^"\r\n])*)"'
    r"|(?P<plain>[\w!#$%&'*+.^`|~-]+))",
    re.ASCII,
)
_BOUNDARY: Final = re.compile(r"[\w'()+,./:=?-]{1,70}", re.ASCII)
_UNCODED: Final = frozenset({"7bit", "8bit", "binary"})


class Form(Struct, frozen=True):
    """Where each field's value begins and ends in the body; `line` begins every part."""

    body: bytes
    line: bytes
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
    line = b"--" + _boundary(content_type).encode()
    parts: dict[str, tuple[int, int]] = {}
    begun: int | None = None
    ended = False
    for at in _lines(body, line):
        if ended:
            raise _unreadable("goes on after its end")
        if begun is not None:
            name, start, end = _part(body, begun, at - 2)
            if name in parts and not name.endswith("[]"):
                raise fault(name, "must be given once")
            parts[name] = (start, end)
            if len(parts) > MAX_PARTS:
                raise _unreadable(f"has more than {MAX_PARTS} fields")
        begun = at + len(line) + 2
        ended = body.startswith(b"--", begun - 2)
    if begun is None:
        raise fault("", "The body has no part that begins with its boundary")
    if not ended:
        raise _unreadable("is cut short")
    return Form(body, line, parts)


def field(line: bytes, name: str, value: bytes) -> bytes:
    """Write a part of a form whose parts begin with `line`."""
    return b'%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (
        line,
        name.encode(),
        value,
    )


def _boundary(content_type: str) -> str:
    kind, semicolon, rest = content_type.partition(";")
    given = _parameters(semicolon + rest)
    wanted = "The body must be a form (multipart/form-data) with one boundary"
    if kind.strip().lower() != "multipart/form-data" or given is None:
        raise fault("", wanted)
    names = sorted(name for name, _ in given)
    boundary = dict(given).get("boundary", "")
    if names not in (["boundary"], ["boundary", "charset"]) or not _BOUNDARY.fullmatch(boundary):
        raise fault("", wanted)
    return boundary


def _parameters(text: str) -> list[tuple[str, str]] | None:
    """Read `; name=value; name="value"`. None: something else is there."""
    found: list[tuple[str, str]] = []
    at, text = 0, text.rstrip(" \t;")
    while at < len(text):
        one = _PARAMETER.match(text, at)
        if one is None:
            return None
        quoted: str | None = one["quoted"]
        found.append((one["name"].lower(), one["plain"] if quoted is None else quoted))
        at = one.end()
    return found


def _lines(body: bytes, line: bytes) -> Iterator[int]:
    """Find the lines that begin a part or end the form; any that only some take for one is a
    fault."""
    inside = _unreadable("has its boundary inside of a part")
    if b"\r" + line in body:
        raise inside
    at = 0 if body.startswith(line) else body.find(b"\n" + line) + 1 or -1
    while at >= 0:
        after = body[at + len(line) : at + len(line) + 4]
        ends = after in (b"--", b"--\r\n")
        if (at and body[at - 2 : at] != b"\r\n") or not (ends or after[:2] == b"\r\n"):
            raise inside
        yield at
        at = body.find(b"\n" + line, at) + 1 or -1


def _part(body: bytes, at: int, end: int) -> tuple[str, int, int]:
    """Read the part between `at` and `end`: its name, and where its value is."""
    # Where nothing is in it, the line end of its headers is the one before the next boundary.
    head_end = body.find(b"\r\n\r\n", at, end + 2)
    if head_end < 0:
        raise _unreadable("is cut short or a part of it has no headers")
    start = head_end + 4
    headers = body[at:head_end].decode("utf-8", "replace").split("\r\n")
    return _name(headers), start, max(start, end)


def _name(headers: list[str]) -> str:
    """Read the name from the one header that may tell it."""
    names: list[tuple[str, str]] = []
    for header in headers:
        key, _, value = header.partition(":")
        if "\r" in header or "\n" in header or key != key.strip():
            raise _unreadable("has a header that is not one line")
        if key.lower() == "content-disposition":
            kind, semicolon, rest = value.partition(";")
            given = _parameters(semicolon + rest)
            if given is None or kind.strip().lower() != "form-data":
                raise _unreadable("has a part whose name can be read in two ways")
            names += [one for one in given if one[0].startswith("name")]
        elif key.lower() == "content-transfer-encoding" and value.strip() not in _UNCODED:
            raise _unreadable("has a part in a transfer encoding")
    if [key for key, _ in names] != ["name"] or "\\" in names[0][1]:
        raise _unreadable("has a part without exactly one name")
    return names[0][1]


def _unreadable(said: str) -> InvalidRequest:
    return fault("", f"The form {said}")
