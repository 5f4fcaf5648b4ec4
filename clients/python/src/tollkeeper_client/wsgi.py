"""A toll in front of a WSGI application: held before a request, settled before its last byte."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from tollkeeper_client.charging import Charge
from tollkeeper_client.client_sync import Tollkeeper
from tollkeeper_client.errors import PaymentRequired, TollkeeperError
from tollkeeper_client.tolling import (
    CHARGE,
    FAILED,
    NO_KEY,
    Toll,
    key_in,
    refusal_of,
    story_of,
)

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
WsgiApp: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]

_log: Final = logging.getLogger(__name__)


def bearer_in(environ: Environ) -> str | None:
    """Return the customer's key: of `Authorization: Bearer`, or of `x-api-key`."""
    return key_in(environ.get("HTTP_AUTHORIZATION", ""), environ.get("HTTP_X_API_KEY"))


class TollWsgiMiddleware:
    """`TollMiddleware` for Flask, Django and whatever else speaks WSGI.

    The application finds its charge as `environ["tollkeeper.charge"]`.
    """

    def __init__(
        self,
        app: WsgiApp,
        *,
        client: Tollkeeper,
        toll: Callable[[Environ], Toll | None],
        customer_key: Callable[[Environ], str | None] = bearer_in,
    ) -> None:
        self._app = app
        self._client = client
        self._toll = toll
        self._customer_key = customer_key

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        toll = self._toll(environ)
        if toll is None:
            return self._app(environ, start_response)
        key = self._customer_key(environ)
        if key is None:
            return _refuse(start_response, NO_KEY)
        try:
            hold = self._client.hold(estimate=toll.estimate, customer_key=key, **toll.what)
        except TollkeeperError as error:
            return _refuse(start_response, error)
        environ[CHARGE] = charge = Charge(hold, toll.estimate)
        return self._answer(environ, _Gate(self._client, charge, start_response))

    def _answer(self, environ: Environ, gate: _Gate) -> Iterator[bytes]:
        parts: Iterable[bytes] = ()
        try:
            parts = self._app(environ, gate.start)
            yield from gate.pass_on(parts)
        except PaymentRequired as error:
            if gate.status is not None:
                raise
            yield from _refuse(gate.start, error)
        finally:
            gate.close()
            close: Callable[[], None] | None = getattr(parts, "close", None)
            if close is not None:
                close()


class _Gate:
    """Lets the last part of an answer through when the charge has ended."""

    def __init__(self, client: Tollkeeper, charge: Charge, start_response: StartResponse) -> None:
        self._client = client
        self._charge = charge
        self._start_response = start_response
        self._sized = False
        self._ended = False
        self.status: int | None = None

    def start(self, status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        self.status = int(status.split(" ", 1)[0])
        self._sized = any(name.lower() == "content-length" for name, _ in headers)
        return self._start_response(status, headers, *more)

    def pass_on(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """Who knows an answer's length has it all with its last part, which waits for that; the
        end of any other is told when this returns."""
        last = None
        for part in parts:
            if last is not None:
                yield last
            last = part if self._sized else None
            if not self._sized:
                yield part
        self._end(charged=self._went_well())
        if last is not None:
            yield last

    def close(self) -> None:
        """End what broke off: the customer who left pays for what is known to be used by then."""
        self._end(charged=self._went_well() and self._charge.told)

    def _went_well(self) -> bool:
        return self.status is not None and self.status < FAILED

    def _end(self, *, charged: bool) -> None:
        if self._ended:
            return
        self._ended = True
        hold_id = self._charge.hold.id
        try:
            if charged:
                story = story_of(self._charge, self.status)
                usage = self._charge.known_usage()
                self._charge.receipt = self._client.settle(hold_id, usage, **story)
            else:
                self._client.void(hold_id)
        except TollkeeperError:
            # The work is done and its answer half sent: the customer gets it. The hold ends itself.
            _log.exception("%s could not be ended", hold_id)


def _refuse(start_response: StartResponse, error: TollkeeperError) -> list[bytes]:
    refusal = refusal_of(error)
    headers = [*refusal.headers, ("content-length", str(len(refusal.body)))]
    start_response(f"{refusal.status} {HTTPStatus(refusal.status).phrase}", headers)
    return [refusal.body]
