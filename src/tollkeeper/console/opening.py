"""Puts the console together."""

from __future__ import annotations

from litestar import Router

from tollkeeper.base.settings import Settings
from tollkeeper.console.credits_page import credits_page
from tollkeeper.console.doors import Door
from tollkeeper.console.pages import routes_of
from tollkeeper.metering import ReadTopUp


def console_pages(door: Door, settings: Settings, read_top_up: ReadTopUp) -> list[Router]:
    """The pages below `/console`."""
    return routes_of(door, [credits_page(door, settings, read_top_up)])
