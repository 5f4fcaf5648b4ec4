"""Addresses that nobody types by hand: what the database cannot hold is no outage."""

from __future__ import annotations

from browsing import signed_in, staff_signed_in

from whole import Customer, Whole

ADDRESSES = (
    "/console/staff/organizations?q=%00",
    "/console/staff/organizations?q=%ff%fe",
    "/console/staff/organizations?before=%00",
    "/console/staff/audit?organization=%00",
    "/console/staff/plans/%00",
    "/console/staff/prices?q=%00",
    "/console/staff/prices/models/own/%00",
    "/console/staff/inbox/sandbox/%00",
    "/console/staff/inbox?processor=%00",
    "/console/staff/plans/publish?plan=%00",
)
OWN = (
    "/console/usage?endUser=%00&thread=a%00b&tag=%00",
    "/console/usage?before=%00",
    "/console/usage/%00",
    "/console/analytics?endUser=%00",
    "/console/transactions?show=%00",
    "/console/statements/%00",
    "/console/plan/choose/%00",
    "/console/credits?currency=%00",
    "/console/credits/add?amount=%00",
    "/console/auto-top-up?threshold=%00",
    "/console/limits?before=%00",
    "/console/billing?purchase=%00",
)


async def test_addresses_with_odd_characters_are_no_errors_of_ours(
    whole: Whole, customer: Customer
) -> None:
    async with staff_signed_in(whole) as staff, signed_in(whole, customer) as owner:
        for one, paths in ((staff, ADDRESSES), (owner, OWN)):
            for path in paths:
                assert (await one.open(path)).status < 500, path
