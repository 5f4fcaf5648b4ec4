"""All faults of a value are found, each where it is, in words for the customer."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, Struct, UnsetType

from tollkeeper.base.check import describe, faults_in, suggest


class Kind(StrEnum):
    ADMIN = "ADMIN"
    USER = "USER"


class Leaf(Struct, forbid_unknown_fields=True):
    count: Annotated[int, Meta(ge=1, le=9)]
    note: str = ""


class Tree(Struct, forbid_unknown_fields=True, rename="camel"):
    first_leaf: Leaf
    leaves: Annotated[list[Leaf], Meta(max_length=3)] = []
    named: dict[str, Leaf | None] = {}
    kind: Kind | None = None
    name: Annotated[str, Meta(min_length=2)] | UnsetType = UNSET
    sizes: Annotated[list[int], Meta(max_length=2)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.kind is Kind.USER and len(self.leaves) > 1:
            raise ValueError("a USER has one leaf")


def no_hook(type_: type, value: object) -> Any:
    raise AssertionError((type_, value))


def faults(value: object, type_: Any = Tree, *, strict: bool = True) -> dict[str, list[str]]:
    return faults_in(value, type_, no_hook, strict=strict)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"firstLeaf": {"count": 1}}, {}),
        (7, {"": ["must be an object"]}),
        ({"firstLeaf": {"count": 1}, "sizes": [1, "x"]}, {
            "sizes.1": ["must be a whole number"],
        }),
        ({"firstLeaf": {"count": 1}, "sizes": [1, 2, 3]}, {
            "sizes": ["must be a list of at most 2, each a whole number"],
        }),
        ({}, {"firstLeaf": ["is required: an object"]}),
        ({"first_leaf": {"count": 1}}, {
            "first_leaf": ["is not known; did you mean firstLeaf?"],
            "firstLeaf": ["is required: an object"],
        }),
        ({
            "firstLeaf": {"count": 0, "note": None},
            "leaves": [{}, 1],
            "named": {"a": {"count": "1"}},
        }, {
            "firstLeaf.count": ["must be a whole number from 1 to 9"],
            "firstLeaf.note": ["must be text"],
            "leaves.0.count": ["is required: a whole number from 1 to 9"],
            "leaves.1": ["must be an object"],
            "named.a.count": ["must be a whole number from 1 to 9"],
        }),
        ({"firstLeaf": {"count": 1}, "leaves": [{"count": 1}] * 4}, {
            "leaves": ["must be a list of at most 3, each an object"],
        }),
        ({"firstLeaf": {"count": 1}, "kind": "USER", "leaves": [{"count": 1}] * 2}, {
            "": ["a USER has one leaf"],
        }),
        ({"firstLeaf": {"count": 1}, "kind": "x", "name": "x"}, {
            "kind": ["must be one of ADMIN, USER or null"],
            "name": ["must be text of at least 2 characters"],
        }),
        ({"firstLeaf": {"count": 1, "note": "a\0"}}, {
            "firstLeaf.note": ["must not contain the character U+0000"],
        }),
    ],
)  # fmt: skip
def test_faults(value: object, found: dict[str, list[str]]) -> None:
    assert faults(value) == found


def test_there_is_an_end_to_faults() -> None:
    assert len(faults(["x"] * 100_000, list[int])) == 50
    assert len(faults({"firstLeaf": {"count": 1}, "leaves": [1] * 100_000})) == 1
    assert len(faults({str(number): 1 for number in range(100_000)})) <= 51


NAMES = st.sampled_from(["count", "note", "a"])
TEXT = st.text(st.characters(exclude_characters="\0"), max_size=3)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-20, 20) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner),
    max_leaves=10,
)
NEARLY = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["firstLeaf", "leaves", "named", "kind", "name"], PLAIN)
)


@given(NEARLY | PLAIN, st.booleans())
def test_faults_are_found_exactly_when_there_are_some(value: object, strict: bool) -> None:
    try:
        msgspec.convert(value, Tree, strict=strict)
    except msgspec.ValidationError:
        assert faults(value, strict=strict) != {}
    else:
        assert faults(value, strict=strict) == {}


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (int, "a whole number"),
        (Annotated[int, Meta(ge=1)], "a whole number of at least 1"),
        (Annotated[int, Meta(gt=0)], "a whole number above 0"),
        (Annotated[int, Meta(lt=5)], "a whole number below 5"),
        (Annotated[float, Meta(gt=0, le=1)], "a number from above 0 to 1"),
        (Annotated[str, Meta(max_length=5)], "text of at most 5 characters"),
        (Annotated[str, Meta(min_length=1)], "text that is not empty"),
        (Annotated[str, Meta(pattern="^a")], "text that matches ^a"),
        (Annotated[str, Meta(pattern="^a", examples=["abc"])], "text such as abc"),
        (bool, "true or false"),
        (Literal["a", "b"], "one of a, b"),
        (int | None, "a whole number or null"),
        (list[Kind], "a list, each one of ADMIN, USER"),
        (date, "a date such as 2026-01-31"),
        (datetime, "a date and time such as 2026-01-31T08:00:00Z"),
        (UUID, "a UUID"),
        (dict[str, int], "an object"),
        (Leaf, "an object"),
        (Any, "any value"),
    ],
)
def test_what_is_allowed_is_said(type_: Any, words: str) -> None:
    assert describe(type_) == words


def test_suggestions() -> None:
    assert suggest("limt", ["limit", "cursor"]) == "; did you mean limit?"
    assert suggest("colour", ["limit", "cursor"]) == ""
    assert suggest("x" * 10**6, ["limit"]) == ""


def test_names_are_checked_too_and_not_said_back_at_length() -> None:
    class Bag(Struct):
        counts: dict[Annotated[str, Meta(max_length=4)], int] = {}

    bag = {"counts": {"good": 1, "bad": "x", "n" * 1_000: 1, "a\0": 1}}
    assert faults(bag, Bag) == {
        "counts.bad": ["must be a whole number"],
        f"counts.{'n' * 100}": ["is a name, which must be text of at most 4 characters"],
        "counts.a\0": ["must not contain the character U+0000"],
    }
