"""G4: consent strings: right both ways, quick beside the PyPI decoder, and no input that breaks them.

Vectors are the official encoders' (the staged data that the tests use too). A decision is
``TermsOf`` whole: signals, ledger, tier, and the grant where there is one; in CPU time of a thread,
once with strings that came before, as within a visit, and once with strings of which none ever did.
"""

from __future__ import annotations

import gc
import json
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.consent.mutations import bombs, mutated
from benchmarks.consent.peer_decoder import ours_says, peer, peer_refuses, peer_says
from benchmarks.consent.requests_of_visits import VENDOR_ID, Request, Visits
from benchmarks.foundation.event_log import result
from ringwork.consent import SignalError, gpp, tcf
from ringwork.consent.gvl import Declared
from ringwork.consent.policy import TermsOf
from ringwork.consent.signals import Reading, find
from ringwork.kernel.viewer import Signals

Goal = dict[str, object]
Vector = dict[str, Any]

ROOT: Final = Path(__file__).parents[2]
EDGES: Final = ROOT / "tests" / "vectors" / "tcf_edge_cases.jsonl"
SEED: Final = 23
SLOW_MAX: Final = 200
SLOWEST_MS: Final = 5.0
"""A bound of ours, of CPU for the worst text of 32 KiB: the goal, "no slow input", has no figure."""
EVERY: Final = sum(1 << (24 - purpose) for purpose in range(1, 12))


