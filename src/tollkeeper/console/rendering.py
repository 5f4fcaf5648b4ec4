"""How a page is written: templates, the catalogue of texts, money and time as people read them."""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, cast

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar.response import Response
from markupsafe import Markup, escape

from tollkeeper.base.money import NANOS_PER_UNIT, Money, say_exactly, say_nanos
from tollkeeper.console.assets import Zipped, asset
from tollkeeper.console.theme import Theme
from tollkeeper.console.tokens import SECRET_BYTES, mask

_HTML: Final = "text/html; charset=utf-8"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors "
)
_HEADERS: Final = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_PLAIN: Final = Theme()
_LOCALE: Final = Locale.parse("en_US")  # Reading its name anew takes as long as writing a number.
_MILLIONTHS: Final = 6
_FINE: Final = Markup(" data-fine")  # What has less beside it is moved below its point.
_CENT: Final = NANOS_PER_UNIT // 100


def load_texts(language: str = "en") -> Mapping[str, Any]:
    """Read the catalogue; a translation is another file beside it."""
    found = files("tollkeeper.console").joinpath(f"texts/{language}.toml")
    return tomllib.loads(found.read_text("utf-8"))


TEXTS: Final = load_texts()


def say(key: str, /, **values: object) -> str:
    """Return the text of `page.name`. Raises KeyError for one that is not in the catalogue."""
    found: Any = TEXTS
    for part in key.split("."):
        found = found[part]
    text: str = found
    return text.format(**values) if values else text


def say_done(key: str) -> str:
    """Return what a page says of an act that led to it; nothing for what is no act."""
    found: str = TEXTS["done"].get(key, "")
    return found


def say_with(key: str, /, **values: object) -> Markup:
    """The same, for values that are written already; what is not is escaped."""
    return escape(say(key)).format(**values)


def show_money(amount: Money, currency: str = "USD") -> Markup:
    """Balances, sums and what was paid: to the cent. All nine digits on hover, here and below."""
    fine = _FINE if 0 < abs(amount.nanos) < _CENT else ""
    return _money(amount, currency, say_nanos(amount.nanos, currency), fine)


def show_cost(amount: Money, currency: str = "USD") -> Markup:
    """What single calls cost: to the millionth, however much it is, so that a column is even."""
    if not amount.nanos:
        return show_money(amount, currency)
    return _money(amount, currency, say_nanos(amount.nanos, currency, _MILLIONTHS), _FINE)


def show_price(amount: Money, currency: str = "USD") -> Markup:
    """Prices, and amounts that people chose: exact."""
    return _money(amount, currency, say_exactly(amount.nanos, currency))


def _money(amount: Money, currency: str, shown: str, mark: str = "") -> Markup:
    exact = escape(f"{amount} {currency}")
    # Pages have a hundred of these, and `Markup.format` takes five times as long.
    said = f'<span class="money" title="{exact}"{escape(mark)}>{escape(shown)}</span>'
    return Markup(said)  # noqa: S704 (each of its parts is escaped)


@lru_cache(maxsize=10_000)
def show_count(count: int) -> str:
    return format_decimal(count, locale=_LOCALE)


def show_day(moment: datetime) -> Markup:
    return _time("day", moment, format_date(moment, "MMM d, y", _LOCALE))


def show_moment(moment: datetime) -> Markup:
    return _time("moment", moment, format_datetime(moment, "MMM d, HH:mm:ss", locale=_LOCALE))


def show_clock(moment: datetime) -> Markup:
    return _time("clock", moment, format_datetime(moment, "HH:mm:ss", locale=_LOCALE))


def _time(form: str, moment: datetime, shown: str) -> Markup:
    """Written in UTC; `console.js` writes it anew, in the same form, in the reader's zone."""
    exact = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}" data-form="{}">{}</time>').format(
        moment.isoformat(), exact, form, shown
    )


_templates: Final = Environment(
    loader=PackageLoader("tollkeeper.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
cast("dict[str, Any]", _templates.globals).update(
    {"t": say, "with_values": say_with, "asset": asset}
)
_templates.filters.update(
    {
        "money": show_money,
        "cost": show_cost,
        "price": show_price,
        "count": show_count,
        "day": show_day,
        "moment": show_moment,
        "clock": show_clock,
    }
)


def render(
    template: str, values: Mapping[str, object], status: int = 200, theme: Theme = _PLAIN
) -> Response[bytes]:
    known = {"theme": theme, **values}
    if "form_token" in known:
        known["form_token"] = mask(str(known["form_token"]), secrets.token_bytes(SECRET_BYTES))
    page = _templates.get_template(template).render(known)
    headers = _HEADERS | framing(theme.frame_origins)
    return Zipped(page.encode(), media_type=_HTML, status_code=status, headers=headers)


def framing(origins: Sequence[str]) -> dict[str, str]:
    """Return the headers that say who may show a page in a frame."""
    if not origins:
        return {"content-security-policy": f"{_POLICY}'none'", "x-frame-options": "DENY"}
    # X-Frame-Options knows no list.
    return {"content-security-policy": _POLICY + " ".join(origins)}
