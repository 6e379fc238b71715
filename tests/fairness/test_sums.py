"""What is counted: layouts, sums as a monoid, the live meter by brute force, and its bulk twin."""

import sys
from collections import Counter, defaultdict

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringwork.fairness.measure import ingest as bulk
from ringwork.fairness.measure import ingest_compiled, ingest_plain
from ringwork.fairness.measure.caps import DAY_US
from ringwork.fairness.measure.ingest import Ingest, predicted
from ringwork.fairness.measure.meter import Impression, Meter
from ringwork.fairness.measure.sums import Layout, Sums, merged, quantised
from ringwork.fairness.plan import PrivacyPlan, parse_plan, preset

US = Layout.of(preset("united-states"))
SMALL = Layout.of(
    parse_plan(
        b"""
name: small
source: a test
jurisdiction: US
categories: [HOUSING]
attributes:
  sex: {groups: [female, male], measured: declared}
  race: {groups: [white, black, other], measured: proxy}
intersections: [[sex, race]]
thresholds_ppm: [100000]
minimum_impressions: [300]
""",
        where="small",
    )
)
WOMAN, MAN, UNKNOWN = (1, 0, 0), (0, 1, 0), (0, 0, 1)
MIX = (128, 64, 64)
NONE = (0, 0, 0)


def vectors(sexes, races=None) -> np.ndarray:
    """Rows of SMALL; by default everybody has the same posterior."""
    races = races or [MIX] * len(sexes)
    return SMALL.rows({"sex": np.array(sexes)}, {"race": np.array(races, np.uint16)})


PEOPLE = vectors([0, 1, -1, 0], [MIX, (256, 0, 0), (0, 255, 1), (1, 2, 253)])


# ---- vectors ----------------------------------------------------------------------------------
def test_the_vector_of_a_person_by_hand() -> None:
    woman, man, unknown = vectors([0, 1, -1]).tolist()
    assert woman == [*WOMAN, *MIX, *MIX, *NONE, 0]
    assert man == [*MAN, *MIX, *NONE, *MIX, 0]
    assert unknown == [*UNKNOWN, *MIX, *NONE, *NONE, 256]
    assert SMALL.units == (1,) * 3 + (256,) * 3 + (256,) * 7
    assert SMALL.blocks[2].groups == (
        *("female x white", "female x black", "female x other"),
        *("male x white", "male x black", "male x other", "unknown"),
    )


def test_the_united_states_are_23_sums_wide() -> None:
    assert [(one.attribute, len(one.groups)) for one in US.blocks] == [
        ("sex", 3), ("race", 4), ("age", 7), ("sex x race", 9),
    ]  # fmt: skip


def test_largest_remainders_by_hand() -> None:
    # 85.33 each: one 256th is left, and goes to the earliest of equals.
    assert quantised(np.array([[1 / 3, 1 / 3, 1 / 3]])).tolist() == [[86, 85, 85]]
    assert quantised(np.array([[1.0, 0.0, 0.0]])).tolist() == [[256, 0, 0]]
    assert quantised(np.array([[0.999, 0.0005, 0.0005]])).tolist() == [[256, 0, 0]]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6).filter(lambda row: sum(row) > 1e-6))
def test_quantised_posteriors_add_up_and_are_near(row) -> None:
    found = quantised(np.array([row]))[0].astype(int)
    assert found.sum() == 256
    assert np.abs(found - np.array(row) / sum(row) * 256).max() < 1
    assert np.linalg.norm(found) <= 256


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_every_block_of_every_person_is_within_its_norm(seed) -> None:
    """What the sensitivity rests on: one unit per block, so norm <= unit, and sqrt 2 apart at most."""
    rng = np.random.default_rng(seed)
    rows = US.rows(
        {"sex": rng.integers(-1, 2, 30), "age": rng.integers(-1, 6, 30)},
        {"race": quantised(rng.dirichlet([0.3] * 4, 30))},
    ).astype(float)
    for block in US.blocks:
        part = rows[:, block.start : block.stop] / block.unit
        assert part.sum(axis=1) == pytest.approx(1)
        assert (np.linalg.norm(part, axis=1) <= 1 + 1e-12).all()
        apart = np.linalg.norm(part[:, None] - part[None], axis=2)
        assert apart.max() <= np.sqrt(2) + 1e-12
    # The known cells of the intersection add up to the race of people of known sex.
    known = rows[:, 0:2].sum(axis=1) > 0
    cells = rows[known, 14:22].reshape(-1, 2, 4).sum(axis=1)
    assert (cells == rows[known, 3:7]).all()


