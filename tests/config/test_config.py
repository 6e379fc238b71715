"""Settings: which source wins, where a value came from, and what is said of one that is wrong."""

import re
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from ringwork.app.settings import Settings
from ringwork.kernel.config import Loaded, explain, load
from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.setting import settings_of


def loaded(
    toml: str | None = None,
    environment: dict[str, str] | None = None,
    flags: dict[str, object] | None = None,
) -> Loaded[Settings]:
    return load(
        Settings,
        toml=toml,
        toml_name="ringwork.toml",
        environment=environment or {},
        flags=flags or {},
    )


def test_without_sources_everything_is_the_default() -> None:
    found = loaded()
    assert found.settings == Settings()
    assert found.origins == {}
    assert {one.origin for one in explain(found)} == {"default"}


def test_flags_win_over_environment_over_file_over_defaults() -> None:
    toml = "tenant = 'file'\n[http]\nport = 1\nhost = 'file'\nshutdown_s = 3"
    environment = {"RINGWORK_HTTP__PORT": "2", "RINGWORK_HTTP__HOST": "environment"}
    found = loaded(toml, environment, {"http.port": 3})
    http = found.settings.http
    assert (http.port, http.host, http.shutdown_s, found.settings.tenant) == (
        3,
        "environment",
        3,
        "file",
    )
    assert found.origins == {
        "tenant": "ringwork.toml:1",
        "http.port": "flag",
        "http.host": "environment RINGWORK_HTTP__HOST",
        "http.shutdown_s": "ringwork.toml:5",
    }


