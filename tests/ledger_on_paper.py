"""A ledger as one would keep it on a sheet of paper: simple, slow, and right by looking at it.

Everything happens one after the other, lots are drawn at the moment of spending, and what a balance
is, is added up again each time. The real ledger must agree with it in every word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ledger_language import Called, Posted
from tollkeeper.base.money import format_nanos

ACCOUNT = {
    "purchase": "cash",
    "grant": "promotional",
    "adjust": "adjustments",
    "refund": "refunds",
    "dispute": "disputes",
    "consumption": "revenue",
    "expiry": "breakage",
}
KIND = {"adjust": "adjustment"}
LOT_KIND = {"purchase": "purchased", "grant": "promotional"}
NEVER = 10**12


@dataclass
class Line:
    """An entry."""

    kind: str
    account: str
    amount: int
    balance: int
    at: int
    lot: str | None = None
    name: str | None = None
    source: str | None = None
    reverses: str | None = None


@dataclass
class Call:
    """A usage record."""

    request: str
    amount: int
    balance: int
    at: int
    held: int | None
    late: bool
    lines: int
    fingerprint: int | None


@dataclass
class Reserved:
    wallet: str
    amount: int
    expires: int
    state: str = "open"


@dataclass
class Credit:
    """A lot, with where each nano of it has gone."""

    name: str
    amount: int
    priority: int
    expires: int | None
    bought: bool
    nth: int
    left: int = 0
    spent: int = 0
    expired: int = 0
    taken: int = 0

    @property
    def order(self) -> tuple[int, int, bool, int]:
        expires = NEVER if self.expires is None else self.expires
        return (self.priority, expires, self.bought, self.nth)


@dataclass
class Sheet:
    """A wallet."""

    opened: int
    overdraft: int = 0
    frozen: bool = False
    lines: list[Line] = field(default_factory=list[Line])
    calls: list[Call] = field(default_factory=list[Call])
    credits: list[Credit] = field(default_factory=list[Credit])
    debt: int = 0
    next_expiry: int | None = None

    @property
    def posted(self) -> int:
        return sum(line.amount for line in self.lines)

    @property
    def newest(self) -> int:
        return max([self.opened, *(line.at for line in self.lines), *(c.at for c in self.calls)])

    def credit(self, name: str | None) -> Credit | None:
        return next((credit for credit in self.credits if credit.name == name), None)

    def write(self, kind: str, account: str, amount: int, now: int, **more: str | None) -> None:
        at, balance = max(self.newest, now), self.posted + amount
        self.lines.append(Line(kind, account, amount, balance, at, **more))

    def spend(self, amount: int) -> None:
        loose = min(max(-self.debt, 0), amount)
        self.debt += loose
        amount -= loose
        for credit in sorted(self.credits, key=lambda credit: credit.order):
            part = min(credit.left, amount)
            credit.left -= part
            credit.spent += part
            amount -= part
        self.debt += amount

    def take(self, credit: Credit, amount: int, *, expires: bool = False) -> None:
        part = min(credit.left, amount)
        credit.left -= part
        if expires:
            credit.expired += part
        else:
            credit.taken += part
        self.spend(amount - part)

    def arrive(self, credit: Credit) -> None:
        pays = min(max(self.debt, 0), credit.amount)
        self.debt -= pays
        credit.spent = pays
        credit.left = credit.amount - pays
        self.credits.append(credit)
        if credit.expires is not None:
            due = credit.expires
            self.next_expiry = due if self.next_expiry is None else min(self.next_expiry, due)

    def give_back(self, amount: int, lot: str | None, at: int) -> None:
        good = [c for c in self.credits if c.expires is None or c.expires > at]
        for credit in good:
            if credit.name == lot:
                part = min(credit.taken, amount)
                credit.taken -= part
                credit.left += part
                amount -= part
                owed = max(self.debt, 0)
                self.debt -= owed
                self.spend(owed)
        pays = min(max(self.debt, 0), amount)
        self.debt -= pays
        amount -= pays
        for credit in sorted(good, key=lambda credit: credit.order, reverse=True):
            part = min(credit.spent, amount)
            credit.spent -= part
            credit.left += part
            amount -= part
        self.debt -= amount


class Paper:
    """An executor of the ledger's language. `organization.CURRENCY` names a wallet."""

    def __init__(self) -> None:
        self.now = 0
        self.sheets: dict[str, Sheet] = {}
        self.reserved: dict[tuple[str, str], Reserved] = {}
        self.named: dict[str, tuple[str, Line]] = {}
        self.nth = 0

    async def open(self, wallet: str, overdraft: int) -> None:
        self.sheets.setdefault(wallet, Sheet(self.now, overdraft))

    async def post(self, posted: Posted) -> str:
        sheet = self.sheets[posted.wallet]
        amount = -posted.amount if posted.verb in ("refund", "dispute") else posted.amount
        kind = KIND.get(posted.verb, posted.verb)
        for wallet, other in self._same_organization(posted.wallet):
            for line in other.lines:
                if posted.source is not None and line.source == posted.source:
                    same = (wallet, line.kind, line.amount) == (posted.wallet, kind, amount)
                    return "same" if same else "source_reused"
        if posted.from_lot is not None and sheet.credit(posted.from_lot) is None:
            return "not_found"
        brings = posted.verb in LOT_KIND
        self.nth += 1
        name = posted.name
        lot = name if brings else posted.from_lot
        account = ACCOUNT[posted.verb]
        sheet.write(kind, account, amount, self.now, lot=lot, name=name, source=posted.source)
        self.named[name] = (posted.wallet, sheet.lines[-1])
        if brings:
            bought = (posted.kind or LOT_KIND[posted.verb]) == "purchased"
            sheet.arrive(Credit(name, amount, posted.priority, posted.expires, bought, self.nth))
        else:
            self._move_lots(sheet, sheet.lines[-1])
        return "posted"

    async def reverse(self, name: str, reversal: str) -> str:
        wallet, line = self.named[name]
        sheet = self.sheets[wallet]
        if any(other.reverses == name for other in sheet.lines):
            return "already_reversed"
        sheet.write(
            "adjustment",
            line.account,
            -line.amount,
            self.now,
            lot=line.lot,
            name=reversal,
            reverses=name,
        )
        self.named[reversal] = (wallet, sheet.lines[-1])
        self._move_lots(sheet, sheet.lines[-1])
        return "posted"

    async def hold(self, calls: Sequence[Called]) -> list[str]:
        return [self._hold(call) for call in calls]

    async def settle(self, calls: Sequence[Called]) -> list[str]:
        return [self._charge(call, must_fit=False) for call in calls]

    async def charge(self, calls: Sequence[Called]) -> list[str]:
        return [self._charge(call, must_fit=True) for call in calls]

    async def void(self, calls: Sequence[Called]) -> list[str]:
        return [self._void(call) for call in calls]

    async def expire_holds(self) -> None:
        for hold in self.reserved.values():
            if hold.state == "open" and hold.expires <= self.now:
                hold.state = "expired"

    async def expire_lots(self) -> None:
        for wallet, sheet in self.sheets.items():
            if sheet.next_expiry is not None and sheet.next_expiry <= self.now:
                self._expire_lots(wallet)

    async def freeze(self, wallet: str) -> None:
        self.sheets[wallet].frozen = True

    async def unfreeze(self, wallet: str) -> None:
        self.sheets[wallet].frozen = False

    async def set_overdraft(self, wallet: str, overdraft: int) -> None:
        self.sheets[wallet].overdraft = overdraft

    async def set_clock(self, seconds: int) -> None:
        self.now = seconds

    async def balance(self, wallet: str) -> Mapping[str, int]:
        posted, held = self.sheets[wallet].posted, self.held(wallet)
        return {
            "amount": posted,
            "held": held,
            "available": posted - held,
            "overrun": max(0, -self.spendable(wallet)),
        }

    async def lot(self, name: str) -> Mapping[str, int]:
        for sheet in self.sheets.values():
            credit = sheet.credit(name)
            if credit is not None:
                return {
                    "amount": credit.left,
                    "spent": credit.spent,
                    "expired": credit.expired,
                    "taken": credit.taken,
                }
        raise KeyError(name)

    async def record(self, call: Called) -> Mapping[str, int]:
        found = self._find_call(call)
        assert found is not None
        return {"amount": found.amount, "balance": found.balance, "held": found.held or 0}

    async def verify(self) -> list[str]:
        return []

    def held(self, wallet: str) -> int:
        return sum(
            hold.amount
            for hold in self.reserved.values()
            if hold.wallet == wallet and hold.state == "open"
        )

    def spendable(self, wallet: str) -> int:
        sheet = self.sheets[wallet]
        return sheet.posted - self.held(wallet) + sheet.overdraft

    def _hold(self, call: Called) -> str:
        if call.wallet not in self.sheets:
            return "wallet_unknown 0"
        spendable = format_nanos(self.spendable(call.wallet))
        if self._find_call(call):
            return f"already_charged {spendable}"
        hold = self.reserved.get(_named(call))
        if hold is not None and hold.state == "open":
            same = (hold.wallet, hold.amount) == (call.wallet, call.amount)
            return f"exists {spendable}" if same else f"exists_with_other_amount {spendable}"
        refused = self._refused(call)
        if refused:
            return refused
        spendable = format_nanos(self.spendable(call.wallet))
        # The same request again, after its hold has ended, begins anew.
        self.reserved.pop(_named(call), None)
        self.reserved[_named(call)] = Reserved(call.wallet, call.amount, self.now + call.seconds)
        return f"placed {spendable}"

    def _charge(self, call: Called, *, must_fit: bool) -> str:
        if call.wallet not in self.sheets:
            return "wallet_unknown 0"
        first = self._find_call(call)
        if first is not None:
            same = first.fingerprint == call.fingerprint
            outcome = "exists" if same else "exists_with_other_fingerprint"
            return f"{outcome} {format_nanos(first.amount)} {format_nanos(first.balance)}"
        refused = self._refused(call) if must_fit else None
        if refused:
            return refused
        sheet = self.sheets[call.wallet]
        held, late = (None, False) if must_fit else self._release(call)
        at = max(sheet.newest, self.now)
        if call.amount:
            sheet.write("consumption", "revenue", -call.amount, self.now)
            sheet.spend(call.amount)
        sheet.calls.append(
            Call(
                call.request,
                call.amount,
                sheet.posted,
                at,
                held,
                late,
                call.lines,
                call.fingerprint,
            )
        )
        outcome = "posted_late" if late else "posted"
        return f"{outcome} {format_nanos(call.amount)} {format_nanos(sheet.posted)}"

    def _refused(self, call: Called) -> str | None:
        sheet = self.sheets[call.wallet]
        if sheet.frozen:
            return f"frozen {format_nanos(self.spendable(call.wallet))}"
        if sheet.next_expiry is not None and sheet.next_expiry <= self.now:
            self._expire_lots(call.wallet)
        spendable = self.spendable(call.wallet)
        fits = call.amount <= max(spendable, 0)
        return None if fits else f"insufficient {format_nanos(spendable)}"

    def _release(self, call: Called) -> tuple[int | None, bool]:
        hold = self.reserved.get(_named(call))
        if hold is None or hold.wallet != call.wallet:
            return None, True
        del self.reserved[_named(call)]
        return hold.amount, hold.state != "open"

    def _void(self, call: Called) -> str:
        hold = self.reserved.get(_named(call))
        if hold is not None and (hold.wallet != call.wallet or call.wallet not in self.sheets):
            hold = None
        if hold is not None and hold.state == "open":
            hold.state = "voided"
        if self._find_call(call):
            return "settled"
        return hold.state if hold is not None else "unknown"

    def _expire_lots(self, wallet: str) -> None:
        sheet = self.sheets[wallet]
        free = max(sheet.posted - self.held(wallet), 0)
        due = [c for c in sheet.credits if c.expires is not None and c.expires <= self.now]
        for credit in sorted(due, key=lambda credit: credit.order):
            amount = min(credit.left, free)
            if amount:
                sheet.write("expiry", "breakage", -amount, self.now, lot=credit.name)
                sheet.take(credit, amount, expires=True)
                free -= amount
        upcoming = [
            c.expires for c in sheet.credits if c.expires is not None and c.expires > self.now
        ]
        if any(credit.left for credit in due):
            upcoming.append(self.now + 1)
        sheet.next_expiry = min(upcoming, default=None)

    def _move_lots(self, sheet: Sheet, line: Line) -> None:
        credit = sheet.credit(line.lot)
        if line.amount > 0:
            sheet.give_back(line.amount, line.lot, line.at)
        elif credit is not None:
            sheet.take(credit, -line.amount)
        else:
            sheet.spend(-line.amount)

    def _find_call(self, call: Called) -> Call | None:
        for _, sheet in self._same_organization(call.wallet):
            for found in sheet.calls:
                if found.request == call.request:
                    return found
        return None

    def _same_organization(self, wallet: str) -> list[tuple[str, Sheet]]:
        org = organization(wallet)
        return [(name, sheet) for name, sheet in self.sheets.items() if organization(name) == org]


def organization(wallet: str) -> str:
    return wallet.partition(".")[0]


def _named(call: Called) -> tuple[str, str]:
    return organization(call.wallet), call.request


def merged(lines: Sequence[Line]) -> list[Line]:
    """Consumption that nothing interrupts as one entry: how many there are is a batch's affair."""
    result: list[Line] = []
    for line in lines:
        before = result[-1] if result else None
        if before is not None and before.kind == line.kind == "consumption":
            amount = before.amount + line.amount
            result[-1] = replace(before, amount=amount, balance=line.balance, at=line.at)
        else:
            result.append(replace(line))
    return result
