"""What a log told over time, and the mix of groups behind a figure."""

from __future__ import annotations

import io
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.fairness.chronicle import POINTS_MAX, RECORDS_MAX, Chronicle, Series
from ringwork.fairness.log import Chain, lines
from ringwork.fairness.mix import mixes
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.records import Eligible, Figure, Release, read_body
from tests.fairness import logs


def chronicle_of(content: bytes) -> tuple[Chronicle, list[Figure]]:
    """The chronicle, and every figure that the log states, read by nothing of it."""
    chain, state = Chain(), Recomputation()
    chronicle, figures = Chronicle(state), []
    for line in lines(io.BytesIO(content)):
        record = chain.follow(line)
        body = read_body(record.kind, record.body)
        assert body is not None
        assert state.apply(body) == []
        chronicle.take(record, body)
        if isinstance(body, Figure):
            figures.append(body)
    assert chronicle.head is not None
    assert chronicle.head.seq == chain.next_seq - 1
    assert chronicle.signed_through == chain.signed_through
    return chronicle, figures


@pytest.fixture(scope="module")
def read() -> tuple[Chronicle, list[Figure]]:
    return chronicle_of(logs.made(6, episodes=3))


def test_every_stated_figure_is_there_by_episode(read: tuple[Chronicle, list[Figure]]) -> None:
    chronicle, figures = read
    for ad in ("ad-0", "ad-5"):
        for attribute in ("race", "sex"):
            stated: dict[int, Figure] = {
                one.episode: one
                for one in figures
                if (one.ad, one.attribute, one.by) == (ad, attribute, "impressions")
            }
            found = chronicle.figures(ad, attribute)
            assert [one.episode for one in found] == [1, 2, 3]
            for one in found:
                expected = stated[one.episode]
                assert one.proxy_ppb == expected.proxy_ppb
                if attribute == "race":
                    assert one.deattenuated_ppb == expected.deattenuated_ppb
                    assert one.interval_ppb == expected.interval_ppb
                else:
                    assert (one.deattenuated_ppb, one.interval_ppb) == (None, None)


def test_shifts_overrides_audiences_and_the_report_are_kept(
    read: tuple[Chronicle, list[Figure]],
) -> None:
    chronicle, _ = read
    assert [one.episode for one in chronicle.shifts("ad-3")] == [1, 2, 3]
    assert chronicle.shifts("ad-3")[0].lambda_micro == (1200, -1200, 0, 3, 4, -7)
    assert [one.who for _, one in chronicle.overrides("ad-0")] == ["m.ortega"]
    assert chronicle.overrides("ad-1") == []
    assert sorted(chronicle.audiences("ad-0")) == [0, 1]
    assert sorted(chronicle.audiences("ad-1")) == [0]
    assert chronicle.report is not None
    assert chronicle.report[1].reach == tuple(logs.reach("ad-0"))
    assert [one.kind for one in chronicle.newest[-2:]] == ["report", "checkpoint"]
    assert len(chronicle.newest) == RECORDS_MAX


def test_a_snapshot_takes_everything_back(read: tuple[Chronicle, list[Figure]]) -> None:
    chronicle, _ = read
    again = Chronicle(chronicle.state)
    again.load(chronicle.dump())
    assert again.dump() == chronicle.dump()
    assert again.figures("ad-0", "race") == chronicle.figures("ad-0", "race")
    assert again.head == chronicle.head
    assert again.overrides("ad-0") == chronicle.overrides("ad-0")


def test_an_empty_chronicle_says_nothing() -> None:
    empty = Chronicle(Recomputation())
    assert (empty.head, empty.genesis, empty.report, empty.newest) == (None, None, None, [])
    assert (empty.figures("x", "race"), empty.shifts("x"), empty.overrides("x")) == ([], [], [])


@given(st.lists(st.integers(0, 2), max_size=400))
def test_a_series_is_bounded_ordered_and_keeps_its_ends(steps: list[int]) -> None:
    """Steps of 0 restate the episode before."""
    series, episode = Series(3), 0
    for number, step in enumerate(steps):
        episode += step
        series.add((number, episode, 10 * number), restates=True)
    rows = series.rows()
    assert len(rows) <= POINTS_MAX
    episodes = [row[1] for row in rows]
    assert episodes == sorted(set(episodes))
    if steps:
        last = len(steps) - 1
        assert rows[-1] == (last, episode, 10 * last)
        first = next((n for n, step in enumerate(steps) if n and step), len(steps)) - 1
        assert rows[0][1] == steps[0]
        assert rows[0][0] == first


