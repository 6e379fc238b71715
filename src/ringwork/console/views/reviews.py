"""What waits for a reviewer: campaigns and creatives, those that wait longest first."""

from __future__ import annotations

from msgspec import Struct

from ringwork.ads.lifecycle import Noun
from ringwork.console.facts import ReviewsFacts
from ringwork.console.format import duration, stamp
from ringwork.console.pages import Bold, Page, say
from ringwork.console.views.life import item_href
from ringwork.console.views.matters import waiting_text


class ReviewRow(Struct, frozen=True, kw_only=True):
    """One item that waits."""

    noun: Noun
    name: str
    href: str
    advertiser: str
    since_us: int
    waits: str


class Reviews(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    rows: list[ReviewRow]
    next_href: str


def reviews(facts: ReviewsFacts, *, page: int = 1) -> Page:
    """The page from its facts."""
    waiting = facts.in_review
    answer = say("Nothing waits for review.")
    if waiting.campaigns + waiting.creatives:
        verb = "waits" if waiting.campaigns + waiting.creatives == 1 else "wait"
        answer = say(Bold(waiting_text(waiting)), f" {verb} for review.")
    return Page(
        name="reviews",
        title="Reviews",
        question="What waits for a reviewer?",
        answer=answer,
        now_us=facts.now_us,
        body=Reviews(
            rows=[
                ReviewRow(
                    noun=line.noun,
                    name=line.name,
                    href=item_href(line.noun, line.id),
                    advertiser=line.advertiser,
                    since_us=line.since_us,
                    waits=duration((facts.now_us - line.since_us) * 1000),
                )
                for line in facts.lines
            ],
            next_href=f"/console/reviews?page={page + 1}" if facts.has_more else "",
        ),
        notes=(f"as of {stamp(facts.now_us)}",),
    )
