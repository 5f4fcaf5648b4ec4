"""What is printed: any script, never markup, archivable, and beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from io import BytesIO
from typing import Any

import pytest
from documents import BUYER, NOW, SELLER, content, issued
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from tollkeeper.base.ids import uuid7
from tollkeeper.invoices import Invoice, Line, PaidBy, Party, TaxLine, Typesetter
from tollkeeper.invoices.document import invoice_data, statement_data
from tollkeeper.invoices.model import DocumentType
from tollkeeper.invoices.statement import Month, Movement, SkuCost, Statement
from tollkeeper.invoices.words import WORDS

# What each is written in, and a name: all of these come with a font.
SCRIPTS = {
    "Latin": "Ångström, Łódź & Nguyễn",
    "Greek": "Ελληνική Εταιρεία",
    "Cyrillic": "Общество «Ромашка»",
    "Georgian": "საქართველო",
    "Hebrew": "חברת דוגמה",
    "Arabic": "شركة المثال",
    "Devanagari": "देवनागरी कंपनी",
    "Thai": "บริษัท ตัวอย่าง",
    "Japanese": "株式会社サンプル",
    "Chinese": "例子有限公司",
    "Korean": "주식회사 예제",
}
NOTE = WORDS["en"]["romanised"]


@pytest.fixture(scope="session")
def bare() -> Iterator[Typesetter]:
    """Without the fonts of this machine."""
    with Typesetter.open(system_fonts=False) as setter:
        yield setter


def printed(setter: Typesetter, invoice: Invoice) -> PdfReader:
    pdf = setter.set_now("invoice", invoice_data(invoice, UTC), invoice.issued_at)
    return PdfReader(BytesIO(pdf))


def text_of(reader: PdfReader) -> str:
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


def named(name: str) -> Invoice:
    return issued(buyer=Party(name=name))


def test_an_invoice_says_everything(bare: Typesetter) -> None:
    text = text_of(printed(bare, issued(footer="Thank you.")))
    for said in (
        "Invoice",
        "INV-2026-000042",
        "November 21, 2026",
        SELLER.name,
        *BUYER.address,
        "VAT ID IE1234567FA",
        "Prepaid credit",
        "$250.00",
        "Payment processing fee",
        "$1.37",
        "VAT 19 %",
        "$47.76",
        "$299.13",
        "Paid on November 21, 2026 with Visa ending in 4242",
        "Thank you.",
        "Page 1 of 1",
    ):
        assert said in text


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_name_in_any_common_script_is_shown_as_it_is(bare: Typesetter, script: str) -> None:
    text = text_of(printed(bare, named(SCRIPTS[script])))
    assert NOTE not in text
    if script not in {"Hebrew", "Arabic", "Devanagari", "Thai"}:  # the reader reorders these
        assert SCRIPTS[script] in text


def test_a_script_without_a_font_is_romanised_and_the_document_says_so(bare: Typesetter) -> None:
    text = text_of(printed(bare, named("Երևան 🎉 Ελλάς")))
    assert "Erevan :tada: Ελλάς" in text
    assert NOTE in text


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=40))
def test_no_name_keeps_an_invoice_from_being_printed(bare: Typesetter, name: str) -> None:
    assert len(printed(bare, named(name)).pages) == 1


def test_a_customer_writes_text_and_never_markup(bare: Typesetter) -> None:
    name = '#pagebreak() #panic("x") *b* $x^2$ [a] <b> @c \\ // #sys.inputs'
    reader = printed(bare, issued(buyer=Party(name=name, address=("#(1+1)", '"}'))))
    assert len(reader.pages) == 1
    # Where a line breaks, readers of PDFs differ about the space.
    assert name.replace(" ", "") in text_of(reader).replace(" ", "")
    assert "#(1+1)" in text_of(reader)


def test_documents_can_be_archived_and_read_aloud(bare: Typesetter) -> None:
    reader = printed(bare, issued(language="de"))
    root: Any = reader.trailer["/Root"]
    assert root["/Lang"] == "de"
    assert root["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in root
    assert reader.metadata is not None
    assert reader.metadata.title == "Rechnung INV-2026-000042"
    said = root["/Metadata"].get_data().decode()
    for claim in ("<pdfaid:part>2<", "<pdfaid:conformance>A<", "<pdfuaid:part>1<"):
        assert claim in said


def test_the_same_document_is_the_same_file(bare: Typesetter) -> None:
    invoice = issued()
    data = invoice_data(invoice, UTC)
    assert bare.set_now("invoice", data, NOW) == bare.set_now("invoice", data, NOW)


@pytest.mark.parametrize("language", WORDS)
def test_every_language_has_every_word(bare: Typesetter, language: Any) -> None:
    assert WORDS[language].keys() == WORDS["en"].keys()
    assert all(WORDS[language].values())
    invoice = issued(
        language=language,
        taxes=(TaxLine(label="VAT", rate_ppm=0, base_minor=1, tax_minor=0, reverse_charge=True),),
        paid_by=PaidBy(method="card", last4=None, at=NOW),
    )
    text = text_of(printed(bare, invoice))
    assert WORDS[language]["reverse_charge"] in text
    assert WORDS[language]["card"] in text


def test_german_amounts_and_dates(bare: Typesetter) -> None:
    text = text_of(printed(bare, issued(language="de")))
    assert "299,13" in text
    assert "21. November 2026" in text


def test_many_lines_take_more_pages(bare: Typesetter) -> None:
    lines = tuple(Line(description=f"Line {n}", net_minor=n) for n in range(120))
    reader = printed(bare, issued(lines=lines, taxes=()))
    pages = len(reader.pages)
    assert pages > 2
    assert f"Page {pages} of {pages}" in text_of(reader)
    assert content(lines=lines, taxes=()).total_minor == sum(range(120))


def test_a_statement_shows_every_nano(bare: Typesetter) -> None:
    made = Statement(
        org_id=uuid7(),
        wallet_id=uuid7(),
        livemode=False,
        currency="USD",
        month=Month.read("2026-11"),
        made_at=NOW,
        opening_nanos=1,
        closing_nanos=49_876_543_210,
        movements=(
            Movement(kind="purchase", amount_nanos=50_000_000_000, at=NOW, reason="#strong[x]"),
        ),
        consumption=(
            SkuCost(
                sku="gpt-5-input", unit="input_tokens", quantity=None, amount_nanos=123_456_791
            ),
        ),
        consumed_nanos=123_456_791,
    )
    data = statement_data(made, SELLER, "株式会社", "en")
    text = text_of(PdfReader(BytesIO(bare.set_now("statement", data, NOW))))
    for said in ("0.000000001", "50.000000000", "-0.123456791", "49.876543210", "#strong[x]"):
        assert said in text
    assert "Not complete" in text
    assert "Test mode" in text


async def test_the_event_loop_goes_on_meanwhile(bare: Typesetter) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(tick())
    made = [issued(number=f"INV-2026-{n:06}", buyer=Party(name=f"n {n}")) for n in range(40)]
    pdfs = await asyncio.gather(
        *(
            bare.set("invoice", invoice_data(invoice, UTC), NOW + timedelta(seconds=n))
            for n, invoice in enumerate(made)
        )
    )
    ticking.cancel()
    assert len(set(pdfs)) == len(made)
    assert ticks > len(made)


def test_a_credit_note_names_what_it_corrects(bare: Typesetter) -> None:
    invoice = issued(number="CN-2026-000001", reason="Wrong amount")
    note = replace(invoice, type=DocumentType.CREDIT_NOTE, corrects_number="INV-2026-000042")
    text = text_of(printed(bare, note))
    for said in ("Credit note", "INV-2026-000042", "Reason: Wrong amount", "Refunded on"):
        assert said in text
