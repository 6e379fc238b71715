"""Does a batch look like somebody's address book: tests against exact nulls.

- Runs, from the numbers alone: conditional on how many numbers of the batch lie in each block of
  10,000, those in one sub-block of 100 are Binomial(n, 1/100). So geography, which puts a book's
  numbers into few blocks, is conditioned out; what is left is walking through a block.
- Coherence, from the graph: how many of the batch somebody has in his *own* book, against the
  configuration model with the same book sizes and the same popularity of every number, where the
  count is a sum of independent Bernoullis; its tail is at most the Poisson one from the mean plus
  one on (Hoeffding 1956, theorem 5). Nobody can write into another one's book, so no number of
  accounts of an attacker makes a stranger coherent.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringwork.gate.contacts.keyed import Words
from ringwork.gate.contacts.seen import Accounts, Books

BLOCK: Final = 10_000
SUB_BLOCK: Final = 100
RUN_P: Final = 1e-6
"""Of one batch, divided by its occupied sub-blocks (Bonferroni): one honest book in a million."""
REFERENCES_MAX: Final = 512
PAIRS_MAX: Final = 1_000_000
"""Bounds of the work of one batch: some 60 ms."""
COHERENT_LEAST: Final = 2
"""One acquaintance in common is nothing."""
TERMS: Final = 256
"""Of a Poisson tail: over ten standard deviations for the largest count that can come."""


def binomial_tail(least: int, count: int, p: float) -> float:
    """P(X >= least) of Binomial(count, p), from the term at ``least`` on; exact above the mean."""
    if least <= 0:
        return 1.0
    if least > count:
        return 0.0
    term = math.exp(
        math.lgamma(count + 1) - math.lgamma(least + 1) - math.lgamma(count - least + 1)
        + least * math.log(p) + (count - least) * math.log1p(-p)
    )  # fmt: skip
    total = 0.0
    for k in range(least, count + 1):
        total += term
        term *= (count - k) / (k + 1) * p / (1 - p)
        if k > count * p and term < total * 1e-17:
            break
    return min(total, 1.0)


def poisson_tail(least: NDArray[np.int64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(X >= least) of each Poisson(mean) where that is above its mean, 1 elsewhere."""
    result = np.ones(len(least))
    above = least > mean
    k, rate = least[above], np.maximum(mean[above], 1e-300)
    if len(k):
        log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, k.max() + TERMS)))])
        j = k[:, None] + np.arange(TERMS)
        result[above] = np.exp(j * np.log(rate)[:, None] - rate[:, None] - log_factorial[j]).sum(1)
    return np.minimum(result, 1.0)


def in_runs(numbers: Words) -> NDArray[np.bool_]:
    """Which of distinct ascending numbers lie in a sub-block that is over-dense in its block."""
    blocks, in_block = np.unique(numbers // np.uint64(BLOCK), return_counts=True)
    subs, sub_of, in_sub = np.unique(
        numbers // np.uint64(SUB_BLOCK), return_inverse=True, return_counts=True
    )
    of_block = np.searchsorted(blocks, subs // np.uint64(BLOCK // SUB_BLOCK))
    threshold = RUN_P / max(len(subs), 1)
    dense = np.zeros(len(subs), dtype=np.bool_)
    for i in np.flatnonzero(in_sub >= 4):  # three within 1e-4 never pass the threshold
        tail = binomial_tail(int(in_sub[i]), int(in_block[of_block[i]]), SUB_BLOCK / BLOCK)
        dense[i] = tail <= threshold
    found: NDArray[np.bool_] = dense[sub_of]
    return found


def coherent(
    books: Books,
    people: Accounts,
    batch: Accounts,
    hashes: Words,
    *,
    p: float,
    share: float,
) -> NDArray[np.bool_]:
    """Who of ``people`` has more of the batch in his own book than chance, and at least a share.

    ``batch``: accounts that matched, ``hashes`` of their numbers, in an order that nobody outside
    can choose: the first of them are taken where there are too many.
    """
    if not len(people) or len(batch) <= COHERENT_LEAST or not books.entries:
        return np.zeros(len(people), dtype=np.bool_)
    few = max(min(REFERENCES_MAX, PAIRS_MAX // len(people), len(batch)), 1)
    batch = batch[:few]
    count = _had(books, people, batch, hashes[:few])
    # Whoever joined after his friends sent their books is known to more than were counted.
    known = books.known(batch)
    popularity = np.maximum(known, known.mean()).sum() / books.entries
    expected = books.sizes(people) * popularity
    enough = (count >= COHERENT_LEAST) & (count >= share * few)
    result = np.zeros(len(people), dtype=np.bool_)
    result[enough] = poisson_tail(count[enough], expected[enough]) <= p
    return result


def shares_of_friends(
    books: Books, asker: Words, batch: Accounts, hashes: Words
) -> NDArray[np.float64]:
    """Which share of a known book each of its confirmed friends has."""
    friends = batch[np.any(books.who_have(batch, asker)[0], axis=1)]
    return _had(books, friends, batch, hashes) / max(len(batch), 1)


def _had(books: Books, people: Accounts, batch: Accounts, hashes: Words) -> NDArray[np.int64]:
    """How many of the batch each has in his own book, himself left out."""
    having = books.who_have(people, hashes)[0] & (people[:, None] != batch[None, :])
    count: NDArray[np.int64] = having.sum(axis=1, dtype=np.int64)
    return count
