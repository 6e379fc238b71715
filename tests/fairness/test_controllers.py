"""Every controller keeps the protocol; each does what its paper says on problems with an answer."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize

from ringwork.fairness.bench.contest import played
from ringwork.fairness.bench.simulator import Privacy
from ringwork.fairness.control import CONTROLLERS, celis, fitted, make_controller, rl
from ringwork.fairness.control.mirror import Mirror
from ringwork.fairness.control.model import spans
from ringwork.fairness.control.pid import WIDEST, Pid
from ringwork.fairness.control.steering import VALUE_MIDDLES
from ringwork.fairness.control.watch import Watch, within
from tests.fairness.markets import ELIGIBLE, SEXED, context, measured, small_market


def shifts(name: str, *measurements, **gains) -> np.ndarray:
    """[C, B] the table after these measurements."""
    controller = make_controller(name, **gains)
    state = controller.start(context())
    for one in measurements:
        shift = controller.step(state, one)
    return shift.table(SEXED)


@pytest.mark.parametrize("name", CONTROLLERS)
def test_shifts_are_finite_and_equal_calls_give_equal_shifts(name) -> None:
    calls = [measured(wins=0.0), measured(male_lean=0.3), measured(male_lean=0.2, wins=600.0)]
    first, second = shifts(name, *calls), shifts(name, *calls)
    assert first.shape == (3, len(VALUE_MIDDLES))
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", CONTROLLERS)
def test_an_over_served_group_pays(name) -> None:
    """Men are: their cluster pays, and more than that of women, weighed by its opportunities."""
    one = measured(male_lean=0.4)
    table = shifts(name, measured(male_lean=0.4, wins=0.0), one)
    weight = one.traffic.opportunities / one.traffic.opportunities.sum(axis=1, keepdims=True)
    of_men, _, of_women = (table * weight).sum(axis=1)
    assert of_men > 0.02
    assert of_women < of_men - 0.05


@pytest.mark.parametrize("name", CONTROLLERS)
def test_where_nothing_skews_nothing_shifts(name) -> None:
    table = shifts(name, measured(wins=0.0), measured(), measured(wins=600.0))
    assert np.abs(table).max() < 1e-3


@pytest.mark.parametrize("name", CONTROLLERS)
def test_the_same_market_gives_the_same_outcome(name) -> None:
    where = small_market(ads=1)
    first, second = (
        played(where, {name: make_controller(name)}, Privacy())[name][0] for _ in range(2)
    )
    assert first.impressions == second.impressions
    assert np.array_equal(first.truth, second.truth)
    assert first.spent == second.spent <= first.ad.budget


def test_a_name_that_is_none_is_said() -> None:
    with pytest.raises(ValueError, match="expected one of dual, multiplier"):
        make_controller("bang-bang")
    with pytest.raises(TypeError, match="proportion"):
        make_controller("pid", proportion=3.0)


def test_pi_by_hand() -> None:
    """24 x .1 of deviation plus 12 x (.1 x 300 of 1,000 impressions), centred."""
    one = measured(male_lean=0.25)
    watch = Watch.of(context())
    deviation = watch.deviation(one)
    assert deviation[:2] == pytest.approx([0.1, -0.1], abs=1e-4)
    controller = Pid(proportional=24.0, integral=12.0)
    shift = controller.step(controller.start(context()), one)
    assert shift.prices[0] == pytest.approx(24 * 0.1 + 12 * 0.1 * 0.3, rel=2e-3)


def test_pi_does_not_wind_up() -> None:
    controller = Pid(proportional=1.0, integral=1_000.0)
    state = controller.start(context())
    for wins in range(100, 1_000, 100):
        shift = controller.step(state, measured(male_lean=0.5, wins=float(wins)))
    assert np.ptp(shift.prices[:2]) == pytest.approx(WIDEST)
    assert 1_000 * np.abs(state.integral).max() < 3 * WIDEST


@pytest.mark.parametrize("name", ["multiplier", "pid"])
def test_the_multiplier_is_the_same_law_in_another_form(name) -> None:
    controller = make_controller(name)
    shift = controller.step(controller.start(context()), measured(male_lean=0.3))
    assert shift.is_multiplier is (name == "multiplier")


def test_mirror_stays_where_its_conjugate_is_finite() -> None:
    mirror = Mirror(eta=100.0, penalty=3.0)
    state = mirror.start(context())
    for wins in (100.0, 400.0, 800.0):
        shift = mirror.step(state, measured(male_lean=0.5, wins=wins))
        assert np.ptp(shift.prices[:2]) <= 3.0 + 1e-9
    assert shift.prices[0] == pytest.approx(1.5)


def test_mirror_stops_within_the_band() -> None:
    """One step by hand: eta / sqrt(1000) x 300 impressions x the deviation of .1."""
    mirror = Mirror(eta=1.0, band=1.0)
    state = mirror.start(context())
    first = mirror.step(state, measured(male_lean=0.25)).prices[0]
    assert first == pytest.approx(300 * 0.1 / 1_000**0.5, rel=1e-3)
    # The next 300 come exactly at the edge of the band: deviation .05 among them.
    second = mirror.step(state, measured(male_lean=0.25 * 0.75, wins=600.0)).prices[0]
    assert second == pytest.approx(first, rel=2e-3)


def test_prices_are_centred_and_within() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        found = within((2, 4), rng.normal(0, 5, 6), 4.0)
        for span in spans((2, 4)):
            assert found[span].sum() == pytest.approx(0, abs=1e-9)
            assert np.ptp(found[span]) <= 4.0 + 1e-9


def test_strata_have_their_eligible_shares() -> None:
    """All of the split's promise, on the auctions themselves: counts by stratum."""
    where = small_market(ads=1, impressions=(8.0, 0.01, 2_900, 3_100))
    split, seen = make_controller("split"), []

    class Recorder:
        name = "recorder"

        def start(self, ad):
            return split.start(ad)

        def step(self, state, one):
            seen.append((state, one.traffic.wins.sum(axis=1).copy()))
            return split.step(state, one)

    played(where, {"split": Recorder()}, Privacy())
    state, wins = seen[-1]
    by_stratum = np.bincount(state.stratum, wins)
    assert len(by_stratum) > 3
    assert by_stratum / by_stratum.sum() == pytest.approx(state.eligible, abs=0.02)


