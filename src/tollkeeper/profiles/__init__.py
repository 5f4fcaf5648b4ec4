"""Who invoices are made out to: billing profile, address, tax ids, and the taxes that follow."""

from tollkeeper.profiles.addresses import address_lines
from tollkeeper.profiles.keeping import Saved, amend_profile
from tollkeeper.profiles.model import Address, BuyerKind, Profile, Tax, TaxId
from tollkeeper.profiles.routes import AddressShape, TaxIdShape, profile_routes
from tollkeeper.profiles.store import read_profile, write_profile
from tollkeeper.profiles.taxes import decide_taxes

__all__ = [
    "Address",
    "AddressShape",
    "BuyerKind",
    "Profile",
    "Saved",
    "Tax",
    "TaxId",
    "TaxIdShape",
    "address_lines",
    "amend_profile",
    "decide_taxes",
    "profile_routes",
    "read_profile",
    "write_profile",
]
