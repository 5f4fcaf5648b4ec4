"""All SQL of this room, and its reading of the driver's errors."""

from __future__ import annotations

from typing import Final

import psycopg

from tollkeeper.db import unavailable

# Beside an absent server: a cancelled statement, a lost race, a system or internal error. The
# same statement may succeed later; nothing in its items is at fault.
_TRANSIENT: Final = ("40", "55", "57", "58", "XX")


def is_outage(error: BaseException) -> bool:
    """Tell whether the database is at fault, and not what was sent to it."""
    if isinstance(error, TimeoutError) or unavailable(error) is not None:
        return True
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    return state is not None and state[:2] in _TRANSIENT
