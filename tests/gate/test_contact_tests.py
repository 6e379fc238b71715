"""The statistical tests of a batch, against SciPy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ringwork.gate.contacts.coherence import binomial_tail, coherent, in_runs, poisson_tail
from ringwork.gate.contacts.keyed import Secret
from ringwork.gate.contacts.seen import Books, day_mark


@given(st.integers(0, 300), st.integers(1, 300), st.floats(0.001, 0.5))
def test_the_binomial_tail_is_scipys(least, count, p):
    assert binomial_tail(least, count, p) == pytest.approx(
        stats.binom.sf(least - 1, count, p), rel=1e-8, abs=1e-200
    )


@given(st.integers(1, 600), st.floats(1e-6, 550))
def test_the_poisson_tail_is_scipys_above_the_mean(least, mean):
    ours = poisson_tail(np.array([least]), np.array([mean]))[0]
    expected = stats.poisson.sf(least - 1, mean) if least > mean else 1.0
    assert ours == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_a_walk_through_a_block_is_found_and_the_rest_is_not():
    rng = np.random.default_rng(1)
    scattered = 491_500_000_000 + rng.choice(10_000_000, 200, replace=False)
    walk = np.arange(491_599_990_000, 491_599_990_050)
    numbers = np.unique(np.concatenate([scattered, walk])).astype(np.uint64)
    found = numbers[in_runs(numbers)]
    # All within one block: 50 of 50 in one sub-block of a hundredth.
    assert set(walk.tolist()) == set(found.tolist())


def test_three_numbers_of_one_firm_are_no_walk():
    numbers = np.array([491_500_000_001, 491_500_000_002, 491_500_000_003], dtype=np.uint64)
    assert not in_runs(numbers).any()
    assert in_runs(np.zeros(0, dtype=np.uint64)).shape == (0,)


def test_honest_books_of_few_blocks_are_hardly_ever_taken_for_walks():
    """2,000 books of 300 numbers out of three blocks: at most 1e-6 each by construction."""
    rng = np.random.default_rng(2)
    for _ in range(2_000):
        numbers = np.unique(rng.integers(0, 30_000, 300)).astype(np.uint64) + np.uint64(
            491_500_000_000
        )
        assert not in_runs(numbers).any()


def books_of(rows: dict[int, list[int]]):
    secret = Secret(bytes(range(64)))
    books = Books(secret)
    accounts = np.array(sorted(rows), dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum([len(rows[a]) for a in accounts.tolist()])]).astype(
        np.int64
    )
    people = np.array([one for a in accounts.tolist() for one in rows[a]], dtype=np.int64)
    hashes = secret.of_numbers(people.astype(np.uint64))
    books.load_rows(accounts, offsets, hashes, np.full(len(hashes), day_mark(0.0)), people)
    return books, secret


def test_friends_are_coherent_and_chance_acquaintances_are_not():
    rng = np.random.default_rng(3)
    rows = {i: rng.choice(2_000, 60, replace=False).tolist() for i in range(2_000)}
    for i in range(40):
        rows[i] = [*rows[i], *(j for j in range(40) if j != i)]
    books, secret = books_of(rows)
    batch = np.concatenate([np.arange(40), np.arange(1_000, 1_040)])
    hashes = secret.of_numbers(batch.astype(np.uint64))
    found = coherent(books, batch, batch, hashes, p=1e-3, share=0.05)
    assert found[:40].all()
    assert found[40:].sum() <= 1


def test_the_false_share_is_at_most_what_was_asked_in_a_world_without_friends():
    rng = np.random.default_rng(4)
    rows = {i: rng.choice(3_000, 100, replace=False).tolist() for i in range(3_000)}
    books, secret = books_of(rows)
    false = tested = 0
    for _ in range(20):
        batch = rng.choice(3_000, 200, replace=False)
        found = coherent(
            books, batch, batch, secret.of_numbers(batch.astype(np.uint64)), p=1e-2, share=0.0
        )
        false, tested = false + found.sum(), tested + len(found)
    assert stats.binomtest(int(false), tested, 1e-2, alternative="greater").pvalue > 0.01


def test_accounts_of_an_attacker_make_no_stranger_coherent():
    """Sybils may have everybody; whom a stranger has in his own book they cannot change."""
    rng = np.random.default_rng(5)
    rows = {i: rng.choice(2_000, 60, replace=False).tolist() for i in range(2_000)}
    rows |= {i: list(range(100)) + list(range(5_000, 5_050)) for i in range(5_000, 5_050)}
    books, secret = books_of(rows)
    batch = np.concatenate([np.arange(100), np.arange(5_000, 5_050)])
    found = coherent(
        books, batch, batch, secret.of_numbers(batch.astype(np.uint64)), p=1e-3, share=0.02
    )
    assert found[:100].sum() <= 2
