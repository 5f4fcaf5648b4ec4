"""The design system: every token and every component of these pages, as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

from litestar import get
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper.base.money import NANOS_PER_UNIT, Money
from tollkeeper.console.customer.analytics_asked import Asked
from tollkeeper.console.customer.analytics_view import View
from tollkeeper.console.customer.naming import Offer
from tollkeeper.console.customer.summing import Group, Slot, Summary, Total
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import Form, Question
from tollkeeper.console.rendering import say, show_money
from tollkeeper.console.staff_door import StaffDoor

_ROOT: Final = re.compile(r":root \{(.*?)\n\}", re.DOTALL)
_TOKEN: Final = re.compile(r"--([a-z0-9-]+): ([^;]+);")
_PIXELS: Final = re.compile(r"(\d+)px")
_DAYS: Final = 14
_FIRST: Final = date(2026, 3, 2)
_SHARES: Final = (7, 4, 2)
_BALANCE: Final = {
    "available": "12.4",
    "currency": "USD",
    "shown": show_money(Money(12_400_000_000)),
    "state": "low",
    "badge": "warn",
}


def design_page(door: StaffDoor) -> ControllerRouterHandler:
    tokens = {kind: list(members) for kind, members in groupby(read_tokens(), key=_kind)}
    form = Form(
        values={"name": "Research", "amount": "-5", "month": "", "role": "admin", "on": "yes"},
        faults={"amount": say("staff_design.fault")},
        problem=say("staff_design.problem"),
    )

    @get("/design", include_in_schema=False)
    async def show_design(request: AnyRequest) -> Response[bytes]:
        return door.page(
            request,
            "staff/design.html",
            tokens=tokens,
            form=form,
            question=_question(),
            offer=Offer(options=[("proj_1", "Research"), ("proj_2", "Support")], more=True),
            view=_view(),
            balance=_BALANCE | {"said": say("staff_marks.low")},
            amounts=[Money(one) for one in (25_000_000_000, -1_250_000_000, -4_321_987)],
            moment=datetime(2026, 3, 2, 9, 41, 7, tzinfo=UTC),
        )

    return show_design


def read_tokens() -> Iterator[tuple[str, str]]:
    """Give each token of the style sheet with its value, colours with colours."""
    sheet = files("tollkeeper.console").joinpath("static/console.css").read_text("utf-8")
    found = [pair for block in _ROOT.findall(sheet) for pair in _TOKEN.findall(block)]
    return iter(sorted(((name, _plain(value)) for name, value in found), key=_kind))


def _kind(token: tuple[str, str]) -> str:
    name, value = token
    if value.isdigit():
        return "space" if name.startswith(("space", "radius")) else "type"
    return "font" if name == "mono" else "colour"


def _plain(value: str) -> str:
    pixels = _PIXELS.fullmatch(value)
    return pixels[1] if pixels else value.removeprefix("light-dark(").removesuffix(")")


def _question() -> Question:
    return Question(
        title=say("staff_design.asked"),
        detail=say("staff_design.asked_detail"),
        name="Research",
        action="#confirm",
        button=say("staff_design.asked_button"),
        back="#confirm",
    )


def _view() -> View:
    """A fortnight of made-up costs."""
    midnight = datetime.combine(_FIRST, datetime.min.time(), UTC)
    slots = [_slot(midnight + timedelta(days=day), day) for day in range(_DAYS)]
    amount = sum(one.amount for one in slots)
    return View(
        asked=_asked(),
        summary=Summary(
            groups=[_group(key) for key in range(len(_SHARES))],
            slots=slots,
            before=slots[::-1],
            total=Total(amount=amount, calls=_DAYS, tokens=None),
            total_before=None,
        ),
        money=True,
        now=midnight + timedelta(days=_DAYS),
    )


def _slot(start: datetime, day: int) -> Slot:
    weight = 3 + day * 5 % 7
    parts = {key: weight * share * NANOS_PER_UNIT for key, share in enumerate(_SHARES)}
    end = start + timedelta(days=1)
    return Slot(start=start, end=end, amount=sum(parts.values()), calls=weight, parts=parts)


def _group(key: int) -> Group:
    return Group(
        value=None,
        label=say("staff_design.series", number=key + 1),
        amount=0,
        calls=0,
        failed=0,
        tokens=None,
        query=None,
        key=key,
        share="0",
    )


def _asked() -> Asked:
    return Asked(
        period="",
        first=_FIRST,
        last=_FIRST + timedelta(days=_DAYS - 1),
        before=_FIRST - timedelta(days=_DAYS),
        by="model",
        name="",
        each="day",
        zone=ZoneInfo("UTC"),
        measure="cost",
        shape="bars",
        compares=True,
        currency="USD",
        said={},
        kept={},
    )
