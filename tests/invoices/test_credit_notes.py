"""Money that goes back in parts comes to the invoice, net and each tax, and never to more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from documents import NOW, SELLER, issued
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.base.ids import uuid7
from tollkeeper.base.settings import Settings
from tollkeeper.invoices import Desk, Invoice, Line, NewInvoice, TaxLine, Typesetter, desk_of
from tollkeeper.invoices.composing import MoneyBack, compose_credit_note
from tollkeeper.invoices.document import show_nanos

DESK: Desk = replace(desk_of(Settings(), Typesetter()), seller=SELLER)


def back(amount_minor: int, **changes: Any) -> MoneyBack:
    said: dict[str, Any] = {
        "cause": "refund:1",
        "disputed": False,
        "amount_minor": amount_minor,
        "reason": None,
        "at": NOW,
    }
    return MoneyBack(**(said | changes))


def written(new: NewInvoice, invoice: Invoice) -> Invoice:
    said = new.content
    return replace(
        invoice,
        type=new.type,
        corrects_id=new.corrects_id,
        content=said,
        net_minor=said.net_minor,
        tax_minor=said.tax_minor,
        total_minor=said.total_minor,
    )


def give_back(invoice: Invoice, *amounts: int) -> list[Invoice]:
    notes: list[Invoice] = []
    for amount in amounts:
        new = compose_credit_note(DESK, invoice, notes, back(amount), uuid7())
        if new is not None:
            assert new.content.total_minor <= amount
            notes.append(written(new, invoice))
    return notes


@given(
    st.integers(0, 10**6),
    st.lists(st.integers(0, 400_000), max_size=3),
    st.lists(st.integers(1, 10**6), max_size=8),
)
def test_parts_come_to_the_whole(net: int, taxes: list[int], parts: list[int]) -> None:
    invoice = issued(
        lines=(Line(description="x", net_minor=net),),
        taxes=tuple(TaxLine(label="t", rate_ppm=n, base_minor=net, tax_minor=n) for n in taxes),
    )
    notes = give_back(invoice, *parts)
    gone = min(sum(parts), invoice.total_minor)
    assert sum(note.total_minor for note in notes) == gone
    for n, tax in enumerate(taxes):
        assert sum(note.content.taxes[n].tax_minor for note in notes) <= tax
    notes = give_back(invoice, *parts, invoice.total_minor)
    assert sum(note.net_minor for note in notes) == invoice.net_minor
    for n, tax in enumerate(taxes):
        assert sum(note.content.taxes[n].tax_minor for note in notes) == tax


def test_half_of_an_invoice() -> None:
    (note,) = give_back(issued(), 14_957)
    assert (note.net_minor, note.tax_minor) == (12_569, 2_388)
    assert note.content.taxes[0].base_minor == 12_569
    assert note.content.paid_by is not None
    assert note.content.paid_by.last4 == "4242"


def test_what_a_bank_took_back_says_so() -> None:
    invoice = issued()
    lost = back(29_913, disputed=True, cause="dispute:1")
    new = compose_credit_note(DESK, invoice, [], lost, uuid7())
    assert new is not None
    assert new.content.lines[0].description == "Payment taken back by the bank"
    assert new.content.paid_by is None
    assert new.content.reason == "The payment was disputed and given back to the cardholder."
    assert compose_credit_note(DESK, invoice, [written(new, invoice)], lost, uuid7()) is None


def test_credit_is_shown_with_all_its_decimals() -> None:
    assert show_nanos(25_000_000_000, "USD", "en") == "$25.00"
    assert show_nanos(25_000_000_001, "USD", "en") == "$25.000000001"
    assert show_nanos(25_000_000_000, "USD", "de").replace("\N{NO-BREAK SPACE}", " ") == "25,00 $"
    assert show_nanos(1_000_500_000_000, "DIEM", "en") == "1,000.50 DIEM"
