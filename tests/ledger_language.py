"""The language of the ledger's tests: one act a line, its outcome at the end.

    open     acme
    grant    acme 10.00 expires d30 as promo
    hold     r1 3.00                            placed
    settle   r1 2.10                            posted 7.90
    balance  acme 7.90 held 0

Acts that begin with `+` travel in the same batch as the one above. A request belongs to the wallet
that its line names, else to the one it was first used with, else to the one opened last. `acme` is
an organization's USD wallet, `acme.DIEM` its wallet in DIEM. Instants are days since the beginning
and more (`d30`, `d30+5s`), durations are `90s`, `10m`, `2h`, `3d`. `#` begins a remark, and ` / `
separates acts as a new line does.

This file reads and plays the language; it knows no ledger. An executor is one: the database, a
sheet of paper, the HTTP API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

from tollkeeper.base.money import format_nanos, parse_nanos

_AMOUNT = re.compile(r"-?\d+(\.\d+)?")
_DURATION = re.compile(r"(\d+)([smhd])")
_INSTANT = re.compile(r"d(\d+)(?:\+(\d+[smhd]))?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read_duration(text: str) -> int:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a duration such as 90s, 10m, 2h or 3d")
    return int(found[1]) * _SECONDS[found[2]]


def read_instant(text: str) -> int:
    """Seconds since the beginning."""
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not an instant such as d30 or d30+5s")
    return int(found[1]) * 86400 + (read_duration(found[2]) if found[2] else 0)


def show_instant(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    return f"d{days}+{rest}s" if rest else f"d{days}"


@dataclass(frozen=True)
class Form:
    """What follows a verb: places in order (`?` may be absent), then named options."""

    places: str = ""
    options: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)


_CREDIT = {
    "expires": read_instant,
    "priority": int,
    "kind": str,
    "source": str,
    "as": str,
}
_DEBIT = {"from": str, "source": str, "as": str}

FORMS = {
    "open": Form("wallet", {"overdraft": parse_nanos}),
    "purchase": Form("wallet amount", _CREDIT),
    "grant": Form("wallet amount", _CREDIT),
    "adjust": Form("wallet amount", {"source": str, "as": str}),
    "refund": Form("wallet amount", _DEBIT),
    "dispute": Form("wallet amount", _DEBIT),
    "reverse": Form("name", {"as": str}),
    "hold": Form("request wallet? amount", {"for": read_duration}),
    "settle": Form("request wallet? amount", {"print": int, "lines": int}),
    "charge": Form("request wallet? amount", {"print": int, "lines": int}),
    "void": Form("request wallet?"),
    "expire": Form("what"),
    "freeze": Form("wallet"),
    "unfreeze": Form("wallet"),
    "overdraft": Form("wallet amount"),
    "wait": Form("duration"),
    "clock": Form("instant"),
    "balance": Form(
        "wallet amount",
        {"held": parse_nanos, "available": parse_nanos, "overrun": parse_nanos},
    ),
    "lot": Form(
        "name amount", {"spent": parse_nanos, "expired": parse_nanos, "taken": parse_nanos}
    ),
    "record": Form("request wallet? amount", {"balance": parse_nanos, "held": parse_nanos}),
    "verify": Form(),
}
TOGETHER = ("hold", "settle", "charge", "void")


@dataclass(frozen=True)
class Act:
    """One line. `expected` are the words at its end; no words expect whatever success is."""

    verb: str
    subject: str = ""
    wallet: str | None = None
    amount: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    expected: tuple[str, ...] = ()
    joined: bool = False

    def __str__(self) -> str:
        words = [f"{'+ ' if self.joined else ''}{self.verb}"]
        for place in FORMS[self.verb].places.split():
            words += self._words_of(place)
        for name, value in self.options.items():
            words += [name, _show(FORMS[self.verb].options[name], value)]
        return "  ".join([" ".join(words), " ".join(self.expected)]).rstrip()

    def _words_of(self, place: str) -> list[str]:
        if place == "wallet?":
            return [self.wallet] if self.wallet else []
        if place == "amount":
            return [format_nanos(self.amount)]
        if place == "duration":
            return [f"{self.amount}s"]
        return [show_instant(self.amount) if place == "instant" else self.subject]


def _show(reader: Callable[[str], Any], value: Any) -> str:
    if reader is parse_nanos:
        return format_nanos(value)
    if reader is read_duration:
        return f"{value}s"
    return show_instant(value) if reader is read_instant else str(value)


def read(text: str) -> list[Act]:
    """Read a text. Raises ValueError that names the line which makes no sense."""
    lines = [part for line in text.splitlines() for part in re.split(r"\s/\s", _bare(line))]
    return [read_act(line) for line in lines if line.strip()]


def read_act(line: str) -> Act:
    words = line.split()
    joined = words[0] == "+"
    verb, *words = words[1:] if joined else words
    if verb not in FORMS:
        raise ValueError(f"{line.strip()!r}: there is no verb {verb!r}")
    try:
        return _read_words(verb, words, joined=joined)
    except (ValueError, IndexError) as error:
        raise ValueError(f"{line.strip()!r}: {error}") from error


def _read_words(verb: str, words: list[str], *, joined: bool) -> Act:
    form = FORMS[verb]
    subject, wallet, amount = "", None, 0
    for place in form.places.split():
        if place == "wallet?":
            if words and not _AMOUNT.fullmatch(words[0]) and _is_name(verb, words[0]):
                wallet = words.pop(0)
        elif place == "amount":
            amount = parse_nanos(words.pop(0))
        elif place == "duration":
            amount = read_duration(words.pop(0))
        elif place == "instant":
            amount = read_instant(words.pop(0))
        else:
            subject = words.pop(0)
    options: dict[str, Any] = {}
    while words and words[0] in form.options:
        name = words.pop(0)
        options[name] = form.options[name](words.pop(0))
    return Act(verb, subject, wallet, amount, options, tuple(words), joined)


def _is_name(verb: str, word: str) -> bool:
    # `void r1 voided`: without an amount to follow, an outcome could be taken for a wallet.
    return verb != "void" or word not in VOID_OUTCOMES


VOID_OUTCOMES = ("voided", "settled", "expired", "unknown")


def _bare(line: str) -> str:
    return line.partition("#")[0]


@dataclass(frozen=True)
class Posted:
    """A purchase, grant, adjustment, refund or dispute as an executor gets it."""

    verb: str
    wallet: str
    amount: int
    name: str  # of the entry, and of the lot that it brings
    from_lot: str | None = None
    source: str | None = None
    expires: int | None = None
    priority: int = 100
    kind: str | None = None


@dataclass(frozen=True)
class Called:
    """A hold, settlement, charge or void as an executor gets it."""

    request: str
    wallet: str
    amount: int = 0
    seconds: int = 600
    fingerprint: int | None = None
    lines: int = 1


class Executor(Protocol):
    """A ledger that acts. Outcomes are words, the first of which is the outcome's own name."""

    async def open(self, wallet: str, overdraft: int) -> None: ...
    async def post(self, posted: Posted) -> str: ...
    async def reverse(self, name: str, reversal: str) -> str: ...
    async def hold(self, calls: Sequence[Called]) -> list[str]: ...
    async def settle(self, calls: Sequence[Called]) -> list[str]: ...
    async def charge(self, calls: Sequence[Called]) -> list[str]: ...
    async def void(self, calls: Sequence[Called]) -> list[str]: ...
    async def expire_holds(self) -> None: ...
    async def expire_lots(self) -> None: ...
    async def freeze(self, wallet: str) -> None: ...
    async def unfreeze(self, wallet: str) -> None: ...
    async def set_overdraft(self, wallet: str, overdraft: int) -> None: ...
    async def set_clock(self, seconds: int) -> None: ...
    async def balance(self, wallet: str) -> Mapping[str, int]: ...
    async def lot(self, name: str) -> Mapping[str, int]: ...
    async def record(self, call: Called) -> Mapping[str, int]: ...
    async def verify(self) -> list[str]: ...


