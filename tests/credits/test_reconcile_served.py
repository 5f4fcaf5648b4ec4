"""Reconciling as it is served: by operators, every day, and to monitoring."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tollkeeper import credits, ledger  # noqa: A004 (the room's name)
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.credits.reconciling import store
from tollkeeper.credits.reconciling.comparing import reconcile
from tollkeeper.credits.reconciling.daily import (
    compare_as_usual,
    reconcile_all,
    reconciliation_chores,
    reconciliation_schedules,
    usual_window,
)
from tollkeeper.credits.reconciling.model import Reconciliation, Window
from tollkeeper.ledger import EntryKind, LotKind, NewLot, Posting
from tollkeeper.payments import Till
from whole import DOLLAR, Customer, Whole

PATH = "/reconciliations"


async def give_for_nothing(whole: Whole, customer: Customer) -> str:
    """An entry that says that something was bought. Returns its id as it is shown."""
    entry_id = uuid7()
    async with whole.database.transaction() as tx:
        wallets = await ledger.wallets_of(tx, customer.org_id)
        (wallet,) = [wallet for wallet in wallets if not wallet.livemode]
        posting = Posting(
            org_id=customer.org_id,
            wallet_id=wallet.wallet_id,
            entry_id=entry_id,
            kind=EntryKind.PURCHASE,
            amount=DOLLAR,
            lot=NewLot(kind=LotKind.PURCHASED),
        )
        await ledger.post(tx, posting, datetime.now(UTC))
    return show_id("ent", entry_id)


async def test_an_operator_runs_lists_and_reads_them(whole: Whole, customer: Customer) -> None:
    assert (await whole.operate("GET", PATH)).json["data"] == []
    clean = await whole.operate("POST", PATH, {"livemode": False})
    assert (clean.status, clean.json["clean"], clean.json["counts"]) == (201, True, {})
    entry = await give_for_nothing(whole, customer)
    now = datetime.now(UTC)
    wanted = {"livemode": False, "since": f"{now - timedelta(days=1)}".replace(" ", "T")}
    until = f"{now + timedelta(minutes=1)}".replace(" ", "T")
    found = (await whole.operate("POST", PATH, {**wanted, "until": until})).json
    assert (found["clean"], found["counts"]) == (False, {"credit_without_payment": 1})
    (difference,) = found["differences"]
    assert (difference["about"], difference["name"]) == ("entry", entry)
    assert difference["organizationId"] == customer.id
    assert "tollkeeper adjust" in difference["advice"]
    listed = (await whole.operate("GET", PATH)).json["data"]
    assert [one["id"] for one in listed] == [found["id"], clean.json["id"]]
    assert (await whole.operate("GET", f"{PATH}/{found['id']}")).json == found
    first = (await whole.operate("GET", f"{PATH}?limit=1")).json
    rest = await whole.operate("GET", f"{PATH}?limit=1&cursor={first['nextCursor']}")
    assert [one["id"] for one in rest.json["data"]] == [clean.json["id"]]


async def test_what_cannot_be_reconciled_is_said(whole: Whole, customer: Customer) -> None:
    live = await whole.operate("POST", PATH, {"livemode": True})
    assert (live.status, live.json["code"]) == (422, "payments_not_configured")
    long = {"livemode": False, "since": "2026-01-01T00:00:00Z", "until": "2026-03-01T00:00:00Z"}
    assert (await whole.operate("POST", PATH, long)).json["details"]["until"]["_errors"]
    assert (await whole.operate("GET", f"{PATH}/{show_id('rec', uuid7())}")).status == 404
    asked = await whole.ask("GET", f"/operator{PATH}", customer.keys["live ADMIN"])
    assert asked.status == 401


async def test_every_day_each_processor_is_reconciled_and_monitoring_hears(
    whole: Whole, customer: Customer
) -> None:
    till = whole.app.rooms.payments.till
    (schedule,) = reconciliation_schedules(till)
    assert await schedule.run() == 0
    await give_for_nothing(whole, customer)
    ahead = MovableClock(datetime.now(UTC) + timedelta(days=2))
    later = type(till)(
        database=till.database, processors=till.processors, clock=ahead, handlers=till.handlers
    )
    assert await reconcile_all(later) == 1
    (chore,) = reconciliation_chores(till, whole.app.rooms.metrics.note_reconciliation)
    await chore[2]()
    shown = (await whole.ask("GET", "//metrics")).text
    assert 'tollkeeper_reconciliation_differences{mode="test",processor="sandbox"} 1.0' in shown


async def test_a_window_of_ones_own_hides_nothing_of_the_days_outside_it(
    whole: Whole, customer: Customer
) -> None:
    """Neither the next night nor monitoring goes by it; one by hand over all that was missed
    counts as a night."""
    till = whole.app.rooms.payments.till
    assert await reconcile_all(till) == 0
    await give_for_nothing(whole, customer)

    def after(days: int) -> Till:
        clock = MovableClock(datetime.now(UTC) + timedelta(days=days))
        return replace(till, clock=clock)

    async with whole.database.connection() as connection:
        night = await store.last(connection, "sandbox", livemode=False)
    assert night is not None
    processor = till.processors.serving(livemode=False)
    assert not (await compare_as_usual(after(2), processor)).clean
    ahead = datetime.now(UTC) + timedelta(days=12)
    made = await reconcile(after(12), processor, Window(ahead - timedelta(days=1), ahead))
    assert made.clean
    (chore,) = reconciliation_chores(till, whole.app.rooms.metrics.note_reconciliation)
    await chore[2]()
    shown = (await whole.ask("GET", "//metrics")).text
    assert 'tollkeeper_reconciliation_differences{mode="test",processor="sandbox"} 1.0' in shown
    (told,) = await last_reconciliations(whole)
    assert not told.clean
    by_hand = await compare_as_usual(after(12), processor)
    assert by_hand.window.since < night.window.until + timedelta(days=2)
    (told,) = await last_reconciliations(whole)
    assert told.reconciliation_id == by_hand.reconciliation_id


async def last_reconciliations(whole: Whole) -> list[Reconciliation]:
    async with whole.database.connection() as connection:
        return await credits.last_reconciliations(connection)


async def test_an_operator_who_names_no_window_looks_at_all_that_was_missed(whole: Whole) -> None:
    till = whole.app.rooms.payments.till
    ago = MovableClock(datetime.now(UTC) - timedelta(days=10))
    assert await reconcile_all(replace(till, clock=ago)) == 0
    since = datetime.now(UTC) - timedelta(days=2)
    narrow = {"livemode": False, "since": since.isoformat()}
    assert (await whole.operate("POST", PATH, narrow)).json["clean"]
    made = (await whole.operate("POST", PATH, {"livemode": False})).json
    assert datetime.fromisoformat(made["since"]) < ago.now()


def test_days_are_looked_at_again_and_none_is_left_out() -> None:
    now = datetime(2026, 3, 10, 4, 17, tzinfo=UTC)
    hour, day = timedelta(hours=1), timedelta(days=1)
    assert usual_window(now, None) == Window(now - hour - 3 * day, now - hour)
    yesterday = _run(Window(now - 4 * day, now - day))
    assert usual_window(now, yesterday) == Window(now - hour - 3 * day, now - hour)
    long_ago = _run(Window(now - 30 * day, now - 20 * day))
    assert usual_window(now, long_ago) == Window(now - 21 * day, now - hour)
    never = _run(Window(now - 900 * day, now - 800 * day))
    assert usual_window(now, never).since == now - hour - 90 * day


def _run(window: Window) -> Reconciliation:
    return Reconciliation(
        reconciliation_id=uuid7(),
        processor="sandbox",
        livemode=False,
        window=window,
        began_at=window.until,
        ended_at=window.until,
        movements=0,
        counts={},
        days=[],
        differences=[],
        usual=True,
    )
