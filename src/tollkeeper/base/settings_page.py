"""What `doctor` prints of the settings, and the page docs/reference/settings.md.

Write the page anew with `python -m tollkeeper.base.settings_page > docs/reference/settings.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, NamedTuple, get_args, get_origin

import msgspec
from msgspec import Meta

from tollkeeper.base.check import describe
from tollkeeper.base.money import MoneyIn, format_nanos
from tollkeeper.base.settings import KEYED, Percent, Secret, Section, Settings

_NANOS_PER_PPM: Final = 100_000


class EffectiveSetting(NamedTuple):
    name: str
    value: str
    description: str


def effective(settings: Settings) -> Iterator[EffectiveSetting]:
    """Every setting with its value in force; secrets only as `(secret)` or `(not set)`."""
    for section in msgspec.structs.fields(Settings):
        held: dict[str, Section] | Section = getattr(settings, section.name)
        named = held.items() if isinstance(held, dict) else [("", held)]
        for key, values in named:
            place = f"{section.encode_name}.{key}" if key else section.encode_name
            for field in msgspec.structs.fields(type(values)):
                value = show(getattr(values, field.name))
                description = _described(field.type)
                yield EffectiveSetting(f"{place}.{field.encode_name}", value, description)


def show(value: object) -> str:
    """Write a value as it could stand in tollkeeper.toml."""
    if value is None:
        return "(not set)"
    if isinstance(value, Secret):
        return repr(value)
    if isinstance(value, MoneyIn):
        return format_nanos(value)
    if isinstance(value, Percent):
        return format_nanos(value * _NANOS_PER_PPM)
    return msgspec.json.encode(value, enc_hook=_show_money).decode()


def _show_money(value: object) -> msgspec.Raw:
    if isinstance(value, MoneyIn):
        return msgspec.Raw(format_nanos(value).encode())
    raise TypeError(f"{type(value).__name__} is no setting")


def reference_page() -> str:
    """Write the page that lists every setting, from the settings themselves."""
    return "\n".join([_INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for section in msgspec.structs.fields(Settings):
        keyed = get_origin(section.type) is dict
        type_: type[Section] = get_args(section.type)[1] if keyed else section.type
        key = KEYED[section.name] if keyed else ""
        yield f"\n## `[{section.encode_name}{key}]`\n\n{(type_.__doc__ or '').strip()}\n"
        yield "| Setting | Default | What it says | Allowed |\n|---|---|---|---|"
        yield from (_row(field) for field in msgspec.structs.fields(type_))


def _row(field: msgspec.structs.FieldInfo) -> str:
    allowed = describe(field.type).removesuffix(" or null").replace("|", "\\|")
    return f"| `{field.encode_name}` | {_default(field)} | {_described(field.type)} | {allowed} |"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{show(field.default_factory())}`"
    return "" if field.default is None else f"`{show(field.default)}`"


def _described(type_: Any) -> str:
    if get_origin(type_) is not Annotated:
        return ""
    return " ".join(
        meta.description
        for meta in get_args(type_)[1:]
        if isinstance(meta, Meta) and meta.description is not None
    )


_INTRODUCTION: Final = """\
# Settings

<!-- Written by `python -m tollkeeper.base.settings_page`; a test keeps it in step. -->

Every setting has a default that works; an empty file is a valid one. They are read from
`tollkeeper.toml` in the working directory, or from the file that `--config` or
`TOLLKEEPER_CONFIG` names, and from the environment, which wins.

A variable is called `TOLLKEEPER_`, the section, two underscores, and the setting:
`TOLLKEEPER_GATEWAY__DRAIN_SECONDS=10`. What has a name of your own has it in the middle:
`TOLLKEEPER_PROVIDERS__OPENAI__API_KEY=…`. Lists are separated by commas or written as JSON, tables
as JSON. `DATABASE_URL` is read too. An empty variable counts as unset.

A name that is not known is an error, as is a value that is not allowed; all of them are reported
at once. `tollkeeper doctor` prints the settings in force, without secrets.

```toml
[gateway]
drain_seconds = 10

[providers.openai]
kind = "openai"
models = ["gpt-*", "text-embedding-*"]
markup_percent = 12.5
```"""


if __name__ == "__main__":
    print(reference_page())  # noqa: T201 (this is the command that writes the page)
