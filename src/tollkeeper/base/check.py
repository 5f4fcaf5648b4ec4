"""Find every fault of a value against a msgspec type, where msgspec itself stops at the first."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

import msgspec
from msgspec import inspect

from tollkeeper.base.money import NumberText

Faults = dict[str, list[str]]
Hook = Callable[[type, Any], Any]

# Enough to repair a request in one go; a body of a million wrong items is not answered with a
# million sentences.
_MOST_FAULTS: Final = 50
_LONGEST_NAME: Final = 100
# PostgreSQL cannot keep it.
_NUL: Final = "must not contain the character U+0000"
_PLACE: Final = re.compile(r" - at `[^`]*`$")


def faults_in(value: object, type_: Any, hook: Hook, *, strict: bool = True) -> Faults:
    """Map the dotted path of each faulty place ("" is the whole value) to what is allowed there.

    `value` is built of plain Python values, as JSON or TOML gives them. `hook` reads the types
    that msgspec does not know; the text of its ValueError is the sentence.
    """
    walk = _Walk(hook, strict)
    walk.check(value, type_, "")
    return walk.found


def suggest(name: str, known: list[str]) -> str:
    """Say what was perhaps meant: a half-sentence, empty when nothing is near."""
    near = get_close_matches(name[:_LONGEST_NAME], known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


class _Walk:
    def __init__(self, hook: Hook, strict: bool) -> None:
        self._hook = hook
        self._strict = strict
        self.found: Faults = {}

    def check(self, value: object, type_: Any, path: str) -> None:
        if len(self.found) >= _MOST_FAULTS:
            return
        if isinstance(value, str) and "\0" in value:
            self._note(path, _NUL)
            return
        if _is_too_long(value, type_):
            # A million items are not looked at one by one.
            self._note(path, f"must be {describe(type_)}")
            return
        before = len(self.found)
        self._descend(value, only_member(type_), path)
        if len(self.found) > before:
            return
        try:
            msgspec.convert(
                _as_number(value, type_), type_, strict=self._strict, dec_hook=self._hook
            )
        except msgspec.ValidationError as fault:
            self._note(path, _sentence(fault, value, type_))

    def _note(self, path: str, sentence: str) -> None:
        self.found.setdefault(path, []).append(sentence)

    def _descend(self, value: object, type_: Any, path: str) -> None:
        shape = bare(inspect.type_info(type_))
        if isinstance(shape, inspect.StructType) and isinstance(value, Mapping):
            self._check_struct(cast("Mapping[str, object]", value), shape, path)
        elif isinstance(shape, inspect.ListType) and isinstance(value, list):
            (item_type,) = get_args(type_) or (Any,)
            for position, item in enumerate(cast("list[object]", value)):
                self.check(item, item_type, _join(path, str(position)))
        elif isinstance(shape, inspect.DictType) and isinstance(value, Mapping):
            name_type, value_type = get_args(type_) or (Any, Any)
            for name, item in cast("Mapping[str, object]", value).items():
                where = _join(path, name[:_LONGEST_NAME])
                if fault := _fault_of_name(name, name_type):
                    if len(self.found) < _MOST_FAULTS:
                        self._note(where, fault)
                else:
                    self.check(item, value_type, where)

    def _check_struct(
        self, value: Mapping[str, object], shape: inspect.StructType, path: str
    ) -> None:
        fields = {field.encode_name: field for field in msgspec.structs.fields(shape.cls)}
        if shape.forbid_unknown_fields:
            for name in value.keys() - fields.keys() - {shape.tag_field}:
                if len(self.found) < _MOST_FAULTS:
                    where = _join(path, name[:_LONGEST_NAME])
                    self._note(where, f"is not known{suggest(name, [*fields])}")
        for name, field in fields.items():
            if name in value:
                self.check(value[name], field.type, _join(path, name))
            elif field.required:
                self._note(_join(path, name), f"is required: {describe(field.type)}")


def _is_too_long(value: object, type_: Any) -> bool:
    if not isinstance(value, list):
        return False
    items = cast("list[object]", value)
    shape = bare(inspect.type_info(type_))
    members = shape.types if isinstance(shape, inspect.UnionType) else (shape,)
    lists = [one for one in map(bare, members) if isinstance(one, inspect.ListType)]
    return any(one.max_length is not None and len(items) > one.max_length for one in lists)


def _fault_of_name(name: str, type_: Any) -> str:
    if "\0" in name:
        return _NUL
    try:
        msgspec.convert(name, type_)
    except msgspec.ValidationError:
        return f"is a name, which must be {describe(type_)}"
    return ""


def _as_number(value: object, type_: Any) -> object:
    """Make a number of one that was kept as its digits, where nobody wants the digits.

    They are text to Python, and would pass for it.
    """
    if not isinstance(value, NumberText):
        return value
    shape = bare(inspect.type_info(type_))
    members = shape.types if isinstance(shape, inspect.UnionType) else (shape,)
    exact = any(isinstance(bare(member), _EXACT) for member in members)
    return value if exact else float(value)


_EXACT: Final = (inspect.DecimalType, inspect.CustomType, inspect.AnyType)


def describe(type_: Any) -> str:
    """Say what a type allows, to be read after "must be"."""
    return _describe(inspect.type_info(type_))


def _describe(shape: inspect.Type) -> str:
    match bare(shape):
        case inspect.IntType() | inspect.FloatType() as number:
            return _describe_number(number)
        case inspect.StrType() as text:
            return _describe_text(text, _example_of(shape))
        case inspect.UnionType() | inspect.ListType() as compound:
            return _describe_compound(compound)
        case inspect.LiteralType() | inspect.EnumType() as choice:
            return "one of " + ", ".join(_choices_of(choice))
        case inspect.CustomType(cls=cls):
            return str(getattr(cls, "allowed", f"a {cls.__name__}"))
        case known:
            return _SIMPLE.get(type(known), "an object")


_SIMPLE: Final[dict[type[inspect.Type], str]] = {
    inspect.AnyType: "any value",
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "a date and time such as 2026-01-31T08:00:00Z",
    inspect.DecimalType: "a number",
    inspect.DateType: "a date such as 2026-01-31",
    inspect.NoneType: "null",
    inspect.UUIDType: "a UUID",
}


def _describe_compound(compound: inspect.UnionType | inspect.ListType) -> str:
    if isinstance(compound, inspect.UnionType):
        return " or ".join(_describe(member) for member in compound.types)
    at_most = f" of at most {compound.max_length}" if compound.max_length is not None else ""
    return f"a list{at_most}, each {_describe(compound.item_type)}"


def _choices_of(choice: inspect.LiteralType | inspect.EnumType) -> list[str]:
    if isinstance(choice, inspect.LiteralType):
        return [str(value) for value in choice.values]
    return [str(member.value) for member in choice.cls]


def _describe_number(number: inspect.IntType | inspect.FloatType) -> str:
    kind = "a whole number" if isinstance(number, inspect.IntType) else "a number"
    return kind + _range_of(number)


def _range_of(number: inspect.IntType | inspect.FloatType) -> str:
    low = number.ge if number.ge is not None else number.gt
    high = number.le if number.le is not None else number.lt
    above = "" if number.gt is None else "above "
    below = "" if number.lt is None else "below "
    if low is not None and high is not None:
        return f" from {above}{low} to {below}{high}"
    if low is not None:
        return f" above {low}" if above else f" of at least {low}"
    if high is not None:
        return f" below {high}" if below else f" of at most {high}"
    return ""


def _describe_text(text: inspect.StrType, example: object) -> str:
    parts = ["text"]
    if example is not None:
        parts.append(f"such as {example}")
    elif text.pattern is not None:
        plain = text.pattern.replace(r"\Z", "$")
        parts.append(f"that matches {plain}")
    if text.min_length and text.max_length is not None:
        parts.append(f"of {text.min_length} to {text.max_length} characters")
    elif text.max_length is not None:
        parts.append(f"of at most {text.max_length} characters")
    elif text.min_length:
        parts.append(
            "that is not empty"
            if text.min_length == 1
            else f"of at least {text.min_length} characters"
        )
    return " ".join(parts)


def _sentence(fault: msgspec.ValidationError, value: object, type_: Any) -> str:
    shape = bare(inspect.type_info(only_member(type_)))
    own_words = isinstance(fault.__cause__, (ValueError, TypeError))
    if own_words and isinstance(shape, (inspect.CustomType, inspect.StructType)):
        return _PLACE.sub("", str(fault))
    if isinstance(shape, inspect.StructType) and isinstance(value, Mapping):
        return _PLACE.sub("", str(fault))
    return f"must be {describe(type_)}"


def bare(shape: inspect.Type) -> inspect.Type:
    while isinstance(shape, inspect.Metadata):
        shape = shape.type
    return shape


def _example_of(shape: inspect.Type) -> object:
    if isinstance(shape, inspect.Metadata) and shape.extra_json_schema:  # pyright: ignore[reportUnknownMemberType] (a bare dict in msgspec)
        schema = cast("dict[str, Any]", shape.extra_json_schema)  # pyright: ignore[reportUnknownMemberType] (a bare dict in msgspec)
        examples: list[object] = schema.get("examples", [])
        return examples[0] if examples else None
    return None


_ABSENT: Final = (type(None), msgspec.UnsetType)
_UNIONS: Final = (Union, UnionType)


def only_member(type_: Any) -> Any:
    """Strip Annotated, and `| None` or `| UnsetType` where one other member remains."""
    while True:
        if get_origin(type_) is Annotated:
            type_ = get_args(type_)[0]
            continue
        members = [member for member in get_args(type_) if member not in _ABSENT]
        if get_origin(type_) in _UNIONS and len(members) == 1:
            type_ = members[0]
            continue
        return type_


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