def tiny(band: float) -> celis.Types:
    """Three types with one value each; the first is of the one group, the last of the other."""
    return celis.Types(
        weight=np.array([[0.3], [0.4], [0.3]]),
        value=np.array([1.0]),
        log_price=np.array([[-0.5], [0.0], [0.4]]),
        spread=0.5,
        excess=np.array([[0.5, 0.0, -0.5], [-0.5, 0.0, 0.5]]),
        band=np.array([band, band]),
    )


def surplus(types: celis.Types, mass: np.ndarray, pace: float) -> float:
    """Value minus pace times price when the cheapest of every type are taken."""
    shift = celis.margins(types, mass, pace, np.zeros(3), rounds=60)
    chance, _, paid = celis.won(types, shift, pace)
    return float(chance @ np.ones(3) - pace * paid.sum())


@pytest.mark.parametrize("band", [0.02, 0.1, 0.6])
def test_celis_is_the_best_of_a_grid(band) -> None:
    types, pace = tiny(band), 1.0
    budget = float(celis.won(types, np.zeros(3), pace)[2].sum())
    found, found_pace = celis.best_shifts(types, budget, pace)
    mass, _, paid = celis.won(types, found, found_pace)
    assert paid.sum() == pytest.approx(budget, rel=0.03)
    deviation = types.excess @ mass / mass.sum()
    assert np.abs(deviation).max() <= band + 0.004
    ours = surplus(types, mass, found_pace)
    # Types add up, so each needs its own steps only; the constraint ties them together.
    steps = np.linspace(0.02, 0.98, 49)
    still = np.full(3, 0.5) * types.weight[:, 0]
    alone = np.array(
        [
            [
                surplus(types, np.where(np.arange(3) == at, share * one, still), found_pace)
                for share in steps
            ]
            for at, one in enumerate(types.weight[:, 0])
        ]
    )
    alone -= 2 / 3 * surplus(types, still, found_pace)
    masses = np.array(list(product(steps, repeat=3))) * types.weight[:, 0]
    sums = np.array(list(product(*alone))).sum(axis=1)
    is_fair = np.abs(masses @ types.excess.T / masses.sum(axis=1)[:, None]).max(axis=1) <= band
    assert ours >= sums[is_fair].max() - 0.002


