"""The simulated model provider: deterministic, free, and able to fail on demand."""

from tollkeeper.gateway.providers.sandbox.provider import SandboxProvider
from tollkeeper.gateway.providers.sandbox.script import Script
from tollkeeper.gateway.providers.sandbox.text import tokens_in

__all__ = ["SandboxProvider", "Script", "tokens_in"]
