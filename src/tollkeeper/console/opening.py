"""Puts the console together."""

from __future__ import annotations

from dataclasses import dataclass

from litestar import Router

from tollkeeper.base.settings import Settings
from tollkeeper.console.credits_page import credits_page
from tollkeeper.console.doors import Door
from tollkeeper.console.limits_page import limits_page
from tollkeeper.console.pages import routes_of
from tollkeeper.console.plan_page import plan_page
from tollkeeper.console.transactions_page import transaction_pages
from tollkeeper.console.usage_page import usage_pages
from tollkeeper.http import Cursors
from tollkeeper.invoices import Desk
from tollkeeper.limits import LimitBook
from tollkeeper.metering import ReadTopUp
from tollkeeper.plans import PlanBook
from tollkeeper.pricing import BookKeeper


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelves:
    """What pages read from beside the database."""

    cursors: Cursors
    prices: BookKeeper
    plans: PlanBook
    limits: LimitBook
    invoices: Desk


def console_pages(
    door: Door, settings: Settings, shelves: Shelves, read_top_up: ReadTopUp
) -> list[Router]:
    """The pages below `/console`."""
    return routes_of(
        door,
        [
            credits_page(door, settings, read_top_up),
            *transaction_pages(door, shelves.invoices, shelves.cursors),
            *usage_pages(door, shelves.cursors, shelves.prices),
            limits_page(door, shelves.limits, shelves.cursors),
            plan_page(door, shelves.plans),
        ],
    )
