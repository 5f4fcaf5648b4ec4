"""A stateful Stripe for tests: the real SDK talks to it over real HTTP.

`async with served() as fake:` gives one on a free loopback port; `python -m fake_stripe` runs one
alone. It remembers, charges at most what it says it charged, honours idempotency keys, signs and
repeats webhooks, and fails when told to. README.md says what it does and what it does not.
"""

from fake_stripe.faults import How
from fake_stripe.server import FakeStripe, served

__all__ = ["FakeStripe", "How", "served"]
