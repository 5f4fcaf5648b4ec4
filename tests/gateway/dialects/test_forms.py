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


def test_a_form_passes_untouched_but_for_the_model_and_the_format():
    body = form(("model", b"whisper-1"), ("prompt", b"Gr\xc3\xbc\xc3\x9fe"), ("language", b"de"))
    ask = TRANSCRIPTIONS.read(body, TYPE)
    assert (ask.model, ask.preview, ask.stream) == ("whisper-1", "Grüße", False)
    sent = TRANSCRIPTIONS.upstream_body(ask, Change(model="whisper-1"))
    assert sent.endswith(body)
    renamed = TRANSCRIPTIONS.upstream_body(ask, Change(model="longer-name"))
    assert renamed == sent.replace(b"whisper-1", b"longer-name")


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
        (form(MODEL, ("url", b"https://example.org/ten-hours.mp3")), TYPE, "url"),
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


def test_an_answer_that_tells_no_duration_is_charged_what_was_held():
    """Ten minutes of thrifty sound are as large as half a minute of lavish one."""
    ask = TRANSCRIPTIONS.read(form(MODEL, file=bytes(64_000)), TYPE)
    for more in (b"", b',"duration":"NaN"', b',"duration":"-inf"', b',"usage":{"total_tokens":9}'):
        found = TRANSCRIPTIONS.read_answer(ask, b'{"text":"hi"%b}' % more)
        assert (found.usage, found.source) == ({"audio_second": 129}, "estimated")
    assert isinstance(found, Answer)
    body = TRANSCRIPTIONS.with_cost(found, Cost(nanos=1_500))
    assert body is not None
    assert b'"cost":0.0000015' in body


def test_whisper_is_asked_for_an_answer_that_tells_the_duration():
    same = Change(model="whisper-1")
    said = (
        b'--edge\r\nContent-Disposition: form-data; name="response_format"\r\n\r\nverbose_json\r\n'
    )
    for before in (b"", b"preamble\r\n"):
        body = before + form(MODEL)
        sent = TRANSCRIPTIONS.upstream_body(TRANSCRIPTIONS.read(body, TYPE), same)
        assert sent == before + said + form(MODEL)
        assert TRANSCRIPTIONS.read(sent, TYPE).model == "whisper-1"
    for given in (b"json", b""):
        body = form(("response_format", given), MODEL)
        sent = TRANSCRIPTIONS.upstream_body(TRANSCRIPTIONS.read(body, TYPE), same)
        assert sent == form(("response_format", b"verbose_json"), MODEL)


def test_whoever_asked_for_json_is_given_json():
    verbose = (
        b'{"task":"transcribe","language":"english","duration":8.47,"text":"hi","segments":[],'
        b'"words":[],"x_groq":{"id":"r"}}'
    )
    ask = TRANSCRIPTIONS.read(form(MODEL), TYPE)
    found = TRANSCRIPTIONS.read_answer(ask, verbose)
    assert (found.usage, found.source) == ({"audio_second": 9}, "provider")
    assert list(found.fields) == ["text", "x_groq"]
    asked = TRANSCRIPTIONS.read(form(MODEL, ("response_format", b"verbose_json")), TYPE)
    found = TRANSCRIPTIONS.read_answer(asked, verbose)
    assert len(found.fields) == 7


def test_others_are_asked_for_what_the_client_asked_for():
    for model, more in (
        (b"gpt-4o-transcribe", ()),
        (b"scribe-1", (("response_format", b"json"),)),
        (b"whisper-1", (("response_format", b"diarized_json"),)),
        (b"whisper-1", (("stream", b"true"),)),
    ):
        body = form(("model", model), *more)
        ask = TRANSCRIPTIONS.read(body, TYPE)
        assert TRANSCRIPTIONS.upstream_body(ask, Change(model=model.decode())) is body


def part(name: str, value: bytes, *more: str, boundary: str = "edge") -> bytes:
    headers = "\r\n".join([f'Content-Disposition: form-data; name="{name}"', *more])
    return f"--{boundary}\r\n{headers}\r\n\r\n".encode() + value + b"\r\n"


