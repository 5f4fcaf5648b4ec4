"""Who answers calls: providers over HTTP, and the simulated one."""

from tollkeeper.gateway.providers.client import HttpClient, Timeouts
from tollkeeper.gateway.providers.model import (
    Call,
    Provider,
    Reply,
    Trouble,
    UpstreamBroke,
    UpstreamFailed,
    UpstreamGone,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnreachable,
)
from tollkeeper.gateway.providers.over_http import (
    HttpProvider,
    anthropic,
    openai_compatible,
    returned_headers,
)
from tollkeeper.gateway.providers.sandbox import SandboxProvider

__all__ = [
    "Call",
    "HttpClient",
    "HttpProvider",
    "Provider",
    "Reply",
    "SandboxProvider",
    "Timeouts",
    "Trouble",
    "UpstreamBroke",
    "UpstreamFailed",
    "UpstreamGone",
    "UpstreamTimeout",
    "UpstreamTooLarge",
    "UpstreamUnreachable",
    "anthropic",
    "openai_compatible",
    "returned_headers",
]
