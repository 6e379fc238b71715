"""The pages of fairness, from real audit logs: no figure of race stands alone, anywhere."""

from __future__ import annotations

import asyncio
import io
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringwork.console import fairness_charts as charts
from ringwork.console.fairness_charts import At, Estimate, Line
from ringwork.console.fairness_data import LIVE_ADS_MAX, reach_of
from ringwork.console.format import NARROW, NO_BREAK
from ringwork.console.http_fairness import LAMBDA_MAX, micro_of
from ringwork.console.render import json_of
from ringwork.console.views.fairness import fairness
from ringwork.console.views.fairness_ad import fairness_ad
from ringwork.console.views.fairness_cost import reach_row
from ringwork.console.views.fairness_history import MICRO, blocks, plain_micro
from ringwork.console.views.fairness_words import in_words, scale_end
from ringwork.fairness.audit import audited
from ringwork.fairness.log import head_of
from ringwork.fairness.records import Against, Reach
from ringwork.fairness.report import AdFigure, Span, document_of
from ringwork.kernel.errors import Invalid, NotFound
from tests.console import fair as f
from tests.console.day import NOW
from tests.console.pages import PAGES, html_of
from tests.fairness import logs

FAIR = [name for name in PAGES if name.startswith("fairness")]
RACE = AdFigure(
    ad="a", advertiser="", category="HOUSING", attribute="race", by="impressions", episode=1,
    impressions=900, spend_nanos=1, segments=1, is_excluded=False, proxy_ppb=31_000_000,
    deattenuated_ppb=84_000_000, interval=Span(60_000_000, 109_000_000), verdict="undecided",
)  # fmt: skip


def data(name: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(json_of(PAGES[name]()))
    return found


# ---- never one number ---------------------------------------------------------------------------
def test_a_figure_is_said_as_the_specification_says_it() -> None:
    expected = "between 3.1 % (proxy) and 8.4 % (de-attenuated; 95 % interval 6.0 \N{EN DASH} 10.9)"
    assert in_words(RACE).replace(NARROW, " ").replace(NO_BREAK, " ") == expected


@given(
    st.integers(0, 10**9),
    st.none() | st.integers(0, 10**9),
    st.none() | st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)),
)
def test_whatever_is_known_a_proxy_is_called_one(
    proxy: int, point: int | None, ends: tuple[int, int] | None
) -> None:
    interval = None if ends is None else Span(min(ends), max(ends))
    said = in_words(
        msgspec.structs.replace(RACE, proxy_ppb=proxy, deattenuated_ppb=point, interval=interval)
    )
    assert "(proxy)" in said
    assert "de-attenuated" in said or "of the truth" in said


@pytest.mark.parametrize("name", FAIR)
def test_no_page_has_a_figure_of_race_without_its_other_half(name: str) -> None:
    """Every plot of an estimated figure names both, and so does every sentence about one."""
    text = html_of(name)
    for title in re.findall(r"<title>([^<]*race[^<]*per cent[^<]*)</title>", text):
        assert "proxy" in title, title
        assert "de-attenuated" in title, title
    for title in re.findall(r"<title>([^<]*\(proxy\)[^<]*)</title>", text):
        assert "de-attenuated" in title or "of the truth" in title, title
    answer = data(name)["answer"]
    if "race" in answer and "%" in answer:
        assert "(proxy)" in answer
        assert "de-attenuated" in answer


def test_programs_get_the_pair_too() -> None:
    for row in data("fairness")["data"]["rows"]:
        estimate = row["figure"]["estimate"]
        assert {"proxy", "point", "low", "high", "band"} <= estimate.keys()
        assert None not in (estimate["proxy"], estimate["point"], estimate["low"])
    for row in data("fairness")["data"]["coverage"]:
        if row["attribute"] == "race":
            assert "" not in (row["proxy"], row["point"], row["upper"])


# ---- what the log says is what the page says ----------------------------------------------------
def test_rows_are_the_report_s_figures() -> None:
    document = document_of(audited(io.BytesIO(f.town_log().content)))
    expected = {one.ad: one for one in document.figures if one.attribute == "race"}
    seen: list[str] = []
    for page in (1, 2):
        facts = f.overview(f.town_log(), page=page)
        for line in facts.lines:
            assert line.figure == expected[line.ad]
            seen.append(line.ad)
        assert facts.has_more == (page == 1)
    assert Counter(seen) == Counter(expected.keys())
    assert f.overview(f.town_log(), page=3).lines == []


