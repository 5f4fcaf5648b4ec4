"""What becomes of exceptions that leave a Litestar route: all of them end as problem+json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import structlog
from litestar.connection import Request
from litestar.exceptions import HTTPException
from litestar.response import Response

from tollkeeper.base.errors import InvalidRequest, NotFound, PayloadTooLarge, TollkeeperError
from tollkeeper.http.asgi import ClientGone, HotRoutes
from tollkeeper.http.problem import MethodNotAllowed, problem_body, problem_headers, unexpected

HOT_ROUTES: Final = "tollkeeper.hot_routes"
_NOT_FOUND: Final = 404
_NOT_ALLOWED: Final = 405
_TOO_LARGE: Final = 413
_SERVER_ERROR: Final = 500

_log = structlog.stdlib.get_logger(__name__)


def answer_error(_request: Request[Any, Any, Any], error: TollkeeperError) -> Response[bytes]:
    headers = {name.decode(): value.decode() for name, value in problem_headers(error)}
    return plain_response(error.status, headers, problem_body(error))


def answer_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    return answer_error(request, _translate(request, error))


def _translate(request: Request[Any, Any, Any], error: HTTPException) -> TollkeeperError:
    """Say in our words what Litestar's own exceptions say in its."""
    scope = cast("dict[str, Any]", request.scope)
    method, path = scope["method"], scope["path"]
    hot: HotRoutes = request.app.state[HOT_ROUTES]
    allowed = hot.methods_at(path)
    if error.status_code == _NOT_ALLOWED or (error.status_code == _NOT_FOUND and allowed):
        allowed |= {name.strip() for name in (error.headers or {}).get("allow", "").split(",")}
        named = ", ".join(sorted(allowed - {""}))
        return MethodNotAllowed(f"{path} takes {named}, not {method}", named)
    if error.status_code == _NOT_FOUND:
        return NotFound(f"There is nothing at {path}")
    if error.status_code == _TOO_LARGE:
        return PayloadTooLarge(error.detail)
    if error.status_code >= _SERVER_ERROR:
        _log.error("unexpected_error", method=method, path=path, exc_info=error)
        return unexpected()
    return InvalidRequest(error.detail)


def answer_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    if isinstance(error, ClientGone):
        return plain_response(InvalidRequest.status, {}, b"")  # nobody is there to read it
    scope = cast("dict[str, Any]", request.scope)
    _log.error("unexpected_error", method=scope["method"], path=scope["path"], exc_info=error)
    return answer_error(request, unexpected())


def plain_response(status: int, headers: Mapping[str, str], body: bytes) -> Response[bytes]:
    others = {name: value for name, value in headers.items() if name != "content-type"}
    media_type = headers.get("content-type", "application/json")
    return Response(body, status_code=status, headers=others, media_type=media_type)
