"""People's page views: seeded to the byte, in the day's rhythm, mostly sound and a few not."""

import hashlib
import itertools
import os
import subprocess
import sys
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.world.traffic import DAY_S, PEAK, View, rate, views

DAY = 20_000
DAY_US = DAY_S * 1_000_000
START = DAY * DAY_US
PER_DAY = 30_000

DIGEST = """
import hashlib, itertools
from ringwork.world.traffic import views
digest = hashlib.sha256()
for view in itertools.islice(views(7, start_us={start}, per_day=30_000), 500):
    digest.update(repr(view).encode())
print(digest.hexdigest())
"""


def some(seed: int, count: int, start_us: int = START, per_day: int = PER_DAY) -> list[View]:
    return list(itertools.islice(views(seed, start_us=start_us, per_day=per_day), count))


@pytest.fixture(scope="module")
def day() -> list[View]:
    sequence = views(7, start_us=START, per_day=PER_DAY)
    return list(itertools.takewhile(lambda view: view.at_us < START + DAY_US, sequence))


def test_the_same_seed_gives_the_same_bytes_in_every_process() -> None:
    here = hashlib.sha256()
    for view in some(7, 500):
        here.update(repr(view).encode())
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", DIGEST.format(start=START)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == here.hexdigest()


def test_another_seed_and_another_day_give_other_requests() -> None:
    def bid_requests(seed: int, start_us: int = START) -> set[bytes]:
        """Each has an id of its own; what pages ask may well be the same."""
        return {one.body for one in some(seed, 200, start_us) if one.path == "/openrtb2/auction"}

    first = bid_requests(7)
    assert not first & bid_requests(8)
    assert not first & bid_requests(7, START + DAY_US)


@given(st.integers(0, 2 * DAY_US))
def test_a_world_that_stopped_goes_on_with_the_same_sequence(later_us: int) -> None:
    whole = some(3, 120, per_day=40)
    start_us = START + later_us
    rest = [view for view in whole if view.at_us >= start_us]
    assert some(3, len(rest), start_us, per_day=40) == rest


def test_time_goes_forward_across_midnight() -> None:
    times = [view.at_us for view in some(7, 400, START + DAY_US - 600_000_000)]
    assert times == sorted(times)
    assert times[0] < START + DAY_US < times[-1]


def test_the_day_has_its_number_of_views_in_its_rhythm(day: list[View]) -> None:
    # Poisson: five standard deviations around the expectation, per day and per hour.
    assert abs(len(day) - PER_DAY) < 5 * PER_DAY**0.5 + 0.01 * PER_DAY
    by_hour = Counter(view.at_us % DAY_US // 3_600_000_000 for view in day)
    for hour in range(24):
        second = 3600.0 * hour
        mean = sum(rate(second + step) for step in range(0, 3600, 60)) / 60
        expected = mean * PER_DAY / 24
        assert abs(by_hour[hour] - expected) < 5 * expected**0.5, hour


def test_the_rate_stays_below_its_peak_and_its_mean_is_one() -> None:
    rates = [rate(second) for second in range(0, DAY_S, 10)]
    assert 0 < min(rates) < max(rates) <= PEAK  # thinning is wrong above
    assert abs(sum(rates) / len(rates) - 1) < 0.01


def test_a_person_sees_before_clicking_and_clicks_before_buying(day: list[View]) -> None:
    acts = Counter(act for view in day for _, act in view.acts)
    assert set(acts) == {
        "impression", "viewable", "completed", "again", "late", "forged", "click", "conversion",
    }  # fmt: skip
    for view in day:
        at = {act: after_s for after_s, act in view.acts}
        assert all(after_s > 0 for after_s in at.values())
        assert at.get("click", 99) > at.get("impression", 0)
        assert at.get("viewable", 99) >= at.get("impression", 0) + 1  # a second in view
        if "conversion" in at:
            assert at["conversion"] > at["click"] > at["impression"]


def test_requests_are_of_every_kind_and_a_few_are_wrong(day: list[View]) -> None:
    kinds: Counter[str] = Counter()
    for view in day:
        try:
            asked = msgspec.json.decode(view.body)
        except msgspec.DecodeError:
            kinds["cut off"] += 1
            continue
        if view.path == "/v1/ads/request":
            kinds["native endpoint"] += 1
            continue
        imp = asked["imp"][0]
        kinds.update(kind for kind in ("banner", "video", "native", "pmp") if kind in imp)
        kinds[f"at {asked['at']}"] += 1
        kinds["app" if "app" in asked else "site"] += 1
        kinds["wrong"] += "id" not in imp or asked.get("site") == {"id": "both"}
        kinds["other currency"] += imp["bidfloorcur"] != "EUR"
    assert min(kinds.values()) > 0
    for kind in ("banner", "video", "native", "native endpoint", "app", "at 1", "at 2"):
        assert kinds[kind] > 0.03 * len(day), kind
    for kind in ("cut off", "wrong", "pmp", "other currency"):
        assert 0 < kinds[kind] < 0.02 * len(day), kind


def test_countries_are_spread() -> None:
    countries = {
        msgspec.json.decode(view.body).get("device", {}).get("geo", {}).get("country")
        for view in some(1, 300)
        if view.body.endswith(b"}") and view.path == "/openrtb2/auction"
    }
    assert {"PRT", "ESP", "FRA", "DEU", "ITA", "NLD"} <= countries
