"""Going to a page of the processor after a form.

Browsers hold the redirect that answers a form against `form-action`, so a page between leads on to
another host: it is no form, and needs no script.

Processors show no page of theirs in a frame. Where ours are in one, theirs open beside it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from litestar.response import Redirect, Response

from tollkeeper.console.doors import AnyRequest, Door, is_framed
from tollkeeper.console.forms import go_on


def leave_for(door: Door, request: AnyRequest, url: str, back: str) -> Response[bytes] | Redirect:
    """`back` is where to look at what came of it, for who comes back by themselves."""
    parts, framed = urlsplit(url), is_framed(request)
    if parts.netloc == request.url.netloc and not framed:
        return go_on(url)
    return door.page(request, "customer/leaving.html", url=url, host=parts.netloc, back=back)
