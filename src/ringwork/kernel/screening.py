"""What a part may say of a campaign before it runs: special categories, and what they forbid.

Ads for housing, employment and credit are under laws that other ads are not. The ad part knows
none of them: a part that does is a ``Screen``. It says which version of the certification an
advertiser signs, what of a targeting is forbidden and what lawfully stands in its place, and of
which special category an ad seems to be that was declared as none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from ringwork.kernel.errors import Conflict, Fault

SpecialAdCategory = Literal["HOUSING", "EMPLOYMENT", "CREDIT"]
"""What an ad offers that the law protects equal access to."""


class Violation(Fault, frozen=True, kw_only=True):
    """One thing that a special ad must not be targeted by; ``pointer`` names it in the campaign."""

    rule: str
    """Id of the rule, with its jurisdiction: ``us/age``."""
    reason: str
    """Why, with the source of the rule and its date."""
    found: str
    allowed: str
    replacement: str
    """What lawfully stands in its place, in words."""


class Checked(Struct, frozen=True, kw_only=True):
    """What a targeting violates, and the nearest lawful one."""

    violations: tuple[Violation, ...] = ()
    proposal: Mapping[str, Any] = {}
    """The targeting with every violation replaced, in the form that was given; itself where there
    is none."""


class AdContent(Struct, frozen=True, kw_only=True):
    """What an ad says, as far as it is text."""

    ad_id: str
    text: str = ""
    """Headline, body and what its markup shows."""
    landing_title: str = ""
    """Title of the page it leads to, or the words of its address where nobody read the title."""
    categories: tuple[str, ...] = ()
    """As its advertiser labelled it."""


class Suspicion(Struct, frozen=True, kw_only=True):
    """That an ad seems to be of a special category."""

    category: SpecialAdCategory
    score_ppm: int
    """Between 0 and 1,000,000, at least ``threshold_ppm``."""
    threshold_ppm: int
    features: tuple[str, ...]
    """What counted most for it, the strongest first."""


class Screen(Protocol):
    """Knows the law. Called within a command: it must not wait."""

    @property
    def certification(self) -> str:
        """The version of the text that an advertiser of a special ad certifies now."""
        ...

    @property
    def certification_text(self) -> str:
        """The text itself."""
        ...

    def check(
        self, targeting: Mapping[str, Any], *, audience_topics: Mapping[str, Sequence[str]]
    ) -> Checked:
        """What a special ad with this targeting violates, where it may show.

        ``audience_topics``: of the audiences that it names, what they are about, where that is
        known.
        """
        ...

    def suspect(self, content: AdContent) -> tuple[Suspicion, ...]:
        """The special categories that an ad seems to be of, the likeliest first."""
        ...


def forbidden(violations: Sequence[Violation]) -> Conflict:
    """The refusal of a targeting; every violation is one of its ``errors``."""
    text = "; ".join(f"{one.pointer}: {one.detail}" for one in violations)
    return Conflict("forbidden-targeting", text, errors=violations)
