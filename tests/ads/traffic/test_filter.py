"""The filter's verdicts, each rule by an example, with the honest neighbour beside the invalid one."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.ads.tokens import Claim
from ringwork.ads.traffic import filter as traffic_filter
from ringwork.ads.traffic.filter import TrafficFilter
from ringwork.ads.traffic.networks import Networks, pack
from ringwork.ads.traffic.rules import TrafficSettings
from ringwork.ads.traffic.sender import Sender
from tests.ads.traffic.people import CHROME, NOW_MS, person, sale

CLOUD = Networks(["198.51.100.0/24"], ["198.51.100.128/25"])


def a_filter(key: bytes = b"k" * 32, **bounds: object) -> TrafficFilter:
    return TrafficFilter(key=key, settings=TrafficSettings(**bounds), data_centres=CLOUD)


def shown(judge: TrafficFilter, at_ms: int, sender: Sender, **of: object) -> str | None:
    """An impression beacon half a second after its sale."""
    return judge.judge(sale(at_ms - 500, **of), "impression", sender, at_ms=at_ms)


def test_a_person_is_valid_from_impression_to_click():
    judge, sold = a_filter(), sale()
    for beacon, after_ms in (
        ("impression", 400),
        ("viewable", 1500),
        ("view", 9000),
        ("click", 9500),
    ):
        assert judge.judge(sold, beacon, person(), at_ms=NOW_MS + after_ms) is None
    assert judge.counts == {
        ("impression", ""): 1, ("viewable", ""): 1, ("view", ""): 1, ("click", ""): 1
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sender", "reason"),
    [
        (person(user_agent=""), "invalid-agent-missing"),
        (person(user_agent="Examplebot/1.0"), "invalid-agent-declared"),
        (person(user_agent="Mozilla/5.0 HeadlessChrome/142.0"), "invalid-agent-headless"),
        (replace(person(), is_prefetch=True), "invalid-prefetch"),
        (person("198.51.100.7"), "invalid-data-centre"),
        (person("198.51.100.200"), None),  # an exception of the list
        (replace(person(user_agent=""), by_server=True), None),
        (Sender(None, CHROME), None),
    ],
)
@pytest.mark.parametrize("beacon", ["impression", "viewable", "view", "click"])
def test_what_the_sender_says_holds_for_every_beacon(sender: Sender, reason: str | None, beacon):
    judge = a_filter()
    assert judge.judge(sale(), beacon, sender, at_ms=NOW_MS + 500) == reason
    assert judge.counts == {(beacon, reason or ""): 1}


def test_loopback_is_not_judged_and_not_counted():
    judge = a_filter()
    assert judge.judge(sale(), "impression", None, at_ms=NOW_MS) is None
    assert judge.counts == {}


def test_nothing_is_judged_where_the_filter_is_off():
    judge = a_filter(enabled=False)
    assert judge.judge(sale(), "impression", person(user_agent=""), at_ms=NOW_MS) is None


def test_an_impression_needs_time_to_travel():
    judge = a_filter(soonest_impression_ms=5)
    assert judge.judge(sale(), "impression", person(), at_ms=NOW_MS + 4) == "invalid-too-soon"
    assert judge.judge(sale(), "impression", person(), at_ms=NOW_MS + 5) is None
    assert judge.judge(sale(), "impression", person(), at_ms=NOW_MS - 9) is None  # a clock set back
    by_server = replace(person(), by_server=True)
    assert judge.judge(sale(), "impression", by_server, at_ms=NOW_MS) is None


def test_what_follows_an_invalid_impression_is_invalid_too():
    judge, sold = a_filter(), sale()
    judge.judge(sold, "impression", person(), at_ms=NOW_MS + 1)
    assert judge.judge(sold, "viewable", person(), at_ms=NOW_MS + 2000) == "invalid-too-soon"
    assert judge.judge(sold, "click", person(), at_ms=NOW_MS + 3000) == "invalid-too-soon"


@pytest.mark.parametrize(("after_ms", "reason"), [(99, "invalid-click-too-soon"), (100, None)])
def test_a_click_needs_time_to_be_meant(after_ms: int, reason: str | None):
    judge, sold = a_filter(), sale()
    judge.judge(sold, "impression", person(), at_ms=NOW_MS + 500)
    assert judge.judge(sold, "click", person(), at_ms=NOW_MS + 500 + after_ms) == reason


def test_a_click_needs_an_impression_where_a_tag_reports_both():
    def click(placement: str, **bounds: object) -> str | None:
        sold = sale(placement=placement)
        return a_filter(**bounds).judge(
            sold, "click", person(), at_ms=NOW_MS + 9000, was_shown=False
        )

    assert click("foot") == "invalid-click-unseen"
    assert click("") is None  # an exchange reports impressions late, from its server
    assert click("foot", clicks_need_impression=False) is None


def test_the_same_beacon_again_gets_the_same_verdict_and_counts_once():
    judge, sold = a_filter(), sale()
    assert judge.judge(sold, "impression", person(), at_ms=NOW_MS + 500) is None
    bot = person(user_agent="curl/8")
    assert judge.judge(sold, "impression", bot, at_ms=NOW_MS + 900) is None
    assert judge.counts == {("impression", ""): 1}


def test_a_burst_is_one_network_and_agent_at_one_place():
    judge = a_filter(burst_per_minute=20)
    flood = [shown(judge, NOW_MS + 100 * n, person()) for n in range(40)]
    assert flood[:20] == [None] * 20
    assert set(flood[20:]) == {"invalid-burst"}
    now_ms = NOW_MS + 4000
    assert shown(judge, now_ms, person("203.0.113.200")) == "invalid-burst"  # the same /24
    assert shown(judge, now_ms, person("203.0.114.7")) is None
    assert shown(judge, now_ms, person(user_agent="Mozilla/5.0 Firefox/140.0")) is None
    assert shown(judge, now_ms, person(), placement="head") is None
    assert shown(judge, now_ms + 120_000, person()) is None  # it is over


@given(st.lists(st.integers(0, 9000), min_size=1, max_size=60))
def test_a_burst_is_found_when_a_minute_holds_it_and_never_without_it(gaps: list[int]):
    judge, times, at_ms = a_filter(burst_per_minute=10, refresh_shortest_s=0), [], NOW_MS
    for gap in gaps:
        at_ms += gap
        times.append(at_ms)
        verdict = shown(judge, at_ms, person())
        minute = at_ms // 60_000
        if sum(one // 60_000 == minute for one in times) > 10:
            assert verdict == "invalid-burst"
        if sum(one // 60_000 >= minute - 1 for one in times) <= 10:
            assert verdict is None


def test_clicks_beyond_chance_are_invalid_from_then_on():
    judge = a_filter(refresh_shortest_s=0, burst_per_minute=0)
    verdicts = []
    for number in range(20):
        sold, at_ms = sale(NOW_MS + 10_000 * number), NOW_MS + 10_000 * number
        judge.judge(sold, "impression", person(), at_ms=at_ms + 500)
        verdicts.append(judge.judge(sold, "click", person(), at_ms=at_ms + 3000))
    assert verdicts[:5] == [None] * 5  # five of five have a chance of 1e-5
    assert set(verdicts[6:]) == {"invalid-click-rate"}
    sold = sale(NOW_MS + 210_000)
    neighbour = person("203.0.114.7")
    assert judge.judge(sold, "click", neighbour, at_ms=NOW_MS + 213_000) is None


def test_even_short_intervals_without_a_click_are_a_refresh():
    judge = a_filter(refresh_times=5)
    verdicts = [shown(judge, NOW_MS + 10_000 * n, person()) for n in range(9)]
    # The first interval is measured against nothing; five more that are like it make a refresh.
    assert verdicts[:6] == [None] * 6
    assert set(verdicts[6:]) == {"invalid-auto-refresh"}


@pytest.mark.parametrize(
    "times_ms",
    [
        [30_000 * n for n in range(40)],  # an honest refresh of half a minute
        [int(10_000 * n + 3000 * (n % 3)) for n in range(40)],  # a person who reads on
        [200 * n for n in range(40)],  # no interval at all
    ],
)
def test_what_is_no_refresh_is_not_called_one(times_ms: list[int]):
    judge = a_filter(refresh_times=5, burst_per_minute=0)
    assert {shown(judge, NOW_MS + one, person()) for one in times_ms} == {None}


def test_a_click_shows_that_somebody_is_there():
    judge = a_filter(refresh_times=5)
    for number in range(30):
        at_ms = NOW_MS + 10_000 * number
        sold = sale(at_ms)
        assert judge.judge(sold, "impression", person(), at_ms=at_ms + 500) is None
        if number % 4 == 3:
            assert judge.judge(sold, "click", person(), at_ms=at_ms + 2000) is None


def stacks(judge: TrafficFilter, sender: Sender, number: int, *, ads: int = 4) -> list[str | None]:
    """One request's ads, all shown at one moment, every 40 seconds or so."""
    at_ms = NOW_MS + 40_000 * number
    sold = [sale(at_ms, request=number) for _ in range(ads)]
    return [judge.judge(one, "impression", sender, at_ms=at_ms + 700) for one in sold]


