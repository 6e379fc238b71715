"""Delivery against the control arm: by hand, against brute force, and where the truth is known."""

import io
from fractions import Fraction
from math import sqrt

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from ringwork.fairness import records
from ringwork.fairness.audit import DIFFERS, SOUND, audited
from ringwork.fairness.bench.contest import market, played
from ringwork.fairness.bench.simulator import Privacy
from ringwork.fairness.bench.worlds import maker
from ringwork.fairness.control.dual import Dual
from ringwork.fairness.control.model import AdContext, Measurement, Shift, incidence, spans
from ringwork.fairness.coverage import report_of
from ringwork.fairness.flights import blur_of
from ringwork.fairness.measure.arm import (
    CELLS_MIN,
    Arms,
    Effect,
    Served,
    clump_of,
    deattenuated,
    effect_of,
    interval_of,
    levelled,
    signs_of,
)
from ringwork.fairness.measure.reach import ControlArm
from ringwork.fairness.model import PPB
from ringwork.fairness.reach import Told, told
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.rendering import differences, to_csv, to_html, to_json
from ringwork.fairness.report import document_of
from ringwork.fairness.trail import Trail
from tests.fairness import logs

HALF = (Fraction(1, 2), Fraction(1, 2))
TENTH = Fraction(1, 10)


def arms(
    sums: tuple[int, ...], left_alone: tuple[int, ...], *, share: Fraction = TENTH,
    clump: Fraction = Fraction(1), sigma: int = 2, unit: int = 1,
) -> Arms:  # fmt: skip
    return Arms(
        sums=sums, left_alone=left_alone, unit=unit, share=share, clump=clump,
        variance=Fraction(sigma**2), variance_left_alone=Fraction(sigma**2),
    )  # fmt: skip


def served(effect: Effect, signs: tuple[int, ...] = (-1, 1)) -> Served:
    return Served(effect=effect, signs=signs, eligible=HALF)


# ---- one ad, by hand ----------------------------------------------------------------------------


def test_an_arm_is_weighed_back_by_hand() -> None:
    """Of a tenth 4,000 women and 7,000 men, of the rest 45,000 and 54,000; noise of 2 on each."""
    found = effect_of(arms((49_000, 61_000), (4_000, 7_000)))
    assert found.before == (40_000, 70_000)
    assert found.now == (50_000, 60_000)
    # A (1 - s) / s^2 + 4 / s^2, and (T - A) s / (1 - s)^2 + 8 / (1 - s)^2.
    assert found.before_covariance[0][0] == pytest.approx(4_000 * 90 + 400)
    assert found.now_covariance[0][0] == pytest.approx((4_500 + 8) / 0.81)
    # Each arm as a sample of its own: (T - A) / (1 - s)^2 + A / s^2, noise 4 and 4 / (s (1 - s))^2.
    by_hand = 54_000 / 0.81 + 7_000 * 100 + 4 / 0.81 + 4 / 0.0081
    assert found.change_covariance[1][1] == pytest.approx(by_hand)
    assert found.change_covariance[0][1] == 0
    clumped = effect_of(arms((49_000, 61_000), (4_000, 7_000), clump=Fraction(5)))
    assert clumped.before_covariance[0][0] == pytest.approx(5 * 4_000 * 90 + 400)


def test_the_index_by_hand() -> None:
    """10,000 men fewer, who were held back, and 10,000 women more: one half of it was taken."""
    effect = effect_of(arms((49_000, 61_000), (4_000, 7_000)))
    found = levelled([served(effect)])
    assert (found.lost, found.gained, found.index) == (10_000, 10_000, Fraction(1, 2))
    # Men were 7 of 11 without control and 6 of 11 with it, of one half: two thirds are gone.
    assert found.removed == Fraction(2, 3)
    of_both = levelled([served(effect), served(effect)])
    assert (of_both.lost, of_both.index) == (20_000, Fraction(1, 2))
    assert width(of_both.index_interval) < width(found.index_interval)
    turned = levelled([served(effect, (1, -1))])
    assert (turned.lost, turned.index, turned.index_interval) == (-10_000, None, None)


