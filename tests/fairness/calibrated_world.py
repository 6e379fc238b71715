"""An invented world whose posteriors are exact by construction, as the reference's self-test has it."""

from fractions import Fraction

import numpy as np

from ringwork.fairness.measure.confusion import gram
from ringwork.fairness.measure.exact import Observed
from ringwork.fairness.measure.moments import Moments
from ringwork.fairness.measure.sums import quantised
from ringwork.fairness.model import PPB

MIX = np.array([0.62, 0.16, 0.15, 0.07])


def people(rng: np.random.Generator, count: int = 40_000, mix=MIX):
    """(posteriors [n, K], true groups [n])."""
    posterior = rng.dirichlet(mix * 1.6, count)
    group = (np.cumsum(posterior, 1) < rng.random(count)[:, None]).sum(1).clip(0, len(mix) - 1)
    return posterior, group


def ppb(shares) -> tuple[int, ...]:
    whole = np.rint(np.asarray(shares) * PPB).astype(int)
    whole[0] += PPB - whole.sum()
    return tuple(int(one) for one in whole)


def ads(rng, posterior, group, *, count, impressions, noise=0.0, spread=0.06):
    """(released sums of each ad, true variance of each): delivered from these very people."""
    size = posterior.shape[1]
    mix = np.bincount(group, minlength=size) / len(group)
    members = [np.flatnonzero(group == one) for one in range(size)]
    observed, truth = [], []
    for ad in range(count):
        skew = rng.normal(0, spread, size)
        wanted = np.clip(mix + skew - skew.mean(), 0.005, None)
        counts = rng.multinomial(impressions, wanted / wanted.sum())
        reached = np.concatenate([rng.choice(members[k], counts[k]) for k in range(size)])
        sums = posterior[reached].sum(0) * 256 + rng.normal(0, noise * 256, size)
        observed.append(
            Observed(
                ad=f"ad{ad}",
                segment=0,
                impressions=impressions,
                sums=tuple(int(one) for one in np.rint(sums)),
                unit=256,
                eligible_ppb=ppb(posterior.mean(0)),
                noise_variance=round((noise * 256) ** 2 * 1_000_000),
            )
        )
        truth.append(np.abs(counts / impressions - mix).sum() / 2)
    return observed, np.array(truth)


def noisy_moments(pool, sigma: str, rng, possible=None) -> Moments:
    """What is released of a pool, with noise of NumPy's."""
    rows = quantised(pool)
    size = rows.shape[1]
    together = np.ones((size, size), bool) if possible is None else possible
    sums = []
    for at, row in enumerate(gram(rows, together)):
        scale = float(sigma) * 256**2 / np.sqrt([1] + [2] * (len(row) - 1))
        noise = np.rint(rng.normal(0, scale)) * together[at, at:]
        sums.append(tuple(int(one) for one in np.array(row) + noise))
    return Moments(sums=tuple(sums), unit=256, sigma=Fraction(sigma))
