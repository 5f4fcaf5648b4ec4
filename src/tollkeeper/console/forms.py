"""What people send: read once, shown again with its faults, answered by going on."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.response import Redirect

from tollkeeper.base.check import faults_in
from tollkeeper.base.errors import Forbidden, InvalidRequest, TollkeeperError
from tollkeeper.base.money import NumberText
from tollkeeper.console.rendering import say
from tollkeeper.console.tokens import unmask
from tollkeeper.http import invalid, read_custom

AnyRequest = Request[Any, Any, State]

CONFIRMATION: Final = "confirmation"
_TOKEN: Final = "form_token"  # noqa: S105 (the name of a field)
_SEE_OTHER: Final = 303
# A comma elsewhere may be somebody's decimal point, as in 0,050: that is asked about, not guessed.
_THOUSANDS: Final = re.compile(r"[1-9]\d{0,2}(,\d{3})+(\.\d*)?", re.ASCII)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What the fields of a form hold, and what is wrong with them.

    Fields have the names that the API gives them, so that a room's faults find their place.
    `faults` has a sentence for a field; `problem` is what is wrong with no field in particular.
    """

    values: Mapping[str, str] = field(default_factory=dict[str, str])
    faults: Mapping[str, str] = field(default_factory=dict[str, str])
    problem: str = ""

    def text(self, name: str) -> str:
        """What a field holds, without the blanks around it; nothing for a field that is missing."""
        return self.values.get(name, "").strip()

    def amount(self, name: str) -> NumberText | None:
        """An amount as people type it, such as $1,000.50, as the API takes it; None for an empty
        field."""
        said = self.text(name).removeprefix("$").strip()
        if _THOUSANDS.fullmatch(said):
            said = said.replace(",", "")
        return NumberText(said) if said else None

    def ticked(self, name: str) -> bool:
        return self.text(name) != ""

    def refused(self, error: TollkeeperError) -> Form:
        """The same form, with what a room said of it."""
        faults: dict[str, str] = {}
        if isinstance(error, InvalidRequest):
            for name, said in error.faults.items():
                faults |= {name: "; ".join(said)} if name in self.values else {}
        return replace(self, faults=faults, problem="" if faults else error.detail)

    def faulty(self, **faults: str) -> Form:
        return replace(self, faults={**self.faults, **faults})

    def confirms(self, name: str) -> bool:
        """Whether the name of what is to be destroyed was typed, as pages show it: one blank where
        there are several."""
        return self.text(CONFIRMATION).split() == name.split()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Asked before something is destroyed: `name` must be typed, then `action` is done."""

    title: str
    detail: str
    name: str
    action: str
    button: str
    back: str


async def read_form(request: AnyRequest, expected_token: str) -> Form:
    """Raises Forbidden for a form that this session's pages did not make."""
    sent = await request.form()
    given = unmask(str(sent.get(_TOKEN, "")))
    if not hmac.compare_digest(given.encode(), expected_token.encode()):
        raise Forbidden(say("error.form"))
    # No browser sends NUL, and no text in the database holds it.
    return Form(values={name: str(sent[name]).replace("\0", "") for name in sent if name != _TOKEN})


def read_as(type_: type[T], values: Mapping[str, object]) -> T:
    """Read fields as the API reads a body; those that are None were left out.

    Raises InvalidRequest with every fault.
    """
    given = {name: value for name, value in values.items() if value is not None}
    faults = faults_in(given, type_, read_custom)
    if faults:
        raise invalid(faults)
    return msgspec.convert(given, type_, dec_hook=read_custom)


def go_on(path: str, done: str = "", **query: str) -> Redirect:
    """Go to a page, which says `done.{done}` of the texts."""
    words = query | ({"done": done} if done else {})
    return Redirect(f"{path}?{urlencode(words)}" if words else path, status_code=_SEE_OTHER)
