"""What may be asked of the rules of special ads, and what is answered.

Over HTTP and on a command line alike; no campaign need exist for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import numpy as np
from msgspec import Meta, Struct

from ringwork.fairness.hec.rules import Certification, RaceProxy, Rules, Source, rules_for
from ringwork.fairness.hec.scan import (
    CLAUSES_MAX,
    CLUSTERS_MAX,
    FeatureScan,
    Floats,
    GroupTable,
    Scan,
    scan,
    scan_feature,
    table_refused,
)
from ringwork.fairness.hec.screen import SpecialAdScreen
from ringwork.fairness.plan import Category
from ringwork.kernel.screening import AdContent, Suspicion, Violation

ADS_MAX: Final = 100
FEATURES_MAX: Final = 64

Number = Annotated[float, Meta(ge=-1e15, le=1e15)]
Numbers = Annotated[list[Number], Meta(max_length=CLUSTERS_MAX)]
Text = Annotated[str, Meta(max_length=100_000)]


class Ad(Struct, frozen=True, kw_only=True):
    """What an ad says."""

    id: Annotated[str, Meta(max_length=64)] = ""
    text: Text = ""
    landing_title: Annotated[str, Meta(max_length=2_000)] = ""
    categories: Annotated[list[str], Meta(max_length=50)] = []


class CheckQuestion(Struct, frozen=True, kw_only=True):
    """A campaign as it might be created; members that the rules do not look at are let be."""

    special_ad_categories: Annotated[list[Category], Meta(max_length=3)]
    targeting: dict[str, Any] = {}
    ads: Annotated[list[Ad], Meta(max_length=ADS_MAX)] = []
    audience_topics: dict[str, list[str]] = {}
    """What the audiences that it names are about, where that is known."""


class SuspectedAd(Struct, frozen=True, kw_only=True):
    """An ad that seems to be of a category that was not declared."""

    ad: str
    suspicions: tuple[Suspicion, ...]


class CheckAnswer(Struct, frozen=True, kw_only=True):
    """What stands against a campaign; nothing where both lists are empty."""

    violations: list[Violation]
    """Of a campaign that is declared, or would have to be."""
    suspected: list[SuspectedAd]
    """Ads that would hold it for a person."""
    proposal: dict[str, Any]
    """The targeting with every violation replaced."""
    rules: list[str]
    """Those that hold where it may show; none means that no rules are kept for that place."""
    certification: str
    """The version of the text that a special campaign certifies."""

    @property
    def is_clear(self) -> bool:
        """Whether nothing stands against it."""
        return not self.violations and not self.suspected


class ScanQuestion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Clusters of people with their groups, and what a targeting selects of them."""

    attribute: Annotated[str, Meta(min_length=1, max_length=64)]
    groups: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=64)]
    counts: Annotated[list[Numbers], Meta(max_length=64)]
    """[groups, clusters] as released, noise included."""
    confusion: Annotated[list[Numbers], Meta(max_length=64)] | None = None
    """M, [groups, groups]: of groups that a proxy measured; null where people said them."""
    clauses: Annotated[dict[str, Numbers], Meta(max_length=CLAUSES_MAX)] = {}
    """Clause -> the share of every cluster that it selects; a targeting selects by all of them."""
    features: Annotated[
        dict[str, Annotated[dict[str, Numbers], Meta(max_length=10_000)]],
        Meta(max_length=FEATURES_MAX),
    ] = {}
    """Feature of a ranking -> its value -> the share of every cluster that has it."""


class ScanAnswer(Struct, frozen=True, kw_only=True):
    """What it tells of groups."""

    targeting: Scan
    features: list[FeatureScan]
    is_flagged: bool
    """Whether the targeting as a whole, or a feature, is."""
    without_race_proxy: dict[str, str]
    """Jurisdictions in which race and ethnicity cannot be estimated, and why: measured is only what
    people said there."""


class RulesView(Struct, frozen=True, kw_only=True):
    """The rules of a jurisdiction, as far as an advertiser needs them."""

    name: str
    jurisdiction: str
    date: str
    certification: Certification
    sources: Mapping[str, Source]
    forbidden: list[str]
    """Members of a targeting that a special ad must not have, or only within bounds."""
    allowed: list[str]
    minimum_radius_m: int
    library_retention_days: int
    race_proxy: RaceProxy


class RulesList(Struct, frozen=True, kw_only=True):
    """All rules in force, and what to certify."""

    rules: list[RulesView]
    certified_text: str
    """What a campaign is created with: the versions of all texts."""


def answer_check(screen: SpecialAdScreen, asked: CheckQuestion) -> CheckAnswer:
    """What stands against a campaign. Raises Refused: targeting-invalid."""
    suspected = []
    for ad in asked.ads:
        content = AdContent(
            ad_id=ad.id,
            text=ad.text,
            landing_title=ad.landing_title,
            categories=tuple(ad.categories),
        )
        found = tuple(
            one
            for one in screen.suspect(content)
            if one.category not in asked.special_ad_categories
        )
        if found:
            suspected.append(SuspectedAd(ad=ad.id, suspicions=found))
    is_special = bool(asked.special_ad_categories or suspected)
    checked = screen.check(asked.targeting, audience_topics=asked.audience_topics)
    return CheckAnswer(
        violations=list(checked.violations) if is_special else [],
        suspected=suspected,
        proposal=dict(checked.proposal if is_special else asked.targeting),
        rules=[one.name for one in rules_for(screen.rules, asked.targeting)],
        certification=screen.certification,
    )


def answer_scan(every: Sequence[Rules], asked: ScanQuestion) -> ScanAnswer:
    """What a targeting and a ranking's features tell, by the bounds of the first of the rules.

    Raises Refused: table-invalid.
    """
    rules = every[0]
    confusion = None if asked.confusion is None else _matrix("/confusion", asked.confusion)
    table = GroupTable(asked.attribute, asked.groups, _matrix("/counts", asked.counts), confusion)
    clauses = {name: np.array(weights) for name, weights in asked.clauses.items()}
    told = scan(table, clauses, rules.scan)
    features = [
        scan_feature(
            table,
            name,
            {value: np.array(weights) for value, weights in values.items()},
            rules.scan,
        )
        for name, values in asked.features.items()
    ]
    is_flagged = told.is_flagged or any(one.is_flagged for one in features)
    return ScanAnswer(
        targeting=told,
        features=features,
        is_flagged=is_flagged,
        without_race_proxy={
            one.jurisdiction: one.race_proxy.why for one in every if not one.race_proxy.available
        },
    )


def rules_list(screen: SpecialAdScreen) -> RulesList:
    """The rules in force."""
    return RulesList(
        rules=[
            RulesView(
                name=one.name,
                jurisdiction=one.jurisdiction,
                date=one.date.isoformat(),
                certification=one.certification,
                sources=one.sources,
                forbidden=[member for rule in one.rules for member in rule.members],
                allowed=list(one.allowed),
                minimum_radius_m=one.minimum_radius_m,
                library_retention_days=one.library_retention_days,
                race_proxy=one.race_proxy,
            )
            for one in screen.rules
        ],
        certified_text=screen.certification,
    )


def _matrix(pointer: str, rows: Sequence[Sequence[float]]) -> Floats:
    if len({len(row) for row in rows}) > 1:
        raise table_refused(pointer, "expected rows of one length")
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]) if rows else 0)
