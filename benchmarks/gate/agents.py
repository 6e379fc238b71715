"""Who asks: signatures of bots beside the bare arithmetic, user agents beside the package's own search.

Signed requests differ in path, nonce and times, and each is verified once, so nothing is found
again. The bare side verifies the same signatures over the same bases with the same key. User agents
are a web server's: what crawlers call themselves and what browsers do, most of them again and again.
Every verdict is compared before a time is taken.
"""

from __future__ import annotations

import base64
import gc
import random
import time
from collections.abc import Callable, Sequence

import crawleruseragents
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.foundation.event_log import result
from ringwork.gate.identity.agents import AgentPolicy, AgentVerifier, HttpMessage, StaticKeys
from ringwork.gate.identity.crawlers import CrawlerAgents
from ringwork.gate.identity.jwk import thumbprint_of
from ringwork.kernel.clock import ManualClock

ORIGIN = "https://signer.example"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key()
X = base64.urlsafe_b64encode(PUBLIC.public_bytes_raw()).rstrip(b"=").decode()
JWK = {"kty": "OKP", "crv": "Ed25519", "x": X}
KEYID = thumbprint_of(JWK)
NOW_S = 1_764_158_400
BROWSERS = [
    f"Mozilla/5.0 ({platform}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
    for platform in (
        "Windows NT 10.0; Win64; x64",
        "Macintosh; Intel Mac OS X 10_15_7",
        "X11; Linux x86_64",
    )
    for version in range(60, 160)
]

Signed = tuple[HttpMessage, bytes, bytes]


def signed(number: int, rng: random.Random) -> Signed:
    """A request as agents send it, with its signature and its base."""
    nonce = base64.b64encode(rng.randbytes(64)).decode()
    line = (
        f'("@authority" "@method" "@path" "signature-agent";key="sig1");created={NOW_S - number % 60}'
        f';keyid="{KEYID}";alg="ed25519";expires={NOW_S + 300};nonce="{nonce}";tag="web-bot-auth"'
    )
    base = (
        f'"@authority": shop.example\n"@method": GET\n"@path": /p/{number}\n'
        f'"signature-agent";key="sig1": "{ORIGIN}"\n"@signature-params": {line}'
    ).encode()
    octets = KEY.sign(base)
    headers = [
        (b"host", b"shop.example"), (b"user-agent", b"ExampleBot/1.0 (+https://signer.example/bot)"),
        (b"accept", b"*/*"), (b"accept-encoding", b"gzip, br"), (b"accept-language", b"en"),
        (b"signature-agent", f'sig1="{ORIGIN}"'.encode()),
        (b"signature-input", f"sig1={line}".encode()),
        (b"signature", b"sig1=:" + base64.b64encode(octets) + b":"),
    ]  # fmt: skip
    asked = HttpMessage(
        method="GET", authority="shop.example", path=f"/p/{number}", headers=headers
    )
    return asked, octets, base


def verifier(**policy: object) -> AgentVerifier:
    return AgentVerifier(
        keys=StaticKeys({ORIGIN: {"keys": [JWK]}}),
        clock=ManualClock(NOW_S * 1_000_000),
        policy=AgentPolicy(**policy),  # type: ignore[arg-type]  # of this file
    )


def per_s(step: Callable[[], object], count: int) -> float:
    """Steps per CPU second, of one run over ``count`` of them."""
    started = time.process_time_ns()
    step()
    return count * 1e9 / (time.process_time_ns() - started)


def signatures(quick: bool) -> list[dict[str, object]]:
    rng = random.Random(7)
    made = [signed(number, rng) for number in range(500 if quick else 4000)]
    path = made[0][0]
    wrong = HttpMessage(method="GET", authority="shop.example", path="/other", headers=path.fields)
    assert verifier().verify(wrong).reason == "signature"

    def ours(one: AgentVerifier) -> None:
        for asked, _, _ in made:
            assert one.verify(asked).status == "verified"

    def bare() -> None:
        for _, octets, base in made:
            PUBLIC.verify(octets, base)

    gc.collect()
    gc.freeze()  # the requests were made beforehand: no server has them all in memory
    rates = []
    for _ in range(5):
        one = verifier()
        rates.append((per_s(lambda one=one: ours(one), len(made)), per_s(bare, len(made))))  # type: ignore[misc]
    gc.unfreeze()
    share = sorted(ours_s / bare_s for ours_s, bare_s in rates)[len(rates) // 2]
    mine, theirs = max(rate for rate, _ in rates), max(rate for _, rate in rates)
    known = verifier(uses_max=None)
    again = 2_000 if quick else 50_000

    def cached() -> None:
        for _ in range(again):
            known.verify(path)

    assert known.verify(path).status == "verified"
    rate = max(per_s(cached, again) for _ in range(5))
    goal = result("Web Bot Auth: a request verified, of bare Ed25519", share, 0.9, "x")
    return [
        {**goal, "peer": f"{mine:,.0f}/s of {theirs:,.0f}/s Ed25519", "ratio": round(share, 2)},
        result("Web Bot Auth: an identity that is known", rate, 100_000, "1/s"),
    ]


def user_agents(quick: bool) -> list[dict[str, object]]:
    data = crawleruseragents.CRAWLER_USER_AGENTS_DATA
    patterns = [one["pattern"] for one in data]
    instances = [text for one in data for text in one.get("instances", ())]
    everyone = instances + BROWSERS
    peer = crawleruseragents.is_crawler
    verdicts = [peer(text) for text in everyone]
    assert [CrawlerAgents(patterns).search(text) for text in everyone] == verdicts
    assert len(instances) == 2123
    rng = random.Random(11)
    rng.shuffle(everyone)
    weights = [1 / (rank + 1) for rank in range(len(everyone))]
    stream = rng.choices(everyone, weights, k=5_000 if quick else 50_000)
    sample = stream[:: max(1, len(stream) // 5_000)]

    def walk(step: Callable[[str], bool], texts: Sequence[str]) -> Callable[[], None]:
        def run() -> None:
            for text in texts:
                step(text)

        return run

    found = []
    for _ in range(5):
        theirs = per_s(walk(peer, sample), len(sample))
        fresh = CrawlerAgents(patterns)
        log = per_s(walk(fresh.is_crawler, stream), len(stream))
        never_twice = per_s(walk(fresh.search, everyone), len(everyone))
        theirs_all = per_s(walk(peer, everyone), len(everyone))
        found.append((log, theirs, never_twice, theirs_all))
    rows = []
    for goal, at in (
        ("user-agent class, a log's agents", 0),
        ("user-agent class, no agent twice", 2),
    ):
        ratio = sorted(one[at] / one[at + 1] for one in found)[2]
        mine, other = max(one[at] for one in found), max(one[at + 1] for one in found)
        row = result(f"{goal}, over crawleruseragents", ratio, 50, "x")
        rows.append(
            {
                **row,
                "peer": f"{mine:,.0f}/s, crawleruseragents {other:,.0f}/s",
                "ratio": round(ratio, 1),
            }
        )
    return rows


def run(quick: bool) -> list[dict[str, object]]:
    return signatures(quick) + user_agents(quick)
