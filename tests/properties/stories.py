"""Random histories of the ledger, told in its language: the same seed tells the same story."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import Any

from ledger_language import TOGETHER, Act
from ledger_on_paper import LOT_KIND

WALLETS = ("acme", "acme.DIEM", "beta")
OPENING = """
    open acme overdraft 1.00 / open acme.DIEM / open beta
    grant acme 6.00 expires d4 as lot0 / purchase beta 5.00 as lot1 / purchase acme.DIEM 3.00
"""
HALF = 500_000_000
DAY = 86_400

WEIGHTS = {
    "hold": 20,
    "settle": 14,
    "charge": 14,
    "void": 5,
    "purchase": 5,
    "grant": 7,
    "refund": 3,
    "dispute": 2,
    "adjust": 4,
    "reverse": 4,
    "expire": 7,
    "wait": 8,
    "clock": 2,
    "freeze": 1,
    "unfreeze": 2,
    "overdraft": 2,
}

Step = list[Act]


def tell(seed: int, length: int) -> list[Step]:
    teller = Teller(Random(seed))  # noqa: S311 (nothing is kept secret by it)
    return [teller.step() for _ in range(length)]


class Teller:
    """Chooses so that things meet: ids come again, holds settle, credit runs out, days pass."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.used: list[tuple[str, str]] = []
        self.held: list[tuple[str, str]] = []
        self.names = ["lot0", "lot1"]

    def step(self) -> Step:
        (verb,) = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        if verb in ("settle", "void") and not self.held and not self._rarely(4):
            verb = "hold"
        if verb in TOGETHER:
            size = self.random.choice((1, 1, 1, 2, 3, 8))
            return _one_wallet_each(
                [replace(self._call(verb), joined=place > 0) for place in range(size)]
            )
        return [self._alone(verb)]

    def _call(self, verb: str) -> Act:
        name, wallet = self._request(verb)
        if self._rarely(20):
            wallet = self.random.choice(WALLETS)
        if (name, wallet) not in self.used:
            self.used.append((name, wallet))
        options: dict[str, Any] = {}
        if verb == "hold":
            self.held.append((name, wallet))
            if self._rarely(3):
                options["for"] = self.random.choice((60, DAY + 1))
        elif verb != "void":
            if self._rarely(8):
                options["print"] = 7
            if self._rarely(4):
                options["lines"] = self.random.randrange(4)
        return Act(verb, name, wallet, 0 if verb == "void" else self._cost(), options)

    def _request(self, verb: str) -> tuple[str, str]:
        if verb in ("settle", "void") and self.held and not self._rarely(8):
            return self.held.pop(self.random.randrange(len(self.held)))
        if self.used and self._rarely(6):
            return self.random.choice(self.used[-6:])
        return f"r{len(self.used)}", self.random.choice(WALLETS)

    def _alone(self, verb: str) -> Act:
        random = self.random
        if verb == "reverse":
            return Act(verb, random.choice(self.names[-6:]))
        if verb == "expire":
            return Act(verb, random.choice(("holds", "lots")))
        if verb in ("wait", "clock"):
            waits, days = (1, 1, 59, 3600, DAY // 2, DAY), range(0, 8 * DAY, DAY)
            return Act(verb, amount=random.choice(waits if verb == "wait" else days))
        wallet = random.choice(WALLETS)
        if verb in ("freeze", "unfreeze"):
            return Act(verb, wallet)
        if verb == "overdraft":
            return Act(verb, wallet, None, self._cost())
        return self._posting(verb, wallet)

    def _posting(self, verb: str, wallet: str) -> Act:
        amount = self._amount()
        if verb == "adjust":
            amount *= self.random.choice((1, -1))
        options = self._credit(verb) if verb in LOT_KIND else self._named(verb)
        if verb in ("refund", "dispute") and self._rarely(2):
            options["from"] = self.random.choice([n for n in self.names if n.startswith("lot")])
        if "source" in options:
            amount = HALF  # The same payment again is for the same amount, most of the time.
        return Act(verb, wallet, None, amount, options)

    def _credit(self, verb: str) -> dict[str, Any]:
        options = self._named(verb)
        if self._rarely(2):
            options["expires"] = self.random.randrange(8) * DAY
        if self._rarely(3):
            options["priority"] = self.random.choice((1, 200))
        if self._rarely(3):
            options["kind"] = self.random.choice(("purchased", "promotional", "allowance"))
        return options

    def _named(self, verb: str) -> dict[str, Any]:
        if self._rarely(5):
            # What a repeated source gives back is the first entry: it gets no name of its own.
            return {"source": self.random.choice(("pay1", "pay2"))}
        name = f"{'lot' if verb in LOT_KIND else 'e'}{len(self.names)}"
        self.names.append(name)
        return {"as": name}

    def _amount(self) -> int:
        # Few sizes, so that sums coincide; now and then the smallest.
        if self._rarely(8):
            return self.random.randrange(1, 4)
        return self.random.randrange(1, 9) * HALF

    def _cost(self) -> int:
        return 0 if self._rarely(10) else self._amount() // self.random.choice((1, 1, 2))

    def _rarely(self, one_in: int) -> bool:
        return self.random.randrange(one_in) == 0


def _one_wallet_each(batch: Step) -> Step:
    """Have a request that comes twice in a batch ask the same wallet both times.

    Wallets of a batch have no order among themselves, so which of two would win is not told.
    """
    wallets: dict[str, str | None] = {}
    return [replace(act, wallet=wallets.setdefault(act.subject, act.wallet)) for act in batch]


async def shorten(story: list[Step], fails: Callable[[list[Step]], Awaitable[bool]]) -> list[Step]:
    """Leave out whatever the failure does not need: halves, quarters … single acts."""
    size = len(story) // 2
    while size:
        place = 0
        while place < len(story):
            shorter = story[:place] + story[place + size :]
            if await fails(shorter):
                story = shorter
            else:
                place += size
        size //= 2
    return await _shorten_batches(story, fails)


async def _shorten_batches(
    story: list[Step], fails: Callable[[list[Step]], Awaitable[bool]]
) -> list[Step]:
    for nth in range(len(story)):
        for place in reversed(range(len(story[nth]))):
            step = rejoined(story[nth][:place] + story[nth][place + 1 :])
            shorter = [*story[:nth], step, *story[nth + 1 :]]
            if step and await fails(shorter):
                story = shorter
    return story


def rejoined(step: Step) -> Step:
    return [replace(act, joined=place > 0) for place, act in enumerate(step)]


def show(story: list[Step]) -> str:
    return "\n".join(str(act) for step in story for act in step)