def test_all_taken_and_all_given() -> None:
    taken = levelled([served(effect_of(arms((40_000, 52_000), (4_000, 7_000))))])
    given_ = levelled([served(effect_of(arms((58_000, 70_000), (4_000, 7_000))))])
    assert (taken.index, given_.index) == (1, 0)


def width(interval: tuple[Fraction, Fraction] | None) -> Fraction:
    assert interval is not None
    return interval[1] - interval[0]


def test_cells_of_many_impressions_count_for_less() -> None:
    """Ten cells of ten: 100 impressions squared are 1,000. All counted: ten times the variance."""
    assert clump_of(100, 1_000, Fraction(1)) == 10
    # One of two is counted: five of each cell on average, 1 + (10 - 1) / 2.
    assert clump_of(100, 1_000, Fraction(1, 2)) == Fraction(11, 2)
    assert clump_of(100, 100, Fraction(1)) == 1
    assert clump_of(90, 900, Fraction(1)) is None, f"nine cells, of {CELLS_MIN}"
    assert clump_of(0, 0, Fraction(1)) is None


@given(st.lists(st.integers(0, 50), min_size=12, max_size=40))
def test_who_is_counted_by_chance_has_the_variance_that_is_said(cells: list[int]) -> None:
    """E sum m^2 / E sum m of binomial m, against the moments of the binomial."""
    impressions, squares = sum(cells), sum(one * one for one in cells)
    p = Fraction(1, 4)
    found = clump_of(impressions, squares, p)
    if found is None:
        assert impressions**2 < CELLS_MIN * squares or not impressions
        return
    moments = sum(n * p * (1 - p) + (n * p) ** 2 for n in cells)
    assert found == moments / (impressions * p)


@pytest.mark.parametrize(
    "changes",
    [{"left_alone": (1,)}, {"share": Fraction(0)}, {"share": Fraction(1)}, {"unit": 0},
     {"clump": Fraction(1, 2)}],
)  # fmt: skip
def test_an_arm_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        arms((1, 2), **{"left_alone": (1, 1), **changes})  # type: ignore[arg-type]


# ---- directions ----------------------------------------------------------------------------------


def test_prices_above_their_eligible_mean_hold_back() -> None:
    quarter = (Fraction(1, 4), Fraction(3, 4))
    assert signs_of((10, -10), HALF) == (1, -1)
    assert signs_of((10, 9), quarter) == (1, -1)
    assert signs_of((7, 7), HALF) == (0, 0)
    assert signs_of((5, 1, 9), (Fraction(1, 2), Fraction(1, 2), Fraction(0))) == (1, -1, 0)


def state_of(*bodies: records.AnyBody) -> Recomputation:
    state = Recomputation()
    for body in (logs.arm_plan(), logs.model(), logs.default_prior(), *bodies):
        assert state.apply(body) == []
    return state


def stepped(*prices: int, **members: object) -> records.Control:
    return records.Control(ad="a", episode=0, lambda_micro=prices, **members)  # type: ignore[arg-type]


def by_hand(action: str, *prices: int) -> records.Override:
    return records.Override(
        ad="a", action=action, who="m", reason="r", lambda_micro=prices  # type: ignore[arg-type]
    )  # fmt: skip


def test_prices_that_were_in_force_are_what_counts() -> None:
    """A person's prices stand for the steps that were taken meanwhile, a pause for none."""
    one, other, set_ = (1, -1, 2, 0, 0, 0), (5, -5, 0, 0, 0, 0), (100, -100, 0, 0, 0, 0)
    state = state_of(
        logs.arm_ad("a"), stepped(*one), stepped(*one),
        by_hand("pause"), stepped(*other), by_hand("resume"), stepped(*one),
        by_hand("set", *set_), stepped(*other), by_hand("resume"),
        stepped(*one, held=True), stepped(1, 2), stepped(),
    )  # fmt: skip
    prices = state.flights["a"].parts[-1].prices
    assert prices == {"sex": (4 + 200, -4 - 200), "race": (8, 0, 0, 0)}
    again = Recomputation()
    again.load(state.dump())
    assert again.flights["a"].parts[-1].prices == prices
    assert again.dump() == state.dump()


