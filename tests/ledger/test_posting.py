"""Credit that comes and goes by entries, what is refused, and what can be read back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from msgspec import Raw

from ledger_purse import NOW, Purse, findings, open_purse
from tollkeeper import ledger
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.ledger import Account, EntryKind, LotKind, NewLot, SourceReused

HOUR = timedelta(hours=1)


@pytest.fixture
async def purse(connection: Connection) -> Purse:
    return await open_purse(connection)


async def post(connection: Connection, purse: Purse, amount: int, **more: Any) -> ledger.Entry:
    async with connection.transaction():
        return await ledger.post(connection, purse.posting(amount, **more), NOW)


async def test_an_entry_is_given_back_as_it_is_kept(connection: Connection, purse: Purse) -> None:
    lot = NewLot(kind=LotKind.ALLOWANCE, priority=7, expires_at=NOW + HOUR, label="July")
    posting = purse.posting(
        5, EntryKind.GRANT, lot=lot, source="plan/7", actor="ada", reason="the July allowance"
    )
    async with connection.transaction():
        entry = await ledger.post(connection, posting, NOW)
    assert entry.account is Account.PROMOTIONAL
    assert (entry.seq, entry.balance_after, entry.posted_at) == (1, 5, NOW)
    assert await ledger.find_entry(connection, *purse.address, 1) == entry
    assert await ledger.entry_by_source(connection, purse.org_id, "plan/7") == entry
    (kept,) = await ledger.lots(connection, *purse.address)
    assert (kept.lot_id, kept.entry_seq, kept.amount) == (entry.entry_id, 1, 5)
    assert (kept.kind, kept.priority, kept.expires_at, kept.label) == (
        lot.kind,
        lot.priority,
        lot.expires_at,
        lot.label,
    )


async def test_the_same_cause_gives_the_first_entry_back(
    connection: Connection, purse: Purse
) -> None:
    first = await post(connection, purse, 5, source="pay1")
    again = await post(connection, purse, 5, source="pay1")
    assert again == first
    with pytest.raises(SourceReused):
        await post(connection, purse, 6, source="pay1")
    with pytest.raises(SourceReused):
        await post(connection, purse, 5, source="pay1", kind=EntryKind.AUTO_TOP_UP)
    beside = await open_purse(connection, org_id=purse.org_id, currency="DIEM")
    with pytest.raises(SourceReused):
        await post(connection, beside, 5, source="pay1")
    elsewhere = await open_purse(connection)
    assert (await post(connection, elsewhere, 5, source="pay1")).seq == 1
    assert await purse.balance(connection) == (5, 0)


@pytest.mark.parametrize("kind", [kind for kind in EntryKind if kind is not EntryKind.CONSUMPTION])
async def test_each_kind_has_its_counter_account(
    connection: Connection, owner: Connection, purse: Purse, kind: EntryKind
) -> None:
    entry = await post(connection, purse, -7, kind=kind, lot=None)
    cursor = await owner.execute(f"SELECT posted, {entry.account} FROM wallet".encode())
    assert await cursor.fetchall() == [(-7, 7)]
    # Nothing expires but a lot, and here there is none.
    unfounded = [said.partition(":")[0] for said in await findings(connection)]
    assert unfounded == (["L11"] if kind is EntryKind.EXPIRY else [])


async def test_consumption_is_not_posted(connection: Connection, purse: Purse) -> None:
    with pytest.raises(ValueError, match="Consumption is charged"):
        await post(connection, purse, -5, kind=EntryKind.CONSUMPTION)


async def test_a_transaction_that_fails_posts_nothing(connection: Connection, purse: Purse) -> None:
    with pytest.raises(ZeroDivisionError):
        async with connection.transaction():
            await ledger.post(connection, purse.posting(5), NOW)
            raise ZeroDivisionError
    assert await purse.balance(connection) == (0, 0)
    assert await ledger.lots(connection, *purse.address) == []
    assert (await post(connection, purse, 5)).seq == 1


async def test_a_caller_may_go_on_after_a_second_reversal(
    connection: Connection, purse: Purse
) -> None:
    entry = await post(connection, purse, 5)
    async with connection.transaction():
        for _ in range(2):
            try:
                await ledger.reverse(
                    connection, entry, entry_id=uuid7(), actor="ada", reason="oops", now=NOW
                )
            except ledger.AlreadyReversed:
                await ledger.post(connection, purse.posting(3), NOW)
    assert await purse.balance(connection) == (3, 0)
    assert await findings(connection) == []


async def test_consumption_is_reversed_with_its_own_account(
    connection: Connection, purse: Purse
) -> None:
    await post(connection, purse, 10)
    await ledger.charge(connection, [purse.charge(4)], NOW)
    consumption = await ledger.find_entry(connection, *purse.address, 2)
    async with connection.transaction():
        reversal = await ledger.reverse(
            connection, consumption, entry_id=uuid7(), actor="ada", reason="free", now=NOW
        )
    assert (reversal.kind, reversal.account) == (EntryKind.ADJUSTMENT, Account.REVENUE)
    wallet = await purse.look(connection)
    assert (wallet.posted, wallet.spent, wallet.added) == (10, 0, 10)
    assert await findings(connection) == []


async def test_what_is_not_there_is_not_found(connection: Connection, purse: Purse) -> None:
    nobody = Purse(purse.org_id, uuid7())
    for wish in (
        ledger.find_wallet(connection, *nobody.address),
        ledger.find_entry(connection, *purse.address, 1),
        ledger.freeze(connection, *nobody.address, "disputed"),
        ledger.unfreeze(connection, *nobody.address),
        ledger.set_overdraft(connection, *nobody.address, 5),
        ledger.expire_lots(connection, *nobody.address, NOW),
        post(connection, nobody, 5),
        post(connection, purse, -5, kind=EntryKind.REFUND, lot_id=uuid7()),
    ):
        with pytest.raises(NotFound):
            await wish
    assert await ledger.find_hold(connection, purse.org_id, uuid7()) is None
    assert await ledger.entry_by_source(connection, purse.org_id, "pay1") is None


async def test_a_lot_belongs_to_its_wallet(connection: Connection, purse: Purse) -> None:
    lot_id = (await post(connection, purse, 5)).entry_id
    beside = await open_purse(connection, 5, org_id=purse.org_id, currency="DIEM")
    with pytest.raises(NotFound, match="no such lot"):
        await post(connection, beside, -5, kind=EntryKind.REFUND, lot_id=lot_id)


async def test_one_wallet_per_currency(connection: Connection, purse: Purse) -> None:
    again = await open_purse(connection, org_id=purse.org_id)
    found = await ledger.wallets_of(connection, purse.org_id)
    assert [wallet.wallet_id for wallet in found] == [purse.wallet_id]
    assert again.wallet_id != purse.wallet_id


async def test_pages_of_entries(connection: Connection, purse: Purse) -> None:
    for nth in range(1, 8):
        await post(connection, purse, nth, kind=EntryKind.GRANT if nth % 2 else EntryKind.PURCHASE)

    async def seqs(limit: int = 3, **bounds: Any) -> list[int]:
        found = await ledger.entries(connection, *purse.address, limit=limit, **bounds)
        return [entry.seq for entry in found]

    assert await seqs() == [7, 6, 5]
    assert await seqs(below=5) == [4, 3, 2]
    assert await seqs(below=2) == [1]
    assert await seqs(descending=False) == [1, 2, 3]
    assert await seqs(descending=False, above=3) == [4, 5, 6]
    assert await seqs(above=2, below=5) == [4, 3]
    assert await seqs(kinds=[EntryKind.PURCHASE]) == [6, 4, 2]
    assert await seqs(kinds=[EntryKind.PURCHASE], below=4, limit=1) == [2]


async def test_a_hold_is_found_with_its_context(connection: Connection, purse: Purse) -> None:
    await post(connection, purse, 5)
    hold = purse.hold(2, context=Raw(b'{"prices": "p1"}'), key_id=uuid7(), project_id=uuid7())
    await ledger.hold(connection, [hold], NOW)
    found = await ledger.find_hold(connection, purse.org_id, hold.hold_id)
    assert found is not None
    assert (found.state, found.amount, found.placed_at) == ("open", 2, NOW)
    assert (found.key_id, found.project_id) == (hold.key_id, hold.project_id)
    assert found.context is not None
    assert bytes(found.context) == b'{"prices": "p1"}'


async def test_ended_holds_are_forgotten_in_time(connection: Connection, purse: Purse) -> None:
    await post(connection, purse, 5)
    voided, expired, running = (
        purse.hold(1),
        purse.hold(1),
        purse.hold(1, expires_at=NOW + 9 * HOUR),
    )
    await ledger.hold(connection, [voided, expired, running], NOW)
    await ledger.void(connection, [purse.void(voided)], NOW)
    assert await ledger.expire_holds(connection, NOW + HOUR) == 1
    assert await ledger.forget_ended_holds(connection, NOW) == 0
    assert await ledger.forget_ended_holds(connection, NOW + HOUR) == 1
    assert await ledger.forget_ended_holds(connection, NOW + 2 * HOUR) == 1
    assert await ledger.find_hold(connection, purse.org_id, running.hold_id) is not None
    (late,) = await ledger.settle(connection, [purse.settlement(expired, 1)], NOW + 3 * HOUR)
    assert late.outcome is ledger.ChargeOutcome.POSTED_LATE
    assert await findings(connection, NOW + 3 * HOUR) == []


async def test_due_holds_are_ended_some_at_a_time(connection: Connection) -> None:
    purse = await open_purse(connection, 100)
    await ledger.hold(connection, [purse.hold(1, expires_at=NOW) for _ in range(25)], NOW)
    counts = [await ledger.expire_holds(connection, NOW, limit=10) for _ in range(4)]
    assert counts == [10, 10, 5, 0]
    assert await purse.balance(connection) == (100, 0)


async def test_due_lots_expire_some_wallets_at_a_time(connection: Connection) -> None:
    purses = [await open_purse(connection, 5, expires_at=NOW + HOUR) for _ in range(5)]
    counts = [await ledger.expire_due_lots(connection, NOW + HOUR, limit=2) for _ in range(4)]
    assert counts == [2, 2, 1, 0]
    assert {await purse.balance(connection) for purse in purses} == {(0, 0)}
    assert {(await purse.look(connection)).next_expiry_at for purse in purses} == {None}


async def test_expired_credit_under_a_hold_is_looked_at_again(connection: Connection) -> None:
    purse = await open_purse(connection, 5, expires_at=NOW + HOUR)
    hold = purse.hold(3)
    await ledger.hold(connection, [hold], NOW)
    assert await ledger.expire_lots(connection, *purse.address, NOW + HOUR) == 2
    again = NOW + HOUR + timedelta(seconds=1)
    assert (await purse.look(connection)).next_expiry_at == again
    await ledger.void(connection, [purse.void(hold)], NOW + HOUR)
    assert await ledger.expire_due_lots(connection, again) == 1
    assert await purse.balance(connection) == (0, 0)


REFUSED: dict[str, LiteralString] = {
    "UPDATE of an entry": "UPDATE entry SET amount = 1",
    "DELETE of an entry": "DELETE FROM entry",
    "TRUNCATE of entries": "TRUNCATE entry",
    "UPDATE of a lot": "UPDATE lot SET amount = 1",
    "DELETE of a lot": "DELETE FROM lot",
    "UPDATE of a record": "UPDATE usage_record SET amount = 1",
    "DELETE of a record": "DELETE FROM usage_record",
    "DELETE of a wallet": "DELETE FROM wallet",
    "a trigger on entries": "ALTER TABLE entry DISABLE TRIGGER ALL",
    "becoming the owner": "SET ROLE pg_read_all_data",
}


@pytest.mark.parametrize("wish", REFUSED)
async def test_the_application_may_not(connection: Connection, wish: str) -> None:
    """L1."""
    if wish == "becoming the owner":
        # The login may be anybody; the role it takes on owns nothing and inherits nothing.
        cursor = await connection.execute(
            "SELECT rolsuper, rolcanlogin, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        )
        assert await cursor.fetchall() == [(False, False, False)]
        return
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await connection.execute(REFUSED[wish])


BROKEN: dict[str, tuple[LiteralString, str]] = {
    "spending past the stop": ("UPDATE wallet SET held = posted + 1", "wallet_hard_stop"),
    "one side of an entry": ("UPDATE wallet SET posted = posted + 1", "wallet_books_balance"),
    "a negative reservation": ("UPDATE wallet SET held = -1", "wallet_held_not_negative"),
    "a negative overdraft": ("UPDATE wallet SET overdraft = -1", "wallet_limits_not_negative"),
    "an entry of nothing": (
        """
        INSERT INTO entry (org_id, wallet_id, seq, entry_id, kind, account, amount, balance_after,
                           posted_at)
        SELECT org_id, wallet_id, 2, wallet_id, 'grant', 'cash', 0, posted, newest_at FROM wallet
        """,
        "entry_amount_not_zero",
    ),
    "an entry of no kind": (
        """
        INSERT INTO entry (org_id, wallet_id, seq, entry_id, kind, account, amount, balance_after,
                           posted_at)
        SELECT org_id, wallet_id, 2, wallet_id, 'gift', 'cash', 1, posted, newest_at FROM wallet
        """,
        "entry_kind_known",
    ),
}


@pytest.mark.parametrize("wish", BROKEN)
async def test_the_database_refuses_by_itself(
    connection: Connection, purse: Purse, wish: str
) -> None:
    """L3, L11: not only our code holds them."""
    await post(connection, purse, 5)
    statement, constraint = BROKEN[wish]
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        await connection.execute(statement)
    assert refused.value.diag.constraint_name == constraint
