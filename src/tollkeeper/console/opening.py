"""Puts the console together."""

from __future__ import annotations

from litestar import Router
from litestar.types import ControllerRouterHandler

from tollkeeper.base.clock import Clock
from tollkeeper.base.settings import Settings
from tollkeeper.console.customer.add_credits_page import add_credits_pages
from tollkeeper.console.customer.analytics_page import analytics_pages
from tollkeeper.console.customer.auto_top_up_page import auto_top_up_pages
from tollkeeper.console.customer.credits_page import credits_pages
from tollkeeper.console.customer.deliveries_page import delivery_pages
from tollkeeper.console.customer.invoices_page import invoice_pages
from tollkeeper.console.customer.keys_page import key_pages
from tollkeeper.console.customer.limits_page import limits_pages
from tollkeeper.console.customer.live_page import glance_of, live_page
from tollkeeper.console.customer.members_page import member_pages
from tollkeeper.console.customer.notifications_page import notification_pages
from tollkeeper.console.customer.payment_methods_page import payment_method_pages
from tollkeeper.console.customer.plan_page import plan_pages
from tollkeeper.console.customer.playground_page import playground_pages
from tollkeeper.console.customer.profile_page import profile_pages
from tollkeeper.console.customer.projects_page import project_pages
from tollkeeper.console.customer.purchase_page import landing_page, purchase_pages
from tollkeeper.console.customer.transactions_page import transaction_pages
from tollkeeper.console.customer.usage_page import usage_pages
from tollkeeper.console.customer.webhooks_page import webhook_pages
from tollkeeper.console.doors import Door
from tollkeeper.console.pages import routes_of
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.signing_in.inviting import inviting_page
from tollkeeper.console.signing_in.opening import post_of, signing_in_pages
from tollkeeper.console.staff.audit_page import audit_page
from tollkeeper.console.staff.design_page import design_page
from tollkeeper.console.staff.disputes_page import disputes_pages
from tollkeeper.console.staff.grants_page import grants_pages
from tollkeeper.console.staff.inbox_page import inbox_pages
from tollkeeper.console.staff.jobs_page import jobs_pages
from tollkeeper.console.staff.organization_page import organization_pages
from tollkeeper.console.staff.organizations_page import organizations_pages
from tollkeeper.console.staff.overview_page import overview_pages
from tollkeeper.console.staff.plans_page import plans_pages
from tollkeeper.console.staff.price_change_page import price_change_pages
from tollkeeper.console.staff.prices_page import prices_pages
from tollkeeper.console.staff.providers_page import providers_page
from tollkeeper.console.staff.refunds_page import refunds_pages
from tollkeeper.console.staff.settings_page import settings_page
from tollkeeper.console.staff.staff_page import staff_page
from tollkeeper.console.staff_door import StaffDoor
from tollkeeper.console.theme import read_theme
from tollkeeper.db import Database


def door_of(
    settings: Settings, database: Database, clock: Clock, secret: bytes, base_url: str
) -> Door:
    return Door(
        database=database,
        clock=clock,
        secret=secret,
        base_url=base_url,
        theme=read_theme(settings.console),
        glance=glance_of(settings),
    )


def console_pages(door: Door, shelves: Shelves) -> list[Router]:
    """The pages below `/console`."""
    return routes_of(
        door,
        [
            *credits_pages(door, shelves),
            *auto_top_up_pages(door, shelves),
            *payment_method_pages(door, shelves),
            *profile_pages(door),
            *notification_pages(door, shelves),
            *webhook_pages(door, shelves),
            *delivery_pages(door, shelves),
            *add_credits_pages(door, shelves),
            *purchase_pages(door, shelves),
            *transaction_pages(door, shelves),
            *invoice_pages(door, shelves),
            *analytics_pages(door, shelves),
            *usage_pages(door, shelves),
            *limits_pages(door, shelves),
            *plan_pages(door, shelves),
            *key_pages(door, shelves),
            *project_pages(door, shelves),
            *member_pages(door, shelves),
            inviting_page(door, post_of(shelves.settings, door.base_url)),
            *playground_pages(door, shelves),
            live_page(door, shelves.live),
        ],
        staff_pages(StaffDoor(door=door), shelves),
        [landing_page(door), *signing_in_pages(door, shelves.settings)],
    )


def staff_pages(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    """The operator's pages, below `/console/staff`."""
    mail = post_of(shelves.settings, door.door.base_url)
    return [
        *overview_pages(door, shelves),
        *organizations_pages(door, shelves),
        *organization_pages(door, shelves),
        *grants_pages(door, shelves),
        *refunds_pages(door, shelves),
        *disputes_pages(door, shelves),
        *plans_pages(door, shelves),
        *prices_pages(door, shelves),
        *price_change_pages(door, shelves),
        providers_page(door, shelves),
        *jobs_pages(door, shelves),
        *inbox_pages(door, shelves),
        audit_page(door, shelves),
        settings_page(door, shelves),
        design_page(door),
        *staff_page(door, mail),
    ]
