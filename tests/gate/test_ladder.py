"""The ladder, its budgets, and rules that go back into shadow by themselves."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from ringwork.gate.decision import Decision
from ringwork.gate.facts import Facts
from ringwork.gate.gate import Gate
from ringwork.gate.policy.load import parse_policy
from ringwork.gate.policy.model import Friction, Ladder
from ringwork.gate.respond.answers import refusal
from ringwork.gate.respond.ladder import RUNGS, Evidence, about, judge
from ringwork.gate.respond.trials import FrictionWatch, Trials
from ringwork.gate.respond.witnesses import Findings, Scored
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Refused

SECRET = b"a secret of thirty-two bytes, ok"
LADDER = Ladder()
"""slow 0.05, challenge 0.01, degrade 0.002, block 0.0005."""


def model(innocent: float) -> Evidence:
    return Evidence("behaviour", innocent, detail="gaps below 150 ms")


def address(innocent: float) -> Evidence:
    return Evidence("address", innocent, "address", "over its limit")


# ---- judging -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evidence", "witnesses", "rung", "is_capped"),
    [
        ([], 3, None, False),
        ([model(0.06)], 1, None, False),
        ([model(0.05)], 1, "slow", False),
        ([model(0.05)], 2, None, False),  # twice 0.05 is over the budget
        ([model(0.01)], 1, "challenge", False),
        ([model(0.002)], 1, "degrade", False),
        ([model(0.0005)], 1, "block", False),
        ([model(0.0)], 10, "block", False),
        ([address(0.0)], 1, "challenge", True),  # a carrier's address is never blocked
        ([address(0.0), model(0.5)], 2, "challenge", True),
        ([address(0.0), model(0.001)], 2, "degrade", True),
        ([address(0.02)], 2, "slow", False),
    ],
)
def test_the_highest_rung_that_the_evidence_bears(
    evidence: list[Evidence], witnesses: int, rung: str | None, is_capped: bool
) -> None:
    found = judge(evidence, LADDER, witnesses=witnesses)
    assert (found.rung, found.is_capped) == (rung, is_capped)


@given(
    st.lists(st.builds(Evidence, st.just("w"), st.floats(0, 1), st.just("address")), max_size=6),
    st.integers(6, 20),
)
def test_an_address_alone_is_never_degraded_or_blocked(
    evidence: list[Evidence], witnesses: int
) -> None:
    assert judge(evidence, LADDER, witnesses=witnesses).rung in (None, "slow", "challenge")


@given(
    st.lists(
        st.builds(Evidence, st.just("w"), st.floats(0, 1), st.sampled_from(["address", "actor"])),
        max_size=5,
    ),
    st.builds(Evidence, st.just("more"), st.floats(0, 1), st.sampled_from(["address", "actor"])),
)
def test_more_evidence_never_lowers_the_rung(evidence: list[Evidence], more: Evidence) -> None:
    def height(given: Sequence[Evidence]) -> int:
        rung = judge(given, LADDER, witnesses=6).rung
        return -1 if rung is None else RUNGS.index(rung)

    assert height([*evidence, more]) >= height(evidence)


@pytest.mark.parametrize("agreement", ["independent", "the same", "opposed"])
def test_innocent_actors_meet_each_rung_within_its_budget(agreement: str) -> None:
    """Three calibrated witnesses, however they depend on each other."""
    dice = random.Random(5)
    people = 60_000
    met = dict.fromkeys(RUNGS, 0)
    for _ in range(people):
        first = dice.random()
        shares = {
            "independent": (first, dice.random(), dice.random()),
            "the same": (first, first, first),
            "opposed": (first, 1 - first, (first + 0.5) % 1),
        }[agreement]
        rung = judge([model(one) for one in shares], LADDER, witnesses=3).rung
        for one in RUNGS[: 0 if rung is None else RUNGS.index(rung) + 1]:
            met[one] += 1
    for rung, count in met.items():
        budget = getattr(LADDER, rung)
        assert binom.sf(count - 1, people, budget) > 0.001, (rung, count)
        # And it is a budget that is used: by at least a third where all say the same.
        assert binom.cdf(count, people, budget / 3) > 0.001, (rung, count)


def test_what_bears_a_rung_is_named_and_nothing_else() -> None:
    found = judge([model(0.9), address(0.0), Evidence("cluster", 1e-6)], LADDER, witnesses=4)
    assert found.rung == "block"
    assert [one.witness for one in found.by] == ["cluster"]
    assert found.innocent == pytest.approx(4e-6)


def test_a_rung_without_a_budget_is_left_out() -> None:
    assert judge([model(0.0001)], Ladder(block=0, degrade=0), witnesses=1).rung == "challenge"


@pytest.mark.parametrize(
    ("evidence", "witnesses"), [([model(0.1)] * 2, 1), ([model(1.5)], 1), ([model(-0.1)], 1)]
)
def test_evidence_that_is_none_is_refused(evidence: list[Evidence], witnesses: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        judge(evidence, LADDER, witnesses=witnesses)


def test_a_rule_is_about_an_address_where_its_key_is() -> None:
    assert about(("ip",)) == about(("net", "route")) == about(("asn",)) == "address"
    assert about(("ip", "account")) == about(("visit",)) == "actor"


# ---- in the gate ---------------------------------------------------------------------------------


class Model:
    """A behaviour model that has looked at some accounts."""

    def __init__(self, shares: dict[str, float]) -> None:
        self._shares = shares

    def testify(self, facts: Facts) -> Evidence | None:
        share = self._shares.get(facts.account)
        return None if share is None else Evidence("behaviour", share, detail="gaps below 150 ms")


ENFORCED = "ladder: {shadow: false, rollout: null}\n"


def gate_of(text: str, clock: ManualClock | None = None, **given: object) -> Gate:
    policy = parse_policy(text.encode(), where="gate.yaml")
    return Gate(
        policy,
        clock=clock or ManualClock(),
        entropy=SeededEntropy("gate"),
        secret=SECRET,
        **given,  # type: ignore[arg-type] # witnesses and is_good
    )


def ask(gate: Gate, account: str = "", ip: str = "192.0.2.1", tier: str = "") -> Decision:
    return gate.admit(Facts.of(ip=ip, account=account, path="/p/1", tier=tier))


SCORES = {"ann": 0.3, "bob": 0.04, "cay": 0.009, "dan": 0.001, "eve": 0.0001}


def test_each_rung_answers_in_its_way_and_says_why() -> None:
    gate = gate_of(ENFORCED, witnesses=[Model(SCORES)])
    found = {name: ask(gate, name) for name in (*SCORES, "zoe")}
    assert {name: one.action for name, one in found.items()} == {
        "ann": "allow",
        "bob": "slow",
        "cay": "challenge",
        "dan": "degrade",
        "eve": "block",
        "zoe": "allow",
    }
    assert found["bob"].delay_s == 1
    assert found["cay"].status == 403
    assert found["cay"].challenge
    assert found["dan"].over is not None
    assert (found["dan"].over.rows_max, found["dan"].over.without[0]) == (20, "email")
    assert 300 <= found["eve"].retry_after_s <= 330
    assert [(one.rule, one.detail, one.is_shadow) for one in found["eve"].reasons] == [
        (
            "ladder",
            "block: as much stands against 0.0001 of innocent actors, budget 0.0005",
            False,
        ),
        ("behaviour", "gaps below 150 ms: 0.0001 of innocent actors", False),
    ]
    status, _, body = refusal(found["eve"], Facts())
    assert status == 429
    assert b"abnormal-usage-detected" in body
    assert not found["ann"].reasons


def test_a_ladder_starts_in_shadow_and_says_what_it_would_do() -> None:
    gate = gate_of("ladder: {}\n", witnesses=[Model(SCORES)])
    found = ask(gate, "eve")
    assert found.action == "allow"
    assert [(one.rule, one.is_shadow) for one in found.reasons] == [
        ("ladder", True),
        ("behaviour", True),
    ]


RULES = """\
rules:
  - {name: scan, key: [account], evidence: 0.00001, limit: {kind: gcra, limit: 2, period_s: 60}}
  - {name: crowd, key: [ip], evidence: 0.00001, limit: {kind: gcra, limit: 4, period_s: 60}}
