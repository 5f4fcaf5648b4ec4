"""Every type of tax id that Stripe takes: an example is accepted, and what is none is not."""

from __future__ import annotations

import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe.params import TaxIdCreateParams

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.profiles.model import TaxId
from tollkeeper.profiles.tax_id_types import EU, TAX_ID_TYPES, tidy
from tollkeeper.profiles.tax_ids import check_tax_ids, types_of

WIDE = "".join(chr(ord("\N{FULLWIDTH DIGIT ZERO}") + digit) for digit in range(10))
ARABIC = "".join(chr(ord("\N{ARABIC-INDIC DIGIT ZERO}") + digit) for digit in range(10))
# Numbers of which the whole, or the greater part, is free.
WITHOUT_CHECK_DIGITS = frozenset(
    (
        *("ad_nrt", "al_tin", "cr_tin", "de_stn", "eg_tin", "eu_oss_vat", "fo_vat", "id_npwp"),
        *("is_vat", "ke_pin", "kr_brn", "mx_rfc", "sm_coe", "us_ein"),
    )
)


def test_every_type_that_stripe_takes_is_known() -> None:
    stripes = set(re.findall(r'"([a-z]{2}_[a-z_]+)"', inspect.getsource(TaxIdCreateParams)))
    assert len(stripes) > 100
    assert TAX_ID_TYPES.keys() == stripes


@pytest.mark.parametrize("code", TAX_ID_TYPES)
def test_an_example_is_accepted_and_other_text_is_not(code: str) -> None:
    type_ = TAX_ID_TYPES[code]
    assert type_.accepts(tidy(type_.example))
    for wrong in ("", "NOT A NUMBER", f"?{type_.example}?", type_.example * 3):
        assert not type_.accepts(tidy(wrong)), wrong


@pytest.mark.parametrize("code", [code for code, one in TAX_ID_TYPES.items() if one.module])
def test_a_mistyped_digit_is_found_where_there_are_check_digits(code: str) -> None:
    type_ = TAX_ID_TYPES[code]
    mistyped = [
        type_.example[:place] + digit + type_.example[place + 1 :]
        for place, right in enumerate(type_.example)
        for digit in "0123456789"
        if right.isdigit() and digit != right
    ]
    believed = sum(type_.accepts(tidy(wrong)) for wrong in mistyped)
    assert (believed > len(mistyped) / 3) == (code in WITHOUT_CHECK_DIGITS)


@given(st.sampled_from([*TAX_ID_TYPES]), st.text(max_size=30))
def test_no_text_breaks_a_check(code: str, text: str) -> None:
    TAX_ID_TYPES[code].accepts(tidy(text))


@pytest.mark.parametrize(
    "code", ["br_cnpj", "in_gst", "eu_vat", "us_ein", "au_abn", "il_vat", "mk_vat"]
)
def test_a_wrong_check_digit_is_refused_with_an_example(code: str) -> None:
    type_ = TAX_ID_TYPES[code]
    country = "AT" if code == "eu_vat" else next(iter(type_.countries))
    last = "1" if type_.example[-1] != "1" else "2"
    wrong = TaxId(type=code, value="00-0000000" if code == "us_ein" else type_.example[:-1] + last)
    with pytest.raises(InvalidRequest, match="one looks like") as refused:
        check_tax_ids([wrong], country)
    assert list(refused.value.faults) == ["taxIds.0.value"]


@pytest.mark.parametrize(
    ("type_", "value", "country"),
    [
        ("es_cif", "J99216582", "ES"),
        ("es_cif", "54362315K", "ES"),  # a person in business
        ("ro_tin", "18547290", "RO"),
        ("ro_tin", "1630615123457", "RO"),
        ("us_ein", "91-1144442", "PR"),
        ("fr_siren", "552 008 443", "RE"),
        ("eu_vat", "FR61954506077", "MC"),
        ("eu_vat", "FR61954506077", "MQ"),
    ],
)
def test_what_a_state_gives_to_many_is_taken(type_: str, value: str, country: str) -> None:
    assert check_tax_ids([TaxId(type=type_, value=value)], country)[0].value == value


@pytest.mark.parametrize("code", TAX_ID_TYPES)
def test_digits_of_any_script_are_kept_as_plain_ones(code: str) -> None:
    type_ = TAX_ID_TYPES[code]
    for digits in (WIDE, ARABIC):
        typed = type_.example.translate(str.maketrans("0123456789", digits))
        assert tidy(typed) == tidy(type_.example)
        assert type_.form is None or not type_.accepts(typed)


def test_numbers_are_kept_tidied_and_once() -> None:
    given_ids = [
        TaxId(type="eu_vat", value=" atu  57194903 "),
        TaxId(type="eu_vat", value="ATU 57194903"),
    ]
    assert check_tax_ids(given_ids, "AT") == (TaxId(type="eu_vat", value="ATU 57194903"),)


@pytest.mark.parametrize(
    ("type_", "value", "country", "field", "why"),
    [
        ("xx_vat", "1", "DE", "type", "in DE there are: de_stn, eu_oss_vat, eu_vat"),
        ("gb_vat", "GB980780684", "DE", "type", "is of GB, IM, and the address is in DE"),
        ("eu_vat", "ATU57194903", "DE", "value", "must begin with DE"),
        ("eu_vat", "ATU57194903", "GR", "value", "must begin with EL"),
        ("eu_vat", "ATU57194903", "GB", "type", "and the address is in GB"),
    ],
)
def test_type_and_country_match(type_: str, value: str, country: str, field: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        check_tax_ids([TaxId(type=type_, value=value)], country)
    assert list(refused.value.faults) == [f"taxIds.0.{field}"]


def test_northern_ireland_has_vat_ids_of_the_eu() -> None:
    northern = TaxId(type="eu_vat", value="XI980780684")
    assert check_tax_ids([northern], "GB") == (northern,)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_tax_ids([TaxId(type="nope", value="1")] * 6, "DE")
    assert len(refused.value.faults) == 7


def test_a_form_shows_what_can_be_had_in_a_country() -> None:
    assert {one.code for one in types_of("GB")} == {"gb_vat", "eu_oss_vat"}
    for country in EU:
        assert "eu_vat" in {one.code for one in types_of(country)}
    assert len(types_of(None)) == len(TAX_ID_TYPES)
