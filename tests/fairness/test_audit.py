"""The audit: what it recomputes, what it finds, what it says it cannot know."""

import hashlib
import io
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from ringwork.fairness.audit import Audit, audited
from ringwork.fairness.coverage import coverage, excluded, levelling_down
from ringwork.fairness.flights import blur_of, noise_variance
from ringwork.fairness.log import Signer, canonical, head_of
from ringwork.fairness.measure import exact
from ringwork.fairness.measure.observed import shares
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.records import Coverage, Figure, Plan, Reach, Release
from ringwork.kernel.errors import Refused
from tests.fairness.logs import (
    OTHER_SEED,
    SEED,
    START_US,
    ad,
    begun,
    budget,
    made,
    model,
    reach,
    release,
)

LOG = made(6, episodes=2, periods=2)
ROWS = LOG.splitlines(keepends=True)
SMALL = made(2, episodes=1)
SMALL_ROWS = SMALL.splitlines(keepends=True)
PUBLIC = Signer(SEED).public
EXAMPLE = Path(__file__).parents[2] / "examples" / "fairness_audit.py"
SIGNED = ("genesis", "key", "report", "checkpoint")


def found_in(log: bytes, **outside: object) -> Audit:
    return audited(io.BytesIO(log), **outside).found  # type: ignore[arg-type]


def test_a_log_of_the_real_writer_is_sound() -> None:
    found = found_in(LOG, public_key=PUBLIC)
    assert (found.word, found.findings, found.unsigned, found.torn_bytes) == ("sound", [], 0, 0)
    assert (found.records, found.reports, found.overrides) == (len(ROWS), 2, 1)
    assert found.figures == sum(b'"kind":"figure"' in row for row in ROWS)
    assert found.figures_unverifiable == 0
    assert found.head is not None
    assert found_in(LOG, head=head_of(found.head.line())).word == "sound"


# ---- tampering ------------------------------------------------------------------------------------
def rehashed(
    rows: list[bytes], start: int, *, seed: bytes | None = None, signs: bool = True
) -> bytes:
    """The rows from ``start`` on with new hashes; signatures anew with ``seed``, else as they are."""
    out, prev = list(rows[:start]), "0" * 64
    if start:
        prev = json.loads(rows[start - 1])["hash"]
    for number, row in enumerate(rows[start:], start):
        record = json.loads(row)
        sig = record.pop("sig", None)
        record.pop("hash")
        record["seq"], record["prev"] = number, prev
        if seed is not None and number == 0:
            record["body"]["public_key"] = Signer(seed).public
        if record["kind"] == "checkpoint":
            record["body"]["head"] = number - 1
        prev = record["hash"] = hashlib.sha256(canonical(record)).hexdigest()
        if seed is not None and record["kind"] in SIGNED:
            sig = Signer(seed).sign(prev)
        if sig is not None and signs:
            record["sig"] = sig
        out.append(canonical(record) + b"\n")
    return b"".join(out)


def first_of(kind: str) -> int:
    return next(at for at, row in enumerate(ROWS) if f'"kind":"{kind}"'.encode() in row)


def changed(at: int) -> list[bytes]:
    """A figure that says one digit else."""
    record = json.loads(ROWS[at])
    record["body"]["proxy_ppb"] += 10
    return [*ROWS[:at], canonical(record) + b"\n", *ROWS[at + 1 :]]


