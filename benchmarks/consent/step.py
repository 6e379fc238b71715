"""What consent costs an ad request: from the decoded request to its terms, in CPU time.

Three kinds of requests on a platform with 20,000 people in its ledger: an exchange's with a TC
string as long as real ones, a page's that names a person who consented (a grant is made), and a
page's of nobody. The requests are those of the serving benchmark; every body is decoded anew, so that
no text is found by identity. Each kind is held against the goal.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence

import msgspec

from benchmarks.ads.market_of_ads import VENDOR_ID, consents, requests
from benchmarks.foundation.event_log import result
from ringwork.ads import openrtb
from ringwork.ads.viewers import PageSignals, signals_of_page, viewer_of_bid
from ringwork.app.platform import Platform
from ringwork.app.settings import Settings
from ringwork.consent.choice.settings import ChoiceSettings
from ringwork.consent.epochs import place_of
from ringwork.consent.model import Decision, Standing
from ringwork.kernel.clock import SystemClock
from ringwork.kernel.entropy import SystemEntropy
from ringwork.kernel.purpose import Terms
from ringwork.kernel.viewer import Viewer

TARGET_US = 5
PEOPLE = 20_000
BODIES = 4_000
REQUEST_ID = bytes(16)
HEADERS = (
    (b"host", b"ads.example"), (b"user-agent", b"Mozilla/5.0"), (b"accept", b"*/*"),
    (b"origin", b"https://news.example"), (b"content-type", b"application/json"),
    (b"accept-language", b"pt"), (b"sec-gpc", b"0"),
)  # fmt: skip


def best_us(step: Callable[[object], object], made: Callable[[], Sequence[object]]) -> float:
    """CPU microseconds of a step, the best of five rounds, each over fresh requests."""
    found = []
    for _ in range(5):
        batch = made()
        started = time.process_time_ns()
        for one in batch:
            step(one)
        found.append((time.process_time_ns() - started) / len(batch) / 1000)
    return min(found)


def know(platform: Platform) -> list[str]:
    """People in the ledger, all of whom consented; their ids."""
    ledger, consent, now_us = platform.memory.consent, platform.consent, time.time_ns() // 1000
    people = [f"r.{number:022d}" for number in range(PEOPLE)]
    for person in people:
        subject = consent.consents.subject_of(person)
        granted = Decision("granted", now_us, 1)
        ledger.standings[subject] = Standing(
            1, bytes(32), None, {"advertise": granted, "measure": granted}
        )
        ledger.counts[place_of(subject)] += 1
    consent.epochs.raise_to(ledger.counts)
    return people


def run(quick: bool) -> list[dict[str, object]]:
    bodies = requests(BODIES // (10 if quick else 1))
    rng = random.Random(5)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=folder, choice=ChoiceSettings(vendor_id=VENDOR_ID))
        platform = Platform(settings, clock=SystemClock(), entropy=SystemEntropy())
        people = know(platform)
        decide = platform.terms_of

        def of_exchange(request: object) -> Terms:
            assert isinstance(request, openrtb.BidRequest)
            return decide(viewer_of_bid(request), request_id=REQUEST_ID)

        def of_page(asked: object) -> Terms:
            person, given, headers = asked  # type: ignore[misc]  # made below
            signals = signals_of_page(given, headers, "PRT-11")
            return decide(Viewer(person=person, signals=signals), request_id=REQUEST_ID)

        def bids() -> list[object]:
            return [openrtb.decode(body, []) for body in bodies]

        def pages(person: Callable[[], str], text: str) -> Callable[[], list[object]]:
            signals = msgspec.json.encode(PageSignals(gdpr=1, tc=text))

            def made() -> list[object]:
                return [
                    (person(), msgspec.json.decode(signals, type=PageSignals), HEADERS)
                    for _ in bodies
                ]

            return made

        [everything] = consents(1, (1, 2, 3, 4, 7))
        consenting = pages(lambda: rng.choice(people), everything)
        assert of_exchange(bids()[0]).tier == "less-personalised"
        assert of_page(consenting()[0]).grant is not None
        exchange = best_us(of_exchange, bids)
        named = best_us(of_page, consenting)
        nobody = best_us(of_page, pages(lambda: "", everything))
        platform.close()
    return [
        result(f"the consent step of {name}", us, TARGET_US, "us CPU", at_most=True)
        for name, us in (
            ("an exchange's request with its TC string", exchange),
            ("a page's request of nobody", nobody),
            ("a page's request of who consented, with a grant", named),
        )
    ]
