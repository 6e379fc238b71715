"""What a campaign for housing, employment or credit is held to, and what keeps it from showing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ringwork.ads.model import Campaign, PausedTargeting
from ringwork.console.format import plural, stamp
from ringwork.console.views.life import item_href

CATEGORIES: Final = {"HOUSING": "housing", "EMPLOYMENT": "employment", "CREDIT": "credit"}
WITHHELD: Final = {
    "needs-review": (
        "Held: an ad of it seems to be for what it does not declare. Nothing of it is shown before "
        "a person has decided."
    ),
    "not-certified": (
        "Not certified: its advertiser has to certify the text, by editing it. Nothing of it is "
        "shown before."
    ),
    "forbidden-targeting": (
        "Paused audiences: parts of its targeting are forbidden to such ads. Nothing of it is "
        "shown by them, and its budget stays, until its targeting is another."
    ),
}
"""Why nothing of an active campaign is shown, in words."""


class SpecialSection(Struct, frozen=True, kw_only=True):
    """The section of its page."""

    path: str
    categories: str
    certified: str
    withheld: str
    suspicions: list[tuple[str, str, str]]
    """Category, score against its threshold, what counted most."""
    suspected_ad: str
    paused: list[PausedTargeting]
    decide_key: str
    """The key of the form that decides; empty where the visitor may not, or nothing is held."""
    lawful_key: str
    """The key of the form that takes the proposal."""
    proposal: list[tuple[str, str]]


def special_section(
    campaign: Campaign, *, writes: bool, reviews: bool, key: str
) -> SpecialSection | None:
    """The section; None of a campaign that nothing is special about."""
    screening = campaign.screening
    pending = screening.needs_review
    if not campaign.is_special and pending is None:
        return None
    signed = screening.certification
    return SpecialSection(
        path=item_href("campaign", campaign.id),
        categories=named(campaign.special_ad_categories),
        certified=(
            f"text {signed.text}, {stamp(signed.at_us)}, by {signed.by or 'the platform'}"
            if signed
            else ""
        ),
        withheld=WITHHELD.get(campaign.withheld, ""),
        suspicions=[
            (
                CATEGORIES[one.category],
                f"{one.score_ppm / 1e6:.2f}, threshold {one.threshold_ppm / 1e6:.2f}",
                ", ".join(one.features),
            )
            for one in (pending.suspicions if pending else ())
        ],
        suspected_ad=pending.creative_id if pending else "",
        paused=list(screening.paused),
        decide_key=f"{key}.special" if reviews and pending else "",
        lawful_key=f"{key}.lawful" if writes and screening.proposal is not None else "",
        proposal=_proposal(campaign),
    )


def named(categories: Sequence[str]) -> str:
    """``housing and credit``; empty for none."""
    return " and ".join(CATEGORIES[one] for one in categories)


def _proposal(campaign: Campaign) -> list[tuple[str, str]]:
    """What differs between the targeting and the lawful one, member by member."""
    lawful, now = campaign.screening.proposal, campaign.targeting
    if lawful is None:
        return []
    found = []
    for name, title in (
        ("audiences", "Audiences"),
        ("categories", "Content categories"),
        ("regions", "Regions"),
        ("key_values", "Key-values"),
    ):
        for before, after, suffix in (
            (getattr(now, name), getattr(lawful, name), ""),
            (getattr(now.excluded, name), getattr(lawful.excluded, name), ", excluded"),
        ):
            if before != after:
                found.append((title + suffix, _values(after)))
    return found


def _values(value: object) -> str:
    items = list(value) if isinstance(value, list | dict) else []
    if not items:
        return "any"
    shown = ", ".join(str(one) for one in items[:6])
    return shown if len(items) <= 6 else f"{shown} and {plural(len(items) - 6, 'other')}"
