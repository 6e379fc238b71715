"""The commands around the audit log: exit codes, what they say, keys and copies."""

import json
import stat
from pathlib import Path

import pytest

from ringwork.fairness.log import Signer
from tests.cli.conftest import Ringwork
from tests.fairness.logs import SEED, made

LOG = made(3, episodes=1)
PUBLIC = Signer(SEED).public


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "fairness.jsonl"
    path.write_bytes(LOG)
    return path


def test_audit_of_a_sound_log_ends_with_0_and_says_what_it_could_not_know(
    ringwork: Ringwork, log: Path
) -> None:
    done = ringwork("fairness", "audit", str(log))
    assert done.code == 0
    assert done.out.startswith("SOUND: ")
    assert "--public-key" in done.out
    assert "--head" in done.out
    (line,) = ringwork("fairness", "log", "head", str(log)).out.splitlines()
    done = ringwork("fairness", "audit", str(log), "--head", line, "--json")
    assert done.lines[0]["verdict"] == "sound"
    assert done.lines[0]["is_head_from_outside"]


def test_each_verdict_has_its_exit_code(ringwork: Ringwork, log: Path, tmp_path: Path) -> None:
    assert ringwork("fairness", "audit", str(log), "--public-key", PUBLIC.upper()).code == 0
    other = ringwork("fairness", "audit", str(log), "--public-key", "00" * 32)
    assert (other.code, "record 0:" in other.out) == (2, True)
    log.write_bytes(LOG.replace(b'"proxy_ppb":', b'"proxy_ppb":1', 1))
    broken = ringwork("fairness", "audit", str(log), "--json")
    assert (broken.code, broken.lines[0]["verdict"]) == (2, "broken")
    assert broken.lines[0]["findings"][0]["seq"] > 0
    log.write_bytes(b"\x00\x01\n")
    assert ringwork("fairness", "audit", str(log)).code == 3
    missing = ringwork("fairness", "audit", str(tmp_path / "nowhere"))
    assert (missing.code, "nowhere" in missing.err) == (3, True)


def test_a_figure_that_differs_is_1(ringwork: Ringwork, tmp_path: Path) -> None:
    from tests.fairness.test_audit import TAMPERED  # noqa: PLC0415

    path = tmp_path / "l"
    path.write_bytes(TAMPERED["signed with the right key, figure changed"][0])
    done = ringwork("fairness", "audit", str(path))
    assert done.code == 1
    assert "proxy_ppb: expected" in done.out


@pytest.mark.parametrize(
    "wrong",
    [("--public-key", "12"), ("--head", "x"), ("--report", "report.pdf")],
)
def test_a_wrong_option_is_named(ringwork: Ringwork, log: Path, wrong: tuple[str, str]) -> None:
    done = ringwork("fairness", "audit", str(log), *wrong)
    assert done.code == 2
    assert wrong[0] in done.err or wrong[1] in done.err


def test_a_report_is_written_in_three_forms_and_held_against_its_log(
    ringwork: Ringwork, log: Path, tmp_path: Path
) -> None:
    out = tmp_path / "reports"
    done = ringwork("fairness", "report", str(log), "--format", "all", "--out", str(out))
    assert done.code == 0
    assert {one.name for one in out.iterdir()} == {"report.html", "report.json", "report.csv"}
    published = out / "report.json"
    assert ringwork("fairness", "audit", str(log), "--against", str(published)).code == 0
    text = json.loads(published.read_text())
    text["coverage"][0]["within"] = 99
    published.write_text(json.dumps(text))
    done = ringwork("fairness", "audit", str(log), "--against", str(published))
    assert (done.code, "/coverage/0/within" in done.out) == (1, True)
    written = tmp_path / "mine.csv"
    assert ringwork("fairness", "audit", str(log), "--report", str(written)).code == 0
    assert written.read_bytes() == (out / "report.csv").read_bytes()
    assert ringwork("fairness", "report", str(log), "--format", "csv").out.startswith("period,")


def test_a_report_is_of_the_newest_period_or_the_named_one(
    ringwork: Ringwork, tmp_path: Path
) -> None:
    (tmp_path / "l").write_bytes(made(2, episodes=1, periods=2))
    report = ("fairness", "report", "l", "--format", "json")
    assert json.loads(ringwork(*report).out)["period"] == "2026-2"
    first = json.loads(ringwork(*report, "--period", "2026-1").out)
    assert first["period"] == "2026-1"
    assert {one["episode"] for one in first["figures"]} == {1}
    done = ringwork(*report, "--period", "1999")
    assert (done.code, "1999" in done.err) == (2, True)


