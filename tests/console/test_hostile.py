"""What people write, wherever it is shown: text, and nothing else; in pages and in files."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

from browsing import signed_in, staff_signed_in
from console_routes import Route, ask, routes_of
from furnished import everything_served, furnish, furnish_staff

from recycling import Databases
from tollkeeper.db import EmbeddedServer
from whole import Whole

MARK = "<script>steal()</script>\"'><img src=x onerror=steal()>{{7*7}}\u202ertl\u200b"
LONG = "W" * 200
FORMULA = "=HYPERLINK(1)"
_HIDDEN = frozenset({"href", "src", "action", "formaction", "hx-get", "hx-post"})
_FORMULAS = re.compile(r"[=+@\t\r-](?![0-9.]+$)")


class Reader(HTMLParser):
    """Writes down what a browser would run or follow that we did not write."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "script" and not (known.get("src") or "").startswith("/console/"):
            self.wrong.append("a script")
        if known.get("src") == "x" or any(name.startswith("on") for name in known):
            self.wrong.append(f"<{tag}> of theirs")
        for name in _HIDDEN & set(known):
            if re.match(r"\s*(javascript|data|vbscript):", known[name] or "", re.IGNORECASE):
                self.wrong.append(f"{name}={known[name]}")


def read(text: str) -> list[str]:
    reader = Reader()
    reader.feed(text)
    return reader.wrong


async def _name_organization(whole: Whole, org_id: object, name: str) -> None:
    async with whole.database.transaction() as tx:
        await tx.execute("UPDATE organization SET name = %s WHERE org_id = %s", (name, org_id))


async def test_what_people_write_is_text(server: EmbeddedServer, databases: Databases) -> None:
    async with everything_served(server, databases) as whole:
        customer = await whole.customer()
        await _name_organization(whole, customer.org_id, MARK)
        ids = await furnish(whole, customer, MARK) | await furnish_staff(whole, customer, MARK)
        ids |= {"rest": "<script>", "name": "x", "token": "x"}
        await furnish(whole, customer, LONG)
        shown, wrong = list[str](), list[str]()
        async with signed_in(whole, customer) as owner, staff_signed_in(whole) as staff:
            for route in routes_of(whole):
                if route.method != "GET" or route.path == "/console/live":
                    continue
                seen = await ask(
                    staff if route.path.startswith("/console/staff") else owner,
                    route,
                    route.filled(ids),
                )
                if "html" not in seen.headers.get("content-type", ""):
                    continue
                if MARK in seen.text or "steal()<" in seen.text or read(seen.text):
                    wrong.append(f"{route}: {read(seen.text)}")
                if "&lt;script&gt;steal()" in seen.text:
                    assert "{{7*7}}" in seen.text, route
                    shown.append(route.path)
        assert wrong == []
        assert len(shown) > 25, shown


async def test_cells_of_files_are_no_formulas(server: EmbeddedServer, databases: Databases) -> None:
    """As in the API's CSV: what a spreadsheet would reckon has an apostrophe before it."""
    async with everything_served(server, databases) as whole:
        customer = await whole.customer()
        for mark in (FORMULA, "+1+cmd", "-2+3", "@SUM(1)"):
            await furnish(whole, customer, mark)
        found = 0
        async with signed_in(whole, customer) as owner:
            for path in (
                "transactions/download",
                "usage/export?format=csv",
                *(f"analytics/costs.csv?by={by}" for by in ("project", "endUser", "key", "model")),
                "analytics/costs.csv?by=tag&name=team",
            ):
                route = Route("GET", f"/console/{path}")
                seen = await ask(owner, route, route.path)
                assert seen.status == 200, (path, seen.text)
                assert seen.headers["content-disposition"].startswith("attachment"), path
                cells = [cell for row in csv.reader(io.StringIO(seen.text)) for cell in row]
                assert [cell for cell in cells if _FORMULAS.match(cell)] == [], path
                found += sum(cell.startswith(("'=", "'+", "'-", "'@")) for cell in cells)
        assert found > 4
