"""Who uses a shared server: one locked file per user, which death unlocks."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4


class User(NamedTuple):
    path: Path
    descriptor: int


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """Hold the lock file, waiting for whoever has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def enter(directory: Path) -> User:
    """Register a user; its file stays locked until `leave` or the death of the process."""
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / f"{os.getpid()}-{uuid4().hex}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return User(path, descriptor)


def leave(user: User) -> None:
    user.path.unlink(missing_ok=True)
    os.close(user.descriptor)


def anyone_left(directory: Path) -> bool:
    """Tell whether a living process is registered, and clear away the files of dead ones."""
    alive = [path for path in directory.iterdir() if _is_alive(path)]
    return bool(alive)


def _is_alive(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(descriptor)
