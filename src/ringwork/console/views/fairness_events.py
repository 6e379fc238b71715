"""The events of fairness in a few words; nothing in them tells of a person."""

from __future__ import annotations

from ringwork.console.format import count, plural
from ringwork.fairness.delivery import events as fair
from ringwork.fairness.records import kind_of


def registered(event: fair.SpecialAdRegistered) -> str:
    """An ad that another platform sells."""
    return f"{event.ad}, {event.category.lower()}{', over' if event.is_over else ''}"


def competed(event: fair.SpecialAdsCompeted) -> str:
    """Who stood in an auction, and how many won."""
    won = sum(one.has_won for one in event.contests)
    return f"{plural(len(event.contests), 'special ad')} in an auction, {count(won)} won"


def sold(event: fair.SpecialAdSold | fair.SpecialAdShown) -> str:
    """One ad, and whether its controller was left out."""
    return f"{event.ad}{', control arm' if event.is_left_alone else ''}"


def shown(event: fair.PersonShownAds) -> str:
    """How many ordinary ads in some minutes."""
    return f"a person was shown {plural(event.impressions, 'ordinary ad')}"


def measured(event: fair.AudienceMeasured) -> str:
    """Who is eligible for every ad with this audience, until the window is over."""
    regions = ", ".join(event.audience.regions) or "all regions"
    return f"the audience of {regions} is measured for window {event.window}, with noise"


def learned(event: fair.ModelMeasured) -> str:
    """How the proxy blurs an attribute, until the window is over."""
    return (
        f"how the proxy blurs {event.attribute} is measured for window {event.window}, with noise"
    )


def opened(event: fair.FlightOpened) -> str:
    """From when on an ad is measured."""
    declared = event.declared
    return f"{declared.ad}, segment {declared.segment}: {event.category.lower()}, measured from now"


def released(event: fair.SumsReleased) -> str:
    """A step of noisy sums."""
    charged = event.charged
    return f"{charged.ad}: release {charged.episode} of segment {charged.segment}, with noise"


def recorded(event: fair.FairnessRecorded) -> str:
    """A record of the audit log."""
    about = getattr(event.body, "ad", "") or getattr(event.body, "attribute", "")
    return f"audit log: {kind_of(event.body)}{f' of {about}' if about else ''}"
