"""Findings kept for a day are what ``find`` says at that very moment, whatever came before."""

import json
import random
from datetime import UTC, date, datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.consent import gvl, tcf
from ringwork.consent.daily import KEPT_MAX, SECTIONS_KEPT_MAX, TEXT_KEPT_MAX, DailyFindings
from ringwork.consent.signals import Reading, find
from ringwork.consent.tcf import TcfRules
from ringwork.kernel.viewer import Signals
from tests.consent.test_signals import CASES, NOW_MS, OURS, PLAIN, list_of

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
READ = tcf.decode(PLAIN)
LISTED = tcf.encode(replace(READ, vendor_list_version=7))  # the list of ``list_of``


def ms(*when):
    return round(datetime(*when, tzinfo=UTC).timestamp() * 1000)


def dated(*when):
    return tcf.encode(replace(READ, created=ms(*when), last_updated=ms(*when)))


def lists_of(**vendor):
    return gvl.VendorLists([gvl.load(json.dumps(list_of(**vendor)).encode())])


def test_a_string_that_becomes_too_old_at_noon_is_refused_from_noon_on():
    signals = Signals(gdpr=1, tc=dated(2026, 3, 10, 12))
    daily = DailyFindings(reading=OURS)
    for hour, holds in ((0, True), (12, True), (13, False), (23, False), (11, True)):
        found = daily(signals, ms(2027, 4, 10, hour))
        assert (found.tcf is not None) == holds, hour
        assert not found.holds_all_day


def test_a_string_of_the_day_after_tomorrow_counts_48_hours_before():
    signals = Signals(gdpr=1, tc=dated(2026, 6, 12, 9))
    daily = DailyFindings(reading=OURS)
    seen = [daily(signals, ms(2026, 6, 10, hour)).tcf is not None for hour in (8, 9, 10, 7)]
    assert seen == [False, True, True, False]


def test_a_vendor_that_is_deleted_at_noon_may_nothing_from_noon_on():
    lists = lists_of(purposes=[1, 3], deletedDate="2026-06-10T12:00:00Z")
    daily = DailyFindings(reading=OURS, lists=lists)
    signals = Signals(gdpr=1, tc=LISTED)
    seen = [daily(signals, ms(2026, 6, 10, hour)).tcf.by_consent for hour in (11, 12, 11)]
    assert seen == [(1, 3), (), (1, 3)]


def test_another_vendor_list_is_heeded_at_once():
    lists = lists_of(purposes=[1, 3])
    daily = DailyFindings(reading=OURS, lists=lists)
    assert daily(Signals(gdpr=1, tc=LISTED), NOW_MS).tcf.by_consent == (1, 3)
    lists.add(gvl.load(json.dumps(list_of(purposes=[1])).encode()))
    assert daily(Signals(gdpr=1, tc=LISTED), NOW_MS).tcf.by_consent == (1,)


def test_the_same_signals_are_read_once_a_day():
    daily = DailyFindings(reading=OURS)
    first = daily(Signals(gdpr=1, tc=PLAIN), NOW_MS)
    assert daily(Signals(gdpr=1, tc=PLAIN.encode().decode()), NOW_MS + HOUR_MS) is first
    assert daily(Signals(gdpr=0, tc=PLAIN), NOW_MS) is not first
    assert daily(Signals(gdpr=1, tc=PLAIN), NOW_MS + DAY_MS) is not first


@pytest.mark.parametrize(
    "signals",
    [
        Signals(gdpr=1, tc="C" * (TEXT_KEPT_MAX + 1)),
        Signals(gpp="D" * (TEXT_KEPT_MAX + 1)),
        Signals(us_privacy="1" * (TEXT_KEPT_MAX + 1)),
        Signals(country="D" * (TEXT_KEPT_MAX + 1)),
        Signals(gpp_sid=tuple(range(1, SECTIONS_KEPT_MAX + 2))),
    ],
    ids=lambda signals: max(
        signals.__struct_fields__, key=lambda one: len(str(getattr(signals, one)))
    ),
)
def test_what_is_long_is_answered_and_not_kept(signals):
    daily = DailyFindings(reading=OURS)
    assert daily(signals, NOW_MS) == find(signals, NOW_MS, reading=OURS)
    assert not daily._kept


def test_what_is_kept_has_a_bound():
    daily = DailyFindings(reading=OURS)
    for number in range(KEPT_MAX + 10):
        daily(Signals(gdpr=0, us_privacy=str(number)), NOW_MS)
        assert len(daily._kept) <= KEPT_MAX
    assert len(daily._kept) == 10


RULES = TcfRules(max_ahead_h=30, max_age_months=2, disclosed_vendors_since=date(2026, 6, 1))
TIMES = st.integers(ms(2026, 3, 1), ms(2026, 8, 1))


@given(TIMES, TIMES, st.integers(0, DAY_MS - 1))
def test_where_a_verdict_holds_all_day_every_moment_has_it(updated, now, other):
    tc = replace(READ, created=updated, last_updated=updated)
    if tcf.holds_all_day(tc, now, RULES):
        then = now // DAY_MS * DAY_MS + other
        assert tcf.verdict(tc, now, RULES) == tcf.verdict(tc, then, RULES)


def test_most_strings_hold_all_day():
    tc = replace(READ, created=0, last_updated=ms(2026, 3, 10, 12))
    days = [ms(2026, 3, 9) + day * DAY_MS for day in range(800)]
    changing = [day for day in days if not tcf.holds_all_day(tc, day)]
    # None before; then only the days in which 13 months end, by whatever lengths months may have.
    assert len(changing) <= 13 * 3 + 3
    assert ms(2027, 4, 10) in changing


def test_a_life_of_requests_is_answered_as_without_a_memory():
    """Random signals at random times that go back and forth, lists that change: never a difference."""
    rng = random.Random(11)
    texts = [
        "",
        LISTED,
        LISTED,
        *(case["tc"] for case in CASES),
        dated(2025, 7, 1, 12),
        dated(2026, 8, 9, 3),
        "CQ",
    ]
    gpps = ["", "?", "DBABTA~1YYN", "DBABRg~BQkAABA", f"DBABMA~{PLAIN}", "DBABLA~BVQqAAAAAgA.QA"]
    lists = lists_of(purposes=[1, 3, 4], legIntPurposes=[2], deletedDate="2026-08-08T07:00:00Z")
    reading = Reading(vendor_id=20, storage_without_consent_countries=frozenset({"DE"}))
    daily, direct = (
        DailyFindings(reading=reading, lists=lists),
        partial(find, reading=reading, lists=lists),
    )
    kept = 0
    for number in range(4_000):
        if number % 700 == 699:
            lists.add(gvl.load(json.dumps(list_of(purposes=rng.sample(range(1, 12), 3))).encode()))
        signals = Signals(
            gdpr=rng.choice((None, 0, 1, 1)), tc=rng.choice(texts), gpp=rng.choice(gpps),
            gpp_sid=rng.choice(((), (2,), (7,), (-1,))), gpc=rng.random() < 0.2,
            country=rng.choice(("", "DEU", "USA")),
        )  # fmt: skip
        now_ms = ms(2026, 8, 8) + rng.randrange(3 * 24) * HOUR_MS
        before = len(daily._kept)
        assert daily(signals, now_ms) == direct(signals, now_ms)
        kept += len(daily._kept) == before
    assert kept > 100, "or nothing was ever found again"
