"""How long text becomes that is normalised (NFKC): bounded in one walk over it.

To normalise takes time that grows with the square of a run of combining marks, and a client writes
the run. So it is not done. NFKC composes what NFKD takes apart, and no character is longer than
what it is composed of: so the characters of a text, each taken apart (NFKD), bound its bytes.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import repeat
from typing import Final

# No character beyond has a decomposition. Those of Hangul syllables are none of the table's, and
# need not be: they become syllables again, whatever follows.
_DECOMPOSED_BELOW: Final = 0x30000


def normalised_bytes(text: str) -> int:
    """Bound the UTF-8 bytes of a text as it is and of its NFKC form. Exact where they are one."""
    if text.isascii():
        return len(text)
    size = len(text.encode())
    if unicodedata.is_normalized("NFKC", text):
        return size
    return size + sum(map(_growths().get, text, repeat(0)))


@cache
def _growths() -> dict[str, int]:
    """Name the characters that are longer taken apart, and by how many bytes."""
    composed = [
        char for char in map(chr, range(_DECOMPOSED_BELOW)) if unicodedata.decomposition(char)
    ]
    growths = {
        char: len(unicodedata.normalize("NFKD", char).encode()) - len(char.encode())
        for char in composed
    }
    return {char: growth for char, growth in growths.items() if growth > 0}