def test_nobody_chooses_who_was_over_served_once_the_arm_is_out() -> None:
    state = state_of(logs.arm_ad("a"), stepped(*logs.ARM_PRICES), logs.arm_release("a"))
    before = state.flights["a"].parts[-1].prices
    assert state.apply(by_hand("set", *(-9 * one for one in logs.ARM_PRICES))) == []
    assert state.apply(stepped(*logs.ARM_PRICES)) == []
    assert state.flights["a"].parts[-1].prices == before != {}
    assert state.flights["a"].override is not None, "it holds all the same"


def test_a_new_audience_begins_without_prices() -> None:
    state = state_of(logs.arm_ad("a"), stepped(*logs.ARM_PRICES), logs.arm_release("a"))
    assert state.apply(msgspec.structs.replace(logs.arm_ad("a"), segment=1)) == []
    assert [one.prices != {} for one in state.flights["a"].parts] == [True, False]


# ---- intervals against brute force ---------------------------------------------------------------


@given(
    st.integers(-3_000, 3_000), st.integers(-3_000, 3_000), st.floats(50, 2_000),
    st.floats(50, 2_000), st.floats(-0.9, 0.9),
)  # fmt: skip
def test_the_interval_is_all_that_the_ellipse_sees(
    lost: int, gained: int, of_lost: float, of_gained: float, correlation: float
) -> None:
    """The index of every point of the ellipse; points that lose and gain nothing have none."""
    both = -correlation * of_lost * of_gained
    effect = Effect(
        now=(Fraction(-lost), Fraction(gained)), before=(Fraction(0), Fraction(0)),
        now_covariance=[[1.0, 0.0], [0.0, 1.0]], before_covariance=[[1.0, 0.0], [0.0, 1.0]],
        change_covariance=[[of_lost**2, both], [both, of_gained**2]],
    )  # fmt: skip
    found = levelled([served(effect, (1, -1))])
    assert (found.lost, found.gained) == (lost, gained)
    if lost <= 0 and gained <= 0:
        assert (found.index, found.index_interval) == (None, None)
        return
    angles = np.linspace(0, 2 * np.pi, 20_000)
    factor = np.linalg.cholesky([[of_lost**2, -both], [-both, of_gained**2]])
    x, y = np.array([[lost], [gained]]) + 1.96 * factor @ np.stack((np.cos(angles), np.sin(angles)))
    moved = (x > 0) | (y > 0)
    index = np.clip(x, 0, None)[moved] / (np.clip(x, 0, None) + np.clip(y, 0, None))[moved]
    inside = (np.linalg.solve(factor, [lost, gained]) ** 2).sum() <= 5.991
    low, high = (0.0, 1.0) if inside else (index.min(), index.max())
    assert found.index_interval is not None
    assert float(found.index_interval[0]) == pytest.approx(low, abs=2e-3)
    assert float(found.index_interval[1]) == pytest.approx(high, abs=2e-3)
    if found.index is not None:
        assert found.index_interval[0] <= found.index + Fraction(1, 10**6)
        assert found.index <= found.index_interval[1] + Fraction(1, 10**6)


@given(st.lists(st.tuples(*[st.integers(0, 10_000)] * 4), min_size=1, max_size=4))
def test_losses_and_gains_add_up_over_ads(cells: list[tuple[int, int, int, int]]) -> None:
    effects = [effect_of(arms((a + c, b + d), (c, d))) for a, b, c, d in cells]
    whole = levelled([served(one) for one in effects])
    assert whole.gained == sum(one.change[0] for one in effects)
    assert whole.lost == -sum(one.change[1] for one in effects)


@given(st.integers(1, 50_000), st.integers(1, 50_000))
def test_where_nothing_changed_nothing_was_lost_or_gained(women: int, men: int) -> None:
    found = levelled([served(effect_of(arms((10 * women, 10 * men), (women, men))))])
    assert (found.lost, found.gained, found.index) == (0, 0, None)


# ---- a world whose truth is known ----------------------------------------------------------------


