"""``ringwork gate scan``: exit codes, formats of the answer, bad input."""

import gzip
import json
from pathlib import Path

import pytest

from ringwork.cli.main import run

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def line(target: str, status: int) -> str:
    return f'192.0.2.7 - - [10/Oct/2025:12:00:00 +0000] "GET {target} HTTP/1.1" {status} 5 "-" "{AGENT}"\n'


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    path = tmp_path / "quiet.log"
    path.write_text(line("/", 200))
    return path


@pytest.fixture
def loud(tmp_path: Path) -> Path:
    path = tmp_path / "loud.log"
    path.write_text("".join(line(f"/{one}", 404) for one in range(11)))
    return path


def test_nobody_who_stands_out_ends_with_0(quiet, capsys) -> None:
    assert run(["gate", "scan", str(quiet)]) == 0
    assert "Nobody stands out in 1 requests." in capsys.readouterr().out


def test_a_challenge_ends_with_1_and_says_why(loud, capsys) -> None:
    assert run(["gate", "scan", str(loud)]) == 1
    out = capsys.readouterr().out
    assert "One actor stands out; it sent 11 of 11 requests" in out
    assert "ip:192.0.2.7" in out
    assert "probing 11" in out


def test_json_is_one_object(loud, capsys) -> None:
    assert run(["gate", "scan", str(loud), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["actors"][0]["reasons"][0]["count"] == 11


def test_gzip_reads_the_same(loud, tmp_path, capsys) -> None:
    packed = tmp_path / "loud.log.gz"
    packed.write_bytes(gzip.compress(loud.read_bytes()))
    assert run(["gate", "scan", str(packed), "--json"]) == 1
    answer = capsys.readouterr().out
    run(["gate", "scan", str(loud), "--json"])
    assert answer == capsys.readouterr().out


def test_the_page_loads_nothing_and_runs_nothing(loud, tmp_path) -> None:
    page = tmp_path / "scan.html"
    assert run(["gate", "scan", str(loud), "--html", str(page)]) == 1
    text = page.read_text()
    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert "<svg" in text


@pytest.mark.parametrize(
    "more", [["--format", "morse"], ["--actor", "soul"], ["--html", "/nowhere/at/all.html"]]
)
def test_bad_usage_ends_with_2(quiet, more) -> None:
    assert run(["gate", "scan", str(quiet), *more]) == 2


def test_a_file_that_cannot_be_read_ends_with_2_and_is_named(tmp_path, capsys) -> None:
    assert run(["gate", "scan", str(tmp_path / "missing.log")]) == 2
    assert "missing.log: cannot be read" in capsys.readouterr().err
    assert run(["gate", "scan", str(tmp_path)]) == 2
    empty = tmp_path / "empty.log"
    empty.touch()
    assert run(["gate", "scan", str(empty)]) == 2
    assert "empty.log: expected a log, got an empty file" in capsys.readouterr().err
    cut = tmp_path / "cut.log.gz"
    cut.write_bytes(gzip.compress(line("/", 200).encode() * 100)[:-20])
    assert run(["gate", "scan", str(cut)]) == 2
    assert "cut.log.gz: expected gzip" in capsys.readouterr().err
