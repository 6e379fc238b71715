"""The benchmarks' runner: what it writes, and what a missed goal or a wrong answer ends with."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

import benchmarks.__main__ as runner
from benchmarks.foundation.event_log import result
from tests.cli.conftest import Ringwork

Goals = list[dict[str, object]]


@pytest.fixture
def area(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An area of its own, with one goal met, one missed, and a module that measures nothing."""
    folder = tmp_path / "trial"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "helper.py").write_text("")
    (folder / "speed.py").write_text(
        "from benchmarks.foundation.event_log import result\n"
        "def run(quick):\n"
        "    met = result('fast', 3.0 if quick else 4.0, 2.0, 'x')\n"
        "    return [{**met, 'peer': 'other: 1 [x]', 'ratio': 3.0}, result('slow', 1.0, 2.0, 's')]\n"
    )
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.setattr(runner, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(runner, "QUICK_RESULTS", tmp_path / "quick")
    package = ModuleType("benchmarks.trial")
    package.__path__ = [str(folder)]
    monkeypatch.setitem(sys.modules, "benchmarks.trial", package)
    yield folder
    for name in [name for name in sys.modules if name.startswith("benchmarks.trial")]:
        del sys.modules[name]


def test_goals_are_shown_and_written_after_their_machine(
    area: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner.main(["trial", "--quick"]) == 0
    machine, fast, slow = msgspec.json.decode((area.parent / "quick" / "trial.json").read_bytes())
    assert (machine["goal"], machine["ok"]) == ("machine", True)
    assert "Python 3." in machine["measured"]
    assert "quick sizes" in machine["measured"]
    assert fast == {
        "goal": "fast", "measured": 3.0, "target": 2.0, "unit": "x", "ok": True,
        "peer": "other: 1 [x]", "ratio": 3.0,
    }  # fmt: skip
    assert slow["ok"] is False
    out = capsys.readouterr().out
    assert "1 of 2 goals met" in out
    (row,) = [line for line in out.splitlines() if line.startswith("fast")]
    assert row.split() == ["fast", "3.0", "2.0", "x", "ok", "3.0", "other:", "1", "[x]"]


def test_a_missed_goal_fails_only_when_asked_to_be_strict(area: Path) -> None:
    assert runner.main(["trial"]) == 0
    machine, fast, _ = msgspec.json.decode((area.parent / "results" / "trial.json").read_bytes())
    assert "quick" not in machine["measured"]
    assert fast["measured"] == 4.0
    assert not (area.parent / "quick").exists()
    assert runner.main(["trial", "--strict"]) == 1
    (area / "speed.py").unlink()
    for name in ("benchmarks.trial.speed",):
        del sys.modules[name]
    (area / "other.py").write_text("def run(quick): return []\n")
    assert runner.main(["trial", "--strict"]) == 0


def test_a_wrong_answer_fails_always_and_does_not_stop_the_others(
    area: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (area / "broken.py").write_text("def run(quick):\n    assert False, 'overspend'\n")
    assert runner.main(["trial", "--quick"]) == 1
    goals: Goals = msgspec.json.decode((area.parent / "quick" / "trial.json").read_bytes())
    assert [(goal["goal"], goal["measured"]) for goal in goals[1:]] == [
        ("broken", "AssertionError: overspend"),
        ("fast", 3.0),
        ("slow", 1.0),
    ]
    assert "MISSED" in capsys.readouterr().out


def test_an_unknown_area_is_refused(
    area: Path, capsys: pytest.CaptureFixture[str], ringwork: Ringwork
) -> None:
    with pytest.raises(SystemExit) as raised:
        runner.main(["nothing"])
    assert raised.value.code == 2
    assert "trial" in capsys.readouterr().err
    done = ringwork("bench", "nothing")
    message = "ringwork: no benchmarks/nothing here: run this in the root of the source tree\n"
    assert done == (2, "", message)


def test_the_foundation_has_a_run_in_every_module_that_measures() -> None:
    names = [name for name, _ in runner.runs_of("foundation")]
    assert {"cold_start", "event_log", "ledger", "replay"} <= set(names)
    assert names == sorted(names)
    assert result("g", 1.004, 1, "x", at_most=True)["ok"] is False, "rounding meets no goal"
