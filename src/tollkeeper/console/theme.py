"""The operator's look: a name, a logo, an accent that can be read on either ground, and whose
pages may have ours in a frame."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tollkeeper.base.settings_of_console import Console

_TYPES: Final = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}
_LARGEST: Final = 100_000

# The grounds that accents are read on, and what is written on an accent: see console.css.
_LIGHT_GROUND: Final = (0xF4, 0xF5, 0xF8)
_DARK_GROUND: Final = (0x1D, 0x21, 0x26)
_WHITE: Final = (255, 255, 255)
_BLACK: Final = (0, 0, 0)
_INK: Final = (0x14, 0x12, 0x2E)
# WCAG 2.2, success criterion 1.4.3.
_READABLE: Final = 4.5
_LINEAR_BELOW: Final = 0.04045  # of sRGB, IEC 61966-2-1
_STEPS: Final = 50

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Logo:
    content: bytes
    media_type: str

    @property
    def path(self) -> str:
        return f"/theme/logo-{_seal(self.content)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """`style` is a sheet of its own, and empty where nothing differs from the product's look."""

    name: str = Console().name
    logo: Logo | None = None
    style: str = ""
    frame_origins: Sequence[str] = ()

    @property
    def style_path(self) -> str:
        return f"/theme/style-{_seal(self.style.encode())}"


def read_theme(settings: Console) -> Theme:
    """Raises ValueError for a logo that is not there, too large, or of another kind."""
    return Theme(
        name=settings.name,
        logo=None if settings.logo is None else _read_logo(Path(settings.logo).expanduser()),
        style="" if settings.accent is None else style_of(settings.accent),
        frame_origins=tuple(settings.frame_origins),
    )


def style_of(accent: str) -> str:
    """Return the tokens of an accent, `#rrggbb`."""
    wanted = (int(accent[1:3], 16), int(accent[3:5], 16), int(accent[5:7], 16))
    light = _until_readable(wanted, _LIGHT_GROUND, _BLACK)
    dark = _until_readable(wanted, _DARK_GROUND, _WHITE)
    on_light, on_dark = _ink_on(light), _ink_on(dark)
    return (
        ":root {"
        f" --accent: light-dark({_write(light)}, {_write(dark)});"
        f" --on-accent: light-dark({_write(on_light)}, {_write(on_dark)}); }}\n"
    )


def _until_readable(colour: Colour, ground: Colour, towards: Colour) -> Colour:
    """Mix it with black or white until text in it can be read."""
    for step in range(_STEPS + 1):
        mixed = _mix(colour, towards, step)
        if contrast(mixed, ground) >= _READABLE and contrast(mixed, _ink_on(mixed)) >= _READABLE:
            return mixed
    return towards


def _mix(one: Colour, other: Colour, step: int) -> Colour:
    red, green, blue = (a + (b - a) * step // _STEPS for a, b in zip(one, other, strict=True))
    return red, green, blue


def _ink_on(colour: Colour) -> Colour:
    return max((_WHITE, _INK), key=lambda ink: contrast(ink, colour))


def contrast(one: Colour, other: Colour) -> float:
    """Return how far two colours are apart, 1 to 21, as WCAG 2.2 defines it."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        part / 12.92 if part <= _LINEAR_BELOW else ((part + 0.055) / 1.055) ** 2.4
        for part in (one / 255 for one in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _seal(content: bytes) -> str:
    # The address changes with what is there, so that browsers may keep it for ever.
    return hashlib.sha256(content).hexdigest()[:16]


def _write(colour: Colour) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)


def _read_logo(path: Path) -> Logo:
    media_type = _TYPES.get(path.suffix.lower())
    if media_type is None:
        raise ValueError(f"console.logo must end with one of {', '.join(_TYPES)}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"console.logo cannot be read: {error.strerror}: {path}") from None
    if len(content) > _LARGEST:
        raise ValueError(f"console.logo must have at most {_LARGEST:,} bytes, has {len(content):,}")
    return Logo(content, media_type)
