"""The auction's hook: by hand, against its twin, against the controller's own table, and bad input."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.fairness.control import hook, steering
from ringwork.fairness.control.hook import VALUE_BINS
from ringwork.fairness.control.model import Shift, records
from ringwork.fairness.control.steering import VALUE_EDGES, AdTable, Steering, bins_of

CLUSTERS = np.array([[0.8, 0.2], [0.1, 0.9]])
"""Two clusters: the first is mostly reached by the first group."""


def table(by_group=(0.5, -0.5), weights=(0.5, 0.5), *, scale_nanos=1_000_000) -> AdTable:
    shares = np.tile(np.array(weights), (VALUE_BINS, 1))
    return AdTable(records=records(shares, np.array(by_group)), scale_nanos=scale_nanos)


def steered(tables=None, clusters=CLUSTERS) -> Steering:
    out = Steering()
    out.replace({"ad": table()} if tables is None else tables, clusters)
    return out


def test_a_shift_by_hand() -> None:
    # P(group | cluster 0) is .8 and .2 here, so the shift is (.8 - .2) / 2 of the usual value.
    assert steered().shifts(0, [("ad", 900_000)]) == {"ad": 300_000}
    assert steered().shifts(1, [("ad", 900_000)]) == {"ad": -400_000}


def test_ads_without_a_table_are_left_out() -> None:
    found = steered().shifts(0, [("other", 5), ("ad", 900_000), ("third", 7)])
    assert found == {"ad": 300_000}


def test_what_is_missing_shifts_nothing_and_is_counted() -> None:
    one = steered({"ad": table(), "old": None, "broken": table((np.nan, 1.0))})
    assert one.shifts(-1, [("ad", 1_000_000)]) == {}
    assert one.shifts(99, [("ad", 1_000_000)]) == {}
    assert one.shifts(0, [("old", 1_000_000), ("broken", 1_000_000)]) == {}
    assert (one.missed.cluster, one.missed.stale, one.missed.number) == (2, 1, 1)


def test_nothing_is_steered_before_the_first_table() -> None:
    assert Steering().shifts(0, [("ad", 1_000_000)]) == {}


@pytest.mark.parametrize("value", [0, -5, 2**62])
def test_any_value_has_a_bin(value) -> None:
    assert steered().shifts(0, [("ad", value)]) == {"ad": 300_000}


def test_an_auction_reads_one_generation_whole() -> None:
    one = steered()
    before = one._tables  # what an auction holds while tables are replaced
    one.replace({"ad": table((1.0, 1.0))}, CLUSTERS)
    assert before.rows == {"ad": 0}
    assert before.lines[0, 0] == np.float32(250_000)
    assert one.shifts(0, [("ad", 1_000_000)]) == {"ad": 1_000_000}


def test_records_of_other_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="expected records of 8 bins and 3 groups"):
        Steering().replace({"ad": table()}, np.ones((4, 3)))


@given(st.floats(2.0**-20, 2.0**20, width=32))
def test_a_bin_lies_between_its_borders(relative) -> None:
    found = int(bins_of(np.array([relative], np.float32))[0])
    assert found == int(np.searchsorted(VALUE_EDGES, relative, side="right"))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 20))
def test_the_hook_does_what_the_controllers_table_says(seed, groups) -> None:
    rng = np.random.default_rng(seed)
    clusters = rng.random((5, groups)).astype(np.float32) + 0.01
    made = records(rng.random((VALUE_BINS, groups)) + 0.01, rng.normal(0, 1, groups))
    one = steered({"ad": AdTable(records=made, scale_nanos=10**9)}, clusters)
    wanted = Shift(prices=np.zeros(0), records=made).table(clusters.T)
    for value in (0.2, 0.9, 2.4, 5.0):
        bin_ = bins_of(np.array([value], np.float32))[0]
        for cluster in range(5):
            got = one.shifts(cluster, [("ad", int(value * 1e9))]).get("ad", 0)
            assert got / 1e9 == pytest.approx(float(wanted[cluster, bin_]), rel=1e-3, abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([8, 16]))
def test_the_compiled_hook_is_its_twin_to_the_last_bit(seed, lanes) -> None:
    compiled = pytest.importorskip("ringwork.fairness.control.hook_compiled")
    rng = np.random.default_rng(seed)
    ads, size = 7, 40
    lines = steering.aligned(ads * VALUE_BINS, 2 * lanes)
    lines[:] = rng.normal(0, 1e6, lines.shape)
    lines[:, lanes:] = np.abs(lines[:, lanes:])
    lines[3 * VALUE_BINS : 4 * VALUE_BINS] = [np.nan]
    lines[4 * VALUE_BINS : 5 * VALUE_BINS] = [0.0]
    arguments = (
        rng.integers(-1, ads, size).astype(np.int32),
        (1e6 * np.exp(rng.normal(0, 2, size))).astype(np.int64),
        lines,
        np.full(ads, 1e-6, np.float32),
        rng.random(lanes, dtype=np.float32),
    )
    outs = np.empty((2, size), np.int64)
    scratch = np.empty(size, np.int32)
    counts = [
        one(*arguments, scratch, out)
        for one, out in zip((hook.shifts, compiled.shifts), outs, strict=True)
    ]
    assert counts[0] == counts[1]
    assert outs[0].tolist() == outs[1].tolist()


def test_without_numba_the_twin_steers(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "ringwork.fairness.control.hook_compiled", raising=False)
    monkeypatch.delattr("ringwork.fairness.control.hook_compiled", raising=False)
    steering.engine.cache_clear()
    try:
        assert steering.engine() is hook.shifts
        assert steered().shifts(0, [("ad", 900_000)]) == {"ad": 300_000}
    finally:
        steering.engine.cache_clear()


def test_lines_begin_at_a_cache_line() -> None:
    for rows in (1, 3, 1000):
        assert steering.aligned(rows, 16).ctypes.data % 64 == 0
