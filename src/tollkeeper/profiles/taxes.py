"""What taxes a buyer pays: rules of the settings, by country and kind of buyer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollkeeper.base.settings import TaxRule
from tollkeeper.profiles.model import BuyerKind, Profile, Tax
from tollkeeper.profiles.tax_ids import proves_business

ANYWHERE: Final = "default"


def decide_taxes(rules: Mapping[str, TaxRule], profile: Profile | None) -> tuple[Tax, ...]:
    """Without a profile, or a rule of its country, the rule named `default` holds; without that
    there is no tax. A business is believed by its tax id."""
    country = None if profile is None else profile.address.country
    rule = rules.get(country or ANYWHERE) or rules.get(ANYWHERE)
    if rule is None:
        return ()
    rate, label = int(rule.percent), f"{rule.name} {_percent(rule.percent)}"
    if profile is None or not _is_business(profile) or rule.businesses == "taxed":
        return (Tax(label=label, rate_ppm=rate),) if rule.percent else ()
    if rule.businesses == "exempt":
        return ()
    # The seller charges no rate: its document names the tax, and the note says who owes it.
    return (Tax(label=rule.name, rate_ppm=rate, reverse_charge=True, note=rule.note),)


def _is_business(profile: Profile) -> bool:
    proven = proves_business(profile.tax_ids, profile.address.country)
    return profile.kind is BuyerKind.BUSINESS and proven


def _percent(ppm: int) -> str:
    whole, rest = divmod(ppm, 10_000)
    return f"{whole}.{rest:04}".rstrip("0").rstrip(".") + " %"
