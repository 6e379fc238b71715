"""The Open Bandit log: what Bernoulli Thompson sampling earned, estimated from random choices.

10,000 impressions each of both policies, 34 items, three positions. The value of the Thompson
policy, estimated from the random log alone, must agree with what it earned on its own log. Its
choice does not depend on the person, so its frequencies by position, from its own log, are what it
chose on average over the week (its logged propensities change as it learns).
"""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from ringwork.ads.rank.off_policy import Estimate, Logged, doubly_robust, ips, snips

ITEMS, POSITIONS = 34, 3


def read(staged_data: Path, policy: str) -> dict[str, np.ndarray]:
    path = staged_data / "ads" / "obd" / f"{policy}-men.csv.gz"
    with gzip.open(path, "rt") as lines:
        rows = list(csv.DictReader(lines))
    return {
        "item": np.array([int(row["item_id"]) for row in rows]),
        "position": np.array([int(row["position"]) - 1 for row in rows]),
        "click": np.array([float(row["click"]) for row in rows]),
        "propensity": np.array([float(row["propensity_score"]) for row in rows]),
    }


def policy_of(log: dict[str, np.ndarray]) -> np.ndarray:
    """[position, item]: how often the policy chose the item there."""
    counts = np.zeros((POSITIONS, ITEMS))
    np.add.at(counts, (log["position"], log["item"]), 1.0)
    return counts / counts.sum(axis=1, keepdims=True)


def click_rates(log: dict[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """[position, item]: smoothed towards the item's and then the whole log's rate."""
    item, position, click = (log[name][rows] for name in ("item", "position", "click"))
    overall = click.mean()
    by_item = np.bincount(item, click, ITEMS) + 100 * overall
    by_item /= np.bincount(item, minlength=ITEMS) + 100
    clicks, shown = np.zeros((POSITIONS, ITEMS)), np.zeros((POSITIONS, ITEMS))
    np.add.at(clicks, (position, item), click)
    np.add.at(shown, (position, item), 1.0)
    return (clicks + 200 * by_item) / (shown + 200)


@pytest.fixture(scope="module")
def estimates(staged_data: Path) -> tuple[float, dict[str, Estimate]]:
    """(clicks per impression on the policy's own log, estimates from the random log)."""
    own, random = read(staged_data, "bts"), read(staged_data, "random")
    policy = policy_of(own)
    at = random["position"], random["item"]
    log = Logged(rewards=random["click"], propensities=random["propensity"], target=policy[at])
    # Each half is predicted by a model of the other half.
    half = np.arange(len(random["item"])) % 2 == 0
    rates = click_rates(random, ~half), click_rates(random, half)
    predicted = np.where(half, rates[0][at], rates[1][at])
    values = [(policy * rate).sum(axis=1)[random["position"]] for rate in rates]
    target = np.where(half, *values)
    return float(own["click"].mean()), {
        "ips": ips(log),
        "snips": snips(log),
        "dr": doubly_robust(log, predicted=predicted, predicted_target=target),
    }


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_the_interval_from_the_random_log_covers_what_the_policy_earned(estimates, name):
    earned, by = estimates
    one = by[name]
    assert one.low <= earned <= one.high, one
    assert 0.0 < one.value < 0.02
    assert 100 < one.effective_sample_size < one.samples == 10_000


def test_the_logged_propensities_of_the_random_policy_are_one_in_34(staged_data: Path):
    random = read(staged_data, "random")
    assert random["propensity"] == pytest.approx(1 / ITEMS)
    weights = policy_of(read(staged_data, "bts"))[random["position"], random["item"]] * ITEMS
    assert weights.mean() == pytest.approx(1.0, abs=0.05)
