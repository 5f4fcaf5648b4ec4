"""The secret part of keys: how it is made, and the only form in which it is kept."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from typing import Final

LIVE: Final = "tk_live_"
TEST: Final = "tk_test_"
OPERATOR: Final = "tk_op_"

_FORM: Final = re.compile(r"tk_(?:live|test|op)_[A-Za-z0-9_-]{43}")
_SHOWN: Final = 4


def make_secret(prefix: str, chance: bytes) -> str:
    """Make a secret from 32 random bytes."""
    return prefix + urlsafe_b64encode(chance).rstrip(b"=").decode()


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def shown_part(prefix: str, secret: str) -> str:
    """Return as much of a secret as may be shown, so that people can tell keys apart."""
    return secret[: len(prefix) + _SHOWN]


def has_form(token: str) -> bool:
    """Tell whether a token can be a key at all; what cannot costs no look-up."""
    return _FORM.fullmatch(token) is not None
