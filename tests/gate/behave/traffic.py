"""Two days of a site and its app, as a log with labels: people of several kinds, and machines.

From a seed, everywhere the same. It shares nothing with ``ringwork.gate.sim``, whose attackers judge.
"""

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

BEGINS = datetime(2026, 3, 2, tzinfo=UTC)
DAY_S = 86_400.0
ASSETS = [f"/static/{name}" for name in ("a.css", "b.css", "app.js", "v.js", "logo.svg", "f.woff2")]
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
Hit = tuple[float, str, str, int, int, str]
"""Seconds since BEGINS, method, target, status, bytes, referrer."""


def people(chance: random.Random) -> Iterator[Hit]:
    """Somebody who reads pages in a browser, in sittings, by day or by night."""
    wakes = chance.choice((7, 8, 9, 9, 10, 20))
    is_quick = chance.random() < 0.1  # opens tabs, recruiters among them
    for day in range(2):
        for _ in range(chance.choice((0, 1, 1, 2, 3))):
            at = day * DAY_S + (wakes + chance.random() * 13) * 3600
            before = chance.choice(("-", "https://search.example/", "https://shop.example/"))
            is_first = True
            for _ in range(min(int(chance.paretovariate(1.1)) + 1, 120 if is_quick else 40)):
                page = f"/p/{int(chance.paretovariate(0.6)) % 30_000}"
                if chance.random() < 0.3:
                    page = chance.choice(("/", "/about", "/search?q=a", "/list", "/news/today"))
                status = 200 if chance.random() < 0.97 else 404
                yield at, "GET", page, status, chance.randrange(2_000, 60_000), before
                for asset in ASSETS[: chance.randrange(0, 7) if not is_first else 6]:
                    kept = 304 if not is_first and chance.random() < 0.5 else 200
                    part = "https://shop.example" + page
                    yield at + chance.uniform(0.03, 0.8), "GET", asset, kept, 900, part
                before = "https://shop.example" + page
                is_first = False
                if chance.random() < (0.4 if is_quick else 0.05):
                    at += chance.uniform(0.1, 1.0)  # a tab, a double click
                else:
                    at += chance.lognormvariate(3.0, 1.2)


def app(chance: random.Random) -> Iterator[Hit]:
    """A phone's app: bursts of calls without assets or referrers, now and then a list."""
    for day in range(2):
        for _ in range(chance.randrange(1, 9)):
            at = day * DAY_S + (7 + chance.random() * 16) * 3600
            for _ in range(chance.randrange(1, 8)):
                targets = ["/api/me", "/api/feed", f"/api/p/{chance.randrange(40_000)}"]
                for target in targets[: chance.randrange(1, 4)]:
                    yield at, "GET", target, 200, chance.randrange(300, 9_000), "-"
                    at += chance.uniform(0.02, 0.4)
                if chance.random() < 0.2:
                    yield at, "POST", "/api/like", 204, 0, "-"
                at += chance.lognormvariate(3.0, 1.3)


def crawler(chance: random.Random) -> Iterator[Hit]:
    """Pages one after another, at its own pace, with no assets."""
    at, pace = chance.random() * DAY_S, chance.lognormvariate(1.0, 1.3)
    for _ in range(chance.randrange(20, 160)):
        yield at, "GET", f"/p/{chance.randrange(30_000)}", 200, chance.randrange(2_000, 60_000), "-"
        at += pace * chance.uniform(0.7, 1.4)


def poller(chance: random.Random) -> Iterator[Hit]:
    """A feed every so often, mostly not modified."""
    at, pace = chance.random() * 3600, chance.choice((600, 900, 1800, 3600))
    while at < 2 * DAY_S:
        yield at, chance.choice(("GET", "HEAD")), "/feed", chance.choice((200, 304)), 5_000, "-"
        at += pace * chance.uniform(0.98, 1.02)


def clicker(chance: random.Random) -> Iterator[Hit]:
    """A headless browser with referrers that clicks faster than anybody, then waits."""
    at, before = chance.random() * DAY_S, "-"
    for turn in range(chance.randrange(25, 90)):
        page = f"/p/{chance.randrange(30_000)}"
        yield at, "GET", page, 200, chance.randrange(2_000, 60_000), before
        before = "https://shop.example" + page
        at += chance.uniform(60, 200) if turn % 8 == 7 else chance.uniform(0.04, 0.13)


def walker(chance: random.Random) -> Iterator[Hit]:
    """Looks up phone numbers in a row, slowly."""
    at, number = chance.random() * DAY_S, chance.randrange(15_000_000_000, 17_000_000_000)
    style = chance.choice(("/lookup/+4{}", "/find?phone=4{}", "/p/{}"))
    for _ in range(chance.randrange(25, 120)):
        status = 200 if chance.random() < 0.1 else 404
        yield at, "GET", style.format(number), status, 300, "-"
        number += chance.choice((1, 1, 1, 2))
        at += chance.lognormvariate(3.0, 0.8)


def reader(chance: random.Random) -> Iterator[Hit]:
    """One of many addresses that read new pages all day and night, a few an hour."""
    at = chance.random() * 600
    while at < 1.9 * DAY_S:
        yield at, "GET", f"/p/{chance.randrange(10**9)}", 200, chance.randrange(2_000, 60_000), "-"
        at += chance.uniform(240, 1_200)


def mimic(chance: random.Random) -> Iterator[Hit]:
    """People's times and referrers, and assets now and then; but it never comes back to a page."""
    at, before = chance.random() * DAY_S, "https://search.example/"
    for _ in range(chance.randrange(30, 120)):
        page = f"/p/{chance.randrange(30_000)}"
        yield at, "GET", page, 200, chance.randrange(2_000, 60_000), before
        if chance.random() < 0.3:
            yield at + 0.2, "GET", ASSETS[0], 200, 900, "https://shop.example" + page
        before = "https://shop.example" + page
        at += chance.lognormvariate(3.0, 1.0)


PEOPLE: tuple[Callable[[random.Random], Iterator[Hit]], ...] = (people, people, people, app)
BOTS = (crawler, poller, clicker, walker, reader, mimic)


def log(
    *, seed: int, humans: int, bots: int, in_seconds: bool = False
) -> tuple[bytes, dict[str, bool], dict[str, str]]:
    """Lines as nginx writes them in JSON; whether each actor is a bot; and its kind by name."""
    chance, unit = random.Random(seed), "seconds" if in_seconds else "milliseconds"
    lines: list[tuple[float, str]] = []
    labels: dict[str, bool] = {}
    kinds: dict[str, str] = {}
    for number in range(humans + bots):
        is_bot = number >= humans
        kind = BOTS[number % len(BOTS)] if is_bot else PEOPLE[number % len(PEOPLE)]
        address = f"198.{18 + number // 65_536}.{number // 256 % 256}.{number % 256}"
        labels["ip:" + address], kinds["ip:" + address] = is_bot, kind.__name__
        for at, method, target, status, size, referrer in kind(chance):
            moment = (BEGINS + timedelta(milliseconds=int(at * 1000))).isoformat("T", unit)
            lines.append((at, json.dumps({
                "time_iso8601": moment, "remote_addr": address, "request_method": method,
                "request_uri": target, "server_protocol": "HTTP/1.1", "status": status,
                "body_bytes_sent": size, "http_referer": referrer, "http_user_agent": BROWSER,
            })))  # fmt: skip
    lines.sort()
    return "".join(line + "\n" for _, line in lines).encode(), labels, kinds
