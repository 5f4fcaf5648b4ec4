"""Settings of the console: its looks, and who may show it inside their own pages."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from tollkeeper.base.setting_types import Section

Origin = Annotated[str, Meta(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$", max_length=300)]
Accent = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}$")]


class Console(Section, frozen=True):
    """The pages of customers, in the operator's look."""

    name: Annotated[
        str,
        Meta(min_length=1, max_length=60, description="Whose billing this is, as pages say it."),
    ] = "Tollkeeper"
    logo: Annotated[
        str | None,
        Meta(description="Path of a picture beside the name: SVG, PNG or WebP, at most 100 KB."),
    ] = None
    accent: Annotated[
        Accent | None,
        Meta(
            description="Colour of buttons and links, as `#rrggbb`; made darker or lighter where it"
            " could not be read.",
        ),
    ] = None
    frame_origins: Annotated[
        list[Origin],
        Meta(
            max_length=50,
            description="Origins, such as `https://app.example.com`, that may show pages in a"
            " frame; none, unless listed.",
        ),
    ] = field(default_factory=list[Origin])
