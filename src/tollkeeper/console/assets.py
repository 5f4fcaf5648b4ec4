"""What browsers load beside a page, and how everything is made small for the way.

Every `.css`, `.js` and `.svg` of `static/` and `static/vendor/` is served under an address that
changes with the file, so that browsers may keep it for ever. In templates:
`{{ asset("console.css") }}`.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from litestar import Litestar, Request, get
from litestar.params import FromPath
from litestar.response import Response
from litestar.response.base import ASGIResponse

from tollkeeper.base.errors import NotFound
from tollkeeper.console.sessions import CONSOLE

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
KEPT: Final = {
    "cache-control": "public, max-age=31536000, immutable",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
# Half the time of the usual level, for a few bytes more.
_PAGE_LEVEL: Final = 4


class Zipped(Response[bytes]):
    """An answer that goes in gzip to who takes it. `zipped` is for what is made once."""

    zipped: bytes | None = None

    def to_asgi_response(
        self, app: Litestar | None, request: Request[Any, Any, Any], **options: Any
    ) -> ASGIResponse:
        self.headers["vary"] = "accept-encoding"
        if takes_gzip(request.headers.get("accept-encoding", "")):
            self.headers["content-encoding"] = "gzip"
            self.content = self.zipped or gzip.compress(self.content, _PAGE_LEVEL, mtime=0)
        answer: ASGIResponse = super().to_asgi_response(app, request, **options)  # pyright: ignore[reportUnknownMemberType] Litestar's Request is generic.
        return answer


def takes_gzip(accepted: str) -> bool:
    """Read the header Accept-Encoding."""
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "").rstrip("0") not in ("q=", "q=0.")
    return False


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    zipped: bytes
    media_type: str
    served_as: str


def asset(name: str) -> str:
    """Return the address of a file. Raises KeyError for one that is not there."""
    return f"{CONSOLE}/static/{_assets[name].served_as}"


@get("/static/{name:str}", include_in_schema=False)
async def serve_asset(name: FromPath[str]) -> Response[bytes]:
    found = _served.get(name)
    if found is None:
        raise NotFound(name)
    answer = Zipped(found.content, media_type=found.media_type, headers=dict(KEPT))
    answer.zipped = found.zipped
    return answer


def _read_assets() -> Mapping[str, Asset]:
    home = files("tollkeeper.console").joinpath("static")
    vendor = home.joinpath("vendor")
    if not vendor.joinpath("stamp").is_file():
        raise RuntimeError("htmx is missing: install this package anew (or run ./dev)")
    return dict(_read(found) for place in (home, vendor) for found in place.iterdir() if _is(found))


def _is(found: Traversable) -> bool:
    return found.is_file() and _ending(found.name) in _TYPES


def _read(found: Traversable) -> tuple[str, Asset]:
    content = found.read_bytes()
    ending = _ending(found.name)
    seal = hashlib.sha256(content).hexdigest()[:16]
    return found.name, Asset(
        content=content,
        zipped=gzip.compress(content, mtime=0),
        media_type=_TYPES[ending],
        served_as=f"{found.name.removesuffix(ending)}-{seal}{ending}",
    )


def _ending(name: str) -> str:
    return name[name.rfind(".") :]


_assets: Final = _read_assets()
_served: Final = {one.served_as: one for one in _assets.values()}