class Player:
    """Plays acts on an executor and returns their outcomes; keeps the clock and the names."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.seconds = 0
        self._wallet = ""
        self._nth = 0
        self._wallet_of: dict[str, str] = {}

    async def play(self, text: str) -> None:
        """Play a text. Raises AssertionError for the first line that ends otherwise."""
        for batch in batches(read(text)):
            for act, outcome in zip(batch, await self.act(batch), strict=True):
                check(act, outcome)

    async def act(self, batch: Sequence[Act]) -> list[str]:
        """Play the acts of one batch; more than one only of those that can travel together."""
        verb = batch[0].verb
        if verb in TOGETHER:
            return await getattr(self.executor, verb)([self._call(act) for act in batch])
        (act,) = batch
        return [await self._act_alone(act)]

    async def _act_alone(self, act: Act) -> str:
        if act.verb in ("purchase", "grant", "adjust", "refund", "dispute"):
            return await self.executor.post(_posted(act, self._new_name()))
        if act.verb in ("balance", "lot", "record"):
            return await self._look(act)
        if act.verb == "reverse":
            reversal = act.options.get("as", self._new_name())
            return await self.executor.reverse(act.subject, reversal)
        if act.verb == "verify":
            return "; ".join(await self.executor.verify()) or "clean"
        await self._change(act)
        return "done"

    async def _change(self, act: Act) -> None:
        executor = self.executor
        match act.verb:
            case "open":
                self._wallet = act.subject
                await executor.open(act.subject, act.options.get("overdraft", 0))
            case "expire":
                await (
                    executor.expire_holds() if act.subject == "holds" else executor.expire_lots()
                )
            case "freeze":
                await executor.freeze(act.subject)
            case "unfreeze":
                await executor.unfreeze(act.subject)
            case "overdraft":
                await executor.set_overdraft(act.subject, act.amount)
            case "wait" | "clock":
                self.seconds = act.amount + (self.seconds if act.verb == "wait" else 0)
                await executor.set_clock(self.seconds)
            case _:
                raise ValueError(f"Nobody plays {act.verb!r}")

    async def _look(self, act: Act) -> str:
        if act.verb == "balance":
            found = await self.executor.balance(act.subject)
        elif act.verb == "lot":
            found = await self.executor.lot(act.subject)
        else:
            found = await self.executor.record(self._call(act))
        wanted = {"amount": act.amount, **act.options}
        shown = {name: format_nanos(found[name]) for name in wanted}
        right = all(found[name] == value for name, value in wanted.items())
        return "right" if right else f"wrong: {shown}"

    def _new_name(self) -> str:
        self._nth += 1
        return f"unnamed{self._nth}"

    def _call(self, act: Act) -> Called:
        wallet = act.wallet or self._wallet_of.get(act.subject, self._wallet)
        self._wallet_of.setdefault(act.subject, wallet)
        return Called(
            act.subject,
            wallet,
            act.amount,
            act.options.get("for", 600),
            act.options.get("print"),
            act.options.get("lines", 1),
        )


SUCCESS = {
    "hold": "placed",
    "settle": "posted",
    "charge": "posted",
    "void": "voided",
    "reverse": "posted",
    "balance": "right",
    "lot": "right",
    "record": "right",
    "verify": "clean",
}


def check(act: Act, outcome: str) -> None:
    """Compare word by word, as many as are expected."""
    default = (
        "posted" if act.verb in ("purchase", "grant", "adjust", "refund", "dispute") else "done"
    )
    expected = act.expected or (SUCCESS.get(act.verb, default),)
    assert tuple(outcome.split()[: len(expected)]) == expected, f"{act}\n  but was: {outcome}"


def batches(acts: Iterable[Act]) -> Iterator[list[Act]]:
    """Group the acts that travel together."""
    nth = 0
    numbered: list[tuple[int, Act]] = []
    for act in acts:
        nth += not act.joined
        numbered.append((nth, act))
    for _, group in groupby(numbered, key=lambda pair: pair[0]):
        batch = [act for _, act in group]
        verbs = {act.verb for act in batch}
        if len(batch) > 1 and (len(verbs) > 1 or batch[0].verb not in TOGETHER):
            raise ValueError(f"{batch[-1]}: only {', '.join(TOGETHER)} travel together, each apart")
        yield batch


def _posted(act: Act, name: str) -> Posted:
    return Posted(
        verb=act.verb,
        wallet=act.subject,
        amount=act.amount,
        name=act.options.get("as", name),
        from_lot=act.options.get("from"),
        source=act.options.get("source"),
        expires=act.options.get("expires"),
        priority=act.options.get("priority", 100),
        kind=act.options.get("kind"),
    )