def test_two_estimated_attributes_cross_within_one_unit() -> None:
    plan = preset("united-states")
    attributes = {
        "race": plan.attributes["race"],
        "language": msgspec.structs.replace(plan.attributes["race"], groups=("a", "b")),
    }
    crossed = Layout.of(
        msgspec.structs.replace(plan, attributes=attributes, intersections=(("race", "language"),))
    )
    race = quantised(np.array([[0.5, 0.3, 0.1, 0.1]]))
    language = quantised(np.array([[0.9, 0.1]]))
    cells = crossed.rows({}, {"race": race, "language": language})[0, 6:].astype(int)
    assert cells.sum() == 256
    assert np.abs(cells - np.outer(race[0], language[0] / 256.0).ravel()).max() < 1


def test_intersections_wider_than_the_bound_are_refused() -> None:
    plan = preset("united-states")
    wide = {
        name: msgspec.structs.replace(
            plan.attributes["sex"], groups=tuple(f"{name}{k}" for k in range(16))
        )
        for name in "abc"
    }
    with pytest.raises(ValueError, match="expected at most 4096 sums, got 4148"):
        Layout.of(msgspec.structs.replace(plan, attributes=wide, intersections=(("a", "b", "c"),)))


@pytest.mark.parametrize(
    ("sexes", "races", "says"),
    [
        ([2], [MIX], "sex: expected positions from -1 to 1"),
        ([0], [(1, 1, 1)], r"race: expected \[n, 3\] that add up to 256"),
        ([0], [(128, 128)], r"race: expected \[n, 3\]"),
    ],
)
def test_people_who_are_no_people_are_refused(sexes, races, says) -> None:
    with pytest.raises(ValueError, match=says):
        vectors(sexes, races)


def test_bad_posteriors_and_attributes_are_refused() -> None:
    for row in ([np.nan, 1.0], [-0.1, 1.1], [0.0, 0.0]):
        with pytest.raises(ValueError, match="expected posteriors"):
            quantised(np.array([row]))
    with pytest.raises(ValueError, match="race: expected a value for every person"):
        SMALL.rows({"sex": np.array([0])}, {})
    with pytest.raises(ValueError, match="expected vectors of 13 sums"):
        SMALL.check(np.zeros((1, 3), np.uint16))
    with pytest.raises(ValueError, match="sex: expected numbers from 0 up that add up to 1"):
        SMALL.check(np.zeros((1, 13), np.uint16))


# ---- counted, without a sum of its own --------------------------------------------------------
def test_the_contributions_are_read_from_the_blocks() -> None:
    sums = (PEOPLE.astype(int) * [[3], [5], [7], [11]]).sum(axis=0)
    assert SMALL.counted(sums.tolist()) == 26


def test_the_blocks_totals_are_weighted_by_their_noise() -> None:
    rng = np.random.default_rng(1)
    noisy = 1000 * vectors([0])[0].astype(int) + np.rint(
        rng.normal(0, 10, (4000, 13)) * np.array(SMALL.units)
    ).astype(int)
    found = np.array([SMALL.counted(one.tolist()) for one in noisy])
    # Variances of totals 3, 3 and 7 (times 100): weighted, 1 / (1/3 + 1/3 + 1/7).
    assert found.std() == pytest.approx(10 * (1 / (1 / 3 + 1 / 3 + 1 / 7)) ** 0.5, rel=0.05)
    assert found.mean() == pytest.approx(1000, abs=1)


# ---- the monoid -------------------------------------------------------------------------------
COUNTS = st.integers(0, 10**9)
SUMS = st.builds(
    Sums,
    impressions=COUNTS,
    spend_nanos=COUNTS,
    late=COUNTS,
    uncounted=COUNTS,
    people=COUNTS,
    vector=st.tuples(COUNTS, COUNTS),
    people_vector=st.tuples(COUNTS, COUNTS),
)


@given(SUMS, SUMS, SUMS)
def test_sums_are_a_commutative_monoid(a, b, c) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Sums.none(2) == a
    assert merged({"x": a, "y": b}, {"x": c}) == {"x": a + c, "y": b}


