"""What every answer below `/console` says to browsers, also where no page was made: redirects,
downloads, streams, errors of methods and of bodies."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.rendering import framing
from tollkeeper.console.sessions import CONSOLE
from tollkeeper.console.theme import Theme
from tollkeeper.http import App, Message, Receive, Scope, Send

_ALWAYS: Final = {
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors "


def with_policies(app: App, theme: Theme) -> App:
    """What an answer says itself stays as it is."""
    frames = framing(theme.frame_origins)
    policy = {"content-security-policy": _NOTHING + (" ".join(theme.frame_origins) or "'none'")}
    defaults = [
        (name.encode(), said.encode()) for name, said in (_ALWAYS | frames | policy).items()
    ]

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_ours(scope["path"]):
            await app(scope, receive, send)
            return

        async def send_with_policies(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = [(name.lower(), value) for name, value in message.get("headers", [])]
                known = {name for name, _ in said}
                message["headers"] = [*said, *(one for one in defaults if one[0] not in known)]
            await send(message)

        await app(scope, receive, send_with_policies)

    return answer


def _is_ours(path: str) -> bool:
    return path.lstrip("/").split("/", 1)[0] == CONSOLE.strip("/")
