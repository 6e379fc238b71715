"""What every page has: its question, its answer, when that was true, and its other forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field


class Bold(Struct, frozen=True):
    """A figure or name that the answer turns on; ``key`` names one that changes while one looks."""

    text: str
    key: str = ""


class Part(Struct, frozen=True):
    """A piece of a sentence."""

    text: str
    bold: bool = False
    key: str = ""


class Sentence(Struct, frozen=True):
    """A sentence with what matters marked: bold in HTML, plain text in JSON."""

    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts)


def say(*parts: str | Bold) -> Sentence:
    """A sentence from plain and bold parts.

    >>> say(Bold("€ 1.00"), " earned.").text
    '€ 1.00 earned.'
    """
    return Sentence(
        tuple(
            Part(part.text, bold=True, key=part.key) if isinstance(part, Bold) else Part(part)
            for part in parts
        )
    )


class Page(Struct, frozen=True, kw_only=True):
    """One page; ``body`` is its own model and the ``data`` of its JSON."""

    name: str
    """Which template, and by it which entry of the navigation is the current one."""
    title: str
    question: str
    answer: Sentence
    now_us: int
    body: Struct
    entry: str = ""
    """The current entry of the navigation, where the template does not say it."""
    subject: str = ""
    """An id in the heading, after the title."""
    notes: tuple[str, ...] = ()
    """Period, place, source: the line under the answer."""
    command: str = ""
    """The CLI twin, without ``$``."""
    live: Mapping[str, str] = field(default_factory=dict)
    """Texts by name that the event stream replaces in place."""
    stream: str = ""
    """Address of the event stream; empty where nothing is live."""
    status: int = 200
    done: str = ""
    """What the visitor's own action came to."""


class NavItem(Struct, frozen=True):
    """An entry of the navigation, for who has its scope."""

    name: str
    title: str
    href: str
    scope: str


NAVIGATION: Final = (
    (
        "Now",
        (
            NavItem("overview", "Overview", "/console/", "console:read"),
            NavItem("requests", "Requests", "/console/requests", "log:read"),
            NavItem("health", "Health", "/console/health", "console:read"),
        ),
    ),
    (
        "Earn",
        (
            NavItem("campaigns", "Campaigns", "/console/campaigns", "console:read"),
            NavItem("reviews", "Reviews", "/console/reviews", "console:read"),
            NavItem("audiences", "Audiences", "/console/audiences", "console:read"),
            NavItem("advertisers", "Advertisers", "/console/advertisers", "console:read"),
            NavItem("publishers", "Publishers", "/console/publishers", "ledger:read"),
            NavItem("reports", "Reports", "/console/reports", "ledger:read"),
            NavItem("invoices", "Invoices", "/console/invoices", "ledger:read"),
        ),
    ),
    (
        "Constrain",
        (
            NavItem("fairness", "Fairness", "/console/fairness", "fairness:read"),
            NavItem("consent", "Consent", "/console/consent", "consent:read"),
        ),
    ),
    ("Prove", (NavItem("ledger", "Ledger", "/console/ledger", "ledger:read"),)),
)
"""Only pages that exist."""


class Shell(Struct, frozen=True, kw_only=True):
    """What stands around every page: how long the log is, when it was checked, what waits."""

    events: int | None
    """None where it is not known: on the page of a bug, which asks no store."""
    verified: str = ""
    waiting: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    """What the figures are of: a demo world with its seed; empty for real traffic."""
