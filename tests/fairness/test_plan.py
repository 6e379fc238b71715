"""Compliance plans: presets, files, and what is wrong with one said with its place."""

import pytest

from ringwork.fairness.model import RACE_FOUR, RACE_SIX, Partition, Proxied, merged
from ringwork.fairness.plan import parse_plan, preset, presets
from ringwork.kernel.errors import Refused

YAML = b"""
name: mine
source: a test
jurisdiction: US
categories: [HOUSING]
attributes:
  sex: {groups: [female, male], measured: declared}
thresholds_ppm: [100000]
minimum_impressions: [300]
"""


def test_the_settlement_is_a_preset_with_its_thresholds_as_data() -> None:
    plan = preset("us-v-meta")
    assert plan.thresholds_ppm == (100_000, 50_000)
    assert plan.minimum_impressions == (300, 1000)
    assert plan.partition("race") == RACE_FOUR


def test_every_preset_is_valid_and_says_its_source() -> None:
    for name in presets():
        assert preset(name).name == name
        assert preset(name).source


def test_no_race_is_estimated_where_no_tables_exist() -> None:
    plan = preset("canada")
    assert all(one.measured == "declared" for one in plan.attributes.values())


def test_a_plan_of_ones_own() -> None:
    assert parse_plan(YAML, where="mine.yaml").attributes["sex"].groups == ("female", "male")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((b"[100000]", b"[1000001]"), "thresholds_ppm"),
        ((b"HOUSING", b"INSURANCE"), "INSURANCE"),
        ((b"[female, male]", b"[female, female]"), "expected groups that differ"),
        ((b"minimum_impressions: [300]", b"minimum_impressions: []"), "minimum_impressions"),
        ((b"minimum", b"intersections: [[sex, race]]\nminimum"), "expected two or more attributes"),
        ((b"minimum", b"privacy: {arm_sigma: 0}\nminimum"), "arm_sigma"),
        ((b"minimum", b"periods: [[p, 2026-02-01, 2026-01-01]]\nminimum"), "periods"),
        ((b"name: mine", b"name: ["), "mine.yaml"),
        ((b"source", b"sauce"), "sauce"),
        ((b"minimum", b"eligible_sigma: 0\nminimum"), "eligible_sigma"),
        ((b"minimum", b"eligible_sigma: 501\nminimum"), "eligible_sigma"),
        ((b"minimum", b"model_sigma: 0\nminimum"), "model_sigma"),
        ((b"minimum", b"model_sigma: 501\nminimum"), "model_sigma"),
        ((b"minimum", b"eligible_impressions_max: 0\nminimum"), "eligible_impressions_max"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: tuple[bytes, bytes], says: str) -> None:
    with pytest.raises(Refused, match="plan-invalid") as refused:
        parse_plan(YAML.replace(*change), where="mine.yaml")
    assert says in refused.value.detail
    assert "mine.yaml" in refused.value.detail
    assert refused.value.status == 422


def test_an_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(Refused, match="canada, united-states, us-v-meta"):
        preset("atlantis")


def test_merging_groups_keeps_the_total() -> None:
    assert merged(RACE_SIX, RACE_FOUR, [1, 2, 3, 4, 5, 6]) == [1, 2, 3, 15]


def test_merging_into_a_group_that_is_not_there_is_refused() -> None:
    coarse = Partition(attribute="race", groups=("purple", "other"))
    with pytest.raises(ValueError, match="purple"):
        merged(RACE_SIX, coarse, [1] * 6)


def test_an_estimated_figure_has_no_single_number() -> None:
    names = {one for one in dir(Proxied) if not one.startswith("_")}
    assert "value" not in names
    assert not hasattr(Proxied, "__float__")


def test_a_degree_of_miscalibration_that_tells_nothing_is_refused() -> None:
    with pytest.raises(Refused, match="tells nothing"):
        parse_plan(YAML + b"kappa_ppm: [0, 1000000]\n", where="mine")
