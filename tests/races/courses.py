"""What processes are given to do in a race."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ledger_purse import Purse
from tollkeeper.base.ids import uuid7

PROCESSES = 4

Acts = Sequence[Sequence[Any]]
Race = Callable[..., Awaitable[list[list[Any]]]]


def item(purse: Purse, amount: int, name: str | None = None) -> list[Any]:
    return [str(purse.org_id), str(purse.wallet_id), name or str(uuid7()), amount]


def dealt(acts: Sequence[Any]) -> list[Sequence[Any]]:
    """Divide the acts among the processes, as cards are."""
    return [acts[nth::PROCESSES] for nth in range(PROCESSES)]


def flat(told: list[list[list[str]]]) -> list[str]:
    return [outcome for answers in told for answer in answers for outcome in answer]
