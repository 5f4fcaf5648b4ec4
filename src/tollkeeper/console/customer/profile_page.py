"""Billing profile: who invoices are made out to, the address as its country writes it, tax ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from litestar import get, post
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import credits, orgs, profiles  # noqa: A004 (the room's name)
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.console.customer.address_words import address_form, tax_types
from tollkeeper.console.customer.noting import note
from tollkeeper.console.customer.saying import sentence
from tollkeeper.console.doors import AnyRequest, Door, money_only, session_of
from tollkeeper.console.forms import Form, go_on, read_as
from tollkeeper.console.rendering import say
from tollkeeper.profiles import Address, BuyerKind, Profile, ProfileIn, TaxId

PATH: Final = "/console/billing-profile"

_BAD: Final = 400
_MOST_TAX_IDS: Final = 5
_ADDRESS: Final = ("line1", "line2", "city", "district", "state", "postalCode")
_LINES: Final = ("name", *(f"address.{name}" for name in _ADDRESS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A profile as it is typed. `places` are the rows of the form that its tax ids stand in."""

    name: str
    kind: BuyerKind
    address: Address
    tax_ids: list[TaxId]
    places: list[int]
    emails: list[str]


def profile_pages(door: Door) -> list[ControllerRouterHandler]:
    @get("/billing-profile", include_in_schema=False, guards=[money_only])
    async def show_profile(request: AnyRequest) -> Response[bytes]:
        org_id = session_of(request).org_id
        async with door.database.connection() as connection:
            known = await profiles.read_profile(connection, org_id)
            organization = await orgs.get_org(connection, org_id)
        return _answer(door, request, _form_of(known, organization.name))

    @post("/billing-profile/country", include_in_schema=False, guards=[money_only], status_code=200)
    async def redraw(request: AnyRequest) -> Response[bytes]:
        """The same form with the fields of another country; nothing is kept."""
        form = await door.read_form(request)
        return _answer(door, request, form)

    @post("/billing-profile", include_in_schema=False, guards=[money_only], status_code=200)
    async def save_profile(request: AnyRequest) -> Response[bytes] | Redirect:
        form = await door.read_form(request)
        draft = _read(form)
        faults = _faults(form, draft)
        if faults:
            return _answer(door, request, form.faulty(**faults), _BAD)
        session, now = session_of(request), door.clock.now()
        async with door.database.transaction() as tx:
            await profiles.keep_profile(
                tx,
                session.org_id,
                name=draft.name,
                kind=draft.kind,
                address=draft.address,
                tax_ids=draft.tax_ids,
                emails=draft.emails,
                now=now,
                saved=credits.introduce_later,
            )
            country = draft.address.country
            await note(tx, session, "billing_profile.update", now, country=country)
        return go_on(PATH, "profile_saved")

    return [show_profile, redraw, save_profile]


def _answer(door: Door, request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
    wants = address_form(form.text("address.country"))
    rows = sum(1 for place in range(_MOST_TAX_IDS) if form.text(f"taxIds.{place}.value"))
    return door.page(
        request,
        "customer/profile.html",
        status,
        form=replace(form, values={**form.values, "address.country": wants.country}),
        wants=wants,
        countries=profiles.countries(),
        labels={
            "city": say(f"place.{wants.city_label}"),
            "state": say(f"place.{wants.state_label}"),
            "postalCode": say(f"place.{wants.postal_code_label}"),
        },
        tax_types=[
            (one.code, say("profile.tax_type", name=one.name, example=one.example))
            for one in tax_types(wants.country)
        ],
        rows=range(min(rows + 1, _MOST_TAX_IDS)),
    )


def _form_of(known: Profile | None, organization: str) -> Form:
    if known is None:
        return Form(values={"name": organization, "kind": "business", "address.country": ""})
    address = known.address
    values = {
        "name": known.name,
        "kind": known.kind.value,
        "address.country": address.country,
        "address.line1": address.line1,
        "address.line2": address.line2 or "",
        "address.city": address.city or "",
        "address.district": address.district or "",
        "address.state": address.state or "",
        "address.postalCode": address.postal_code or "",
        "emails": "\n".join(known.emails),
    }
    for place, tax_id in enumerate(known.tax_ids):
        values[f"taxIds.{place}.type"] = tax_id.type
        values[f"taxIds.{place}.value"] = tax_id.value
    return Form(values=values)


def _read(form: Form) -> Draft:
    places = [place for place in range(_MOST_TAX_IDS) if form.text(f"taxIds.{place}.value")]
    address = {name: form.text(f"address.{name}") for name in _ADDRESS}
    return Draft(
        name=form.text("name"),
        kind=BuyerKind.CONSUMER if form.text("kind") == "consumer" else BuyerKind.BUSINESS,
        address=Address(
            country=form.text("address.country"),
            line1=address["line1"],
            line2=address["line2"] or None,
            city=address["city"] or None,
            district=address["district"] or None,
            state=address["state"] or None,
            postal_code=address["postalCode"] or None,
        ),
        tax_ids=[
            TaxId(type=form.text(f"taxIds.{place}.type"), value=form.text(f"taxIds.{place}.value"))
            for place in places
        ],
        places=places,
        emails=form.text("emails").replace(",", " ").replace(";", " ").split(),
    )


def _faults(form: Form, draft: Draft) -> dict[str, str]:
    """Everything that is wrong, each in its place: shapes first, then what the country wants."""
    found: dict[str, str] = {}

    def look(check: Callable[[], object]) -> None:
        try:
            check()
        except InvalidRequest as error:
            for name, said in error.faults.items():
                found.setdefault(_place(name, draft), _say(name, said[0], form))

    if not draft.name:
        found["name"] = say("profile.missing")
    look(lambda: profiles.check_address(draft.address))
    look(lambda: read_as(ProfileIn, _shape(draft)))
    if "address.country" not in found:
        look(lambda: profiles.check_tax_ids(draft.tax_ids, draft.address.country))
    return found


def _shape(draft: Draft) -> dict[str, Any]:
    address = draft.address
    said = {
        "country": address.country,
        "line1": address.line1,
        "line2": address.line2,
        "city": address.city,
        "district": address.district,
        "state": address.state,
        "postalCode": address.postal_code,
    }
    return {
        "name": draft.name,
        "kind": draft.kind.value,
        "address": said,
        "taxIds": [{"type": one.type, "value": one.value} for one in draft.tax_ids],
        "emails": draft.emails,
    }


def _place(name: str, draft: Draft) -> str:
    """Where the form shows it: empty rows of tax ids do not count, and emails are one field."""
    head, _, rest = name.partition(".")
    if head == "emails":
        return "emails"
    number, _, field = rest.partition(".")
    if head == "taxIds" and number.isdigit():
        return f"taxIds.{draft.places[int(number)]}.{field or 'value'}"
    return "taxIds.0.value" if head == "taxIds" else name


def _say(name: str, said: str, form: Form) -> str:
    if name.startswith("emails."):
        return say("profile.email_wrong")
    if "that matches" in said:
        return say("profile.line_wrong" if form.text(name) else "profile.missing")
    return sentence(said)
