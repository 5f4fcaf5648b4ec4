"""Puts the console together."""

from __future__ import annotations

from litestar import Router

from tollkeeper.console.customer.credits_page import credits_page
from tollkeeper.console.customer.limits_page import limits_page
from tollkeeper.console.customer.plan_page import plan_page
from tollkeeper.console.customer.transactions_page import transaction_pages
from tollkeeper.console.customer.usage_page import usage_pages
from tollkeeper.console.doors import Door
from tollkeeper.console.pages import routes_of
from tollkeeper.console.shelves import Shelves


def console_pages(door: Door, shelves: Shelves) -> list[Router]:
    """The pages below `/console`."""
    return routes_of(
        door,
        [
            credits_page(door, shelves),
            *transaction_pages(door, shelves),
            *usage_pages(door, shelves),
            limits_page(door, shelves),
            plan_page(door, shelves),
        ],
    )
