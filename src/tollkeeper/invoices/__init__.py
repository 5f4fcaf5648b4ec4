"""What a purchase leaves on paper: invoices, credit notes, monthly statements."""

from tollkeeper.invoices.composing import Sale
from tollkeeper.invoices.crediting import CreditOrder, credit_invoice
from tollkeeper.invoices.desk import Desk, desk_of
from tollkeeper.invoices.errors import CauseReused, CreditNoteRefused, StatementWrong
from tollkeeper.invoices.fees import hear_of_fees
from tollkeeper.invoices.issuing import hear_of_money_back, issue_for_purchase, issue_sale
from tollkeeper.invoices.model import (
    Content,
    DocumentType,
    Invoice,
    Line,
    NewInvoice,
    Numbering,
    PaidBy,
    Party,
    TaxLine,
)
from tollkeeper.invoices.numbering import issue
from tollkeeper.invoices.operator_routes import operator_invoice_routes
from tollkeeper.invoices.printing import print_invoice, print_statement
from tollkeeper.invoices.routes import invoice_routes
from tollkeeper.invoices.shapes import InvoiceOut
from tollkeeper.invoices.statement import Month, Statement
from tollkeeper.invoices.stating import make_statement
from tollkeeper.invoices.store import (
    find_by_number,
    get_invoice,
    invoices_between,
    invoices_of_purchases,
    list_invoices,
)
from tollkeeper.invoices.typesetting import Typesetter
from tollkeeper.invoices.verify import verify_invoices

__all__ = [
    "CauseReused",
    "Content",
    "CreditNoteRefused",
    "CreditOrder",
    "Desk",
    "DocumentType",
    "Invoice",
    "InvoiceOut",
    "Line",
    "Month",
    "NewInvoice",
    "Numbering",
    "PaidBy",
    "Party",
    "Sale",
    "Statement",
    "StatementWrong",
    "TaxLine",
    "Typesetter",
    "credit_invoice",
    "desk_of",
    "find_by_number",
    "get_invoice",
    "hear_of_fees",
    "hear_of_money_back",
    "invoice_routes",
    "invoices_between",
    "invoices_of_purchases",
    "issue",
    "issue_for_purchase",
    "issue_sale",
    "list_invoices",
    "make_statement",
    "operator_invoice_routes",
    "print_invoice",
    "print_statement",
    "verify_invoices",
]
