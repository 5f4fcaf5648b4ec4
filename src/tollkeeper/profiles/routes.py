"""`/billing/profile`, and what forms need to ask for it: by an ADMIN key."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from litestar import Request, Router, get, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from tollkeeper import orgs
from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import NotFound
from tollkeeper.db import Database
from tollkeeper.profiles import store
from tollkeeper.profiles.addresses import form_of
from tollkeeper.profiles.keeping import Saved, keep
from tollkeeper.profiles.model import Address, BuyerKind, Profile, TaxId
from tollkeeper.profiles.tax_ids import types_of

AnyRequest = Request[Any, Any, State]
Line = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*\Z")
]
CountryCode = Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z", examples=["DE"])]
Email = Annotated[str, Meta(pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\Z", max_length=254)]


class Shape(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class AddressShape(Shape, frozen=True, kw_only=True):
    """`GET /billing/address-format` says what a country wants."""

    country: CountryCode
    line1: Line
    line2: Line | None = None
    city: Line | None = None
    district: Line | None = None
    state: Line | None = None
    postal_code: Line | None = None

    @classmethod
    def of(cls, address: Address) -> Self:
        return cls(**{name: getattr(address, name) for name in address.__struct_fields__})

    def read(self) -> Address:
        return Address(**{name: getattr(self, name) for name in self.__struct_fields__})


class TaxIdShape(Shape, frozen=True, kw_only=True):
    """`GET /billing/tax-id-types` lists the types, with an example of each."""

    type: Annotated[str, Meta(max_length=40, examples=["eu_vat"])]
    value: Line

    def read(self) -> TaxId:
        return TaxId(type=self.type, value=self.value)


class ProfileIn(Shape, frozen=True, kw_only=True):
    """Who invoices are made out to. A business is taxed as one once it has a tax id."""

    name: Line
    address: AddressShape
    kind: BuyerKind = BuyerKind.BUSINESS
    tax_ids: list[TaxIdShape] = []
    emails: Annotated[
        list[Email], Meta(max_length=20, description="Of billing; invoices show the first.")
    ] = []


class ProfileOut(Shape, frozen=True, kw_only=True):
    name: str
    kind: BuyerKind
    address: AddressShape
    tax_ids: list[TaxIdShape]
    emails: list[str]
    updated_at: datetime

    @classmethod
    def of(cls, profile: Profile) -> Self:
        return cls(
            name=profile.name,
            kind=profile.kind,
            address=AddressShape.of(profile.address),
            tax_ids=[TaxIdShape(type=one.type, value=one.value) for one in profile.tax_ids],
            emails=list(profile.emails),
            updated_at=profile.updated_at,
        )


class StateOut(Shape, frozen=True, kw_only=True):
    code: str
    name: str


class AddressFormat(Shape, frozen=True, kw_only=True):
    """What a form asks for; the labels are what things are called there."""

    country: str
    fields: list[str]
    required: list[str]
    states: list[StateOut]
    state_label: str
    city_label: str
    postal_code_label: str
    postal_code_examples: list[str]


class TaxIdTypeOut(Shape, frozen=True, kw_only=True):
    type: str
    name: str
    countries: list[str]
    example: str


class TaxIdTypes(Shape, frozen=True, kw_only=True):
    data: list[TaxIdTypeOut]


def profile_routes(saved: Saved | None = None) -> list[ControllerRouterHandler]:
    """`saved` hears of each profile in the transaction that keeps it."""
    handlers = [read_own, _put(saved), read_address_format, list_tax_id_types]
    return [
        Router(
            "/billing", route_handlers=handlers, guards=[orgs.admin_only], tags=["Billing profile"]
        )
    ]


@get("/profile", summary="Get the billing profile", opt={"errors": (NotFound,)})
async def read_own(request: AnyRequest, database: NamedDependency[Database]) -> ProfileOut:
    org_id = orgs.caller_of(request).org_id
    async with database.connection() as connection:
        profile = await store.read_profile(connection, org_id)
    if profile is None:
        raise NotFound("There is no billing profile yet")
    return ProfileOut.of(profile)


def _put(saved: Saved | None) -> ControllerRouterHandler:
    @put(
        "/profile",
        summary="Set the billing profile",
        description="From the next purchase on; invoices that are issued stay as they are.",
    )
    async def put_own(
        request: AnyRequest,
        data: JSONBody[ProfileIn],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> ProfileOut:
        async with database.transaction() as tx:
            profile = await keep(
                tx,
                orgs.caller_of(request).org_id,
                name=data.name,
                kind=data.kind,
                address=data.address.read(),
                tax_ids=[one.read() for one in data.tax_ids],
                emails=data.emails,
                now=clock.now(),
                saved=saved,
            )
        return ProfileOut.of(profile)

    return put_own


@get("/address-format", summary="Ask what an address needs in a country")
async def read_address_format(
    country: Annotated[FromQuery[CountryCode], Meta(description="ISO 3166.")],
) -> AddressFormat:
    form = form_of(country)
    return AddressFormat(
        country=form.country,
        fields=list(form.fields),
        required=list(form.required),
        states=[StateOut(code=code, name=name) for code, name in form.states],
        state_label=form.state_label,
        city_label=form.city_label,
        postal_code_label=form.postal_code_label,
        postal_code_examples=list(form.postal_code_examples),
    )


@get("/tax-id-types", summary="List types of tax ids")
async def list_tax_id_types(
    country: Annotated[
        FromQuery[CountryCode | None], Meta(description="Only those that are had there.")
    ] = None,
) -> TaxIdTypes:
    return TaxIdTypes(
        data=[
            TaxIdTypeOut(
                type=one.code,
                name=one.name,
                countries=sorted(one.countries),
                example=one.example,
            )
            for one in types_of(country)
        ]
    )