"""


def test_rules_are_evidence_and_an_address_alone_is_only_challenged() -> None:
    gate = gate_of(ENFORCED + RULES)
    assert [ask(gate, "ann").action for _ in range(3)] == ["allow", "allow", "block"]
    others = [ask(gate, name) for name in ("bob", "cay", "dan")]
    assert [one.action for one in others] == ["allow", "allow", "challenge"]
    assert "no more on what is known of an address alone" in others[-1].reasons[-2].detail
    assert ask(gate, "eve", ip="192.0.2.2").action == "allow"


def test_a_limits_own_action_and_the_ladders_the_severer_answers() -> None:
    limit = "rules:\n  - {name: few, key: [account], limit: {kind: gcra, limit: 1, period_s: 60}}\n"
    gate = gate_of(ENFORCED + limit, witnesses=[Model(SCORES)])
    assert [ask(gate, "bob").action for _ in range(2)] == ["slow", "block"]
    _, _, body = refusal(ask(gate, "bob"), Facts())
    assert b"quota-exceeded" in body, "which is what he can do something about"


def test_the_ladder_is_enforced_for_its_share_of_actors() -> None:
    names = {f"bot{number}": 0.0 for number in range(2000)}
    gate = gate_of("ladder: {shadow: false, rollout: 0.1}\n", witnesses=[Model(names)])
    blocked = {name for name in names if ask(gate, name).action == "block"}
    assert binom.cdf(len(blocked), 2000, 0.1) > 0.001 < binom.sf(len(blocked) - 1, 2000, 0.1)
    wider = gate_of("ladder: {shadow: false, rollout: 0.3}\n", witnesses=[Model(names)])
    assert all(ask(wider, name).action == "block" for name in blocked), "who is in stays in"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ladder: {slow: 0.01, challenge: 0.02}", "do not grow"),
        ("ladder: {block: 2}", "block"),
        (RULES, "judges it"),
        (
            "rules: [{name: ladder, key: [ip], limit: {kind: gcra, limit: 1, period_s: 1}}]",
            "part of itself",
        ),
        ("friction: {budget: 0}", "budget"),
        (
            "rules: [{name: a, key: [ip], rollout: 0, limit: {kind: gcra, limit: 1, period_s: 1}}]",
            "rollout",
        ),
    ],
)
def test_a_policy_whose_response_makes_no_sense_is_refused(text: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        parse_policy(text.encode(), where="gate.yaml")


# ---- witnesses -----------------------------------------------------------------------------------


def test_a_score_is_worth_its_place_among_the_innocent() -> None:
    """By hand: 4 innocents; a fifth stands above all of them in one case of five."""
    witness = Scored("m", lambda facts: float(facts.account), innocents=[3.0, 1.0, 2.0, 2.0])
    shares = {}
    for score in ("4", "3", "2", "1.5", "0"):
        found = witness.testify(Facts(account=score))
        assert found is not None
        shares[score] = found.innocent
    assert shares == {"4": 0.2, "3": 0.4, "2": 0.8, "1.5": 0.8, "0": 1.0}
    assert Scored("m", lambda _: None, innocents=[1.0]).testify(Facts()) is None


@given(st.lists(st.integers(0, 20), min_size=2, max_size=40), st.integers(1, 40))
def test_shares_of_the_exchangeable_are_never_too_small(scores: list[int], least: int) -> None:
    """Each in turn against the others: at most a share alpha of them is said to be alpha or less."""
    shares = []
    for place, score in enumerate(scores):
        others = [float(one) for one in scores[:place] + scores[place + 1 :]]
        found = Scored("m", lambda _, score=score: score, innocents=others).testify(Facts())
        assert found is not None
        shares.append(found.innocent)
    alpha = least / 40
    assert sum(one <= alpha for one in shares) <= alpha * len(shares) + 1e-9


def test_what_a_job_found_holds_for_a_while_and_is_bounded() -> None:
    clock = ManualClock()
    found = Findings("cluster", clock=clock, lifetime_s=100, keys_max=2)
    ann = Facts.of(account="ann", ip="192.0.2.1")
    assert found.testify(ann) is None
    assert found.tell(("account", "ann"), 1e-7, "cluster 17")
    assert found.tell(("account", "bob"), 1e-7, "cluster 17")
    assert not found.tell(("account", "cay"), 1e-7, "cluster 17"), "full"
    assert found.tell(("account", "ann"), 1e-8, "cluster 17 grew")
    assert found.testify(ann) == Evidence("cluster", 1e-8, "actor", "cluster 17 grew")
    gate = gate_of(ENFORCED, witnesses=[found])
    assert [ask(gate, name).action for name in ("ann", "cay")] == ["block", "allow"]
    found.forget(("account", "ann"))
    assert ask(gate, "ann").action == "allow"
    clock.advance_us(99_000_000)
    assert ask(gate, "bob").action == "block"
    clock.advance_us(2_000_000)
    assert ask(gate, "bob").action == "allow"


@pytest.mark.parametrize("innocents", [[], [float("nan")], [1.0, float("inf")]])
def test_a_score_needs_innocents(innocents: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        Scored("m", lambda _: 1.0, innocents=innocents)


# ---- on trial ------------------------------------------------------------------------------------


def test_the_share_of_a_trial_grows_by_actors_and_differs_by_rule() -> None:
    trials = Trials(SECRET, Friction())
    actors = [("account", str(number)) for number in range(5000)]
    one = {actor for actor in actors if trials.is_in("new", 0.01, actor)}
    tenth = {actor for actor in actors if trials.is_in("new", 0.1, actor)}
    other = {actor for actor in actors if trials.is_in("other", 0.1, actor)}
    assert one < tenth
    assert binom.cdf(len(one), 5000, 0.01) > 0.001 < binom.sf(len(one) - 1, 5000, 0.01)
    assert len(tenth & other) < 90, "5000 x 0.01 expected, not 500"
    assert all(trials.is_in("new", 1, actor) for actor in actors)
    elsewhere = Trials(SECRET[::-1], Friction())
    assert {actor for actor in actors if elsewhere.is_in("new", 0.1, actor)} != tenth


def test_the_watch_is_the_cusum_of_the_likelihood_ratio() -> None:
    """By hand: budget 0.01 against 0.05, alarm at ln 1000."""
    watch = FrictionWatch(0.01, Friction(false_alarm=1000))
    ahead, behind = log(5), log(0.95 / 0.99)
    score = 0.0
    for number, refused in enumerate([False, True, True, False, True, True, True]):
        score = score + ahead if refused else max(0.0, score + behind)
        alarm = watch.count(("account", str(number)), refused, 0)
        assert watch.score == pytest.approx(score)
        assert alarm == (number == 6)
    assert score > log(1000)


def test_an_actor_counts_once_in_a_window_however_often_he_asks() -> None:
    watch = FrictionWatch(0.01, Friction())
    for _ in range(1000):
        assert not watch.count(("account", "ann"), True, 0)
    assert (watch.good, watch.refused) == (1, 1)
    watch.count(("account", "bob"), False, 0)
    watch.count(("account", "bob"), True, 0)
    assert (watch.good, watch.refused) == (2, 2), "allowed first and refused later is refused"
    later = 2 * 3600 * 10**12
    watch.count(("account", "ann"), True, later)
    assert watch.good == 3


def test_a_kept_budget_is_seldom_an_alarm_and_a_broken_one_soon_is() -> None:
    """Lorden: 2,000 draws or more between false alarms; and ln(2000) / KL = 180 or so where broken."""
    dice = random.Random(3)
    friction = Friction(false_alarm=2000)

    def draws(share: float, most: int) -> int:
        watch = FrictionWatch(0.02, friction)
        for number in range(most):
            if watch.count(("account", str(number)), dice.random() < share, 0):
                return number + 1
        return most

    kept = [draws(0.02, 20_000) for _ in range(30)]
    assert sum(kept) / len(kept) > 2000
    divergence = 0.1 * log(5) + 0.9 * log(0.9 / 0.98)
    broken = [draws(0.1, 20_000) for _ in range(60)]
    assert sum(broken) / len(broken) < 1.5 * log(2000) / divergence
    assert exp(log(2000)) == pytest.approx(2000)


TRIAL = """\
identity: {tier: "header:x-tier"}
friction: {budget: 0.01, false_alarm: 1000, tiers: [paying]}
rules:
  - {name: new, key: [account], rollout: 1, limit: {kind: gcra, limit: 1, period_s: 3600}}
  - {name: old, key: [account], limit: {kind: gcra, limit: 50, period_s: 3600}}