def test_a_broken_log_gives_no_report(ringwork: Ringwork, log: Path, tmp_path: Path) -> None:
    log.write_bytes(LOG.replace(b'"seq":3', b'"seq":4', 1))
    out = tmp_path / "x.html"
    for command in (
        ("report", str(log), "--out", str(out)),
        ("dossier", str(log), "--out", str(out)),
    ):
        done = ringwork("fairness", *command)
        assert (done.code, "record 3" in done.err) == (2, True)
    assert ringwork("fairness", "audit", str(log), "--report", str(out)).code == 2
    assert not out.exists()


def test_the_technical_documentation_is_one_archive(
    ringwork: Ringwork, log: Path, tmp_path: Path
) -> None:
    (tmp_path / "p.yaml").write_text("name: Casa Ltd\n")
    done = ringwork("fairness", "dossier", str(log), "--provider", "p.yaml", "--json")
    assert done.code == 0
    assert "technical-documentation.html" in done.lines[0]["files"]
    assert (tmp_path / "dossier.zip").read_bytes().startswith(b"PK")


def test_budget_shows_what_is_left(ringwork: Ringwork, log: Path) -> None:
    rows = ringwork("fairness", "budget", str(log), "--json").lines
    assert [row["ad"] for row in rows] == ["ad-0", "ad-1", "ad-2"]
    (row,) = ringwork("fairness", "budget", str(log), "ad-1", "--json").lines
    assert (row["epsilon"], row["epsilon_left"], row["releases"]) == (3.65, 0.35, 1)
    assert ringwork("fairness", "budget", str(log), "ad-9").code == 2


def test_keys_are_made_once_and_readable_by_one(ringwork: Ringwork, tmp_path: Path) -> None:
    done = ringwork("fairness", "log", "keygen", "--json")
    key = tmp_path / "fairness.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    seed = bytes.fromhex(key.read_text())
    assert done.lines[0]["public_key"] == Signer(seed).public
    assert seed.hex() not in done.out
    again = ringwork("fairness", "log", "keygen")
    assert (again.code, "never overwritten" in again.err) == (2, True)
    assert bytes.fromhex(key.read_text()) == seed


def test_a_key_is_rotated_and_the_log_stays_sound(
    ringwork: Ringwork, log: Path, tmp_path: Path
) -> None:
    (tmp_path / "old.key").write_text(SEED.hex())
    ringwork("fairness", "log", "keygen", "--out", "new.key")
    log.write_bytes(LOG + b'{"torn')
    rotate = ("fairness", "log", "rotate-key", str(log), "--new", "new.key", "--reason", "yearly")
    done = ringwork(*rotate, "--key", "old.key", "--json")
    assert (done.code, done.lines[0]["torn_bytes"]) == (0, 6)
    assert ringwork("fairness", "audit", str(log), "--public-key", PUBLIC).code == 0
    again = ringwork(*rotate, "--key", "old.key")
    assert (again.code, "expected the key" in again.err) == (2, True)
    (tmp_path / "bad.key").write_text("zz")
    assert "64 hex digits" in ringwork(*rotate, "--key", "bad.key").err


def test_an_export_ends_in_a_signed_record(ringwork: Ringwork, log: Path, tmp_path: Path) -> None:
    rows = LOG.splitlines(keepends=True)
    signed = max(at for at, row in enumerate(rows[:-2]) if b'"sig"' in row)
    log.write_bytes(b"".join(rows[:-2]))
    done = ringwork("fairness", "log", "export", str(log), "copy.jsonl", "--json")
    assert done.lines[0]["records"] == signed + 1
    assert (tmp_path / "copy.jsonl").read_bytes() == b"".join(rows[: signed + 1])
    assert ringwork("fairness", "log", "export", str(log), "copy.jsonl").code == 2


COMMANDS = (
    "audit", "report", "dossier", "budget", "log", "log keygen", "log head", "log export",
    "log rotate-key",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(ringwork: Ringwork, command: str) -> None:
    done = ringwork("fairness", *command.split(), "--help")
    assert (done.code, done.err) == (0, "")
    if command != "log":
        assert f"Example: ringwork fairness {command}" in done.out
