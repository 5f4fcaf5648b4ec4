"""The design system's page shows everything that pages are made of."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from browsing import signed_in, staff_signed_in

from tollkeeper.console.staff.design_page import read_tokens
from whole import Customer, Whole

HOME = files("tollkeeper.console")
PATH = "/console/staff/design"


def read(path: str) -> str:
    return HOME.joinpath(path).read_text("utf-8")


@pytest.mark.parametrize("role", ["admin", "viewer"])
async def test_the_staff_reads_it_and_others_do_not(
    whole: Whole, customer: Customer, role: str
) -> None:
    async with staff_signed_in(whole, role) as one, signed_in(whole, customer) as owner:
        page = await one.open(PATH)
        assert page.status == 200
        assert f'href="{PATH}" aria-current' in page.text
        assert (await owner.open(PATH)).status == 303
        for name, value in read_tokens():
            assert f">{name}</strong>" in page.text or name == "mono", name
            assert value in page.text or name == "mono", name


def test_no_component_is_missing() -> None:
    page = read("templates/staff/design.html")
    macros = re.findall(r"{% macro (\w+)\(", read("templates/parts.html"))
    assert len(macros) > 10
    assert [name for name in macros if f"{name}(" not in page] == []


def test_every_token_of_the_sheet_is_read_and_used() -> None:
    sheet = read("static/console.css")
    names = [name for name, _ in read_tokens()]
    declared = set(re.findall(r"(?<=[\s{])--([a-z0-9-]+):", sheet)) - {"series"}
    assert set(names) == declared
    assert [name for name in names if f"var(--{name})" not in sheet] == []
