"""User agents: the same verdicts as crawleruseragents, and what a claim is worth."""

import crawleruseragents
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.gate.identity.bots import BotVerdict, GoodBots
from ringwork.gate.identity.crawlers import (
    CrawlerAgents,
    claimed_operator,
    is_literal,
    is_passed_over,
    known_crawlers,
    literals_of,
)
from ringwork.gate.identity.ip import address_of
from ringwork.gate.identity.ranges import PublishedRanges, RangeList
from ringwork.kernel.clock import ManualClock

PEER = crawleruseragents.is_crawler
DATA = crawleruseragents.CRAWLER_USER_AGENTS_DATA
PEOPLE = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148",
    "", " ", "-", "SSL Labs!",
]  # fmt: skip


def test_every_instance_has_the_peers_verdict():
    instances = [text for one in DATA for text in one.get("instances", ())]
    assert len(instances) == 2123
    crawlers = known_crawlers()
    assert [text for text in instances if crawlers.search(text) != PEER(text)] == []
    assert [crawlers.is_crawler(text) for text in PEOPLE] == [PEER(text) for text in PEOPLE]


PATTERNS = [one["pattern"] for one in DATA]
PIECES = st.one_of(
    st.sampled_from([text for one in DATA for text in one.get("instances", ())[:1]]),
    st.sampled_from(PATTERNS).map(lambda text: text.replace("\\", "").strip("^$")),
    st.text(max_size=6),
    st.sampled_from(["Mozilla/5.0 (compatible; ", "Mozilla/5.0 ("]),
)


@given(st.lists(PIECES, max_size=3), st.integers(0, 30), st.booleans())
def test_cut_and_joined_agents_have_the_peers_verdict(pieces, cut, swap):
    text = "".join(pieces)[cut:]
    text = text.swapcase() if swap else text
    assert known_crawlers().search(text) == PEER(text)
    assert known_crawlers().is_crawler(text) == PEER(text)


def test_what_stands_in_every_match_is_found():
    assert is_literal(r"Googlebot\/") == "Googlebot/"
    assert is_literal(r"^curl") is None
    for pattern, literals in {
        "[pP]ingdom": ("ingdom",), "^curl": ("curl",), "(sistrix|SISTRIX) [cC]rawler": ("rawler",),
        "Automaton|Newsify Feed Fetcher": ("Automaton", "Newsify Feed Fetcher"),
        r"Current[\s\S]*RSS Reader": ("RSS Reader",), "(^| )sentry\\/": ("sentry/",),
        "AdsBot-Google([^-]|$)": ("AdsBot-Google",), "abcd?e": ("abc",), "abc+def": ("abc",),
        "ab[]|x]cd(ef|(gh))ijk": ("ijk",), "abc{2}de": None, "[ab]c": None, "abc|x": None,
    }.items():  # fmt: skip
        assert literals_of(pattern) == literals, pattern


def test_a_start_is_passed_over_only_where_nothing_begins_in_it():
    assert is_passed_over("Mozilla/5.0 (", ["bot", "Moz", "zilla5"]) is False  # it lies there
    assert is_passed_over("Mozilla/5.0 (", ["(crawler"]) is False  # it begins there
    assert is_passed_over("Mozilla/5.0 (", ["bot", "rawler)"]) is True
    crawlers = CrawlerAgents(["0 \\(bot", "Mozilla\\/5\\.0 \\(x"])
    asked = {"Mozilla/5.0 (bot": True, "Mozilla/5.0 (x": True, "Mozilla/5.0 (y)": False}
    assert {text: crawlers.search(text) for text in asked} == asked


def test_patterns_without_a_literal_are_searched_for_all_the_same():
    crawlers = CrawlerAgents(["[ab]x", "longer"])
    assert [crawlers.search(text) for text in ("ax", "longer", "cx")] == [True, True, False]
    with pytest.raises(ValueError, match="patterns"):
        CrawlerAgents([])


def test_what_is_remembered_is_bounded():
    crawlers = CrawlerAgents(["crawl"])
    for number in range(10_000):
        crawlers.is_crawler(f"agent {number}")
    assert len(crawlers._newer) + len(crawlers._older) <= 8192


GOOGLE = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def test_a_claim_names_whom_to_ask():
    assert claimed_operator(GOOGLE) == "google"
    assert claimed_operator("GPTBot/1.2") == "openai-gptbot"
    assert claimed_operator(PEOPLE[0]) is None
    assert claimed_operator("mybot/1", {"mybot": "us"}) == "us"


def test_a_user_agent_alone_allows_nothing():
    outside, inside = address_of("198.51.100.1"), address_of("66.249.64.9")
    assert GoodBots().judge(inside, GOOGLE) == BotVerdict("unverified", "google")
    clock = ManualClock()
    ranges = PublishedRanges(
        [RangeList("google", ("66.249.64.0/27",), clock.wall_us())], clock=clock
    )
    bots = GoodBots(ranges=ranges)
    assert bots.judge(inside, GOOGLE) == BotVerdict("verified", "google", "ranges")
    assert bots.judge(outside, GOOGLE) == BotVerdict("refuted", "google", "ranges")
    assert bots.judge(inside, PEOPLE[0]).status == "none"
    clock.advance_us(8 * 86_400_000_000)  # the list is too old: it says nothing, either way
    assert bots.judge(inside, GOOGLE).status == bots.judge(outside, GOOGLE).status == "unverified"
