"""Reverse DNS: names that agree, forged ones, and how long each is believed."""

import asyncio

import pytest

from ringwork.gate.identity import fcrdns
from ringwork.gate.identity.bots import BotVerdict, GoodBots
from ringwork.gate.identity.fcrdns import ForwardConfirmed, HostVerdict, operator_of
from ringwork.gate.identity.ip import address_of
from ringwork.gate.identity.resolver import LookupFailed, SystemResolver
from ringwork.kernel.clock import ManualClock

GOOGLE, FORGED, NOBODY = "66.249.66.1", "203.0.113.7", "198.51.100.3"
CRAWLER = "crawl-66-249-66-1.googlebot.com"


class Zone:
    """A zone in memory: the resolver's port, with what was asked."""

    def __init__(self):
        self.reverse = {GOOGLE: [CRAWLER + "."], FORGED: ["crawl-203-0-113-7.googlebot.com"]}
        self.forward = {CRAWLER + ".": [GOOGLE, "2001:4860::1"]}
        self.asked = []
        self.is_down = False

    async def names(self, address):
        self.asked.append(address)
        await asyncio.sleep(0)
        if self.is_down:
            raise LookupFailed("no answer")
        return self.reverse.get(address, [])

    async def addresses(self, host):
        self.asked.append(host)
        return self.forward.get(host, [])


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        (CRAWLER, "google"), ("X.GoogleBot.com.", "google"), ("msnbot.search.msn.com", "bing"),
        ("a.applebot.apple.com", "apple"), ("spider.yandex.ru", "yandex"), ("x.yandex.com", "yandex"),
        ("x.crawl.baidu.jp", "baidu"), ("googlebot.com.evil.example", None), ("evilgooglebot.com", None),
        ("googlebot.com", None), ("", None), (".googlebot.com.evil", None),
    ],
)  # fmt: skip
def test_suffixes_begin_at_a_dot(name, operator):
    assert operator_of(name) == operator


def test_both_directions_have_to_agree():
    async def run():
        zone = Zone()
        names = ForwardConfirmed(resolver=zone, clock=ManualClock())
        confirmed = await names.check(address_of(GOOGLE))
        assert confirmed == HostVerdict("confirmed", "google", CRAWLER)
        assert (await names.check(address_of(FORGED))).standing == "denied"
        assert (await names.check(address_of(NOBODY))).standing == "denied"

    asyncio.run(run())


def test_a_verdict_does_not_wait():
    async def run():
        zone = Zone()
        names = ForwardConfirmed(resolver=zone, clock=ManualClock())
        bots, address, agent = GoodBots(names=names), address_of(GOOGLE), "Googlebot/2.1"
        assert bots.judge(address, agent) == BotVerdict("pending", "google")
        assert [bots.judge(address, agent).status for _ in range(9)] == ["pending"] * 9
        await names.check(address)
        assert zone.asked == [GOOGLE, CRAWLER + "."]  # one question for all of them
        assert bots.judge(address, agent) == BotVerdict("verified", "google", "reverse-dns")
        assert bots.judge(address, "bingbot/2.0").status == "refuted"  # it is another's
        await names.check(address_of(FORGED))
        assert bots.judge(address_of(FORGED), agent).status == "refuted"

    asyncio.run(run())


def test_verdicts_end():
    async def run():
        zone, clock = Zone(), ManualClock()
        names = ForwardConfirmed(resolver=zone, clock=clock)
        google, forged = address_of(GOOGLE), address_of(FORGED)
        await names.check(google)
        await names.check(forged)
        clock.advance_us(599 * 1_000_000)
        assert names.verdict(forged).standing == "denied"
        clock.advance_us(2_000_000)
        zone.forward["crawl-203-0-113-7.googlebot.com"] = [FORGED]
        assert names.verdict(forged).standing == "pending"
        assert (await names.check(forged)).standing == "confirmed"
        clock.advance_us((86_400 - 602) * 1_000_000)
        assert names.verdict(google).standing == "confirmed"
        clock.advance_us(3_000_000)
        assert names.verdict(google).standing == "pending"
        await names.aclose()

    asyncio.run(run())


def test_a_resolver_that_is_down_says_nothing():
    async def run():
        zone, clock = Zone(), ManualClock()
        zone.is_down = True
        names = ForwardConfirmed(resolver=zone, clock=clock)
        address = address_of(GOOGLE)
        assert (await names.check(address)).standing == "pending"
        zone.is_down = False
        assert names.verdict(address).standing == "pending"
        assert len(zone.asked) == 1  # not asked again at once
        clock.advance_us(61 * 1_000_000)
        assert (await names.check(address)).standing == "confirmed"

    asyncio.run(run())


def test_what_is_kept_and_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr(fcrdns, "WAITING_MAX", 4)

    async def run():
        zone = Zone()
        names = ForwardConfirmed(resolver=zone, clock=ManualClock(), kept_max=8)
        for host in range(20):
            assert names.verdict(0x0A000000 + host).standing == "pending"
        assert len(names._asking) == 4
        for host in range(20):
            await names.check(0x0A000000 + host)
        assert len(names._kept) == 8

    asyncio.run(run())


def test_without_a_loop_it_stays_pending():
    names = ForwardConfirmed(resolver=Zone(), clock=ManualClock())
    assert names.verdict(address_of(GOOGLE)).standing == "pending"


def test_the_machines_resolver():
    async def run():
        resolver = SystemResolver()
        assert "127.0.0.1" in await resolver.addresses("localhost")
        assert list(await resolver.addresses("127.0.0.1")) == ["127.0.0.1"]
        with pytest.raises(LookupFailed):
            await resolver.addresses("a" * 70 + ".example")

    asyncio.run(run())
