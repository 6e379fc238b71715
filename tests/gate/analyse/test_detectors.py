"""Buckets against a list that anybody can follow, and every detector by an example."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.gate.analyse import compiled, plain
from ringwork.gate.analyse.buckets import LATE_US
from ringwork.gate.analyse.detectors import DETECTORS
from ringwork.gate.analyse.scan import Scanner
from ringwork.gate.analyse.targets import Mark, look, path_of

SECOND = 1_000_000
TABLE = {
    "crawl": (40, 0.5, "file"),
    "probing": (10, 10, "path"),
    "brute-force": (5, 10, ""),
    "brute-force-401": (5, 10, ""),
    "brute-force-403": (5, 10, ""),
    "brute-force-login": (5, 10, ""),
    "random-uri-flood": (30, 1, ""),
    "cache-bypass-flood": (30, 1, "query"),
    "switching-agents": (10, 8, "agent"),
    "user-enumeration": (5, 10, "query"),
    "request-limit-exceeded": (5, 60, ""),
    "invalid-http-version": (0, None, ""),
    "open-proxy-probe": (0, None, ""),
    "scanner-agent": (1, 60, ""),
    "path-traversal": (3, 10, "path"),
    "sensitive-files": (4, 5, "path"),
    "sql-injection-probe": (10, 1, "query"),
    "script-injection-probe": (5, 1, "query"),
    "web-shells": (1, 5, "file"),
    "admin-interfaces": (2, 10, "path"),
    "wordpress-scan": (3, 10, "path"),
}
"""Copied from gate specification 3.10; None: overflows at once, so nothing ever leaks."""


def test_the_detectors_are_those_of_the_table() -> None:
    assert {one.name for one in DETECTORS} == set(TABLE)
    for one in DETECTORS:
        capacity, leak_s, value = TABLE[one.name]
        assert (one.capacity, one.value) == (capacity, value)
        assert leak_s in (None, one.leak_s)
        assert one.per_host == (one.name in {"crawl", "probing"})


class ByHand:
    """One group: every event with its time of entry, moved out one by one as the clock passes."""

    def __init__(self, capacity: int, leak_us: int, blackhole_us: int, is_distinct: bool) -> None:
        self.capacity, self.leak_us, self.blackhole_us = capacity, leak_us, blackhole_us
        self.is_distinct = is_distinct
        self.reset(None)

    def reset(self, at: int | None) -> None:
        self.inside: list[int] = []
        self.now = at
        self.next_leak = 0
        self.poured = 0
        self.deaf_until = -1

    def pour(self, value: int, at: int) -> int:
        if self.now is not None and self.now - at > LATE_US:
            self.reset(at)
        self.now = at if self.now is None else max(self.now, at)
        if self.now < self.deaf_until:
            return 0
        while self.inside and self.next_leak <= self.now:
            self.inside.pop(0)
            self.next_leak += self.leak_us
        if self.is_distinct and value in self.inside:
            return 0
        if not self.inside:
            self.next_leak, self.poured = self.now + self.leak_us, 0
        self.inside.append(value)
        self.poured += 1
        if len(self.inside) == self.capacity + 1:
            self.inside = []
            self.deaf_until = self.now + self.blackhole_us
            return self.poured
        return 0


@given(
    st.sampled_from([plain.Buckets, compiled.Buckets]),
    st.integers(0, 5),
    st.integers(1, 20),
    st.integers(0, 50),
    st.booleans(),
    st.lists(
        st.tuples(
            st.integers(0, 2), st.integers(0, 7), st.sampled_from([0, 1, 3, 8, 30, -2, -400])
        ),
        max_size=200,
    ),
)
def test_buckets_are_those_of_a_list(
    make, capacity, leak_s, blackhole_s, is_distinct, steps
) -> None:
    buckets = make(
        capacity=capacity, leak_us=leak_s * SECOND, blackhole_us=blackhole_s * SECOND,
        is_distinct=is_distinct,
    )  # fmt: skip
    by_hand = {
        group: ByHand(capacity, leak_s * SECOND, blackhole_s * SECOND, is_distinct)
        for group in range(3)
    }
    at = 1_000_000 * SECOND
    groups, values, times, expected = [], [], [], []
    for position, (group, value, step_s) in enumerate(steps):
        at += step_s * SECOND
        groups.append(group)
        values.append(value)
        times.append(at)
        events = by_hand[group].pour(value, at)
        if events:
            expected.append((position, events))
    half = len(steps) // 2
    found = list(poured(buckets, groups[:half], values[:half], times[:half]))
    found += [
        one._replace(position=one.position + half)
        for one in poured(buckets, groups[half:], values[half:], times[half:])
    ]
    assert found == expected


def poured(buckets, groups, values, times):
    return buckets.pour(*(np.array(one, np.int64) for one in (groups, values, times)))


@pytest.mark.parametrize("make", [plain.Buckets, compiled.Buckets])
def test_a_flood_cannot_push_out_who_is_about_to_overflow(make) -> None:
    buckets = make(
        capacity=10, leak_us=60 * SECOND, blackhole_us=600 * SECOND, is_distinct=False,
        buckets_max=100,
    )  # fmt: skip
    mallory, flood = -1, list(range(5_000))
    assert not poured(buckets, [mallory] * 10, range(10), [0] * 10)
    assert not poured(buckets, flood, [0] * 5_000, [SECOND] * 5_000)
    assert len(buckets) <= 100
    assert [one.events for one in poured(buckets, [mallory], [10], [2 * SECOND])] == [11]
    assert not poured(buckets, flood, [0] * 5_000, [3 * SECOND] * 5_000)
    assert not poured(buckets, [mallory] * 11, range(11), [4 * SECOND] * 11), "still ignored"


@given(
    st.integers(1, 40),
    st.lists(
        st.tuples(st.integers(-60, 60), st.integers(0, 3), st.sampled_from([0, 1, 40, 500, -1])),
        max_size=400,
    ),
)
def test_a_sweep_drops_the_same_buckets_in_both(buckets_max, steps) -> None:
    both = [
        make(capacity=2, leak_us=9 * SECOND, blackhole_us=20 * SECOND, is_distinct=True,
             buckets_max=buckets_max)
        for make in (plain.Buckets, compiled.Buckets)
    ]  # fmt: skip
    groups, values, gaps = ([one[part] for one in steps] for part in range(3))
    times = (1_000_000 + np.cumsum(gaps, dtype=np.int64)) * SECOND
    first, second = (poured(one, groups, values, times) for one in both)
    assert first == second
    assert len(both[0]) == len(both[1]) <= buckets_max


def line(
    target: str = "/", *, status: int = 200, method: str = "GET", version: str = "HTTP/1.1",
    agent: str = "Mozilla/5.0", second: int = 0, address: str = "192.0.2.7", user: str = "-",
) -> bytes:  # fmt: skip
    at = f"10/Oct/2025:12:{second // 60:02}:{second % 60:02} +0000"
    request = f"{method} {target} {version}".encode()
    return b'%s - %s [%s] "%s" %d 5 "-" "%s"\n' % (
        address.encode(), user.encode(), at.encode(), request, status, agent.encode()
    )  # fmt: skip


def found(lines: list[bytes], by: str = "ip") -> dict[str, dict[str, int]]:
    scanner = Scanner(by=by)
    scanner.feed(b"".join(lines) or b"\n")
    return {
        one.actor: {reason.rule: reason.count for reason in one.reasons}
        for one in scanner.result().actors
    }


OVERFLOWING: dict[str, list[bytes]] = {
    "crawl": [line(f"/page-{one}") for one in range(41)],
    "probing": [line(f"/x/{one}", status=404) for one in range(11)],
    "brute-force": [line("/private", status=401) for _ in range(6)],
    "brute-force-401": [line("/a", method="POST", status=401) for _ in range(6)],
    "brute-force-403": [line("/a", method="POST", status=403) for _ in range(6)],
    "brute-force-login": [line("/user/Login", method="POST") for _ in range(6)],
    "random-uri-flood": [line("/a/QWERTY") for _ in range(31)],
    "cache-bypass-flood": [line(f"/?{1234567 + one}") for one in range(31)],
    "switching-agents": [line(agent=f"agent {one}") for one in range(11)],
    "user-enumeration": [line(f"/?AUTHOR={one}") for one in range(6)],
    "request-limit-exceeded": [
        b"2025/10/10 12:00:00 [error] 4#4: *4 limiting requests, excess: 5.4 by zone "
        b'"root", client: 192.0.2.7, server: , request: "GET / HTTP/1.1", host: "h"\n'
    ]
    * 6,
    "invalid-http-version": [line(version="HTTP/1.2")],
    "open-proxy-probe": [line("example.com:443", method="CONNECT", status=405)],
    "scanner-agent": [line(agent="Mozilla/5.0 (Nikto/2.5)") for _ in range(2)],
    "path-traversal": [line(f"/{one}/%252e%252e%252fetc/passwd") for one in range(4)],
    "sensitive-files": [line(f"/{one}/.ENV") for one in range(5)],
    "sql-injection-probe": [line(f"/p?i={one}%27+UNION%2f**%2fselect+1") for one in range(11)],
    "script-injection-probe": [line(f"/p?i={one}%253Cscript%253E") for one in range(6)],
    "web-shells": [line("/up/c99.php"), line("/up/wso.php")],
    "admin-interfaces": [line(f"/phpMyAdmin-{one}/", status=404) for one in range(3)],
    "wordpress-scan": [line(f"/{one}/wp-config.php", status=404) for one in range(4)],
}


def test_there_is_an_example_for_every_detector() -> None:
    assert set(OVERFLOWING) == set(TABLE)


@pytest.mark.parametrize("name", sorted(OVERFLOWING))
def test_each_detector_overflows_with_one_event_more_than_it_holds(name) -> None:
    lines = OVERFLOWING[name]
    assert found(lines)["ip:192.0.2.7"].get(name) == len(lines)
    assert name not in found(lines[:-1]).get("ip:192.0.2.7", {})


def test_what_people_do_overflows_nothing() -> None:
    page = [
        line("/", second=0), *[line(f"/css/{one}.css") for one in range(60)],
        *[line(f"/img/{one}.png?v=1234567") for one in range(60)],
        line("/articles/how-to-select-a-union?page=2", second=5),
        line("/search?q=drop+me+a+table+or+a+script", second=9),
        line("/session/environment", second=12), line("/favicon.ico", status=404, second=12),
        *[line(f"/missing-{one}.png", status=404, second=13) for one in range(30)],
    ]  # fmt: skip
    assert found(page) == {"ip:192.0.2.7": {}}


def test_events_that_leak_in_time_overflow_nothing() -> None:
    slow = [line(f"/x/{one}", status=404, second=10 * one) for one in range(60)]
    assert "probing" not in found(slow)["ip:192.0.2.7"]


def test_each_host_has_a_bucket_of_its_own() -> None:
    one_host = [b"a.example " + line(f"/p{one}") for one in range(41)]
    two_hosts = [
        (b"a.example " if one % 2 else b"b.example ") + line(f"/p{one}") for one in range(41)
    ]
    assert found(one_host)["ip:192.0.2.7"] == {"crawl": 41}
    assert found(two_hosts)["ip:192.0.2.7"] == {}


@pytest.mark.parametrize(
    ("target", "mark"),
    [
        (b"/a/../b", Mark.TRAVERSAL),
        (b"/a/%2e%2e/b", Mark.TRAVERSAL),
        (b"/a/%252E%252e%252fb", Mark.TRAVERSAL),
        (b"/a?f=..%5c..%5cwin.ini", Mark.TRAVERSAL),
        (b"/A/.GIT/config", Mark.SENSITIVE),
        (b"/a?b=1%20Union%20All%20Select%202", Mark.SQL),
        (b"/a?b=%22%3E%3CSCRIPT%3E", Mark.SCRIPT),
        (b"/a?b=\\x22\\x3cscript", Mark.SCRIPT),
        (b"http://other.example/", Mark.ABSOLUTE),
        (b"/a/x.PNG", Mark.STATIC),
        (b"/ABCDEF", Mark.RANDOM_NAME),
        (b"/?1234567", Mark.DIGIT_QUERY | Mark.QUERY),
    ],
)
def test_targets_are_decoded_once_and_twice_before_they_are_looked_at(target, mark) -> None:
    assert look(target).marks & mark == mark


@pytest.mark.parametrize("target", [b"/ABCDEFG", b"/ABCDE", b"/ABCDEf", b"/ABCDEF?x", b"/?123456"])
def test_what_is_nearly_a_mark_is_none(target) -> None:
    assert not look(target).marks & (Mark.RANDOM_NAME | Mark.DIGIT_QUERY)


@given(st.binary(max_size=200))
def test_looking_at_a_target_never_fails(target) -> None:
    seen = look(target)
    assert seen.depth >= 0
    assert seen.entity >= -1
    path_of(target)


def test_a_referrer_names_a_path() -> None:
    assert path_of(b"https://a.example/b/c?d#e") == b"/b/c"
    assert path_of(b"https://a.example") == b"/"
    assert path_of(b"/b?c") == b"/b"
    assert path_of(b"") == b""
