"""The wire formats that clients and providers speak: pure readers and writers of bytes."""

from tollkeeper.gateway.dialects.chat import Chat
from tollkeeper.gateway.dialects.messages import Messages
from tollkeeper.gateway.dialects.metering import StreamBroken
from tollkeeper.gateway.dialects.model import (
    Answer,
    Ask,
    Change,
    Cost,
    Dialect,
    Source,
    StreamMeter,
    UpstreamError,
)
from tollkeeper.gateway.dialects.reading import UnreadableAnswer

CHAT: Dialect = Chat()
MESSAGES: Dialect = Messages()

DIALECTS: dict[str, Dialect] = {dialect.path: dialect for dialect in (CHAT, MESSAGES)}

__all__ = [
    "CHAT",
    "DIALECTS",
    "MESSAGES",
    "Answer",
    "Ask",
    "Change",
    "Cost",
    "Dialect",
    "Source",
    "StreamBroken",
    "StreamMeter",
    "UnreadableAnswer",
    "UpstreamError",
]
