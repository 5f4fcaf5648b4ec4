"""Books as downloads: usage, entries and invoices of a window, whole, as CSV or NDJSON."""

from tollkeeper.exports.books import BOOKS, Book, Books, Window
from tollkeeper.exports.routes import export_routes, operator_export_routes
from tollkeeper.exports.writing import FORMATS, Format, write_rows

__all__ = [
    "BOOKS",
    "FORMATS",
    "Book",
    "Books",
    "Format",
    "Window",
    "export_routes",
    "operator_export_routes",
    "write_rows",
]
