"""Clusters: hand-made ones, a city with a botnet, brute force, and what must not be found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.gate.collude import Actions, Thresholds, evidence_of, find_clusters
from ringwork.gate.collude.cluster import components, core, log_tail, verified
from ringwork.gate.collude.signatures import candidate_pairs, incidence
from ringwork.kernel.errors import Refused
from tests.gate.collude.city import BOTS_FROM, day, judged

HOUR_US = 3_600_000_000
tables = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 9)), min_size=1, max_size=60)


def actions_of(pairs, ts_us=0):
    return Actions.of([one for one, _ in pairs], [ts_us] * len(pairs), [one for _, one in pairs])


@pytest.mark.parametrize(
    "pool",
    [
        {"addresses_of_bot": 15, "actions_of_bot": 60},
        {"addresses_of_bot": 40},
        {"addresses_of_bot": 300, "actions_of_bot": 300},
        {"addresses_of_bot": 20, "is_in_homes": True},
    ],
)
def test_a_thousand_accounts_on_ten_thousand_addresses_are_few_pure_clusters(pool) -> None:
    city = day(people=6_000, seed=3, **pool)
    clusters = find_clusters(city.actions)
    purity, found = judged(clusters, city.bots)
    assert len(clusters) <= 5
    assert purity >= 0.95
    assert found >= 0.95
    assert all(one.log10_chance < -1000 for one in clusters)


@pytest.mark.parametrize("seed", range(3))
def test_people_in_homes_offices_and_behind_carriers_are_no_cluster(seed) -> None:
    assert find_clusters(day(people=6_000, bots=0, seed=seed).actions) == []


@pytest.mark.parametrize("nats", [64, 256])
def test_phones_that_hop_over_small_scattered_carriers_are_no_cluster_but_bots_among_them_are(
    nats,
) -> None:
    calm = day(people=6_000, bots=0, nats=nats, is_scattered=True)
    assert find_clusters(calm.actions) == []
    city = day(people=6_000, nats=nats, is_scattered=True)
    purity, found = judged(find_clusters(city.actions), city.bots)
    assert purity >= 0.95
    assert found >= 0.95


def test_a_botnet_as_large_as_a_third_of_all_does_not_raise_the_threshold_above_itself() -> None:
    city = day(people=2_000, addresses_of_bot=20)
    purity, found = judged(find_clusters(city.actions), city.bots)
    assert purity >= 0.95
    assert found >= 0.95


def readers(count: int, *, jitter_us: int, seed: int = 5) -> Actions:
    """Accounts that read the same thirty targets one after another, and people who read any."""
    chance = np.random.default_rng(seed)
    script = chance.choice(2_000, 30, replace=False)
    bots = np.repeat(np.arange(count) + BOTS_FROM, 30)
    times = np.tile(np.arange(30) * HOUR_US // 2, count) + chance.integers(0, jitter_us, len(bots))
    people = chance.integers(0, 3_000, 60_000)
    # Some pages are read by everybody.
    pages = np.minimum(chance.zipf(1.3, len(people)), 2_000) - 1
    return Actions.of(
        np.concatenate((bots, people)),
        np.concatenate((times, chance.integers(0, 24 * HOUR_US, len(people)))),
        np.concatenate((np.tile(script, count), pages)),
    )


def test_accounts_in_lockstep_on_targets_are_found_though_targets_are_popular() -> None:
    (cluster,) = find_clusters(readers(40, jitter_us=HOUR_US // 2))
    assert "lockstep" in cluster.kind
    assert cluster.members.tolist() == list(range(BOTS_FROM, BOTS_FROM + 40))


def test_equal_keys_give_equal_answers_and_another_key_the_same_members() -> None:
    actions = readers(40, jitter_us=HOUR_US // 4)
    first, again, other = (find_clusters(actions, key=key) for key in (1, 1, 2))
    assert [one.members.tolist() for one in first] == [one.members.tolist() for one in again]
    assert [one.members.tolist() for one in first] == [one.members.tolist() for one in other]


def test_a_small_pool_by_hand() -> None:
    # Twelve accounts; account a uses objects a, a+1, … a+5 (mod 12): each has six shared ones.
    pairs = [(one, (one + step) % 12) for one in range(12) for step in range(6)]
    others = [(100 + one, 1000 + one) for one in range(500)]
    (cluster,) = find_clusters(actions_of(pairs + others))
    assert cluster.members.tolist() == list(range(12))
    assert cluster.objects.tolist() == list(range(12))
    evidence = evidence_of(actions_of(pairs + others), cluster)
    assert (evidence.members, evidence.objects, evidence.actions, evidence.share) == (12, 12, 72, 1)
    assert {(one.members, one.others) for one in evidence.shared} == {(6, 0)}
    assert evidence.told()[0].startswith("12 actors share 12 objects")
    # One place is one place, however many addresses in it: then nothing stands out.
    one_network = Actions.of(
        [one for one, _ in pairs + others], [0] * len(pairs + others),
        [one for _, one in pairs + others], [one // 100 for _, one in pairs + others],
    )  # fmt: skip
    assert find_clusters(one_network) == []


def test_evidence_counts_others_and_the_span_of_members() -> None:
    pairs = [(one, (one + step) % 12) for one in range(12) for step in range(6)]
    actions = Actions.of(
        [one for one, _ in pairs] + [77] + list(range(100, 600)),
        list(range(len(pairs))) + [10**9] + [0] * 500,
        [one for _, one in pairs] + [0] + list(range(1000, 1500)),
    )
    (cluster,) = find_clusters(actions)
    shared = {one.object: one for one in evidence_of(actions, cluster).shared}
    assert (shared[0].members, shared[0].others) == (6, 1)
    mine = [at for at, (_, name) in enumerate(pairs) if name == 0]
    assert (shared[0].first_us, shared[0].last_us) == (min(mine), max(mine))
    assert shared[0].examples == tuple(sorted(who for who, name in pairs if name == 0))


@given(tables, st.integers(1, 4))
def test_the_core_is_what_peeling_one_by_one_leaves(pairs, places) -> None:
    table = incidence(actions_of(pairs))
    got = core(table, float(places))
    edges = set(pairs)
    crowd = {name: len({who for who, other in edges if other == name}) for _, name in edges}
    alive = set(edges)
    while True:
        users = {name: sum(other == name for _, other in alive) for _, name in alive}
        weight = {
            who: sum(50 / (48 + crowd[n]) for w, n in alive if w == who and users[n] > 1)
            for who, _ in alive
        }
        stay = {(w, n) for w, n in alive if users[n] > 1 and weight[w] >= places - 1e-9}
        if stay == alive:
            break
        alive = stay
    kept = zip(table.actors[got].tolist(), table.tokens[got].tolist(), strict=True)
    assert {(int(table.actor_ids[a]), int(table.object_ids[t])) for a, t in kept} == alive


@given(tables)
def test_pairs_are_verified_as_by_hand(pairs) -> None:
    table = incidence(actions_of(pairs))
    size = len(table.actor_ids)
    firsts, seconds = np.triu_indices(size, 1)
    similarity, places = verified(table, firsts, seconds)
    weight = {int(o): float(w) for o, w in zip(table.object_ids, table.weights, strict=True)}
    has = {who: {name for other, name in pairs if other == who} for who, _ in pairs}
    for one, other, got, count in zip(firsts, seconds, similarity, places, strict=True):
        a, b = has[int(table.actor_ids[one])], has[int(table.actor_ids[other])]
        union = sum(weight[name] for name in a | b)
        expected = sum(weight[name] for name in a & b) / union if union else 0
        assert got == pytest.approx(expected)
        assert count == len(a & b)


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40))
def test_components_are_those_of_a_walk(edges) -> None:
    firsts = np.array([one for one, _ in edges], np.int64)
    seconds = np.array([one for _, one in edges], np.int64)
    expected = list(range(20))
    for _ in range(20):
        for one, other in edges:
            expected[one] = expected[other] = min(expected[one], expected[other])
    assert components(20, firsts, seconds).tolist() == expected


def test_signatures_agree_as_often_as_rows_are_similar() -> None:
    # Two actors with 30 objects in common of 60: 1/3 by Jaccard, all weights equal.
    from ringwork.gate.collude.signatures import _signatures  # noqa: PLC0415 # the estimator

    one, other = list(range(45)), list(range(15, 60))
    third = [(2, name) for name in range(15)] + [(3, name) for name in range(45, 60)]
    pairs = [(0, name) for name in one] + [(1, name) for name in other] + third
    more = [(4, name) for name in range(60)]
    table = incidence(actions_of(pairs + more))
    weight = table.weights
    union = weight.sum()
    expected = weight[15:45].sum() / union
    agree = np.mean([_signatures(table, key)[:, 0] == _signatures(table, key)[:, 1]
                     for key in range(60)])  # fmt: skip
    assert agree == pytest.approx(expected, abs=0.03)


def test_identical_rows_are_candidates_and_rows_that_share_nothing_are_not() -> None:
    pairs = [(who, name) for who in (0, 1) for name in range(10)]
    pairs += [(who, name) for who in (2, 3) for name in range(20, 30)]
    found = set(zip(*(one.tolist() for one in candidate_pairs(incidence(actions_of(pairs)))),
                    strict=True))  # fmt: skip
    assert found == {(0, 1), (2, 3)}


def test_tails_bound_the_binomial() -> None:
    # P(X >= 2), n = 2, p = 1/10 is 1/100 exactly, and Chernoff is exact at the end.
    tails = log_tail(np.array([2, 0, 1]), np.array([2, 5, 2]), 0.1)
    assert tails[0] == pytest.approx(np.log(0.01))
    assert tails[1] == 0
    assert np.exp(tails[2]) >= 1 - 0.9**2


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (([1, 2], [0], [3, 4]), "equal length"),
        (([1.5], [0], [3]), "actors: expected whole numbers"),
        (([[1]], [0], [3]), "actors: expected whole numbers in one dimension"),
        ((["a"], [0], [3]), "actors: expected whole numbers"),
    ],
)
def test_columns_that_are_none_are_refused_by_name(columns, says) -> None:
    with pytest.raises(Refused, match=says) as caught:
        Actions.of(*columns)
    assert caught.value.slug == "actions-invalid"


def test_nothing_and_one_action_are_no_cluster() -> None:
    assert find_clusters(Actions.of([], [], [])) == []
    assert find_clusters(Actions.of([1], [-5], [2]), Thresholds(members=1)) == []
