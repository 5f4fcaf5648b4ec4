"""Lots nano by nano: each nano of credit is a coin with a fate. Slow, and too simple to be wrong.

A history is a list of acts. `write` makes the ledger's entries of it, `Purse` plays it with coins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from tollkeeper.ledger import Account, Entry, EntryKind, Lot, LotKind

START = datetime(2026, 1, 1, tzinfo=UTC)
ORG, WALLET = UUID(int=1), UUID(int=2)


@dataclass(frozen=True)
class Act:
    """`days` pass, and then something of `amount` happens; `nth` names a lot among those there."""

    what: str
    amount: int
    days: int = 0
    nth: int = 0
    priority: int = 100
    lives: int | None = None


ACTS = st.one_of(
    st.builds(
        Act,
        what=st.sampled_from(["buy", "give"]),
        amount=st.integers(1, 9),
        days=st.integers(0, 20),
        priority=st.sampled_from([50, 100]),
        lives=st.none() | st.integers(1, 60),
    ),
    # A recurring grant: to the end of the month, before what was bought.
    st.builds(
        Act,
        what=st.just("epoch"),
        amount=st.integers(1, 9),
        days=st.integers(0, 40),
        priority=st.just(50),
    ),
    st.builds(Act, what=st.just("call"), amount=st.integers(1, 12), days=st.integers(0, 20)),
    st.builds(
        Act,
        what=st.sampled_from(["refund", "dispute", "won", "lower", "raise"]),
        amount=st.integers(1, 6),
        days=st.integers(0, 20),
        nth=st.integers(0, 5),
    ),
)
HISTORIES = st.lists(ACTS, max_size=25)


@dataclass
class Coin:
    lot: Lot
    fate: str = "left"  # spent, expired, taken


@dataclass
class Purse:
    """What became of each coin; `earned` is what calls took of bought, given and no credit."""

    coins: list[Coin] = field(default_factory=list[Coin])
    loose: int = 0
    debts: list[str] = field(default_factory=list[str])  # what each owed nano was for
    earned: dict[str, int] = field(default_factory=lambda: dict.fromkeys("bgn", 0))

    def count(self, lot: Lot, fate: str) -> int:
        return sum(coin.lot is lot and coin.fate == fate for coin in self.coins)

    def left(self) -> list[Coin]:
        return sorted((coin for coin in self.coins if coin.fate == "left"), key=order)

    def spend(self, cause: str) -> None:
        left = self.left()
        if self.loose:
            self.loose -= 1
        elif left:
            left[0].fate = "spent"
        else:
            self.debts.append(cause)

    def call(self) -> None:
        what = "n" if self.loose or not self.left() else kind(self.left()[0].lot)
        self.earned[what] += 1
        self.spend("call")

    def arrive(self, lot: Lot) -> None:
        for _ in range(lot.amount):
            coin = Coin(lot)
            self.coins.append(coin)
            if self.debts:
                coin.fate = "spent"
                self.pay(lot)

    def pay(self, lot: Lot | None) -> None:
        """Settle one owed nano, of calls first: what pays for a call has been earned."""
        if "call" not in self.debts:
            self.debts.pop()
            return
        self.debts.remove("call")
        if lot is not None:
            self.earned[kind(lot)] += 1
            self.earned["n"] -= 1

    def take(self, lot: Lot, fate: str) -> None:
        for coin in self.coins:
            if coin.lot is lot and coin.fate == "left":
                coin.fate = fate
                return
        self.spend("other")

    def give_back(self, amount: int, lot: Lot | None, at: datetime) -> None:
        if lot is not None and good(lot, at):
            taken = [coin for coin in self.coins if coin.lot is lot and coin.fate == "taken"]
            for coin in taken[:amount]:
                coin.fate = "left"
            amount -= len(taken[:amount])
            # The debt is paid by what is there now, in the one order.
            owed = len(self.debts)
            causes = sorted(self.debts)  # calls first
            self.debts = []
            for cause in causes:
                self.spend(cause)
            for cause in causes[: owed - len(self.debts)]:
                if cause == "call":
                    self.earned[kind(lot)] += 1
                    self.earned["n"] -= 1
            self.debts = causes[owed - len(self.debts) :]
        for _ in range(amount):
            spent = [coin for coin in self.coins if coin.fate == "spent" and good(coin.lot, at)]
            if self.debts:
                self.pay(lot)
            elif spent:
                max(spent, key=order).fate = "left"
            else:
                self.loose += 1


def kind(lot: Lot) -> str:
    return "b" if lot.kind is LotKind.PURCHASED else "g"


def good(lot: Lot, at: datetime) -> bool:
    return lot.expires_at is None or lot.expires_at > at


def order(coin: Coin) -> tuple[int, float, bool, int]:
    """Priority, then expiry, then promotional first, then age."""
    lot = coin.lot
    ends = float("inf") if lot.expires_at is None else lot.expires_at.timestamp()
    return (lot.priority, ends, lot.kind is LotKind.PURCHASED, lot.entry_seq)


@dataclass
class Writer:
    """Writes the entries of a history, and moves the coins of a purse with each."""

    now: datetime = START
    entries: list[Entry] = field(default_factory=list[Entry])
    lots: list[Lot] = field(default_factory=list[Lot])
    purse: Purse = field(default_factory=Purse)

    @property
    def posted(self) -> int:
        return self.entries[-1].balance_after if self.entries else 0

    def play(self, act: Act) -> None:
        self.now += timedelta(days=act.days, minutes=1)
        self.expire()
        lot = self.lots[act.nth % len(self.lots)] if self.lots and act.nth else None
        match act.what:
            case "buy" | "give" | "epoch":
                self.bring(act)
            case "call":
                self.enter(EntryKind.CONSUMPTION, Account.REVENUE, -act.amount)
                for _ in range(act.amount):
                    self.purse.call()
            case "refund":
                self.off(EntryKind.REFUND, Account.REFUNDS, act.amount, lot)
            case "dispute":
                self.off(EntryKind.DISPUTE, Account.DISPUTES, act.amount, lot)
            case "lower":
                self.off(EntryKind.ADJUSTMENT, Account.ADJUSTMENTS, act.amount, None)
            case "won":
                self.on(EntryKind.DISPUTE, Account.DISPUTES, act.amount, lot)
            case _:
                self.on(EntryKind.ADJUSTMENT, Account.ADJUSTMENTS, act.amount, None)

    def expire(self) -> None:
        for lot in list(self.lots):
            left = self.purse.count(lot, "left")
            if left and not good(lot, self.now):
                self.enter(EntryKind.EXPIRY, Account.BREAKAGE, -left, lot)
                for _ in range(left):
                    self.purse.take(lot, "expired")

    def bring(self, act: Act) -> None:
        bought = act.what == "buy"
        entry_kind, account = (
            (EntryKind.PURCHASE, Account.CASH) if bought else (EntryKind.GRANT, Account.PROMOTIONAL)
        )
        expires = None if act.lives is None else self.now + timedelta(days=act.lives)
        if act.what == "epoch":
            expires = (self.now.replace(day=28) + timedelta(days=4)).replace(
                day=1, hour=0, minute=0
            )
        seq = len(self.entries) + 1
        lot = Lot(
            lot_id=UUID(int=1000 + seq),
            entry_seq=seq,
            kind=LotKind.PURCHASED if bought else LotKind.PROMOTIONAL,
            amount=act.amount,
            priority=act.priority,
            arrived_at=self.now,
            expires_at=expires,
            label=None,
        )
        self.enter(entry_kind, account, act.amount, lot)
        self.lots.append(lot)
        self.purse.arrive(lot)

    def off(self, entry_kind: EntryKind, account: Account, amount: int, lot: Lot | None) -> None:
        self.enter(entry_kind, account, -amount, lot)
        for _ in range(amount):
            if lot is None:
                self.purse.spend("other")
            else:
                self.purse.take(lot, "taken")

    def on(self, entry_kind: EntryKind, account: Account, amount: int, lot: Lot | None) -> None:
        self.enter(entry_kind, account, amount, lot)
        self.purse.give_back(amount, lot, self.now)

    def enter(
        self, entry_kind: EntryKind, account: Account, amount: int, lot: Lot | None = None
    ) -> None:
        seq = len(self.entries) + 1
        entry = Entry(
            org_id=ORG,
            wallet_id=WALLET,
            seq=seq,
            entry_id=UUID(int=1000 + seq),
            kind=entry_kind,
            account=account,
            amount=amount,
            balance_after=self.posted + amount,
            posted_at=self.now,
            lot_id=None if lot is None else lot.lot_id,
            source=None,
            reverses_seq=None,
            actor=None,
            reason=None,
        )
        self.entries.append(entry)


def write(history: list[Act]) -> Writer:
    writer = Writer()
    for act in history:
        writer.play(act)
    return writer
