"""A purse to spend from, for the tests of this room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from msgspec import Raw

from tollkeeper import ledger
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Database
from tollkeeper.ledger import EntryKind, LotKind, NewCharge, NewHold, NewLot, Posting
from tollkeeper.metering import Call, new_charge
from tollkeeper.pricing import PriceVersion, Rate, rate, seal

DOLLAR = 1_000_000_000
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Purse:
    """One organization's wallet, and what a test says about it."""

    org_id: UUID
    wallet_id: UUID
    clock: MovableClock

    def hold(self, amount: int, hold_id: UUID | None = None) -> NewHold:
        return NewHold(
            org_id=self.org_id,
            wallet_id=self.wallet_id,
            hold_id=hold_id or uuid7(),
            amount=amount,
            expires_at=self.clock.now() + timedelta(minutes=20),
        )

    def charge(self, amount: int, usage_id: UUID | None = None, **more: Any) -> NewCharge:
        given: dict[str, Any] = {
            "org_id": self.org_id,
            "wallet_id": self.wallet_id,
            "usage_id": usage_id or uuid7(),
            "amount": amount,
            "lines": 1,
            "started_at": self.clock.now(),
            "status": 200,
            "source": "reported",
            "detail": Raw(b"{}"),
            **more,
        }
        return NewCharge(**given)


async def open_purse(
    database: Database,
    clock: MovableClock,
    amount: int = 0,
    *,
    org_id: UUID | None = None,
    livemode: bool = False,
    currency: str = "USD",
) -> Purse:
    org_id = org_id or uuid7()
    async with database.transaction() as tx:
        wallet = await ledger.open_wallet(
            tx,
            org_id=org_id,
            wallet_id=uuid7(),
            livemode=livemode,
            currency=currency,
            now=clock.now(),
        )
        if amount:
            posting = Posting(
                org_id=org_id,
                wallet_id=wallet.wallet_id,
                entry_id=uuid7(),
                kind=EntryKind.GRANT,
                amount=amount,
                lot=NewLot(kind=LotKind.PROMOTIONAL),
            )
            await ledger.post(tx, posting, clock.now())
    return Purse(org_id, wallet.wallet_id, clock)


MTOK = 1_000_000
GPT = seal(
    PriceVersion(
        provider="openai",
        model="gpt-5",
        effective_from=datetime(2026, 1, 1, tzinfo=UTC),
        source="a test",
        rates={
            "input": Rate(1_250_000_000, MTOK),
            "cache_read": Rate(125_000_000, MTOK),
            "output": Rate(10 * DOLLAR, MTOK),
        },
    )
)
PAGES = seal(
    PriceVersion(
        provider="own",
        model="generate_sql",
        effective_from=datetime(2026, 1, 1, tzinfo=UTC),
        source="a test",
        rates={"request": Rate(20_000_000, 1), "second": Rate(1_000_000, 60)},
    )
)


def rated(purse: Purse, version: PriceVersion = GPT, **said: Any) -> NewCharge:
    """A call, rated: `usage`, and whatever else `Call` and `new_charge` take (its `usage`, which
    is what the provider said, as `usage_said`)."""
    usage = said.pop("usage", {"input": 1000, "output": 200})
    said["usage"] = said.pop("usage_said", None)
    known = {name: said.pop(name) for name in list(said) if name in Call.__struct_fields__}
    call = Call(
        org_id=purse.org_id,
        wallet_id=purse.wallet_id,
        usage_id=known.pop("usage_id", uuid7()),
        started_at=known.pop("started_at", purse.clock.now()),
        provider=version.provider,
        model=version.model,
        **known,
    )
    return new_charge(call, rate(version, usage), **said)


# Usage of either of the two above, as it comes; sometimes with what has no price.
gpt_usages = st.dictionaries(
    st.sampled_from(["input", "cache_read", "output", "image"]), st.integers(0, 10**6), max_size=4
)
page_usages = st.fixed_dictionaries(
    {"request": st.integers(0, 5), "second": st.decimals("0", "100", places=3)}
)