class World:
    """Clusters of uneven size and mix, days, and what steering does to each group."""

    def __init__(self, seed: int, *, people: int, days: int, changed: tuple[float, float]) -> None:
        self.rng = np.random.default_rng(seed)
        size, mix = self.rng.gamma(1, 1, 256), np.clip(self.rng.beta(3.3, 2.7, 256), 0.01, 0.99)
        rate = np.stack((size * mix, size * (1 - mix)), axis=1)
        rate *= np.array([0.6, 0.4]) * people / days / rate.sum(axis=0)
        self.days = days
        self.before = self.rng.poisson(np.repeat(rate, days, axis=0))
        self.now = self.rng.poisson(np.repeat(rate * changed, days, axis=0))

    def measured(self, ad: str, arm: ControlArm, *, sigma: float, arm_sigma: float) -> Arms | None:
        """As a platform would release it, by the hash that it draws by."""
        held = np.array(
            [arm.holds(cluster, ad, day) for cluster in range(256) for day in range(self.days)]
        )
        shown = np.where(held[:, None], self.before, self.now)
        cells = shown[held].sum(axis=1)
        clump = clump_of(int(cells.sum()), int((cells**2).sum()), Fraction(1))
        if clump is None:
            return None
        noisy = [
            tuple(int(one) for one in np.rint(exact + self.rng.normal(0, spread, 2)))
            for exact, spread in (
                (shown.sum(axis=0), sigma),
                (shown[held].sum(axis=0), arm_sigma),
            )
        ]
        return Arms(
            sums=noisy[0], left_alone=noisy[1], unit=1, share=Fraction(arm.share_ppm, 10**6),
            clump=clump, variance=Fraction(sigma) ** 2, variance_left_alone=Fraction(arm_sigma) ** 2,
        )  # fmt: skip


ARM = ControlArm(b"0123456789abcdef", 20_000)


def test_intervals_of_a_cluster_sample_cover_and_those_of_single_people_would_not() -> None:
    covered = naive = told_ = 0
    for number in range(120):
        world = World(number, people=20_000, days=10, changed=(0.8, 1.1))
        found = world.measured(f"ad-{number}", ARM, sigma=6, arm_sigma=10)
        if found is None:
            continue
        told_ += 1
        truth = int(world.before[:, 0].sum())
        for clump, counted in ((found.clump, True), (Fraction(1), False)):
            effect = effect_of(msgspec.structs.replace(found, clump=clump))
            low, high = interval_of(effect.before[0], effect.before_covariance[0][0])
            covered += counted and low <= truth <= high
            naive += not counted and low <= truth <= high
    assert told_ > 100
    assert covered / told_ >= 0.93
    assert naive / told_ < 0.85


def test_over_many_ads_the_index_is_the_truth_and_by_the_arm_s_own_signs_it_is_not() -> None:
    """Forty small ads: none says anything alone. Steered, and in a world that nothing steers."""
    steered = [World(one, people=6_000, days=10, changed=(0.8, 1.1)) for one in range(40)]
    alone = [World(one, people=6_000, days=10, changed=(1.0, 1.0)) for one in range(40)]
    lost = sum(int((one.before - one.now)[:, 0].sum()) for one in steered)
    gained = sum(int((one.now - one.before)[:, 1].sum()) for one in steered)
    parts = [
        served(effect_of(found), (1, -1))
        for number, one in enumerate(steered)
        if (found := one.measured(f"ad-{number}", ARM, sigma=6, arm_sigma=10)) is not None
    ]
    found = levelled(parts)
    assert found.index is not None
    assert found.index_interval is not None
    assert found.index_interval[0] <= lost / (lost + gained) <= found.index_interval[1]
    assert sum(levelled([one]).index is None for one in parts) > len(parts) * 0.75
    nothing = [
        effect_of(one)
        for number, world in enumerate(alone)
        if (one := world.measured(f"ad-{number}", ARM, sigma=6, arm_sigma=10)) is not None
    ]
    assert levelled([served(one, (1, -1)) for one in nothing]).index is None
    by_own_signs = levelled(
        [served(one, (1, -1) if one.change[0] < 0 else (-1, 1)) for one in nothing]
    )
    assert by_own_signs.index is not None, "noise that looks like a fall is taken for one"


