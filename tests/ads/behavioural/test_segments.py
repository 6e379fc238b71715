"""From things done to audiences: by hand, and against the rules taken word for word."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.behavioural.segments import AudienceIndex, interests
from ringwork.ads.model import Audience, AudienceRule
from ringwork.kernel.history import HistoryEvent

NOW_S = 1_000_000_000
DAY_S = 86_400


def did(topic: str, *, kind: str = "view", service: str = "main", ago_s: int = 0) -> HistoryEvent:
    return HistoryEvent(NOW_S - ago_s, service, kind, topic)


def top(*events: HistoryEvent, most: int = 20) -> list[str]:
    return interests(events, now_s=NOW_S, half_life_s=14 * DAY_S, most=most)


# ---- interests ----------------------------------------------------------------------------------


def test_a_purchase_two_half_lives_ago_outweighs_a_view_of_today():
    """5 / 4 is more than 1."""
    assert top(did("hats"), did("shoes", kind="purchase", ago_s=28 * DAY_S)) == ["shoes", "hats"]


def test_three_half_lives_turn_it_round():
    """5 / 8 is less than 1."""
    assert top(did("hats"), did("shoes", kind="purchase", ago_s=42 * DAY_S)) == ["hats", "shoes"]


def test_a_view_is_an_interest_for_one_half_life():
    assert top(did("hats", ago_s=14 * DAY_S)) == ["hats"]
    assert top(did("hats", ago_s=14 * DAY_S + 1)) == []


def test_equal_interests_are_in_the_order_of_their_ids_and_few_are_kept():
    assert top(did("b"), did("c"), did("a"), most=2) == ["a", "b"]
    assert top(did("a"), most=0) == []


def test_a_kind_that_a_newer_version_knows_is_no_interest():
    assert top(did("a", kind="dream")) == []


def test_a_clock_that_is_behind_makes_nothing_larger():
    assert top(did("b", ago_s=-500), did("a")) == ["a", "b"]


# ---- audiences ----------------------------------------------------------------------------------


def audience(*rules: AudienceRule, match: str = "all", status: str = "active", id: str = "x"):
    return Audience(id=id, name=id, rules=list(rules), match=match, status=status)


def is_member(one: Audience, events: list[HistoryEvent]) -> bool:
    return AudienceIndex([one]).of(events, now_s=NOW_S) == [one.id]


WEEK = AudienceRule(within_s=7 * DAY_S, topics=["shoes"], kinds=["cart"], at_least=2)


@pytest.mark.parametrize(
    ("events", "is_in"),
    [
        ([did("shoes", kind="cart"), did("shoes", kind="cart", ago_s=DAY_S)], True),
        ([did("shoes", kind="cart")], False),
        ([did("shoes", kind="cart"), did("shoes", kind="view")], False),
        ([did("shoes", kind="cart"), did("hats", kind="cart")], False),
        ([did("shoes", kind="cart"), did("shoes", kind="cart", ago_s=7 * DAY_S)], False),
        ([did("shoes", kind="cart"), did("shoes", kind="cart", ago_s=7 * DAY_S - 1)], True),
        ([did("shoes", kind="cart"), did("shoes", kind="cart", ago_s=-1)], False),
    ],
)
def test_a_rule_by_hand(events, is_in):
    assert is_member(audience(WEEK), events) is is_in


def test_all_and_any_and_archived():
    bought = AudienceRule(within_s=DAY_S, kinds=["purchase"])
    there = AudienceRule(within_s=DAY_S, services=["market"])
    events = [did("a", kind="purchase")]
    assert not is_member(audience(bought, there), events)
    assert is_member(audience(bought, there, match="any"), events)
    assert not is_member(audience(bought, status="archived"), events)


# ---- against the rules word for word ------------------------------------------------------------

topics = st.sampled_from(["a", "b", "c", "d"])
kinds = st.sampled_from(["view", "cart", "purchase"])
services = st.sampled_from(["main", "market"])
done = st.builds(HistoryEvent, st.integers(NOW_S - 300, NOW_S + 2), services, kinds, topics)
rules = st.builds(
    AudienceRule,
    within_s=st.integers(60, 300),
    topics=st.lists(topics, max_size=3),
    kinds=st.lists(kinds, max_size=2),
    services=st.lists(services, max_size=1),
    at_least=st.integers(1, 3),
)
audiences = st.builds(
    lambda rules, match, status: (rules, match, status),
    st.lists(rules, min_size=1, max_size=3),
    st.sampled_from(["all", "any"]),
    st.sampled_from(["active", "active", "active", "archived"]),
)


def in_words(one: Audience, events: list[HistoryEvent]) -> bool:
    def counts(rule: AudienceRule) -> bool:
        found = [
            event
            for event in events
            if NOW_S - event.at_s < rule.within_s
            and event.at_s <= NOW_S
            and event.topic in (rule.topics or [event.topic])
            and event.kind in (rule.kinds or [event.kind])
            and event.service in (rule.services or [event.service])
        ]
        return len(found) >= rule.at_least

    met = [counts(rule) for rule in one.rules]
    return one.status == "active" and (all(met) if one.match == "all" else any(met))


@given(st.lists(audiences, max_size=8), st.lists(done, max_size=12))
def test_the_index_finds_whom_the_rules_name(made, events):
    every = [
        audience(*rules, match=match, status=status, id=f"n{number}")
        for number, (rules, match, status) in enumerate(made)
    ]
    expected = sorted(one.id for one in every if in_words(one, events))
    assert AudienceIndex(every).of(events, now_s=NOW_S) == expected


recent = st.builds(HistoryEvent, st.integers(NOW_S - 20, NOW_S), services, kinds, topics)


@given(st.lists(recent, max_size=12), st.integers(0, 3))
def test_interests_are_the_largest_sums(events, most):
    """In fractions: with a half-life of a second every sum of so late things is exact."""
    weights = {"view": 1, "cart": 4, "purchase": 5}
    sums: dict[str, Fraction] = {}
    for one in events:
        worth = Fraction(weights[one.kind], 2 ** (NOW_S - one.at_s))
        sums[one.topic] = sums.get(one.topic, Fraction(0)) + worth
    ranked = sorted((-value, topic) for topic, value in sums.items() if value >= Fraction(1, 2))
    found = interests(events, now_s=NOW_S, half_life_s=1, most=most)
    assert found == [topic for _, topic in ranked[:most]]
