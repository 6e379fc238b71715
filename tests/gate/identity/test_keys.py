"""Fetched keys: one fetch for all, caching, outages that revoke nothing, bounds."""

import asyncio

import pytest

from ringwork.gate.identity import keys as bounds
from ringwork.gate.identity.directory import Directory, DirectoryFailed
from ringwork.gate.identity.jwk import configured_keys
from ringwork.gate.identity.keys import FetchedKeys, StaticKeys
from ringwork.gate.identity.urls import discovery
from ringwork.kernel.clock import ManualClock
from tests.gate.identity.signing import KEY, ORIGIN, OTHER, Signed, jwks, verifier

AGENT = discovery(ORIGIN, "directory")


class Publisher:
    """A reader whose directories are set by the test: the port, without the network."""

    def __init__(self, *keys, max_age_s=600):
        self.keys, self.max_age_s = keys, max_age_s
        self.is_down = False
        self.reads = []
        self.hold = None

    async def read(self, agent):
        self.reads.append(agent.fetch)
        if self.hold is not None:
            await self.hold.wait()
        if self.is_down:
            raise DirectoryFailed("connection")
        return Directory(configured_keys(jwks(*self.keys), "test"), self.max_age_s)


class Drawn:
    def __init__(self, octet=0):
        self.octet = octet

    def take(self, count):
        return bytes([self.octet]) * count


def of(publisher, clock, **given):
    return FetchedKeys(clock=clock, entropy=Drawn(), reader=publisher, **given)


def seconds(clock, count):
    clock.advance_us(count * 1_000_000)


async def fetched(keys, keyid=KEY.keyid, agent=AGENT):
    await keys.fetch(agent, keyid)
    key, reason = keys.find(agent, keyid)
    return key.thumbprint if key else reason


def test_until_keys_are_read_a_request_is_unverified():
    async def run():
        clock, publisher = ManualClock(), Publisher(KEY)
        keys = of(publisher, clock)
        one = verifier(keys=keys, clock=clock)
        first = one.verify(Signed().message())
        assert (first.status, first.reason, first.url) == ("unverified", "keys-pending", None)
        await keys.fetch(AGENT, KEY.keyid)
        assert one.verify(Signed().message()).status == "verified"

    asyncio.run(run())


def test_without_a_loop_nothing_is_fetched():
    keys = of(Publisher(KEY), ManualClock())
    assert keys.find(AGENT, KEY.keyid) == (None, "keys-unavailable")
    assert keys.find(None, KEY.keyid) == (None, "key-unknown")


def test_configured_keys_come_first():
    publisher = Publisher(OTHER)
    keys = of(publisher, ManualClock(), static=StaticKeys({ORIGIN: jwks(KEY)}))
    assert keys.find(AGENT, KEY.keyid)[0].thumbprint == KEY.keyid
    assert keys.find(None, KEY.keyid)[0].thumbprint == KEY.keyid
    assert publisher.reads == []


