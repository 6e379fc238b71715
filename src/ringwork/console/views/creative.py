"""One creative: how it looks, where it stands, what became of it."""

from __future__ import annotations

from msgspec import Struct

from ringwork.console.facts import CreativePageFacts
from ringwork.console.format import MISSING, TIMES, count, money, percent, plural
from ringwork.console.pages import Bold, Page, say
from ringwork.console.views.history import ChangeRow, change_rows, changes_href
from ringwork.console.views.life import STATES, Life
from ringwork.console.views.matters import campaign_href


class CreativeBody(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    id: str
    name: str
    campaign_id: str
    campaign: str
    campaign_href: str
    life: Life | None
    preview: str
    """The address of the page that shows it."""
    width: int
    height: int
    """Of the frame that it is shown in."""
    facts: list[tuple[str, str]]
    changes: list[ChangeRow]
    older_changes_href: str


def creative(facts: CreativePageFacts, *, life: Life | None = None, done: str = "") -> Page:
    """The page from its facts."""
    ad = facts.creative
    _, word = STATES[ad.status]
    size = f"{ad.width} {TIMES} {ad.height}" if ad.width and ad.height else MISSING
    return Page(
        name="creative",
        title="Creative",
        subject=ad.id,
        question="How does it look, and may it be shown?",
        answer=say(
            Bold(f"{ad.name} is {word}."),
            f" It was shown {plural(facts.impressions, 'time')}; "
            f"{percent(facts.clicks, facts.impressions, 2)} of that was clicked."
            if facts.impressions
            else " It has not been shown yet.",
        ),
        now_us=facts.now_us,
        body=CreativeBody(
            id=ad.id,
            name=ad.name,
            campaign_id=ad.campaign_id,
            campaign=facts.campaign,
            campaign_href=campaign_href(ad.campaign_id),
            life=life,
            preview=f"/v1/creatives/{ad.id}/preview",
            width=max(ad.width, 300) + 40,
            height=min(max(ad.height, 180) + 140, 900),
            facts=[
                ("Format", f"{ad.format}, {size}" if size != MISSING else ad.format),
                ("Landing page", ad.landing_url),
                ("Categories", ", ".join(ad.categories) or MISSING),
                ("Attributes", ", ".join(map(str, ad.attributes)) or MISSING),
                ("Language", ad.language or MISSING),
                ("Weight", count(ad.weight)),
                ("Spent", money(facts.nanos, facts.currency)),
            ],
            changes=change_rows(facts.changes),
            older_changes_href=changes_href("creative", facts.creative.id, facts.older_changes),
        ),
        notes=(f"{ad.format} of {facts.campaign}",),
        command=f"ringwork ads creatives {ad.id}",
        done=done,
    )
