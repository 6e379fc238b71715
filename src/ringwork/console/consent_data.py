"""The console's questions about consent, one method a page.

Tables and log are read in threads; what is read from memory is answered when it is durable.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from msgspec import Struct

from ringwork.ads.behavioural.projections import denied
from ringwork.ads.projections import tiers
from ringwork.consent.choice.events import NoticePublished
from ringwork.consent.http import ConsentApi, receipt_of_record
from ringwork.consent.inspection import Inspected, Inspection
from ringwork.consent.merkle import DAY_US
from ringwork.consent.projections import ads_free_requests, day_counts, first_choices, records_of
from ringwork.consent.proof import Proof
from ringwork.consent.proof_runs import ProofRuns
from ringwork.consent.receipts import prompt_of, view_of
from ringwork.consent.requests import Receipt
from ringwork.consent.subscriptions.register import Register
from ringwork.consent.subscriptions.views import SubscriptionView
from ringwork.console.consent_facts import ConsentFacts, PersonFacts
from ringwork.kernel.errors import NotFound
from ringwork.kernel.purpose import PURPOSES

if TYPE_CHECKING:
    import sqlalchemy as sa

DAYS: Final = 28
RECORDS_PAGE: Final = 25
_DENIED: Final = 50
_SUBSCRIPTIONS: Final = 20

_T = TypeVar("_T")


class ConsentSources(Struct, frozen=True, kw_only=True):
    """What the pages of consent read from."""

    api: ConsentApi
    inspection: Inspection
    register: Register
    proofs: ProofRuns
    notices: Mapping[str, int]
    """Hash of a text that was shown -> the event that has it."""


class ConsentData:
    """Answers the pages' questions."""

    def __init__(self, sources: ConsentSources) -> None:
        self._from = sources
        self.api = sources.api

    def now_us(self) -> int:
        """The platform's wall time."""
        return self.api.journal.clock.wall_us()

    async def overview(self) -> ConsentFacts:
        """Decisions of four weeks, what people chose when asked, denied reads, the last seal."""
        now_us, ledger, settings = self.now_us(), self.api.ledger, self.api.settings
        first_day = now_us // DAY_US - DAYS + 1
        trees, open_records = self._from.inspection.trees(), ledger.open.count
        people, subscriptions = (
            len(ledger.standings),
            list(self._from.register.subscriptions.values()),
        )
        runs = self._from.proofs.runs
        last_proof = runs[-1] if runs else None
        await self.api.indexed()

        def read(connection: sa.Connection) -> ConsentFacts:
            return ConsentFacts(
                now_us=now_us,
                first_day=first_day,
                days=day_counts(connection, since_day=first_day),
                asked=first_choices(connection, since_us=first_day * DAY_US),
                denied=denied(connection, since_day=first_day, limit=_DENIED),
                subscriptions=Counter(one.state for one in subscriptions),
                people=people,
                sealed_day=self._from.inspection.last_day(trees),
                open_records=open_records,
                lasts_days=settings.lasts_days,
                ask_again_days=settings.ask_again_days,
                tiers=tiers(connection, since_us=first_day * DAY_US),
                ads_free_requests=ads_free_requests(connection, since_us=first_day * DAY_US),
                last_proof=last_proof,
            )

        return await self._read(read)

    async def person(self, subject: bytes, *, after: int, with_subscriptions: bool) -> PersonFacts:
        """Everything that is known of a person's decisions, checked."""
        ledger, now_us = self.api.ledger, self.now_us()
        moment = self._from.inspection.moment(subject)
        view = view_of(ledger, subject, now_us)
        prompt = prompt_of(ledger, subject, now_us, lock_us=self.api.settings.lock_us)
        standing = ledger.standing(subject)
        decided = {
            purpose: (one.since_us, one.seq)
            for purpose in PURPOSES
            if (one := standing.decisions.get(purpose)) is not None
        }
        is_minor = standing.minor
        subscriptions = self._subscriptions(subject) if with_subscriptions else None
        await self.api.indexed()
        inspected = await asyncio.to_thread(
            self._from.inspection.inspect, moment, after=after, limit=RECORDS_PAGE
        )
        return PersonFacts(
            now_us=now_us,
            view=view,
            prompt=prompt,
            is_minor=is_minor,
            since={
                purpose: (since_us, inspected.numbers.get(seq, 0))
                for purpose, (since_us, seq) in decided.items()
            },
            lasts_us=ledger.lasts_us,
            inspected=inspected,
            after=after,
            notices=await self._notices(inspected),
            subscriptions=subscriptions,
        )

    async def receipt(self, subject: bytes, number: int) -> Receipt:
        """One record's receipt, the same as the person got; NotFound."""
        await self.api.indexed()
        found = await self._read(lambda c: records_of(c, subject, after=number - 1, limit=1))
        recorded = None
        if found and found[0][0] == number:
            recorded = await asyncio.to_thread(self.api.journal.event_at, found[0][1])
        if recorded is None:
            raise NotFound(f"no consent record {number} of this person")
        return receipt_of_record(recorded)

    async def proof(self, subject: bytes, number: int) -> Proof:
        """One record's proof, as the API gives it; NotFound."""
        trees = self.api.proving.trees()
        await self.api.indexed()
        return await asyncio.to_thread(self.api.proving.prove, subject, number, trees)

    def _subscriptions(self, subject: bytes) -> list[SubscriptionView]:
        register = self._from.register
        ids = list(register.of_person.get(subject, {}))[-_SUBSCRIPTIONS:]
        return [SubscriptionView.of(register, register.subscriptions[id]) for id in ids[::-1]]

    async def _notices(self, inspected: Inspected) -> dict[str, NoticePublished]:
        """The texts that the shown records refer to, where they were shown by our own page."""
        shown = (one.event for one in inspected.records)
        hashes = dict.fromkeys(one.notice for one in shown if one is not None and one.notice)
        seqs = {one: self._from.notices[one] for one in hashes if one in self._from.notices}

        def read() -> dict[str, NoticePublished]:
            found = {one: self.api.journal.event_at(seq) for one, seq in seqs.items()}
            return {
                one: recorded.payload
                for one, recorded in found.items()
                if recorded is not None and isinstance(recorded.payload, NoticePublished)
            }

        return await asyncio.to_thread(read)

    async def _read(self, ask: Callable[[sa.Connection], _T]) -> _T:
        def in_thread() -> _T:
            with self.api.reader.begin() as connection:
                return ask(connection)

        return await asyncio.to_thread(in_thread)


def subject_of(text: str) -> bytes:
    """A pseudonym in an address; NotFound for what cannot be one."""
    try:
        subject = bytes.fromhex(text) if text == text.lower() and len(text) == 32 else b""
    except ValueError:
        subject = b""
    if len(subject) != 16:
        raise NotFound("expected a pseudonym of 32 hexadecimal digits; look a person up by POST")
    return subject


def file_of(document: Struct) -> bytes:
    """A receipt or a proof as a file."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
