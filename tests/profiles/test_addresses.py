"""Addresses of many countries: what each wants is asked for, and written as it is written there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.base.countries import COUNTRIES
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.profiles.addresses import address_lines, check_address, countries, form_of
from tollkeeper.profiles.model import Address

GOOD: dict[str, dict[str, Any]] = {
    "US": {"line1": "1 Infinite Loop", "city": "Cupertino", "state": "CA", "postal_code": "95014"},
    "DE": {"line1": "Speicherstraße 12", "city": "HAMBURG", "postal_code": "20457"},
    "GB": {"line1": "10 Downing Street", "city": "LONDON", "postal_code": "SW1A 2AA"},
    "JP": {"line1": "港区六本木1-1", "state": "東京都", "postal_code": "106-0032"},
    "BR": {
        "line1": "Av. Paulista 1",
        "city": "SÃO PAULO",
        "state": "SP",
        "postal_code": "01310-100",
    },
    "IE": {"line1": "1 Main Street", "city": "Dublin", "postal_code": "D02 AF30"},
    "IN": {
        "line1": "1 MG Road",
        "city": "Bengaluru",
        "state": "Karnataka",
        "postal_code": "560001",
    },
    "HK": {"line1": "1 Queen's Road", "city": "Central", "state": "Hong Kong Island"},
    "SG": {"line1": "1 Raffles Place", "postal_code": "048616"},
    "AE": {"line1": "Sheikh Zayed Road 1", "state": "Dubai"},
    "CA": {"line1": "1 KING ST", "city": "TORONTO", "state": "ON", "postal_code": "M5H 1A1"},
    "AU": {"line1": "1 George St", "city": "SYDNEY", "state": "NSW", "postal_code": "2000"},
}


@pytest.mark.parametrize("country", GOOD)
def test_a_good_address_is_kept_and_can_be_printed(country: str) -> None:
    address = check_address(Address(country=country, **GOOD[country]))
    lines = address_lines(address)
    assert GOOD[country]["line1"] in lines
    assert len(lines) >= 2
    assert check_address(address) == address


@pytest.mark.parametrize("country", GOOD)
def test_what_a_country_requires_is_asked_for_by_name(country: str) -> None:
    names = {"postal_code": "postalCode"}
    wanted = {names.get(name, name) for name in GOOD[country]} & set(form_of(country).required)
    with pytest.raises(InvalidRequest) as refused:
        check_address(Address(country=country, line1=""))
    assert {f"address.{name}" for name in wanted} <= set(refused.value.faults)


@given(
    st.sampled_from(sorted({*GOOD, "FR", "IT", "CN", "KR", "MX", "TR", "AQ", "KY"})),
    st.lists(st.none() | st.text(max_size=12), min_size=5, max_size=5),
    st.integers(0, 80),
)
def test_any_text_is_refused_by_field_or_kept_for_good(
    country: str, texts: list[str | None], chosen: int
) -> None:
    form = form_of(country)
    line2, city, district, state, postal_code = texts
    states = [code for code, _ in form.states]
    codes = form.postal_code_examples
    given_address = Address(
        country=country,
        line1="1 Main Street",
        line2=line2,
        city=city,
        district=district,
        state=states[chosen % len(states)] if states else state,
        postal_code=codes[chosen % len(codes)] if codes else postal_code,
    )
    try:
        kept = check_address(given_address)
    except InvalidRequest as refused:
        faults = set(refused.faults)
    else:
        faults = set[str]()
        assert check_address(kept) == kept
        assert address_lines(kept)
    assert faults <= {f"address.{name}" for name in form.fields}


def test_what_a_country_does_not_write_is_left_out() -> None:
    german = check_address(Address(country="DE", state="Hamburg", district="Mitte", **GOOD["DE"]))
    assert (german.state, german.district) == (None, None)
    of_hong_kong = check_address(Address(country="HK", postal_code="999077", **GOOD["HK"]))
    assert of_hong_kong.postal_code is None


def test_lines_are_in_the_order_of_the_country() -> None:
    american = check_address(Address(country="US", line2="Floor 2", **GOOD["US"]))
    assert address_lines(american) == (
        "1 Infinite Loop",
        "Floor 2",
        "CUPERTINO, CA 95014",
        "UNITED STATES",
    )
    assert address_lines(Address(country="DE", **GOOD["DE"]))[1] == "20457 HAMBURG"
    assert address_lines(Address(country="JP", **GOOD["JP"]))[0] == "〒106-0032"


@pytest.mark.parametrize(
    ("country", "change", "field", "why"),
    [
        ("US", {"state": "ZZ"}, "state", "must be a state of United States, such as AL, AK, AS"),
        ("US", {"postal_code": "9501"}, "postalCode", "must be a zip code such as"),
        ("DE", {"postal_code": "1234"}, "postalCode", "must be a postal code such as 26133"),
        ("DE", {"city": None}, "city", "is required in Germany"),
        ("ZZ", {}, "country", "must be a country's code"),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(
    country: str, change: dict[str, Any], field: str, why: str
) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        check_address(Address(country=country, **{**GOOD.get(country, GOOD["DE"]), **change}))
    assert list(refused.value.faults) == [f"address.{field}"]


def test_states_are_kept_by_their_codes() -> None:
    assert (
        check_address(Address(country="US", **{**GOOD["US"], "state": "California"})).state == "CA"
    )
    assert form_of("US").states[0] == ("AL", "Alabama")
    assert (form_of("JP").state_label, form_of("US").postal_code_label) == ("prefecture", "zip")
    assert "postalCode" not in form_of("HK").fields


def test_the_settings_know_the_same_countries() -> None:
    assert {code for code, _ in countries()} == COUNTRIES
