"""Providers that are reached over HTTP: OpenAI, whatever is compatible with it, and Anthropic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from tollkeeper.gateway.providers.client import HttpClient, HttpReply
from tollkeeper.gateway.providers.model import Call

OPENAI_DIALECTS: Final = frozenset(
    {"chat", "responses", "embeddings", "images", "speech", "transcriptions"}
)
ANTHROPIC_DIALECTS: Final = frozenset({"messages"})
ANTHROPIC_VERSION: Final = "2023-06-01"

# The only headers of a client that go upstream; its key, cookies and accounts never do.
_PASSED: Final = ("anthropic-beta", "anthropic-version", "openai-beta")
# And the only ones of a provider that come back.
_RETURNED: Final = ("content-type", "retry-after", "retry-after-ms")


class HttpProvider:
    """A base URL, a key, and the header it goes in."""

    def __init__(
        self,
        client: HttpClient,
        *,
        name: str,
        base_url: str,
        headers: Mapping[str, str],
        secrets: tuple[str, ...],
        dialects: frozenset[str],
        cap_field: str = "max_completion_tokens",
        ask_usage: bool = True,
    ) -> None:
        self.name = name
        self.dialects = dialects
        self.cap_field = cap_field
        self.ask_usage = ask_usage
        self.secrets = secrets
        self._client = client
        self._base = urlsplit(base_url)
        self._headers = {"accept-encoding": "identity", "user-agent": "tollkeeper", **headers}
        self._urls: dict[str, str] = {}

    async def send(self, call: Call) -> HttpReply:
        return await self._client.post(self.address(call.path), call.body, self.headers_for(call))

    def address(self, path: str) -> str:
        """Put the dialect's path behind the base; a query (Azure's `api-version`) stays last."""
        found = self._urls.get(path)
        if found is None:
            whole = self._base._replace(path=self._base.path.rstrip("/") + path)
            found = self._urls[path] = urlunsplit(whole)
        return found

    def headers_for(self, call: Call) -> dict[str, str]:
        headers = {**self._headers, "content-type": call.content_type}
        for name in _PASSED:
            said = call.headers.get(name)
            if said is not None:
                headers[name] = said
        return headers


def openai_compatible(
    client: HttpClient,
    *,
    name: str,
    base_url: str,
    api_key: str,
    key_header: str = "authorization",
    extra_headers: Mapping[str, str] | None = None,
    dialects: frozenset[str] = OPENAI_DIALECTS,
    cap_field: str = "max_completion_tokens",
    ask_usage: bool = True,
) -> HttpProvider:
    """Describe OpenAI (`https://api.openai.com/v1`) or a server that speaks like it.

    Older servers know the output limit only as `cap_field="max_tokens"`. `key_header` is for
    those that want the bare key elsewhere than in `Authorization: Bearer` (Azure: `api-key`).
    """
    shown = f"Bearer {api_key}" if key_header.lower() == "authorization" else api_key
    keyed = {key_header.lower(): shown} if api_key else {}
    return HttpProvider(
        client,
        name=name,
        base_url=base_url,
        headers={**keyed, **(extra_headers or {})},
        secrets=(api_key,) if api_key else (),
        dialects=dialects,
        cap_field=cap_field,
        ask_usage=ask_usage,
    )


def anthropic(
    client: HttpClient,
    *,
    name: str = "anthropic",
    base_url: str = "https://api.anthropic.com/v1",
    api_key: str,
    extra_headers: Mapping[str, str] | None = None,
) -> HttpProvider:
    """Describe Anthropic; the client's `anthropic-version` and `anthropic-beta` pass."""
    return HttpProvider(
        client,
        name=name,
        base_url=base_url,
        headers={
            "x-api-key": api_key,
            "anthropic-version": ANTHROPIC_VERSION,
            **(extra_headers or {}),
        },
        secrets=(api_key,),
        dialects=ANTHROPIC_DIALECTS,
    )


def returned_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Choose what of a provider's headers a client may see."""
    return {name: headers[name] for name in _RETURNED if name in headers}