def test_behind_a_proxy_the_truth_is_covered_and_the_proxy_shows_less_of_it() -> None:
    """Posteriors of an invented pool, true groups drawn from them: calibrated, as is assumed."""
    blur = blur_of(logs.model())
    covered = seen_less = total = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        pool = rng.dirichlet(np.array(logs.RACE_MIX) / 1e9 * 1.6, 40_000)
        true = (rng.random((len(pool), 1)) > pool.cumsum(axis=1)).sum(axis=1).clip(max=3)
        in_arm = rng.random(len(pool)) < 0.1
        # Steering drops three tenths of the first group; the arm is not steered.
        stays = in_arm | (true != 0) | (rng.random(len(pool)) > 0.3)
        soft = np.rint(256 * pool).astype(int)
        sums, arm_sums = (
            tuple(int(one) for one in soft[rows].sum(axis=0) + np.rint(rng.normal(0, 2 * 256, 4)))
            for rows in (stays, stays & in_arm)
        )
        found = arms(sums, arm_sums, unit=256)
        effect, proxy = deattenuated(found, blur), effect_of(found, blur)
        for group in range(4):
            truth = int((true == group).sum())
            low, high = interval_of(effect.before[group], effect.before_covariance[group][group])
            covered += low <= truth <= high
            total += 1
        signs = (1, -1, -1, -1)
        eligible = tuple(Fraction(one, PPB) for one in logs.RACE_MIX)
        of_true, of_proxy = (
            levelled([Served(effect=one, signs=signs, eligible=eligible, blurred=proxy.change)], by)
            for one, by in ((effect, blur), (proxy, None))
        )
        seen_less += of_proxy.lost < of_true.lost
    assert 0.92 <= covered / total <= 0.99
    assert seen_less >= 54


# ---- from a log ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trail() -> Trail:
    return logs.arm_log(io.BytesIO(), 2)


@pytest.fixture(scope="module")
def log() -> bytes:
    file = io.BytesIO()
    logs.arm_log(file, 2).report(time_us=logs.START_US + 20)
    return file.getvalue()


def test_rows_by_hand(trail: Trail) -> None:
    found = told(trail.state)
    women, men = (one for one in found.reach if (one.ad, one.attribute) == ("ad-0", "sex"))
    assert (women.group, women.counted_in, women.eligible_ppb) == (
        "female",
        "person-days",
        PPB // 2,
    )
    assert (women.reach_ppb, women.without_control_ppb) == (500_000_000, 400_000_000)
    assert (men.reach_ppb, men.without_control_ppb) == (600_000_000, 700_000_000)
    half = 1.96 * sqrt(4_000 * 90 + 400)
    assert women.without_control_interval_ppb == pytest.approx(
        ((40_000 - half) * 1e4, (40_000 + half) * 1e4), abs=1
    )
    assert women.deattenuated is UNSET, "declared: one number"
    (index,) = (one for one in found.levelling_down if (one.ad, one.attribute) == ("ad-0", "sex"))
    assert (index.index_ppm, index.over_served, index.removed_ppm) == (500_000, ("male",), 666_667)
    (pool,) = (one for one in found.levelling_down_pooled if one.attribute == "sex")
    assert (pool.ads, pool.lost, pool.gained) == (2, 20_000, 20_000)
    assert pool.levelled.index_ppm == 500_000
    everybody = found.arm_costs[0]
    assert (everybody.attribute, everybody.group) == ("", "")
    # 110,100 impressions at 2 and of these 11,000 at 1.5 millionths, of 99,100 and of 11,000 days.
    spent = 110_100 * 2_000_000 - 11_000 * 1_500_000
    assert everybody.cost.controlled == round(Fraction(1000 * spent, 99_100))
    assert everybody.cost.uncontrolled == 1_500_000_000
    of_men = next(one for one in found.arm_costs if one.group == "male")
    assert of_men.cost.uncontrolled == round(Fraction(1000 * 11_000 * 1_500_000, 7_000))


def test_an_estimated_attribute_is_a_pair_everywhere(trail: Trail) -> None:
    """The proxy's sums are M^T of true ones, so the other half is these: 75,000 and 14,000."""
    found = told(trail.state)
    white, black = [one for one in found.reach if one.attribute == "race"][:2]
    eligible = np.array(logs.RACE_MIX) / 1e9 @ np.linalg.inv(np.array(logs.model().M_ppb) / 1e9)
    for row, group, before, now in ((white, 0, 75_000, 64_000 / 0.9), (black, 1, 14_000, 20_000)):
        assert row.deattenuated is not UNSET
        true = 200_000 * eligible[group]
        assert row.deattenuated.uncontrolled == pytest.approx(before / true * 1e9, rel=1e-3)
        assert row.deattenuated.controlled == pytest.approx(now / true * 1e9, rel=1e-3)
        assert row.deattenuated.controlled_interval is not UNSET
    for one in (*found.levelling_down, *found.levelling_down_pooled):
        assert (one.deattenuated is not UNSET) == (one.attribute == "race")
    for cost in found.arm_costs:
        assert (cost.deattenuated is not UNSET) == (cost.attribute == "race")


