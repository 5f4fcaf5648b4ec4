"""The operator's pages about customers and money: they say what the operator API says."""

from __future__ import annotations

from browsing import staff_signed_in

from whole import Customer, Whole

PAGES = (
    "overview",
    "overview/checks",
    "overview/earned",
    "organizations",
    "grants",
    "refunds",
    "disputes",
)


async def test_every_page_opens(whole: Whole, customer: Customer) -> None:
    async with staff_signed_in(whole, "viewer") as viewer:
        for page in (*PAGES, f"organizations/{customer.id}"):
            shown = await viewer.open(f"/console/staff/{page}")
            assert shown.status == 200, (page, shown.text)
