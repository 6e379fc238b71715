"""Requests as pages send them: TC strings, GPP strings, both in one, and nothing; and their people.

The strings are the official encoders' own, dated anew so that they count today, and for a vendor
list as it is published: ids with gaps, so that sets of vendors are bit fields. Half of the
Europeans accepted everything and a quarter nothing. Every text of a request is an object of its
own, as a parser makes it: none is found by identity, and no hash of one is ready.
"""

from __future__ import annotations

import random
from typing import Final, NamedTuple

from msgspec.structs import replace

from ringwork.consent import gpp, tcf
from ringwork.consent.epochs import Epochs, in_memory, place_of
from ringwork.consent.grants import GrantAuthority
from ringwork.consent.gvl import Vendor, VendorList, VendorLists
from ringwork.consent.ledger import ConsentLedger
from ringwork.consent.model import Decision, Standing
from ringwork.consent.policy import TermsOf
from ringwork.consent.signals import Reading
from ringwork.consent.tcf import TcString
from ringwork.consent.vendors import NOBODY, Vendors
from ringwork.kernel.clock import SystemClock
from ringwork.kernel.viewer import Property, Signals

VENDOR_ID: Final = 20
PEOPLE: Final = 20_000
KNOWN: Final = 4_000
LIST: Final = VendorList(
    3, 7, 5, {"20": Vendor(20, "Ours", (1, 3, 4, 5, 6), (2, 7, 8, 9, 10, 11), (2, 7))}
)
ALIVE: Final = Vendors.of(
    (one, one) for one in range(1, 1_501) if one == VENDOR_ID or one * 2_654_435_761 % 100 < 70
)
"""About 1,050 of 1,500 ids, as in the published list; which ones, by a multiplicative hash."""
_DAY_MS: Final = 86_400_000
_SOURCES: Final = Property(source="ledger"), Property(source="tcf")
_ANSWERS: Final = (0, 2, 2, 2, 2, 2, 2, 1)
"""Of a US field: not applicable, and one opt-out among eight."""


class Request(NamedTuple):
    """What ``TermsOf`` is asked."""

    subject: bytes | None
    signals: Signals
    where: Property


class Visits:
    """Draws requests: 45 % TC strings, 15 % in a GPP string, 25 % of a US state, 15 % nothing."""

    def __init__(self, tcs: list[str], gpps: list[str], *, now_us: int, seed: int) -> None:
        self._rng = random.Random(seed)
        self._now_us = now_us
        self._serial = 0
        self._tcs = [tcf.decode(text) for text in tcs]
        self._states = [
            (one.section_ids, fields)
            for one in map(gpp.decode, gpps)
            for fields in one.sections.values()
            if len(one.section_ids) == 1 and isinstance(fields, dict)
        ]
        self._subjects = [self._rng.randbytes(16) for _ in range(PEOPLE)]
        self._known = [self._draw() for _ in range(KNOWN)]

    def deciding(self) -> TermsOf:
        """What decides, over a ledger in which two of three people consented."""
        ledger, epochs = ConsentLedger(), Epochs(in_memory())
        for number, subject in enumerate(self._subjects):
            word: Decision = Decision("refused" if number % 3 == 0 else "granted", self._now_us, 1)
            ledger.standings[subject] = Standing(
                1, bytes(32), None, {"advertise": word, "measure": word}
            )
            ledger.counts[place_of(subject)] += 1
        epochs.raise_to(ledger.counts)
        for subject in self._subjects:
            ledger.state(subject, self._now_us)
        return TermsOf(
            state=ledger.state,
            authority=GrantAuthority(self._rng.randbytes(32), epochs, SystemClock()),
            reading=Reading(vendor_id=VENDOR_ID),
            lists=VendorLists([LIST]),
        )

    def new(self, count: int) -> list[Request]:
        """Requests none of whose strings was ever seen."""
        return [self._request(self._draw()) for _ in range(count)]

    def known(self) -> list[Request]:
        """One request of each kind."""
        return [self._request(one) for one in self._known]

    def again(self, count: int) -> list[Request]:
        """Requests of signals that all came before, ``KNOWN`` different ones."""
        return [self._request(_copied(self._rng.choice(self._known))) for _ in range(count)]

    def _request(self, signals: Signals) -> Request:
        subject = self._rng.choice(self._subjects) if self._rng.random() < 0.8 else None
        return Request(subject, signals, self._rng.choice(_SOURCES))

    def _draw(self) -> Signals:
        drawn = self._rng.random()
        if drawn < 0.45:
            return Signals(gdpr=1, tc=tcf.encode(self._tc()), country="DEU")
        if drawn < 0.60:
            text = gpp.encode(gpp.GppString((2,), {"tcfeuv2": self._tc()}))
            return Signals(gdpr=1, gpp=text, gpp_sid=(2,), country="FRA")
        if drawn < 0.85:
            ids, fields = self._rng.choice(self._states)
            answered = {name: self._answer(name, old) for name, old in fields.items()}
            text = gpp.encode(gpp.GppString(ids, {gpp.NAMES[ids[0]]: answered}))
            return Signals(gdpr=0, gpp=text, gpp_sid=ids, country="USA")
        return Signals(gpc=self._rng.random() < 0.2, country="USA")

    def tcs(self, count: int) -> list[str]:
        """TC strings alone."""
        return [tcf.encode(self._tc()) for _ in range(count)]

    def _tc(self) -> TcString:
        """A string of today's rules, in which the CMP's numbers make it one of a kind."""
        self._serial += 1
        made = self._rng.choice(self._tcs)
        day_ms = (self._now_us // 1000 // _DAY_MS - self._rng.randrange(300)) * _DAY_MS
        made = replace(
            made, created=day_ms, last_updated=day_ms, vendor_list_version=7, vendors_disclosed=ALIVE,
            cmp_version=self._serial & 0xFFF, cmp_id=self._serial >> 12 & 0xFFF,
        )  # fmt: skip
        answer = self._rng.random()
        if answer < 0.5:
            every = tuple(range(1, 12))
            return replace(
                made, purpose_consents=every, vendor_consents=ALIVE, vendor_legitimate_interests=ALIVE,
                purpose_legitimate_interests=(2, 7, 8, 9, 10, 11),
            )  # fmt: skip
        return made if answer < 0.75 else replace(made, purpose_consents=(), vendor_consents=NOBODY)

    def _answer(self, name: str, old: object) -> object:
        if name in ("Version", "SectionID", "SubSections", "GpcSegmentType"):
            return old
        if isinstance(old, bool):
            return self._rng.random() < 0.1
        if isinstance(old, list):
            return [self._rng.choice(_ANSWERS) for _ in old]
        return self._rng.choice(_ANSWERS)


def _copied(signals: Signals) -> Signals:
    return replace(signals, tc=_own(signals.tc), gpp=_own(signals.gpp))


def _own(text: str) -> str:
    return text.encode().decode()
