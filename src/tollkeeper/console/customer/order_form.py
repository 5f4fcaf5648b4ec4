"""What is filled in to buy credit: read whole, each fault in its place, and priced before it is
paid. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tollkeeper import payments, profiles
from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.base.ids import read_id
from tollkeeper.base.money import Money, parse_nanos
from tollkeeper.base.settings import TaxRule
from tollkeeper.console.customer.saying import sentence
from tollkeeper.console.forms import Form
from tollkeeper.console.model import USD
from tollkeeper.console.rendering import say, show_money
from tollkeeper.credits import Price, PurchaseRules, tax_on
from tollkeeper.profiles import Address, BuyerKind, Profile, TaxId

OTHER: Final = "other"
NEW_CARD: Final = "new"

_LONGEST: Final = 200
_ADDRESS: Final = ("line1", "line2", "city", "district", "state", "postalCode")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An order as far as it can be read; what is wrong with it stands in the faults of `form`."""

    form: Form
    amount: int | None
    name: str
    address: Address
    tax_id: TaxId | None
    method_id: UUID | None
    save_card: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxShown:
    label: str
    amount: Money
    reverse_charge: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What an order costs. `seen` goes with the form, to tell what its sender was shown."""

    credit: Money
    fee: Money
    taxes: list[TaxShown]
    total: Money
    seen: str

    @classmethod
    def of(cls, price: Price) -> Total:
        def money(minor: int) -> Money:
            return Money(payments.to_nanos(minor, price.currency))

        base = price.price_minor + price.fee_minor
        return cls(
            credit=Money(price.credit_nanos),
            fee=money(price.fee_minor),
            taxes=[
                TaxShown(
                    label=tax.label,
                    amount=money(tax_on(base, tax)),
                    reverse_charge=tax.reverse_charge,
                )
                for tax in price.taxes
            ],
            total=money(price.total_minor),
            seen=str(price.total_minor),
        )


def read_order(form: Form, rules: PurchaseRules) -> Draft:
    """Read everything, and name every fault."""
    faults: dict[str, str] = {}
    country = form.text("billingAddress.country")
    parts = {name: _line(form, f"billingAddress.{name}", faults) for name in _ADDRESS}
    address = Address(
        country=country,
        line1=parts["line1"],
        line2=parts["line2"] or None,
        city=parts["city"] or None,
        district=parts["district"] or None,
        state=parts["state"] or None,
        postal_code=parts["postalCode"] or None,
    )
    name = _line(form, "name", faults)
    if not name:
        faults["name"] = say("buy.name_missing")
    tax_id = _tax_id(form, faults)
    amount = _amount(form, rules, faults)
    method_id = _method(form, faults)
    _check(faults, lambda: profiles.check_address(address))
    if tax_id is not None and "billingAddress.country" not in faults:
        _check(faults, lambda: profiles.check_tax_ids([tax_id], country))
    return Draft(
        form=form.faulty(**faults),
        amount=amount,
        name=name,
        address=address,
        tax_id=tax_id,
        method_id=method_id,
        save_card=form.ticked("save"),
    )


def price_of(
    draft: Draft, rules: PurchaseRules, taxes: Mapping[str, TaxRule], known: Profile | None
) -> Total | None:
    """Say what it costs whoever the form says they are; nothing while there is no amount."""
    if draft.amount is None:
        return None
    buyer = _buyer(draft, known)
    return Total.of(rules.price(draft.amount, USD, profiles.decide_taxes(taxes, buyer)))


def _amount_text(form: Form) -> str:
    """What is chosen, or typed where nothing is chosen."""
    preset = form.text("preset")
    return form.text("amount") if preset in ("", OTHER) else preset


def plain_money(nanos: int) -> str:
    return show_money(Money(nanos)).striptags()


def _buyer(draft: Draft, known: Profile | None) -> Profile | None:
    if not draft.address.country:
        return known
    same = known is not None and known.address.country == draft.address.country
    tax_ids = known.tax_ids if known is not None and same else ()
    good = draft.tax_id is not None and not any(
        name.startswith("taxId.") for name in draft.form.faults
    )
    if draft.tax_id is not None and good:
        tax_ids = (*tax_ids, draft.tax_id)
    business = known is None or draft.tax_id is not None
    return Profile(
        org_id=UUID(int=0) if known is None else known.org_id,
        name=draft.name,
        kind=BuyerKind.BUSINESS if business or known is None else known.kind,
        address=draft.address,
        tax_ids=tax_ids,
        updated_at=datetime.min,  # noqa: DTZ901 (of nobody yet, and not kept)
    )


def _amount(form: Form, rules: PurchaseRules, faults: dict[str, str]) -> int | None:
    text = Form(values={"amount": _amount_text(form)}).amount("amount")
    try:
        amount = int(parse_nanos(text or ""))
    except ValueError:
        faults["amount"] = say("buy.amount_wrong")
        return None
    try:
        rules.price(amount, USD)
    except payments.AmountNotPayable:
        faults["amount"] = say("buy.amount_cents")
    except InvalidRequest:
        least, most = plain_money(rules.least), plain_money(rules.most)
        faults["amount"] = say("buy.amount_range", least=least, most=most)
    return None if "amount" in faults else amount


def _method(form: Form, faults: dict[str, str]) -> UUID | None:
    chosen = form.text("method")
    if chosen in ("", NEW_CARD):
        return None
    try:
        return read_id("met", chosen)
    except ValueError:
        faults["method"] = say("buy.method_gone")
        return None


def _tax_id(form: Form, faults: dict[str, str]) -> TaxId | None:
    value = _line(form, "taxId.value", faults)
    if not value:
        return None
    return TaxId(type=form.text("taxId.type"), value=value)


def _line(form: Form, name: str, faults: dict[str, str]) -> str:
    """One line: what was pasted over several is one, too."""
    text = " ".join(form.text(name).split())
    if len(text) > _LONGEST or not text.isprintable():
        faults[name] = say("buy.line_wrong", most=_LONGEST)
        return ""
    return text


def _check(faults: dict[str, str], look: Callable[[], object]) -> None:
    try:
        look()
    except InvalidRequest as error:
        for name, said in error.faults.items():
            field, _, last = name.partition(".")
            place = {"address": "billingAddress"}.get(field, "taxId")
            faults.setdefault(f"{place}.{last.rpartition('.')[2]}", sentence(said[0]))


def said_by(error: TollkeeperError) -> str:
    """What a page says of what a room, or the processor, would not do."""
    return say(f"buy.problem_{error.code}") if error.code in _KNOWN else error.detail


_KNOWN: Final = frozenset(
    [
        "purchase_in_progress",
        "payment_method_not_found",
        "payment_processor_unavailable",
        "payment_processor_refused",
        "payments_not_configured",
    ]
)
