"""What is told of a measured ad: everything that was released, and nothing that was not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET, Struct

from ringwork.fairness.delivery.memory import FairnessMemory
from ringwork.fairness.model import PPB
from ringwork.fairness.privacy.budget import Standing
from ringwork.fairness.recompute import Computed
from ringwork.fairness.records import By, Override, Release
from ringwork.kernel.errors import NotFound

if TYPE_CHECKING:
    from ringwork.fairness.delivery.desk import Desk

NOT_YET: Final = "registered, and not looked at yet: a moment"
"""Why nothing is measured of an ad between its registration and the next look."""


class DirectFigure(Struct, frozen=True, kw_only=True, tag="direct", tag_field="kind"):
    """Variance of a declared attribute, in [0, 1]."""

    attribute: str
    by: By
    episode: int
    value: float


class PairedFigure(Struct, frozen=True, kw_only=True, tag="pair", tag_field="kind"):
    """Variance of an estimated attribute: never one number."""

    attribute: str
    by: By
    episode: int
    proxy: float
    deattenuated: float | None
    """None: the proxy's blur cannot be inverted; the interval alone holds."""
    low: float
    high: float
    """95 %, if posteriors are calibrated."""
    band_low: float | None
    band_high: float | None
    """The widest interval over the plan's degrees of miscalibration."""


class ControlView(Struct, frozen=True, kw_only=True):
    """What steers the ad."""

    episode: int
    lambda_micro: tuple[int, ...]
    """Prices of the controlled groups, in millionths of the ad's usual value."""
    held: bool
    reason: str


class AdView(Struct, frozen=True, kw_only=True):
    """One ad."""

    ad: str
    category: str
    segments: int
    impressions: int
    """Billed so far, of all segments."""
    demo_tables: bool
    release: Release | None
    released_at_us: int | None
    figures: list[DirectFigure | PairedFigure]
    controlled: tuple[str, ...]
    """Attributes, in the order of the prices."""
    control: ControlView | None
    override: Override | None
    budget: Standing | None
    unmeasured: str
    """Why nothing is measured, where that is so."""


def unmeasured(memory: FairnessMemory, desk: Desk, ad: str) -> str:
    """Why nothing is measured of an ad now; empty where it is, or nothing is known of it."""
    flights = memory.flights
    is_new = ad in flights.registered and ad not in flights.ads
    return desk.unmeasured.get(ad, NOT_YET if is_new else "")


def view_of(memory: FairnessMemory, desk: Desk, ad: str) -> AdView | None:
    """None for an ad that nothing is known of."""
    flight, told = memory.flights.ads.get(ad), memory.flights.registered.get(ad)
    reason = unmeasured(memory, desk, ad)
    if flight is None and not reason:
        return None
    release, control = memory.log.release(ad), memory.log.control(ad)
    segments = [] if flight is None else flight.segments
    category = "" if told is None else told.category
    if segments:
        category = segments[-1].opened.category
    state = memory.log.figures
    try:
        budget = memory.budgets.ledger.standing(ad)
    except NotFound:
        budget = None
    return AdView(
        ad=ad,
        category=category,
        segments=len(segments),
        impressions=sum(one.impressions for one in segments),
        demo_tables=any(one.demo_tables for one in state.tables),
        release=None if release is None else release[1],
        released_at_us=None if release is None else release[0],
        figures=[
            figure_of(attribute, by, found)
            for name, attribute, by, found in state.figures()
            if name == ad
        ],
        controlled=desk.controlled,
        control=None
        if control is None
        else ControlView(
            episode=control.episode,
            lambda_micro=control.lambda_micro,
            held=control.held,
            reason=control.reason,
        ),
        override=None if flight is None else flight.override,
        budget=budget,
        unmeasured=reason,
    )


def figure_of(attribute: str, by: By, found: Computed) -> DirectFigure | PairedFigure:
    """As people and programs are shown it."""
    assert found.proxy_ppb is not None, "a figure that was stated"
    if found.interval_ppb is UNSET:
        value = found.proxy_ppb / PPB
        return DirectFigure(attribute=attribute, by=by, episode=found.episode, value=value)
    point = None if found.deattenuated_ppb in (None, UNSET) else found.deattenuated_ppb
    band = None if found.band_ppb in (None, UNSET) else found.band_ppb
    assert not isinstance(band, int)
    return PairedFigure(
        attribute=attribute,
        by=by,
        episode=found.episode,
        proxy=found.proxy_ppb / PPB,
        deattenuated=point / PPB if isinstance(point, int) else None,
        low=found.interval_ppb[0] / PPB,
        high=found.interval_ppb[1] / PPB,
        band_low=band[0] / PPB if isinstance(band, tuple) else None,
        band_high=band[1] / PPB if isinstance(band, tuple) else None,
    )
