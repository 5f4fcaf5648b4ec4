"""What a page may ask of models, whoever provides it, and what a person writes to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta, Raw, Struct

from tollkeeper.base.money import Money, NumberText, parse_nanos
from tollkeeper.http.asgi import Headers, Message, Receive, Send
from tollkeeper.orgs import Guest

MAX_TEXT: Final = 60_000
MAX_TALK: Final = 400_000
MAX_ANSWER_TOKENS: Final = 32_000
_OK: Final = 200
# The last one, since what it says is no longer so.
_OF_MONEY: Final = frozenset(
    {b"x-tollkeeper-cost", b"x-tollkeeper-balance", b"x-tollkeeper-currency", b"content-length"}
)
_DATA: Final = b"data:"


class Model(Protocol):
    """A model that chats; its prices are for a million tokens."""

    @property
    def name(self) -> str: ...
    @property
    def seller(self) -> str: ...
    @property
    def read(self) -> Money: ...
    @property
    def written(self) -> Money: ...


class Foreseen(Protocol):
    @property
    def most(self) -> Money: ...
    @property
    def read(self) -> int: ...
    @property
    def written(self) -> int: ...


class Chat(Protocol):
    """Calls models on the path of every other call: held before, settled after, on record."""

    async def models(self, *, livemode: bool) -> Sequence[Model]: ...

    def foresee(self, guest: Guest, body: bytes, most_tokens: int) -> Foreseen: ...

    async def answer(
        self,
        guest: Guest,
        body: bytes,
        receive: Receive,
        send: Send,
        *,
        most_tokens: int,
        usage_id: UUID,
        tags: Mapping[str, str],
    ) -> None: ...


class Said(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One message of a talk. `call` is the usage record of an answer."""

    role: Literal["user", "assistant"]
    content: str
    call: Annotated[str, Meta(pattern=r"^use_[0-9a-f]{32}\Z")] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why no answer came, in the gateway's words and numbers."""

    status: int
    code: str
    message: str
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def amount(self, name: str) -> Money | None:
        found = self.metadata.get(name)
        return None if found is None else Money(parse_nanos(str(found)))


_talk: Final = msgspec.json.Decoder(list[Said])
_decode: Final = msgspec.json.Decoder(float_hook=NumberText).decode
_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode


def read_talk(text: str) -> list[Said]:
    """Raises ValueError for what our pages do not write."""
    return _talk.decode(text.encode()) if text else []


def write_talk(talk: Sequence[Said]) -> str:
    return msgspec.json.encode(talk).decode()


def body_of(model: str, system: str, talk: Sequence[Said], *, stream: bool) -> bytes:
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": one.role, "content": one.content} for one in talk]
    return msgspec.json.encode({"model": model, "messages": messages, "stream": stream})


def read_answer(body: bytes) -> str:
    """The words of a whole answer."""
    found: Any = _decode(body)
    content = found["choices"][0]["message"].get("content")
    return content if isinstance(content, str) else ""


def read_refusal(status: int, body: bytes) -> Refused:
    try:
        error: Any = _decode(body)["error"]
        return Refused(
            status=status,
            code=str(error.get("code") or ""),
            message=str(error.get("message") or ""),
            metadata=error.get("metadata") or {},
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return Refused(status=status, code="", message="")


class Catcher:
    """Stands where a client would. What succeeds goes on to `send`, if there is one, with the
    `headers`, and without what it cost if the reader sees no money; anything else is kept."""

    def __init__(
        self, send: Send | None = None, headers: Headers | None = None, *, sees_money: bool = True
    ) -> None:
        self._send = send
        self._headers = headers or []
        self._sees_money = sees_money
        self._line = b""
        self.status = 0
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        if self.passes and self._send is not None:
            if not self._sees_money:
                message = self._without_money(message)
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._headers]}
            await self._send(message)
        else:
            self.body += message.get("body", b"")

    def _without_money(self, message: Message) -> Message:
        """Pass whole lines on; what a call cost stands in lines that are events' data."""
        if message["type"] == "http.response.start":
            kept = [one for one in message["headers"] if one[0].lower() not in _OF_MONEY]
            return {**message, "headers": kept}
        *lines, self._line = (self._line + message.get("body", b"")).split(b"\n")
        if not message.get("more_body", False):
            lines, self._line = [*lines, self._line], b""
            return {**message, "body": b"\n".join(map(_costless, lines))}
        return {**message, "body": b"".join(_costless(line) + b"\n" for line in lines)}

    @property
    def passes(self) -> bool:
        return self.status == _OK


def _costless(line: bytes) -> bytes:
    """Leave the cost out of a line of a stream."""
    if b'"cost' not in line or not line.startswith(_DATA):
        return line
    try:
        told = _unpriced(_members(line.removeprefix(_DATA)))
        if bytes(told.get("usage", b"")).startswith(b"{"):
            told["usage"] = Raw(msgspec.json.encode(_unpriced(_members(told["usage"]))))
    except ValueError:
        return line
    return _DATA + b" " + msgspec.json.encode(told)


def _unpriced(members: Mapping[str, Raw]) -> dict[str, Raw]:
    return {name: value for name, value in members.items() if not name.startswith("cost")}
