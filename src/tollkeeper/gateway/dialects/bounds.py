"""Upper bounds of input tokens, and why they hold.

Text: every token of a byte-level tokenizer (OpenAI, Anthropic, Llama, Mistral, Qwen, DeepSeek) or
of one with byte fallback (Gemini) stands for at least one byte of UTF-8, and JSON never writes
text shorter than its UTF-8. So a body has at most as many text tokens as bytes. What is not in
the body is framing: special tokens around messages and tools (`PER_MESSAGE`, `PER_TOOL`, several
times what OpenAI's and Anthropic's references say), prompts of the provider's own
(`PROVIDER_PROMPT` with tools, where Anthropic documents at most 530, and `PER_PROVIDER_TOOL` for
a tool it defines, where it documents at most 735), and schemas, which templates print with
spaces and may repeat (`SCHEMA_FACTOR`).

Images: by the model's documented maximum, or its whole window where we know none.
Audio: the thriftiest codec these endpoints take (MP3, 8 kbit/s) spends 1,000 bytes on a second
and the greediest documented tokenizer (Gemini's) 32 tokens: 31 bytes for a token; we count one
for every 8. Files, URLs of documents and stored ids: the window; a small file can hold much text.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from tollkeeper.gateway.dialects.model import Ask

PER_MESSAGE: Final = 16
PER_TOOL: Final = 32
PER_PROVIDER_TOOL: Final = 800
PER_REQUEST: Final = 64
PROVIDER_PROMPT: Final = 800
SCHEMA_FACTOR: Final = 2
BYTES_PER_AUDIO_TOKEN: Final = 8
BYTES_PER_ESTIMATED_TOKEN: Final = 4
# OpenAI, "Audio": 24 kHz PCM16, one output token for each 50 ms.
_BYTES_PER_SPOKEN_TOKEN: Final = 2_400
LIKELY_IMAGE_TOKENS: Final = 765
LIKELY_PICTURE_TOKENS: Final = 1_056

# The most one image can cost, by the beginning of the model's name; the first that fits counts.
# OpenAI, "Images and vision", calculating costs: base + 8 tiles (2,048 by 768 pixels at most), or
# 1,536 patches times the model's factor; from GPT-5 on up to 10,000 patches at full detail, times
# 2.46, the greatest factor there has been. Anthropic, "Vision": about 4,784 at most.
_IMAGE_TOKENS: Final = (
    ("gpt-4o-mini", 2_833 + 8 * 5_667),
    ("gpt-4o", 85 + 8 * 170),
    ("gpt-4.1-mini", 2_489),
    ("gpt-4.1-nano", 3_779),
    ("gpt-4.1", 85 + 8 * 170),
    ("gpt-4.5", 85 + 8 * 170),
    ("gpt-4-turbo", 85 + 8 * 170),
    ("o4-mini", 2_642),
    ("o1", 75 + 8 * 150),
    ("o3", 75 + 8 * 150),
    ("gpt-5", 24_600),
    ("claude", 5_000),
    ("sandbox", 1_000),
)


def image_tokens(model: str) -> int | None:
    """Bound what one image costs this model in input tokens. None: only its window does."""
    name = model.rpartition("/")[2].lower()
    for prefix, tokens in _IMAGE_TOKENS:
        if name.startswith(prefix):
            return tokens
    return None


def with_images(beside: int | None, images: int, model: str) -> int | None:
    """Add to what is bounded beside them what so many images cost this model."""
    if not images or beside is None:
        return beside
    tokens = image_tokens(model)
    return None if tokens is None else beside + images * tokens


def sold_with_images(ask: Ask, model: str) -> Ask:
    """Bound the input as the model that answers reads it."""
    if not ask.images or model == ask.model:
        return ask
    return replace(ask, input_tokens=with_images(ask.beside_images, ask.images, model))


def audio_tokens(data: str) -> int:
    """Bound the tokens of audio in base64."""
    return base64_bytes(data) // BYTES_PER_AUDIO_TOKEN + PER_MESSAGE


def base64_bytes(data: str) -> int:
    return len(data) * 3 // 4


def estimated_tokens(text_bytes: int) -> int:
    """Estimate tokens from bytes of text, for answers whose provider gave no count."""
    return -(-text_bytes // BYTES_PER_ESTIMATED_TOKEN)


def estimated_sound(sound_bytes: int) -> int:
    """Estimate the tokens of sound that was written; where it is compressed, they are more."""
    return -(-sound_bytes // _BYTES_PER_SPOKEN_TOKEN)


class InputBound:
    """Adds up what the parts of a request can cost; one unbounded part unbounds it all."""

    def __init__(self, model: str, body_bytes: int) -> None:
        self._model = model
        self._tokens = body_bytes + PER_REQUEST
        self._text_bytes = 0
        self._media = 0
        self._likely_media = 0
        self._bounded = True
        self.audio = False
        self.images = 0

    def frame(
        self, *, messages: int, tools: int = 0, own_tools: int = 0, schema_bytes: int = 0
    ) -> None:
        """Count what is put around so many messages, tools, and tools of the provider's own."""
        self._tokens += messages * PER_MESSAGE + schema_bytes * (SCHEMA_FACTOR - 1)
        self._text_bytes += messages * PER_MESSAGE + schema_bytes
        if tools or own_tools:
            self._tokens += tools * PER_TOOL + own_tools * PER_PROVIDER_TOOL + PROVIDER_PROMPT

    def text(self, text: str) -> None:
        """Note text for the estimate; for the bound, the body has been counted whole."""
        self._text_bytes += len(text) if text.isascii() else len(text.encode())

    def image(self, inline: str | None) -> None:
        """Count one image; `inline` is its data where the body carries it (and not as text)."""
        self.images += 1
        self._leave_out(inline)
        self._likely_media += LIKELY_IMAGE_TOKENS

    def sound(self, data: str) -> None:
        self.audio = True
        self._leave_out(data)
        self._media += audio_tokens(data)
        self._likely_media += audio_tokens(data) // 8

    def unbounded(self, inline: str | None = None) -> None:
        """Note a part whose tokens nothing here bounds."""
        self._bounded = False
        self._leave_out(inline)

    @property
    def tokens(self) -> int | None:
        return with_images(self.beside_images, self.images, self._model)

    @property
    def beside_images(self) -> int | None:
        return self._tokens + self._media if self._bounded else None

    @property
    def estimate(self) -> int:
        return estimated_tokens(self._text_bytes) + self._likely_media

    def _leave_out(self, inline: str | None) -> None:
        self._tokens -= len(inline) if inline is not None else 0
