"""Pages full of what people may write, in a real browser: nothing runs, nothing is too wide."""

from __future__ import annotations

import pytest
from console_routes import routes_of
from furnished import furnish
from windows import Window

MARK = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}\u202e" + "W" * 120


@pytest.mark.parametrize("width", [390, 1440])
async def test_nothing_that_was_written_runs(window: Window, width: int) -> None:
    """What the console of the browser complains of, a breach of the policy too, fails the test."""
    customer = await window.whole.customer()
    window.expects(404, 400)
    ids = await furnish(window.whole, customer, MARK)
    page = await window.sign_in("owner", customer, width=width)
    dialogs, wide = list[str](), dict[str, int]()
    page.on("dialog", lambda one: dialogs.append(one.message))
    for route in routes_of(window.whole):
        staff = route.path.startswith(("/console/staff", "/console/enter", "/console/oidc"))
        if route.method != "GET" or staff or set(route.places) - set(ids):
            continue
        if route.path.endswith(("/live", "/download", "/export", ".csv", "_id}", "{month}")):
            shown = "/invoices/" not in route.path and route.path.endswith("_id}")
            if not shown:
                continue
        await page.goto(route.filled(ids))
        beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if beyond > 0:
            wide[str(route)] = beyond
    assert (wide, dialogs) == ({}, [])
