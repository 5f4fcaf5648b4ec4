"""What allowances paid of a record's lines, worked out again as the ledger's statement did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from tollkeeper.pricing import Line

# Limit, units used, units drawn, what they cost, the places of their lines: as a record has it.
Drawn = tuple[str, int, int, int, tuple[int, ...]]

read_drawn: Final = msgspec.json.Decoder(tuple[Drawn, ...]).decode


def uncovered(lines: Sequence[Line], allowances: Sequence[Drawn]) -> tuple[Line, ...]:
    """Give the lines with what is left to pay of each.

    Of each allowance's lines together, the part `floor(cost x drawn / units)` is paid; each line
    keeps what it adds to what is left. Raises ValueError where a record does not fit its lines.
    """
    left = list(lines)
    for _, units, drawn, covers, places in allowances:
        if sum(lines[place].amount_nanos for place in places) != covers:
            raise ValueError(f"the lines {places} do not cost {covers}")
        if not 0 < drawn <= units:
            raise ValueError(f"{drawn} of {units} units were drawn")
        upto = paid = 0
        for place in places:
            upto += lines[place].amount_nanos
            rest = upto - upto * drawn // units
            left[place] = replace(lines[place], amount_nanos=rest - paid)
            paid = rest
    return tuple(left)
