"""The ledger of epsilon: no budget is exceeded (I9), whatever is asked, and after any crash."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.plan import PrivacyPlan
from ringwork.fairness.privacy.accounting import Cost
from ringwork.fairness.privacy.budget import (
    SEGMENTS_MAX,
    BudgetLedger,
    FlightDeclared,
    ReleaseCharged,
    limit_micro,
)
from ringwork.kernel.errors import NotFound, Refused

PRIVACY = PrivacyPlan(episodes=3, sigma=4.0, people_sigma=None)


def by_the_release(privacy: PrivacyPlan, vectors: int, releases: int) -> Cost:
    """A price list: one epsilon per release and vector."""
    return Cost(
        add_remove_micro=500_000 * releases * vectors,
        replace_micro=1_000_000 * releases * vectors,
        delta=privacy.delta,
    )


def declared(ledger: BudgetLedger, ad: str = "a", privacy: PrivacyPlan = PRIVACY) -> FlightDeclared:
    fact = ledger.declare(ad, privacy=privacy, vectors=1)
    ledger.apply(fact)
    return fact


def released(ledger: BudgetLedger, ad: str = "a") -> ReleaseCharged:
    fact = ledger.charge(ad)
    ledger.apply(fact)
    return fact


def test_a_flight_by_hand() -> None:
    ledger = BudgetLedger(by_the_release)
    assert declared(ledger).cost.replace_micro == 3_000_000
    assert [released(ledger).episode for _ in range(2)] == [1, 2]
    standing = ledger.standing("a")
    assert (standing.limit_micro, standing.declared_micro) == (4_000_000, 3_000_000)
    assert (standing.spent_micro, standing.left_micro) == (2_000_000, 1_000_000)
    assert (standing.releases, standing.releases_left) == (2, 1)


def test_with_the_accountant_the_last_release_spends_what_was_declared() -> None:
    ledger = BudgetLedger()
    fact = declared(ledger)
    assert [released(ledger).spent for _ in range(3)][-1] == fact.cost
    overall = ledger.overall("1e-6")
    assert overall == fact.cost
    declared(ledger, "b")
    assert ledger.overall("1e-6") == overall  # nothing was released of it
    released(ledger, "b")
    assert ledger.overall("1e-6").replace_micro > overall.replace_micro


def test_what_a_person_lost_counts_the_sums_over_people_of_a_flight_that_ended_early() -> None:
    ledger = BudgetLedger()
    fact = declared(ledger, privacy=PrivacyPlan(episodes=3, people_sigma=9.0))
    ledger.apply(ledger.charge("a", is_last=True))
    assert ledger.overall("1e-6") == fact.cost


def test_a_flight_that_ends_early_pays_all_that_it_declared() -> None:
    ledger = BudgetLedger(by_the_release)
    fact = declared(ledger)
    released(ledger)
    assert ledger.charge("a", is_last=True).spent == fact.cost


def test_a_segment_that_ended_early_has_cost_all_of_it_whatever_comes_after() -> None:
    """Its sums over people are out: who was in every ad has lost them too."""
    ledger = BudgetLedger()
    fact = declared(ledger, privacy=msgspec.structs.replace(PRIVACY, people_sigma=8.0))
    ledger.apply(ledger.charge("a", is_last=True))
    declared(ledger, privacy=fact.privacy)
    released(ledger)
    released(ledger)
    assert ledger.standing("a").spent_micro == fact.cost.replace_micro
    assert ledger.overall(fact.cost.delta) == fact.cost


def test_a_release_that_was_not_declared_is_refused() -> None:
    ledger = BudgetLedger(by_the_release)
    declared(ledger)
    for _ in range(3):
        released(ledger)
    with pytest.raises(Refused, match="budget-spent: ad 'a': expected at most 3 releases"):
        ledger.charge("a")
    assert ledger.standing("a").left_micro == 0


def test_a_flight_that_costs_more_than_the_plan_allows_is_refused() -> None:
    ledger = BudgetLedger(by_the_release)
    dear = msgspec.structs.replace(PRIVACY, episodes=5)
    with pytest.raises(Refused, match=r"cost at most epsilon 4; 5 of 1 sums at sigma 4 cost 5\.00"):
        ledger.declare("a", privacy=dear, vectors=1)
    with pytest.raises(NotFound, match="'a' declared no releases"):
        ledger.standing("a")


def test_segments_share_one_budget_and_its_terms() -> None:
    ledger = BudgetLedger(by_the_release)
    declared(ledger)
    released(ledger)
    released(ledger)
    assert declared(ledger).segment == 1
    assert released(ledger).episode == 1
    standing = ledger.standing("a")
    assert standing.spent_micro == 2_000_000  # of the first segment: the larger one, not the sum
    assert (standing.releases, standing.releases_left) == (3, 2)
    with pytest.raises(Refused, match="expected the terms of its first segment"):
        ledger.declare("a", privacy=msgspec.structs.replace(PRIVACY, sigma=9.0), vectors=1)


def test_segments_are_bounded() -> None:
    ledger = BudgetLedger(by_the_release)
    for _ in range(SEGMENTS_MAX):
        declared(ledger)
    with pytest.raises(Refused, match="budget-exceeded"):
        ledger.declare("a", privacy=PRIVACY, vectors=1)


def test_bad_input() -> None:
    ledger = BudgetLedger(by_the_release)
    with pytest.raises(ValueError, match="vectors: expected 1 or more"):
        ledger.declare("a", privacy=PRIVACY, vectors=0)
    with pytest.raises(NotFound, match="'a' declared no releases"):
        ledger.charge("a")
    fact = declared(ledger)
    with pytest.raises(ValueError, match="expected segment 1 of the ad, got 0"):
        ledger.apply(fact)
    charge = released(ledger)
    with pytest.raises(ValueError, match=r"expected the ad's next release, got 0\.1"):
        ledger.apply(charge)


def test_deciding_changes_nothing() -> None:
    ledger = BudgetLedger(by_the_release)
    declared(ledger)
    before = ledger.dump()
    assert ledger.charge("a") == ledger.charge("a")
    ledger.declare("a", privacy=PRIVACY, vectors=1)
    assert ledger.dump() == before


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["declare", "release", "crash"]),
        st.sampled_from("ab"),
        st.integers(1, 6),
        st.sampled_from([0.5, 1.0, 2.5, 6.0]),
    ),
    max_size=40,
)


@given(STEPS)
def test_no_budget_is_exceeded(steps) -> None:
    """I9, and I3: whatever is asked in whatever order, through crashes, and the replay is the same."""
    ledger, log = BudgetLedger(by_the_release), []
    for what, ad, episodes, most in steps:
        if what == "crash":
            after = BudgetLedger(by_the_release)
            for fact in log:
                after.apply(fact)
            assert after.dump() == ledger.dump()
            ledger = BudgetLedger(by_the_release)
            ledger.load(after.dump())
            continue
        privacy = PrivacyPlan(episodes=episodes, epsilon_max=most)
        try:
            fact = (
                ledger.declare(ad, privacy=privacy, vectors=1)
                if what == "declare"
                else ledger.charge(ad)
            )
        except Refused:
            continue
        # Stored as bytes, as in a log.
        fact = msgspec.msgpack.decode(msgspec.msgpack.encode(fact), type=type(fact))
        log.append(fact)
        ledger.apply(fact)
    for ad in ledger.ads():
        standing = ledger.standing(ad)
        assert 0 <= standing.spent_micro <= standing.declared_micro <= standing.limit_micro
        assert standing.left_micro >= 0 <= standing.releases_left


def test_the_limit_is_rounded_down() -> None:
    assert limit_micro(PrivacyPlan(epsilon_max=1.2345678)) == 1_234_567
