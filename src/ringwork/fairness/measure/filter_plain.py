"""One step of the filter, for n ads of D directions at a time; ``filter_compiled`` is the twin.

``mean`` [n, D, m] and ``covariance`` [n, D, m, m] are changed in place. A state is (s, bias, noise
within groups, privacy noise of the newest release, of the one before, ...).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SUM: Final = 0
BIAS: Final = 1
WITHIN: Final = 2
NOISE: Final = 3


def advance(
    mean: Floats,
    covariance: Floats,
    step: Floats,
    rate: Floats,
    sampling: Floats,
    drift: Floats,
    within: Floats,
) -> None:
    """``step`` [n] impressions at ``rate`` [n, D] plus bias.

    ``sampling`` and ``drift`` [n, D], ``within`` [D]: variance that each impression adds.
    """
    wide = step[:, None]
    mean[:, :, SUM] += wide * (rate + mean[:, :, BIAS])
    covariance[:, :, SUM, :] += wide[:, :, None] * covariance[:, :, BIAS, :]
    covariance[:, :, :, SUM] += wide[:, :, None] * covariance[:, :, :, BIAS]
    covariance[:, :, SUM, SUM] += wide * sampling
    covariance[:, :, BIAS, BIAS] += wide * drift
    covariance[:, :, WITHIN, WITHIN] += wide * within


def observe(mean: Floats, covariance: Floats, seen: Floats, weights: Floats, fresh: Floats) -> None:
    """A release that shows ``seen`` [n, D], NaN where nobody of a known group was.

    ``weights`` [n, memory] of the noise before, ``fresh`` [n, D] variance of what is new in it.
    """
    _shift(mean, covariance, weights, fresh)
    along = covariance[:, :, SUM] + covariance[:, :, WITHIN] + covariance[:, :, NOISE]
    variance = along[:, :, SUM] + along[:, :, WITHIN] + along[:, :, NOISE]
    off = seen - (mean[:, :, SUM] + mean[:, :, WITHIN] + mean[:, :, NOISE])
    useful = (variance > 0) & ~np.isnan(off)
    scale = np.where(useful, 1 / np.sqrt(np.where(useful, variance, 1.0)), 0.0)
    along *= scale[:, :, None]
    mean += along * (np.where(useful, off, 0.0) * scale)[:, :, None]
    covariance -= along[:, :, :, None] * along[:, :, None, :]


def _shift(mean: Floats, covariance: Floats, weights: Floats, fresh: Floats) -> None:
    """Noise moves one place back, and a new one comes of what it was."""
    before = mean[:, :, NOISE:].copy()
    mean[:, :, NOISE + 1 :] = before[:, :, :-1]
    mean[:, :, NOISE] = (before * weights[:, None, :]).sum(2)
    along = (weights[:, None, None, :] @ covariance[:, :, NOISE:, :])[:, :, 0, :]
    variance = (along[:, :, NOISE:] * weights[:, None, :]).sum(2) + fresh
    kept = covariance[:, :, :-1, :-1].copy()
    covariance[:, :, NOISE + 1 :, NOISE + 1 :] = kept[:, :, NOISE:, NOISE:]
    covariance[:, :, NOISE + 1 :, :NOISE] = kept[:, :, NOISE:, :NOISE]
    covariance[:, :, :NOISE, NOISE + 1 :] = kept[:, :, :NOISE, NOISE:]
    new = np.concatenate([along[:, :, :NOISE], along[:, :, NOISE:-1]], axis=2)
    others = [*range(NOISE), *range(NOISE + 1, covariance.shape[2])]
    covariance[:, :, NOISE, others] = new
    covariance[:, :, others, NOISE] = new
    covariance[:, :, NOISE, NOISE] = variance