def test_explain_gives_every_setting_its_value_origin_bounds_and_purpose() -> None:
    rows = {one.key: one for one in explain(loaded("http.port = 9000"))}
    assert set(rows) == {setting.key for setting in settings_of(Settings)}
    port = rows["http.port"]
    assert (port.value, port.origin, port.type) == (9000, "ringwork.toml:1", "integer 1 to 65535")
    assert rows["clock.speed"].value is None
    assert rows["logging.level"].type == "debug, error, info, warning"
    # A setting that nobody explains is not finished.
    assert [key for key, one in rows.items() if not one.description] == []


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ("# port = 1\n\nhttp.port = 5", 3),
        ("[http]\n# comment\n\nport = 5", 4),
        ("[ http ]\n'port' = 5", 2),
        ("data = '''\n[http]\nport = 1\n'''\n[http]\nport = 5", 6),
        ("tenant = 'a'\nhttp = {host = 'h', port = 5}", 2),
        ("[log]\nmax_file_mib = 1\n[http]\nhost = 'port = 1'\nport = 5 # yes", 5),
    ],
)
def test_the_line_is_found_however_toml_writes_it(toml: str, line: int) -> None:
    found = loaded(toml)
    assert found.settings.http.port == 5
    assert found.origins["http.port"] == f"ringwork.toml:{line}"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("\nhttp.port = 70000", "ringwork.toml:2: http.port = 70000, expected integer 1 to 65535"),
        ("http.port = '1'", 'ringwork.toml:1: http.port = "1", expected integer 1 to 65535'),
        ("http.prot = 1", "ringwork.toml:1: there is no setting 'http.prot'; did you mean http.po"),
        ("wxyz.qqq = 1", "ringwork.toml:1: there is no setting 'wxyz.qqq'$"),
        ("[data]\nx = 1", "ringwork.toml:2: there is no setting 'data.x'; did you mean data"),
        ("console = 1", "ringwork.toml:1: 'console' holds settings and is none itself; there are"),
        ("console.enabled = 1", "ringwork.toml:1: console.enabled = 1, expected true or false"),
        ("tenant = 'A b'", 'ringwork.toml:1: tenant = "A b", expected string matching'),
        ("logging.level = 'loud'", 'level = "loud", expected debug, error, info, warning'),
        ("[clock]\nspeed = 2", "ringwork.toml:2: clock.real_start_us has no default"),
        ("[[http]]\nport = 1", "ringwork.toml:1: 'http' holds settings and is none itself"),
        (
            '[[supply.records]]\nsystem = "x.example"\naccount = "1"\nrelationship = "NEPHEW"',
            re.escape('supply.records = [{"system":"x.example","account":"1",'),
        ),
        (
            'supply.records = ["x"]',
            re.escape("expected list of {system = string, account = string, relationship = DIRECT"),
        ),
        ("port 1", "ringwork.toml: not TOML: .*line 1"),
        ("tenant = 'a'\ntenant = 'b'", "ringwork.toml: not TOML: Cannot overwrite a value"),
    ],
)
def test_a_wrong_file_is_told_with_line_key_what_came_and_what_is_allowed(
    toml: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^.*{message}"):
        loaded(toml)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("RINGWORK_HTTP__PORT", "many", 'HTTP__PORT: http.port = "many", expected integer 1 to'),
        ("RINGWORK_HTTP__PORT", "", 'HTTP__PORT: http.port = "", expected integer 1 to 65535'),
        ("RINGWORK_HTTP__PRT", "1", "RINGWORK_HTTP__PRT: there is no setting 'http.prt'; did you"),
        ("RINGWORK_HTTP_PORT", "1", "there is no setting 'http_port'; did you mean http.port?"),
        ("RINGWORK_CONSOLE__ENABLED", "yes", 'console.enabled = "yes", expected true or false'),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(name: str, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"environment {name}: ")) as raised:
        loaded(environment={name: text})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            '[[exchange.bidders]]\nid = "dsp"',
            r"toml:1: exchange.bidders\[0\]: Object missing.*endpoint",
        ),
        (
            '[[exchange.bidders]]\nid = "dsp"\nendpoint = "ftp://a"',
            r"toml:1: exchange.bidders\[0\].endpoint: Expected `str` matching",
        ),
        (
            '[[exchange.bidders]]\nid = "dsp"\nendpoint = "https://a"\ntmaxms = 3',
            r"toml:1: exchange.bidders\[0\]: Object contains unknown field `tmaxms`",
        ),
        (
            'exchange.bidders = [{id = "a", endpoint = "https://a"}, {id = "a", endpoint = "https://b"}]',
            "toml:1: exchange: every bidder needs an id of its own, got one twice",
        ),
    ],
)
def test_what_is_wrong_with_an_item_of_a_list_is_told(toml: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        loaded(toml)


def test_a_list_of_tables_can_be_given_in_a_variable() -> None:
    text = '[{id = "dsp", endpoint = "https://dsp.example/bid"}]'
    (bidder,) = loaded(None, {"RINGWORK_EXCHANGE__BIDDERS": text}).settings.exchange.bidders
    assert (bidder.id, bidder.endpoint, bidder.tmax_ms) == ("dsp", "https://dsp.example/bid", 150)


def test_a_wrong_flag_is_told_as_one() -> None:
    with pytest.raises(ConfigurationError, match=re.escape("flag: http.port = 0, expected int")):
        loaded(flags={"http.port": 0})


def test_variables_are_read_by_the_type_of_their_setting() -> None:
    environment = {
        "RINGWORK_DATA": "2026",
        "RINGWORK_TENANT": "true",
        "RINGWORK_HTTP__ALLOW_REMOTE": "true",
        "RINGWORK_HTTP__PORT": "1_000",
        "RINGWORK_LOGGING__LEVEL": "error",
        "RINGWORK_CONFIG": "not a setting",
        "PATH": "not ours",
    }
    settings = loaded(environment=environment).settings
    assert (settings.data, settings.tenant, settings.logging.level) == ("2026", "true", "error")
    assert (settings.http.allow_remote, settings.http.port) == (True, 1000)


VALUES: dict[str, st.SearchStrategy[object]] = {
    "data": st.text("ab/.#='\n é", max_size=8),
    "tenant": st.text("abc-0", min_size=1, max_size=8),
    "http.host": st.text("[]=.1a", max_size=8),
    "http.port": st.integers(1, 65535),
    "http.allow_remote": st.booleans(),
    "log.max_file_mib": st.integers(1, 65536),
    "console.enabled": st.booleans(),
    "ads.currency": st.sampled_from(["EUR", "USD"]),
}


def toml_of(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    escaped = "".join(f"\\u{ord(char):04x}" if char in '"\\\n' else char for char in str(value))
    return f'"{escaped}"'


@given(st.data())
def test_any_file_gives_back_its_values_and_their_lines(data: st.DataObject) -> None:
    chosen = data.draw(st.fixed_dictionaries({}, optional=VALUES))
    keys = data.draw(st.permutations(sorted(chosen)))
    lines: list[str] = []
    expected: dict[str, str] = {}
    for key in keys:
        lines += data.draw(st.lists(st.sampled_from(["", "# http.port = 7", "  "]), max_size=2))
        lines.append(f"{key} = {toml_of(chosen[key])}")
        expected[key] = f"ringwork.toml:{len(lines)}"
    found = loaded("\n".join(lines))
    assert found.origins == expected
    values = {one.key: one.value for one in explain(found)}
    assert {key: values[key] for key in chosen} == chosen


@given(
    st.text("htp.port=[]{}'\"#\n 01a_", max_size=40),
    st.dictionaries(
        st.sampled_from(["RINGWORK_HTTP__PORT", "RINGWORK_", "RINGWORK___", "RINGWORK_CLOCK__X"]),
        st.text(max_size=6),
        max_size=2,
    ),
)
def test_no_input_gives_anything_but_settings_or_an_error_with_its_place(
    toml: str, environment: dict[str, str]
) -> None:
    told = "ringwork.toml"
    try:
        loaded(toml, environment)
    except ConfigurationError as error:
        told = str(error)
    assert told.startswith(("ringwork.toml", "environment RINGWORK_"))


class Oven(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tree of its own: the loader knows nothing of Ringwork's."""

    heat: Annotated[float, Meta(ge=0, le=1)] = 0.5
    shelf: Annotated[int, Meta(ge=1)] = 1
    """Counted from below,
    as people do."""
    minutes: Annotated[int, Meta(le=90)] = 30
    note: Annotated[str, Meta(description="What the cook wrote.")] = ""
    extra: list[str] = []


def test_bounds_are_told_in_words_and_the_text_below_a_field_is_its_description() -> None:
    found = load(
        Oven, toml="extra = ['a']", toml_name="oven.toml", environment={}, flags={"heat": 1.0}
    )
    rows = {one.key: one for one in explain(found)}
    assert {key: one.type for key, one in rows.items()} == {
        "heat": "float 0 to 1",
        "shelf": "integer from 1",
        "minutes": "integer up to 90",
        "note": "string",
        "extra": "list of string",
    }
    assert rows["shelf"].description == "Counted from below,\nas people do."
    assert rows["note"].description == "What the cook wrote."
    assert (rows["extra"].value, rows["extra"].origin) == (["a"], "oven.toml:1")
