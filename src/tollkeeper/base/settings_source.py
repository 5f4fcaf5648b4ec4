"""Reads settings from `tollkeeper.toml` and the environment, which wins."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast, get_args, get_origin

import msgspec
from msgspec import inspect

from tollkeeper.base.check import Faults, bare, faults_in, only_member, suggest
from tollkeeper.base.countries import COUNTRIES
from tollkeeper.base.money import MoneyIn, NumberText
from tollkeeper.base.settings import KEYED, Percent, Secret, Section, Settings

PREFIX: Final = "TOLLKEEPER_"
CONFIG: Final = "TOLLKEEPER_CONFIG"
DEFAULT_FILE: Final = Path("tollkeeper.toml")
_DATABASE_URL: Final = "DATABASE_URL"

_NAMES: Final = (
    ("providers", re.compile(r"[a-z][a-z0-9_-]{0,62}"), "lower-case letters, digits, - and _"),
    ("currencies", re.compile(r"[A-Z][A-Z0-9_]{1,31}"), "capital letters, digits and _"),
    (
        "taxes",
        re.compile(r"[A-Z]{2}|default"),
        "a country's code (ISO 3166: GB, not UK), or default",
    ),
)
_TRUTHS: Final = {"true": True, "1": True, "false": False, "0": False}
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")


class SettingsError(Exception):
    """Settings that cannot be used; says all that is wrong with them, a line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("The settings are not valid:\n" + "\n".join(f"  {f}" for f in faults))
        self.faults = faults


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the file (`path`, else TOLLKEEPER_CONFIG, else ./tollkeeper.toml if there is one).

    Raises SettingsError with every fault and what is allowed in its place.
    """
    faults: list[str] = []
    tree = _read_file(path, environ)
    currencies: object = tree.setdefault("currencies", {})
    if isinstance(currencies, dict):
        cast("dict[str, object]", currencies).setdefault("USD", {})
    sources = _overlay(tree, environ, faults)
    found = faults_in(tree, Settings, read_setting) | _faulty_names(tree)
    faults += [_say(place, text, sources) for place in found for text in found[place]]
    if faults:
        raise SettingsError(faults)
    return msgspec.convert(tree, Settings, dec_hook=read_setting)


def read_setting(type_: type, value: object) -> Any:
    """Decoder hook for the types that only settings have, and for money."""
    if issubclass(type_, MoneyIn | Percent):
        return type_.read(value)
    if issubclass(type_, Secret) and isinstance(value, str) and value:
        return type_(value)
    raise ValueError("must be text that is not empty")


def _read_file(path: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    named = path or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    if named is None and not DEFAULT_FILE.exists():
        return {}
    file = named or DEFAULT_FILE
    try:
        return tomllib.loads(file.read_text("utf-8"), parse_float=NumberText)
    except OSError as error:
        raise SettingsError([f"{file} cannot be read: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{file} is not valid TOML: {error}"]) from None


def _overlay(tree: dict[str, Any], environ: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    """Write the environment's values over the file's; return which place came from which name."""
    sources: dict[str, str] = {}
    for name, text in sorted(environ.items()):
        parts = _parts_of(name)
        if parts is None or (name == _DATABASE_URL and "database.url" in sources) or not text:
            continue
        type_ = _type_at(parts)
        if type_ is None:
            faults.append(f"{name} is not a setting{suggest(name, _known_names(parts))}")
        elif _put(tree, parts, _from_text(text, type_)):
            sources[".".join(parts)] = name
    return sources


def _parts_of(name: str) -> list[str] | None:
    if name == _DATABASE_URL:
        return ["database", "url"]
    if not name.startswith(PREFIX) or name == CONFIG:
        return None
    parts = name.removeprefix(PREFIX).lower().split("__")
    if parts[0] in ("currencies", "taxes") and len(parts) > 1 and parts[1] != "default":
        parts[1] = parts[1].upper()
    return parts


def _type_at(parts: list[str]) -> Any:
    """Return the type of the setting with that path, None when there is none."""
    type_: Any = Settings
    for part in parts:
        fields = _fields_of(type_)
        if fields is not None:
            type_ = fields.get(part)
        elif get_origin(type_) is dict:
            type_ = get_args(type_)[1]
        else:
            return None
    return None if _fields_of(type_) is not None else type_


def _fields_of(type_: Any) -> dict[str, Any] | None:
    if not isinstance(type_, type) or not issubclass(type_, Section):
        return None
    return {field.encode_name: field.type for field in msgspec.structs.fields(type_)}


def _known_names(parts: list[str]) -> list[str]:
    """Return every name a variable may have, with the provider or currency that was named."""
    fill = parts[1] if len(parts) > 1 else "name"
    return [
        PREFIX + re.sub("<[^>]+>", fill, name).replace(".", "__").upper()
        for name, _ in setting_types()
    ]


def setting_types() -> Iterator[tuple[str, Any]]:
    """Every setting's dotted name (`<name>` stands for one you choose) and type, in order."""
    for section, type_ in (_fields_of(Settings) or {}).items():
        keyed = get_origin(type_) is dict
        inner = get_args(type_)[1] if keyed else type_
        key = KEYED[section] if keyed else ""
        for name, of_field in (_fields_of(inner) or {}).items():
            yield f"{section}{key}.{name}", of_field


def _put(tree: dict[str, Any], parts: list[str], value: object) -> bool:
    for part in parts[:-1]:
        below: object = tree.setdefault(part, {})
        if not isinstance(below, dict):  # the file says something else there, which is a fault
            return False
        tree = cast("dict[str, Any]", below)
    tree[parts[-1]] = value
    return True


def _from_text(text: str, type_: Any) -> object:
    """Read a variable as what the setting is; what cannot be read stays text, a fault later."""
    match bare(inspect.type_info(only_member(type_))):
        case inspect.BoolType():
            return _TRUTHS.get(text.lower(), text)
        case inspect.IntType():
            return int(text) if _WHOLE.fullmatch(text) else text
        case inspect.ListType() if not text.startswith("["):
            return [item.strip() for item in text.split(",") if item.strip()]
        case inspect.ListType() | inspect.DictType():
            return _from_json(text)
        case inspect.CustomType(cls=cls) if cls is not Secret:
            return NumberText(text)
        case _:
            return text


def _from_json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _faulty_names(tree: dict[str, Any]) -> Faults:
    """Find providers and currencies whose own names cannot be used."""
    found: Faults = {}
    for section, allowed, sentence in _NAMES:
        named: object = tree.get(section)
        for name in cast("dict[str, object]", named) if isinstance(named, dict) else ():
            unknown = section == "taxes" and name not in COUNTRIES and name != "default"
            if allowed.fullmatch(name) is None or unknown:
                found[f"{section}.{name}"] = [f"is no name for one: it must be {sentence}"]
    return found


def _say(place: str, sentence: str, sources: Mapping[str, str]) -> str:
    source = f" (from {sources[place]})" if place in sources else ""
    return f"{place or 'settings'}{source} {sentence}"
