"""What rooms say of fields and acts, as sentences on a page."""

from __future__ import annotations

from collections.abc import Mapping

from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.base.ids import show_id
from tollkeeper.console.forms import Form
from tollkeeper.console.model import Session
from tollkeeper.payments import Owner
from tollkeeper.payments.model import Method


def sentence(said: str) -> str:
    """What was wrong with a value is for programs; what it should be is for people."""
    text = said.partition(": '")[0].rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def faults_of(error: InvalidRequest) -> dict[str, str]:
    return {name: sentence(said[0]) for name, said in error.faults.items() if name}


def refuse(form: Form, error: TollkeeperError, places: Mapping[str, str] | None = None) -> Form:
    """The form with what a room said of it; `places` are the fields that codes speak of."""
    if isinstance(error, InvalidRequest) and (faults := faults_of(error)):
        return form.faulty(**faults)
    place = (places or {}).get(error.code)
    if place is not None:
        return form.faulty(**{place: sentence(error.detail)})
    return form.refused(error)


def card_name(method: Method) -> str:
    """Visa ···· 4242."""
    brand = (method.brand or method.kind).replace("_", " ")
    shown = brand[:1].upper() + brand[1:]
    return f"{shown} ···· {method.last4}" if method.last4 else shown


def owner_of(session: Session) -> Owner:
    return Owner(org_id=session.org_id, livemode=session.livemode)


def actor_of(session: Session) -> str:
    """Who did it, where an act is written down: the member; the e-mail of who of the staff looks;
    the session of who is neither."""
    if session.member_id is not None:
        return show_id("mem", session.member_id)
    if session.email is not None:
        return session.email
    return f"console {show_id('ses', session.session_id)}"
