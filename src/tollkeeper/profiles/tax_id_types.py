"""Every type of tax id that Stripe takes, with its country, an example, and how it is checked.

The codes are Stripe's (the `type` of its tax ids, SDK 16). A number is checked by python-stdnum
where that knows it, check digits included, and by the documented form for the rest.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

EU: Final = frozenset(
    (
        *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
        *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
    )
)
# Whose companies have numbers of the French and of the United States, by their own country code.
_FRENCH: Final = "FR GF GP MQ RE YT"
_AMERICAN: Final = "US AS GU MP PR VI"
_SPACES: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxIdType:
    """`countries` are where whoever has one may live. `form` and `module` (of stdnum) say what a
    number looks like: one of them, or both where the module takes more than the type."""

    code: str
    countries: frozenset[str]
    name: str
    example: str
    module: str | None = None
    form: re.Pattern[str] | None = None

    def accepts(self, value: str) -> bool:
        if self.form is not None and self.form.fullmatch(value) is None:
            return False
        if self.module is None:
            return True
        module: Any = import_module(f"stdnum.{self.module}")
        return bool(module.is_valid(value))


def tidy(value: str) -> str:
    """Write a tax id as it is kept: plain capital letters, no doubled or outer spaces.

    Digits may be typed wide, as in Japan, or in a script of their own, as in Egypt: it is the
    same number, and only the plain one can be sent on and printed."""
    wide = unicodedata.normalize("NFKC", value)
    plain = "".join(str(unicodedata.decimal(letter, letter)) for letter in wide)
    return _SPACES.sub(" ", plain).strip().upper()


def _checked(code: str, name: str, module: str, example: str, countries: str = "") -> TaxIdType:
    return TaxIdType(
        code=code,
        countries=frozenset(countries.split() or [code[:2].upper()]),
        name=name,
        example=example,
        module=module,
    )


def _formed(code: str, name: str, form: str, example: str, module: str | None = None) -> TaxIdType:
    return TaxIdType(
        code=code,
        countries=frozenset([code[:2].upper()]),
        name=name,
        example=example,
        module=module,
        form=re.compile(form, re.ASCII),
    )


_TYPES: Final = (
    _checked("ad_nrt", "Andorran NRT", "ad.nrt", "U-132950-X"),
    _formed("ae_trn", "UAE TRN", r"\d{15}", "123456789012345"),
    _checked("al_tin", "Albanian TIN", "al.nipt", "J91402501L"),
    _formed("am_tin", "Armenian TIN", r"\d{8}", "02538904"),
    _formed("ao_tin", "Angolan TIN", r"\d{10}|\d{9}[A-Z]{2}\d{3}", "5123456789"),
    _checked("ar_cuit", "Argentinian CUIT", "ar.cuit", "20-05536168-2"),
    _checked("au_abn", "Australian ABN", "au.abn", "83 914 571 673"),
    _checked("au_acn", "Australian ACN", "au.acn", "004 085 616"),
    _formed("au_arn", "Australian ARN", r"\d{12}", "123456789123"),
    _formed("au_wpn", "Australian WPN", r"\d{9}", "123456789"),
    _formed("aw_tin", "Aruban TIN", r"\d{8}", "12345678"),
    _checked("az_tin", "Azerbaijani TIN", "az.voen", "1401555071"),
    _formed("ba_tin", "Bosnian TIN", r"\d{12,13}", "123456789012"),
    _formed("bb_tin", "Barbadian TIN", r"\d{13}", "1123456789012"),
    _formed("bd_bin", "Bangladeshi BIN", r"\d{9}-\d{4}", "123456789-0123"),
    _formed("bf_ifu", "Burkinabe IFU", r"\d{8}[A-Z]", "12345678A"),
    _checked("bg_uic", "Bulgarian UIC", "bg.vat", "175074752"),
    _formed("bh_vat", "Bahraini VAT", r"\d{15}", "123456789012345"),
    _formed("bj_ifu", "Beninese IFU", r"\d{13}", "1234567890123"),
    _formed("bo_tin", "Bolivian TIN", r"\d{7,12}", "123456789"),
    _checked("br_cnpj", "Brazilian CNPJ", "br.cnpj", "16.727.230/0001-97"),
    _checked("br_cpf", "Brazilian CPF", "br.cpf", "390.533.447-05"),
    _formed("bs_tin", "Bahamian TIN", r"\d{3}\.?\d{3}\.?\d{3}", "123.456.789"),
    _formed("bw_vat", "Botswanan VAT", r"[A-Z]?\d{11,12}", "C12345678901"),
    _checked("by_tin", "Belarusian TIN", "by.unp", "200988541"),
    _checked("ca_bn", "Canadian BN", "ca.bn", "123026635"),
    _formed("ca_gst_hst", "Canadian GST/HST", r"\d{9}RT\d{4}", "123026635RT0001", "ca.bn"),
    _formed("ca_pst_bc", "Canadian PST (British Columbia)", r"PST-\d{4}-\d{4}", "PST-1234-5678"),
    _formed("ca_pst_mb", "Canadian PST (Manitoba)", r"\d{6}-\d", "123456-7"),
    _formed("ca_pst_sk", "Canadian PST (Saskatchewan)", r"\d{7}", "1234567"),
    _formed("ca_qst", "Canadian QST (Quebec)", r"\d{10}TQ\d{4}", "1234567890TQ1234"),
    _formed("cd_nif", "Congolese NIF", r"[A-Z]\d{7}[A-Z]", "A0123456M"),
    _checked("ch_uid", "Swiss UID", "ch.uid", "CHE-100.155.212"),
    _checked("ch_vat", "Swiss VAT", "ch.vat", "CHE-107.787.577 IVA"),
    _formed("ci_vat", "Ivorian VAT", r"\d{7}[A-Z]", "1234567A"),
    _checked("cl_tin", "Chilean TIN", "cl.rut", "76086428-5"),
    _formed("cm_niu", "Cameroonian NIU", r"[A-Z]\d{12}[A-Z]", "M123456789000L"),
    _checked("cn_tin", "Chinese TIN", "cn.uscc", "91110000600037341L"),
    _checked("co_nit", "Colombian NIT", "co.nit", "213.123.432-1"),
    _checked("cr_tin", "Costa Rican TIN", "cr.cpj", "3-101-999999"),
    _formed("cv_nif", "Cape Verdean NIF", r"\d{9}", "213456789"),
    _checked("cz_dic", "Czech DIČ", "cz.dic", "CZ 25123891"),
    _checked("de_stn", "German tax number", "de.stnr", "181/815/08155"),
    _checked("do_rcn", "Dominican RCN", "do.rnc", "1-01-85004-3"),
    _checked("ec_ruc", "Ecuadorian RUC", "ec.ruc", "1792060346001"),
    _checked("eg_tin", "Egyptian TIN", "eg.tn", "100-531-385"),
    _checked("es_cif", "Spanish NIF", "es.nif", "J99216582"),
    _formed("et_tin", "Ethiopian TIN", r"\d{10}", "1234567890"),
    TaxIdType(
        code="eu_oss_vat",
        countries=frozenset(),
        name="European One Stop Shop VAT, for sellers from outside the EU",
        example="EU372022452",
        module="eu.oss",
    ),
    _checked(
        "eu_vat", "European VAT", "eu.vat", "ATU57194903", " ".join([*sorted(EU), "MC", _FRENCH])
    ),
    _checked("fo_vat", "Faroese VAT", "fo.vn", "623857"),
    _checked("fr_siren", "French SIREN", "fr.siren", "552 008 443", _FRENCH),
    _checked("fr_siret", "French SIRET", "fr.siret", "73282932000074", _FRENCH),
    _checked("fr_spi", "French SPI", "fr.nif", "3023217600053", _FRENCH),
    _checked("gb_vat", "United Kingdom VAT", "gb.vat", "GB980780684", "GB IM"),
    _formed("ge_vat", "Georgian VAT", r"\d{9}|\d{11}", "123456789"),
    _checked("gh_tin", "Ghanaian TIN", "gh.tin", "C0000803561"),
    _formed("gi_tin", "Gibraltar TIN", r"\d{4,12}", "123456"),
    _checked("gn_nif", "Guinean NIF", "gn.nifp", "693770885"),
    _formed("hk_br", "Hong Kong BR", r"\d{8}(-\d{3}-\d{2}-\d{2}-\w)?", "12345678"),
    _checked("hr_oib", "Croatian OIB", "hr.oib", "33392005961"),
    _formed("hu_tin", "Hungarian tax number", r"\d{8}-\d-\d{2}", "12345678-1-23"),
    _checked("ic_nif", "Canary Islands NIF", "es.nif", "B58378431", "ES IC"),
    _checked("id_npwp", "Indonesian NPWP", "id.npwp", "01.312.166.0-091.000"),
    _formed("il_vat", "Israeli VAT", r"\d{9}", "516179157", "il.idnr"),
    _checked("in_gst", "Indian GST", "in_.gstin", "27AAPFU0939F1ZV"),
    _checked("is_kt", "Icelandic kennitala", "is_.kennitala", "450401-3150"),
    _checked("is_vat", "Icelandic VAT", "is_.vsk", "IS 00621"),
    _checked("it_cf", "Italian codice fiscale", "it.codicefiscale", "RCCMNL83S18D969H"),
    _checked("jp_cn", "Japanese corporate number", "jp.cn", "5-8356-7825-6246"),
    _formed("jp_rn", "Japanese registered foreign business", r"\d{5}", "12345"),
    _formed("jp_trn", "Japanese tax registration number", r"T\d{13}", "T1234567891234"),
    _checked("ke_pin", "Kenyan PIN", "ke.pin", "P051365947M"),
    _formed("kg_tin", "Kyrgyz TIN", r"\d{14}", "12345678901234"),
    _formed("kh_tin", "Cambodian TIN", r"\d{4}-\d{9}|[A-Z]\d{3}-\d{9}", "1001-123456789"),
    _checked("kr_brn", "Korean BRN", "kr.brn", "116-82-00276"),
    _formed("kz_bin", "Kazakhstani BIN", r"\d{12}", "123456789012"),
    _formed("la_tin", "Laotian TIN", r"\d{9}-\d{3}|\d{12}", "123456789-000"),
    _checked("li_uid", "Liechtenstein UID", "ch.uid", "CHE100155212"),
    _formed("li_vat", "Liechtenstein VAT", r"\d{5}", "12345"),
    _formed("lk_vat", "Sri Lankan VAT", r"\d{9}(-?7000)?", "123456789-7000"),
    _formed("ma_vat", "Moroccan VAT", r"\d{8}", "12345678"),
    _checked("md_cf", "Moldovan fiscal code", "md.idno", "1008600038413"),
    _formed("md_vat", "Moldovan VAT", r"\d{7}", "1234567"),
    _checked("me_pib", "Montenegrin PIB", "me.pib", "02655284"),
    _formed("mk_vat", "North Macedonian VAT", r"MK\d{13}", "MK4057009501106", "mk.edb"),
    _formed("mr_nif", "Mauritanian NIF", r"\d{8}", "12345678"),
    _formed("mu_vat", "Mauritian VAT", r"(VAT)?\d{8}", "VAT12345678"),
    _checked("mx_rfc", "Mexican RFC", "mx.rfc", "GODE561231GR8"),
    _formed("my_frp", "Malaysian FRP", r"\d{8}", "12345678"),
    _formed("my_itn", "Malaysian ITN", r"[A-Z]{1,2} ?\d{10,11}", "C 1234567890"),
    _formed("my_sst", "Malaysian SST", r"[A-Z]\d{2}-\d{4}-\d{8}", "A12-3456-78912345"),
    _checked("mz_nuit", "Mozambican NUIT", "mz.nuit", "400339910"),
    _formed("ng_tin", "Nigerian TIN", r"\d{8}-\d{4}|\d{10}|\d{13}", "12345678-0001"),
    _checked("no_vat", "Norwegian VAT", "no.mva", "995525828MVA"),
    _formed("no_voec", "Norwegian VOEC", r"\d{7}", "1234567"),
    _formed("np_pan", "Nepalese PAN", r"\d{9}", "123456789"),
    _formed("nz_bn", "New Zealand business number", r"\d{13}", "9429000106078"),
    _checked("nz_gst", "New Zealand GST", "nz.ird", "49-098-576"),
    _formed("om_vat", "Omani VAT", r"OM\d{10}", "OM1234567890"),
    _checked("pe_ruc", "Peruvian RUC", "pe.ruc", "20512333797"),
    _formed("ph_tin", "Philippine TIN", r"\d{3}-?\d{3}-?\d{3}(-?\d{3,5})?", "123456789012"),
    _checked("pl_nip", "Polish NIP", "pl.nip", "8567346215"),
    _checked("pt_nif", "Portuguese NIF", "pt.nif", "PT 501 964 843"),
    _checked("py_ruc", "Paraguayan RUC", "py.ruc", "80028061-0"),
    _checked("ro_tin", "Romanian TIN", "ro.cf", "18547290"),
    _checked("rs_pib", "Serbian PIB", "rs.pib", "101134702"),
    _checked("ru_inn", "Russian INN", "ru.inn", "1234567894"),
    _formed("ru_kpp", "Russian KPP", r"\d{4}[0-9A-Z]{2}\d{3}", "123456789"),
    _formed("sa_vat", "Saudi VAT", r"3\d{13}3", "312345678901233"),
    _formed("sg_gst", "Singaporean GST", r"[A-Z]\d{8}[A-Z]|\d{9}[A-Z]", "M12345678X"),
    _checked("sg_uen", "Singaporean UEN", "sg.uen", "197401143C"),
    _checked("si_tin", "Slovenian TIN", "si.ddv", "50223054"),
    _checked("sm_coe", "San Marino COE", "sm.coe", "024165"),
    _checked("sn_ninea", "Senegalese NINEA", "sn.ninea", "30672212G2"),
    _formed("sr_fin", "Surinamese FIN", r"\d{10}", "1234567890"),
    _checked("sv_nit", "Salvadoran NIT", "sv.nit", "0614-050707-104-8"),
    _checked("th_vat", "Thai VAT", "th.tin", "0-99-4-000-61772-1"),
    _formed("tj_tin", "Tajik TIN", r"\d{9}", "123456789"),
    _checked("tr_tin", "Turkish TIN", "tr.vkn", "4540536920"),
    _formed("tt_bir", "Trinidadian BIR", r"\d{9,10}", "1234567890"),
    _formed("tt_vat", "Trinidadian VAT", r"\d{6}", "123456"),
    _checked("tw_vat", "Taiwanese VAT", "tw.ubn", "00501503"),
    _formed("tz_vat", "Tanzanian VAT", r"\d{8}[A-Z]", "12345678A"),
    _formed("ua_vat", "Ukrainian VAT", r"\d{8}|\d{10}|\d{12}", "123456789012"),
    _formed("ug_tin", "Ugandan TIN", r"\d{10}", "1014751879"),
    _checked("us_ein", "United States EIN", "us.ein", "91-1144442", _AMERICAN),
    _checked("uy_ruc", "Uruguayan RUC", "uy.rut", "211003420017"),
    _formed("uz_tin", "Uzbek TIN", r"\d{9}", "123456789"),
    _formed("uz_vat", "Uzbek VAT", r"\d{12}", "123456789012"),
    _checked("ve_rif", "Venezuelan RIF", "ve.rif", "V-11470283-4"),
    _checked("vn_tin", "Vietnamese TIN", "vn.mst", "0100233488"),
    _formed("za_vat", "South African VAT", r"4\d{9}", "4123456789"),
    _formed("zm_tin", "Zambian TIN", r"\d{10}", "1004751879"),
    _formed("zw_tin", "Zimbabwean TIN", r"\d{10}", "1234567890"),
)
TAX_ID_TYPES: Final = {type_.code: type_ for type_ in _TYPES}
# How the EU writes the country in a VAT id, where that is not the country's code. Monaco is in the
# French VAT area, with numbers of its own there.
VAT_PREFIXES: Final = {"GR": "EL"} | dict.fromkeys(["MC", *_FRENCH.split()], "FR")
