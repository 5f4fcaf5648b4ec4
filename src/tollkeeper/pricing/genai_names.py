"""What genai-prices calls providers, units and models, and what we call them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from genai_prices import types as genai

from tollkeeper.pricing.book import SNAPSHOT

PROVIDERS: Final[Mapping[str, str]] = {"x-ai": "xai"}

_MTOK: Final = 1_000_000

UNITS: Final[Mapping[str, tuple[str, int]]] = {
    "input_mtok": ("input", _MTOK),
    "output_mtok": ("output", _MTOK),
    "cache_read_mtok": ("cache_read", _MTOK),
    "cache_write_mtok": ("cache_write", _MTOK),
    "cache_write_1h_mtok": ("cache_write_1h", _MTOK),
    "output_reasoning_mtok": ("reasoning", _MTOK),
    "output_citation_mtok": ("citation", _MTOK),
    "input_audio_mtok": ("input_audio", _MTOK),
    "output_audio_mtok": ("output_audio", _MTOK),
    "cache_audio_read_mtok": ("cache_read_audio", _MTOK),
    "input_image_mtok": ("input_image", _MTOK),
    "output_image_mtok": ("output_image", _MTOK),
    "cache_image_read_mtok": ("cache_read_image", _MTOK),
    "input_video_mtok": ("input_video", _MTOK),
    "output_video_mtok": ("output_video", _MTOK),
    "requests_kcount": ("request", 1_000),
    "web_searches_kcount": ("web_search", 1_000),
    "storage_searches_kcount": ("file_search", 1_000),
    "social_searches_kcount": ("social_search", 1_000),
    "code_executions_kcount": ("code_execution", 1_000),
    "rerank_searches_kcount": ("rerank", 1_000),
    "input_text_messages_kcount": ("message", 1_000),
    "input_document_kpages": ("page", 1_000),
    "input_annotated_document_kpages": ("annotated_page", 1_000),
    "input_mchars": ("character", 1_000_000),
    "audio_hours": ("audio_second", 3_600),
    "input_audio_hours": ("audio_second", 3_600),
}

# `^gpt-6-sol-\d{4}-\d{2}-\d{2}$`: the patterns that stand for a dated snapshot.
_DATED: Final = re.compile(
    r"\^(?P<stem>(?:[\w-]|\\\.)+-|(?:[\w-]|\\\.)+\[-@\])(?:\\d\{8\}|\\d\{4\}-\\d\{2\}-\\d\{2\})\$"
)


_YEAR: Final = re.compile(r"20\d\d$")


def aliases_of(provider: genai.Provider) -> Mapping[str, tuple[str, ...]]:
    """Give each model's other names.

    Only names that mean one thing are taken over: equal names, and a beginning followed by a
    snapshot's date or number. Looser patterns ("contains …") would price models that nobody has
    looked at. A name that two models claim is the first one's, as it is in the library.
    """
    taken = {model.id for model in provider.models}
    aliases: dict[str, tuple[str, ...]] = {}
    for model in provider.models:
        names = dict.fromkeys(name for name in _names(model.match, model.id) if name not in taken)
        taken.update(names)
        aliases[model.id] = tuple(names)
    return aliases


def _names(match: genai.MatchLogic, model: str) -> Iterator[str]:
    match match:
        case genai.ClauseEquals(equals=name):
            yield name
        case genai.ClauseStartsWith(starts_with=stem):
            yield from _snapshots(stem)
        case genai.ClauseContains(contains=stem) | genai.ClauseEndsWith(ends_with=stem):
            if stem == model:
                yield from _snapshots(stem)
        case genai.ClauseRegex(regex=pattern):
            found = _DATED.fullmatch(pattern)
            if found:
                yield found["stem"].replace("\\", "").replace("[-@]", "-") + SNAPSHOT
        case genai.ClauseOr(or_=clauses):
            for clause in clauses:
                yield from _names(clause, model)
        case _:
            pass


def _snapshots(stem: str) -> Iterator[str]:
    stem = _YEAR.sub("", stem)
    if stem.endswith(("-", "@")):
        yield stem + SNAPSHOT
    else:
        yield from (stem, f"{stem}-latest", f"{stem}-{SNAPSHOT}")