def without(*names: str, **members: object) -> Told:
    """What is told of one ad, some of whose members are as given."""
    state = Recomputation()
    made = {
        "plan": logs.arm_plan(), "model": logs.model(), "prior": logs.default_prior(),
        "ad": logs.arm_ad("a"), "budget": logs.arm_budget("a"),
        "control": stepped(*logs.ARM_PRICES), "release": logs.arm_release("a"), **members,
    }  # fmt: skip
    for name, body in made.items():
        if name not in names:
            assert state.apply(body) == []  # type: ignore[arg-type]
    return told(state)


def test_what_a_log_does_not_tell_is_left_out() -> None:
    assert without().is_told
    assert not told(Recomputation()).is_told
    assert not without("budget").is_told, "noise is not known"
    assert not without(ad=logs.arm_ad("a", arm_ppm=0)).is_told
    assert not without(ad=logs.arm_ad("a", arm_ppm=1_000_000)).is_told
    assert not without(ad=logs.ad("a")).is_told, "no share, no way of counting"
    assert not without(release=logs.arm_release("a", arm_sums={})).is_told
    few = logs.arm_release("a", arm_impressions=900, arm_squares=90_000)
    assert without(release=few) == Told(), "nine equal cells"
    no_prices = without("control")
    assert no_prices.reach
    assert (no_prices.levelling_down, no_prices.levelling_down_pooled) == ((), ())
    assert {one.attribute for one in without("model", "prior").reach} == {"sex"}
    odd = logs.arm_release("a", arm_sums={"sex": (1,), "race": (1, 2)})
    assert without(release=odd).reach == ()
    eligible = {"sex": records.Eligible(shares_ppb=(500_000_000, 500_000_000))}
    unnumbered = without(ad=msgspec.structs.replace(logs.arm_ad("a"), eligible=eligible))
    assert unnumbered.reach == ()
    assert unnumbered.levelling_down[0].index_ppm == 500_000, "it needs no number of people"


def test_an_attribute_that_is_not_controlled_has_reach_alone() -> None:
    plan = msgspec.structs.replace(logs.arm_plan(), controlled=("sex",))
    found = without(plan=plan, control=stepped(-1, 1))
    assert {one.attribute for one in found.reach} == {"sex", "race"}
    assert {one.attribute for one in found.levelling_down} == {"sex"}
    assert {one.attribute for one in found.levelling_down_pooled} == {"sex"}


def test_a_group_of_nobody_divides_by_nothing() -> None:
    shares = records.Eligible(shares_ppb=(PPB, 0), people_shares_ppb=(PPB, 0), people=200_000)
    ad = msgspec.structs.replace(logs.arm_ad("a"), eligible={"sex": shares})
    assert [one.group for one in without(ad=ad).reach] == ["female"]


def test_noise_below_zero_is_nobody() -> None:
    sums = {"sex": (49_000, -3, 0)}
    found = without(release=logs.arm_release("a", sums=sums, arm_sums={"sex": (4_000, -9, 0)}))
    men = next(one for one in found.reach if one.group == "male")
    assert (men.without_control_ppb, men.without_control_interval_ppb[0]) == (0, 0)
    cost = next(one for one in found.arm_costs if one.group == "male").cost
    assert (cost.uncontrolled, cost.uncontrolled_interval) == (None, UNSET)


