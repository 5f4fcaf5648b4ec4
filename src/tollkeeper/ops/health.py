"""Whether this process lives, whether it can do its work, and what it has counted."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE

from tollkeeper.base.errors import Forbidden
from tollkeeper.ops.metrics import MEDIA_TYPE, Metrics

# A load balancer asks every few seconds and waits about as long.
_CHECK_SECONDS: Final = 3.0
_THIS_MACHINE: Final = ("127.0.0.1", "::1")
_PROXY_HEADERS: Final = ("x-forwarded-for", "forwarded", "x-real-ip")

_log = structlog.stdlib.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]
Check = Callable[[], Awaitable[None]]


class NotReady(Exception):
    """Why this process cannot do its work just now."""


def health_routes(
    checks: Mapping[str, Check], metrics: Metrics, metrics_token: str | None
) -> list[HTTPRouteHandler]:
    """Make /healthz, /readyz and /metrics.

    A check returns, or raises NotReady with a reason that anybody may read; what else it raises
    is told to the log alone.
    """

    @get("/healthz", include_in_schema=False)
    async def alive() -> dict[str, str]:
        return {"status": "ok"}

    @get("/readyz", include_in_schema=False)
    async def ready() -> Response[dict[str, object]]:
        said = dict(zip(checks, await asyncio.gather(*map(_try, checks.items())), strict=True))
        if all(reason == "ok" for reason in said.values()):
            return Response({"status": "ok", "checks": said}, status_code=HTTP_200_OK)
        body: dict[str, object] = {"status": "unavailable", "checks": said}
        return Response(body, status_code=HTTP_503_SERVICE_UNAVAILABLE)

    @get("/metrics", include_in_schema=False)
    async def measured(request: AnyRequest) -> Response[bytes]:
        if not _may_measure(request, metrics_token):
            raise Forbidden(
                "Metrics are for this machine, and for who sends the token of server.metrics_token"
            )
        return Response(metrics.text(), media_type=MEDIA_TYPE)

    return [alive, ready, measured]


async def _try(named: tuple[str, Check]) -> str:
    name, check = named
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except NotReady as reason:
        return str(reason)
    except Exception as error:  # noqa: BLE001 (a check that breaks is a check that fails)
        # Whoever may ask whether we are ready need not learn our database's address.
        _log.warning("not_ready", check=name, reason=str(error) or type(error).__name__)
        return "failed; the log says why"
    return "ok"


def _may_measure(request: AnyRequest, token: str | None) -> bool:
    if token is not None:
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    client = request.client
    proxied = any(name in request.headers for name in _PROXY_HEADERS)
    return client is not None and client.host in _THIS_MACHINE and not proxied
