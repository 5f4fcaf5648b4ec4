"""What a provider is to the gateway: something that takes a call and gives a reply.

reply = await provider.send(Call(dialect="chat", path=…, body=…, headers=…, stream=…))
reply.status, reply.headers
await reply.body(limit)            or   async for chunk in reply.chunks(): …
await reply.close()                always; an unread reply gives its connection up
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import ClassVar, Protocol

from msgspec import Struct

from tollkeeper.base.errors import TollkeeperError


class Trouble(StrEnum):
    """How a call upstream can go wrong, in the order in which it can."""

    CONNECT = "connect_failed"  # nothing was sent: safe to send again
    NO_ANSWER = "no_answer"  # the connection was lost before the answer began
    SLOW = "first_byte_timeout"
    BROKEN = "broken"  # lost, or silent for too long, in the middle of the answer
    TOO_LARGE = "too_large"


class UpstreamFailed(TollkeeperError):
    """The provider could not be reached, or did not answer"""

    code = "upstream_failed"
    status = 502
    retryable = True
    trouble: ClassVar[Trouble] = Trouble.CONNECT


class UpstreamUnreachable(UpstreamFailed):
    """The provider could not be reached"""

    code = "upstream_unreachable"


class UpstreamGone(UpstreamFailed):
    """The provider closed the connection without an answer"""

    code = "upstream_no_answer"
    trouble = Trouble.NO_ANSWER


class UpstreamTimeout(UpstreamFailed):
    """The provider did not answer in time"""

    code = "upstream_timeout"
    status = 504
    trouble = Trouble.SLOW


class UpstreamBroke(UpstreamFailed):
    """The provider broke off in the middle of its answer"""

    code = "upstream_broken_off"
    trouble = Trouble.BROKEN


class UpstreamTooLarge(UpstreamFailed):
    """The provider's answer is larger than this gateway takes"""

    code = "upstream_too_large"
    trouble = Trouble.TOO_LARGE
    retryable = False


class Call(Struct, frozen=True, kw_only=True):
    """One request on its way upstream. `headers` are the client's, names in lower case."""

    dialect: str
    path: str
    body: bytes
    stream: bool = False
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


class Reply(Protocol):
    """An answer whose status and headers are here; its body may still be on its way."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, names in lower case."""
        ...

    async def body(self, limit: int) -> bytes:
        """Read it whole. Raises UpstreamBroke, UpstreamTooLarge."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Read it as it comes. Raises UpstreamBroke."""
        ...

    async def close(self) -> None:
        """Let go; what was not read is not waited for. Safe to call again."""
        ...


class Provider(Protocol):
    """`dialects` names those it speaks; `cap_field` and `ask_usage` are for `dialects.Change`.

    `secrets` are strings that must not reach a client, for `Dialect.upstream_error`.
    """

    @property
    def name(self) -> str: ...
    @property
    def dialects(self) -> frozenset[str]: ...
    @property
    def cap_field(self) -> str: ...
    @property
    def ask_usage(self) -> bool: ...
    @property
    def secrets(self) -> tuple[str, ...]: ...

    async def send(self, call: Call) -> Reply:
        """Send it, and return when status and headers have come.

        Raises UpstreamUnreachable, UpstreamGone, UpstreamTimeout.
        """
        ...
