"""What the operator adds to a provider's price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

PPM: Final = 1_000_000
# The provider of an operator's own SKUs.
OWN: Final = "own"


class Markup(NamedTuple):
    """`ppm` parts per million on every price (200_000 is 20 %, negative is a discount), and
    `fixed_nanos` on every request."""

    ppm: int = 0
    fixed_nanos: int = 0


NO_MARKUP: Final = Markup()


@dataclass(frozen=True, slots=True, kw_only=True)
class Markups:
    """Every mark-up in force at one moment; `models` is keyed by provider and model."""

    default: Markup = NO_MARKUP
    plans: Mapping[str, Markup] = field(default_factory=dict[str, Markup])
    providers: Mapping[str, Markup] = field(default_factory=dict[str, Markup])
    models: Mapping[tuple[str, str], Markup] = field(
        default_factory=dict[tuple[str, str], Markup],
    )

    def find(self, provider: str, model: str, plan: str | None = None) -> Markup:
        """Model before provider before plan before default.

        An operator's own SKUs take only a mark-up that names them: their price is already what
        the customer pays.
        """
        named = self.models.get((provider, model)) or self.providers.get(provider)
        if named is not None or provider == OWN:
            return named or NO_MARKUP
        if plan is not None and plan in self.plans:
            return self.plans[plan]
        return self.default
