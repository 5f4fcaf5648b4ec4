"""What a call can cost at most, and the limit that makes it true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from tollkeeper import pricing
from tollkeeper.gateway.dialects import Ask
from tollkeeper.gateway.errors import UnboundedRequest
from tollkeeper.gateway.models import Sale
from tollkeeper.pricing import STANDARD_TIERS, Overage, PriceVersion

# Tiers that no provider serves a request on unless it asks for them.
_ONLY_IF_ASKED: Final = ("batch", "fast", "inference_geo_")
# The smallest output limit that a dialect's providers take (OpenAI, "Responses").
_LEAST_CAP: Final = {"responses": 16}
# Bytes of `"max_completion_tokens":1000000000,` and spaces around it.
_LIMIT_IN_BODY: Final = 40


class Quote(Struct, frozen=True, kw_only=True):
    """`amount_nanos` bounds the cost of any usage within `bounds`.

    `cap` is the output limit of one choice that has to be sent upstream for that; None where
    the model's own window is the limit, or nothing is written.
    """

    amount_nanos: int
    bounds: Mapping[str, int]
    cap: int | None


class Terms(Struct, frozen=True):
    """What is sold, at which prices: those of the customer's plan where it has its own."""

    sale: Sale
    overage: Overage | None = None


def quote(ask: Ask, terms: Terms) -> Quote:
    """Rate the worst case. Raises ModelNotPriced, UnboundedRequest."""
    version = terms.sale.version
    pricing.check_priced(version, ask.units, service_tier=ask.service_tier)
    most_read, most_written = windows(version)
    bounds = ask.bounds(most_read, most_written)
    if bounds is None:
        raise _unbounded(ask, most_read)
    return _quoted(ask, terms, {**bounds, **pricing.per_call(version)}, _cap(ask, version))


def lower(ask: Ask, terms: Terms, full: Quote, spendable_nanos: int, dialect: str) -> Quote | None:
    """Lower the output limit until the call is affordable. None: no limit makes it so."""
    cap = _affordable(ask, terms, full.bounds, spendable_nanos)
    if cap is None or cap < _least_cap(ask, dialect):
        return None
    written = cap * ask.choices + ask.extra_output_tokens
    return _quoted(ask, terms, {**full.bounds, "output": written}, cap)


def affordable_cap(
    ask: Ask, terms: Terms, full: Quote, spendable_nanos: int, dialect: str
) -> int | None:
    """Say with which output limit the request could be sent again; 0: with none.

    None where it writes no tokens. A limit that was not there before makes the body longer.
    """
    bounds = dict(full.bounds)
    if ask.max_output_tokens is None and "input" in bounds:
        bounds["input"] += _LIMIT_IN_BODY
    cap = _affordable(ask, terms, bounds, spendable_nanos)
    return 0 if cap is not None and cap < _least_cap(ask, dialect) else cap


def _least_cap(ask: Ask, dialect: str) -> int:
    return max(_LEAST_CAP.get(dialect, 1), ask.least_output_tokens)


def by_bound(ask: Ask, terms: Terms, bounds: Mapping[str, int]) -> Mapping[str, int]:
    """Say what each bound can cost for itself."""
    sale = terms.sale
    return pricing.worst_case_by_bound(
        sale.version,
        bounds,
        markup=sale.markup,
        service_tiers=_tiers(ask, sale.version),
        modalities=ask.modalities,
        overage=terms.overage,
    )


def _affordable(
    ask: Ask, terms: Terms, bounds: Mapping[str, int], spendable_nanos: int
) -> int | None:
    sale = terms.sale
    written = bounds.get("output", 0)
    if not written or not ask.can_cap:
        return None
    tokens = pricing.affordable(
        sale.version,
        {unit: count for unit, count in bounds.items() if unit != "output"},
        max(spendable_nanos, 0),
        markup=sale.markup,
        service_tiers=_tiers(ask, sale.version),
        modalities=ask.modalities,
        overage=terms.overage,
    )
    return (min(tokens, written) - ask.extra_output_tokens) // ask.choices


def windows(version: PriceVersion) -> tuple[int | None, int | None]:
    """Give the most that the model reads, and that it writes."""
    read = version.max_input_tokens or version.context
    return read, version.max_output_tokens or version.context


def _cap(ask: Ask, version: PriceVersion) -> int | None:
    """Choose the limit to send.

    Where neither the client nor the model sets one, the window does: to ask for all of it would
    leave no room for the input, which some servers refuse.
    """
    if "output" not in ask.units or not ask.can_cap:
        return None
    most = version.max_output_tokens
    if most is not None and version.context is not None and most >= version.context:
        most = None
    if most is None and ask.max_output_tokens is None:
        return None
    return ask.output_cap(most)


def _quoted(ask: Ask, terms: Terms, bounds: Mapping[str, int], cap: int | None) -> Quote:
    sale = terms.sale
    amount = pricing.worst_case(
        sale.version,
        bounds,
        markup=sale.markup,
        service_tiers=_tiers(ask, sale.version),
        modalities=ask.modalities,
        overage=terms.overage,
    )
    return Quote(amount_nanos=amount, bounds=bounds, cap=cap)


def _tiers(ask: Ask, version: PriceVersion) -> tuple[str | None, ...]:
    """Name the tiers the call may be served on, whose dearest the hold is worked out from.

    A request that names none may still be served on one, by a setting of the operator's account
    with the provider.
    """
    asked = ask.service_tier
    if asked is not None and asked not in STANDARD_TIERS:
        return (None, asked)
    if asked in _PLAIN or not version.service_tiers:
        return (None,)
    unasked = (tier for tier in version.service_tiers if not tier.startswith(_ONLY_IF_ASKED))
    return (None, *unasked)


_PLAIN: Final = STANDARD_TIERS - {"auto"}


def _unbounded(ask: Ask, most_read: int | None) -> UnboundedRequest:
    if ask.input_tokens is None and most_read is None:
        said = "holds something of unknown length, and the model's window is not known here"
        return UnboundedRequest(f"The request {said}", {"": [said]})
    said = "is required: this model's own limit is not known here"
    return UnboundedRequest(f"max_tokens {said}", {"max_tokens": [said]})
