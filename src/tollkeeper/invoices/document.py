"""From values to what is printed: every figure and date as text in the document's language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final

from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal

from tollkeeper.invoices.model import Content, DocumentType, Invoice, Language, Party, TaxLine
from tollkeeper.invoices.statement import Movement, SkuCost, Statement
from tollkeeper.invoices.words import WORDS, Words
from tollkeeper.payments import to_nanos

Data = dict[str, Any]

_NANO: Final = Decimal(1).scaleb(-9)
_DECIMALS: Final = 9
_CENTS: Final = 2
_BRANDS: Final = {
    "visa": "Visa",
    "mastercard": "Mastercard",
    "amex": "American Express",
    "jcb": "JCB",
    "diners": "Diners Club",
    "discover": "Discover",
    "unionpay": "UnionPay",
}


def show_minor(minor: int, currency: str, language: Language) -> str:
    return format_currency(to_nanos(minor, currency) * _NANO, currency, locale=language)


def show_nanos(nanos: int, currency: str, language: Language) -> str:
    """Write credit with all its decimals: `$25.00`, `1,000.00 DIEM`."""
    decimals = max(_CENTS, _decimals_needed([nanos]))
    if currency == "USD":
        pattern = f"¤#,##0.{'0' * decimals}" if language == "en" else f"#,##0.{'0' * decimals} ¤"
        return format_currency(
            nanos * _NANO, currency, format=pattern, locale=language, currency_digits=False
        )
    return f"{_exact(nanos, decimals, language)} {currency}"


def invoice_data(invoice: Invoice, zone: tzinfo) -> Data:
    """Say what the template prints of an invoice or a credit note."""
    content, words = invoice.content, WORDS[invoice.content.language]
    credit = invoice.type is DocumentType.CREDIT_NOTE

    def money(minor: int) -> str:
        return show_minor(minor, invoice.currency, content.language)

    facts = [(words["date"], _day(invoice.issued_at, zone, content.language))]
    if invoice.corrects_number is not None:
        facts.append((words["corrects"], invoice.corrects_number))
    return {
        "title": words[invoice.type],
        "number": invoice.number,
        "language": content.language,
        "country": content.buyer.country,
        "facts": facts,
        "stamp": words["credited"] if credit else words["paid"],
        "total": money(invoice.total_minor),
        "seller": _party(content.seller, words["from"]),
        "buyer": _party(content.buyer, words["to"]),
        "lines": [
            {
                "description": line.description,
                "detail": line.detail,
                "amount": money(line.net_minor),
            }
            for line in content.lines
        ],
        "sums": [
            (words["net"], money(invoice.net_minor)),
            *(_tax(tax, invoice, words) for tax in content.taxes),
        ],
        "total_label": words["total_credited"] if credit else words["total"],
        "all_amounts": words["all_amounts"].format(currency=invoice.currency),
        "paid_by": _paid_by(content, zone, credit=credit),
        "notes": _notes(invoice, words),
        "footer": content.footer,
        "foot": content.seller.register or content.seller.name,
        "page": words["page"],
        "labels": {"description": words["description"], "amount": words["amount"]},
        "romanised": words["romanised"],
    }


def _tax(tax: TaxLine, invoice: Invoice, words: Words) -> tuple[str, str]:
    language = invoice.content.language
    base = show_minor(tax.base_minor, invoice.currency, language)
    label = tax.label
    if tax.base_minor != invoice.net_minor:
        label += f" {words['on'].format(base=base)}"
    return label, show_minor(tax.tax_minor, invoice.currency, language)


def _notes(invoice: Invoice, words: Words) -> list[str]:
    content = invoice.content
    notes = [tax.note for tax in content.taxes if tax.note]
    if any(tax.reverse_charge and not tax.note for tax in content.taxes):
        notes.append(words["reverse_charge"])
    if content.reason is not None:
        notes.append(f"{words['reason']}: {content.reason}")
    if not invoice.livemode:
        notes.append(words["test"])
    return list(dict.fromkeys(notes))


def _paid_by(content: Content, zone: tzinfo, *, credit: bool) -> str | None:
    paid, words = content.paid_by, WORDS[content.language]
    if paid is None:
        return None
    date = _day(paid.at, zone, content.language)
    if paid.method is None:
        return words["refunded_on" if credit else "paid_on"].format(date=date)
    method = words["card"] if paid.method == "card" else _BRANDS.get(paid.method, paid.method)
    if paid.last4 is not None:
        method = words["ending"].format(brand=method, last4=paid.last4)
    return words["refunded_to" if credit else "paid_by"].format(date=date, method=method)


def _party(party: Party, label: str) -> Data:
    lines = [*party.address, *party.tax_ids, *([party.email] if party.email else [])]
    return {"label": label, "name": party.name, "lines": lines}


def _day(at: datetime, zone: tzinfo, language: Language) -> str:
    return format_date(at.astimezone(zone).date(), format="long", locale=language)


def statement_data(statement: Statement, seller: Party, account: str, language: Language) -> Data:
    """Say what the template prints of a statement. Amounts are exact."""
    words = WORDS[language]
    decimals = _decimals_of(statement)

    def money(nanos: int) -> str:
        return _exact(nanos, decimals, language)

    last = statement.month.until - timedelta(days=1)
    days = [
        format_date(day, format="long", locale=language) for day in (statement.month.start, last)
    ]
    note = None
    if not statement.complete:
        at = format_datetime(statement.made_at, format="long", locale=language)
        note = words["not_complete"].format(at=at)
    return {
        "title": words["statement"],
        "number": str(statement.month),
        "language": language,
        "country": None,
        "facts": [
            (words["period"], " \N{EN DASH} ".join(days)),
            (words["balance_of"], statement.currency),
        ],
        "seller": _party(seller, words["from"]),
        "buyer": {"label": words["account"], "name": account, "lines": []},
        "sums": [
            (words["opening"], money(statement.opening_nanos)),
            (words["purchases"], money(statement.purchased_nanos)),
            (words["refunds"], money(statement.refunded_nanos)),
            (words["other"], money(statement.other_nanos)),
            (words["consumption"], money(-statement.consumed_nanos)),
        ],
        "total_label": words["closing"],
        "total": money(statement.closing_nanos),
        "all_amounts": words["all_amounts"].format(currency=statement.currency),
        "movements": _movements(statement.movements, words, money, language),
        "usage": _usage(statement.consumption, words, money, language),
        "notes": [
            *([note] if note else []),
            *([] if statement.livemode else [words["test"]]),
        ],
        "foot": seller.register or seller.name,
        "page": words["page"],
        "labels": {
            name: words[name]
            for name in ("date", "type", "description", "amount", "quantity", "movements", "usage")
        }
        | {"none": words["none"]},
        "romanised": words["romanised"],
    }


def _movements(
    movements: Sequence[Movement], words: Words, money: Callable[[int], str], language: Language
) -> list[tuple[str, str, str, str]]:
    return [
        (
            format_date(moved.at, format="medium", locale=language),
            words[f"kind_{moved.kind}"],
            moved.reason or "",
            money(moved.amount_nanos),
        )
        for moved in movements
    ]


def _usage(
    consumption: Sequence[SkuCost], words: Words, money: Callable[[int], str], language: Language
) -> list[tuple[str, str, str]]:
    return [
        (cost.sku or words["unexplained"], _quantity(cost, language), money(cost.amount_nanos))
        for cost in consumption
    ]


def _quantity(cost: SkuCost, language: Language) -> str:
    if cost.quantity is None:
        return ""
    unit = (cost.unit or "").replace("_", " ")
    return f"{format_decimal(cost.quantity, locale=language)} {unit}".strip()


def _decimals_of(statement: Statement) -> int:
    """As many decimals as the finest amount needs, the same for all, and at least cents."""
    amounts = [statement.opening_nanos, statement.closing_nanos, statement.consumed_nanos]
    amounts += [moved.amount_nanos for moved in statement.movements]
    amounts += [cost.amount_nanos for cost in statement.consumption]
    return max(_CENTS, _decimals_needed(amounts))


def _decimals_needed(amounts: Sequence[int]) -> int:
    return next(
        n for n in range(_DECIMALS + 1) if not any(a % 10 ** (_DECIMALS - n) for a in amounts)
    )


def _exact(nanos: int, decimals: int, language: Language) -> str:
    return format_decimal(nanos * _NANO, format=f"#,##0.{'0' * decimals}", locale=language)
