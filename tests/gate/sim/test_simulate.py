"""``ringwork gate simulate``: tables and JSON lines."""

import json

import pytest

from ringwork.cli.main import OK, USAGE, run


def test_a_line_for_each_rule_set_and_attack(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--users", "1000", "--attack", "leak-list,tiny-books", "--accounts", "2", "--json"]
    assert run(["gate", "simulate", "--rules", "none,signal-2026", *args]) == OK
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["rules"], one.get("attack")) for one in lines] == [
        ("none", None),
        ("signal-2026", None),
        ("none", "leak-list"),
        ("none", "tiny-books"),
        ("signal-2026", "leak-list"),
        ("signal-2026", "tiny-books"),
    ]
    assert lines[0]["user_months"] == 1_030
    assert lines[2]["learned"] > lines[3]["learned"] > 0


def test_the_table_says_its_scale_and_its_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gate", "simulate", "--users", "1000", "--attack", "honest", "--mode", "mutual",
                "--rules", "ndss-2021"]) == OK  # fmt: skip
    out = capsys.readouterr().out
    assert "1,000 people, 10,000 numbers, mode mutual" in out
    assert "at most 0.290%" in out  # 0 of 1,030: 1 - 0.05^(1/1030)


def test_pages_stand_beside_plain_limits(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gate", "simulate", "--attack", "profile-pages", "--readers", "200", "--json",
                "--rules", "none"]) == OK  # fmt: skip
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["rules"] for one in lines] == ["none", "address-60", "account-200"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--attack", "guess"], "--attack: expected all, honest"),
        (["--rules", "telegram"], "--rules: expected none, whatsapp-2020"),
        (["--users", "5"], "users: expected 1,000"),
        (["--users", "1000", "--days", "0"], "days: expected 1 to 90"),
    ],
)
def test_bad_input_is_a_sentence(
    args: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["gate", "simulate", *args]) == USAGE
    assert told in capsys.readouterr().err
