"""Passwords: what one must be like, and its Argon2 hash, worked out beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final, TypeVar, TypeVarTuple

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from tollkeeper.console.rendering import say

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SHORTEST: Final = 10
# Long enough for any sentence, short enough that hashing it is no work of its own.
LONGEST: Final = 1_000

_hasher: Final = PasswordHash((Argon2Hasher(),))
# A hash takes 64 MB: as many at once as this, however many are asked for.
_threads: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")


def fault_of(password: str, email: str) -> str:
    """Say why it is no good password; nothing if it is."""
    if len(password) < SHORTEST:
        return say("password.short", count=SHORTEST)
    if len(password) > LONGEST:
        return say("password.long", count=LONGEST)
    if password.strip().lower() in {email.lower(), email.lower().partition("@")[0]}:
        return say("password.is_email")
    return ""


async def hash_password(password: str) -> str:
    return await _in_thread(_hasher.hash, password)


async def check_password(password: str, known: str | None) -> tuple[bool, str | None]:
    """Return whether it is right, and its hash made anew where parameters have changed.

    Without a known hash it is wrong after as long as a wrong one.
    """
    if len(password) > LONGEST:
        password = ""
    return await _in_thread(_check, password, known)


def _check(password: str, known: str | None) -> tuple[bool, str | None]:
    right, anew = _hasher.verify_and_update(password, known or _of_nobody())
    return right and known is not None, anew


@cache
def _of_nobody() -> str:
    return _hasher.hash("nobody has this password")


async def _in_thread(function: Callable[[*Ts], T], *arguments: *Ts) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, function, *arguments)
