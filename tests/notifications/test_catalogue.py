"""Every event is described, exemplified and read back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper.notifications import CATALOGUE, CreditAutoRechargeSuspended, EventType
from tollkeeper.notifications.events import decode_data, encode_data
from tollkeeper.notifications.examples import EXAMPLES
from tollkeeper.notifications.reference_page import reference_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "webhooks.md"


def test_every_type_has_its_event_and_example() -> None:
    assert set(CATALOGUE) == set(EXAMPLES) == set(EventType)
    assert all((event.__doc__ or "").strip() for event in CATALOGUE.values())


@pytest.mark.parametrize("type_", EventType)
def test_events_are_read_back(type_: EventType) -> None:
    event = EXAMPLES[type_]
    assert decode_data(type_, encode_data(event)) == event
    assert event.sentence()


def test_what_is_suspended_without_a_failure_says_only_why() -> None:
    told = CreditAutoRechargeSuspended(reason="disputed", message="it was disputed", failures=0)
    assert told.sentence() == "Auto top-up is suspended: it was disputed"


def test_the_reference_page_is_in_step() -> None:
    again = "run: python -m tollkeeper.notifications.reference_page > docs/reference/webhooks.md"
    assert PAGE.read_text("utf-8") == reference_page() + "\n", again
