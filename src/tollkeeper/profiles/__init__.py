"""Who invoices are made out to: billing profile, address, tax ids, and the taxes that follow."""

from tollkeeper.profiles.addresses import (
    AddressForm,
    address_lines,
    check_address,
    countries,
    form_of,
)
from tollkeeper.profiles.keeping import Saved, amend_profile
from tollkeeper.profiles.keeping import keep as keep_profile
from tollkeeper.profiles.model import Address, BuyerKind, Profile, Tax, TaxId
from tollkeeper.profiles.routes import AddressShape, ProfileIn, TaxIdShape, profile_routes
from tollkeeper.profiles.store import read_profile, write_profile
from tollkeeper.profiles.tax_id_types import TaxIdType
from tollkeeper.profiles.tax_ids import check_tax_ids, types_of
from tollkeeper.profiles.taxes import decide_taxes

__all__ = [
    "Address",
    "AddressForm",
    "AddressShape",
    "BuyerKind",
    "Profile",
    "ProfileIn",
    "Saved",
    "Tax",
    "TaxId",
    "TaxIdShape",
    "TaxIdType",
    "address_lines",
    "amend_profile",
    "check_address",
    "check_tax_ids",
    "countries",
    "decide_taxes",
    "form_of",
    "keep_profile",
    "profile_routes",
    "read_profile",
    "types_of",
    "write_profile",
]