def test_coverage_and_what_is_left_out_are_the_report_s() -> None:
    document = document_of(audited(io.BytesIO(f.town_log().content)))
    facts = f.overview(f.town_log())
    assert tuple(facts.coverage) == document.coverage
    assert facts.excluded == document.excluded
    assert sum(facts.verdicts.values()) == facts.ads - facts.excluded.ads
    counted = Counter(
        one.verdict for one in document.figures if one.attribute == "race" and not one.is_excluded
    )
    assert dict(facts.verdicts) == dict(counted)


def test_ads_below_the_minimum_are_said_in_words() -> None:
    few = f.LogFile(logs.made(12, episodes=1))
    facts = f.overview(few)
    assert facts.excluded.ads
    body = fairness(facts, now_us=NOW).body
    said = msgspec.to_builtins(body)["excluded"]
    assert f"{facts.excluded.ads} ad" in said
    assert f"{facts.excluded.impressions:,} impressions" in said


def test_the_order_is_what_is_asked_for() -> None:
    by_size = f.overview(f.town_log()).lines
    sizes = [one.impressions for one in by_size]
    assert sizes == sorted(sizes, reverse=True)
    state = f.town_log().chronicle.state
    for attribute in ("race", "sex"):
        lines = f.overview(f.town_log(), attribute=attribute, sort="figure").lines
        ends = [reach_of(state.figure(one.ad, attribute, "impressions")) for one in lines]
        assert ends == sorted(ends, reverse=True)


def test_an_attribute_that_the_plan_lacks_is_refused() -> None:
    with pytest.raises(Invalid, match="one of race, sex expected, got 'shoe'"):
        f.overview(f.town_log(), attribute="shoe")


def test_with_too_many_ads_the_reported_coverage_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    assert f.overview(f.town_log()).coverage_us == 0
    assert LIVE_ADS_MAX > 40
    monkeypatch.setattr("ringwork.console.fairness_data.LIVE_ADS_MAX", 39)
    facts = f.overview(f.town_log())
    report = f.town_log().chronicle.report
    assert report is not None
    assert (facts.coverage_us, tuple(facts.coverage)) == (report[0], report[1].coverage)


def test_the_control_arm_stands_beside_what_steering_cost() -> None:
    body = data("fairness-arm")["data"]
    everybody, *groups = body["costs"]
    spent = 110_100 * 2_000_000 - 11_000 * 1_500_000
    assert everybody["of"] == "1,000 person-days"
    assert everybody["steered"][0].startswith(
        f"\N{EURO SIGN}{NO_BREAK}{spent / 99_100 / 1e6:.2f} ("
    )
    assert everybody["control"][0].startswith(f"\N{EURO SIGN}{NO_BREAK}1.50 (")
    for row in groups:
        assert (len(row["control"]) == 2) == (row["attribute"] == "race and ethnicity")
        assert len(row["control"]) == len(row["steered"])
    assert body["frontier"]["without"] is None, "days are no people: not in the same plot"
    people = fairness(f.overview(f.arm_log("people")), now_us=NOW)
    without = msgspec.json.decode(json_of(people))["data"]["frontier"]["without"]
    assert without[1].startswith("control arm")
    assert data("fairness-flight")["data"]["costs"] == []


def test_the_index_of_all_ads_stands_before_that_of_each() -> None:
    body = data("fairness-arm")["data"]
    of_sex = [row for row in body["levelled"] if row["attribute"] == "sex"]
    assert [row["ad"] for row in of_sex] == ["All 2", "ad-0", "ad-1"]
    assert all(row["index"][0].startswith("50.0 (") for row in of_sex)
    assert of_sex[1]["held_back"] == "male"
    assert of_sex[1]["removed"][0].startswith("66.7 (")
    of_race = [row for row in body["levelled"] if row["attribute"] != "sex"]
    assert all("proxy" in row["index"][0] and "de-attenuated" in row["index"][1] for row in of_race)
    alone = data("fairness_ad-arm")["data"]
    assert alone["levelled"] == [row for row in body["levelled"] if row["ad"] == "ad-0"]
    assert len(alone["reach"]) == 2 + 4


