"""Ids sort by the time of their making and are read back as they were shown."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.base.ids import _NAMESPACE, named_uuid, read_id, show_id, uuid7


def test_ids_are_version_7_and_in_order() -> None:
    made = [uuid7() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    assert abs((made[0].int >> 80) - time.time() * 1000) < 5_000


def test_threads_do_not_make_the_same_one() -> None:
    with ThreadPoolExecutor(8) as threads:
        making = [threads.submit(lambda: [uuid7() for _ in range(500)]) for _ in range(8)]
    made = [one for many in making for one in many.result()]
    assert len(set(made)) == 4_000


@given(st.uuids(), st.sampled_from(["org", "use", "pur"]))
def test_ids_are_read_back(value: UUID, prefix: str) -> None:
    shown = show_id(prefix, value)
    assert read_id(prefix, shown) == value
    with pytest.raises(ValueError, match="is not an id of the form"):
        read_id("key", shown)


@given(st.text())
def test_other_text_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        read_id("org", text)


def test_names_give_one_id_per_scope() -> None:
    one, other = uuid7(), uuid7()
    assert named_uuid(one, "a") == named_uuid(one, "a")
    assert len({named_uuid(one, "a"), named_uuid(one, "b"), named_uuid(other, "a")}) == 3


@given(st.uuids(), st.text(st.characters(codec="utf-8")))
def test_a_named_id_is_a_uuid5(scope: UUID, name: str) -> None:
    assert named_uuid(scope, name) == uuid5(_NAMESPACE, f"{scope.hex}/{name}")
