"""Every example runs as the script it is; those that assert something fail where it does not hold."""

import io
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fairness.logs import made

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = {
    "auction_theory.py": ["--auctions", "4000", "--seed", "2"],
    "fairness_audit.py": [],
    "verify_bots.py": [],
}


def test_every_example_is_run_here():
    assert {path.name for path in EXAMPLES.glob("*.py")} == SMALL.keys()


@pytest.mark.parametrize("name", SMALL)
def test_an_example_runs_as_a_script(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, *SMALL[name]])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(made(3, episodes=1))))
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert capsys.readouterr().out


def test_auction_theory_shows_the_three_results(capsys):
    main = runpy.run_path(str(EXAMPLES / "auction_theory.py"))["main"]
    main(["--auctions", "4000"])
    told = capsys.readouterr().out.splitlines()
    lines = {line.strip().split("  ")[0]: line.split() for line in told}
    assert lines["uniform"][-2] == "0.8182"  # ten bidders: 9/11
    assert lines["vcg"][1] == "0"
    assert int(lines["gsp"][1].replace(",", "")) > 0
    assert lines["GSP, lowest envy-free equilibrium"][-1] == lines["VCG, honest bids"][-1]


def test_the_envy_free_bids_are_those_of_the_paper():
    # Edelman, Ostrovsky, Schwarz: values 10, 4, 2 and 200 and 100 clicks. Under VCG the first pays
    # 600 in all, 3 a click; so 3 is what the second must bid.
    lowest = runpy.run_path(str(EXAMPLES / "auction_theory.py"))["lowest_envy_free"]
    assert lowest(np.array([[10.0, 4.0, 2.0]]), np.array([200.0, 100.0])).tolist() == [[10, 3, 2]]