END = b"--edge--\r\n"
SAID = part("model", b"whisper-1") + part("file", b"S" * 1_000)
OTHER = part("model", b"dear", boundary="two") + part("file", b"S" * 9_000, boundary="two")


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; xboundary=edge; boundary=two",
        "multipart/form-data; boundary=two; boundary=edge",
        "multipart/form-data; boundary=edge; boundary*=utf-8''two",
        "multipart/form-data; boundary*0=tw; boundary*1=o; boundary=edge",
        'multipart/form-data; x="; boundary=edge; y="; boundary=two',
        'multipart/form-data; x="\\"; boundary=edge; y="; boundary=two',
        'multipart/form-data; boundary="edge\\""',
        "multipart/form-data; boundary=edge, multipart/form-data; boundary=two",
        "multipart/form-data-x; boundary=edge",
    ],
)
def test_a_form_has_one_boundary(content_type: str):
    """What is read by another boundary than the provider's is another form than it obeys."""
    with pytest.raises(InvalidRequest):
        TRANSCRIPTIONS.read(SAID + END + OTHER + b"--two--\r\n", content_type)


def test_other_parameters_of_a_form_are_let_pass():
    kind = 'Multipart/Form-Data ;charset=utf-8; BOUNDARY="edge";'
    assert TRANSCRIPTIONS.read(SAID + END, kind).model == "whisper-1"


@pytest.mark.parametrize(
    "body",
    [
        SAID + END + b"x\r\n" + SAID + END,
        SAID + b"\n--edge\r\nContent-Disposition: form-data; name=more\r\n\r\n\r\n" + END,
        SAID + b"--edge \r\n" + END,
        SAID + b"--edge--x" + END,
        b"\n" + SAID + END,
        SAID + part("note", b"x\n--edge\nContent-Disposition: form-data; name=url\n\nx") + END,
        SAID + b"--edge\r\nContent-Type: text/plain; name=note\r\n\r\nx\r\n" + END,
        SAID + part("note", b"x", 'Content-Disposition: form-data; name="url"') + END,
        SAID + part("note", b"x", ' ; name="url"') + END,
        SAID + part("note", b"x", 'Content-Disposition : form-data; name="url"') + END,
        SAID + part("note", b"x", 'X: y\nContent-Disposition: form-data; name="url"') + END,
        SAID + part('note"; name="language', b"x") + END,
        SAID + part("note\"; name*=utf-8''language; x=\"", b"x") + END,
        SAID + part('note"; filename="a\\"; name=language; x="', b"x") + END,
        SAID + part("no\\te", b"x") + END,
        SAID + part("note", b"x", "Content-Transfer-Encoding: quoted-printable") + END,
        SAID + b"--edge\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END,
        SAID + b'--edge\r\nContent-Disposition: form-data; x="name=note"\r\n\r\nx\r\n' + END,
        SAID,
        SAID + b"--edge\r\n",
    ],
)
def test_what_could_be_read_as_another_form_is_refused(body: bytes):
    with pytest.raises(InvalidRequest):
        TRANSCRIPTIONS.read(body, TYPE)


@pytest.mark.parametrize(
    "name",
    ["Model", "MODEL", "model[]", "model[0]", " model", "STREAM", "Response_Format", "File", "URL"],
)
def test_a_field_that_only_looks_like_one_of_ours_is_refused(name: str):
    with pytest.raises(InvalidRequest) as caught:
        TRANSCRIPTIONS.read(SAID + part(name, b"dear") + END, TYPE)
    assert list(caught.value.faults) == [name]


def test_what_clients_write_about_a_file_is_let_pass():
    head = '--edge\r\ncontent-disposition: form-data; filename="Grüße; C:\\x.wav"; '
    head += "filename*=utf-8''Gr%C3%BC.wav; name=file\r\n"
    head += "Content-Transfer-Encoding: binary\r\nContent-Type: audio/wav; name=model\r\n\r\n"
    body = part("model", b"whisper-1") + head.encode() + b"S" * 1_000 + b"\r\n--edge--"
    assert TRANSCRIPTIONS.read(body, TYPE).counted == {"audio_second": 3}
