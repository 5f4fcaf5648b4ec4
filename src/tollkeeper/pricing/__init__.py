"""The price book and rating: what things cost, since when, and who said so."""

from tollkeeper.pricing.book import Book as Book
from tollkeeper.pricing.bounds import NO_LIMIT as NO_LIMIT
from tollkeeper.pricing.bounds import affordable as affordable
from tollkeeper.pricing.bounds import worst_case as worst_case
from tollkeeper.pricing.errors import InvalidPrices as InvalidPrices
from tollkeeper.pricing.errors import InvalidUsage as InvalidUsage
from tollkeeper.pricing.errors import ModelNotPriced as ModelNotPriced
from tollkeeper.pricing.errors import PriceVersionConflict as PriceVersionConflict
from tollkeeper.pricing.markup import NO_MARKUP as NO_MARKUP
from tollkeeper.pricing.markup import OWN as OWN
from tollkeeper.pricing.markup import Markup as Markup
from tollkeeper.pricing.markup import Markups as Markups
from tollkeeper.pricing.model import PriceVersion as PriceVersion
from tollkeeper.pricing.model import Rate as Rate
from tollkeeper.pricing.rating import Line as Line
from tollkeeper.pricing.rating import Rating as Rating
from tollkeeper.pricing.rating import check_priced as check_priced
from tollkeeper.pricing.rating import rate as rate
from tollkeeper.pricing.record import explain as explain
from tollkeeper.pricing.record import from_record as from_record
from tollkeeper.pricing.record import recompute as recompute
from tollkeeper.pricing.record import to_record as to_record
from tollkeeper.pricing.units import Quantity as Quantity
from tollkeeper.pricing.units import Usage as Usage
