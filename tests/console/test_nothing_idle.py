"""Nothing idle: each text, class and macro of the pages is used, and each class has a look."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tollkeeper.console
from tollkeeper.console.rendering import TEXTS

ROOM = Path(tollkeeper.console.__file__).parent
PAGES = sorted(ROOM.rglob("*.html"))
CODE = [*PAGES, *ROOM.rglob("*.py"), *ROOM.glob("static/*.js")]
WRITTEN = "\n".join(path.read_text("utf-8") for path in CODE)
STYLE = re.sub(r"/\*.*?\*/", "", (ROOM / "static/console.css").read_text("utf-8"), flags=re.DOTALL)
SAID = set(re.findall(r"[\"']([\w.-]+)[\"']", WRITTEN))
# f"keys.kind_{kind}" and "role." ~ role: what begins so may be said.
BEGUN = {
    start
    for found in re.findall(r"f[\"']([\w.]+?)\{|[\"']([\w.]+[._])[\"']\s*~", WRITTEN)
    for start in found
    if "." in start
}
# Written by code: `s0` to `s7` are the series of a chart.
MADE = re.compile(r"s\d")


def keys_of(texts: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, found in texts.items():
        if isinstance(found, dict):
            yield from keys_of(found, f"{before}{name}.")
        else:
            yield before + name


def is_said(key: str) -> bool:
    table, _, name = key.rpartition(".")
    headed = name in ("title", "lead") and re.search(rf"heading\(\s*[\"']{table}[\"']", WRITTEN)
    done = table == "done" and name in SAID
    return key in SAID or done or bool(headed) or key.startswith(tuple(BEGUN))


def test_every_text_is_said() -> None:
    assert [key for key in keys_of(TEXTS) if not is_said(key)] == []


def test_every_class_has_a_look_and_every_look_a_class() -> None:
    styled = set(re.findall(r"\.([a-z][a-z0-9-]*)(?=[^{}]*\{)", STYLE))
    worn: set[str] = set()
    for path in PAGES:
        text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "\0", path.read_text("utf-8"), flags=re.DOTALL)
        for classes in re.findall(r"\sclass=\"([^\"]*)\"", text):
            worn |= {name for name in classes.split() if "\0" not in name}
    assert sorted(worn - styled) == []
    idle = [name for name in styled if not re.search(rf"(?<![\w-]){name}(?![\w-])", WRITTEN)]
    assert [name for name in sorted(idle) if not MADE.fullmatch(name)] == []


def test_every_macro_is_called() -> None:
    macros = re.findall(r"\{%-? macro (\w+)", WRITTEN)
    assert [name for name in macros if len(re.findall(rf"\b{name}\(", WRITTEN)) < 2] == []
