"""What browsers and links carry: ids and a secret, of which only the hash is kept."""

from __future__ import annotations

import binascii
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

ID_BYTES: Final = 16
SECRET_BYTES: Final = 32


def hash_secret(secret: bytes) -> bytes:
    """A secret has 256 bits of chance, so a slow hash would protect nothing more."""
    return hashlib.sha256(secret).digest()


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