"""


def test_a_rule_that_refuses_good_actors_goes_back_into_shadow_and_says_so() -> None:
    gate = gate_of(TRIAL)
    actions = []
    for number in range(20):
        ask(gate, f"u{number}", tier="paying")
        actions.append(ask(gate, f"u{number}", tier="paying").action)
    assert actions[:5] == ["block"] * 5
    assert actions[5:] == ["allow"] * 15, "five refusals times ln 5 are over ln 1000"
    [notice] = gate.response.trials.notices
    assert (notice.name, notice.good, notice.refused, notice.budget) == ("new", 5, 5, 0.01)
    told = ask(gate, "u19", tier="paying")
    assert told.action == "allow"
    assert [(one.rule, one.detail, one.is_shadow) for one in told.reasons] == [
        ("new", "over its limit", True),
        ("new", "back in shadow: it refused 5 of 5 good actors, budget 0.01", True),
    ]
    gate.reload(gate.policy)
    assert ask(gate, "u19", tier="paying").action == "allow", "as it was: nobody has looked"
    gate.reload(parse_policy(TRIAL.replace("limit: 1,", "limit: 3,").encode(), where="g.yaml"))
    assert [ask(gate, "zoe").action for _ in range(4)] == ["allow"] * 3 + ["block"]


def test_an_attacker_cannot_refuse_himself_out_of_a_rule() -> None:
    gate = gate_of(TRIAL)
    for number in range(500):
        ask(gate, f"sybil{number}")
        assert ask(gate, f"sybil{number}").action == "block"
    for _ in range(500):
        ask(gate, "bought", tier="paying")
    assert not gate.response.trials.notices, "one paying account counts once"
    assert ask(gate, "bought", tier="paying").action == "block"


def test_established_rules_are_never_taken_back() -> None:
    gate = gate_of(TRIAL.replace("rollout: 1, ", ""))
    for number in range(100):
        ask(gate, f"u{number}", tier="paying")
        assert ask(gate, f"u{number}", tier="paying").action == "block"


def test_what_the_platform_knows_of_somebody_counts_too() -> None:
    gate = gate_of(TRIAL, is_good=lambda facts: facts.account.startswith("old"))
    for number in range(5):
        ask(gate, f"old{number}")
        ask(gate, f"old{number}")
    assert [one.name for one in gate.response.trials.notices] == ["new"]


def test_a_rung_over_its_budget_goes_back_and_the_next_below_answers() -> None:
    """A model that is sure, and wrong, of every twentieth good actor; only that is over a budget."""
    scores = {f"u{number}": 0.0001 if number % 20 == 0 else 0.9 for number in range(200)}
    policy = """\
