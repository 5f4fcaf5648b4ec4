"""Plain pages for customers who come without a console: where a processor leads them back to."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape
from typing import Final

from litestar.response import Response

BILLING_PATH: Final = "/console/billing"

_HTML: Final = "text/html; charset=utf-8"
_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;"
    "place-items:center;min-height:100vh;background:light-dark(#f6f7f9,#16181b);"
    "color:light-dark(#1a1d21,#e8e9eb)}main{background:light-dark(#fff,#1f2226);padding:40px;"
    "border-radius:12px;max-width:420px;box-shadow:0 1px 3px #0002}h1{font-size:22px;margin:0 0 "
    "12px}p{margin:0}form{margin:24px 0 0}button{font:inherit;font-weight:600;background:#1a56db;"
    "color:#fff;border:0;border-radius:8px;padding:12px 20px;cursor:pointer}"
)
_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# Forms may lead anywhere: the bank's address is known only when the button has been pressed.
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; frame-ancestors 'none'"
)


def plain_page(
    title: str, text: str, *, button: str | None = None, status: int = 200
) -> Response[bytes]:
    form = "" if button is None else f'<form method="post"><button>{escape(button)}</button></form>'
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<style>{_STYLE}</style><main><h1>{escape(title)}</h1><p>{escape(text)}</p>{form}</main>"
    )
    return Response(
        page.encode(),
        media_type=_HTML,
        status_code=status,
        headers={
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "content-security-policy": _POLICY,
        },
    )


def land(redirect_status: str) -> Response[bytes]:
    """What is at BILLING_PATH for who is not signed in. The address tells how it went, and anybody
    can write an address: nothing is promised that the balance does not show."""
    return plain_page(*_SAID.get(redirect_status, _BACK))


_BACK: Final = ("You can close this page", "What was done is shown in your account in a moment.")
_SAID: Final = {
    "succeeded": ("Thank you", "That is done. You can close this page."),
    "processing": ("Thank you", "The payment is on its way, which can take some days."),
    "failed": ("That did not work", "Nothing was charged. Try again, or with another card."),
}
