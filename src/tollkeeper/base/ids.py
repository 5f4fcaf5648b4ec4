"""Ids are UUIDv7 (RFC 9562), shown to people as a prefix and 32 hexadecimal digits."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from typing import Final
from uuid import UUID

# Any fixed value serves; it only keeps our name-based ids apart from other people's.
_NAMESPACE: Final = UUID("01934f5e-7a40-7cc0-8e1b-746f6c6c6b65")
_NAMED: Final = hashlib.sha1(_NAMESPACE.bytes)  # noqa: S324 (UUIDv5 is made of it)
_OUTSIDE_VERSION: Final = (1 << 128) - 1 ^ 0xF << 76 ^ 0b11 << 62
# UUID(hex=…) would also take braces, hyphens, underscores and capitals.
_DIGITS: Final = re.compile(r"[0-9a-f]{32}")
_COUNTER_BITS: Final = 42
_RANDOM_BITS: Final = 32

_lock = threading.Lock()
_last = [0, 0]  # the millisecond of the newest id and its counter
# The kernel's random bytes, taken a page at a time: asking for four costs as much.
_POOL_BYTES: Final = 4096
_pool = bytearray()
# A child that went on with its parent's bytes would make its parent's ids.
os.register_at_fork(after_in_child=_pool.clear)


def uuid7() -> UUID:
    """Make a UUIDv7 whose order within one process is the order of making (RFC 9562, 6.2)."""
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        if now_ms > _last[0]:
            _last[:] = [now_ms, _chance(5)]
        else:
            _last[1] += 1
        ms, counter = _last
    tail = (counter << _RANDOM_BITS) | _chance(4)
    rand_a, rand_b = tail >> 62 & 0xFFF, tail & (1 << 62) - 1
    return UUID(int=ms << 80 | 7 << 76 | rand_a << 64 | 2 << 62 | rand_b)


def _chance(size: int) -> int:
    if len(_pool) < size:
        _pool[:] = os.urandom(_POOL_BYTES)
    drawn = int.from_bytes(_pool[-size:])
    del _pool[-size:]
    return drawn


def named_uuid(scope: UUID, name: str) -> UUID:
    """Make the one UUIDv5 that stands for a name somebody else chose, within `scope`."""
    # What uuid.uuid5 does, in half its time: every charge is named here.
    digest = _NAMED.copy()
    digest.update(f"{scope.hex}/{name}".encode())
    drawn = int.from_bytes(digest.digest()[:16]) & _OUTSIDE_VERSION
    return UUID(int=drawn | 5 << 76 | 2 << 62)


def show_id(prefix: str, value: UUID) -> str:
    return f"{prefix}_{value.hex}"


def read_id(prefix: str, text: str) -> UUID:
    """Read `org_0193…` back. Raises ValueError when the prefix or the digits are wrong."""
    head, _, digits = text.partition("_")
    if head != prefix or _DIGITS.fullmatch(digits) is None:
        raise ValueError(f"{text!r} is not an id of the form {prefix}_ and 32 hexadecimal digits")
    return UUID(hex=digits)
