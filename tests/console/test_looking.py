"""Staff who look at a customer are offered nothing that is then refused to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from browsing import Browser, make_account, sign_in, signed_in
from browsing import browser as new_browser
from console_routes import Route, ask, routes_of
from furnished import Ids, everything_served, furnish, furnish_staff
from litestar.routes import HTTPRoute

from recycling import Databases
from tollkeeper.console.doors import customers_only
from tollkeeper.db import EmbeddedServer
from whole import Customer, Whole

# Offered only of what is under way or has failed, which nothing here has.
RARE = {
    "/console/auto-top-up/resume",
    "/console/credits/purchases/{purchase_id}/cancel",
    "/console/credits/purchases/{purchase_id}/resume",
    "/console/plan/cancel",
    "/console/plan/resume",
    "/console/payment-methods/{method_id}/default",
}
LEAST_PAGES = 20


class Offers(HTMLParser):
    """What a page leads or sends to, by a link, a form, a button or htmx."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        said = dict(attrs)
        act = "POST" if (said.get("method") or "").lower() == "post" else "GET"
        for name, method in (
            ("href", "GET"),
            ("action", act),
            ("formaction", "POST"),
            ("hx-get", "GET"),
            ("hx-post", "POST"),
        ):
            if path := said.get(name):
                self.found.add((method, urlsplit(path).path))


def refused_to_lookers(whole: Whole) -> set[Route]:
    return {
        Route(method, route.path_format)
        for route in whole.app.api.litestar.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if customers_only in handler.resolve_guards()
        for method in handler.http_methods
        if method in {"GET", "POST"}
    }


def is_of(route: Route, method: str, path: str) -> bool:
    wanted, given = route.path.split("/"), path.split("/")
    return (
        route.method == method
        and len(wanted) == len(given)
        and all(a == b or a.startswith("{") for a, b in zip(wanted, given, strict=True))
    )


async def offered_in(one: Browser, whole: Whole, ids: Ids) -> tuple[set[Route], int]:
    """The routes refused to lookers that one's pages offer, and how many pages were read."""
    guarded = refused_to_lookers(whole)
    seen: set[tuple[str, str]] = set()
    pages = 0
    never = {"rest": "nothing", "name": "no.css", "token": "A" * 64, "tag": "none"}
    for route in routes_of(whole):
        if route.method != "GET" or route.path.startswith("/console/staff"):
            continue
        answer = await ask(one, route, route.filled(never | ids))
        if answer.status == 200 and answer.headers["content-type"].startswith("text/html"):
            page = Offers()
            page.feed(answer.text)
            seen |= page.found
            pages += 1
    # A page of its own, such as /keys/new, is no /keys/{key_id}.
    exact = {route.path for route in routes_of(whole) if not route.places}
    return {
        route
        for route in guarded
        for method, path in seen
        if is_of(route, method, path) and (route.path == path or path not in exact)
    }, pages


@pytest.fixture(scope="module")
async def served(
    server: EmbeddedServer, databases: Databases
) -> AsyncIterator[tuple[Whole, Customer, Ids]]:
    async with everything_served(server, databases) as whole:
        customer = await whole.customer()
        ids = await furnish(whole, customer, "mark") | await furnish_staff(whole, customer, "mark")
        yield whole, customer, ids


async def test_what_is_refused_to_who_looks_is_offered_to_members_alone(
    served: tuple[Whole, Customer, Ids],
) -> None:
    whole, customer, ids = served
    guarded = refused_to_lookers(whole)
    async with signed_in(whole, customer) as owner:
        offered, _ = await offered_in(owner, whole, ids)
    assert {route.path for route in guarded - offered} <= RARE
    account = await make_account(whole, staff="admin")
    async with new_browser(whole) as one:
        await sign_in(whole, one, account)
        shown = await one.open("/console/staff/overview")
        fields = {"role": "owner", "livemode": "false", "reason": "They called"}
        path = f"/console/staff/organizations/{customer.id}/open"
        await one.submit(path, form_token=shown.form_token, **fields)
        offered, pages = await offered_in(one, whole, ids)
    assert offered == set()
    assert pages > LEAST_PAGES
