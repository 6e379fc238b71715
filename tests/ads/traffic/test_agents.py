import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.traffic.agents import (
    AGENT_MAX_CHARS,
    Hints,
    automation_of,
    read_agent,
    read_structured,
)

KHTML = "AppleWebKit/537.36 (KHTML, like Gecko)"
BROWSERS = {
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {KHTML} Chrome/142.0.0.0 Safari/537.36": (
        "computer windows chrome"
    ),
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {KHTML} Chrome/142.0.0.0 Safari/537.36 "
    "Edg/142.0.0.0": "computer windows edge",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {KHTML} Version/18.1 Safari/605.1.15": (
        "computer macos safari"
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": (
        "computer linux firefox"
    ),
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {KHTML} Chrome/142.0.0.0 Safari/537.36": (
        "computer chromeos chrome"
    ),
    f"Mozilla/5.0 (Linux; Android 10; K) {KHTML} Chrome/142.0.0.0 Mobile Safari/537.36": (
        "phone android chrome"
    ),
    f"Mozilla/5.0 (Linux; Android 10; K) {KHTML} Chrome/142.0.0.0 Safari/537.36": (
        "tablet android chrome"
    ),
    "Mozilla/5.0 (Linux; Android 12; CUBOT NOTE 20) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36": (
        "phone android chrome"
    ),
    f"Mozilla/5.0 (Linux; Android 14; SM-S911B) {KHTML} SamsungBrowser/27.0 Chrome/125.0.0.0 "
    "Mobile Safari/537.36": "phone android samsung",
    "Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0": "phone android firefox",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.1 Mobile/15E148 Safari/604.1": "phone ios safari",
    "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "CriOS/142.0.0.0 Mobile/15E148 Safari/604.1": "tablet ios chrome",
    "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/6.0 TV Safari/537.36": "tv other safari",
    f"Mozilla/5.0 (Linux; Android 9; AFTMM) {KHTML} Chrome/120.0.0.0 Safari/537.36": (
        "tv android chrome"
    ),
    "Roku/DVP-12.5 (12.5.0.4178-88)": "tv other other",
    "Opera/9.80 (J2ME/MIDP; Opera Mini/9.80; U; en) Presto/2.5.25 Version/10.54": (
        "other other opera"
    ),
    "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Tablet PC 2.0)": "computer windows other",
}


@pytest.mark.parametrize("user_agent", BROWSERS)
def test_browsers_are_told_by_kind_and_are_no_bots(user_agent: str):
    agent = read_agent(user_agent)
    assert f"{agent.device_type} {agent.os} {agent.browser}" == BROWSERS[user_agent]
    assert not agent.is_declared_bot


@pytest.mark.parametrize(
    ("user_agent", "automation"),
    [
        ("", "missing"),
        ("Mozilla/5.0 (compatible; Examplebot/2.1; +http://example.com/bot.html)", "declared"),
        ("Mozilla/5.0 (compatible; SomeCrawler; +https://example.com)", "declared"),
        ("SomeBot", "declared"),
        ("curl/8.5.0", "declared"),
        ("python-httpx/0.28.1", "declared"),
        ("Go-http-client/2.0", "declared"),
        ("Java/17.0.2", "declared"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {KHTML} HeadlessChrome/142.0.0.0", "headless"),
        ("Mozilla/5.0 (Bottle; botany) Gecko/1 Firefox/1", ""),
        ("Mozilla/5.0 (Linux; Android 9; CUBOT_P20) Chrome/1 Mobile", ""),
        ("Lavf/60.16.100", ""),
    ],
)
def test_bots_are_told_by_what_they_call_themselves(user_agent: str, automation: str):
    assert automation_of(user_agent) == automation
    assert read_agent(user_agent).automation == automation


def test_a_headless_browser_is_told_by_its_brand_under_another_name():
    brands = '"HeadlessChrome";v="142", "Chromium";v="142", "Not_A Brand";v="99"'
    assert automation_of("Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0", brands) == "headless"


def test_hints_count_more_than_the_name():
    name = f"Mozilla/5.0 (X11; Linux x86_64) {KHTML} Chrome/142.0.0.0 Safari/537.36"
    brands = '"Microsoft Edge";v="142", "Chromium";v="142", "Not_A Brand";v="99"'
    agent = read_agent(name, Hints(brands, "?1", '"Android"'))
    assert (agent.device_type, agent.os, agent.browser) == ("phone", "android", "edge")
    assert read_agent(name, Hints(brands, "?0", '"Android"')).device_type == "tablet"
    assert read_agent(name, Hints(brands, "?0", '"macOS"')).os == "macos"


def test_an_unknown_platform_leaves_the_name_to_speak():
    agent = read_agent("Mozilla/5.0 (Windows NT 10.0) Firefox/140.0", Hints("", "?0", '"Plan 9"'))
    assert (agent.os, agent.browser) == ("windows", "firefox")


def test_an_openrtb_sua_is_read_like_hints():
    agent = read_structured(["Not_A Brand", "Chromium", "Google Chrome"], "Android", 1, "")
    assert (agent.device_type, agent.os, agent.browser) == ("phone", "android", "chrome")
    assert read_structured([], "Windows", None, "").device_type == "computer"


@given(st.text(max_size=700), st.text(max_size=40), st.text(max_size=4), st.text(max_size=20))
def test_any_text_is_read_and_what_stands_past_the_bound_is_not(
    name: str, brands: str, mobile: str, platform: str
):
    hints = Hints(brands, mobile, platform)
    assert read_agent(name, hints) == read_agent(name[:AGENT_MAX_CHARS], hints)
    agent = read_agent(name, hints)
    assert agent.automation == automation_of(name, brands)
    assert agent.is_declared_bot == bool(agent.automation)


@given(st.sampled_from(sorted(BROWSERS)), st.text("abcdefghij", max_size=8))
def test_a_browser_that_says_that_it_is_a_bot_is_one(user_agent: str, word: str):
    assert automation_of(f"{user_agent} {word}bot/1.0") == "declared"
