"""The draws of ``draws``, compiled (numba): the same values from the same words.

Importing this module compiles it (or reads the cache beside it), so only ``samplers`` does, when
the first noise is drawn. Whole numbers of 64 bits alone, and the upper half of a product of two.

The exponent of a Gaussian draw needs more bits than a word has, so it is bracketed: two whole
numbers that it lies between, ``slack`` apart on either side. A random word that falls between them
decides nothing (once in 2**45 draws): the kernel stops and the draw is made again, exactly, by
``draws``. So bounded precision costs time, never exactness.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]
    Whole = NDArray[np.int64]
    U64 = np.uint64

P = ParamSpec("P")
R = TypeVar("R")

DONE: Final = 0
EXHAUSTED: Final = 1
"""The words ended within a draw; nothing of it counts as read."""
UNDECIDED: Final = 2
"""64 bits do not decide a draw; nothing of it counts as read."""

_NO: Final = 0
_YES: Final = 1
_MORE: Final = -1
_OPEN: Final = -2
_TERMS_MAX: Final = 1024
"""Bernoulli(1/k!) succeeds that often with probability 1/1024!; beyond it products would wrap."""
FRACTION_BITS: Final = 50
"""Bits after the point of the exponent of a Gaussian draw."""

_U: Final = numba.uint64
_WORDS: Final = types.Array(numba.uint64, 1, "C", readonly=True)
_OUT: Final = numba.int64[::1]
_PAIR: Final = cast("Any", types.UniTuple)(numba.int64, 2)
_TRIPLE: Final = cast("Any", types.UniTuple)(numba.int64, 3)
_ZERO: Final = np.uint64(0)
_ONE: Final = np.uint64(1)
_BITS: Final = np.uint64(FRACTION_BITS)
_UNIT: Final = np.uint64(1 << FRACTION_BITS)
_REST: Final = np.uint64((1 << FRACTION_BITS) - 1)


def _kernel(answer: object, *arguments: object) -> Callable[[Callable[P, R]], Callable[P, R]]:
    return cast(
        "Callable[[Callable[P, R]], Callable[P, R]]",
        numba.njit(cast("Any", answer)(*arguments), cache=True, nogil=True),
    )


@intrinsic
def _high_half(_context: Any, left: Any, right: Any) -> Any:
    """The upper 64 bits of the product of two unsigned words: one instruction."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(one, wide) for one in arguments))
        return builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


high: Final = cast("Callable[[U64, U64], U64]", _high_half)


@_kernel(numba.int64, _U, _U, _U)
def bernoulli(word: U64, p: U64, q: U64) -> int:
    """Whether a uniform number that begins with ``word`` is below p/q: yes, no, or open."""
    above = high(word, q)
    if above >= p:
        return _NO
    if above + _ONE < p or word * q <= _ZERO - q:
        return _YES
    return _OPEN


@_kernel(_PAIR, _WORDS, numba.int64, _U, _U, _U)
def exp_fraction(words: Words, at: int, low: U64, top: U64, q: U64) -> tuple[int, int]:
    """Bernoulli(exp(-p/q)) for a p of which ``low <= p <= top`` is known: (answer, position)."""
    for k in range(1, _TERMS_MAX):
        if at >= words.shape[0]:
            return _MORE, at
        word = words[at]
        at += 1
        bound = q * np.uint64(k)
        answer = bernoulli(word, low, bound)
        if answer != _YES:
            if answer == _OPEN or (top != low and bernoulli(word, top, bound) != _NO):
                return _OPEN, at
            return k & 1, at
    return _OPEN, at


@_kernel(_PAIR, _WORDS, numba.int64)
def exp_one(words: Words, at: int) -> tuple[int, int]:
    """Bernoulli(exp(-1)): (answer, position)."""
    for k in range(2, _TERMS_MAX):
        if at >= words.shape[0]:
            return _MORE, at
        answer = bernoulli(words[at], _ONE, np.uint64(k))
        at += 1
        if answer == _OPEN:
            return _OPEN, at
        if answer == _NO:
            return k & 1, at
    return _OPEN, at


