"""The nightly proof: clean as it is, and one row broken by hand is an alarm that names it."""

from __future__ import annotations

from structlog.testing import capture_logs

from tollkeeper.db import Connection
from tollkeeper.operator import verification_schedules, verify_all
from whole import Customer, Whole


async def test_a_broken_row_is_named_in_the_log(
    whole: Whole, customer: Customer, owner: Connection
) -> None:
    key = customer.keys["test ADMIN"]
    assert (await whole.ask("POST", "/billing/purchases", key, {"amount": 25})).status == 201
    rooms = whole.app.rooms
    with capture_logs() as quiet:
        assert await verify_all(rooms.database, rooms.clock) == 0
    # The jobs of the purchase may still run, and say so.
    said = [line["event"] for line in quiet if line["event"].startswith("book")]
    assert said == ["books_are_clean"]
    await owner.execute("UPDATE entry SET balance_after = balance_after + 1 WHERE kind = 'grant'")
    (schedule,) = verification_schedules(rooms.database, rooms.clock)
    with capture_logs() as loud:
        await schedule.run()
    *named, total = [line for line in loud if line["log_level"] == "error"]
    assert named
    assert {line["event"] for line in named} == {"book_is_wrong"}
    assert (total["event"], total["findings"]) == ("books_are_wrong", len(named))
