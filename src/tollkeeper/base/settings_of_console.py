"""Settings of the console: its looks, and who may show it inside their own pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta, field

from tollkeeper.base.setting_types import Secret, Section

Origin = Annotated[str, Meta(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?\Z", max_length=300)]
Accent = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}\Z")]


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

    def __post_init__(self) -> None:
        if self.logo is not None and not Path(self.logo).is_file():
            raise ValueError(f"logo must be the path of a file; {self.logo} is none")


class Oidc(Section, frozen=True):
    """Sign-in to the console at your own provider, by OpenID Connect."""

    issuer: Annotated[
        Annotated[str, Meta(pattern=r"^https?://\S+\Z", examples=["https://login.example.com"])]
        | None,
        Meta(description="The provider, as its tokens name it; unset, people have passwords."),
    ] = None
    client_id: Annotated[str | None, Meta(description="What it knows this installation by.")] = None
    client_secret: Annotated[Secret | None, Meta(description="The secret that goes with it.")] = (
        None
    )
    name: Annotated[
        str, Meta(min_length=1, max_length=60, description="What the button says it is.")
    ] = "single sign-on"
    domains: Annotated[
        list[str],
        Meta(
            max_length=100,
            description="E-mail domains, such as `example.com`, that people may have; any, unless"
            " listed.",
        ),
    ] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        if self.issuer is not None and (self.client_id is None or self.client_secret is None):
            raise ValueError("oidc needs client_id and client_secret beside issuer")
