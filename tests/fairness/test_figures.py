"""What people are shown: pairs for what a proxy measured, in words."""

import pytest

from ringwork.fairness.measure.exact import Estimated
from ringwork.fairness.measure.figures import direct, proxied
from ringwork.fairness.model import Interval


def test_a_pair_in_words() -> None:
    found = Estimated(
        ad="a",
        deattenuated_ppb=84_000_000,
        interval_ppb=(60_000_000, 109_000_000),
        band_ppb=(58_000_000, 130_000_000),
    )
    figure = proxied(31_000_000, found)
    assert str(figure) == "between 3.1% (proxy) and 8.4% (de-attenuated; 95% interval 6.0%-10.9%)"
    assert figure.band == Interval(0.058, 0.13)
    with pytest.raises(TypeError):
        float(figure)


def test_without_a_point_there_is_the_interval() -> None:
    found = Estimated(ad="a", deattenuated_ppb=None, interval_ppb=(0, 10**9), band_ppb=None)
    figure = proxied(31_000_000, found)
    assert (figure.deattenuated, figure.band) == (None, None)
    assert "3.1% (proxy)" in str(figure)


def test_a_declared_figure_has_its_interval() -> None:
    figure = direct((100_000_000, 90_000_000, 110_000_000))
    assert (figure.value, figure.interval) == (0.1, Interval(0.09, 0.11))