# ---- the live meter ---------------------------------------------------------------------------
def impression(number, *, ad="a", segment=0, person=0, day=0, price=5) -> Impression:
    return Impression(
        id=number.to_bytes(16, "big"),
        ad=ad,
        segment=segment,
        person=bytes([person] * 16),
        time_us=day * DAY_US + 1000,
        price_nanos=price,
    )


def row(person: int) -> tuple[int, ...]:
    return tuple(PEOPLE[person].tolist())


def counted(meter: Meter, impressions, ad="a", segment=0) -> Sums:
    for one in impressions:
        meter.add(one, row(one.person[0]))
    return meter.take(ad, segment, until_us=DAY_US)


def test_a_day_by_hand() -> None:
    meter = Meter(SMALL, PrivacyPlan())
    found = counted(
        meter, [impression(1, person=0), impression(1, person=0), impression(2, person=0),
                impression(3, person=1), impression(4, person=0, day=1)],
    )  # fmt: skip
    assert (found.impressions, found.spend_nanos) == (4, 20)  # the second "1" came before
    assert found.uncounted == 1  # person 0 saw it twice on day 0
    assert found.people == 2
    assert found.vector[:3] == (2, 1, 0)
    assert found.people_vector[:3] == (1, 1, 0)
    assert meter.take("a", 0, until_us=DAY_US) == Sums.none(13)


def test_a_strict_cap_holds_over_days_and_segments() -> None:
    meter = Meter(SMALL, PrivacyPlan(unit="person-ad", contributions_max=2))
    for number in range(6):
        meter.add(impression(number, day=number, segment=number % 2), row(0))
    first, second = (meter.take("a", one, until_us=0) for one in (0, 1))
    assert first.vector[0] + second.vector[0] == 2
    assert first.uncounted + second.uncounted == 4
    assert first.people + second.people == 1


def test_a_day_in_two_segments_is_of_the_people_of_the_first() -> None:
    """By hand: on day 0 the audience changes; who is shown the ad again is new to it on day 1."""
    meter = Meter(SMALL, PrivacyPlan(contributions_max=2))
    for number, (segment, day) in enumerate(((0, 0), (1, 0), (1, 1), (1, 2))):
        meter.add(impression(number, segment=segment, day=day), row(0))
        taken = meter.take("a", segment, until_us=0)
        assert (taken.vector[0], taken.people) == (1, (1, 0, 1, 0)[number])


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=12),
    st.integers(0, 2),
    st.integers(1, 4),
    st.sampled_from(["person-ad", "person-ad-day"]),
)
def test_a_unit_is_once_in_the_sums_over_people_of_an_ad(shown, day, cap, unit) -> None:
    """What the sums over people cost rests on it: without a unit, one vector is gone at most."""

    def touches(events) -> Counter:
        meter = Meter(SMALL, PrivacyPlan(unit=unit, contributions_max=cap))
        for number, (when, segment) in enumerate(events):
            meter.add(impression(number, day=when, segment=segment), row(0))
        return Counter(one for one in range(4) if meter.take("a", one, until_us=0).people)

    whole = touches(shown)
    if unit == "person-ad":
        assert whole.total() <= 1
        return
    without = touches([one for one in shown if one[0] != day])
    assert without <= whole
    assert (whole - without).total() <= 1


def test_late_impressions_go_to_the_next_release_and_are_counted() -> None:
    meter = Meter(SMALL, PrivacyPlan())
    meter.add(impression(1, person=0), row(0))
    assert meter.take("a", 0, until_us=5000).late == 0
    meter.add(impression(2, person=1), row(1))  # at 1000 us: before the release
    meter.add(impression(3, person=2, day=1), row(2))
    found = meter.take("a", 0, until_us=DAY_US * 2)
    assert (found.impressions, found.late) == (2, 1)
    # A clock that goes back does not reopen what was released.
    meter.take("a", 0, until_us=0)
    meter.add(impression(4, person=3, day=1), row(3))
    assert meter.take("a", 0, until_us=0).late == 1


EVENTS = st.lists(
    st.builds(
        impression,
        st.integers(0, 30),
        ad=st.sampled_from("ab"),
        segment=st.integers(0, 1),
        person=st.integers(0, 3),
        day=st.integers(0, 2),
    ),
    max_size=40,
    unique_by=lambda one: one.id,
)
PRIVACIES = st.sampled_from(
    [
        PrivacyPlan(),
        PrivacyPlan(contributions_max=2),
        PrivacyPlan(unit="person-ad", contributions_max=3),
    ]
)


