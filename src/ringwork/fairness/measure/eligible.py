"""Who was eligible: the group mix of an ad's audience, in integers that sum to one.

By impressions, each eligible person counts as often as any ad was shown to them in the plan's
window (what the delivery system would have had to choose from); by people, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.model import PPB
from ringwork.kernel.errors import Refused

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SURE: Final = 1e-9
"""Of a group's sum: below it, nobody."""
NOISE_MAX: Final = 0.1
"""Standard deviation of the noise on a share, from which on the share says nothing."""
_RAKED: Final = 1000
"""Rounds at most: a dozen where attributes hardly hang together, hundreds where cells are empty."""


class Eligible(Struct, frozen=True, kw_only=True):
    """One attribute of an audience. A group of share zero is left out of control, and reported."""

    shares_ppb: tuple[int, ...]
    people: int
    """Of a known group; of an estimated attribute, all."""
    unknown: int
    """People whose group is not known: they are in no share."""
    by: Literal["impressions", "people"]
    """``impressions``, or ``people`` where asked for or where nobody was shown anything."""


def recent_impressions(
    person: Integers, day: Integers, *, people: int, today: int, window_days: int
) -> Integers:
    """[people] impressions of all ads to each, in the ``window_days`` days that end with ``today``.

    ``person`` and ``day`` have one entry per impression; entries of the future are left out, so a
    clock that went back counts nothing twice.
    """
    inside = (day > today - window_days) & (day <= today)
    return np.asarray(np.bincount(person[inside], minlength=people), dtype=np.int64)


def eligible(vectors: Floats, recent: Integers | None = None) -> Eligible:
    """The mix of an audience [n, K] of soft or one-hot vectors; an all-zero row is unknown.

    ``recent``: impressions of each person in the window; None counts people. Raises Refused:
    audience-empty where nobody of a known group is eligible.
    """
    known = vectors.sum(1) > _SURE
    count = int(known.sum())
    if count == 0:
        raise Refused(
            "audience-empty",
            f"expected somebody of a known group to be eligible, got {len(vectors)} people",
            status=422,
            title="Nobody is eligible",
        )
    by: Literal["impressions", "people"] = "people"
    weight = known.astype(np.float64)
    if recent is not None and recent[known].sum() > 0:
        by, weight = "impressions", np.where(known, recent, 0).astype(np.float64)
    return Eligible(
        shares_ppb=in_ppb(weight @ vectors),
        people=count,
        unknown=len(vectors) - count,
        by=by,
    )


def noisy_shares(sums: Sequence[int], *, noise: float) -> tuple[tuple[int, ...], int] | None:
    """Shares of sums by group, and the noise of each (standard deviation) as a share; in 1e-9.

    Below zero noise has taken nobody. None where nobody is left, or the noise is more than
    ``NOISE_MAX`` of them all: decided on what was released, so that it tells nothing more.
    """
    known = np.maximum(np.array(sums, np.float64), 0.0)
    total = float(known.sum())
    if total <= 0 or noise > NOISE_MAX * total:
        return None
    return in_ppb(known), ceil(noise / total * PPB)


def noise_covariance(shares: Floats, noise: float) -> Floats:
    """[K, K] of shares e = x / sum x around those without noise: s^2 (I - e 1^T)(I - 1 e^T).

    ``noise``: s, as ``noisy_shares`` says it. To first order in it.
    """
    tilt = np.eye(len(shares)) - np.outer(shares, np.ones(len(shares)))
    return np.asarray(noise * noise * (tilt @ tilt.T))


def raked(crossed: Floats, margins: Sequence[Floats]) -> Floats:
    """Shares of crossed groups with the margins that are known better (Deming, Stephan 1940).

    ``crossed`` [K1, K2, ...]: not negative, not all zero; ``margins`` [Ki]. A cell that noise took
    everybody from gets a thousandth of what independence would give it, so that every margin can be
    met.
    """
    found = np.maximum(crossed / crossed.sum(), 0.0)
    independent: Floats = np.ones(())
    for margin in margins:
        independent = np.multiply.outer(independent, margin)
    found = np.maximum(found, independent / 1000)
    for _ in range(_RAKED):
        off = 0.0
        for axis, margin in enumerate(margins):
            others = tuple(one for one in range(found.ndim) if one != axis)
            seen = found.sum(axis=others, keepdims=True)
            wanted = margin.reshape(seen.shape)
            off = max(off, float(np.abs(seen - wanted).max()))
            found = found * np.divide(wanted, seen, out=np.zeros_like(seen), where=seen > 0)
        if off < _SURE:
            break
    return np.asarray(found)


def told_covariance(shares: Floats, *, told: float, people: float) -> Floats:
    """[K, K] of declared shares around the truth, where ``told`` of ``people`` declared a group.

    Sampling without replacement from a finite number: nothing is uncertain once everybody told.
    """
    if not told:
        return np.eye(len(shares)) - 1 / len(shares)
    spread = np.diag(shares) - np.outer(shares, shares)
    return np.asarray(spread * ((1 - told / people) / told))


def proxied_covariance(inverse: Floats, within: Floats, *, people: float) -> Floats:
    """[K, K] of shares with the blur taken out: ``within`` is W, of ``people`` posteriors."""
    return np.asarray(inverse.T @ (within / max(people, 1)) @ inverse)


def in_ppb(amounts: Floats) -> tuple[int, ...]:
    """Shares of non-negative amounts that sum to 1e9 exactly, by largest remainder.

    Of equal remainders the first group gets it. ValueError where nothing is there to share.
    """
    total = float(amounts.sum())
    if not np.isfinite(amounts).all() or amounts.min() < 0 or total <= 0:
        raise ValueError("expected finite amounts of zero or more, some above")
    exact = amounts / total * PPB
    whole = np.floor(exact).astype(np.int64)
    short = PPB - int(whole.sum())
    order = np.argsort(-(exact - whole), kind="stable")
    for at in range(abs(short)):
        whole[order[at % len(order)]] += 1 if short > 0 else -1
    return tuple(whole.tolist())
