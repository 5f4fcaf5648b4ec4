"""How the sandbox's pages look: plain, with no script, and safe to show anything on."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable
from html import escape
from typing import Final
from urllib.parse import urlsplit

STYLE: Final = """
:root { color-scheme: light dark;
  --ink: light-dark(#1c1f23, #e8e9eb); --soft: light-dark(#5b6169, #a3a8b0);
  --paper: light-dark(#f6f6f4, #16181b); --card: light-dark(#fff, #1f2226);
  --line: light-dark(#d9dad7, #363a40); --act: light-dark(#1f4fd8, #7d9dff);
  --on-act: light-dark(#fff, #0f1420); --bad: light-dark(#b3261e, #ff9b92); }
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 34rem; margin: 0 auto; background: var(--card); padding: 1.5rem 1.75rem;
  border: 1px solid var(--line); border-radius: .5rem; }
main.wide { max-width: 64rem; }
h1 { font-size: 1.35rem; margin: 0 0 .25rem; }
h2 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p { margin: .5rem 0; }
.soft { color: var(--soft); }
.note { border-left: 3px solid var(--act); padding: .25rem .75rem; color: var(--soft);
  margin: 0 0 1.25rem; }
.bad { color: var(--bad); font-weight: 600; }
fieldset { border: 1px solid var(--line); border-radius: .375rem; margin: 1rem 0;
  padding: .5rem 1rem; }
legend { padding: 0 .35rem; color: var(--soft); }
label { display: flex; gap: .6rem; padding: .2rem 0; align-items: baseline; }
label span { color: var(--soft); }
code { font: .9em ui-monospace, monospace; }
button { font: inherit; padding: .45rem .9rem; border-radius: .375rem; cursor: pointer;
  border: 1px solid var(--line); background: var(--card); color: var(--ink); }
button.act { background: var(--act); color: var(--on-act); border-color: var(--act); }
button:focus-visible, input:focus-visible, a:focus-visible { outline: 2px solid var(--act);
  outline-offset: 2px; }
a { color: var(--act); }
form.row { display: inline; }
table { border-collapse: collapse; width: 100%; font-size: .925rem; }
th, td { text-align: left; padding: .45rem .5rem; border-bottom: 1px solid var(--line);
  vertical-align: middle; }
td.money { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
"""

# A bank, within the page: there is no address beside it that could be asked for.
_ICON: Final = b64encode(
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    b'<circle cx="16" cy="16" r="15" fill="#1f4fd8"/>'
    b'<path d="M7 14l9-5 9 5zM9 16h3v6H9zm5.5 0h3v6h-3zM20 16h3v6h-3zM7 23h18v2H7z" fill="#fff"/>'
    b"</svg>"
).decode()
_HASH: Final = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def page(title: str, parts: Iterable[str], *, wide: bool = False) -> bytes:
    """`parts` are HTML already; whatever comes from outside was escaped with `text`."""
    body = "\n".join(parts)
    shown_wide = ' class="wide"' if wide else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" type="image/svg+xml" href="data:image/svg+xml;base64,{_ICON}">'
        f"<title>{escape(title)} · Sandbox</title><style>{STYLE}</style></head>"
        f"<body><main{shown_wide}>\n{body}\n</main></body></html>\n"
    ).encode()


def text(value: object) -> str:
    return escape(str(value))


def button(label: str, name: str, value: str, *, main: bool = False) -> str:
    kind = ' class="act"' if main else ""
    return f'<button{kind} name="{text(name)}" value="{text(value)}">{text(label)}</button>'


def act(label: str, **fields: str) -> str:
    """A button that is a form of its own."""
    hidden = "".join(
        f'<input type="hidden" name="{text(name)}" value="{text(value)}">'
        for name, value in fields.items()
    )
    return f'<form method="post" class="row">{hidden}<button>{text(label)}</button></form>'


def choices(legend: str, name: str, options: Iterable[tuple[str, str, str]]) -> str:
    """Radio buttons, the first one chosen: each a value, what it is, and what it does."""
    rows = "".join(
        f'<label><input type="radio" name="{text(name)}" value="{text(value)}"'
        f"{' checked' if place == 0 else ''}><code>{text(what)}</code>"
        f"<span>{text(does)}</span></label>"
        for place, (value, what, does) in enumerate(options)
    )
    return f"<fieldset><legend>{text(legend)}</legend>{rows}</fieldset>"


def headers(*leads_to: str | None) -> dict[str, str]:
    """Headers of a page whose forms end at these addresses: browsers that follow `form-action`
    also follow it through the redirect that a form is answered with."""
    places = {"'self'"} | {origin for url in leads_to if (origin := _origin(url)) is not None}
    return {
        "content-security-policy": (
            f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; base-uri 'none';"
            f" form-action {' '.join(sorted(places))}; frame-ancestors 'self'"
        ),
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


def _origin(url: str | None) -> str | None:
    parts = urlsplit(url or "")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return None
    return f"{parts.scheme}://{parts.netloc}"
