"""Low and used up are said once per crossing: random walks against a model."""

from __future__ import annotations

import pytest
from house import DOLLAR, House
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper import ledger
from tollkeeper.base.ids import uuid7
from tollkeeper.notifications import Balance, Told, cross, note_balance


@pytest.mark.parametrize(
    ("walk", "said"),
    [
        # With a threshold of 5: low at 5, armed again at 6; used up at 0, armed again at 1.
        ([10, 6, 5], "..L"),
        ([10, 5, 4, 5.5, 5, 5.9, 4], ".L....."),
        ([10, 5, 6, 5], ".L.L"),
        ([10, 0, -1, 0.5, 0], ".D..."),
        ([10, 4, 0, 1, 0, 6, 0], ".LD.D.D"),
        ([10, 0, 3, 4], ".D.."),
        ([10, 0, 6, 4], ".D.L"),
    ],
)
def test_7_walks(walk: list[float], said: str) -> None:
    told, heard = Told(), ""
    for dollars in walk:
        before, told = told, cross(told, int(dollars * 10) * DOLLAR // 10, 5 * DOLLAR)
        heard += words(before, told)
    assert heard == said


def words(before: Told, after: Told) -> str:
    if after.depleted and not before.depleted:
        return "D"
    return "L" if after.low and not before.low else "."


@given(st.lists(st.integers(-3 * DOLLAR, 12 * DOLLAR), max_size=60), st.integers(0, 8 * DOLLAR))
def test_7_between_two_of_a_kind_the_balance_was_clearly_above(
    walk: list[int], threshold: int
) -> None:
    told, since_low, since_depleted = Told(), list[int](), list[int]()
    ever_low = ever_depleted = False
    margin = max(threshold // 5, DOLLAR // 10)
    for available in walk:
        before, told = told, cross(told, available, threshold)
        since_low.append(available)
        since_depleted.append(available)
        if told.low and not before.low:
            assert available <= threshold
            assert not ever_low or max(since_low) >= threshold + margin
            ever_low, since_low = True, []
        if told.depleted and not before.depleted:
            assert available <= 0
            assert not ever_depleted or max(since_depleted) >= margin
            ever_depleted, since_depleted = True, []
        assert told.low or available > threshold
        assert told.depleted or available > 0


async def test_7_the_state_is_kept_and_the_notice_commits_with_it(house: House) -> None:
    wallet_id = uuid7()
    async with house.database.transaction() as tx:
        await ledger.open_wallet(
            tx,
            org_id=house.org_id,
            wallet_id=wallet_id,
            livemode=True,
            currency="USD",
            now=house.clock.now(),
        )
    heard: list[str | None] = []
    for dollars in [10, 5, 4, 0, 0, 7, 5]:
        async with house.database.transaction() as tx:
            balance = Balance(
                org_id=house.org_id,
                wallet_id=wallet_id,
                livemode=True,
                currency="USD",
                available_nanos=dollars * DOLLAR,
                threshold_nanos=5 * DOLLAR,
            )
            event = await note_balance(tx, balance, house.clock.now())
            heard.append(event and event.type.value.removeprefix("credit_balance_"))
    assert heard == [None, "low", None, "depleted", None, None, "low"]
    assert len(await house.jobs()) == 3
