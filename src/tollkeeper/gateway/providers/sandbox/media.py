"""The simulated model's pictures, speech and transcriptions, one class for each endpoint.

A picture of a GPT image model is 100 tokens; a second of sound is 16,000 bytes, or ten tokens.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final
from zlib import compress, crc32

import msgspec

from tollkeeper.gateway import sse
from tollkeeper.gateway.providers.sandbox.script import read_script
from tollkeeper.gateway.providers.sandbox.text import Heard, compose, tokens_in

IMAGE_OUTPUT_TOKENS: Final = 100
BYTES_PER_SECOND: Final = 16_000
TOKENS_PER_SECOND: Final = 10

_BY_TOKENS: Final = ("gpt-image", "chatgpt-image", "gpt-4o")


class HeardMedia(Heard, frozen=True, kw_only=True):
    seconds: int = 0
    partial_images: int = 0


class Pictures:
    def hear(self, body: dict[str, Any], /) -> HeardMedia:
        prompt: str = body["prompt"]
        return HeardMedia(
            model=body["model"],
            prompt_tokens=tokens_in(prompt),
            text=prompt,
            script=read_script(prompt),
            stream=bool(body.get("stream")),
            choices=body.get("n") or 1,
            partial_images=body.get("partial_images") or 0,
        )

    def whole(self, heard: HeardMedia, reply_id: str, created: int) -> dict[str, Any]:
        del reply_id  # Pictures carry no id.
        data = [{"b64_json": PICTURE} for _ in range(heard.choices)]
        return {"created": created, "data": data, **self._usage(heard)}

    def stream(self, heard: HeardMedia, reply_id: str, created: int) -> Iterator[bytes]:
        del reply_id
        for at in range(heard.partial_images):
            name = "image_generation.partial_image"
            yield _event(name, b64_json=PICTURE, partial_image_index=at, created_at=created)
        name = "image_generation.completed"
        yield _event(name, b64_json=PICTURE, created_at=created, **self._usage(heard))

    def _usage(self, heard: HeardMedia) -> dict[str, Any]:
        if heard.script.no_usage or not _is_by_tokens(heard):
            return {}
        written = IMAGE_OUTPUT_TOKENS * heard.choices
        return {
            "usage": {
                "input_tokens": heard.prompt_tokens,
                "input_tokens_details": {"text_tokens": heard.prompt_tokens, "image_tokens": 0},
                "output_tokens": written,
                "output_tokens_details": {"text_tokens": 0, "image_tokens": written},
                "total_tokens": heard.prompt_tokens + written,
            }
        }


class Speech:
    def hear(self, body: dict[str, Any], /) -> HeardMedia:
        text: str = body["input"]
        return HeardMedia(
            model=body["model"],
            prompt_tokens=tokens_in(text),
            text=text,
            script=read_script(text),
            stream=body.get("stream_format") == "sse",
            seconds=len(text) // 16 + 1,
        )

    def whole(self, heard: HeardMedia, reply_id: str, created: int) -> bytes:
        del reply_id, created  # Sound carries neither.
        return silence(heard.seconds)

    def stream(self, heard: HeardMedia, reply_id: str, created: int) -> Iterator[bytes]:
        del reply_id, created
        sound = silence(heard.seconds)
        for at in range(0, len(sound), BYTES_PER_SECOND):
            audio = b64encode(sound[at : at + BYTES_PER_SECOND]).decode()
            yield _event("speech.audio.delta", audio=audio)
        written = heard.seconds * TOKENS_PER_SECOND
        usage = {
            "input_tokens": heard.prompt_tokens,
            "output_tokens": written,
            "total_tokens": heard.prompt_tokens + written,
        }
        yield _event("speech.audio.done", **({} if heard.script.no_usage else {"usage": usage}))


class Transcription:
    def hear(self, body: dict[str, Any], /) -> HeardMedia:
        prompt: str = body.get("prompt") or ""
        return HeardMedia(
            model=body["model"],
            prompt_tokens=tokens_in(prompt),
            text=prompt,
            script=read_script(prompt),
            stream=str(body.get("stream")).lower() in ("true", "1"),
            seconds=body["file_size"] // BYTES_PER_SECOND + 1,
        )

    def whole(self, heard: HeardMedia, reply_id: str, created: int) -> dict[str, Any]:
        del reply_id, created  # Transcriptions carry neither.
        return {"text": compose(heard).text, **self._usage(heard)}

    def stream(self, heard: HeardMedia, reply_id: str, created: int) -> Iterator[bytes]:
        del reply_id, created
        said = compose(heard)
        for piece in said.pieces:
            yield _event("transcript.text.delta", delta=piece)
        yield _event("transcript.text.done", text=said.text, **self._usage(heard))

    def _usage(self, heard: HeardMedia) -> dict[str, Any]:
        if heard.script.no_usage:
            return {}
        if not _is_by_tokens(heard):
            return {"usage": {"type": "duration", "seconds": heard.seconds}}
        sound = heard.seconds * TOKENS_PER_SECOND
        written = compose(heard).tokens
        details = {"text_tokens": heard.prompt_tokens, "audio_tokens": sound}
        return {
            "usage": {
                "type": "tokens",
                "input_tokens": heard.prompt_tokens + sound,
                "input_token_details": details,
                "output_tokens": written,
                "total_tokens": heard.prompt_tokens + sound + written,
            }
        }


def silence(seconds: int) -> bytes:
    """Write a WAV file: one channel of 8 kHz, 16 bits, so 16,000 bytes for a second."""
    size = seconds * BYTES_PER_SECOND
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8_000, BYTES_PER_SECOND, 2, 16)
    head = struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
    return head + form + struct.pack("<4sI", b"data", size) + bytes(size)


def _is_by_tokens(heard: Heard) -> bool:
    return heard.model.rpartition("/")[2].startswith(_BY_TOKENS)


def _event(name: str, /, **members: Any) -> bytes:
    return sse.event(msgspec.json.encode({"type": name, **members}), name)


def _png() -> bytes:
    """Draw one grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", compress(b"\x00\x80")) + chunk(b"IEND", b"")


PICTURE: Final = b64encode(_png()).decode()
