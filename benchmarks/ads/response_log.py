"""A log whose truth is known and is not our model: what the response model is judged on.

A week of impressions of two tiers. A click's chance is ``1 - exp(-exp(u))``, not a logistic
curve, and u has what a sum of weights cannot say: bumps of hour by device, a position effect that
saturates, affinity of ads and sites from latent vectors (stronger for consenting people), ads that
wear out and ads that begin late, a shape that phones do not suit, and a viewer of whom nothing is
known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

from ringwork.ads.rank import features

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Codes = NDArray[np.int64]
    Small = NDArray[np.int16]
    Floats = NDArray[np.float64]

DAYS: Final = 7
ADS, CAMPAIGNS, ADVERTISERS, AD_CATEGORIES, SHAPES = 2_000, 320, 90, 16, 6
SITES, PLACEMENTS, CATEGORIES, SIZES = 220, 640, 24, 5
REGIONS, COUNTRIES, DEVICES = 44, 12, 4
LATENT: Final = 4
AD_SIZES: Final = (ADS, CAMPAIGNS, ADVERTISERS, AD_CATEGORIES, SHAPES)
CONTEXT_SIZES: Final = (
    SITES, PLACEMENTS, CATEGORIES, COUNTRIES, REGIONS, DEVICES, 24, 2, SIZES, 24 * DEVICES,
)  # fmt: skip


class Log(Struct, frozen=True):
    """Rows in the order of time."""

    context: Small
    """[row, field]: the number of the value, by ``features.CONTEXT_FIELDS``."""
    ad: Small
    """[row, field], by ``features.AD_FIELDS``."""
    tier: Codes
    """In ``ringwork.ads.rank.snapshot.TIERS``: 0 consented, 1 less personalised."""
    day: Floats
    age_days: Floats
    """How long the ad had run."""
    chance: Floats
    """The truth."""
    clicked: Floats

    def keys(self, rows: slice) -> tuple[Codes, Codes]:
        """(context keys, ad keys): what a learner takes."""
        return (
            keys_of(
                features.CONTEXT_FIELDS,
                CONTEXT_SIZES,
                features.CONTEXT_OF_CROSS,
                self.context[rows],
            ),
            keys_of(features.AD_FIELDS, AD_SIZES, features.AD_OF_CROSS, self.ad[rows]),
        )


def keys_of(
    fields: Sequence[str], sizes: Sequence[int], crossed: Sequence[int], codes: Small
) -> Codes:
    """``features``' rows of keys for numbered values, a column at a time."""
    columns = [
        np.array([features.key(field, str(value)) for value in range(size)])[codes[:, column]]
        for column, (field, size) in enumerate(zip(fields, sizes, strict=True))
    ]
    columns += [columns[column] for column in crossed]
    return np.ascontiguousarray(np.stack(columns, axis=1))


def _zipf(rng: Generator, size: int, count: int) -> Codes:
    """Values of which few are frequent and many rare."""
    heights = 1.0 / (np.arange(size) + 3.0)
    return rng.permutation(size)[
        np.searchsorted(np.cumsum(heights / heights.sum())[:-1], rng.random(count))
    ]


def made(rows: int, *, seed: int) -> Log:
    """A log of that many rows; the same seed gives the same log."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.random(rows)) * DAYS
    rhythm = np.cumsum(1.2 + np.sin((np.arange(24) - 9.0) * np.pi / 12.0))
    hour = np.searchsorted(rhythm / rhythm[-1], rng.random(rows))
    device = rng.choice(DEVICES, rows, p=(0.58, 0.08, 0.28, 0.06))
    placement = _zipf(rng, PLACEMENTS, rows)
    site_of = rng.permutation(np.arange(PLACEMENTS) % SITES)
    region = _zipf(rng, REGIONS, rows)
    site = site_of[placement]
    context = np.stack(
        [
            site,
            placement,
            rng.integers(0, CATEGORIES, SITES)[site],
            rng.integers(0, COUNTRIES, REGIONS)[region],
            region,
            device,
            hour,
            rng.integers(0, 2, PLACEMENTS)[placement],
            rng.integers(0, SIZES, PLACEMENTS)[placement],
            device * 24 + hour,
        ],
        axis=1,
    )
    begins = rng.uniform(-20.0, DAYS, ADS)
    number = _running(rng, begins, day)
    campaign_of = rng.integers(0, CAMPAIGNS, ADS)
    advertiser_of = rng.integers(0, ADVERTISERS, CAMPAIGNS)
    campaign = campaign_of[number]
    advertiser = advertiser_of[campaign]
    ad = np.stack(
        [
            number,
            campaign,
            advertiser,
            rng.integers(0, AD_CATEGORIES, ADVERTISERS)[advertiser],
            rng.integers(0, SHAPES, ADS)[number],
        ],
        axis=1,
    )
    tier = (rng.random(rows) < 0.5).astype(np.int64)
    age = day - begins[number]
    chance = _chance(rng, context, ad, tier, age)
    clicked = (rng.random(rows) < chance).astype(np.float64)
    return Log(context.astype(np.int16), ad.astype(np.int16), tier, day, age, chance, clicked)


def _running(rng: Generator, begins: Floats, day: Floats) -> Codes:
    """An ad that has begun, for every row: redrawn until it has."""
    number = _zipf(rng, len(begins), len(day))
    while len(late := np.flatnonzero(begins[number] > day)):
        number[late] = rng.integers(0, len(begins), len(late))
    return number


def _chance(rng: Generator, context: Codes, ad: Codes, tier: Codes, age_days: Floats) -> Floats:
    site, placement, category, _, region, device, hour = context.T[:7]
    number, campaign, advertiser, ad_category, shape = ad.T

    def effect(size: int, spread: float) -> Floats:
        return rng.normal(0.0, spread, size)

    u = np.full(len(tier), -4.35)
    u += effect(ADS, 0.40)[number] + effect(CAMPAIGNS, 0.30)[campaign]
    u += effect(ADVERTISERS, 0.25)[advertiser] + effect(REGIONS, 0.15)[region]
    u += effect(SITES, 0.35)[site] + np.array([0.25, 0.0, -0.1, -0.5])[device]
    # Phones in the evening, computers at noon: two bumps on the clock.
    u += np.where(device == 0, 0.5 * np.exp(-(((hour - 21.0) / 2.5) ** 2)), 0.0)
    u += np.where(device == 2, 0.4 * np.exp(-(((hour - 12.5) / 2.0) ** 2)), 0.0)
    depth = rng.exponential(1.5, PLACEMENTS)[placement]
    u += np.log(0.3 + 0.7 * np.exp(-depth))
    tastes = rng.normal(0.0, 0.8, (CAMPAIGNS, LATENT)), rng.normal(0.0, 0.8, (SITES, LATENT))
    affinity = (tastes[0][campaign] * tastes[1][site]).sum(axis=1) / np.sqrt(LATENT)
    u += np.where(tier == 0, 0.5, 0.3) * affinity + np.where(tier == 0, 0.25, 0.0)
    u += np.where(effect(AD_CATEGORIES * CATEGORIES, 1.0)[ad_category * CATEGORIES + category] > 1.3,
                  0.5, 0.0)  # fmt: skip
    u += np.where((shape >= 4) & (device == 0), -0.4, 0.0)
    u -= 0.2 * (1.0 - np.exp(-age_days / 5.0))
    u += rng.normal(0.0, 0.4, len(tier))
    chance: Floats = 1.0 - np.exp(-np.exp(np.minimum(u, -0.5)))
    return chance
