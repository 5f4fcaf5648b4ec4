"""Written by `generate.py` from `calling_async.py`: change that one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Self, TypeVar

import httpx

from tollkeeper_client.answers import Page
from tollkeeper_client.pausing import pause
from tollkeeper_client.trying import (
    Outcome,
    answer_of,
    body_of,
    headers_of,
    may_retry,
    pause_before,
    query_of,
    succeeded,
)

T = TypeVar("T")


class Calling:
    """Everything raises TollkeeperError. Whatever changes something is sent with one
    Idempotency-Key for all its tries; `idempotency_key` makes it yours."""

    def __init__(
        self,
        api_key: str,
        base_url: str,
        *,
        timeout_seconds: float = 30,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`base_url` is the server's address, such as `https://billing.example.com`."""
        self._retries = retries
        self._http = httpx.Client(
            base_url=f"{base_url.rstrip('/').removesuffix('/api/v1')}/api/v1",
            headers={"authorization": f"Bearer {api_key}"},
            timeout=timeout_seconds,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def request(
        self,
        kind: type[T],
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> T:
        """Ask for anything that has no method here: `request(dict, "GET", "/billing/balance")`.

        `kind` is `dict` for JSON as it comes, a dataclass, `bytes` for a file or NoneType for
        nothing; `path` begins below /api/v1. It is tried again like everything else.
        """
        request = self._http.build_request(
            method,
            path,
            params=query_of(query),
            content=body if isinstance(body, bytes) else body_of(body),
            headers=headers_of(method, idempotency_key),
        )
        return answer_of(kind, self._insist(request))

    def each(self, kind: type[T], path: str, query: Mapping[str, Any] | None = None) -> Iterator[T]:
        """Go through a list of any length, a page at a time: `each(dict, "/billing/lots")`."""
        asked = dict(query or {})
        while True:
            page = self._get(Page[kind], path, asked)
            yield from page.data
            if page.next_cursor is None:
                return
            asked["cursor"] = page.next_cursor

    def download(self, path: str, file: BinaryIO, query: Mapping[str, Any] | None = None) -> int:
        """Write an answer of any length into `file`, as it comes; return how many bytes it has.

        What breaks off in the middle raises ConnectionFailed: begin again, with an empty file.
        """
        request = self._http.build_request("GET", path, params=query_of(query))
        answer = succeeded(self._insist(request, stream=True))
        written = 0
        try:
            for part in answer.iter_bytes():
                written += file.write(part)
        except httpx.TransportError as error:
            succeeded(error)
        finally:
            answer.close()
        return written

    def _get(self, kind: type[T], path: str, asked: Mapping[str, Any] | None = None) -> T:
        return self.request(kind, "GET", path, query=asked)

    def _post(
        self,
        kind: type[T],
        path: str,
        said: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> T:
        return self.request(kind, "POST", path, said, idempotency_key=key)

    def _insist(self, request: httpx.Request, *, stream: bool = False) -> Outcome:
        outcome = self._try(request, stream=stream)
        for attempt in range(self._retries):
            if not may_retry(outcome):
                break
            pause(pause_before(attempt, outcome))
            outcome = self._try(request, stream=stream)
        return outcome

    def _try(self, request: httpx.Request, *, stream: bool) -> Outcome:
        try:
            answer = self._http.send(request, stream=stream)
            if not answer.is_success:
                answer.read()
        except httpx.TransportError as error:
            return error
        return answer
