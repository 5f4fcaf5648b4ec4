"""Wren AI's page "API Usage Billing", section by section, against `./dev example wren`."""

from __future__ import annotations

from decimal import Decimal

from running import Site
from walking import Walker, until, walk


def test_wren(place: Site) -> None:
    with walk(place, "wren") as wren:
        api_credit_usage(wren)


def api_credit_usage(wren: Walker) -> None:
    """API Credit Usage."""
    until(lambda: wren.balance() == Decimal("1.00"))
    wren.add_card()
    bought = wren.post("/billing/purchases", {"amount": 10})
    assert bought["status"] == "succeeded"
    assert wren.balance() == Decimal("11.00")