@_kernel(_PAIR, _WORDS, numba.int64, _U, _U)
def one_size(words: Words, at: int, t: U64, refused: U64) -> tuple[int, int]:
    """(answer, or the size before its division by s; position); see ``draws.laplace``."""
    while True:
        if at >= words.shape[0]:
            return _MORE, at
        word = words[at]
        at += 1
        if word * t < refused:
            continue
        u = high(word, t)
        answer, at = exp_fraction(words, at, u, u, t)
        if answer == _NO:
            continue
        if answer < 0:
            return answer, at
        for _ in range(_TERMS_MAX):
            answer, at = exp_one(words, at)
            if answer != _YES:
                break
            u += t
        return (int(u) if answer == _NO else _OPEN if answer == _YES else answer), at


@_kernel(_TRIPLE, _WORDS, numba.int64, _U, _U, _U)
def one_laplace(words: Words, at: int, t: U64, s: U64, refused: U64) -> tuple[int, int, int]:
    """(answer, position, value) of one draw; see ``draws.laplace``. ``refused`` is 2**64 mod t."""
    while True:
        size, at = one_size(words, at, t, refused)
        if size < 0:
            return size, at, 0
        if at >= words.shape[0]:
            return _MORE, at, 0
        is_negative = words[at] & _ONE
        at += 1
        y = np.int64(np.uint64(size) // s)
        if is_negative == _ZERO or y != 0:
            return _YES, at, int(y if is_negative == _ZERO else -y)


@_kernel(_PAIR, _WORDS, numba.int64, _U, _U)
def exp_between(words: Words, at: int, low: U64, top: U64) -> tuple[int, int]:
    """Bernoulli(exp(-x)) for an x between low and top, in units of 2**-50: (answer, position)."""
    whole = low >> _BITS
    if top >> _BITS != whole:
        return _OPEN, at
    for _ in range(whole):
        answer, at = exp_one(words, at)
        if answer != _YES:
            return answer, at
    return exp_fraction(words, at, low & _REST, top & _REST, _UNIT)


@_kernel(_TRIPLE, _WORDS, numba.int64, _OUT, numba.int64, _U, _U, _U)
def laplace(
    words: Words, at: int, out: Whole, filled: int, t: U64, s: U64, refused: U64
) -> tuple[int, int, int]:
    """Fill ``out`` from ``filled`` on: (why it stopped, position, filled)."""
    while filled < out.shape[0]:
        answer, after, value = one_laplace(words, at, t, s, refused)
        if answer < 0:
            return (EXHAUSTED if answer == _MORE else UNDECIDED), at, filled
        out[filled] = value
        filled += 1
        at = after
    return DONE, at, filled


@_kernel(_TRIPLE, _WORDS, numba.int64, _OUT, numba.int64, *[_U] * 7)
def gaussian(  # noqa: PLR0913, PLR0917 # constants of one draw, in words
    words: Words,
    at: int,
    out: Whole,
    filled: int,
    t: U64,
    refused: U64,
    y_max: U64,
    shift: U64,
    scale: U64,
    middle: U64,
    slack: U64,
) -> tuple[int, int, int]:
    """Fill ``out`` from ``filled`` on: (why it stopped, position, filled).

    A draw y is accepted with probability exp(-x), x = ((|y| - sigma**2/t) / (sigma sqrt 2))**2.
    Both terms of the difference come in units of 2**-57 (``samplers`` makes the constants).
    """
    while filled < out.shape[0]:
        answer, after, value = one_laplace(words, at, t, _ONE, refused)
        if answer == _YES:
            y = np.uint64(abs(value))
            if y > y_max:
                return UNDECIDED, at, filled
            term = high(y << shift, scale)
            root = term - middle if term > middle else middle - term
            x = high(root, root)
            low = x - slack if x > slack else _ZERO
            answer, after = exp_between(words, after, low, x + slack)
        if answer < 0:
            return (EXHAUSTED if answer == _MORE else UNDECIDED), at, filled
        if answer == _YES:
            out[filled] = value
            filled += 1
        at = after
    return DONE, at, filled
