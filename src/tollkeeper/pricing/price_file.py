"""The price book as a person reads and writes it: one YAML file per provider.

prices/README.md describes the format. Nothing in it becomes a float: `2.50` is read as it is
written. Every fault is reported, with its file and field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, cast

import yaml

from tollkeeper.base.check import suggest
from tollkeeper.base.money import NANOS_PER_UNIT
from tollkeeper.pricing import units
from tollkeeper.pricing.content import seal
from tollkeeper.pricing.errors import InvalidPrices
from tollkeeper.pricing.model import PriceVersion, Rate
from tollkeeper.pricing.sanity import faults_in

# `from: always`: a price whose first day nobody wrote down.
ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FILE_FIELDS: Final = ("provider", "source", "checked_on", "models")
_MODEL_FIELDS: Final = (
    "aliases",
    "context",
    "max_input_tokens",
    "max_output_tokens",
    "source",
    "checked_on",
    "prices",
)
_PRICE_FIELDS: Final = ("from", "rates", "service_tiers", "note", "ended")
_RATE_FIELDS: Final = ("price", "per", "above")
_DAY_LENGTH: Final = len("2026-01-31")
_PLAIN_NUMBER: Final = re.compile(r"\d{1,9}(\.\d{1,9})?")


def read_price_file(text: str, name: str) -> list[PriceVersion]:
    """Read one file. Raises InvalidPrices whose faults name the file and the field."""
    faults: dict[str, list[str]] = {}
    try:
        found: object = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidPrices(f"{name} is not valid YAML: {error}", {name: [str(error)]}) from error
    versions = _Reader(name, faults).read(found)
    if faults:
        where, said = next(iter(faults.items()))
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise InvalidPrices(f"{where} {said[0]}{more}", faults)
    return versions


class _Loader(yaml.CSafeLoader):
    """Reads numbers exactly and refuses a key that comes twice.

    Built on libyaml, which PyYAML's wheels contain: four times as fast, which a first start feels.
    """

    def exact_number(self, node: yaml.ScalarNode) -> object:
        text = str(self.construct_scalar(node))
        return Decimal(text) if _PLAIN_NUMBER.fullmatch(text) else text

    def only_once(self, node: yaml.MappingNode) -> dict[object, object]:
        found: dict[object, object] = {}
        for key_node, value_node in node.value:
            key = self._value_of(key_node)
            if not isinstance(key, str | int | Decimal):
                raise yaml.constructor.ConstructorError(
                    None, None, "keys must be text or numbers", key_node.start_mark
                )
            if key in found:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key} comes twice", key_node.start_mark
                )
            found[key] = self._value_of(value_node)
        return found

    def _value_of(self, node: object) -> object:
        construct = cast("Callable[..., object]", getattr(self, "construct_object"))  # noqa: B009 (untyped there)
        return construct(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.exact_number)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.exact_number)
_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.only_once)


class _Reader:
    """Walks one file; every fault is noted under its place, and reading goes on."""

    def __init__(self, name: str, faults: dict[str, list[str]]) -> None:
        self._name = name
        self._faults = faults

    def read(self, found: object) -> list[PriceVersion]:
        top = self._mapping(found, "", _FILE_FIELDS)
        shared = {
            "provider": self._text(top, "provider", "", required=True),
            "source": self._text(top, "source", "", required=True),
            "checked_on": self._date(top, "checked_on", ""),
        }
        models = self._mapping(top.get("models"), "models", None)
        if not models:
            self._note("models", "must list at least one model")
        return [
            version
            for model, entry in models.items()
            for version in self._model(str(model), entry, shared)
        ]

    def _model(
        self, model: str, entry: object, shared: Mapping[str, Any]
    ) -> Iterator[PriceVersion]:
        where = f"models.{model}"
        fields = self._mapping(entry, where, _MODEL_FIELDS)
        common = {
            **shared,
            "model": model,
            "aliases": self._texts(fields, "aliases", where),
            "context": self._count(fields, "context", where),
            "max_input_tokens": self._count(fields, "max_input_tokens", where),
            "max_output_tokens": self._count(fields, "max_output_tokens", where),
        }
        if "source" in fields:
            common["source"] = self._text(fields, "source", where)
        if "checked_on" in fields:
            common["checked_on"] = self._date(fields, "checked_on", where)
        prices = fields.get("prices")
        if not isinstance(prices, list) or not prices:
            self._note(f"{where}.prices", "must be a list of prices, each with its first day")
            return
        seen: set[datetime] = set()
        for number, price in enumerate(cast("list[object]", prices)):
            version = self._price(f"{where}.prices[{number}]", price, common)
            if version is None:
                continue
            if version.effective_from in seen:
                self._note(f"{where}.prices[{number}].from", "comes twice")
            seen.add(version.effective_from)
            yield version

    def _price(self, where: str, entry: object, common: Mapping[str, Any]) -> PriceVersion | None:
        known = len(self._faults)
        fields = self._mapping(entry, where, _PRICE_FIELDS)
        ended = fields.get("ended", False)
        if not isinstance(ended, bool):
            self._note(f"{where}.ended", "must be true or false")
        version = PriceVersion(
            effective_from=self._moment(fields, where),
            rates=self._rates(fields.get("rates"), f"{where}.rates"),
            service_tiers={
                str(tier): self._rates(rates, f"{where}.service_tiers.{tier}")
                for tier, rates in self._mapping(
                    fields.get("service_tiers"), f"{where}.service_tiers", None
                ).items()
            },
            note=self._text(fields, "note", where),
            ended=bool(ended),
            **common,
        )
        if len(self._faults) > known:
            return None
        for place, said in faults_in(version):
            self._note(f"{where}.{place}", said)
        return seal(version)

    def _rates(self, entry: object, where: str) -> dict[str, Rate]:
        rates: dict[str, Rate] = {}
        for unit, written in self._mapping(entry, where, None).items():
            rate = self._rate(written, str(unit), f"{where}.{unit}")
            if rate is not None:
                rates[str(unit)] = rate
        return rates

    def _rate(self, written: object, unit: str, where: str) -> Rate | None:
        if not isinstance(written, dict):
            price = self._nanos(written, where)
            return None if price is None else Rate(price, units.usual_per(unit))
        fields = self._mapping(cast("object", written), where, _RATE_FIELDS)
        price = self._nanos(fields.get("price"), f"{where}.price")
        per = self._count(fields, "per", where)
        above = [
            (self._whole(start, f"{where}.above"), self._nanos(beyond, f"{where}.above.{start}"))
            for start, beyond in self._mapping(fields.get("above"), f"{where}.above", None).items()
        ]
        cliffs = tuple((a, b) for a, b in above if a is not None and b is not None)
        if price is None:
            return None
        return Rate(price, units.usual_per(unit) if per is None else per, cliffs)

    def _nanos(self, value: object, where: str) -> int | None:
        if isinstance(value, Decimal):
            return int(value * NANOS_PER_UNIT)
        self._note(where, "must be a price in dollars such as 2.50, with at most 9 decimals")
        return None

    def _moment(self, fields: Mapping[str, object], where: str) -> datetime:
        value = _dated(fields.get("from"))
        if value == "always":
            return ALWAYS
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        self._note(f"{where}.from", "must be a day such as 2026-01-31, a time, or always")
        return ALWAYS

    def _mapping(
        self, value: object, where: str, known: tuple[str, ...] | None
    ) -> dict[Any, object]:
        if value is None and where:
            return {}
        if not isinstance(value, dict):
            self._note(where, "must be a mapping of names to values")
            return {}
        fields = cast("dict[Any, object]", value)
        for field in fields:
            if known is not None and field not in known:
                place = f"{where}.{field}" if where else str(field)
                self._note(place, f"is not known{suggest(str(field), [*known])}")
        return fields

    def _text(
        self, fields: Mapping[str, object], field: str, where: str, *, required: bool = False
    ) -> str:
        value = fields.get(field, "")
        if not isinstance(value, str) or (required and not value):
            self._note(f"{where}.{field}".lstrip("."), "must be a text")
            return ""
        return value

    def _texts(self, fields: Mapping[str, object], field: str, where: str) -> tuple[str, ...]:
        value = fields.get(field, [])
        if not isinstance(value, list):
            self._note(f"{where}.{field}", "must be a list of names")
            return ()
        return tuple(str(item) for item in cast("list[object]", value))

    def _count(self, fields: Mapping[str, object], field: str, where: str) -> int | None:
        value = fields.get(field)
        return None if value is None else self._whole(value, f"{where}.{field}")

    def _whole(self, value: object, where: str) -> int | None:
        if isinstance(value, Decimal) and value == value.to_integral_value():
            return int(value)
        self._note(where, "must be a whole number")
        return None

    def _date(self, fields: Mapping[str, object], field: str, where: str) -> date | None:
        value = _dated(fields.get(field))
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if value is not None:
            self._note(f"{where}.{field}".lstrip("."), "must be a day such as 2026-01-31")
        return None

    def _note(self, place: str, said: str) -> None:
        self._faults.setdefault(f"{self._name}: {place}".rstrip(": "), []).append(said)


def _dated(value: object) -> object:
    """Read a day or a time that stands in quotes, as it must in JSON."""
    if not isinstance(value, str):
        return value
    try:
        return (
            date.fromisoformat(value)
            if len(value) == _DAY_LENGTH
            else datetime.fromisoformat(value)
        )
    except ValueError:
        return value
