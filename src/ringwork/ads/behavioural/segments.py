"""From what a person did to audiences: interests by decayed counts, and named rules. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ringwork.ads.model import INTEREST_PREFIX, Audience, AudienceRule
from ringwork.kernel.history import HistoryEvent

WEIGHTS: Final[Mapping[str, int]] = {
    "view": 1,
    "search": 2,
    "click": 2,
    "save": 3,
    "cart": 4,
    "purchase": 5,
}
"""What a thing done says of an interest, beside one view; of a kind that is not here, nothing."""
INTEREST_MIN: Final = 0.5
"""Less than this is no interest: one view is one for a half-life."""


def interests(
    events: Iterable[HistoryEvent], *, now_s: int, half_life_s: int, most: int
) -> list[str]:
    """The topics of the greatest interest, at most ``most``; equal ones by their ids.

    Every thing done counts its weight, halved for each half-life since.
    """
    scores: dict[str, float] = {}
    for one in events:
        weight = WEIGHTS.get(one.kind, 0)
        age_s = max(now_s - one.at_s, 0)
        scores[one.topic] = scores.get(one.topic, 0.0) + weight * 0.5 ** (age_s / half_life_s)
    ranked = sorted((-score, topic) for topic, score in scores.items() if score >= INTEREST_MIN)
    return [topic for _, topic in ranked[:most]]


def interest_audience(topic: str) -> str:
    """The audience of those with an interest in a topic."""
    return INTEREST_PREFIX + topic


def holds(rule: AudienceRule, events: Iterable[HistoryEvent], *, now_s: int) -> bool:
    """Whether what was done meets the rule: after ``now_s - within_s``, up to now."""
    since_s, found = now_s - rule.within_s, 0
    for one in events:
        found += (
            since_s < one.at_s <= now_s
            and (not rule.topics or one.topic in rule.topics)
            and (not rule.kinds or one.kind in rule.kinds)
            and (not rule.services or one.service in rule.services)
        )
        if found >= rule.at_least:
            return True
    return False


class AudienceIndex:
    """The active audiences by the topics that a member must have met: most need no look."""

    def __init__(self, audiences: Iterable[Audience]) -> None:
        self._by_topic: dict[str, list[Audience]] = {}
        self._always: list[Audience] = []
        """Those that a person may be in whatever topics there were."""
        self.count = 0
        for one in audiences:
            if one.status == "active":
                self.count += 1
                self._add(one)

    def _add(self, audience: Audience) -> None:
        topics = _needed(audience)
        if not topics:
            self._always.append(audience)
        for topic in topics:
            self._by_topic.setdefault(topic, []).append(audience)

    def of(self, events: Sequence[HistoryEvent], *, now_s: int) -> list[str]:
        """The ids of the audiences that a person who did ``events`` is in, sorted."""
        near = {one.id: one for one in self._always}
        by_topic: dict[str, list[HistoryEvent]] = {}
        for event in events:
            by_topic.setdefault(event.topic, []).append(event)
        for topic in by_topic:
            near.update((one.id, one) for one in self._by_topic.get(topic, ()))

        def is_in(audience: Audience) -> bool:
            met = (
                holds(rule, _about(rule, events, by_topic), now_s=now_s) for rule in audience.rules
            )
            return all(met) if audience.match == "all" else any(met)

        return sorted(one.id for one in near.values() if is_in(one))


def _about(
    rule: AudienceRule,
    events: Sequence[HistoryEvent],
    by_topic: Mapping[str, Sequence[HistoryEvent]],
) -> Iterable[HistoryEvent]:
    """The events among which those are that count for the rule."""
    if not rule.topics:
        return events
    if len(rule.topics) == 1:
        return by_topic.get(rule.topics[0], ())
    return [one for topic in dict.fromkeys(rule.topics) for one in by_topic.get(topic, ())]


def _needed(audience: Audience) -> frozenset[str]:
    """Topics of which every member has met one; empty where a member need not."""
    topics = [rule.topics for rule in audience.rules]
    if audience.match == "all":
        return frozenset(next((one for one in topics if one), ()))
    return frozenset(topic for some in topics for topic in some) if all(topics) else frozenset()
