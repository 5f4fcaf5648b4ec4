"""Addresses that cannot be guessed: a ref of the sandbox, and proof that we gave it away."""

from __future__ import annotations

import hmac
from typing import Final

_MAC_HEX: Final = 40


class Seals:
    def __init__(self, instance_secret: bytes) -> None:
        self._key = hmac.digest(instance_secret, b"sandbox pages", "sha256")
        self.webhook_secret = hmac.digest(instance_secret, b"sandbox webhooks", "sha256").hex()

    def seal(self, purpose: str, ref: str) -> str:
        return f"{ref}-{self._mac(purpose, ref)}"

    def open(self, purpose: str, ticket: str) -> str | None:
        """Return the ref, None when the ticket is not for that purpose or not ours."""
        ref, _, mac = ticket.rpartition("-")
        return ref if hmac.compare_digest(mac.encode(), self._mac(purpose, ref).encode()) else None

    def _mac(self, purpose: str, ref: str) -> str:
        return hmac.digest(self._key, f"{purpose}\0{ref}".encode(), "sha256").hex()[:_MAC_HEX]
