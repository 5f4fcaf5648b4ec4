"""The price book and rating: what things cost, since when, and who said so."""

from tollkeeper.pricing.book import Book
from tollkeeper.pricing.bounds import (
    NO_LIMIT,
    affordable,
    reach_of,
    worst_case,
    worst_case_by_bound,
)
from tollkeeper.pricing.catalogue import catalogue_dir, install_catalogue, read_catalogue
from tollkeeper.pricing.content import seal
from tollkeeper.pricing.diff import Change, Diff, compare
from tollkeeper.pricing.diff_text import diff_to_json, render_diff
from tollkeeper.pricing.errors import (
    InvalidPrices,
    InvalidUsage,
    ModelNotPriced,
    PriceVersionConflict,
)
from tollkeeper.pricing.imported import Imported, Skipped
from tollkeeper.pricing.importer import (
    read_genai_prices,
    with_limits,
    write_price_files,
)
from tollkeeper.pricing.keeper import BookKeeper
from tollkeeper.pricing.markup import NO_MARKUP, OWN, Markup, Markups
from tollkeeper.pricing.model import STANDARD_TIERS, PriceVersion, Rate
from tollkeeper.pricing.price_file import read_price_file
from tollkeeper.pricing.price_writer import write_price_file
from tollkeeper.pricing.rating import Line, Rating, check_priced, per_call, rate
from tollkeeper.pricing.record import explain, from_record, recompute, to_record
from tollkeeper.pricing.sheet import Overage, sku_of
from tollkeeper.pricing.store import (
    MarkupChange,
    find_altered,
    load_book,
    publish,
    publish_markup,
    read_markups,
)
from tollkeeper.pricing.units import (
    INPUT_TOKENS,
    MODALITIES,
    OUTPUT_TOKENS,
    TOKENS,
    Quantity,
    Usage,
)

__all__ = [
    "INPUT_TOKENS",
    "MODALITIES",
    "NO_LIMIT",
    "NO_MARKUP",
    "OUTPUT_TOKENS",
    "OWN",
    "STANDARD_TIERS",
    "TOKENS",
    "Book",
    "BookKeeper",
    "Change",
    "Diff",
    "Imported",
    "InvalidPrices",
    "InvalidUsage",
    "Line",
    "Markup",
    "MarkupChange",
    "Markups",
    "ModelNotPriced",
    "Overage",
    "PriceVersion",
    "PriceVersionConflict",
    "Quantity",
    "Rate",
    "Rating",
    "Skipped",
    "Usage",
    "affordable",
    "catalogue_dir",
    "check_priced",
    "compare",
    "diff_to_json",
    "explain",
    "find_altered",
    "from_record",
    "install_catalogue",
    "load_book",
    "per_call",
    "publish",
    "publish_markup",
    "rate",
    "reach_of",
    "read_catalogue",
    "read_genai_prices",
    "read_markups",
    "read_price_file",
    "recompute",
    "render_diff",
    "seal",
    "sku_of",
    "to_record",
    "with_limits",
    "worst_case",
    "worst_case_by_bound",
    "write_price_file",
    "write_price_files",
]
