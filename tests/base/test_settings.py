"""Settings: read from file and environment, refused with all reasons, shown without secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tollkeeper.base.settings import Secret, Settings
from tollkeeper.base.settings_page import effective, reference_page
from tollkeeper.base.settings_source import SettingsError, load_settings, setting_types

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "tollkeeper.toml"


def faults(file: Path | None, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(file, environ)
    assert str(caught.value).count("\n") == len(caught.value.faults)
    return caught.value.faults


def test_nothing_said_is_a_good_setting(file: Path) -> None:
    settings = load_settings(None, {})
    assert settings == Settings()
    assert settings.server.host == "127.0.0.1"
    assert settings.currencies.keys() == {"USD"}
    file.write_text("")
    assert load_settings(None, {}) == settings


def test_the_environment_wins_over_the_file(file: Path) -> None:
    file.write_text(
        """
        [server]
        port = 9000
        workers = 3
        [billing]
        low_balance = 2.50
        overdraft = 1
        [providers.openai]
        kind = "openai"
        models = ["gpt-*"]
        markup_percent = 12.5
        [providers.openai.model_names]
        fast = "gpt-5-mini"
        [currencies.DIEM]
        precision = 4
        usd_value = 0.1
        """
    )
    settings = load_settings(
        None,
        {
            "TOLLKEEPER_SERVER__PORT": "9001",
            "TOLLKEEPER_BILLING__OVERDRAFT": "0.000000001",
            "TOLLKEEPER_GATEWAY__CLAMP": "true",
            "TOLLKEEPER_PROVIDERS__OPENAI__API_KEY": "sk-secret",
            "TOLLKEEPER_PROVIDERS__OWN_1__KIND": "openai",
            "TOLLKEEPER_PROVIDERS__OWN_1__BASE_URL": "http://10.0.0.1/v1",
            "TOLLKEEPER_PROVIDERS__OWN_1__MODELS": "llama-*, qwen",
            "TOLLKEEPER_PROVIDERS__OWN_1__MODEL_NAMES": '{"a": "b"}',
            "TOLLKEEPER_CURRENCIES__VCU__USD_VALUE": "0.01",
            "TOLLKEEPER_LOG__LEVEL": "",
            "HOME": "/root",
        },
    )
    assert (settings.server.port, settings.server.workers) == (9001, 3)
    assert settings.billing.low_balance_nanos == 2_500_000_000
    assert settings.billing.overdraft_nanos == 1
    assert settings.gateway.clamp is True
    openai, own = settings.providers["openai"], settings.providers["own_1"]
    assert openai.api_key == Secret("sk-secret")
    assert openai.markup_percent == 125_000
    assert openai.model_names == {"fast": "gpt-5-mini"}
    assert own.models == ["llama-*", "qwen"]
    assert own.model_names == {"a": "b"}
    assert settings.currencies.keys() == {"USD", "DIEM", "VCU"}
    assert settings.currencies["DIEM"].usd_value == 100_000_000
    assert settings.log.level == "info"


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"DATABASE_URL": "postgresql://a"}, "postgresql://a"),
        ({"DATABASE_URL": ""}, "postgresql://file"),
        ({"DATABASE_URL": "a", "TOLLKEEPER_DATABASE__URL": "postgresql://b"}, "postgresql://b"),
    ],
)
def test_database_url(file: Path, environ: dict[str, str], url: str) -> None:
    file.write_text('[database]\nurl = "postgresql://file"')
    assert load_settings(file, environ).database.url == Secret(url)


def test_the_file_is_the_argument_or_the_variable_or_here(file: Path, tmp_path: Path) -> None:
    for number, path in enumerate((file, tmp_path / "a.toml", tmp_path / "b.toml"), 9001):
        path.write_text(f"[server]\nport = {number}")
    config = {"TOLLKEEPER_CONFIG": str(tmp_path / "a.toml")}
    assert load_settings(None, {}).server.port == 9001
    assert load_settings(None, config).server.port == 9002
    assert load_settings(tmp_path / "b.toml", config).server.port == 9003


def test_currencies_are_spent_in_their_order_and_dollars_last(file: Path) -> None:
    defined = """
        [currencies.USD]
        precision = 2
        [currencies.VCU]
        usd_value = 0.01
        [currencies.DIEM]
        usd_value = 0.000000001
        """
    file.write_text(defined)
    assert load_settings(None, {}).spending == {"VCU": 10_000_000, "DIEM": 1, "USD": 10**9}
    for order, expected in (
        (["DIEM"], ["DIEM", "VCU", "USD"]),
        (["USD", "DIEM"], ["USD", "DIEM", "VCU"]),
    ):
        file.write_text(f"billing.spending_order = {order}\n{defined}")
        assert list(load_settings(None, {}).spending) == expected
    for order in (["DIEM", "DIEM"], ["EUR"]):
        file.write_text(f"billing.spending_order = {order}\n{defined}")
        with pytest.raises(SettingsError, match="must name defined currencies, each once"):
            load_settings(None, {})


def test_every_fault_at_once_with_its_name_and_what_is_allowed(file: Path) -> None:
    file.write_text(
        """
        [server]
        port = "x"
        hosts = "a"
        [gateway]
        total_timeout_seconds = 3000
        [billing]
        low_balance = 1e5
        overdraft = -1
        [providers.azure]
        kind = "openid"
        [providers."Open AI"]
        kind = "openai"
        [currencies.diem]
        [metring]
        """
    )
    environ = {
        "TOLLKEEPER_GATEWAY__DRAIN_SECOND": "1",
        "TOLLKEEPER_LOG__LEVEL": "loud",
        "TOLLKEEPER_PROVIDERS__X__API_KYE": "s",
        "TOLLKEEPER_SERVER__WORKERS": "many",
        "TOLLKEEPER_METRING__EVENTS_LIMIT": "1",
    }
    assert "\n".join(sorted(faults(file, **environ))) == ALL_FAULTS


ALL_FAULTS = """\
TOLLKEEPER_GATEWAY__DRAIN_SECOND is not a setting; did you mean TOLLKEEPER_GATEWAY__DRAIN_SECONDS?
TOLLKEEPER_METRING__EVENTS_LIMIT is not a setting; did you mean TOLLKEEPER_METERING__EVENTS_LIMIT?
TOLLKEEPER_PROVIDERS__X__API_KYE is not a setting; did you mean TOLLKEEPER_PROVIDERS__X__API_KEY?
billing.low_balance must be an amount of 0 or more such as 12.50, with at most 9 decimals: \
'1e5' is not a plain decimal with at most 9 decimals
billing.overdraft must be an amount of 0 or more such as 12.50, with at most 9 decimals
currencies.diem is no name for one: it must be capital letters, digits and _
gateway hold_ttl_seconds must be at least total_timeout_seconds + drain_seconds (3030), \
or holds end before their calls do
log.level (from TOLLKEEPER_LOG__LEVEL) must be one of debug, error, info, warning
metring is not known; did you mean metering?
providers.Open AI is no name for one: it must be lower-case letters, digits, - and _
providers.azure.kind must be one of anthropic, openai, sandbox
server.hosts is not known; did you mean host?
server.port must be a whole number from 0 to 65535
server.workers (from TOLLKEEPER_SERVER__WORKERS) must be a whole number from 1 to 256"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server = 5", "server must be an object"),
        ("providers = 5", "providers must be an object"),
        ("currencies = 5", "currencies must be an object"),
        ("[currencies.USD]\nusd_value = 2", "settings currencies.USD.usd_value must be 1"),
        ("[providers.x]", "providers.x.kind is required: one of anthropic, openai, sandbox"),
        ("[providers.x]\nkind='openai'\nmarkup_percent=1.00001", "at most 4 decimals"),
        ("[providers.x]\nkind='openai'\nmarkup_percent=-100", "a percentage above -100"),
        ("[providers.x]\nkind='openai'\nbase_url='ftp://x'", "text such as https://api.openai"),
        ("[database]\npool_min=9\npool_max=2", "pool_min must be at most pool_max"),
        ("[database]\nurl='mysql://x/y'", "database url must be an address such as postgresql:"),
        ("[server]\npublic_url='nonsense'", "public_url must be text such as https://ai"),
        ("[billing]\ntop_up_url='nonsense'", "top_up_url must be text such as https://"),
        ("[seller]\ntime_zone='Europe/Berln'", "time_zone must be a name such as Europe/Berlin"),
        ("[seller]\ncountry='UK'", "country must be a country's code (ISO 3166) such as DE"),
        ("[taxes.UK]\npercent=20", "a country's code (ISO 3166: GB, not UK), or default"),
        ("[console]\nlogo='/none.svg'", "logo must be the path of a file; /none.svg is none"),
        ("[invoices]\nfont_dirs=['/none']", "font_dirs must be directories; /none is none"),
        ("[server", "is not valid TOML"),
        ("[server]\nport=1\nport=2", "is not valid TOML"),
    ],
)
def test_faults_of_a_file(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    (only,) = faults(None)
    assert said in only


def test_a_file_that_is_not_there_or_is_no_text(file: Path, tmp_path: Path) -> None:
    (missing,) = faults(tmp_path / "none.toml")
    assert missing.endswith("none.toml cannot be read: No such file or directory")
    file.write_bytes(b"\xff\xfe")
    (binary,) = faults(None)
    assert "is not valid TOML" in binary


def test_the_environment_cannot_nest_where_the_file_has_a_value(file: Path) -> None:
    file.write_text("server = 5")
    assert faults(None, TOLLKEEPER_SERVER__PORT="1") == ["server must be an object"]


def test_what_is_in_force_is_shown_without_secrets(file: Path) -> None:
    file.write_text('[providers.a]\nkind = "openai"\napi_key = "sk-1"\n[billing]\noverdraft = 1.5')
    settings = load_settings(None, {"DATABASE_URL": "postgresql://u:pass@h/d"})
    shown = {name: value for name, value, _ in effective(settings)}
    assert shown["database.url"] == shown["providers.a.api_key"] == "(secret)"
    assert shown["billing.overdraft"] == "1.5"
    assert shown["server.public_url"] == "(not set)"
    assert shown["currencies.USD.usd_value"] == "1"
    for text in (str(shown), repr(settings), str(settings.database)):
        assert "sk-1" not in text
        assert "pass" not in text


def test_every_setting_says_what_it_does() -> None:
    given = {"TOLLKEEPER_PROVIDERS__A__KIND": "sandbox", "TOLLKEEPER_TAXES__DE__PERCENT": "19"}
    settings = load_settings(Path("/dev/null"), given)
    described = {name: description for name, _, description in effective(settings)}
    assert all(text.endswith(".") for text in described.values()), described
    names = {"<name>": "a", "<CODE>": "USD", "<COUNTRY>": "DE"}
    for place, _ in setting_types():
        assert re.sub("<[^>]+>", lambda found: names[found[0]], place) in described


def test_the_reference_page_is_in_step() -> None:
    again = "run: python -m tollkeeper.base.settings_page > docs/reference/settings.md"
    assert PAGE.read_text("utf-8") == reference_page() + "\n", again