def test_what_restates_nothing_is_one_more() -> None:
    series = Series(2)
    series.add((1, 1))
    series.add((2, 1))
    assert series.rows() == [(1, 1), (2, 1)]
    series.add((3, 1), restates=True)
    assert series.rows() == [(1, 1), (3, 1)]


def test_shifts_of_other_groups_begin_anew() -> None:
    series = Series(4)
    series.add((1, 1, 0, 5))
    series.add((2, 2, 0, 5, 6))
    assert series.rows() == [(2, 2, 0, 5, 6)]


# ---- the mix ------------------------------------------------------------------------------------
def released(
    sums: dict[str, tuple[int, ...]],
    impressions: int,
    race_ppb: tuple[int, ...] = logs.RACE_MIX,
) -> Recomputation:
    """One ad with one release; the model is that of all test logs."""
    ad = logs.ad("a")
    ad = replace(ad, eligible={**ad.eligible, "race": Eligible(shares_ppb=race_ppb)})
    state = Recomputation()
    for body in (
        logs.plan(), logs.model(), logs.default_prior(), ad, logs.budget("a"),
        Release(ad="a", episode=1, impressions=impressions, sums=sums, unit={"sex": 1, "race": 256}),
    ):  # fmt: skip
        assert state.apply(body) == []
    return state


def test_shares_are_those_that_can_be_computed_by_hand() -> None:
    """600 women, 300 men, 100 unknown add up to what was billed: two thirds, one third."""
    (mix,) = mixes(released({"sex": (600, 300, 100)}, 1000), "a", "sex")
    female, male = mix.groups
    assert (female.group, female.eligible_ppb) == ("female", 510_000_000)
    assert (female.counted, male.counted, mix.unknown) == (600, 300, 100)
    assert (female.delivered_ppb, male.delivered_ppb) == (666_666_667, 333_333_333)
    assert female.deattenuated is None


def test_noise_that_adds_to_the_count_is_taken_out_evenly() -> None:
    """90 too many over three buckets: 30 from each."""
    (mix,) = mixes(released({"sex": (630, 330, 130)}, 1000), "a", "sex")
    assert [one.counted for one in mix.groups] == [600, 300]


def test_a_difference_that_the_proxy_blurred_is_found_again() -> None:
    """Both mixes blurred by M exactly, as the proxy sees them: d - e comes back, by algebra."""
    matrix = logs.model().M_ppb
    delivered, eligible = (0.50, 0.30, 0.12, 0.08), (0.62, 0.14, 0.17, 0.07)
    seen, before = (
        [
            sum(share * row[k] for share, row in zip(mix, matrix, strict=True)) / 1e9
            for k in range(4)
        ]
        for mix in (delivered, eligible)
    )
    shares = [round(one * 10**9) for one in before]
    shares[0] += 10**9 - sum(shares)
    shown = tuple(round(256 * 100_000 * share) for share in seen)
    (mix,) = mixes(released({"race": shown}, 100_000, tuple(shares)), "a", "race")
    for group, after, was, proxy in zip(mix.groups, delivered, eligible, seen, strict=True):
        found = group.deattenuated
        assert found is not None
        assert found.ppb / 1e9 == pytest.approx(after - was, abs=1e-4)
        assert found.low_ppb < found.ppb < found.high_ppb
        assert group.delivered_ppb / 1e9 == pytest.approx(proxy, abs=1e-4)
    moved = [abs(one.delivered_ppb - one.eligible_ppb) for one in mix.groups]
    assert sum(moved) < sum(abs(one.deattenuated.ppb) for one in mix.groups if one.deattenuated)


@given(st.integers(0, 2**32 - 1))
def test_shares_of_any_release_add_up(seed: int) -> None:
    made = logs.release("a", 1, 700, random.Random(seed))
    state = released(dict(made.sums), 700)
    for attribute in ("sex", "race"):
        for mix in mixes(state, "a", attribute):
            whole = sum(Fraction(one.delivered_ppb, 10**9) for one in mix.groups)
            assert abs(whole - 1) <= Fraction(len(mix.groups), 10**9)
            assert sum(one.eligible_ppb for one in mix.groups) == 10**9


def test_what_the_log_does_not_hold_is_said() -> None:
    state = released({"sex": (600, 300, 100)}, 1000)
    with pytest.raises(LookupError, match="no such attribute"):
        mixes(state, "a", "shoe_size")
    with pytest.raises(LookupError, match="expected a plan"):
        mixes(state, "b", "sex")
    (nobody,) = mixes(released({"sex": (0, 0, 1000)}, 1000), "a", "sex")
    assert (nobody.groups, nobody.unknown) == ((), 1000)
