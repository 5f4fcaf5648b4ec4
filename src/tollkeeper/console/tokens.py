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
