"""What browsers and links carry: ids and a secret, of which only the hash is kept."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Final, Protocol

ID_BYTES: Final = 16
SECRET_BYTES: Final = 32

_ROTATED_AFTER: Final = timedelta(minutes=30)
# Requests of the same page may still be under way with the secret before.
_PREVIOUS_LASTS: Final = timedelta(minutes=1)


class Rotating(Protocol):
    """What is entered with a secret that changes now and then."""

    @property
    def secret_hash(self) -> bytes: ...

    @property
    def previous_hash(self) -> bytes | None: ...

    @property
    def rotated_at(self) -> datetime: ...


def hash_secret(secret: bytes) -> bytes:
    """A secret has 256 bits of chance, so a slow hash would protect nothing more."""
    return hashlib.sha256(secret).digest()


def opens(secret: bytes, what: Rotating, now: datetime) -> bool:
    """Whether it is the secret, or was a moment ago."""
    given = hash_secret(secret)
    if hmac.compare_digest(given, what.secret_hash):
        return True
    recent = now - what.rotated_at < _PREVIOUS_LASTS
    return recent and hmac.compare_digest(given, what.previous_hash or b"")


def is_due(what: Rotating, now: datetime) -> bool:
    """Whether the secret is to be changed."""
    return now - what.rotated_at >= _ROTATED_AFTER


def write_token(*parts: bytes) -> str:
    return urlsafe_b64encode(b"".join(parts)).rstrip(b"=").decode()


def read_token(token: str, *sizes: int) -> list[bytes] | None:
    """Return the parts; None for what is no token of such parts."""
    try:
        found = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (binascii.Error, UnicodeEncodeError):
        return None
    if len(found) != sum(sizes):
        return None
    parts: list[bytes] = []
    for size in sizes:
        parts.append(found[:size])
        found = found[size:]
    return parts


def mask(token: str, chance: bytes) -> str:
    """Write a token of 64 hex digits as it was never written before, with 32 random bytes.

    Pages are compressed, and some repeat what an address says: from the sizes of many answers, who
    listens could find what is the same in all of them.
    """
    return chance.hex() + _xor(chance, bytes.fromhex(token)).hex()


def unmask(masked: str) -> str:
    """Return the token; what no page has written gives one that fits nowhere."""
    try:
        both = bytes.fromhex(masked)
    except ValueError:
        return ""
    return _xor(both[:SECRET_BYTES], both[SECRET_BYTES:]).hex()


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=False))
