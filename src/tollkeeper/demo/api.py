"""The application, asked as over HTTP but without a network: what people do, they do there."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from tollkeeper.base.money import NumberText
from tollkeeper.http.asgi import App, Message

_decode: Final = msgspec.json.Decoder(float_hook=NumberText).decode
_ERROR: Final = 400


class Refused(Exception):
    """The answer was an error; `code` is the problem's."""

    def __init__(self, said: str, status: int, code: str) -> None:
        super().__init__(said)
        self.status = status
        self.code = code


class Api:
    """Asks an ASGI application one thing at a time."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def ask(self, method: str, path: str, key: str, body: object = None) -> Any:
        """Ask below `/api/v1` and give the answer's JSON. Raises Refused."""
        content = b"" if body is None else msgspec.json.encode(body)
        headers = [
            (b"authorization", f"Bearer {key}".encode()),
            (b"content-type", b"application/json"),
        ]
        status, said = await self._send(method, f"/api/v1{path}", headers, content)
        if status >= _ERROR:
            problem = _decode(said)
            raise Refused(f"{method} {path}: {said.decode()}", status, problem.get("code", ""))
        return _decode(said) if said else None

    async def click(self, url: str, **form: str) -> None:
        """Send a form of one of the sandbox's pages. Raises Refused."""
        headers = [(b"content-type", b"application/x-www-form-urlencoded")]
        path = urlsplit(url).path
        status, said = await self._send("POST", path, headers, urlencode(form).encode())
        if status >= _ERROR:
            raise Refused(f"{path}: {said.decode()[:500]}", status, "")

    async def _send(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> tuple[int, bytes]:
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [
                (b"host", b"localhost"),
                (b"content-length", str(len(body)).encode()),
                *headers,
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        answers: list[Message] = []
        asked = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return asked.pop() if asked else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            answers.append(message)

        await self._app(scope, receive, send)
        content = b"".join(answer.get("body", b"") for answer in answers[1:])
        return answers[0]["status"], content