def brute(events, privacy) -> dict:
    """Counted from the whole list at once."""
    units, people, sums = Counter(), set(), defaultdict(lambda: np.zeros(13, int))
    daily = privacy.unit == "person-ad-day"
    for one in events:
        unit = (one.ad, one.person, one.time_us // DAY_US if daily else 0)
        units[unit] += 1
        if units[unit] <= privacy.contributions_max:
            sums[one.ad, one.segment] += row(one.person[0])
            if units[unit] == 1:
                people.add((one.ad, one.segment if daily else 0, one.person))
    return sums, people


@given(EVENTS, PRIVACIES)
def test_the_meter_counts_what_a_list_of_all_says(events, privacy) -> None:
    expected, people = brute(events, privacy)
    meter = Meter(SMALL, privacy)
    for one in events:
        meter.add(one, row(one.person[0]))
    found = {
        (ad, segment): meter.take(ad, segment, until_us=0) for ad in "ab" for segment in (0, 1)
    }
    assert {key: list(one.vector) for key, one in found.items() if any(one.vector)} == {
        key: one.tolist() for key, one in expected.items()
    }
    assert sum(one.impressions for one in found.values()) == len(events)
    assert sum(one.people for one in found.values()) == len(people)


@given(EVENTS, PRIVACIES, st.randoms(use_true_random=False))
def test_duplicates_and_order_within_an_episode_change_nothing(events, privacy, random) -> None:
    events = [msgspec.structs.replace(one, segment=0) for one in events]
    straight, mixed = Meter(SMALL, privacy), Meter(SMALL, privacy)
    for one in events:
        straight.add(one, row(one.person[0]))
    again = events + random.sample(events, len(events) // 2)
    random.shuffle(again)
    for one in again:
        mixed.add(one, row(one.person[0]))
    # All but the order of ids is the same, to the byte.
    ids = [msgspec.msgpack.decode(one.dump())[0] for one in (straight, mixed)]
    assert sorted(ids[0]) == sorted(ids[1])
    states = [
        msgspec.msgpack.decode(one.dump(), type=tuple[list, msgspec.Raw, msgspec.Raw])
        for one in (straight, mixed)
    ]
    assert [bytes(one) for one in states[0][1:]] == [bytes(one) for one in states[1][1:]]
    for ad in "ab":
        assert mixed.take(ad, 0, until_us=0) == straight.take(ad, 0, until_us=0)


@given(EVENTS, PRIVACIES, st.integers(0, 40))
def test_a_meter_that_was_stored_goes_on_as_if_it_had_not(events, privacy, cut) -> None:
    straight, first = Meter(SMALL, privacy), Meter(SMALL, privacy)
    for one in events:
        straight.add(one, row(one.person[0]))
    for one in events[:cut]:
        first.add(one, row(one.person[0]))
    second = Meter(SMALL, privacy)
    second.load(first.dump())
    assert second.dump() == first.dump()
    for one in events[: cut // 2] + events[cut:]:
        second.add(one, row(one.person[0]))
    for ad in "ab":
        for segment in (0, 1):
            assert second.take(ad, segment, until_us=9) == straight.take(ad, segment, until_us=9)


@given(EVENTS, PRIVACIES)
def test_a_stream_divided_by_person_adds_up(events, privacy) -> None:
    whole, parts = Meter(SMALL, privacy), [Meter(SMALL, privacy), Meter(SMALL, privacy)]
    for one in events:
        whole.add(one, row(one.person[0]))
        parts[one.person[0] % 2].add(one, row(one.person[0]))
    keys = [(ad, segment) for ad in "ab" for segment in (0, 1)]
    left, right = ({key: part.take(*key, until_us=0) for key in keys} for part in parts)
    assert merged(left, right) == {key: whole.take(*key, until_us=0) for key in keys}


def test_where_memory_ends_privacy_holds_and_the_sums_give_way() -> None:
    meter = Meter(SMALL, PrivacyPlan(), ids_max=2, units_max=2, people_max=1)
    found = counted(meter, [impression(one, person=one) for one in range(4)])
    assert (found.impressions, found.uncounted, found.people) == (4, 2, 1)
    # The ids 0 and 1 are forgotten: counted again, but their units are not.
    found = counted(meter, [impression(0, person=0), impression(3, person=3)])
    assert (found.impressions, found.uncounted) == (1, 1)


def test_an_old_day_is_forgotten_and_enters_no_sum_again() -> None:
    meter = Meter(SMALL, PrivacyPlan(), units_max=2)
    for number, day in enumerate((0, 3, 6)):  # each forgets the day before
        meter.add(impression(number, day=day), row(0))
    assert meter.take("a", 0, until_us=0).uncounted == 0
    meter.add(impression(9, day=0, person=1), row(1))
    found = meter.take("a", 0, until_us=0)
    assert (found.impressions, found.uncounted, found.vector) == (1, 1, (0,) * 13)


def test_a_flight_that_ended_frees_its_memory() -> None:
    meter = Meter(SMALL, PrivacyPlan(), units_max=1)
    meter.add(impression(1, ad="a"), row(0))
    meter.forget("a")
    meter.forget("never seen")
    meter.add(impression(2, ad="b"), row(0))
    assert meter.take("b", 0, until_us=0).uncounted == 0


@pytest.mark.parametrize("vector", [(0,) * 13, (1,) * 13, (1, 0), (-1, 2, *[0] * 11)])
def test_a_vector_beyond_its_norm_is_refused_and_nothing_is_counted(vector) -> None:
    meter = Meter(SMALL, PrivacyPlan())
    with pytest.raises(ValueError, match="expected"):
        meter.add(impression(1), vector)
    assert meter.add(impression(1), row(0)) is True


def test_people_are_in_no_repr() -> None:
    meter = Meter(SMALL, PrivacyPlan())
    one = impression(1, person=3)
    meter.add(one, row(3))
    assert repr(one) == "Impression(ad='a')"
    assert repr(meter.take("a", 0, until_us=0)) == "Sums(impressions=1)"


# ---- arrays of impressions --------------------------------------------------------------------
def arrays(events) -> dict:
    lines = [2 * "ab".index(one.ad) + one.segment for one in events]
    return {
        "ids": np.array([int.from_bytes(one.id, "big") for one in events], np.uint64),
        "lines": np.array(lines, np.int32),
        "people": np.array([one.person[0] for one in events], np.int32),
        "days": np.array([one.time_us // DAY_US for one in events], np.int32),
        "prices_nanos": np.array([one.price_nanos for one in events], np.int64),
    }


def ingested(events, privacy, cuts=(0,)) -> list[Sums]:
    found = Ingest(SMALL, privacy, rows=PEOPLE, lines=4, ad_of=[0, 0, 1, 1])
    for start, stop in zip(cuts, [*cuts[1:], None], strict=True):
        found.add(**arrays(events[start:stop]))
    return found.take()


@pytest.fixture(params=["compiled", "plain"])
def loops(request, monkeypatch):
    module = ingest_compiled if request.param == "compiled" else ingest_plain
    monkeypatch.setattr(bulk, "warm", lambda: module)


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(EVENTS, PRIVACIES, st.integers(0, 20))
def test_arrays_are_counted_as_the_meter_counts(loops, events, privacy, cut) -> None:
    events = events + events[::3]
    meter = Meter(SMALL, privacy)
    for one in events:
        meter.add(one, row(one.person[0]))
    expected = [meter.take(ad, segment, until_us=0) for ad in "ab" for segment in (0, 1)]
    assert ingested(events, privacy, (0, cut)) == expected


def random_batch(seed, count=3000, lines=40, people=300):
    rng = np.random.default_rng(seed)
    return {
        "ids": rng.integers(0, count, count).astype(np.uint64),
        "lines": rng.integers(0, lines, count).astype(np.int32),
        "people": rng.integers(0, people, count).astype(np.int32),
        "days": rng.integers(0, 3, count).astype(np.int32),
    }


@pytest.mark.parametrize("name", ["united-states", "us-v-meta", "canada"])
def test_compiled_and_plain_count_alike(monkeypatch, name) -> None:
    plan = preset(name)
    layout = Layout.of(plan)
    rng = np.random.default_rng(3)
    rows = layout.rows(
        {"sex": rng.integers(-1, 2, 300), "age": rng.integers(-1, 6, 300)},
        {"race": quantised(rng.dirichlet([0.5] * 4, 300))},
    )
    found = []
    for module in (ingest_compiled, ingest_plain):
        monkeypatch.setattr(bulk, "warm", lambda module=module: module)
        one = Ingest(layout, plan.privacy, rows=rows, lines=40)
        told = [one.add(**random_batch(seed)) for seed in (1, 2)]
        found.append((told, one.take(), one._units._table.tolist(), one._ids._table.tolist()))
    assert found[0] == found[1]
    assert found[0][0][0].duplicates > 0 < found[0][0][0].uncounted


@pytest.mark.parametrize("width", [8, 16, 24, 32, 40])
def test_rows_are_added_at_every_width(width) -> None:
    rng = np.random.default_rng(width)
    rows = rng.integers(0, 257, (50, width)).astype(np.uint16)
    ads, people = (rng.integers(0, top, 500).astype(np.int32) for top in (9, 50))
    expected = np.zeros((9, width), int)
    is_in = rng.random(500) < 0.7
    for ad, person in zip(ads[is_in], people[is_in], strict=True):
        expected[ad] += rows[person]
    for module in (ingest_compiled, ingest_plain):
        sums = np.zeros((9, width), np.int32)
        module.add_rows(sums, ads, people, rows, is_in)
        assert (sums == expected).all()
        cells = np.zeros((9, 50), np.int32)
        module.add_cells(cells, ads, people)
        assert cells.sum() == 500
        assert cells[3, 7] == ((ads == 3) & (people == 7)).sum()


def test_sums_do_not_overflow_between_flushes(monkeypatch) -> None:
    monkeypatch.setattr(bulk, "_CHUNK", 100)
    monkeypatch.setattr(bulk, "_FLUSH", 250)
    one = Ingest(SMALL, PrivacyPlan(contributions_max=255), rows=PEOPLE, lines=1)
    told = one.add(
        ids=np.arange(1000, dtype=np.uint64),
        lines=np.zeros(1000, np.int32),
        people=np.ones(1000, np.int32),
        days=(np.arange(1000) // 200).astype(np.int32),
    )
    assert (told.impressions, told.uncounted) == (1000, 0)
    (found,) = one.take()
    assert found.vector[3] == 1000 * 256
    assert one.take() == [Sums.none(13)]


@pytest.mark.parametrize("name", ["lines", "people", "days"])
def test_numbers_out_of_range_are_refused_and_nothing_is_counted(name) -> None:
    one = Ingest(SMALL, PrivacyPlan(), rows=PEOPLE, lines=4)
    for wrong in (-1, 1 << 30):
        batch = arrays([impression(1)])
        batch[name] = np.array([wrong], np.int32)
        with pytest.raises(ValueError, match=f"{name}: expected 1 numbers from 0 to"):
            one.add(**batch)
    assert sum(found.impressions for found in one.take()) == 0


def test_bounds_that_a_key_cannot_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="lines"):
        Ingest(SMALL, PrivacyPlan(), rows=PEOPLE, lines=0)
    with pytest.raises(ValueError, match="contributions_max: expected at most 255"):
        Ingest(SMALL, PrivacyPlan(contributions_max=256), rows=PEOPLE, lines=1)
    with pytest.raises(ValueError, match="ad_of: expected 2 ads"):
        Ingest(SMALL, PrivacyPlan(), rows=PEOPLE, lines=2, ad_of=[0])
    with pytest.raises(ValueError, match="sex: expected"):
        Ingest(SMALL, PrivacyPlan(), rows=np.zeros((1, 13), np.uint16), lines=1)


def test_the_id_zero_is_an_id() -> None:
    told = [Ingest(SMALL, PrivacyPlan(), rows=PEOPLE, lines=4).add(**arrays([impression(0)] * 3))]
    assert (told[0].impressions, told[0].duplicates) == (1, 2)


def test_wins_by_cluster_become_groups() -> None:
    cells = np.array([[10, 0], [3, 7]], np.int32)
    mix = np.array([[0.5, 0.5], [0.2, 0.8]])
    assert predicted(cells, mix, block=1) == pytest.approx(np.array([[5, 5], [2.9, 7.1]]))


def test_without_numba_the_plain_loops_run(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "ringwork.fairness.measure.ingest_compiled")
    monkeypatch.delattr("ringwork.fairness.measure.ingest_compiled")
    bulk.warm.cache_clear()
    try:
        assert bulk.warm() is ingest_plain
    finally:
        bulk.warm.cache_clear()
