"""Noise from a pool of random words: discrete Laplace and discrete Gaussian, exact.

The pool is a ChaCha20 key stream (RFC 8439) keyed from the ``Entropy`` port. Each block of it
begins with the key of the next, so a key never outlives its block (Bernstein 2017, fast key
erasure): who reads the memory of the process later cannot work out noise that was published before.

Draws are compiled where numba is installed (the extra ``fast``), else plain; both give the same
values from the same entropy (``draws``, ``draws_compiled``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from fractions import Fraction
from math import isqrt
from types import ModuleType
from typing import Final, Literal

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.privacy import draws
from ringwork.fairness.privacy.draws import WORD, Exhausted, Words
from ringwork.kernel.entropy import SystemEntropy
from ringwork.kernel.ports import Entropy

Whole = NDArray[np.int64]

_KEY_BYTES: Final = 32
_FIRST_WORDS: Final = 512
_BLOCK_WORDS: Final = 32_768
"""256 KiB, which stay in the second cache; blocks grow to it from 4 KiB for who needs few draws."""
_SCALE_MAX: Final = 1 << 48
"""Beyond it a draw might not fit a signed word; 4096 x 256 impressions x 2**20 is 2**40."""
_COMPILED_SIGMA_MIN: Final = Fraction(1, 16)
SLACK: Final = 4
"""Units by which the kernel's exponent may be off: two roundings of the root, one of its square."""


class NoisePool:
    """Draws noise for releases. Not for several threads at once.

    ``entropy`` says where it comes from: "system", or "test" for every source but the operating
    system's; what is published with the latter is not private, and the log says so.
    """

    __slots__ = ("_blocks", "_key", "_words", "_at", "entropy")  # noqa: RUF023 # in order of use

    def __init__(self, entropy: Entropy) -> None:
        self.entropy: Literal["system", "test"] = (
            "system" if isinstance(entropy, SystemEntropy) else "test"
        )
        self._key = entropy.take(_KEY_BYTES)
        self._blocks = 0
        self._words = np.empty(0, np.uint64)
        self._at = 0

    def __repr__(self) -> str:
        return f"NoisePool(entropy={self.entropy!r})"

    def discrete_laplace(self, scale: int | Fraction, *, size: int) -> Whole:
        """``size`` draws with P(y) proportional to exp(-|y| / scale), int64.

        ValueError for a scale that is not positive, or too large for a word (2**48).
        """
        t, s = _ratio(scale, "scale")
        kernel = _compiled() if max(t, s) < _SCALE_MAX else None
        fill = None
        if kernel is not None:
            constants = np.array([t, s, WORD % t], np.uint64)
            fill = functools.partial(_run, kernel.laplace, constants)
        return self._draw(size, fill, lambda words: draws.laplace(words, t, s))

    def discrete_gaussian(self, sigma: int | Fraction, *, size: int) -> Whole:
        """``size`` draws with P(y) proportional to exp(-y**2 / (2 sigma**2)), int64.

        ValueError for a sigma that is not positive, or too large for a word (2**48).
        """
        numerator, denominator = _ratio(sigma, "sigma")
        a, b = numerator**2, denominator**2
        t = numerator // denominator + 1
        kernel = _compiled() if sigma >= _COMPILED_SIGMA_MIN else None
        fill = None
        if kernel is not None:
            constants = np.array(_gaussian_constants(a, b, t), np.uint64)
            fill = functools.partial(_run, kernel.gaussian, constants)
        return self._draw(size, fill, lambda words: draws.gaussian(words, a, b, t))

    def _draw(self, size: int, fill: _Fill | None, one: Callable[[Words], int]) -> Whole:
        """Draws by the kernel; one at a time where it stops, or is not there."""
        out = np.empty(size, np.int64)
        filled = 0
        while filled < size:
            is_exhausted = False
            if fill is not None:
                stopped = fill(self._words, self._at, out, filled)
                self._read_to(stopped.at)
                filled, is_exhausted = stopped.filled, stopped.is_exhausted
            if filled < size and not is_exhausted:
                words = Words(self._words, self._at)  # type: ignore[arg-type]  # an array of words
                try:
                    out[filled] = one(words)
                except Exhausted:
                    is_exhausted = True
                else:
                    self._read_to(words.position)
                    filled += 1
            if is_exhausted:
                self._refill()
        return out

    def _read_to(self, position: int) -> None:
        """What was read is gone from memory."""
        self._words[self._at : position] = 0
        self._at = position

    def _refill(self) -> None:
        """One more block behind the words that are left.

        Its size depends on its number alone, so that draws are the same whoever makes them.
        """
        count = min(_FIRST_WORDS << self._blocks, _BLOCK_WORDS)
        self._blocks += 1
        stream = Cipher(ChaCha20(self._key, bytes(16)), mode=None).encryptor()
        self._key = stream.update(bytes(_KEY_BYTES))
        fresh = np.frombuffer(stream.update(bytes(8 * count)), "<u8")
        self._words = np.concatenate([self._words[self._at :], fresh])
        self._at = 0


class _Stopped(Struct, frozen=True):
    is_exhausted: bool
    at: int
    filled: int


_Fill = Callable[[NDArray[np.uint64], int, Whole, int], _Stopped]


def _run(
    kernel: Callable[..., tuple[int, int, int]],
    constants: NDArray[np.uint64],
    words: NDArray[np.uint64],
    at: int,
    out: Whole,
    filled: int,
) -> _Stopped:
    why, at, filled = kernel(words, at, out, filled, *constants)
    return _Stopped(is_exhausted=why == 1, at=at, filled=filled)


@functools.cache
def _compiled() -> ModuleType | None:
    try:
        from ringwork.fairness.privacy import draws_compiled  # noqa: PLC0415 # numba: seconds
    except ModuleNotFoundError as missing:
        if missing.name != "numba":
            raise
        return None
    return draws_compiled


def _ratio(value: int | Fraction, name: str) -> tuple[int, int]:
    exact = Fraction(value)
    if not 0 < exact < _SCALE_MAX:
        raise ValueError(f"{name}: expected a fraction above 0 and below 2**48, got {value}")
    return exact.numerator, exact.denominator


def _gaussian_constants(a: int, b: int, t: int) -> tuple[int, ...]:
    """What ``draws_compiled.gaussian`` needs for sigma**2 = a/b; 2**lead <= sigma sqrt 2.

    ``scale`` is 2**(64 + lead) / (sigma sqrt 2), at most a word. The upper half of
    (y << 57 - lead) * scale is then y / (sigma sqrt 2) in units of 2**-57, less at most two of
    them while y < 2**(lead + 6); ``middle`` is sigma / (t sqrt 2) in the same units.
    """
    lead = isqrt((2 * a << 8) // b).bit_length() - 1 - 4  # of 16 sigma sqrt 2, which is at least 1
    scale = min(isqrt((b << 2 * (64 + lead)) // (2 * a)), WORD - 1)
    middle = isqrt((a << 2 * 57) // (2 * b * t * t))
    y_max = (1 << (lead + 6)) - 1
    return t, WORD % t, y_max, 57 - lead, scale, middle, SLACK