ladder: {shadow: false, rollout: 1, slow: 0.19, challenge: 0.15, degrade: 0.1, block: 0.0005}
friction: {false_alarm: 1000, tiers: [paying]}
"""
    gate = gate_of(policy, witnesses=[Model(scores)])
    actions = [ask(gate, name, tier="paying").action for name in scores]
    assert actions[::20] == ["block"] * 4 + ["degrade"] * 6
    assert {*actions} == {"block", "degrade", "allow"}
    [notice] = gate.response.trials.notices
    assert (notice.name, notice.refused, notice.budget) == ("ladder/block", 5, 0.0005)
    assert [(one.rule, one.is_shadow) for one in ask(gate, "u0").reasons] == [
        ("ladder", True),
        ("behaviour", True),
        ("ladder", False),
    ]


def test_a_model_that_is_wrong_of_everybody_ends_up_wholly_in_shadow() -> None:
    gate = gate_of(
        "ladder: {shadow: false, rollout: 1}\nfriction: {false_alarm: 1000, tiers: [paying]}\n",
        witnesses=[Model({f"u{number}": 0.0001 for number in range(20)})],
    )
    actions = [ask(gate, f"u{number}", tier="paying").action for number in range(20)]
    assert actions == ["block"] * 4 + ["allow"] * 16
    assert {one.name for one in gate.response.trials.notices} == {f"ladder/{one}" for one in RUNGS}
