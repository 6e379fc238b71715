"""What needs a person: conditions that the platform cannot mend by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from ringwork.console.facts import CampaignFacts, InReview, Lag, LogFacts, Verification
from ringwork.console.format import count, plural

LAG_EVENTS: Final = 20_000
"""A projection further behind than ten seconds of full load has stopped or cannot keep up."""
_SHOWN: Final = 4


_WITHHELD: Final = {
    "needs-review": (
        "is held",
        "An ad of it seems to be for housing, employment or credit and is not declared. Decide.",
    ),
    "not-certified": (
        "is not certified",
        "Its advertiser has to certify the text of housing, employment and credit ads.",
    ),
    "forbidden-targeting": (
        "has paused audiences",
        "Its targeting is forbidden to such ads. Take the lawful one, or another.",
    ),
}
"""Why nothing of it is shown -> what it is, and what would mend it."""


class Matter(Struct, frozen=True, kw_only=True):
    """One thing to do: what is wrong, where to look, what would mend it."""

    title: str
    href: str
    advice: str
    page: str
    """The entry of the navigation that counts it."""
    subject: str = ""
    """The id of what it is about: names may repeat."""
    items: int = 1
    """How many things wait in it."""


def is_running(facts: CampaignFacts, now_us: int) -> bool:
    """Active and inside its dates."""
    campaign = facts.campaign
    return (
        campaign.status == "active"
        and campaign.starts_us <= now_us
        and (campaign.ends_us is None or now_us < campaign.ends_us)
    )


def is_exhausted(facts: CampaignFacts) -> bool:
    """What is left does not pay for one bid."""
    account = facts.account
    return account is not None and account.available_nanos < facts.campaign.bid_nanos


def is_too_small(facts: CampaignFacts) -> bool:
    """The whole budget does not pay for one bid."""
    return facts.campaign.budget.total_nanos < facts.campaign.bid_nanos


def is_done_for_today(facts: CampaignFacts) -> bool:
    """What its daily budget still allows does not pay for one bid; tomorrow it goes on."""
    free = facts.day_free_nanos
    return free is not None and free < facts.campaign.bid_nanos


def campaign_href(id: str) -> str:
    """The campaign's page."""
    return f"/console/campaigns/{quote(id, safe='')}"


def matters(
    *,
    campaigns: Sequence[CampaignFacts],
    log: LogFacts,
    lags: Sequence[Lag],
    balanced: bool,
    verification: Verification | None,
    in_review: InReview,
    now_us: int,
) -> list[Matter]:
    """Gravest first."""
    found = [*_platform(log, lags, balanced, verification), *_of_reviews(in_review)]
    running = [facts for facts in campaigns if is_running(facts, now_us)]
    return found + [matter for facts in running if (matter := _of_campaign(facts)) is not None]


def _of_reviews(in_review: InReview) -> list[Matter]:
    total = in_review.campaigns + in_review.creatives
    if not total:
        return []
    return [
        Matter(
            title=f"{waiting_text(in_review)} {'waits' if total == 1 else 'wait'} for review",
            href="/console/reviews",
            page="reviews",
            items=total,
            advice="Nothing of it is shown before a reviewer has approved it.",
        )
    ]


def waiting_text(in_review: InReview) -> str:
    """``2 creatives and 1 campaign``."""
    counted = ((in_review.creatives, "creative"), (in_review.campaigns, "campaign"))
    return " and ".join(plural(number, noun) for number, noun in counted if number)


def _of_campaign(facts: CampaignFacts) -> Matter | None:
    """Why a running campaign cannot win, if it cannot."""
    if facts.campaign.withheld:
        title, advice = _WITHHELD[facts.campaign.withheld]
    elif is_too_small(facts):
        title = "cannot pay for one bid"
        advice = "Its whole budget is less than its bid. Raise the one or lower the other."
    elif is_exhausted(facts):
        title = "has spent its budget"
        advice = "It still asks for ads but cannot win. Raise the budget or end the campaign."
    elif not facts.has_ad:
        title = "has no ad to show"
        advice = "The campaign runs without an active creative. Add one or pause it."
    else:
        return None
    return Matter(
        title=f"{facts.campaign.name} {title}",
        href=campaign_href(facts.campaign.id),
        page="campaigns",
        subject=facts.campaign.id,
        advice=advice,
    )


def shown(found: Sequence[Matter]) -> tuple[list[Matter], int]:
    """The first ones, and how many more there are."""
    return list(found[:_SHOWN]), max(0, len(found) - _SHOWN)


def _platform(
    log: LogFacts, lags: Sequence[Lag], balanced: bool, verification: Verification | None
) -> list[Matter]:
    found = []
    if log.refuses:
        found.append(
            Matter(
                title="The log takes nothing",
                href="/console/health",
                page="health",
                advice=f"{log.refuses}. Reads go on; nothing acknowledged is lost.",
            )
        )
    if not balanced:
        found.append(
            Matter(
                title="The ledger does not balance",
                href="/console/ledger",
                page="ledger",
                advice="Debits and credits differ. Stop the server and run ringwork verify.",
            )
        )
    broken = [p.id for p in verification.promises if p.violations] if verification else []
    if broken:
        found.append(
            Matter(
                title=f"{plural(len(broken), 'promise is', 'promises are')} broken",
                href="/console/#h-oath",
                page="overview",
                advice=f"{', '.join(broken)}: ringwork verify names every violation.",
            )
        )
    found += [
        Matter(
            title=f"{lag.name} is {count(log.events - lag.seq)} events behind",
            href="/console/health",
            page="health",
            advice="What it feeds is older than the log. It catches up by itself once it runs.",
        )
        for lag in lags
        if log.events - lag.seq > LAG_EVENTS and not lag.trouble
    ]
    found += [
        Matter(
            title=f"{lag.name} stopped",
            href="/console/health",
            page="health",
            advice=f"{lag.trouble}. What it feeds stands still until the server starts again.",
        )
        for lag in lags
        if lag.trouble
    ]
    return found