def test_an_audit_recomputes_it_and_every_form_shows_it(log: bytes) -> None:
    auditor = audited(io.BytesIO(log))
    assert auditor.found.verdict == SOUND, auditor.found.findings
    document = document_of(auditor)
    assert document.is_reach_recomputed
    assert differences(to_json(document).encode(), document) == []
    changed = msgspec.structs.replace(document, levelling_down_pooled=())
    assert differences(to_json(changed).encode(), document)
    page = to_html(document)
    assert "held back: male" in page
    assert "in person-days" in page
    assert "for each eligible person of the group" in page.lower()
    for row in page.split("<tr>"):
        if "race" in row and "<td" in row and "levelling" in row:
            assert "de-attenuated" in row
    lines = [one.split(",") for one in to_csv(document).splitlines()]
    index = lines[0].index("levelling_down_ppm")
    told_ = {(one[3], one[6], one[7]): one[index:] for one in lines[1:]}
    assert told_["ad-0", "sex", "impressions"][0] == "500000"
    assert told_["ad-0", "sex", "impressions"][3:] == ["", "", ""]
    assert all(told_["ad-0", "race", "impressions"])


@pytest.mark.parametrize(
    ("what", "member"),
    [("reach", "without_control_ppb"), ("levelling_down", "index_ppm"),
     ("levelling_down_pooled", "lost"), ("arm_costs", "group"), ("reach", ""),
     ("levelling_down_pooled", "")],
)  # fmt: skip
def test_a_changed_or_missing_figure_is_found(what: str, member: str) -> None:
    file = io.BytesIO()
    trail = logs.arm_log(file)
    assert trail.state.plan is not None
    report = report_of(trail.state, trail.state.plan)
    (first, *rest) = getattr(report, what)
    if member:
        value = getattr(first, member)
        other = value + 1 if isinstance(value, int) else "other"
        rest = [msgspec.structs.replace(first, **{member: other}), *rest]
    changed = msgspec.structs.replace(report, **{what: tuple(rest)})
    trail.writer.append(changed, time_us=logs.START_US + 20)
    found = audited(io.BytesIO(file.getvalue())).found
    assert found.verdict == DIFFERS
    assert f"report: {what}: expected" in found.findings[0].detail


def test_what_was_written_before_there_was_an_arm_reads_as_it_was() -> None:
    assert "arm" not in "".join(records.wire_of(logs.ad("a")))
    assert "arm" not in "".join(records.wire_of(logs.budget("a")))
    stated = audited(io.BytesIO(logs.made(4)))
    assert stated.found.verdict == SOUND, stated.found.findings
    document = document_of(stated)
    assert not document.is_reach_recomputed
    assert [one.index_ppm for one in document.levelling_down] == [250_000]


# ---- the bench's auctions, whose truth is known --------------------------------------------------


class Remembered:
    """The platform's controller, and what prices it gave."""

    name = "dual"

    def __init__(self) -> None:
        self.blocks: tuple[int, ...] = ()
        self.prices: list[list[np.ndarray]] = []
        self._inner = Dual(paces=False)

    def start(self, ad: AdContext) -> object:
        self.blocks = ad.blocks
        self.prices.append([])
        return self._inner.start(ad)

    def step(self, state: object, measured: Measurement) -> Shift:
        shift = self._inner.step(state, measured)
        self.prices[-1].append(shift.prices)
        return shift


def test_prices_tell_who_was_over_served_and_with_them_the_index_is_the_true_one() -> None:
    """The same auctions with and without control; truth: who was, and who won and lost by it."""
    remembered = Remembered()
    where = market(maker("standard"), 1, ads=8)
    played_ = played(where, {"none": None, "dual": remembered}, Privacy())
    groups = incidence(remembered.blocks)
    for span in spans(remembered.blocks):
        by_truth, by_prices = np.zeros(2), np.zeros(2)
        for none, dual, prices in zip(
            played_["none"], played_["dual"], remembered.prices, strict=True
        ):
            before, now, eligible = (
                (groups @ one)[span] for one in (none.truth, dual.truth, none.ad.eligible)
            )
            summed = np.rint(1e6 * np.sum(prices, axis=0)[span]).astype(int).tolist()
            told_ = np.array(signs_of(summed, [Fraction(float(one)) for one in eligible]))
            true = np.sign(before / before.sum() - eligible)
            for into, signs in ((by_truth, true), (by_prices, told_)):
                into[0] += (before - now)[signs > 0].sum()
                into[1] += (now - before)[signs < 0].sum()
        truth, found = (one[0] / one.sum() for one in (by_truth, by_prices))
        assert found == pytest.approx(truth, abs=0.05)
        assert by_prices.sum() > 0.8 * by_truth.sum()