FIGURE = first_of("figure")
TAMPERED: dict[str, tuple[bytes, str]] = {
    "changed digit": (b"".join(changed(FIGURE)), "broken"),
    "re-hashed record": (
        b"".join(
            [*ROWS[:FIGURE], rehashed(changed(FIGURE)[: FIGURE + 1], FIGURE).splitlines(True)[-1],
             *ROWS[FIGURE + 1 :]]
        ),
        "broken",
    ),
    "re-hashed chain": (rehashed(changed(FIGURE), FIGURE), "broken"),
    "dropped": (b"".join([*ROWS[:FIGURE], *ROWS[FIGURE + 1 :]]), "broken"),
    "dropped and re-hashed": (rehashed([*ROWS[:FIGURE], *ROWS[FIGURE + 1 :]], FIGURE), "broken"),
    "swapped": (
        b"".join([*ROWS[:FIGURE], ROWS[FIGURE + 1], ROWS[FIGURE], *ROWS[FIGURE + 2 :]]), "broken",
    ),
    "repeated": (b"".join([*ROWS[:FIGURE], ROWS[FIGURE], *ROWS[FIGURE:]]), "broken"),
    "signatures taken off": (rehashed(ROWS, 0, signs=False), "broken"),
    "signed with the right key, figure changed": (
        rehashed(changed(FIGURE), FIGURE, seed=SEED), "a figure differs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_each_tampering_is_found_without_anything_from_outside(name: str) -> None:
    log, word = TAMPERED[name]
    found = found_in(log)
    assert found.word == word
    assert found.findings


def test_the_first_bad_record_is_named() -> None:
    at = {name: found_in(log).findings[0].seq for name, (log, _) in TAMPERED.items()}
    assert at["changed digit"] == at["dropped"] == at["swapped"] == FIGURE
    assert at["re-hashed record"] == FIGURE  # its figure differs; and the next does not follow it
    assert FIGURE + 1 in {one.seq for one in found_in(TAMPERED["re-hashed record"][0]).findings}
    assert at["repeated"] == FIGURE + 1
    assert at["re-hashed chain"] == FIGURE  # by the figure; by the chain at the next signature
    assert at["signed with the right key, figure changed"] == FIGURE
    assert at["signatures taken off"] == 0


def test_a_cut_tail_needs_a_head_from_outside() -> None:
    head = found_in(LOG).head
    assert head is not None
    checkpoint = first_of("checkpoint")
    cut = b"".join(ROWS[: checkpoint + 1])
    assert found_in(cut, public_key=PUBLIC).word == "sound"
    found = found_in(cut, head=head)
    assert (found.word, found.findings[0].seq) == ("broken", checkpoint + 1)
    assert "cut" in found.findings[0].detail


def test_a_log_written_anew_with_another_key_needs_a_key_from_outside() -> None:
    other = rehashed(ROWS, 0, seed=OTHER_SEED)
    assert found_in(other).word == "sound"
    assert not found_in(other).is_key_from_outside
    found = found_in(other, public_key=PUBLIC)
    assert (found.word, found.findings[0].seq) == ("broken", 0)


def test_a_log_written_anew_with_the_right_key_needs_a_head_from_outside() -> None:
    head = found_in(LOG).head
    anew = made(6, episodes=2, periods=2, seed=2)
    assert found_in(anew, public_key=PUBLIC).word == "sound"
    assert found_in(anew, head=head).word == "broken"


def test_an_older_head_holds_too_and_one_of_another_log_does_not() -> None:
    middle = json.loads(ROWS[9])
    line = f"ringwork-fairness-log-v1 test 9 {middle['hash']} {PUBLIC}"
    assert found_in(LOG, head=head_of(line)).word == "sound"
    other = head_of(line.replace(" test ", " other "))
    assert found_in(LOG, head=other).word == "broken"


@given(st.integers(0, len(SMALL) - 1), st.integers(1, 255))
def test_no_changed_byte_goes_unseen(at: int, flip: int) -> None:
    tampered = SMALL[:at] + bytes([SMALL[at] ^ flip]) + SMALL[at + 1 :]
    last = json.loads(SMALL_ROWS[-1])
    head = head_of(f"ringwork-fairness-log-v1 test {last['seq']} {last['hash']} {PUBLIC}")
    assert found_in(tampered, head=head).word != "sound"


MATTER = [
    at
    for at, row in enumerate(SMALL_ROWS)
    if json.loads(row)["kind"] in ("figure", "report", "release")
]


@given(st.sampled_from(MATTER), st.sampled_from([1, 1000]), st.data())
def test_who_has_the_key_can_change_no_number_without_a_figure_differing(
    at: int, by: int, data: st.DataObject
) -> None:
    """What figures and coverage are and are made of, re-hashed and signed again."""
    record = json.loads(SMALL_ROWS[at])
    # Reach that no control arm was released for is stated, and nothing in the log says it is so.
    stated = record["body"].get("reach", [])
    places = [at for at in numbers_of(record["body"]) if not any(at[0] is one for one in stated)]
    holder, key = data.draw(st.sampled_from(places))
    holder[key] += by
    rows = [*SMALL_ROWS[:at], canonical(record) + b"\n", *SMALL_ROWS[at + 1 :]]
    assert found_in(rehashed(rows, at, seed=SEED)).word != "sound", (record["kind"], key)


def numbers_of(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a number in a body: what holds it, and its key there."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in items:
        if isinstance(one, dict | list):
            yield from numbers_of(one)
        elif type(one) is int:
            yield value, key


def test_a_file_without_a_record_is_unreadable() -> None:
    for log in (b"", b"\n", b"no\n", b"{}"):
        assert found_in(log).verdict == 3


def test_a_body_that_is_none_of_its_kind_is_unreadable() -> None:
    record = json.loads(ROWS[FIGURE])
    record["body"]["proxy_ppb"] = "much"
    rows = [*ROWS[:FIGURE], canonical(record) + b"\n", *ROWS[FIGURE + 1 :]]
    found = found_in(rehashed(rows, FIGURE, seed=SEED))
    assert (found.word, found.findings[0].seq) == ("unreadable", FIGURE)


# ---- figures --------------------------------------------------------------------------------------
def small_plan(**changes: object) -> Plan:
    members: dict[str, object] = {
        "attributes": {"sex": ("female", "male")},
        "estimated": (),
        "inclusive": True,
        "thresholds_ppm": (100_000,),
        "minimum_impressions": (100,),
        **changes,
    }
    return Plan(**members)  # type: ignore[arg-type]


def state_of(*bodies: object) -> Recomputation:
    state = Recomputation()
    for body in bodies:
        assert state.apply(body) == []  # type: ignore[arg-type]
    return state


def sums(episode: int, impressions: int, *sex: int, name: str = "a", spend: int = 0) -> Release:
    return Release(
        ad=name, episode=episode, impressions=impressions, sums={"sex": sex}, unit={"sex": 1},
        spend_nanos=spend,
    )  # fmt: skip


def test_a_figure_by_hand() -> None:
    # 63 + 40 + 6 = 109 of 100 impressions: 3 too many in each sum, so 60 women and 37 men known.
    # 60/97 - 1/2 = 23/194 = 0.118556701...
    state = state_of(small_plan(), ad("a", female_ppb=500_000_000), sums(1, 100, 63, 40, 6))
    assert state.computed("a", "sex").proxy_ppb == 118_556_701


def test_a_new_audience_opens_a_segment_and_deviations_are_averaged_as_vectors() -> None:
    # 100 impressions 60 % women of 50 %, then 300 with 50 % of 60 %: (100 x .1 - 300 x .1) / 400.
    state = state_of(
        small_plan(),
        ad("a", female_ppb=500_000_000),
        sums(1, 100, 60, 40),
        ad("a", 1, female_ppb=600_000_000),
        sums(1, 300, 150, 150),
    )
    found = state.computed("a", "sex")
    assert (found.proxy_ppb, found.impressions) == (50_000_000, 400)


def test_an_ad_that_reached_nobody_known_has_no_figure_and_is_not_within() -> None:
    state = state_of(small_plan(), ad("a"), sums(1, 100, 0, 0, 100))
    assert state.computed("a", "sex").proxy_ppb is None
    (row,) = coverage(state, small_plan())
    assert (row.ads, row.within, row.share_ppm) == (1, 0, 0)


def test_the_noise_of_a_stream_is_that_of_the_square_root_factorisation() -> None:
    # f = 1, 1/2, 3/8: 1 + 1/4 + 9/64 = 89/64; times sigma^2.
    assert [noise_variance("2", steps) for steps in (0, 1, 2)] == [0, 4, 5]
    assert float(noise_variance("4.0", 3)) == pytest.approx(16 * 89 / 64, rel=1e-6)
    assert noise_variance("1/2", 1) * 4 == 1


def test_a_declared_figure_has_an_interval_where_a_budget_says_how_large_the_noise_is() -> None:
    state = state_of(small_plan(), ad("a"), sums(1, 1000, 560, 440))
    assert state.direct("a", "sex") is None
    state = state_of(small_plan(), ad("a"), budget("a"), sums(1, 1000, 560, 440))
    low, high = state.direct("a", "sex") or (0, 0)
    # Half of the difference of two sums with sd 4 each, of 1,000: sd sqrt(2) 4 / 2 = 2.83 per 1,000.
    assert (low + high) / 2 == 50_000_000
    assert (high - low) / 2 == pytest.approx(1.96 * 2_828_427, rel=0.02)


def test_race_is_not_corrected_while_the_noise_is_not_known() -> None:
    trail = begun(io.BytesIO())
    trail.record(ad("a"), time_us=1)
    trail.record(release("a", 1, 500, random.Random(1)), time_us=1)
    assert not trail.state.computed("a", "race").is_verifiable
    trail.record(budget("a"), time_us=1)
    trail.record(release("a", 2, 600, random.Random(1)), time_us=1)
    assert trail.state.computed("a", "race").is_verifiable


def test_a_figure_of_race_is_that_of_the_exact_path() -> None:
    state = audited(io.BytesIO(LOG)).state
    plan, prior = state.plan, state.priors["race"]
    assert plan is not None
    for name, attribute, by, figure in state.figures():
        if attribute == "race":
            (expected,) = exact.deattenuated(
                state.observed(name, attribute, by),
                blur_of(model()),
                kappa_ppm=plan.kappa_ppm,
                prior=exact.Prior(covariance_ppb=prior.T_ppb, ads=prior.ads),
            )
            assert figure.deattenuated_ppb == expected.deattenuated_ppb
            assert figure.interval_ppb == expected.interval_ppb
            assert figure.band_ppb == expected.band_ppb


def test_a_prior_of_many_ads_is_learned_recomputed_and_used() -> None:
    log = made(31, episodes=1)
    found = audited(io.BytesIO(log))
    assert found.found.word == "sound"
    assert found.state.priors["race"].ads == 31
    rows = log.splitlines(keepends=True)
    at = max(at for at, row in enumerate(rows) if b'"kind":"prior"' in row)
    record = json.loads(rows[at])
    record["body"]["T_ppb"][0][0] += 1
    changed_rows = [*rows[:at], canonical(record) + b"\n", *rows[at + 1 :]]
    told = found_in(rehashed(changed_rows, at, seed=SEED))
    assert (told.word, told.findings[0].seq) == ("a figure differs", at)


def test_without_a_model_race_is_told_to_be_unverifiable_and_nothing_is_stated() -> None:
    file = io.BytesIO()
    trail = begun(file, with_model=False)
    trail.record(ad("a"), time_us=1)
    trail.record(release("a", 1, 500, random.Random(1)), time_us=1)
    assert {one.attribute for one in trail.figures("a", time_us=1)} == {"sex"}
    stated = Figure(
        ad="a", attribute="race", episode=1, impressions=500,
        proxy_ppb=trail.state.computed("a", "race").proxy_ppb or 0, deattenuated_ppb=1,
        interval_ppb=(0, 2),
    )  # fmt: skip
    trail.record(stated, time_us=1)
    trail.writer.checkpoint(time_us=1)
    found = found_in(file.getvalue())
    assert (found.word, found.figures, found.figures_unverifiable) == ("sound", 3, 1)
    with pytest.raises(Refused, match="proxy_ppb"):
        trail.record(Figure(**{**as_members(stated), "proxy_ppb": 5}), time_us=1)  # type: ignore[arg-type]


def as_members(figure: Figure) -> dict[str, object]:
    return {name: getattr(figure, name) for name in figure.__struct_fields__}


@pytest.mark.parametrize(
    ("bodies", "says"),
    [
        ((sums(1, 100, 50, 50),), "an ad that is not known"),
        ((ad("a"), sums(2, 100, 50, 50), sums(2, 110, 50, 60)), "expected an episode after 2"),
        ((ad("a"), sums(1, 100, 50, 50), sums(2, 90, 50, 40)), "fewer impressions"),
        ((small_plan(estimated=("race",)),), "estimated but no attributes"),
    ],
)
def test_a_record_that_does_not_follow_is_told(bodies: tuple[object, ...], says: str) -> None:
    state = state_of(small_plan(), *bodies[:-1])
    (told,) = state.apply(bodies[-1])  # type: ignore[arg-type]
    assert says in told


def test_where_the_blur_cannot_be_inverted_there_is_an_interval_and_no_point() -> None:
    file = io.BytesIO()
    trail = begun(file)
    trail.record(msgspec.structs.replace(model(), condition_milli=50_001), time_us=1)
    trail.record(ad("a"), time_us=1)
    trail.record(budget("a"), time_us=1)
    trail.record(release("a", 1, 1000, random.Random(1)), time_us=1)
    race = next(one for one in trail.figures("a", time_us=1) if one.attribute == "race")
    assert race.deattenuated_ppb is None
    assert b'"deattenuated_ppb":null' in file.getvalue()
    report = trail.report(time_us=1)
    within = {
        row.measure: row.within
        for row in report.coverage
        if (row.attribute, row.minimum_impressions, row.threshold_ppm) == ("race", 1000, 100_000)
    }
    assert within["deattenuated"] == 0
    assert found_in(file.getvalue()).word == "sound"
    assert independent(file.getvalue()).returncode == 0


@pytest.mark.parametrize(
    "change",
    [
        {"draws_sha256": "00" * 32},
        {"pool_size": model().pool_size + 1},
        {"sums": (tuple(one + 1000 for one in model().sums[0]), *model().sums[1:])},
        {"sums": model().sums[1:]},
        {"sigma": "16.0"},
        {"sigma": UNSET},
        {"unit": 0},
        {"within_ppb": ((1,),)},
        {"inverse_ppb": tuple((a + 100, *rest) for a, *rest in model().inverse_ppb)},
    ],
)
def test_a_model_that_figures_cannot_be_recomputed_with_is_refused(change: dict[str, Any]) -> None:
    trail = begun(io.BytesIO())
    with pytest.raises(Refused, match="model of race"):
        trail.record(msgspec.structs.replace(model(), **change), time_us=1)


def test_the_state_of_an_earlier_period_is_that_of_its_end() -> None:
    first = made(6, episodes=2, periods=1)
    earlier = audited(io.BytesIO(LOG), period="2026-1")
    assert earlier.is_past
    assert earlier.found.word == "sound"
    assert earlier.found.records == len(ROWS)
    alone = audited(io.BytesIO(first)).state
    assert list(earlier.state.figures()) == list(alone.figures())
    assert not audited(io.BytesIO(LOG), period="2026-2").is_past


# ---- coverage -------------------------------------------------------------------------------------
def three_ads() -> list[object]:
    """0 %, 10 % and 20 % off, of 100, 200 and 50 impressions."""
    return [
        body
        for name, impressions, women in (("a", 100, 50), ("b", 200, 120), ("c", 50, 35))
        for body in (
            ad(name, female_ppb=500_000_000),
            sums(1, impressions, women, impressions - women, name=name, spend=impressions),
            Figure(
                ad=name, attribute="sex", episode=1, impressions=impressions,
                proxy_ppb=round(abs(women / impressions - 0.5) * 10**9),
            ),
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("inclusive", "ads", "within", "share", "weighted", "left_out"),
    [(True, 2, 2, 1_000_000, 1_000_000, 1), (False, 1, 0, 0, 0, 2)],
)
def test_coverage_by_hand(
    inclusive: bool, ads: int, within: int, share: int, weighted: int, left_out: int
) -> None:
    plan = small_plan(inclusive=inclusive)
    state = state_of(plan, *three_ads())
    assert coverage(state, plan) == [
        Coverage(
            attribute="sex", threshold_ppm=100_000, minimum_impressions=100, measure="proxy",
            ads=ads, within=within, share_ppm=share, impressions_share_ppm=weighted,
            spend_share_ppm=weighted,
        )
    ]  # fmt: skip
    assert excluded(state, plan).ads == left_out


@pytest.mark.parametrize(("told", "people"), [(40, 40), (-3, 0), (None, 0), (500, 500)])
def test_noise_is_counted_by_the_people_that_a_release_says(told: int | None, people: int) -> None:
    """A noisy number may be none, or more than impressions: then each is one of its own."""
    one = msgspec.structs.replace(sums(1, 100, 60, 40), people=UNSET if told is None else told)
    state = state_of(small_plan(), ad("a"), one)
    (observed,) = state.observed("a", "sex")
    assert observed.people == people
    found = shares(observed)
    assert found is not None
    assert found.people == (people if 0 < people < 100 else 100)


def test_what_is_expected_by_hand() -> None:
    """Chances of .6 and .9 are one and a half ads; by impressions (100 x .6 + 200 x .9) / 300."""
    plan = small_plan(estimated=("sex",))
    state = state_of(plan, *three_ads())
    told = {row.measure for row in coverage(state, plan)}
    assert told == {"proxy", "deattenuated", "interval_upper"}, "no figure states a chance"
    for name, chance in (("a", 600_000), ("b", 900_000), ("c", 1_000_000)):
        found = state.figure(name, "sex", "impressions")
        assert found is not None
        known = msgspec.structs.replace(found, within_ppm=(chance,))
        state.keep(name, "sex", "impressions", known)
    (row,) = (one for one in coverage(state, plan) if one.measure == "expected")
    assert (row.ads, row.within, row.share_ppm) == (2, 2, 750_000)
    assert row.impressions_share_ppm == row.spend_share_ppm == 800_000


def test_an_ad_whose_newest_release_has_no_figure_does_not_hide_behind_the_last_one() -> None:
    plan = small_plan()
    state = state_of(plan, *three_ads(), sums(2, 300, 290, 10, name="a"))
    (row,) = coverage(state, plan)
    assert (row.ads, row.within) == (2, 1)


def test_a_period_holds_the_ads_that_ran_in_it() -> None:
    plan = small_plan(period="second")
    state = state_of(small_plan(period="first"), *three_ads(), small_plan(period="first"))
    assert [row.ads for row in coverage(state, plan)] == [2]
    state.apply(plan)
    assert [(row.ads, row.share_ppm) for row in coverage(state, plan)] == [(0, None)]


def test_levelling_down_by_hand() -> None:
    # Women 40 -> 39 per thousand, men 30 -> 33, equally many: 1 lost, 3 gained.
    (found,) = levelling_down(reach("a"))
    assert found.index_ppm == 250_000


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 10**9 - 1))
def test_levelling_down_is_a_share(first: int, second: int, eligible: int) -> None:
    rows = [
        Reach(ad="a", attribute="sex", group=group, eligible_ppb=share, reach_ppb=now,
              without_control_ppb=before)
        for group, share, now, before in (
            ("female", eligible, first, second), ("male", 10**9 - eligible, second, first)
        )
    ]  # fmt: skip
    (found,) = levelling_down(rows)
    assert found.index_ppm is None or 0 <= found.index_ppm <= 1_000_000
    assert (found.index_ppm is None) == (first == second)


# ---- somebody else's script -----------------------------------------------------------------------
def independent(log: bytes) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-I", str(EXAMPLE)], input=log, capture_output=True, check=False
    )


def test_a_script_of_sixty_lines_without_our_imports_gets_the_same_coverage() -> None:
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) <= 60
    assert "ringwork." not in text.replace("ringwork-fairness", "")
    done = independent(LOG)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    auditor = audited(io.BytesIO(LOG))
    plan = auditor.state.plan
    assert plan is not None
    ours = [json.loads(canonical(wire(row))) for row in coverage(auditor.state, plan)]
    assert rows[-len(ours) :] == ours
    assert len(rows) == auditor.found.coverage_rows


