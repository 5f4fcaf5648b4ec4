"""What is metered is decided by the model that answers, whatever name it was asked by."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from test_forms import TYPE, form

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.gateway.dialects import (
    CHAT,
    EMBEDDINGS,
    IMAGES,
    MESSAGES,
    RESPONSES,
    SPEECH,
    TRANSCRIPTIONS,
    Ask,
    Dialect,
)

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
BLOCK = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
INPUT_IMAGE = {"type": "input_image", "image_url": "https://example.org/a.png"}


def asked(dialect: Dialect, model: str, **more: Any) -> Ask:
    return dialect.read(msgspec.json.encode({"model": model, **more}))


def saying(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


CASES: dict[str, tuple[Dialect, dict[str, Any], tuple[str, str]]] = {
    "search": (CHAT, {"messages": saying("x")}, ("finder", "gpt-4o-search-preview")),
    "chat_image": (CHAT, {"messages": saying([IMAGE])}, ("gpt-4o", "gpt-4o-mini")),
    "chat_tool": (CHAT, {"messages": saying([IMAGE]), "tools": [{"type": "mcp"}]}, ("a", "gpt-4o")),
    "unknown_image": (CHAT, {"messages": saying([IMAGE])}, ("gpt-4o", "vision-9")),
    "messages_image": (
        MESSAGES,
        {"max_tokens": 9, "messages": saying([BLOCK])},
        ("claude-x", "other"),
    ),
    "messages_rounds": (
        MESSAGES,
        {"max_tokens": 9, "messages": saying([BLOCK]), "mcp_servers": [{"url": "x"}]},
        ("other", "claude-x"),
    ),
    "responses_image": (RESPONSES, {"input": saying([INPUT_IMAGE])}, ("draw", "gpt-5")),
    "responses_stored": (
        RESPONSES,
        {"input": saying([INPUT_IMAGE]), "previous_response_id": "r"},
        ("draw", "gpt-5"),
    ),
    "embeddings": (EMBEDDINGS, {"input": "x"}, ("embed", "text-embedding-3-small")),
    "images": (IMAGES, {"prompt": "a cat", "n": 3}, ("draw", "gpt-image-1")),
    "speech": (
        SPEECH,
        {"input": "Grüße", "stream_format": "sse"},
        ("voice", "openai/gpt-4o-mini-tts"),
    ),
}


@pytest.mark.parametrize(("dialect", "more", "names"), CASES.values(), ids=CASES)
def test_a_request_is_metered_as_if_it_had_named_the_model(
    dialect: Dialect, more: dict[str, Any], names: tuple[str, str]
):
    for name, model in (names, names[::-1]):
        sold = dialect.sold(asked(dialect, name, **more), model)
        named = asked(dialect, model, **more)
        for what in ("units", "modalities", "counted", "passes", "choices", "images"):
            assert getattr(sold, what) == getattr(named, what)
        assert (sold.input_tokens is None) == (named.input_tokens is None)
        # A longer name makes a longer body.
        longer = abs(len(name) - len(model))
        assert abs((sold.input_tokens or 0) - (named.input_tokens or 0)) <= longer
        assert sold.output_bound(None) == named.output_bound(None)
        assert (sold.model, dialect.sold(named, model)) == (name, named)


def test_a_form_too_is_metered_as_the_model_that_hears_it():
    for name, model in (("hear", "gpt-4o-transcribe"), ("gpt-4o-hear", "whisper-1")):
        sold = TRANSCRIPTIONS.sold(TRANSCRIPTIONS.read(form(("model", name.encode())), TYPE), model)
        named = TRANSCRIPTIONS.read(form(("model", model.encode())), TYPE)
        assert (sold.units, sold.modalities) == (named.units, named.modalities)
        assert (sold.counted, sold.input_estimate) == (named.counted, named.input_estimate)


def test_speech_is_refused_for_the_model_that_speaks_not_for_its_name():
    ask = asked(SPEECH, "gpt-voice", input="x")
    assert SPEECH.sold(ask, "tts-1").counted == {"character": 1}
    with pytest.raises(InvalidRequest) as caught:
        SPEECH.sold(asked(SPEECH, "voice", input="x"), "gpt-4o-mini-tts")
    assert list(caught.value.faults) == ["stream_format"]
