"""Why an ad was shown, in words for the person who saw it, from what was really read.

Everything follows from an auction's record: its context, its tier and the bits of its reads
(``reads``). The parameters of the DSA statement (article 26(1)(d); DSA extension of OpenRTB) come
from the same, so that no answer can say another thing than the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ringwork.ads.model import (
    BASIC_ADVERTISING,
    INTEREST_PREFIX,
    PROFILING,
    Context,
    Targeting,
    Used,
)
from ringwork.ads.outside import is_external
from ringwork.ads.reads import FeatureRead, reads_of

TIERS: Final[Mapping[str, str]] = {
    "consented": "You agreed to personalised ads.",
    "less-personalised": "You did not agree to personalised ads: what you do elsewhere, and did "
    "before, was not looked at.",
    "general": "Nothing was looked at but the place of the ad.",
}
FEATURES: Final[Mapping[str, str]] = {
    "interests": "which topics you were interested in",
    "audiences": "what you did there, for audiences that advertisers choose",
    "impressions": "which ads you saw, so that you do not see one too often",
}
_BASIC: Final = Used((BASIC_ADVERTISING,))
_NOTHING: Final = Used()
AudienceName = Callable[[str], str]
"""An audience's id -> its name."""


def user_parameters(context: Context, reads: Mapping[str, int]) -> tuple[int, ...]:
    """What of the viewer was used, as the DSA extension of OpenRTB codes it.

    >>> user_parameters(Context(site="news.example"), {})
    ()
    """
    is_basic = bool(
        context.categories or context.region or context.key_values or context.device_type != "other"
    )
    basic = (BASIC_ADVERTISING,) if is_basic or reads else ()
    return (PROFILING, *basic) if reads else basic


def used_of(context: Context, campaign_id: str, reads: Mapping[str, int]) -> Used:
    """What of the viewer a campaign's ad was chosen by.

    Nothing that was read of a person reaches an outside bidder.
    """
    if reads and not is_external(campaign_id):
        return Used(user_parameters(context, reads), reads)
    return _BASIC if user_parameters(context, {}) else _NOTHING


def chosen_by(
    context: Context, targeting: Targeting, reads: Mapping[str, int], name_of: AudienceName
) -> list[str]:
    """What the ad's campaign asks for, as parts of a sentence."""
    found = []
    if targeting.sites or targeting.apps:
        found.append(f"the place ({context.app or context.site})")
    if targeting.categories:
        found.append("what the page is about")
    if targeting.regions:
        found.append(f"the region ({context.region})")
    if targeting.device_types:
        found.append(f"the kind of device ({context.device_type})")
    if targeting.hours:
        found.append("the hour")
    if targeting.weekdays:
        found.append("the day of the week")
    if targeting.key_values:
        found.append("what its publisher says of the page")
    if reads:
        found += [_audience(id, name_of) for id in targeting.audiences]
    return found


def _audience(id: str, name_of: AudienceName) -> str:
    if id.startswith(INTEREST_PREFIX):
        return f"an interest in the topic {id[len(INTEREST_PREFIX) :]}"
    return f"what you did ({name_of(id)})"


def told_outside(context: Context) -> list[str]:
    """What an outside bidder was told, as parts of a sentence."""
    told = [f"the place ({context.app or context.site})"]
    if context.categories:
        told.append("what the page is about")
    if context.region:
        told.append(f"the region ({context.region})")
    if context.device_type != "other":
        told.append(f"the kind of device ({context.device_type})")
    return told


def read_of(reads: Mapping[str, int]) -> list[tuple[FeatureRead, str]]:
    """What was read of a person, each with what that means."""
    return [(one, FEATURES.get(one.feature, one.feature)) for one in reads_of(reads)]


def sentence(
    context: Context, targeting: Targeting, reads: Mapping[str, int], name_of: AudienceName
) -> str:
    """Why an ad of ours was shown."""
    by = ", ".join(chosen_by(context, targeting, reads, name_of))
    return f"Chosen by {by or 'the auction for this place alone'}. {_of_you(reads)}"


def sentence_outside(context: Context) -> str:
    """The same for an outside bidder's ad, which nothing of a person reaches."""
    told = ", ".join(told_outside(context))
    return f"Chosen by its bid for this place. Its bidder was told {told}, and not you."


def _of_you(reads: Mapping[str, int]) -> str:
    """What was read of the person, or that nothing was."""
    if not reads:
        return "Nothing about you was used."
    meanings = list(dict.fromkeys(meaning for _, meaning in read_of(reads)))
    services = ", ".join(reads)
    return f"As you agreed, was looked at of {services}: {'; '.join(meanings)}."
