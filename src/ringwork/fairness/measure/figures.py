"""Integers of the published path as the figures that people and programs are shown."""

from __future__ import annotations

from ringwork.fairness.measure.exact import Estimated
from ringwork.fairness.model import PPB, Direct, Interval, Proxied


def direct(figure: tuple[int, int, int]) -> Direct:
    """Of ``exact.direct_ppb``."""
    value, low, high = figure
    return Direct(value=value / PPB, interval=_interval((low, high)))


def proxied(proxy_ppb: int, estimated: Estimated) -> Proxied:
    """Of ``exact.proxy_ppb`` and the estimate of the same ad: the pair, never one of them."""
    point = estimated.deattenuated_ppb
    return Proxied(
        proxy=proxy_ppb / PPB,
        deattenuated=None if point is None else point / PPB,
        interval=_interval(estimated.interval_ppb),
        band=None if estimated.band_ppb is None else _interval(estimated.band_ppb),
    )


def _interval(ends: tuple[int, int]) -> Interval:
    return Interval(low=ends[0] / PPB, high=ends[1] / PPB)