def test_stacks_that_nobody_ever_sees_are_invalid_where_others_see_theirs():
    judge = a_filter(stacked_times=10)
    other = sale()
    judge.judge(other, "impression", person("203.0.114.7"), at_ms=NOW_MS + 500)
    judge.judge(other, "viewable", person("203.0.114.7"), at_ms=NOW_MS + 1600)
    verdicts = [stacks(judge, person(), number) for number in range(1, 13)]
    assert verdicts[:9] == [[None] * 4] * 9
    assert verdicts[9:] == [[None, None, "invalid-stacked", "invalid-stacked"]] * 3


def test_stacks_are_valid_where_nobody_reports_what_is_seen():
    judge = a_filter(stacked_times=10)
    assert all(stacks(judge, person(), number) == [None] * 4 for number in range(1, 30))


def test_one_viewable_ad_ends_the_streak():
    judge = a_filter(stacked_times=10)
    for number in range(1, 40):
        at_ms = NOW_MS + 40_000 * number
        sold = [sale(at_ms, request=number) for _ in range(4)]
        verdicts = [judge.judge(one, "impression", person(), at_ms=at_ms + 700) for one in sold]
        assert verdicts == [None] * 4
        if number % 9 == 0:
            judge.judge(sold[0], "viewable", person(), at_ms=at_ms + 2000)


