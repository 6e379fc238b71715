"""Exact draws of discrete noise, in whole numbers alone (Canonne, Kamath, Steinke 2020).

"The Discrete Gaussian for Differential Privacy", NeurIPS 2020, algorithms 1 to 3. Floating-point
noise leaks through its gaps (Mironov 2012), so no draw here rounds anything: a comparison with a
fraction reads as many random words as it takes. ``draws_compiled`` makes the same draws from the
same words, and hands those that 64 bits do not decide to these functions.

A deviation that changes no probability: the paper draws Bernoulli(p/q) from a uniform number below
q, we compare a uniform real number, word by word, with p/q. That needs no number longer than a word
where q has a hundred bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

WORD_BITS: Final = 64
WORD: Final = 1 << WORD_BITS


class Exhausted(Exception):
    """The words ended within a draw; what was read of it must be read again, with more behind."""


class Words:
    """Random 64-bit words, read one after the other from ``position``."""

    __slots__ = ("_words", "position")

    def __init__(self, words: Sequence[int], position: int = 0) -> None:
        self._words = words
        self.position = position

    def take(self) -> int:
        if self.position >= len(self._words):
            raise Exhausted
        word = int(self._words[self.position])
        self.position += 1
        return word


def bernoulli(words: Words, p: int, q: int) -> bool:
    """True with probability p/q, 0 <= p <= q: whether a uniform real number is below p/q.

    After a word ``u`` the number lies in [u, u + 1) / 2**64. Where p/q lies there as well, the
    question is asked again of what is left.
    """
    while True:
        left = (p << WORD_BITS) - words.take() * q
        if left <= 0:
            return False
        if left >= q:
            return True
        p = left


def exp_fraction(words: Words, p: int, q: int) -> bool:
    """True with probability exp(-p/q), 0 <= p <= q (algorithm 1)."""
    k = 1
    while bernoulli(words, p, q * k):
        k += 1
    return k % 2 == 1


def exp_one(words: Words) -> bool:
    """True with probability exp(-1): as ``exp_fraction(1, 1)``, whose first answer is certain."""
    k = 2
    while bernoulli(words, 1, k):
        k += 1
    return k % 2 == 1


def exp_any(words: Words, p: int, q: int) -> bool:
    """True with probability exp(-p/q), p >= 0: whole times exp(-1), then the rest."""
    whole, rest = divmod(p, q)
    return all(exp_one(words) for _ in range(whole)) and exp_fraction(words, rest, q)


def below(words: Words, bound: int) -> int:
    """A uniform whole number below ``bound`` <= 2**64 (Lemire 2019: by rejection of words)."""
    refused = WORD % bound
    while True:
        product = words.take() * bound
        if product % WORD >= refused:
            return product >> WORD_BITS


def laplace(words: Words, t: int, s: int) -> int:
    """Discrete Laplace of scale t/s: P(y) proportional to exp(-|y| s/t) (algorithm 2)."""
    while True:
        u = below(words, t)
        if not exp_fraction(words, u, t):
            continue
        v = 0
        while exp_one(words):
            v += 1
        y = (u + t * v) // s
        is_negative = words.take() & 1
        if not (is_negative and y == 0):
            return -y if is_negative else y


def gaussian(words: Words, a: int, b: int, t: int) -> int:
    """Discrete Gaussian of sigma**2 = a/b: P(y) proportional to exp(-y**2 b/(2a)) (algorithm 3).

    ``t`` is the scale of the Laplace draws that are accepted or not; floor(sigma) + 1 wastes least.
    """
    while True:
        y = laplace(words, t, 1)
        if exp_any(words, (abs(y) * b * t - a) ** 2, 2 * a * b * t * t):
            return y
