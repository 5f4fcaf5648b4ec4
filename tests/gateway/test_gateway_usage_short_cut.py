"""The short cut for OpenAI's own usage object gives what the long way gives."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.gateway.dialects.usage import chat_usage

COUNTS = st.integers(-2, 60) | st.sampled_from([10**15, 10**15 + 1, 1.5, None, "5"])
DETAILS = st.dictionaries(
    st.sampled_from(
        [
            *("cached_tokens", "audio_tokens", "reasoning_tokens", "image_tokens"),
            *("accepted_prediction_tokens", "cache_write_tokens"),
        ]
    ),
    COUNTS,
)
USAGES = st.fixed_dictionaries(
    {"prompt_tokens": COUNTS, "completion_tokens": COUNTS},
    optional={
        "total_tokens": COUNTS,
        "prompt_tokens_details": DETAILS | st.none(),
        "completion_tokens_details": DETAILS | st.none(),
        "prompt_cache_hit_tokens": COUNTS,
        "num_search_queries": COUNTS,
    },
)


@given(said=USAGES, whole=st.booleans())
def test_both_ways_agree(said: dict[str, Any], whole: bool) -> None:
    prompt, completion = said["prompt_tokens"], said["completion_tokens"]
    if whole and isinstance(prompt, int) and isinstance(completion, int):
        said["total_tokens"] = prompt + completion
    short = chat_usage(msgspec.json.encode(said))
    # A member that it does not know sends it the long way.
    assert short == chat_usage(msgspec.json.encode({**said, "unheard_of": None}))
