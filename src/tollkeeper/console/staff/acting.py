"""Forms by which the staff act: each says why, and is done once however often it is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper.base.check import faults_in
from tollkeeper.base.errors import Forbidden, InvalidRequest, TollkeeperError
from tollkeeper.base.ids import uuid7
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import Form
from tollkeeper.console.rendering import say
from tollkeeper.console.staff_door import StaffDoor, staff_admins_only
from tollkeeper.http import invalid, read_custom

ONCE: Final = "once"
INTENT: Final = "intent"
_BAD: Final = 400
_SERVER: Final = 500
_DAY: Final = timedelta(days=1)

S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a form; its words are texts `staff_acts.{name}`, its hint `…_hint` if it has one,
    unless they are said."""

    name: str
    kind: Literal["text", "date", "number", "choice", "tick", "area", "long"] = "text"
    required: bool = True
    options: Sequence[tuple[str, str]] = ()
    hint: bool | str = False
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A form as it is shown. `facts` are what to know before it is sent, `given` what its fields
    hold at first, `intent` which of two acts it is."""

    title: str
    lead: str
    button: str
    back: str
    fields: Sequence[Field]
    facts: Sequence[tuple[str, object]] = ()
    given: Mapping[str, str] = field(default_factory=dict[str, str])
    intent: str = ""
    danger: bool = False
    warning: str = ""


Prepare = Callable[[AnyRequest], Awaitable[Sheet]]
Do = Callable[[AnyRequest, Form], Awaitable[Redirect]]

REASON: Final = Field(name="reason", kind="area", hint=True)


def act_page(
    door: StaffDoor, path: str, prepare: Prepare, act: Do
) -> list[ControllerRouterHandler]:
    """A page with a form, and what it does: go on, or show the form again with its faults."""

    @get(path, include_in_schema=False, guards=[staff_admins_only])
    async def show_form(request: AnyRequest) -> Response[bytes]:
        sheet = await prepare(request)
        form = Form(values={ONCE: uuid7().hex, INTENT: sheet.intent, **sheet.given})
        return door.page(request, "staff/act.html", sheet=sheet, form=form)

    @post(path, include_in_schema=False, guards=[staff_admins_only])
    async def take_form(request: AnyRequest) -> Response[bytes] | Redirect:
        form = await door.read_form(request)
        try:
            return await act(request, form)
        except Forbidden:
            raise
        except TollkeeperError as error:
            if error.status >= _SERVER:
                raise
            sheet = await prepare(request)
            refused = form.refused(error)
            return door.page(request, "staff/act.html", _BAD, sheet=sheet, form=refused)

    return [show_form, take_form]


def once_of(form: Form) -> UUID:
    """The id that the form was given when it was shown. Raises InvalidRequest."""
    try:
        return UUID(form.text(ONCE))
    except ValueError:
        raise InvalidRequest(say("error.form")) from None


def read_shape(
    form: Form,
    shape: type[S],
    *,
    begins: Collection[str] = (),
    ends: Collection[str] = (),
    ticks: Collection[str] = (),
) -> S:
    """Read a form as the API reads a body. Raises InvalidRequest with all that is wrong.

    Fields in `begins` are days from whose beginning on, those in `ends` days up to whose end
    something holds, by UTC; those in `ticks` are ticked or not.
    """
    values: dict[str, Any] = {}
    for name in shape.__struct_encode_fields__:
        text = form.text(name)
        if name in begins or name in ends:
            text = _read_day(text, _DAY if name in ends else timedelta())
        if text:
            values[name] = True if name in ticks else text
    if "amount" in values:
        values["amount"] = form.amount("amount")
    faults = faults_in(values, shape, read_custom, strict=False)
    if "reason" in faults and not form.text("reason"):
        faults["reason"] = [say("staff_acts.no_reason")]
    if faults:
        raise invalid(faults)
    return msgspec.convert(values, shape, strict=False, dec_hook=read_custom)


def _read_day(text: str, later: timedelta) -> str:
    """What is no day is left as it is, for the shape to say so."""
    try:
        day = date.fromisoformat(text)
        return (datetime.combine(day, time(), UTC) + later).isoformat()
    except (ValueError, OverflowError):
        return text
