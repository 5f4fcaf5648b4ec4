"""What the headers of a call say: how it is to be paid, and labels for the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.http.asgi import Scope

MAX_TAGS: Final = 32
MAX_TAG_NAME: Final = 64
MAX_LABEL: Final = 256
MAX_TAGS_BYTES: Final = 8_192

_TRUTHS: Final = {"true": True, "1": True, "false": False, "0": False}
_TAGS: Final = msgspec.json.Decoder()


class CallHeaders(Struct, frozen=True, kw_only=True):
    """`clamp` is None where the client does not say; then the key's own setting holds."""

    content_type: str = ""
    clamp: bool | None = None
    thread_id: str | None = None
    end_user: str | None = None
    tags: Mapping[str, str] = {}
    passed: Mapping[str, str] = {}


# Those that a provider may be told; `providers` decides which of them each one is.
_PASSED: Final = frozenset({b"anthropic-beta", b"anthropic-version", b"openai-beta"})
_READ: Final = frozenset(
    {b"content-type", b"content-encoding"}
    | {b"x-tollkeeper-clamp", b"x-thread-id", b"x-end-user-id", b"x-tags"}
)


def read_headers(scope: Scope) -> CallHeaders:
    """Raises InvalidRequest, with the faults of all headers at once."""
    said: dict[bytes, bytes] = {}
    passed: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name in _READ:
            said.setdefault(name, value)
        elif name in _PASSED:
            passed[name.decode("latin-1")] = value.decode("latin-1")
    if len(said) == 1 and b"content-type" in said:  # Most calls say no more.
        return CallHeaders(content_type=said[b"content-type"].decode("latin-1"), passed=passed)
    return _read_all(said, passed)


def _read_all(said: Mapping[bytes, bytes], passed: Mapping[str, str]) -> CallHeaders:
    faults: dict[str, list[str]] = {}
    found = CallHeaders(
        content_type=said.get(b"content-type", b"").decode("latin-1"),
        clamp=_truth(said, b"x-tollkeeper-clamp", faults),
        thread_id=_label(said, b"x-thread-id", faults),
        end_user=_label(said, b"x-end-user-id", faults),
        tags=_tags(said.get(b"x-tags"), faults),
        passed=passed,
    )
    if said.get(b"content-encoding", b"identity").lower() != b"identity":
        faults["content-encoding"] = ["must be left out: bodies are taken as they are"]
    if faults:
        named = (
            f"{name}: {sentence}" for name, sentences in faults.items() for sentence in sentences
        )
        raise InvalidRequest("; ".join(named), faults)
    return found


def _label(said: Mapping[bytes, bytes], name: bytes, faults: dict[str, list[str]]) -> str | None:
    raw = said.get(name)
    if raw is None:
        return None
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not 1 <= len(text) <= MAX_LABEL or not text.isprintable():
        faults[name.decode()] = [f"must be 1 to {MAX_LABEL} printable characters"]
    return text


def _truth(said: Mapping[bytes, bytes], name: bytes, faults: dict[str, list[str]]) -> bool | None:
    raw = said.get(name)
    if raw is None:
        return None
    found = _TRUTHS.get(raw.decode("latin-1").strip().lower())
    if found is None:
        faults[name.decode()] = ["must be true or false"]
    return found


def _tags(raw: bytes | None, faults: dict[str, list[str]]) -> Mapping[str, str]:
    if raw is None:
        return {}
    if len(raw) > MAX_TAGS_BYTES:
        faults["x-tags"] = [f"must have at most {MAX_TAGS_BYTES} bytes"]
        return {}
    try:
        found: Any = _TAGS.decode(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        faults["x-tags"] = ['must be a JSON object such as {"team": "search"}']
        return {}
    tags = {name: _tag(value) for name, value in cast("dict[str, Any]", found).items()}
    if len(tags) > MAX_TAGS:
        faults["x-tags"] = [f"must have at most {MAX_TAGS} members"]
    for name, value in tags.items():
        if not 1 <= len(name) <= MAX_TAG_NAME or not name.isprintable():
            faults["x-tags"] = [f"names must be 1 to {MAX_TAG_NAME} printable characters"]
        elif value is None or len(value) > MAX_LABEL or not value.isprintable():
            faults[f"x-tags.{name}"] = [
                f"must be text of at most {MAX_LABEL} printable characters, a number, or a truth"
            ]
    return {name: value for name, value in tags.items() if value is not None}


def _tag(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    return None