def staged(name: str) -> list[Vector]:
    """The vectors of a file; where they lie is what the tests' conftest says."""
    named = os.environ.get("RINGWORK_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return lines(folder / "ads" / "consent" / name)


def lines(path: Path) -> list[Vector]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---- right ----------------------------------------------------------------------------------------
def tc_is_right(vector: Vector) -> bool:
    """Read as the official encoder meant it, and written byte for byte."""
    text = vector["tc"]
    read = tcf.decode(text)
    says = {name: value for name, value in vector.items() if name != "tc"}
    return tcf.encode(read) == text and tcf.plain(read).items() >= says.items()


def gpp_is_right(vector: Vector) -> bool:
    text = vector["gpp"]
    read = gpp.decode(text)
    says = {name: value for name, value in vector.items() if name != "gpp"}
    return gpp.encode(read) == text and gpp.plain(read) == says


def edge_is_right(case: Vector) -> bool:
    """The verdict, its reason, and what the vendor may do on either basis."""
    try:
        read = tcf.decode(case["tc"])
    except SignalError as error:
        return not case["valid"] and error.reason == case["reason"]
    verdict = tcf.verdict(read, case["now_ms"])
    if not verdict.valid:
        return not case["valid"] and verdict.reason == case["reason"]
    found = {}
    for members, declared in (
        ("consented_purposes", Declared(EVERY, 0, 0, 0)),
        ("li_purposes", Declared(0, EVERY, 0, 0)),
    ):
        found[members] = tcf.permissions(read, case["vendor"], declared, case["now_ms"])
    by_consent, by_interest = found["consented_purposes"], found["li_purposes"]
    return (
        bool(case["valid"])
        and case["reason"] in ("", *verdict.notes, *by_consent.notes)
        and list(by_consent.by_consent) == case["consented_purposes"]
        and list(by_interest.by_interest) == case.get("li_purposes", list(by_interest.by_interest))
    )


def right(tcs: list[Vector], gpps: list[Vector]) -> list[Goal]:
    edges = lines(EDGES)
    good = sum(map(tc_is_right, tcs)) + sum(map(gpp_is_right, gpps))
    share = 100 * good / (len(tcs) + len(gpps))
    told = f"{len(tcs)} of @iabtcf/core, {len(gpps)} of @iabgpp/cmpapi"
    print(f"vectors: {good} right of {told}")
    return [
        {**result("G4 official vectors read, and written byte for byte", share, 100, "%"), "peer": told},
        result(
            f"G4 edge cases with their verdict and reason, of {len(edges)}",
            100 * sum(map(edge_is_right, edges)) / len(edges), 100, "%",
        ),
    ]  # fmt: skip


# ---- a decision -----------------------------------------------------------------------------------
def us_a_decision(terms_of: TermsOf, requests: Sequence[Request], now_us: int) -> float:
    """CPU microseconds, on average."""
    request_id = bytes(16)
    began = time.thread_time_ns()
    for subject, signals, where in requests:
        terms_of(subject, signals, where, now_us=now_us, request_id=request_id)
    return (time.thread_time_ns() - began) / len(requests) / 1000


def decisions(visits: Visits, quick: bool, now_us: int) -> list[Goal]:
    """Rounds of strings that came before, and of new ones, in turn: the median of each."""
    count, rounds = (2_000, 3) if quick else (20_000, 9)
    often, once = visits.deciding(), visits.deciding()  # each with a memory of its own
    first = visits.known()
    us_a_decision(often, first, now_us)
    tiers = Counter(often(*one, now_us=now_us, request_id=bytes(16)).tier for one in first)
    shares = ", ".join(f"{100 * tiers[tier] / len(first):.0f} % {tier}" for tier in sorted(tiers))
    us_a_decision(once, visits.new(count), now_us)  # now its memory is full, as a server's
    gc.collect()
    gc.freeze()
    again, new = [], []
    for _ in range(rounds):
        again.append(us_a_decision(often, visits.again(count), now_us))
        new.append(us_a_decision(once, visits.new(count), now_us))
    gc.unfreeze()
    warm, cold = statistics.median(again), statistics.median(new)
    print(f"a decision: {warm:.2f} us, {cold:.2f} us with new strings")
    return [
        {
            **result("G4 a decision, its strings seen before", warm, 5, "us CPU", at_most=True),
            "peer": f"best round {min(again):.2f} us; {shares}",
        },
        {
            **result("G4 a decision, every string new", cold, 5, "us CPU", at_most=True),
            "peer": f"best round {min(new):.2f} us",
        },
    ]


# ---- beside iab-tcf -------------------------------------------------------------------------------
def us_a_string(decode: Callable[[str], object], texts: Sequence[str], times: int) -> float:
    began = time.thread_time_ns()
    for _ in range(times):
        for text in texts:
            decode(text)
    return (time.thread_time_ns() - began) / times / len(texts) / 1000


def beside_the_peer(visits: Visits, tcs: list[Vector], quick: bool) -> list[Goal]:
    decode = peer().decode
    official = [vector["tc"] for vector in tcs]
    sent = visits.tcs(100 if quick else 250)
    agree = sum(
        peer_says(decode(text)).items() <= ours_says(text).items() for text in official + sent
    )
    unreadable = [text for text in map(_unreadable, lines(EDGES)) if text]
    refused = sum(peer_refuses(decode, text) for text in unreadable)
    asked = len(official) + len(sent) + len(unreadable)
    share = 100 * (agree + refused) / asked
    told = f"iab-tcf 0.2.2: right on {agree} of {len(official) + len(sent)}, refuses {refused} of {len(unreadable)} unreadable"
    ours_us, theirs_us, ratios = {}, {}, {}
    for name, texts in (("sent", sent), ("official", official)):
        ours, theirs = [], []
        for _ in range(2 if quick else 9):  # in turn, so that both have the machine as it is
            theirs.append(us_a_string(decode, texts, 1))
            ours.append(us_a_string(tcf.decode, texts, 10))
        ours_us[name], theirs_us[name] = statistics.median(ours), statistics.median(theirs)
        ratios[name] = theirs_us[name] / ours_us[name]
    letters = {"sent": mean_of(sent), "official": mean_of(official)}
    small = (
        f"{letters['official']} characters, few vendors: "
        f"{theirs_us['official']:.0f} us, ours {ours_us['official']:.1f} us"
    )
    told = f"{told} ({share:.0f} %)"
    print(f"full-sized: {theirs_us['sent']:.0f} us, ours {ours_us['sent']:.1f} us; {small}; {told}")
    full = f"G4 decoding over iab-tcf, TC strings of {letters['sent']} characters"
    return [
        {
            **result(full, ratios["sent"], 50, "x"),
            "peer": f"{theirs_us['sent']:.0f} us, ours {ours_us['sent']:.1f} us; {told}",
            "ratio": round(ratios["sent"], 1),
        },
        {
            **result("G4 decoding over iab-tcf, the official vectors", ratios["official"], 50, "x"),
            "peer": small,
            "ratio": round(ratios["official"], 1),
        },
    ]


def mean_of(texts: Sequence[str]) -> int:
    """Characters."""
    return round(statistics.mean(map(len, texts)))


def _unreadable(case: Vector) -> str:
    """The text of an edge case that no decoder may read."""
    try:
        tcf.decode(case["tc"])
    except SignalError as error:
        return str(case["tc"]) if error.reason == case["reason"] else ""
    return ""


# ---- no input breaks them -------------------------------------------------------------------------
def tried(decode: Callable[[str], object], text: str) -> tuple[float, str]:
    """CPU milliseconds, and what came out that may not: anything but an answer or SignalError."""
    began, fault = time.thread_time_ns(), ""
    try:
        decode(text)
    except SignalError as error:
        if not error.reason or not 0 <= error.bit <= 6 * len(text) + 6:
            fault = f"no reason or no place: {error}"
    except Exception as error:  # what this looks for
        fault = f"{type(error).__name__}: {error}"
    return (time.thread_time_ns() - began) / 1e6, fault


def decided(text: str) -> object:
    """The text as every signal of a request: that never is an error."""
    signals = Signals(gdpr=1, tc=text, gpp=text, us_privacy=text)
    return find(signals, 1_780_272_000_000, reading=Reading(vendor_id=VENDOR_ID))


DECODERS: Final = {"TCF": tcf.decode, "GPP": gpp.decode, "all signals": decided}


def mutations(visits: Visits, tcs: list[Vector], gpps: list[Vector], quick: bool) -> list[Goal]:
    """Every text through one decoder, in turn, and bombs through all; the slowest are timed again."""
    count = 10_000 if quick else 1_000_000
    rng, names = random.Random(SEED), list(DECODERS)
    seeds = [one["tc"] for one in tcs] + [one["gpp"] for one in gpps] + visits.tcs(50)
    announced = {text: told for told, text in bombs()}
    slow: list[tuple[float, str, str]] = []
    faults: list[str] = []
    floor_ms = 0.0
    for number in range(count):
        text, name = mutated(rng, seeds), names[number % len(names)]
        took_ms, fault = tried(DECODERS[name], text)
        if fault:
            faults.append(f"{name}: {fault}: {text[:60]!r}")
        if took_ms > floor_ms:
            slow.append((took_ms, name, text))
            if len(slow) >= SLOW_MAX:
                slow = sorted(slow, reverse=True)[: SLOW_MAX // 2]
                floor_ms = slow[-1][0]
    again = slow + [(0.0, name, text) for text in announced for name in names]
    faults += [fault for _, name, text in again if (fault := tried(DECODERS[name], text)[1])]
    worst_ms, name, text = max(
        (min(tried(DECODERS[name], text)[0] for _ in range(7)), name, text)
        for _, name, text in again
    )
    told = f"{name}, {announced.get(text, 'a mutation')}, {len(text):,} characters"
    print(f"{count:,} mutations, {len(announced)} bombs: {len(faults)} faults {faults[:3]}")
    print(f"slowest {worst_ms:.2f} ms: {told}")
    return [
        result(f"G4 faults in {count:,} mutated strings", len(faults), 0, "not SignalError", at_most=True),
        {
            **result("G4 slowest text, bombs included", worst_ms, SLOWEST_MS, "ms CPU", at_most=True),
            "peer": told,
        },
    ]  # fmt: skip


def run(quick: bool) -> list[Goal]:
    """Measure, print, return the goals."""
    tcs, gpps, now_us = (
        staged("tcf_vectors.jsonl"),
        staged("gpp_vectors.jsonl"),
        time.time_ns() // 1000,
    )
    visits = Visits(
        [one["tc"] for one in tcs], [one["gpp"] for one in gpps], now_us=now_us, seed=SEED
    )
    return [
        *right(tcs, gpps),
        *decisions(visits, quick, now_us),
        *beside_the_peer(visits, tcs, quick),
        *mutations(visits, tcs, gpps, quick),
    ]
