"""What issuing and printing need to know of this installation: a value from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from tollkeeper.base.settings import Settings
from tollkeeper.invoices.model import Language, Numbering, Party
from tollkeeper.invoices.typesetting import Typesetter


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    seller: Party
    numbering: Numbering
    language: Language
    footer: str | None
    zone: tzinfo
    typesetter: Typesetter


def desk_of(settings: Settings, typesetter: Typesetter) -> Desk:
    seller, said = settings.seller, settings.invoices
    return Desk(
        seller=Party(
            name=seller.name,
            address=tuple(seller.address),
            country=seller.country,
            tax_ids=tuple(seller.tax_ids),
            email=seller.email,
            register=seller.register,
        ),
        numbering=Numbering(
            entity=seller.entity,
            invoice_prefix=said.invoice_prefix,
            credit_note_prefix=said.credit_note_prefix,
            zone=seller.zone,
        ),
        language=said.language,
        footer=said.footer,
        zone=seller.zone,
        typesetter=typesetter,
    )
