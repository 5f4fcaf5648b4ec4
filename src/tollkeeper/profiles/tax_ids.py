"""Tax ids: of a known type, of the buyer's country, and a number that can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.profiles.model import TaxId
from tollkeeper.profiles.tax_id_types import EU, TAX_ID_TYPES, VAT_PREFIXES, TaxIdType, tidy

_MOST: Final = 5
_EU_VAT: Final = "eu_vat"
# What a person has who is in no business.
_PERSONS: Final = frozenset(["br_cpf", "fr_spi"])
# Northern Ireland is in the EU's VAT area for goods, and has ids of the EU's.
_NORTHERN_IRELAND: Final = ("GB", "XI")


def types_of(country: str | None) -> list[TaxIdType]:
    """The types that whoever lives in a country may have; all without one."""
    return [
        type_
        for type_ in TAX_ID_TYPES.values()
        if country is None or not type_.countries or country in type_.countries
    ]


def check_tax_ids(tax_ids: Sequence[TaxId], country: str) -> tuple[TaxId, ...]:
    """Return them tidied. Raises InvalidRequest, naming each that is wrong and what it could be."""
    faults: dict[str, list[str]] = {}
    checked: list[TaxId] = []
    for place, tax_id in enumerate(tax_ids):
        found = TaxId(type=tax_id.type, value=tidy(tax_id.value))
        field, why = _fault(found, country)
        if why is not None:
            faults[f"taxIds.{place}.{field}"] = [why]
        elif found not in checked:
            checked.append(found)
    if len(tax_ids) > _MOST:
        faults["taxIds"] = [f"must be at most {_MOST}"]
    if faults:
        name, said = next(iter(faults.items()))
        raise InvalidRequest(f"{name}: {said[0]}", faults)
    return tuple(checked)


def _fault(tax_id: TaxId, country: str) -> tuple[str, str | None]:
    type_ = TAX_ID_TYPES.get(tax_id.type)
    if type_ is None:
        known = ", ".join(one.code for one in types_of(country)) or "none"
        return "type", f"is no type of tax id; in {country} there are: {known}"
    if type_.countries and not _lives_there(type_, tax_id.value, country):
        where = ", ".join(sorted(type_.countries))
        known = ", ".join(one.code for one in types_of(country)) or "none"
        return "type", f"is of {where}, and the address is in {country}, where there are: {known}"
    if not type_.accepts(tax_id.value):
        return "value", f"is no {type_.name}; one looks like {type_.example}"
    if type_.code == _EU_VAT and not tax_id.value.startswith(_prefix_of(country)):
        return "value", f"must begin with {_prefix_of(country)}, as the address is in {country}"
    return "value", None


def _lives_there(type_: TaxIdType, value: str, country: str) -> bool:
    if type_.code == _EU_VAT and country == _NORTHERN_IRELAND[0]:
        return value.startswith(_NORTHERN_IRELAND[1])
    return country in type_.countries


def _prefix_of(country: str) -> str:
    if country == _NORTHERN_IRELAND[0]:
        return _NORTHERN_IRELAND[1]
    return VAT_PREFIXES.get(country, country)


def proves_business(tax_ids: Sequence[TaxId], country: str) -> bool:
    """Whether one of them is what reverse charge asks for: in the EU a VAT id, elsewhere any
    that is not a private person's."""
    codes = {tax_id.type for tax_id in tax_ids} - _PERSONS
    return _EU_VAT in codes if country in EU else bool(codes)
