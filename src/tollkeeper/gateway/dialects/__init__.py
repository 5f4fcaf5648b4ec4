"""The wire formats that clients and providers speak: pure readers and writers of bytes."""

from tollkeeper.gateway.dialects.chat import Chat
from tollkeeper.gateway.dialects.embeddings import Embeddings
from tollkeeper.gateway.dialects.images import Images
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
from tollkeeper.gateway.dialects.responses import Responses
from tollkeeper.gateway.dialects.speech import Speech
from tollkeeper.gateway.dialects.transcriptions import Transcriptions

CHAT: Dialect = Chat()
RESPONSES: Dialect = Responses()
EMBEDDINGS: Dialect = Embeddings()
MESSAGES: Dialect = Messages()
IMAGES: Dialect = Images()
SPEECH: Dialect = Speech()
TRANSCRIPTIONS: Dialect = Transcriptions()

DIALECTS: dict[str, Dialect] = {
    dialect.path: dialect
    for dialect in (CHAT, RESPONSES, EMBEDDINGS, MESSAGES, IMAGES, SPEECH, TRANSCRIPTIONS)
}

__all__ = [
    "CHAT",
    "DIALECTS",
    "EMBEDDINGS",
    "IMAGES",
    "MESSAGES",
    "RESPONSES",
    "SPEECH",
    "TRANSCRIPTIONS",
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
