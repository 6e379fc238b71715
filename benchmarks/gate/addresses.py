"""Addresses: parsing, the client behind proxies, and whose range it is, beside ``ipaddress``.

The specification measured 2.4 M/s for the C library's parser and 0.13 M/s for ``ipaddress``; the
goals here hold our look-ups to that order. Answers are compared before times.
"""

from __future__ import annotations

import ipaddress
import random
import time
from collections.abc import Callable

from benchmarks.foundation.event_log import result
from ringwork.gate.identity.address import ClientAddresses, address_of, host_key
from ringwork.gate.identity.ranges import Ranges, cidr_range

PEER = address_of("10.0.0.1")


def cpu_per_s(step: Callable[[str], object], texts: list[str]) -> float:
    best = 0.0
    for _ in range(5):
        started = time.process_time_ns()
        for text in texts:
            step(text)
        best = max(best, len(texts) * 1e9 / (time.process_time_ns() - started))
    return best


def by_object(text: str) -> int:
    found = ipaddress.ip_address(text)
    bits = 64 if found.version == 6 else 32
    return int(ipaddress.ip_network((int(found), bits), strict=False).network_address)


def ours(text: str) -> int:
    found = address_of(text)
    assert found is not None
    return host_key(found)


def run(quick: bool) -> list[dict[str, object]]:
    rng = random.Random(3)
    count = 2_000 if quick else 50_000
    texts = [
        str(ipaddress.IPv4Address(rng.getrandbits(32))) if rng.random() < 0.7
        else str(ipaddress.IPv6Address(0x2000 << 112 | rng.getrandbits(109)))
        for _ in range(count)
    ]  # fmt: skip
    texts = [text for text in texts if not text.startswith("10.")]  # those are proxies, below
    assert [ours(text) for text in texts] == [by_object(text) for text in texts]
    mine, theirs = cpu_per_s(ours, texts), cpu_per_s(by_object, texts)
    rows = [{
        **result("an address and its subscriber's key, over ipaddress", mine / theirs, 10, "x"),
        "peer": f"{mine:,.0f}/s, ipaddress {theirs:,.0f}/s", "ratio": round(mine / theirs, 1),
    }]  # fmt: skip

    proxies = ClientAddresses(proxies=["10.0.0.0/8"])
    chains = [f"1.1.1.1, {text}, 10.1.2.3" for text in texts]
    assert all(
        proxies.client(PEER, chain).address == address_of(text)
        for chain, text in zip(chains, texts, strict=True)
    )
    rate = cpu_per_s(lambda chain: proxies.client(PEER, chain), chains)
    rows.append(result("the client behind two trusted proxies", rate, 200_000, "1/s"))

    networks = [ipaddress.ip_network((rng.getrandbits(32), 24), strict=False) for _ in range(4_000)]
    ranges = Ranges([(*cidr_range(str(one), "bench"), str(one)) for one in networks])
    some = [rng.choice(networks)[7] for _ in range(200)] + [
        ipaddress.IPv4Address(rng.getrandbits(32)) for _ in range(200)
    ]
    for one in some:
        assert ranges.find(int(one)) == {str(network) for network in networks if one in network}
    numbers = {str(one): int(one) for one in some}
    rate = cpu_per_s(lambda text: ranges.find(numbers[text]), list(numbers) * (5 if quick else 100))
    rows.append(result("whose published range, of 4,000", rate, 1_000_000, "1/s"))
    return rows