def test_two_ads_side_by_side_are_no_stack():
    judge = a_filter(stacked_times=3)
    judge.judge(sale(), "viewable", person("203.0.114.7"), at_ms=NOW_MS)
    assert all(stacks(judge, person(), n, ads=2) == [None] * 2 for n in range(1, 30))


beacons = st.lists(
    st.tuples(
        st.integers(0, 3000),
        st.sampled_from(["203.0.113.7", "203.0.113.9", "203.0.114.7", "2001:db8::7"]),
        st.sampled_from(["impression", "viewable", "click"]),
        st.booleans(),
    ),
    max_size=60,
)


@given(beacons)
def test_the_same_beacons_get_the_same_verdicts_under_any_key(told):
    filters = [a_filter(key, burst_per_minute=5, refresh_times=3) for key in (b"a" * 32, b"b" * 16)]
    at_ms, sold = NOW_MS, sale(NOW_MS)
    for gap, address, beacon, is_new in told:
        at_ms += gap
        if is_new:
            sold = sale(at_ms)
        first, second = (one.judge(sold, beacon, person(address), at_ms=at_ms) for one in filters)
        assert first == second


def reachable(root: object) -> set[int | str | bytes]:
    """Every number, text and bytes that an object holds, however deep."""
    found: set[int | str | bytes] = set()
    seen, waiting = set(), [root]
    while waiting:
        one = waiting.pop()
        if isinstance(one, int | str | bytes):
            found.add(one)
        elif id(one) not in seen and not isinstance(one, type):
            seen.add(id(one))
            fields = getattr(one, "__struct_fields__", ())
            waiting += [getattr(one, name) for name in fields] or gc.get_referents(one)
    return found


def test_memory_holds_neither_addresses_nor_networks_nor_agents():
    judge = a_filter()
    for number, address in enumerate(("203.0.113.7", "2001:db8:1:2:3::7")):
        sold = sale(NOW_MS + number)
        for beacon in ("impression", "viewable", "click"):
            judge.judge(sold, beacon, person(address), at_ms=NOW_MS + 2000)
    held = reachable([judge._sales, judge._corners, judge._seen_ms, judge._agents, judge.counts])
    assert "foot" in held  # the walk does find what is there
    raw = {pack("203.0.113.7"), pack("203.0.113.7")[:3], pack("2001:db8:1:2:3::7")}
    raw |= {pack("2001:db8:1:2:3::7")[:7], "203.0.113.7", "203.0.113", CHROME, CHROME.encode()}
    assert not held & raw


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    for name in ("SALES_MAX", "CORNERS_MAX", "PLACES_MAX", "AGENTS_MAX"):
        monkeypatch.setattr(traffic_filter, name, 8)
    judge = a_filter()
    for number in range(200):
        sold: Claim = sale(NOW_MS + number, placement=f"p{number}")
        sender = person(f"203.0.{number}.7", f"Mozilla/5.0 x{number}")
        for beacon in ("impression", "viewable", "click"):
            judge.judge(sold, beacon, sender, at_ms=NOW_MS + number + 2000)
    stores = (judge._sales, judge._corners, judge._seen_ms, judge._agents)
    assert [len(one) for one in stores] == [8] * 4


@pytest.mark.parametrize("key", [b"", b"short", b"k" * 33])
def test_a_weak_key_is_refused(key: bytes):
    with pytest.raises(ValueError, match="expected 16 to 32"):
        a_filter(key)
