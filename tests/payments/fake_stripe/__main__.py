"""`python -m fake_stripe [PORT] [WEBHOOK_URL]`, from tests/payments: a fake of its own.

Prints one JSON line with what to put into the settings, and runs until it is stopped.
"""

from __future__ import annotations

import asyncio
import json
import sys

from fake_stripe.server import SECRET_KEY, WEBHOOK_SECRET, FakeStripe, run_alone


async def _announce(fake: FakeStripe) -> None:
    fake.webhooks.url = sys.argv[2] if len(sys.argv) > 2 else None
    said = {
        "apiBase": fake.base,
        "secretKey": SECRET_KEY,
        "webhookSecret": WEBHOOK_SECRET,
        "webhookUrl": fake.webhooks.url,
    }
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(run_alone(int(sys.argv[1]) if len(sys.argv) > 1 else 0, _announce))
