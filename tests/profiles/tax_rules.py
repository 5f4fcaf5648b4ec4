"""Rules as an operator in Germany might set them."""

from __future__ import annotations

from tollkeeper.base.settings import Percent, TaxRule

TAXES = {
    "DE": TaxRule(percent=Percent(190_000)),
    "IE": TaxRule(percent=Percent(230_000), businesses="reverse_charge"),
    "CH": TaxRule(percent=Percent(81_000), name="MWST", businesses="exempt"),
}
