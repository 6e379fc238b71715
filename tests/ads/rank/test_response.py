"""The response model: priors, labels that wait, versions that can be recomputed, calibration."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.rank.features import CROSS_COUNT
from ringwork.ads.rank.reliability import reliability
from ringwork.ads.rank.response import HEADS, Head, ResponseModel
from ringwork.ads.rank.snapshot import TIERS, Snapshot
from ringwork.ads.settings import AdsSettings
from tests.ads.rank import keyed

SECOND = 1_000_000
START_US = 1_764_158_400 * SECOND
CLICK = Head(name="click", prior_ppb=5_000_000, window_s=60)
CONVERSION = Head(name="conversion", prior_ppb=20_000_000, window_s=300, after="click")
CONTEXT, AD = keyed.contexts([[1]])[0], keyed.ads([[1]])[0]


def model(*heads: Head, **settings) -> ResponseModel:
    return ResponseModel(
        heads or (CLICK, CONVERSION), bits=12, **{"waiting_max": 2**16, **settings}
    )


def name(number: int) -> bytes:
    return number.to_bytes(16, "big")


@given(st.lists(st.integers(0, 10**6), min_size=5, max_size=5), st.sampled_from(TIERS))
@settings(max_examples=20)
def test_before_anything_is_learned_everything_has_the_head_s_prior(values, tier):
    snapshot = ResponseModel(bits=8, waiting_max=1).publish()
    for head in HEADS:
        of = snapshot.head(head.name)
        logit = of.logit(keyed.contexts([values])[0], keyed.ads([values])[0])
        assert of.p_ppb(logit, tier) == pytest.approx(head.prior_ppb, rel=2e-4)


def test_the_prior_of_a_click_is_the_setting_s():
    priors = {head.name: head.prior_ppb for head in HEADS}
    settings = AdsSettings()
    assert priors["click"] == settings.click_prior_ppb
    product = priors["click"] * priors["conversion"] // 10**9
    assert product == settings.conversion_prior_ppb


def test_an_impression_is_learned_once_when_its_window_ends():
    taught = model()
    taught.shown(name(1), CONTEXT, AD, "general", ts_us=START_US, heads=["click"])
    assert taught.advance(START_US + 60 * SECOND - 1) == 0
    taught.responded("click", name(1), ts_us=START_US + 5 * SECOND)
    taught.responded("click", name(1), ts_us=START_US + 6 * SECOND)
    assert taught.advance(START_US + 60 * SECOND) == 1
    assert taught.advance(START_US + 90 * SECOND) == 0
    assert taught.learned()["click"] == {"consented": 0, "less_personalised": 0, "general": 1}
    direct = model()
    direct.learn("click", CONTEXT, AD, 1)
    got, expected = taught.publish().head("click"), direct.publish().head("click")
    assert np.array_equal(got.weights, expected.weights)
    assert np.array_equal(got.tables, expected.tables)


def test_a_click_begins_the_wait_for_its_conversion():
    taught = model()
    for number in range(3):
        taught.shown(name(number), CONTEXT, AD, "general", ts_us=START_US, heads=["click"])
    for number in (0, 1):
        taught.responded("click", name(number), ts_us=START_US + SECOND)
    taught.responded("conversion", name(1), ts_us=START_US + 200 * SECOND)
    assert taught.advance(START_US + 400 * SECOND) == 3 + 2
    assert sum(taught.learned()["conversion"].values()) == 2
    taught.responded("conversion", name(0), ts_us=START_US + 401 * SECOND)
    assert taught.queues()["conversion"]["unmatched"] == 1


def test_a_response_after_its_window_is_counted_and_the_row_stays_without():
    taught = model()
    taught.shown(name(1), CONTEXT, AD, "general", ts_us=START_US, heads=["click"])
    taught.advance(START_US + 61 * SECOND)
    taught.responded("click", name(1), ts_us=START_US + 62 * SECOND)
    assert taught.queues()["click"] == {
        "waiting": 0, "refused": 0, "repeated": 0, "unmatched": 1,
    }  # fmt: skip


def test_a_full_queue_refuses_and_a_repeated_impression_waits_once():
    taught = model(waiting_max=2)
    for number in (1, 1, 2, 3):
        taught.shown(name(number), CONTEXT, AD, "general", ts_us=START_US, heads=["click"])
    queue = taught.queues()["click"]
    assert (queue["waiting"], queue["refused"], queue["repeated"]) == (2, 1, 1)
    taught.advance(START_US + 61 * SECOND)
    taught.shown(name(3), CONTEXT, AD, "general", ts_us=START_US + 62 * SECOND, heads=["click"])
    assert taught.queues()["click"]["waiting"] == 1


events = st.lists(
    st.tuples(
        st.sampled_from(["shown", "shown", "click", "conversion", "advance", "publish"]),
        st.integers(0, 9),
        st.integers(-20, 90),
        st.sampled_from(TIERS),
    ),
    max_size=60,
)


def play(taught: ResponseModel, script, clock: int) -> tuple[list[bytes], int]:
    """Tell the model a script of events; the digests of what it published."""
    digests = []
    for kind, number, wait_s, tier in script:
        clock += wait_s * SECOND
        if kind == "shown":
            context, ad = keyed.contexts([[number]])[0], keyed.ads([[number % 3]])[0]
            taught.shown(name(number), context, ad, tier, ts_us=clock, heads=["click"])
        elif kind == "advance":
            taught.advance(clock)
        elif kind == "publish":
            digests.append(taught.publish().digest())
        else:
            taught.responded(kind, name(number), ts_us=clock)
    return digests, clock


@given(events, events)
@settings(max_examples=40)
def test_a_replay_publishes_the_same_versions_with_or_without_a_restart(before, after):
    through, restarted = model(), model()
    first, clock = play(through, before, START_US)
    rest, _ = play(through, after, clock)
    again, clock = play(restarted, before, START_US)
    woken = model()
    woken.load(restarted.dump())
    assert woken.dump() == restarted.dump()
    resumed, _ = play(woken, after, clock)
    assert again + resumed == first + rest
    assert woken.dump() == through.dump()
    woken.clear()
    assert woken.dump() == model().dump()


def learned_model(rows: int, **settings):
    """A model that has learned a small world in which two ads and two sites differ."""
    rng = np.random.default_rng(7)
    of_site, of_ad = rng.integers(0, 2, rows), rng.integers(0, 2, rows)
    p = 0.01 * np.array([1.0, 3.0])[of_site] * np.array([1.0, 2.0])[of_ad]
    labels = (rng.random(rows) < p).astype(float)
    sites, ads = keyed.contexts([[0], [1]]), keyed.ads([[0], [1]])
    taught = ResponseModel([CLICK], bits=14, **settings)
    tiers = rng.integers(0, 2, rows)
    for start in range(0, rows, max(rows // 20, 1)):
        part = slice(start, start + max(rows // 20, 1))
        taught.learn_many(
            "click", sites[of_site[part]], ads[of_ad[part]], labels[part], tiers=tiers[part]
        )
        taught.publish()
    return taught, sites, ads


def test_it_finds_the_probabilities_of_a_small_world():
    taught, sites, ads = learned_model(200_000)
    head = taught.publish().head("click")
    for s, a, expected in ((0, 0, 0.01), (0, 1, 0.02), (1, 0, 0.03), (1, 1, 0.06)):
        p = head.p_ppb(head.logit(sites[s], ads[a]), "consented") / 1e9
        assert p == pytest.approx(expected, rel=0.1)
    own = head.ad_logits(ads)
    several = head.logits(np.array([1, 0]), sites[1], ads, own)
    assert several.tolist() == [head.logit(sites[1], ads[1]), head.logit(sites[1], ads[0])]
    bound = head.context_logit(sites[1]) + own.max() + head.clip
    assert several.max() <= bound


def test_a_logged_probability_is_recomputed_from_the_kept_version():
    taught, sites, ads = learned_model(20_000)
    snapshot = taught.publish()
    logged = [
        (snapshot.version, s, a, tier, snapshot.head("click").p_ppb(
            snapshot.head("click").logit(sites[s], ads[a]), tier))
        for s in (0, 1) for a in (0, 1) for tier in TIERS
    ]  # fmt: skip
    taught.learn_many("click", sites, ads, np.ones(2), tiers=np.zeros(2, np.int64))
    later = taught.publish()
    kept = Snapshot.load(snapshot.dump())
    assert (kept.version, later.version) == (21, 22)
    assert kept.digest() == snapshot.digest() != later.digest()
    head = kept.head("click")
    for version, s, a, tier, p_ppb in logged:
        assert version == kept.version
        assert head.p_ppb(head.logit(sites[s], ads[a]), tier) == p_ppb
    logits = head.pair_logits(sites, ads)
    tiers = np.array([0, 2])
    assert head.p_ppb_many(logits, tiers).tolist() == [
        head.p_ppb(float(logits[0]), "consented"), head.p_ppb(float(logits[1]), "general"),
    ]  # fmt: skip
    assert np.array_equal(head.variances, snapshot.head("click").variances)


def test_a_version_is_not_changed_by_what_is_learned_later():
    taught, sites, ads = learned_model(5_000)
    snapshot = taught.publish()
    before = snapshot.digest()
    taught.learn_many("click", sites, ads, np.ones(2), tiers=np.zeros(2, np.int64))
    assert snapshot.digest() == before
    with pytest.raises(ValueError, match="read-only"):
        snapshot.head("click").weights[0] = 1.0


def test_learning_a_tenth_of_the_negatives_predicts_as_learning_all():
    rng = np.random.default_rng(8)
    sampled = Head(name="click", prior_ppb=20_000_000, window_s=60, negatives_kept=0.1)
    taught = model(sampled)
    prior = taught.publish().head("click")
    assert prior.p_ppb(prior.logit(CONTEXT, AD), "general") == pytest.approx(2e7, rel=2e-4)
    for number in range(40_000):
        ts_us = START_US + number * 10_000
        taught.shown(name(number), CONTEXT, AD, "general", ts_us=ts_us, heads=["click"])
        if rng.random() < 0.02:
            taught.responded("click", name(number), ts_us=ts_us)
    taught.advance(START_US + 10**10)
    learned = sum(taught.learned()["click"].values())
    assert 0.1 * 39_000 < learned < 0.13 * 40_000
    head = taught.publish().head("click")
    assert head.p_ppb(head.logit(CONTEXT, AD), "general") / 1e9 == pytest.approx(0.02, rel=0.1)


def test_conversions_that_come_after_the_window_are_added_to_the_probability():
    rng = np.random.default_rng(9)
    taught = model(Head(name="click", prior_ppb=10**8, window_s=600))
    for number in range(8_000):
        ts_us = START_US + number * SECOND
        taught.shown(name(number), CONTEXT, AD, "general", ts_us=ts_us, heads=["click"])
        delay_s = rng.exponential(600.0)
        if rng.random() < 0.2 and delay_s < 600:
            taught.responded("click", name(number), ts_us=ts_us + int(delay_s * SECOND))
        if number % 100 == 0:
            taught.advance(ts_us)
    head = taught.publish().head("click")
    # Only 63 % of the responses were seen in time; the real rate is 20 %.
    assert head.p_ppb(head.logit(CONTEXT, AD), "general") / 1e9 == pytest.approx(0.2, rel=0.1)


def test_new_ads_are_predicted_at_the_rate_of_their_kind():
    """Campaigns differ, ads differ within them; ads never seen are right on the whole."""
    rng = np.random.default_rng(10)
    campaigns, per_campaign, rows = 40, 12, 400_000
    campaign_of = np.repeat(np.arange(campaigns), per_campaign)
    quality = rng.normal(0, 0.5, campaigns)[campaign_of]
    quality += rng.normal(0, 0.3, campaigns * per_campaign)
    codes = [[n, c, c // 4, c // 8, n % 3] for n, c in enumerate(campaign_of.tolist())]
    ads, site = keyed.ads(codes), keyed.contexts([[1]])
    known = np.flatnonzero(np.arange(len(ads)) % per_campaign < 9)
    fresh = np.setdiff1d(np.arange(len(ads)), known)
    truth = 0.02 * np.exp(quality - 0.3)
    shown = rng.choice(known, rows)
    labels = (rng.random(rows) < truth[shown]).astype(float)
    taught = ResponseModel([CLICK], bits=16)
    contexts = np.repeat(site, rows, axis=0)
    taught.learn_many("click", contexts, ads[shown], labels, tiers=np.zeros(rows, np.int64))
    head = taught.publish().head("click")
    p = head.p_ppb_many(
        head.pair_logits(np.repeat(site, len(ads), axis=0), ads), np.zeros(len(ads), np.int64)
    ) / 1e9  # fmt: skip
    assert p[fresh].sum() / truth[fresh].sum() == pytest.approx(1.0, abs=0.08)
    assert np.corrcoef(p[fresh], truth[fresh])[0, 1] > 0.7
    sigmas = head.ad_sigmas(ads)
    assert np.median(sigmas[fresh]) > 2 * np.median(sigmas[known])


def test_each_tier_has_its_own_level():
    rng = np.random.default_rng(11)
    rows = 200_000
    tiers = rng.integers(0, 2, rows)
    contexts, ads = keyed.contexts([[n] for n in range(4)]), keyed.ads([[n] for n in range(4)])
    at = rng.integers(0, 4, (2, rows))
    truth = np.where(tiers == 0, 0.04, 0.01) * (1 + at[0] * 0.5)
    labels = (rng.random(rows) < truth).astype(float)
    taught = ResponseModel([CLICK], bits=16)
    half = rows // 2
    taught.learn_many(
        "click", contexts[at[0, :half]], ads[at[1, :half]], labels[:half], tiers=tiers[:half]
    )
    head = taught.publish().head("click")
    logits = head.pair_logits(contexts[at[0, half:]], ads[at[1, half:]])
    p = head.p_ppb_many(logits, tiers[half:]) / 1e9
    for tier in (0, 1):
        of = tiers[half:] == tier
        judged = reliability(p[of], labels[half:][of])
        assert judged.ratio == pytest.approx(1.0, abs=0.06)
        assert judged.ece < 0.2 * judged.responses / judged.rows


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.learn("opens", CONTEXT, AD, 1),
        lambda m: m.learn("click", CONTEXT, AD, 2),
        lambda m: m.learn("click", CONTEXT, AD, 1, math.inf),
        lambda m: m.learn("click", CONTEXT, AD, 1, math.nan),
        lambda m: m.learn("click", CONTEXT, AD, 1, tier="subscriber"),
        lambda m: m.learn("click", CONTEXT[:-1], AD, 1),
        lambda m: m.learn_many(
            "click", CONTEXT[None], AD[None], np.ones(1), tiers=np.array([len(TIERS)])
        ),
        lambda m: m.shown(name(1), CONTEXT, AD, "general", ts_us=1, heads=["click", "opens"]),
        lambda m: m.shown(name(1), CONTEXT, AD, "subscriber", ts_us=1),
        lambda m: m.responded("opens", name(1), ts_us=1),
    ],
)
def test_what_cannot_be_learned_is_refused_and_nothing_changes(call):
    taught = model(CLICK, Head(name="viewable", prior_ppb=5, window_s=1))
    before = taught.dump()
    with pytest.raises(ValueError, match="expected"):
        call(taught)
    assert taught.dump() == before


def test_heads_must_differ_and_follow_each_other():
    for heads in ([CLICK, CLICK], [CONVERSION]):
        with pytest.raises(ValueError, match="expected heads"):
            ResponseModel(heads, bits=8)


def test_a_version_refuses_an_unknown_head_and_no_number():
    snapshot = model().publish()
    with pytest.raises(ValueError, match="one of the heads"):
        snapshot.head("opens")
    with pytest.raises(ValueError, match="NaN"):
        snapshot.head("click").p_ppb(math.nan, "general")


def test_crosses_are_bounded_in_every_published_version():
    taught, sites, ads = learned_model(50_000)
    head = taught.publish().head("click")
    own = head.ad_logits(ads)
    for site in sites:
        without = head.context_logit(site) + own
        logits = head.logits(np.arange(2), site, ads, own)
        assert np.all(np.abs(logits - without) <= head.clip + 1e-12)
    assert CROSS_COUNT <= 6