def test_those_who_wait_share_one_fetch():
    async def run():
        publisher = Publisher(KEY)
        publisher.hold = asyncio.Event()
        keys = of(publisher, ManualClock())
        waiting = [asyncio.create_task(fetched(keys)) for _ in range(50)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # who goes away takes nothing from the others
        publisher.hold.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert found[1:] == [KEY.keyid] * 49
        assert len(publisher.reads) == 1

    asyncio.run(run())


def test_a_failed_fetch_evicts_nothing():
    async def run():
        clock, publisher = ManualClock(), Publisher(KEY)
        keys = of(publisher, clock)
        assert await fetched(keys) == KEY.keyid
        publisher.is_down = True
        seconds(clock, 601)
        assert keys.find(AGENT, KEY.keyid) == (None, "keys-pending")  # first asked, then believed
        assert await fetched(keys) == KEY.keyid
        for _ in range(20):
            seconds(clock, 3600)
            assert await fetched(keys) == KEY.keyid
        assert keys.failures == len(publisher.reads) - 1

    asyncio.run(run())


def test_an_outage_that_begins_before_keys_run_out_is_not_noticed():
    async def run():
        clock, publisher = ManualClock(), Publisher(KEY)
        keys = of(publisher, clock)
        one = verifier(keys=keys, clock=clock)
        await fetched(keys)
        publisher.is_down = True
        for at in range(2000):  # a request a second
            seconds(clock, 1)
            signed = Signed(created=1_764_158_400 + at, expires=1_764_158_400 + at + 60)
            assert one.verify(signed.message()).status == "verified"
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert 5 < keys.failures < 20

    asyncio.run(run())


def test_a_directory_without_the_key_replaces_the_one_before():
    async def run():
        clock, publisher = ManualClock(), Publisher(KEY)
        keys = of(publisher, clock)
        assert await fetched(keys) == KEY.keyid
        publisher.keys = (OTHER,)
        seconds(clock, 601)
        assert await fetched(keys) == "key-unknown"
        assert await fetched(keys, OTHER.keyid) == OTHER.keyid

    asyncio.run(run())


def test_a_new_key_is_asked_for_once_a_minute():
    async def run():
        clock, publisher = ManualClock(), Publisher(KEY)
        keys = of(publisher, clock)
        await fetched(keys)
        publisher.keys = (KEY, OTHER)
        assert await fetched(keys, OTHER.keyid) == "key-unknown"
        assert len(publisher.reads) == 1
        seconds(clock, 61)
        assert await fetched(keys, OTHER.keyid) == OTHER.keyid
        assert len(publisher.reads) == 2

    asyncio.run(run())


@pytest.mark.parametrize(("told", "kept"), [(None, 3600), (0, 60), (600, 600), (10**9, 86_400)])
def test_keys_are_kept_as_long_as_the_publisher_says_within_bounds(told, kept):
    async def run():
        clock, publisher = ManualClock(), Publisher(KEY, max_age_s=told)
        keys = of(publisher, clock)
        await fetched(keys)
        publisher.hold = asyncio.Event()  # a refresh that does not end yet
        seconds(clock, kept - 1)
        assert keys.find(AGENT, KEY.keyid)[0] is not None
        seconds(clock, 2)
        assert keys.find(AGENT, KEY.keyid) == (None, "keys-pending")
        await keys.aclose()

    asyncio.run(run())


@pytest.mark.parametrize(("octet", "at"), [(0, 480), (128, 540)])
def test_keys_in_use_are_refreshed_before_they_run_out_and_not_all_at_once(octet, at):
    async def run():
        clock, publisher = ManualClock(), Publisher(KEY)
        keys = FetchedKeys(clock=clock, entropy=Drawn(octet), reader=publisher)
        await fetched(keys)
        seconds(clock, at - 1)
        assert keys.find(AGENT, KEY.keyid)[0] is not None
        assert not keys._in_flight
        seconds(clock, 1)
        assert keys.find(AGENT, KEY.keyid)[0] is not None  # nobody waits
        assert len(keys._in_flight) == 1
        await keys.aclose()

    asyncio.run(run())


def test_what_could_not_be_read_is_not_asked_again_at_once():
    async def run():
        clock, publisher = ManualClock(), Publisher(KEY)
        publisher.is_down = True
        keys = of(publisher, clock)
        waits = []
        for _ in range(10):
            assert await fetched(keys) == "keys-unavailable"
            reads, waited = len(publisher.reads), 0
            while len(publisher.reads) == reads:
                seconds(clock, 1)
                waited += 1
                await keys.fetch(AGENT, KEY.keyid)
            waits.append(waited)
        assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]
        publisher.is_down = False
        seconds(clock, 300)
        assert await fetched(keys) == KEY.keyid

    asyncio.run(run())


def agents(count, host="a{}.example"):
    return [discovery("https://" + host.format(n) + f"/k{n}", "jwks_uri") for n in range(count)]


def test_fetches_at_one_time_are_bounded_in_all_and_for_a_host():
    async def run():
        publisher = Publisher(KEY)
        publisher.hold = asyncio.Event()
        keys = of(publisher, ManualClock())
        one_host = [keys.find(agent, "k")[1] for agent in agents(5, "one.example")]
        assert one_host == ["keys-pending"] * 2 + ["keys-unavailable"] * 3
        several = [keys.find(agent, "k")[1] for agent in agents(20)]
        assert several == ["keys-pending"] * 14 + ["keys-unavailable"] * 6
        await keys.aclose()

    asyncio.run(run())


def test_new_urls_in_a_minute_are_bounded():
    async def run():
        clock, publisher = ManualClock(), Publisher(KEY)
        keys = of(publisher, clock)
        for agent in agents(100):
            await keys.fetch(agent, KEY.keyid)
        assert len(publisher.reads) == bounds.NEW_PER_MINUTE
        seconds(clock, 2)
        await keys.fetch(agents(101)[-1], KEY.keyid)
        assert len(publisher.reads) == bounds.NEW_PER_MINUTE + 1

    asyncio.run(run())


def test_urls_that_lead_nowhere_push_out_no_agent():
    async def run():
        clock, publisher = ManualClock(), Publisher(KEY, max_age_s=86_400)
        keys = of(publisher, clock, agents_max=4)
        await fetched(keys)
        publisher.is_down = True
        for agent in agents(40):
            await keys.fetch(agent, KEY.keyid)
            seconds(clock, 1)
        assert keys.find(AGENT, KEY.keyid)[0] is not None
        assert len(keys._without) == 4
        publisher.is_down = False
        for agent in agents(60)[40:]:
            await keys.fetch(agent, KEY.keyid)
            assert keys.find(AGENT, KEY.keyid)[0] is not None  # in use: evicted last
            seconds(clock, 1)
        assert len(keys._entries) == 4

    asyncio.run(run())


def test_one_url_read_in_two_ways_is_kept_twice():
    async def run():
        publisher = Publisher(KEY)
        keys = of(publisher, ManualClock())
        await fetched(keys, agent=discovery(ORIGIN + "/x", "jwks_uri"))
        publisher.keys = (OTHER,)
        assert await fetched(keys, OTHER.keyid, discovery(ORIGIN + "/x", "cimd")) == OTHER.keyid
        # Nor does a query of a stranger's replace what the plain URL holds.
        assert (
            await fetched(keys, OTHER.keyid, discovery(ORIGIN + "/x?y", "jwks_uri")) == OTHER.keyid
        )
        assert await fetched(keys, agent=discovery(ORIGIN + "/x", "jwks_uri")) == KEY.keyid

    asyncio.run(run())