def test_reach_says_fewer_only_where_the_arm_can_tell() -> None:
    men, women = (
        next(row for row in data("fairness-arm")["data"]["reach"] if row["group"] == group)
        for group in ("male", "female")
    )
    assert (men["verdict"], men["text"], women["verdict"]) == ("fewer", ["0.86"], "not fewer")
    row = Reach(
        ad="a", attribute="sex", group="female", eligible_ppb=500_000_000, reach_ppb=400_000_000,
        without_control_ppb=500_000_000, counted_in="people",
        reach_interval_ppb=(390_000_000, 410_000_000),
        without_control_interval_ppb=(400_000_000, 600_000_000),
    )  # fmt: skip
    assert reach_row(row).verdict == "not clearly different"
    none = msgspec.structs.replace(row, without_control_ppb=0)
    assert (reach_row(none).verdict, reach_row(none).ratio) == ("nothing to compare", None)
    true = Against(controlled=5, uncontrolled=4)
    pair = reach_row(msgspec.structs.replace(row, deattenuated=true))
    assert (pair.text, pair.ratio) == (("0.80 proxy", "1.25 de-attenuated"), None)


def test_arms_of_many_ads_stand_as_they_were_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringwork.console.fairness_data.LIVE_ARMS_MAX", 1)
    assert f.overview(f.arm_log()).arm.reach == (), "nothing was reported yet"
    file = io.BytesIO()
    report = logs.arm_log(file, 2).report(time_us=logs.START_US + 20)
    facts = f.overview(f.LogFile(file.getvalue()))
    assert (facts.arm.reach, facts.arm_us) == (report.reach, logs.START_US + 20)


def test_an_ad_s_page_has_its_history_shifts_and_people() -> None:
    body = data("fairness_ad")["data"]
    assert [row["episode"] for row in body["histories"][0]["rows"]] == list(range(9, 0, -1))
    assert [one["attribute"] for one in body["steering"]] == ["race and ethnicity", "sex"]
    assert [row["is_open"] for row in body["segments"]] == [False, True]
    assert {one["segment"] for one in body["mixes"]} == {0, 1}
    by_hand = data("fairness_ad-wrong")["data"]
    assert by_hand["state"] == "shifts set by hand"
    assert by_hand["overrides"][0]["who"] == "m.ortega"
    assert by_hand["overrides"][0]["reason"] == "complaint 17 is looked into"


def test_an_ad_that_nobody_knows_is_not_found() -> None:
    with pytest.raises(NotFound):
        f.one_ad(f.town_log(), "ad-999")
    with pytest.raises(NotFound):
        asyncio.run(f.data_of(None).ad("ad-0"))
    with pytest.raises(NotFound):
        f.data_of(f.town_log()).places("ad-999")
    with pytest.raises(NotFound):
        _ = f.data_of(None).source
    assert (f.data_of(None).log(), f.data_of(None).has_log) == (None, False)


def test_who_may_not_override_sees_no_form() -> None:
    assert "/console/fairness/override" in html_of("fairness_ad")
    assert "/console/fairness/override" not in html_of("fairness_ad-unreleased")
    page = fairness_ad(f.one_ad(f.flight_log()))
    assert msgspec.to_builtins(page.body)["key"] == ""


def test_the_head_is_a_line_that_the_audit_takes() -> None:
    line = data("fairness_log")["data"]["line"]
    found = audited(io.BytesIO(f.town_log().content), head=head_of(line)).found
    assert (found.word, found.is_head_from_outside) == ("sound", True)
    assert data("fairness_log")["data"]["unsigned"] == 0
    text = html_of("fairness_log")
    assert "shows only with it" in text


def test_empty_states_say_what_to_do() -> None:
    assert "ringwork fairness tables list" in html_of("fairness-none")
    assert "keeps no audit log" in html_of("fairness-none")
    assert "1 ad waits" in data("fairness-unreleased")["answer"]
    assert "No release of it in this period" in data("fairness_ad-unreleased")["answer"]


def test_demo_tables_and_predictable_noise_are_said_on_every_page_with_figures() -> None:
    for name in ("fairness", "fairness-sex", "fairness_ad"):
        assert "Demo tables." in html_of(name)
        assert "Test noise." in html_of(name)
    assert "ab" * 32 in html_of("fairness")


