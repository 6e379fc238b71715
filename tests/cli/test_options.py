"""Options of every command, and how results are printed."""

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.cli import progress
from ringwork.cli.main import options_last
from ringwork.cli.options import Options
from tests.cli.conftest import Ringwork


def shown(ringwork: Ringwork, *tokens: str) -> dict[str, dict[str, object]]:
    done = ringwork("config", "show", "--json", *tokens)
    assert (done.code, done.err) == (0, "")
    return {line["key"]: line for line in done.lines}


def test_the_settings_file_lies_in_the_folder_is_named_or_is_absent(
    ringwork: Ringwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(ringwork)["http.port"]["origin"] == "default"
    Path("ringwork.toml").write_text("http.port = 1")
    Path("other.toml").write_text("\nhttp.port = 2")
    assert shown(ringwork)["http.port"]["origin"] == "ringwork.toml:1"
    assert shown(ringwork, "--config", "other.toml")["http.port"]["value"] == 2
    monkeypatch.setenv("RINGWORK_CONFIG", str(tmp_path / "other.toml"))
    assert shown(ringwork)["http.port"]["origin"] == f"{tmp_path / 'other.toml'}:2"
    assert shown(ringwork, "--config", "ringwork.toml")["http.port"]["value"] == 1
    monkeypatch.setenv("RINGWORK_HTTP__PORT", "3")
    assert shown(ringwork)["http.port"]["origin"] == "environment RINGWORK_HTTP__PORT"
    assert shown(ringwork, "--data", "elsewhere")["data"]["origin"] == "flag"


def test_a_settings_file_that_cannot_be_used_is_told(
    ringwork: Ringwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("latin.toml").write_bytes(b"# \xe9t\xe9")
    Path("folder").mkdir()
    for name, message in (
        ("absent.toml", "ringwork: absent.toml: no such settings file\n"),
        ("latin.toml", "ringwork: latin.toml: not UTF-8 at byte 2\n"),
        ("folder", "ringwork: folder: cannot be read: Is a directory\n"),
    ):
        assert ringwork("config", "show", "--config", name) == (2, "", message)
        monkeypatch.setenv("RINGWORK_CONFIG", name)
        assert ringwork("config", "show") == (2, "", message)
        monkeypatch.delenv("RINGWORK_CONFIG")


def test_explain_says_where_each_value_came_from(ringwork: Ringwork) -> None:
    Path("ringwork.toml").write_text("[http]\nport = 9000")
    done = ringwork("config", "show", "--explain")
    row = next(line for line in done.out.splitlines() if line.startswith("http.port"))
    assert row.split() == [
        "http.port", "9000", "ringwork.toml:2", "integer", "1", "to", "65535", "TCP", "port.",
    ]  # fmt: skip
    assert "…" not in done.out
    assert "\x1b" not in done.out
    assert "ringwork.toml" not in ringwork("config", "show").out


def test_options_may_stand_before_the_command(ringwork: Ringwork) -> None:
    Path("other.toml").write_text("http.port = 2")
    done = ringwork("--config=other.toml", "--data", "d", "--json", "config", "show")
    values = {line["key"]: line["value"] for line in done.lines}
    assert (values["http.port"], values["data"]) == (2, "d")


def test_options_last_by_hand() -> None:
    assert options_last(["--json", "keys", "list"]) == ["keys", "list", "--json"]
    assert options_last(["--data", "d", "erase", "--", "-x"]) == [
        "erase", "--data", "d", "--", "-x",
    ]  # fmt: skip
    assert options_last(["--data"]) == ["--data"]
    assert options_last(["--unknown", "--json"]) == ["--unknown", "--json"]


@given(st.lists(st.sampled_from(["--json", "--data", "--data=d", "--config", "x", "keys", "--"])))
def test_options_last_only_moves_and_is_done_after_once(tokens: list[str]) -> None:
    moved = options_last(tokens)
    assert sorted(moved) == sorted(tokens)
    if moved and not moved[0].startswith("--"):
        assert options_last(moved) == moved


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["nothing"], 'Unknown command "nothing"'),
        (["keys", "make"], 'Unknown command "make"'),
        (["--jsn", "verify"], "--jsn"),
        (["keys", "create"], "--role"),
        (["keys", "create", "--role", "boss"], "boss"),
        (["serve", "--port", "many"], "many"),
        (["trace"], "requires an argument"),
        (["log", "export", "--out", "x", "--first-day", "yesterday"], "yesterday"),
        (["--data"], "--data"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(
    ringwork: Ringwork, tokens: list[str], message: str
) -> None:
    done = ringwork(*tokens)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err
    assert not Path("ringwork-data").exists()


def test_a_table_aligns_numbers_names_nothing_as_a_dash_and_cuts_nothing_off(
    ringwork: Ringwork, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"id": "a" * 90, "n": 7, "on": True, "m": {"currency": "EUR", "units": 3, "nanos": 0}},
        {"id": "[bold]", "n": 1234, "on": False, "m": None},
    ]
    Options().table(rows, {"id": "Id", "n": "N", "on": "On", "m": "Money"}, title="Things")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "Things"
    assert lines[2].startswith("a" * 90 + "     7  yes")
    assert lines[3].split() == ["[bold]", "1234", "no", "-"]
    assert len(lines[1]) == len(lines[2]), "heads of numbers stand over their last digits"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_shows_after_two_seconds_and_only_to_who_looks_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for quiet_s, stderr, is_shown in (
        (0.0, Terminal(), True),
        (1000.0, Terminal(), False),
        (0.0, io.StringIO(), False),
    ):
        monkeypatch.setattr(progress, "QUIET_S", quiet_s)
        monkeypatch.setattr(sys, "stderr", stderr)
        with progress.counting() as count:
            count("events", 1_000)
            count("events", 2_000)
        assert ("events 2,000" in stderr.getvalue()) == is_shown
