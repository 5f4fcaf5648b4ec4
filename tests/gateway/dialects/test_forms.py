"""Forms with files: read in place, passed on but for the model's name."""

from __future__ import annotations

import pytest

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.gateway.dialects import TRANSCRIPTIONS, Answer, Change, Cost

TYPE = 'multipart/form-data; boundary="edge"'


def form(*fields: tuple[str, bytes], file: bytes | None = b"\x00\r\n--edg\r\n" * 100) -> bytes:
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
        % (name.encode(), value)
        for name, value in fields
    ]
    if file is not None:
        head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="name.wav"\r\n'
        parts.append(head + b"Content-Type: audio/wav\r\n\r\n" + file + b"\r\n")
    return b"".join(parts) + b"--edge--\r\n"


def test_a_form_passes_untouched_but_for_the_model():
    body = form(("model", b"whisper-1"), ("prompt", b"Gr\xc3\xbc\xc3\x9fe"), ("language", b"de"))
    ask = TRANSCRIPTIONS.read(body, TYPE)
    assert (ask.model, ask.preview, ask.stream) == ("whisper-1", "Grüße", False)
    assert TRANSCRIPTIONS.upstream_body(ask, Change(model="whisper-1")) is body
    renamed = TRANSCRIPTIONS.upstream_body(ask, Change(model="longer-name"))
    assert renamed == body.replace(b"whisper-1", b"longer-name")


def test_seconds_are_bounded_by_the_size_of_the_file():
    ask = TRANSCRIPTIONS.read(form(("model", b"whisper-1"), file=bytes(100_000)), TYPE)
    assert ask.bounds(None, None) == {"audio_second": 201}


def test_preamble_and_repeated_lists_are_taken():
    body = b"hello\r\n" + form(
        ("timestamp_granularities[]", b"word"),
        ("timestamp_granularities[]", b"segment"),
        ("model", b"whisper-1"),
    )
    assert TRANSCRIPTIONS.read(body, TYPE).model == "whisper-1"


MODEL = ("model", b"whisper-1")


@pytest.mark.parametrize(
    ("body", "content_type", "field"),
    [
        (form(MODEL), "application/json", ""),
        (form(MODEL), "multipart/form-data", ""),
        (form(MODEL), "multipart/form-data; boundary=other", ""),
        (b"", TYPE, ""),
        (form(MODEL)[:40], TYPE, ""),
        (form(MODEL, file=None), TYPE, "file"),
        (form(("language", b"de")), TYPE, "model"),
        (form(("model", b"")), TYPE, "model"),
        (form(("model", b"\xff")), TYPE, "model"),
        (form(MODEL, MODEL), TYPE, "model"),
        (form(MODEL, ("response_format", b"srt")), TYPE, "response_format"),
        (form(MODEL, ("prompt", b"x" * 200_000)), TYPE, "prompt"),
        (form(*[(f"f{n}", b"") for n in range(300)], MODEL), TYPE, ""),
    ],
)
def test_bad_forms_are_refused_and_the_field_named(body: bytes, content_type: str, field: str):
    with pytest.raises(InvalidRequest) as caught:
        TRANSCRIPTIONS.read(body, content_type)
    assert list(caught.value.faults) == [field]


def test_whispers_older_answers_tell_the_duration_beside_the_text():
    ask = TRANSCRIPTIONS.read(form(MODEL), TYPE)
    found = TRANSCRIPTIONS.read_answer(ask, b'{"text":"hi","duration":"8.47","segments":[]}')
    assert found.usage == {"audio_second": 9}
    assert found.reported


def test_an_answer_without_usage_is_estimated_from_the_file():
    ask = TRANSCRIPTIONS.read(form(MODEL, file=bytes(64_000)), TYPE)
    found = TRANSCRIPTIONS.read_answer(ask, b'{"text":"hi"}')
    assert (found.usage, found.source) == ({"audio_second": 5}, "estimated")
    assert isinstance(found, Answer)
    body = TRANSCRIPTIONS.with_cost(found, Cost(nanos=1_500))
    assert body is not None
    assert b'"cost":0.0000015' in body
