"""The bound of a normalised text: never less than it is, and never worked out by normalising."""

from __future__ import annotations

import sys
import unicodedata
from typing import Literal

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tollkeeper.gateway.dialects import CHAT, EMBEDDINGS
from tollkeeper.gateway.dialects.normalising import normalised_bytes

ALL = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
COMPOSED = [char for char in ALL if unicodedata.decomposition(char)]
MARKS = [char for char in ALL if unicodedata.combining(char)]


def nfkc_bytes(text: str) -> int:
    return len(unicodedata.normalize("NFKC", text).encode())


def test_no_character_is_longer_than_what_it_is_composed_of():
    stable = [char for char in COMPOSED if unicodedata.is_normalized("NFC", char)]
    assert len(stable) > 800
    for char in stable:
        assert len(char.encode()) <= len(unicodedata.normalize("NFD", char).encode())


def test_every_character_alone_and_before_a_mark_is_bounded():
    for char in ALL:
        for text in (char, char + "\u0323", "e" + char):
            assert normalised_bytes(text) >= nfkc_bytes(text)


@settings(max_examples=300, deadline=None)
@given(
    st.text(
        st.one_of(
            st.sampled_from("aeéが\u09c7\u09be\u1100\u1161\u11a8각가ﷺ\u0344\u1f82"),
            st.sampled_from(COMPOSED),
            st.sampled_from(MARKS),
            st.characters(exclude_categories=["Cs"]),
        ),
        max_size=40,
    )
)
@example("é\u0323")  # In normal form "ẹ" and an acute: a byte more than the two had.
@example("각\u0323\u1161\u11a8")
def test_no_text_is_longer_than_its_bound(text: str):
    assert normalised_bytes(text) >= max(nfkc_bytes(text), len(text.encode()))


@pytest.mark.parametrize("text", ["Grüße", "Tiếng Việt", "データをひらがな", "한국어", "हिन्दी"])
def test_text_that_is_normal_is_counted_exactly(text: str):
    assert normalised_bytes(text) == len(text.encode())


def test_escapes_hide_no_growth():
    """They are longer than what they stand for, which left room for text that grows."""
    one, other = b'"' + b"\\u0041" * 60 + b'"', '"' + "\ufdfa" * 10 + '"'
    body = b'{"model":"e","input":[%b,%b]}' % (one, other.encode())
    assert (EMBEDDINGS.read(body).input_tokens or 0) >= 60 + 10 * 33


def test_a_run_of_marks_is_never_sorted(monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []
    normalize = unicodedata.normalize

    def noted(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
        sizes.append(len(text))
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", noted)
    run = "\u0301" * 500 + "\u0316" * 500
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": run}]}
    assert (CHAT.read(msgspec.json.encode(body)).input_tokens or 0) >= len(run.encode())
    assert all(size == 1 for size in sizes)