# ---- the form -----------------------------------------------------------------------------------
@given(st.integers(-LAMBDA_MAX * MICRO, LAMBDA_MAX * MICRO))
def test_a_shift_is_typed_as_it_is_shown(value: int) -> None:
    assert micro_of(plain_micro(value)) == value


@pytest.mark.parametrize(
    "typed", ["", "much", "0.0000001", "101", "nan", "inf", "1e99", "0,5", "\u0661", "1" * 25]
)
def test_what_is_no_shift_is_refused(typed: str) -> None:
    assert micro_of(typed) is None


def test_shifts_stand_attribute_after_attribute_as_they_are_controlled() -> None:
    race = [("race", group) for group in logs.RACE]
    sex = [("sex", "female"), ("sex", "male")]
    assert blocks(logs.plan(), ("sex", "race")) == [*sex, *race]
    assert blocks(logs.plan(), ("race",)) == race
    assert blocks(logs.plan(), ("age",)) == []


# ---- plots --------------------------------------------------------------------------------------
OUTSIDE = Estimate(proxy=6.0, point=12.0, low=11.0, high=14.0, band=(10.5, 16.0))


def test_marks_stand_where_their_numbers_say() -> None:
    drawn = str(charts.interval_mark(OUTSIDE, "t", end=20.0, thresholds=[10.0]))
    assert '<svg x="30%"' in drawn.replace(".00%", "%")  # the proxy, a diamond
    assert '<svg x="60%"' in drawn.replace(".00%", "%")  # the point, a square: all outside
    assert 'class="f2"' in drawn
    assert 'x1="55.00%" x2="70.00%"' in drawn
    assert 'x="52.50%" y="10" width="27.50%"' in drawn
    inside = Estimate(proxy=2.0, point=4.0, low=3.0, high=5.0)
    assert 'class="f1"' in str(charts.interval_mark(inside, "t", end=20.0, thresholds=[10.0]))


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1), st.none() | st.floats(0, 100), st.floats(0, 100), st.floats(0, 100)
        ),
        min_size=1,
        max_size=64,
    ),
    st.lists(st.floats(0.1, 100), min_size=1, max_size=4),
)
def test_any_history_is_drawn_inside_its_plot(
    rows: list[tuple[float, float | None, float, float]], bounds: list[float]
) -> None:
    points = [
        At(x=x, estimate=Estimate(proxy=a, point=point, low=min(a, b), high=max(a, b)))
        for x, point, a, b in sorted(rows, key=lambda row: row[0])
    ]
    drawn = str(charts.history_chart(title="t", points=points, thresholds=bounds, marks=[]))
    for pairs in re.findall(r'points="([^"]+)"', drawn):
        for x, y in (pair.split(",") for pair in pairs.split()):
            assert 0 <= float(x) <= 1000
            assert 0 <= float(y) <= 1000


@example([(0.0, 5e-324), (0.0, 0.0)])
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-1e3, 1e3)), min_size=1, max_size=30))
def test_any_shifts_are_drawn_inside_their_plot(points: list[tuple[float, float]]) -> None:
    drawn = str(
        charts.steps_chart(title="t", lines=[Line(points=sorted(points))], marks=[(0.0, "a")])
    )
    (pairs,) = re.findall(r'points="([^"]+)"', drawn)
    steps = [tuple(map(float, pair.split(","))) for pair in pairs.split()]
    assert all(0 <= x <= 1000 and 0 <= y <= 1000 for x, y in steps)
    for (x1, y1), (x2, y2) in pairwise(steps):
        assert x1 == x2 or y1 == y2  # level, or at once


@given(st.lists(st.floats(0, 100), max_size=5), st.lists(st.floats(0, 100), max_size=3))
def test_a_scale_ends_above_all_that_it_shows(points: list[float], bounds: list[float]) -> None:
    shown = [Estimate(proxy=one, point=None, low=None, high=None) for one in points]
    end = scale_end(shown, bounds)
    assert 5.0 <= end <= 100.0
    assert all(one <= end for one in points)


def test_a_share_of_nothing_is_drawn_as_nothing() -> None:
    drawn = str(charts.coverage_mark(proxy=None, point=None, upper=None, title="no ads"))
    assert drawn.count("<rect") == 1
