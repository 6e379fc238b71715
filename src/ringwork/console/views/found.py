"""What the search in the navigation found, where one id or name fits several things."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ringwork.console.format import plural
from ringwork.console.pages import Bold, Page, say


class Hit(Struct, frozen=True):
    """One thing that fits: its name, its page, what it is."""

    title: str
    href: str
    kind: str


class Found(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    wanted: str
    hits: list[Hit]


def found(wanted: str, hits: Sequence[Hit], now_us: int) -> Page:
    """The page; one hit alone is not shown but gone to."""
    fits = "fits" if len(hits) == 1 else "fit"
    answer = say(Bold(plural(len(hits), "thing")), f" {fits}.") if hits else say("Nothing fits.")
    return Page(
        name="found",
        title="Find",
        subject=wanted,
        question="What is it?",
        answer=answer,
        now_us=now_us,
        body=Found(wanted=wanted, hits=list(hits)),
    )
