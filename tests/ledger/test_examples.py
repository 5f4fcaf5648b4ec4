"""What the ledger does, told in the accountants' language, and played on it and on paper.

Each text names the rule that it shows. The paper ledger, which the histories in tests/properties
compare the real one with, is held to the same texts.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger_in_database import InDatabase
from ledger_language import Player, read
from ledger_on_paper import Paper
from tollkeeper.db import Connection

EXAMPLES = {
    "a call is held and settled at its exact cost": """
        open     acme
        grant    acme 10.00
        hold     r1 3.00                     placed
        balance  acme 10.00 held 3.00 available 7.00
        settle   r1 2.10                     posted 2.1 7.9
        balance  acme 7.90 held 0
        record   r1 2.10 balance 7.90 held 3.00
    """,
    "a call is charged at once": """
        open     acme
        purchase acme 10.00
        charge   r1 2.50                     posted 2.5 7.5
        balance  acme 7.50 held 0
    """,
    "what is not covered is refused, and the refusal says what there is": """
        open     acme
        grant    acme 5.00
        hold     r1 3.00                     placed
        hold     r2 3.00                     insufficient 2
        charge   r3 2.000000001              insufficient 2
        hold     r4 2.00                     placed
        charge   r5 0.000000001              insufficient 0
        balance  acme 5.00 held 5.00
    """,
    "without credit there are no calls": """
        open     acme
        hold     r1 0.01                     insufficient 0
        charge   r2 0.01                     insufficient 0
        hold     r3 0                        placed
        balance  acme 0 held 0
    """,
    "a settlement goes past its hold and below zero, and blocks what costs": """
        open     acme
        grant    acme 1.00
        hold     r1 1.00                     placed
        settle   r1 1.50                     posted 1.5 -0.5
        balance  acme -0.50 held 0 overrun 0.50
        hold     r2 0.01                     insufficient -0.5
        charge   r3 0.01                     insufficient -0.5
        hold     r2 0                        placed -0.5
        charge   r4 0                        posted 0 -0.5
        purchase acme 1.00
        balance  acme 0.50 held 0 overrun 0
        charge   r3 0.50                     posted 0.5 0
    """,
    "a settlement goes past its hold beside others that are running": """
        open     acme
        grant    acme 10.00
        hold     r1 4.00                     placed
        hold     r2 6.00                     placed
        settle   r1 5.00                     posted 5 5
        balance  acme 5.00 held 6.00 available -1.00 overrun 1.00
        hold     r3 0.01                     insufficient -1
        settle   r2 2.00                     posted 2 3
        balance  acme 3.00 held 0 overrun 0
    """,
    "a hold that is voided gives everything back": """
        open     acme
        grant    acme 5.00
        hold     r1 5.00                     placed
        void     r1                          voided
        void     r1                          voided
        balance  acme 5.00 held 0
        hold     r2 5.00                     placed
        void     r9                          unknown
    """,
    "what is settled cannot be voided": """
        open     acme
        grant    acme 5.00
        hold     r1 5.00                     placed
        settle   r1 1.00
        void     r1                          settled
        balance  acme 4.00 held 0
    """,
    "a voided request may try again": """
        open     acme
        grant    acme 5.00
        hold     r1 5.00                     placed
        void     r1                          voided
        hold     r1 4.00                     placed
        settle   r1 4.00                     posted
        hold     r1 4.00                     already_charged
        balance  acme 1.00 held 0
    """,
    "a hold ends with its time": """
        open     acme
        grant    acme 5.00
        hold     r1 5.00 for 10m             placed
        wait     9m
        expire   holds
        balance  acme 5.00 held 5.00
        wait     1m
        expire   holds
        balance  acme 5.00 held 0
        void     r1                          expired
    """,
    "an expired hold settles late": """
        open     acme
        grant    acme 5.00
        hold     r1 5.00 for 10m             placed
        wait     11m
        expire   holds
        charge   r2 4.00                     posted
        settle   r1 3.00                     posted_late 3 -2
        balance  acme -2.00 held 0 overrun 2.00
        void     r1                          settled
    """,
    "a voided hold settles late": """
        open     acme
        grant    acme 5.00
        hold     r1 5.00                     placed
        void     r1                          voided
        settle   r1 3.00                     posted_late 3 2
        settle   r9 1.00                     posted_late 1 1
        balance  acme 1.00 held 0
    """,
    "one request, one charge, for ever": """
        open     acme
        grant    acme 9.00
        charge   r1 2.00 print 7             posted 2 7
        charge   r1 2.00 print 7             exists 2 7
        charge   r1 2.00 print 8             exists_with_other_fingerprint 2 7
        settle   r1 5.00 print 7             exists 2 7
        hold     r1 2.00                     already_charged
        balance  acme 7.00 held 0
    """,
    "one request, one hold": """
        open     acme
        grant    acme 9.00
        hold     r1 2.00                     placed
        hold     r1 2.00                     exists
        hold     r1 3.00                     exists_with_other_amount
        balance  acme 9.00 held 2.00
    """,
    "the same request twice in one batch": """
        open     acme
        grant    acme 9.00
        charge   r1 2.00                     posted 2 7
        + charge r1 2.00                     exists 2 7
        + charge r1 2.00 print 1             exists_with_other_fingerprint
        + charge r2 7.00                     posted 7 0
        hold     r3 0                        placed
        + hold   r3 0                        exists
        balance  acme 0 held 0
    """,
    "a request belongs to its organization": """
        open     acme / grant acme 9.00
        open     acme.DIEM / grant acme.DIEM 9.00
        open     beta / grant beta 9.00
        charge   r1 acme 1.00                posted
        charge   r1 acme.DIEM 2.00           exists 1 8
        charge   r1 beta 2.00                posted 2 7
        hold     r2 acme 1.00                placed
        hold     r2 acme.DIEM 1.00           exists_with_other_amount
        hold     r2 beta 1.00                placed
        void     r2 acme.DIEM                unknown
        balance  acme 8.00 held 1.00
        balance  acme.DIEM 9.00 held 0
    """,
    "items of a batch are decided in their order": """
        open     acme
        grant    acme 10.00
        hold     r1 6.00                     placed
        + hold   r2 6.00                     insufficient
        + hold   r3 4.00                     placed
        + hold   r4 0.01                     insufficient
        void     r1
        charge   r5 7.00                     insufficient
        + charge r6 5.00                     posted 5 5
        + charge r7 2.00                     insufficient
        + charge r8 1.00                     posted 1 4
        balance  acme 4.00 held 4.00
    """,
    "one batch, many wallets": """
        open     acme / grant acme 1.00
        open     beta / grant beta 1.00
        charge   r1 beta 1.00                posted
        + charge r2 acme 1.00                posted
        + charge r3 acme 1.00                insufficient
        + charge r4 nobody 1.00              wallet_unknown
        + charge r5 beta 0                   posted
        balance  acme 0 / balance beta 0
        hold     r6 nobody 1.00              wallet_unknown
        void     r7 nobody                   unknown
    """,
    "a call that costs nothing is recorded without an entry": """
        open     acme
        grant    acme 1.00
        charge   r1 0                        posted 0 1
        charge   r2 0.50                     posted
        + charge r3 0                        posted 0 0.5
        + charge r4 0.50                     posted 0.5 0
        charge   r5 0                        posted 0 0
        charge   r5 0                        exists 0 0
        balance  acme 0
    """,
    "a frozen wallet refuses what is new and settles what is running": """
        open     acme
        grant    acme 9.00
        hold     r1 2.00                     placed
        freeze   acme
        hold     r2 1.00                     frozen
        charge   r3 1.00                     frozen
        hold     r1 2.00                     exists
        settle   r1 1.00                     posted 1 8
        purchase acme 1.00
        unfreeze acme
        charge   r3 1.00                     posted 1 8
    """,
    "an overdraft lets spending go that far": """
        open     acme overdraft 2.00
        charge   r1 1.50                     posted 1.5 -1.5
        hold     r2 0.50                     placed
        hold     r3 0.01                     insufficient 0
        balance  acme -1.50 held 0.50 overrun 0
        overdraft acme 1.00
        balance  acme -1.50 held 0.50 overrun 1.00
        settle   r2 0.50                     posted
        balance  acme -2.00 held 0 overrun 1.00
        overdraft acme 3.00
        balance  acme -2.00 held 0 overrun 0
        hold     r4 1.00                     placed
    """,
    "an order of drawing: priority, expiry, promotional first, age": """
        open     acme
        purchase acme 1.00 as bought
        purchase acme 1.00 expires d30 as bought-soon
        grant    acme 1.00 as gift
        grant    acme 1.00 expires d60 as gift-late
        grant    acme 1.00 expires d30 as gift-soon
        grant    acme 1.00 expires d90 priority 1 as urgent
        grant    acme 1.00 priority 200 as last
        charge   r1 0.50 / lot urgent 0.50 spent 0.50
        charge   r2 1.00 / lot urgent 0 / lot gift-soon 0.50
        charge   r3 1.00 / lot gift-soon 0 / lot bought-soon 0.50
        charge   r4 1.00 / lot bought-soon 0 / lot gift-late 0.50
        charge   r5 1.00 / lot gift-late 0 / lot gift 0.50
        charge   r6 1.00 / lot gift 0 / lot bought 0.50
        charge   r7 1.00 / lot bought 0 / lot last 0.50
    """,
    "credit expires before the next call can spend it": """
        open     acme
        grant    acme 5.00 expires d30 as gift
        purchase acme 3.00 as bought
        charge   r1 1.00                     posted 1 7
        clock    d30
        charge   r2 4.00                     insufficient 3
        balance  acme 3.00
        lot      gift 0 spent 1.00 expired 4.00
        charge   r3 3.00                     posted 3 0
    """,
    "credit expires by itself": """
        open     acme
        grant    acme 5.00 expires d30
        grant    acme 5.00 expires d31
        clock    d30
        expire   lots
        balance  acme 5.00
        clock    d31
        expire   lots
        expire   lots
        balance  acme 0
    """,
    "expired credit that a running call holds stays until it ends": """
        open     acme
        grant    acme 5.00 expires d30 as gift
        clock    d29
        hold     r1 4.00 for 2d              placed
        clock    d30
        expire   lots
        balance  acme 4.00 held 4.00
        hold     r2 0.01                     insufficient 0
        settle   r1 1.00                     posted 1 3
        wait     1s
        hold     r3 0.01                     insufficient 0
        lot      gift 0 spent 1.00 expired 4.00
        balance  acme 0 held 0
    """,
    "a settlement after the day still draws from the lot that was held": """
        open     acme
        grant    acme 5.00 expires d30 as gift
        purchase acme 5.00 as bought
        clock    d29
        hold     r1 8.00 for 2d              placed
        clock    d30
        expire   lots
        lot      gift 3.00 expired 2.00
        settle   r1 4.00                     posted 4 4
        lot      gift 0 spent 3.00 expired 2.00
        lot      bought 4.00 spent 1.00
    """,
    "what was overspent is paid by the next credit, whatever its kind": """
        open     acme
        settle   r1 2.00                     posted_late 2 -2
        grant    acme 5.00 expires d30 as gift
        lot      gift 3.00 spent 2.00
        clock    d30
        expire   lots
        balance  acme 0
        lot      gift 0 spent 2.00 expired 3.00
    """,
    "a reversal undoes an entry once": """
        open     acme
        grant    acme 5.00 as gift
        reverse  gift as undo                posted
        balance  acme 0
        lot      gift 0 taken 5.00
        reverse  gift                        already_reversed
        reverse  undo                        posted
        lot      gift 5.00 taken 0
        balance  acme 5.00
    """,
    "a reversal of spent credit takes what is left, and the rest from other lots": """
        open     acme
        grant    acme 5.00 as gift
        purchase acme 4.00 as bought
        charge   r1 3.00
        reverse  gift                        posted
        balance  acme 1.00
        lot      gift 0 spent 3.00 taken 2.00
        lot      bought 1.00 spent 3.00
    """,
    "a refund is taken from its lot": """
        open     acme
        purchase acme 5.00 as first
        purchase acme 5.00 as second
        refund   acme 2.00 from second as back
        lot      second 3.00 taken 2.00
        lot      first 5.00
        reverse  back                        posted
        lot      second 5.00 taken 0
        refund   acme 1.00 from nothing      not_found
        refund   acme 12.00                  posted
        balance  acme -2.00 overrun 2.00
    """,
    "credit given back returns in the reverse of the drawing order": """
        open     acme
        grant    acme 2.00 as gift
        purchase acme 5.00 as bought
        charge   r1 4.00
        lot      gift 0 / lot bought 3.00
        adjust   acme 3.00
        lot      gift 1.00 / lot bought 5.00
        adjust   acme 2.00
        lot      gift 2.00 / lot bought 5.00
        balance  acme 8.00
        charge   r2 1.00
        lot      gift 2.00 / lot bought 5.00
    """,
    "credit given back does not return to a lot that has expired": """
        open     acme
        grant    acme 2.00 expires d30 as gift
        charge   r1 2.00
        clock    d31
        adjust   acme 2.00
        lot      gift 0 spent 2.00
        clock    d40
        expire   lots
        balance  acme 2.00
        charge   r2 2.00                     posted 2 0
    """,
    "one payment, one credit, for ever": """
        open     acme / open acme.DIEM
        purchase acme 5.00 source pay1       posted
        purchase acme 5.00 source pay1       same
        purchase acme 6.00 source pay1       source_reused
        grant    acme 5.00 source pay1       source_reused
        purchase acme.DIEM 5.00 source pay1  source_reused
        dispute  acme 5.00 source dis1       posted
        dispute  acme 5.00 source dis1       same
        balance  acme 0 / balance acme.DIEM 0
    """,
    "time does not run backwards in the books": """
        open     acme
        clock    d10
        grant    acme 5.00 expires d12
        charge   r1 1.00
        clock    d5
        charge   r2 1.00
        hold     r3 1.00 for 1d
        clock    d6
        expire   holds
        balance  acme 3.00 held 0
        clock    d12
        charge   r4 1.00                     insufficient 0
    """,
}


EXPLAINED = Path(__file__).parents[2] / "docs" / "explain" / "ledger.md"
BOXES = re.findall(r"^```\n(.*?)^```$", EXPLAINED.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_example(connection: Connection, name: str) -> None:
    await play(connection, EXAMPLES[name])


@pytest.mark.parametrize("nth", range(len(BOXES)))
async def test_box_of_the_explanation(connection: Connection, nth: int) -> None:
    await play(connection, BOXES[nth])


def test_a_line_that_makes_no_sense_is_named() -> None:
    for line in ("pay acme 5", "grant acme five", "hold r1", "wait 5 minutes", "void"):
        with pytest.raises(ValueError, match=line):
            read(f"open acme / {line}")


async def test_a_line_that_ends_otherwise_is_named() -> None:
    with pytest.raises(AssertionError, match=r"charge r1 1  posted\n  but was: insufficient 0"):
        await Player(Paper()).play("open acme / charge r1 1 posted")


async def play(connection: Connection, text: str) -> None:
    real, paper = InDatabase(connection), Paper()
    await Player(paper).play(text)
    await Player(real).play(text + "\nverify")
    await real.agrees_with(paper)
