"""Going to a page of the processor after a form.

Browsers hold the redirect that answers a form against `form-action`, so a page between leads on to
another host: it is no form, and needs no script.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from litestar.response import Redirect, Response

from tollkeeper.console.doors import AnyRequest, Door
from tollkeeper.console.forms import go_on


def leave_for(door: Door, request: AnyRequest, url: str) -> Response[bytes] | Redirect:
    parts = urlsplit(url)
    if parts.netloc == request.url.netloc:
        return go_on(url)
    return door.page(request, "customer/leaving.html", url=url, host=parts.netloc)
