"""The model that comes along is what its recipe makes, and it leaves a real log's people alone."""

from importlib.resources import files
from pathlib import Path

from ringwork.gate.analyse.scan import scan
from ringwork.gate.behave.judge import Judge
from ringwork.gate.behave.model import from_json
from tests.conftest import staged_folder

FOLDER = staged_folder() or Path()
DEFAULT = (files("ringwork.gate.behave") / "default.json").read_bytes()


def test_the_default_model_is_made_again_bit_for_bit() -> None:
    from benchmarks.gate.default_model import made  # noqa: PLC0415 # imports LightGBM's side

    assert made(FOLDER) == DEFAULT


def test_at_most_one_in_a_hundred_quiet_addresses_is_challenged_for_habits() -> None:
    with (FOLDER / "antiscraping" / "elastic_apache_logs.log").open("rb") as log:
        found = scan(log, judge=Judge()).result()
    people = [one for one in found.actors if one.identity.declared is None]
    assert len(people) > 1_300
    assert 0 < sum(one.stands_out for one in people) <= 0.01 * len(people)
    with (FOLDER / "antiscraping" / "elastic_apache_logs.log").open("rb") as log:
        judged = scan(log, judge=Judge(from_json(DEFAULT))).result()
    by_model = [
        one for one in judged.actors
        if one.identity.declared is None and any(why.rule == "behaviour" for why in one.reasons)
    ]  # fmt: skip
    assert len(by_model) <= 0.01 * len(people)
