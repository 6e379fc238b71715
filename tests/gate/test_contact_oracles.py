"""No oracle: what a client sees does not tell who is here, beyond the matches it is shown."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ringwork.gate.contacts import ContactPolicy
from ringwork.gate.contacts.respond import encode, floor_s
from tests.gate.contact_town import Town

TRIALS = 2_000
OUTSIDERS = 50_000


def auc(values, labels) -> float:
    """Mann-Whitney, ties count half."""
    values, labels = np.asarray(values, dtype=float), np.asarray(labels, dtype=bool)
    order = np.sort(values)
    ranks = (
        np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right") + 1
    ) / 2
    here = labels.sum()
    return (ranks[labels].sum() - here * (here + 1) / 2) / (here * (len(labels) - here))


def crowd(mode, **policy):
    """People who have each other in groups of ten, of whom half are hidden or only for friends."""
    made = ContactPolicy.preset(mode)
    town = Town(
        range(400),
        policy=ContactPolicy(**{f: getattr(made, f) for f in made.__struct_fields__} | policy),
    )
    for i in range(400):
        town.levels[i] = (1 if mode == "mutual" else 2) if i % 2 else 0
    town.have(
        {i: [j for j in range(i // 10 * 10, i // 10 * 10 + 10) if j != i] for i in range(400)}
    )
    return town


def observe(town, account, people, shown):
    """Everything of an answer but the matches themselves, as numbers."""
    answer = town.sync(account, people)
    shown |= {match.account for match in answer.matches}
    return [
        ("ok", "wait", "refused").index(answer.status),
        -1 if answer.retry_after_s is None else answer.retry_after_s,
        0 if answer.token is None else len(answer.token),
        0 if answer.token is None else sum(answer.token[:9]),
        len(encode(answer, len(people))),
        answer.floor_s,
        answer.unreadable,
    ]


@pytest.mark.parametrize("mode", ["mutual", "everyone"])
def test_nothing_but_a_match_tells_whether_a_number_is_here(mode):
    """2,000 accounts each probe one number, in a book of their own, twice and until they must wait.

    The probe is somebody who is here and not shown (hidden, or for friends only), or nobody.
    """
    rng = np.random.default_rng(4)
    town = crowd(mode, numbers_burst=60, numbers_per_day=5)
    seen, labels = [], []
    for trial in range(TRIALS):
        account = 10_000 + trial
        town.join(account)
        is_here = bool(rng.integers(2))
        hidden = int(rng.integers(200)) * 2
        probe = hidden if is_here else OUTSIDERS + trial
        group = int(rng.integers(40)) * 10
        known = [i for i in range(group, group + 10) if i % 2 and i != probe]
        book = [
            probe,
            *known[: rng.integers(5)],
            *range(OUTSIDERS * 2, OUTSIDERS * 2 + int(rng.integers(45))),
        ]
        shown = set()
        seen.append([
            *observe(town, account, book, shown),
            *observe(town, account, [probe], shown),
            *observe(town, account, [probe, *range(OUTSIDERS * 3, OUTSIDERS * 3 + 40)], shown),
        ])  # fmt: skip
        assert probe not in shown
        labels.append(is_here)
        del town.numbers[account]  # keeps the directory small; the guard has seen it
    statuses = {row[14] for row in seen}
    assert statuses == {0, 1}, "some had to wait and some had not"
    for column in zip(*seen, strict=True):
        assert 0.45 <= auc(column, labels) <= 0.55


def test_refused_batches_look_alike_whoever_is_in_them():
    town = crowd("everyone")
    walk = np.arange(491_700_000_000, 491_700_000_300, dtype=np.uint64)
    answers = []
    for account, offset in ((1_001, 0), (1_002, 10_000)):
        town.join(account)
        town.numbers |= {5_000 + i: int(n) for i, n in enumerate(walk[:150])} if offset == 0 else {}
        town.levels |= dict.fromkeys(range(5_000, 5_150), 2)
        answers.append(town.sync(account, walk + np.uint64(offset)))
    assert answers[0] == answers[1]
    assert answers[0].status == "refused"


def test_somebody_who_is_held_back_looks_like_nobody():
    """The same book twice, in a world where the last ten are here and in one where they are not."""
    seen = []
    for people in (range(40), range(24)):
        town = Town(people)
        town.join(1_000)
        first, second = town.sync(1_000, range(40)), town.sync(1_000, range(40))
        seen.append(
            (
                first.status,
                len(first.matches),
                len(second.matches),
                first.floor_s,
                len(encode(first, 40)),
            )
        )
    assert seen[0] == seen[1]


def test_the_floor_of_time_follows_from_the_count_and_covers_the_work():
    """CPU time of the worst book of each size, in a world where everybody is here, below the floor."""
    policy = ContactPolicy.preset("everyone")
    assert floor_s(1, policy) == floor_s(64, policy) < floor_s(65, policy)
    assert floor_s(10_000, policy) < 2
    town = Town(range(2_000))
    town.have({i: [(i + j) % 2_000 for j in range(1, 150)] for i in range(2_000)})
    for account, count in ((9_001, 60), (9_002, 250), (9_003, 1_000)):
        town.join(account)
        spent = []
        for _ in range(3):
            began = time.thread_time()
            answer = town.sync(account, range(count))
            spent.append(time.thread_time() - began)
        assert min(spent) < answer.floor_s
