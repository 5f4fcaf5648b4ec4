"""What rooms say of fields and acts, as sentences on a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Final

from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.base.ids import show_id
from tollkeeper.console.forms import Form
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say
from tollkeeper.payments import Owner
from tollkeeper.payments.model import Method

# The field of a form that holds a mark of what was kept when it was opened.
_SEEN: Final = "seen"
# What a room quotes of a value: in the other quotes where the value holds some.
_VALUE: Final = re.compile(""": ['"]""")
_NO_WORDS: Final[Mapping[str, Mapping[str, str]]] = {}


def sentence(said: str) -> str:
    """What was wrong with a value is for programs; what it should be is for people."""
    text = _VALUE.split(said, maxsplit=1)[0].rstrip(".")
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


def opened_with(kept: Mapping[str, str]) -> Form:
    """A form as things are, which remembers it: see `changed_since`."""
    return Form(values={**kept, _SEEN: _mark_of(kept)})


def changed_since(
    form: Form, kept: Mapping[str, str], words: Mapping[str, Mapping[str, str]] = _NO_WORDS
) -> Form | None:
    """None, unless somebody saved since the form was opened: then the form, which says beside each
    field what is kept now, by its `words` where it is chosen from some. Sent again, it is done."""
    mark = _mark_of(kept)
    if form.text(_SEEN) in ("", mark):
        return None
    faults = {
        name: say("meanwhile.now", value=words.get(name, {}).get(value, value))
        if value
        else say("meanwhile.empty")
        for name, value in kept.items()
        if form.text(name) != value
    }
    told = replace(form, values={**form.values, _SEEN: mark}, problem=say("top_up.changed"))
    return told.faulty(**faults)


def _mark_of(kept: Mapping[str, str]) -> str:
    return sha256(repr(sorted(kept.items())).encode()).hexdigest()[:16]


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
