"""``ringwork fairness bench`` and ``train``: what they print, write and refuse."""

from pathlib import Path

import pytest

from tests.cli.conftest import Ringwork

WORLD = """
from dataclasses import replace
from ringwork.fairness.bench.worlds import RECIPES, make as of
def make(seed):
    return of(replace(RECIPES["standard"], name="mine", ads=3, impressions=(5.9, .1, 320, 450)), seed)
"""


@pytest.fixture
def world(tmp_path: Path) -> str:
    """A world of three small ads, as somebody else would bring it."""
    path = tmp_path / "mine.py"
    path.write_text(WORLD)
    return str(path)


def test_a_world_of_others_under_two_controllers(ringwork: Ringwork, world: str) -> None:
    done = ringwork("fairness", "bench", "--world", world, "--controllers", "pid,oracle", "--json")
    assert done.code == 0, done.err
    assert [line["controller"] for line in done.lines] == ["none", "pid", "oracle"]
    none, pid, oracle = (line["score"] for line in done.lines)
    assert none["cost"] == pytest.approx(1)
    assert none["bound"] is None
    assert pid["oracle"] == pytest.approx(pid["cost"] / oracle["cost"])
    assert pid["bound"] < pid["bound_cost"]
    race = next(row for row in pid["coverage"] if row["attribute"] == "race")
    assert {"truth", "proxy", "deattenuated", "expected"} <= set(race)


def test_truth_stands_beside_its_twins(ringwork: Ringwork, world: str) -> None:
    done = ringwork("fairness", "bench", "--world", world, "--controllers", "split")
    assert done.code == 0, done.err
    for text in ("race, share of ads within", "intersection", "Levelling", "Over LP", "female"):
        assert text in " ".join(done.out.split())  # a title is as wide as its table
    assert "truth; what a report says [proxy, de-attenuated, expected]" in done.out


def test_the_frontier_is_written(ringwork: Ringwork, world: str, tmp_path: Path) -> None:
    file = tmp_path / "frontier.svg"
    done = ringwork(
        "fairness", "bench", "--world", world, "--controllers", "pid", "--plot", str(file)
    )
    assert done.code == 0, done.err
    assert file.read_text().startswith("<svg")


def test_learning_from_a_log(ringwork: Ringwork, world: str, tmp_path: Path) -> None:
    log, policy = str(tmp_path / "visits.jsonl"), str(tmp_path / "policy.json")
    bench = ("fairness", "bench", "--world", world)
    done = ringwork(*bench, "--controllers", "none", "--transitions", log)
    assert done.code == 0, done.err
    trained = ringwork("fairness", "train", "--log", log, "--out", policy, "--json")
    assert trained.code == 0, trained.err
    found = {line["policy"]: line for line in trained.lines}
    assert found["behaviour"]["realised"] is not None
    assert {"learned", "margin 4 (dual)"} <= set(found)
    used = ringwork(*bench, "--controllers", "rl", "--policy", policy, "--json")
    assert used.code == 0, used.err
    assert used.lines[-1]["controller"] == "rl"


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (("--world", "utopia"), "expected standard"),
        (("--world", "none.py"), "is no file"),
        (("--seeds", "0"), "expected 1 to 100"),
        (("--ads", "0"), "expected 1 to 10,000"),
        (("--sigma", "0"), "expected more than 0"),
        (("--controllers", "bang"), "got 'bang'"),
        (("--controllers", "rl"), "expected --policy"),
        (("--controllers", "rl", "--policy", "none.json"), "none.json"),
    ],
)
def test_what_is_wrong_is_said(ringwork: Ringwork, tokens: tuple[str, ...], said: str) -> None:
    done = ringwork("fairness", "bench", *tokens)
    assert done.code != 0
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "has no make(seed)"),
        ("1/0", "ZeroDivisionError"),
        ("def make(seed): return 1", "expected make(seed) to give a World, got int"),
        ("def make(seed): raise ValueError('shape')", "shape"),
    ],
)
def test_a_wrong_world_is_said(ringwork: Ringwork, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(text)
    done = ringwork("fairness", "bench", "--world", str(path))
    assert done.code != 0
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at least two visits|two flights"),
        ("{}", "flight"),
        (
            '{"flight":"a","state":[1],"action":0,"chance":1,"missed":0,"lost":0}',
            "line 1: expected 10 features",
        ),
    ],
)
def test_a_wrong_log_is_said(ringwork: Ringwork, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "visits.jsonl"
    path.write_text(text)
    done = ringwork("fairness", "train", "--log", str(path))
    assert done.code != 0
    assert any(one in done.err for one in said.split("|"))
    assert "Traceback" not in done.err
