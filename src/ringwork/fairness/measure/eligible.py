"""Who was eligible: the group mix of an ad's audience, in integers that sum to one.

By impressions, each eligible person counts as often as any ad was shown to them in the plan's
window (what the delivery system would have had to choose from); by people, once.
"""

from __future__ import annotations

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


def effective_people(recent: Integers) -> float:
    """How many people of equal weight would say as much: (sum w)^2 / sum w^2 (Kish 1965)."""
    weight = recent.astype(np.float64)
    squares = float(weight @ weight)
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


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