def test_celis_gradient_is_the_shift() -> None:
    types, pace = tiny(0.1), 1.1
    mass = np.array([0.12, 0.2, 0.1])
    shift = celis.margins(types, mass, pace, np.zeros(3), rounds=60)
    for at in range(3):
        step = np.zeros(3)
        step[at] = 1e-4
        slope = (surplus(types, mass + step, pace) - surplus(types, mass - step, pace)) / 2e-4
        assert slope == pytest.approx(shift[at], abs=1e-3)


def test_celis_projection_is_the_nearest_point() -> None:
    types = tiny(0.05)
    wanted = np.array([0.25, 0.1, 0.05])
    found = celis.projected(types, wanted)
    total = types.weight[:, 0]
    limits = [
        {"type": "ineq", "fun": lambda m, row=row: 0.05 * m.sum() - row @ m} for row in types.excess
    ]
    nearest = minimize(
        lambda m: ((m - wanted) ** 2 / total).sum(),
        found,
        bounds=[(0, one) for one in total],
        constraints=limits,
    ).x
    assert found == pytest.approx(nearest, abs=1e-4)


def chain(flights: int, rng: np.random.Generator) -> list[rl.Visit]:
    """Flights of six visits; action 1 costs nothing, every other one a tenth; nothing else."""
    visits = []
    for number in range(flights):
        lost = 0.0
        for step in range(6):
            action = int(rng.integers(len(rl.ACTIONS)))
            state = (step / 5, *rng.normal(size=len(rl.FEATURES) - 1))
            visits.append(rl.Visit(f"f{number}", tuple(state), action, 0.2, 0.0, lost))
            lost += 0.0 if action == 1 else 0.1
    return visits


def test_fitted_q_finds_the_free_action_and_values_policies() -> None:
    log = fitted.transitions(chain(1_500, np.random.default_rng(5)))
    policy = fitted.fit(log, rounds=30)
    right = fitted.greedy(policy)(log.state[:200]).argmax(axis=1)
    assert (right == 1).mean() > 0.97
    assert policy.action(tuple(log.state[0])) == right[0]
    # Five steps: 0 for the free action, .5 for another, .4 at random.
    assert fitted.evaluate(log, fitted.always(1)).mean() == pytest.approx(0.0, abs=0.04)
    assert fitted.evaluate(log, fitted.always(3)).mean() == pytest.approx(-0.5, abs=0.04)
    assert fitted.evaluate(log, fitted.at_random).mean() == pytest.approx(-0.4, abs=0.02)


def test_the_log_as_transitions() -> None:
    rows = [
        rl.Visit("a", (0.0,), 0, 0.2, 3.0, 0.0),
        rl.Visit("a", (1.0,), 1, 0.2, 2.0, 0.1),
        rl.Visit("a", (2.0,), 2, 0.2, 0.5, 0.3),
        rl.Visit("b", (9.0,), 2, 0.2, 0.5, 0.3),
    ]
    log = fitted.transitions(rows)
    assert log.action.tolist() == [0, 1]
    assert log.reward == pytest.approx([-0.1, -0.2 - 0.5])
    assert log.is_last.tolist() == [False, True]
    with pytest.raises(ValueError, match="at least two visits"):
        fitted.transitions(rows[3:])


def test_without_a_policy_the_learner_is_dual() -> None:
    calls = [measured(wins=0.0), measured(male_lean=0.3), measured(male_lean=0.2, wins=600.0)]
    assert np.array_equal(shifts("rl", *calls), shifts("dual", *calls))


def test_the_behaviour_policy_logs_what_it_does() -> None:
    visits: list[rl.Visit] = []
    where = small_market(ads=2)
    for _ in range(2):
        behaviour = rl.Learned(explore=4, log=visits.append, run="w/1")
        played(where, {"behaviour": behaviour}, Privacy())
    half = len(visits) // 2
    assert visits[:half] == visits[half:]
    assert {one.flight for one in visits} == {"w/1/ad000", "w/1/ad001"}
    assert len({one.action for one in visits}) == len(rl.ACTIONS)
    assert all(len(one.state) == len(rl.FEATURES) for one in visits)


def test_the_eligible_shares_of_these_tests_are_shares() -> None:
    assert ELIGIBLE.sum() == pytest.approx(1)
    assert SEXED.sum(axis=1) == pytest.approx(np.ones(8))