def test_the_script_agrees_where_noise_is_more_than_all_impressions() -> None:
    """A first release whose sums are noise: half the sum of differences is above one, and cut."""
    file = io.BytesIO()
    trail = begun(file)
    eligible = {
        name: msgspec.structs.replace(mix, noise_ppb=20_000_000)
        for name, mix in ad("a").eligible.items()
    }
    only_sex = Release(ad="a", episode=1, impressions=2, sums={"sex": (10, -9, 1)}, unit={"sex": 1})
    bodies = (msgspec.structs.replace(ad("a"), eligible=eligible), budget("a"), only_sex)
    for number, body in enumerate(bodies):
        trail.record(body, time_us=START_US + 5 + number)
    (figure,) = trail.figures("a", time_us=START_US + 8)
    assert figure.proxy_ppb == 10**9
    trail.report(time_us=START_US + 9)
    assert found_in(file.getvalue()).word == "sound"
    done = independent(file.getvalue())
    assert done.returncode == 0, done.stderr


def wire(row: Coverage) -> object:
    return msgspec.to_builtins(row)


@pytest.mark.parametrize("name", TAMPERED)
def test_the_script_finds_the_tamperings_too(name: str) -> None:
    log, _ = TAMPERED[name]
    assert independent(log).returncode != 0
