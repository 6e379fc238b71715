"""The learner against a dictionary and the paper's formulas; its twin, bit for bit; its bound."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.rank import compiled, plain
from ringwork.ads.rank.features import AD_WIDTH, CONTEXT_WIDTH, CROSS_COUNT
from ringwork.ads.rank.ftrl import Ftrl, Rates, log_odds, undo_sampling
from tests.ads.rank import keyed


class PaperFtrl:
    """McMahan et al. 2013, algorithm 1, one weight per value: no hashing, no arrays."""

    def __init__(self, prior: float, rates: Rates):
        self.prior, self.rates = prior, rates
        self.z, self.n = defaultdict(float), defaultdict(float)

    def weight(self, i) -> float:
        z, r = self.z[i], self.rates
        if abs(z) <= r.l1:
            return 0.0
        sign = 1.0 if z > 0 else -1.0
        return -(z - sign * r.l1) / ((r.beta + math.sqrt(self.n[i])) / r.alpha + r.l2)

    def logit(self, plain_features, crosses) -> tuple[float, float]:
        crossed = sum(self.weight(i) for i in crosses)
        clip = self.rates.clip
        total = self.prior + sum(self.weight(i) for i in plain_features)
        return total + max(-clip, min(clip, crossed)), crossed

    def learn(self, plain_features, crosses, label: int, weight: float) -> float:
        logit, crossed = self.logit(plain_features, crosses)
        g = weight * (1 / (1 + math.exp(-logit)) - label)
        inside = not (
            (crossed >= self.rates.clip and g < 0) or (crossed <= -self.rates.clip and g > 0)
        )
        for i in [*plain_features, *(crosses if inside else [])]:
            w = self.weight(i)
            s = (math.sqrt(self.n[i] + g * g) - math.sqrt(self.n[i])) / self.rates.alpha
            self.z[i] += g - s * w
            self.n[i] += g * g
        return logit


def names(context, ad):
    """The features of a pair by value, as the separable form has them."""
    of_context, of_ad = CONTEXT_WIDTH - CROSS_COUNT, AD_WIDTH - CROSS_COUNT
    single = ["bias", *((1, j, context[j]) for j in range(of_context))]
    single += [(2, j, ad[j]) for j in range(of_ad)]
    return single, [(3, k, context[of_context + k], ad[of_ad + k]) for k in range(CROSS_COUNT)]


def collide(contexts, ads, bits: int) -> bool:
    """Whether two different features of these rows share a slot."""
    mask, owners = 2**bits - 1, {}
    for context, ad in zip(contexts, ads, strict=True):
        single, crosses = names(context, ad)
        slots = [plain.slot(0, 0, mask)]
        slots += [plain.slot(i[2], (1 if i[0] == 1 else 32) + i[1], mask) for i in single[1:]]
        slots += [plain.slot(i[2] ^ i[3], 64 + i[1], mask) for i in crosses]
        for slot, name in zip(slots, [*single, *crosses], strict=True):
            if owners.setdefault(slot, name) != name:
                return True
    return False


@pytest.mark.parametrize("clip", [1.5, 0.05])
def test_it_learns_what_the_paper_s_formulas_do(clip):
    rng = np.random.default_rng(1)
    contexts, ads = keyed.random_rows(rng, 400, 4)
    assert not collide(contexts, ads, 24)
    labels = (rng.random(400) < 0.3).astype(float)
    weights = rng.choice([0.5, 1.0, 3.0], 400)
    rates = Rates(clip=clip)
    ours, paper = Ftrl(prior=-1.0, rates=rates, bits=24), PaperFtrl(-1.0, rates)
    expected = [
        paper.learn(*names(context, ad), int(label), float(weight))
        for context, ad, label, weight in zip(contexts, ads, labels, weights, strict=True)
    ]
    got = ours.learn_many(contexts, ads, labels, weights)
    assert got == pytest.approx(expected, abs=1e-12)
    assert max(abs(g - e) for g, e in zip(got[:5], expected[:5], strict=True)) < 1e-15


def test_one_row_by_hand():
    # Prior 0, label 1: p = 1/2, g = -1/2, n = 1/4, z = -1/2, which l1 = 1/2 still keeps at 0.
    learner = Ftrl(prior=0.0, bits=20)
    context, ad = keyed.contexts([[1]])[0], keyed.ads([[2]])[0]
    assert learner.learn(context, ad, 1) == 0.0
    assert not learner.weights().any()
    # Again: z = -1, n = 1/2, w = (1 - 1/2) / ((1 + sqrt(1/2)) / 0.1 + 1).
    learner.learn(context, ad, 1)
    learned = learner.weights()[learner.weights() != 0]
    assert learned == pytest.approx([0.5 / ((1 + 0.5**0.5) / 0.1 + 1)] * 22, rel=1e-6)


rows = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=n, max_size=n),
        st.lists(st.tuples(*[st.integers(0, 3)] * 2), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.25, 1.0, 40.0]), min_size=n, max_size=n),
    )
)


@given(rows, st.sampled_from([3, 8, 20]), st.sampled_from([0.01, 0.3, 1.5]))
@settings(max_examples=60)
def test_the_twin_learns_the_same_bits(given_rows, bits, clip):
    contexts, ads = keyed.contexts(given_rows[0]), keyed.ads(given_rows[1])
    labels, weights = np.array(given_rows[2]), np.array(given_rows[3])
    parameters = np.array([0.1, 1.0, 0.5, 1.0, -2.0, clip])
    tables = np.zeros((2**bits, 4)), np.zeros((2**bits, 4))
    logits = np.empty(len(labels)), np.empty(len(labels))
    for engine, table, out in zip((compiled, plain), tables, logits, strict=True):
        engine.learn(table, contexts, ads, CROSS_COUNT, labels, weights, parameters, out)
    assert np.array_equal(tables[0], tables[1])
    assert np.array_equal(logits[0], logits[1])


@given(rows)
@settings(max_examples=30)
def test_scoring_is_the_same_in_the_twin_and_separable_equals_direct(given_rows):
    rng = np.random.default_rng(2)
    contexts, ads = keyed.contexts(given_rows[0]), keyed.ads(given_rows[1])
    weights = rng.normal(0, 0.7, 2**12).astype(np.float32)
    weights.flags.writeable = False
    numbers = np.arange(len(ads))
    answers = []
    for engine in (compiled, plain):
        own, direct, separable = np.empty(len(ads)), np.empty(len(ads)), np.empty(len(ads))
        engine.ad_sums(ads, CROSS_COUNT, weights, own)
        context = engine.context_logit(contexts[0], CROSS_COUNT, -3.0, weights)
        crosses = contexts[0, -CROSS_COUNT:]
        engine.score(numbers, crosses, ads, context, own, weights, 1.5, separable)
        pairs = np.repeat(contexts[:1], len(ads), axis=0)
        engine.predict(pairs, ads, CROSS_COUNT, -3.0, 1.5, weights, direct)
        assert np.array_equal(separable, direct)
        crossed = [engine.cross_logit(ad[-CROSS_COUNT:], crosses, weights) for ad in ads]
        assert np.array_equal(separable, context + own + np.clip(crossed, -1.5, 1.5))
        assert np.all(separable <= context + own + 1.5)
        assert np.all(separable >= context + own - 1.5)
        answers.append((own, context, direct))
    assert np.array_equal(answers[0][0], answers[1][0])
    assert answers[0][1] == answers[1][1]
    assert np.array_equal(answers[0][2], answers[1][2])


def test_the_sigmoid_is_the_sigmoid_and_the_same_in_both():
    for x in np.linspace(-39.9, 39.9, 4001).tolist():
        assert compiled.sigmoid(x) == plain.sigmoid(x)
        assert plain.sigmoid(x) == pytest.approx(1 / (1 + math.exp(-x)), rel=1e-15, abs=1e-300)
    assert 0.0 < plain.sigmoid(-1e9) < 1e-17
    assert plain.sigmoid(1e9) == 1.0


def test_a_clipped_cross_learns_only_what_leads_back():
    context, ad = keyed.contexts([[1]])[0], keyed.ads([[1]])[0]
    learner = Ftrl(prior=0.0, rates=Rates(clip=0.01, l1=0.0), bits=20)
    for _ in range(50):
        learner.learn(context, ad, 1)
    mask = 2**20 - 1
    slot = plain.slot(int(context[-1]) ^ int(ad[-1]), 64 + CROSS_COUNT - 1, mask)
    held = learner.weights()[slot]
    learner.learn(context, ad, 1)
    assert learner.weights()[slot] == held > 0
    learner.learn(context, ad, 0)
    assert learner.weights()[slot] < held


@given(rows, st.integers(0, 40))
@settings(max_examples=30)
def test_how_rows_are_cut_into_calls_and_a_dump_between_change_no_bit(given_rows, cut):
    contexts, ads = keyed.contexts(given_rows[0]), keyed.ads(given_rows[1])
    labels, weights = np.array(given_rows[2]), np.array(given_rows[3])
    whole = Ftrl(prior=-2.0, bits=10)
    whole.learn_many(contexts, ads, labels, weights)
    parts = Ftrl(prior=-2.0, bits=10)
    parts.learn_many(contexts[:cut], ads[:cut], labels[:cut], weights[:cut])
    parts = Ftrl.load(parts.dump())
    parts.learn_many(contexts[cut:], ads[cut:], labels[cut:], weights[cut:])
    assert whole.dump() == parts.dump()
    assert np.array_equal(whole.weights(), parts.weights())
    assert np.array_equal(whole.variances(), parts.variances())


def steady_rows(rows: int):
    """Rows whose rate is 10 % whatever their values: all that can swing is noise."""
    rng = np.random.default_rng(4)
    contexts, ads = keyed.random_rows(rng, 50, 2)
    at = rng.integers(0, 50, (2, rows))
    return contexts[at[0]], ads[at[1]], (rng.random(rows) < 0.1).astype(float)


def test_served_weights_swing_less_than_those_that_learn():
    contexts, ads, labels = steady_rows(60_000)
    learner = Ftrl(prior=log_odds(0.1), bits=16)
    levels = {"learning": [], "served": []}
    out = np.empty(50)
    for start in range(0, 60_000, 500):
        part = slice(start, start + 500)
        learner.learn_many(contexts[part], ads[part], labels[part])
        for name, weights in (
            ("learning", learner._table[:, 2].astype(np.float32)),
            ("served", learner.weights()),
        ):
            compiled.predict(contexts[:50], ads[:50], CROSS_COUNT, learner.prior, 1.5, weights, out)
            levels[name].append(out.mean())
    spread = {name: np.std(level[40:]) for name, level in levels.items()}
    assert spread["served"] < spread["learning"] / 2
    assert np.mean(levels["served"][40:]) == pytest.approx(log_odds(0.1), abs=0.06)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_averages_do_not_depend_on_calls_or_a_dump_between(size):
    contexts, ads, labels = steady_rows(3_000)
    whole, parts = Ftrl(prior=-2.0, bits=12), Ftrl(prior=-2.0, bits=12)
    whole.learn_many(contexts, ads, labels)
    for start in range(0, 3_000, size):
        part = slice(start, start + size)
        parts.learn_many(contexts[part], ads[part], labels[part])
        if start % 700 == 0:
            parts = Ftrl.load(parts.dump())
    assert np.count_nonzero(whole.weights() != whole._table[:, 2].astype(np.float32)) > 10
    assert parts.dump() == whole.dump()
    assert np.array_equal(parts.weights(), whole.weights())


def test_undoing_sampling_finds_the_probability_before_it():
    rng = np.random.default_rng(3)
    labels = (rng.random(400_000) < 0.02).astype(float)
    kept = (labels > 0) | (rng.random(400_000) < 0.1)
    assert undo_sampling(np.array([labels[kept].mean()]), 0.1)[0] == pytest.approx(
        labels.mean(), rel=0.02
    )
    assert undo_sampling(np.array([0.2, 0.7]), 1.0) == pytest.approx([0.2, 0.7])


@pytest.mark.parametrize(
    ("label", "weight", "said"),
    [
        (2, 1.0, "labels 0 or 1"),
        (-1, 1.0, "labels 0 or 1"),
        (math.nan, 1.0, "labels 0 or 1"),
        (1, math.nan, "finite weights"),
        (1, math.inf, "finite weights"),
        (1, 0.0, "finite weights"),
        (1, -1.0, "finite weights"),
    ],
)
def test_a_row_that_cannot_be_learned_is_refused_and_teaches_nothing(label, weight, said):
    learner = Ftrl(prior=0.0, bits=10)
    with pytest.raises(ValueError, match=said):
        learner.learn(keyed.contexts([[1]])[0], keyed.ads([[1]])[0], label, weight)
    assert learner.dump() == Ftrl(prior=0.0, bits=10).dump()


def test_rows_of_another_shape_or_kind_are_refused():
    learner, context, ad = Ftrl(prior=0.0, bits=10), keyed.contexts([[1]]), keyed.ads([[1]])
    one = np.ones(1)
    for contexts, ads, weights in (
        (context[:, 1:], ad, one),
        (context, ad[:, 1:], one),
        (context.astype(float), ad, one),
        (np.repeat(context, 2, axis=0), ad, one),
        (context, ad, np.ones(2)),
    ):
        with pytest.raises(ValueError, match="expected"):
            learner.learn_many(contexts, ads, one, weights)


@pytest.mark.parametrize("bits", [0, 25])
def test_a_table_of_another_size_is_refused(bits):
    with pytest.raises(ValueError, match="bits of table"):
        Ftrl(prior=0.0, bits=bits)


def test_a_prior_must_be_a_probability():
    assert log_odds(0.2) == pytest.approx(math.log(0.25))
    for probability in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="probability inside"):
            log_odds(probability)
    with pytest.raises(ValueError, match="finite log-odds"):
        Ftrl(prior=math.inf)
