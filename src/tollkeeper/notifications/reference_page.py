"""The page docs/reference/webhooks.md, from the catalogue.

Write it anew with
`python -m tollkeeper.notifications.reference_page > docs/reference/webhooks.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec

from tollkeeper.notifications.delivery import PAUSES
from tollkeeper.notifications.events import CATALOGUE, Event, EventType
from tollkeeper.notifications.examples import EXAMPLES
from tollkeeper.notifications.model import Notice
from tollkeeper.notifications.outbox import webhook_body

_SOME: Final = UUID("0193f5e7-a400-7cc0-8e1b-746f6c6c6b65")
_NOON: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def reference_page() -> str:
    """Write the page that lists every event, from the events themselves."""
    pauses = ", ".join(_spoken(int(pause.total_seconds())) for pause in PAUSES)
    introduction = _INTRODUCTION.replace("{pauses}", pauses)
    return "\n".join([introduction, *_overview(), *_events()])


def _overview() -> Iterator[str]:
    yield "| Type | Severity | When |\n|---|---|---|"
    for type_ in EventType:
        event = CATALOGUE[type_]
        yield f"| [`{type_}`](#{type_}) | {event.severity} | {_meaning(event)} |"


def _events() -> Iterator[str]:
    for type_ in EventType:
        example = EXAMPLES[type_]
        yield f"\n## `{type_}`\n\n{_meaning(type(example))}\n"
        yield f"In words: “{example.sentence()}”\n"
        yield f"```json\n{_body(example)}\n```"


def _meaning(event: type[Event]) -> str:
    return " ".join((event.__doc__ or "").split())


def _body(event: Event) -> str:
    notice = Notice(org_id=_SOME, notice_id=_SOME, livemode=True, event=event, created_at=_NOON)
    return msgspec.json.format(webhook_body(notice), indent=2)


def _spoken(seconds: int) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


_INTRODUCTION: Final = """\
# Webhooks and notices

<!-- Written by `python -m tollkeeper.notifications.reference_page`; a test keeps it in step. -->

What customers are told of: listed at `GET /notifications`, mailed to members who want it
(`/notifications/preferences`), and sent to endpoints (`/webhooks`). How to receive them is in
[the guide](../how-to/receive-webhooks.md).

Messages follow [Standard Webhooks](https://www.standardwebhooks.com): headers `webhook-id`,
`webhook-timestamp` and `webhook-signature`, the body as below. The id is the same on every try and
in every redelivery. Any 2xx answer is a success; redirects are not followed; 410 switches the
endpoint off. After a failure the next tries follow, each after its pause:
{pauses}. An endpoint that answered
nothing well in all that time is switched off.
"""


if __name__ == "__main__":
    print(reference_page())  # noqa: T201 (this is the command that writes the page)
