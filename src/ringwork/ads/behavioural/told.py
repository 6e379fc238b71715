"""What core services tell of people, into the log: sealed, under a pseudonym."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

import msgspec

from ringwork.ads.behavioural.events import PURPOSE, Done, PersonActed
from ringwork.ads.behavioural.requests import PersonEvent
from ringwork.ads.personal import Personal
from ringwork.ads.special_topics import SPECIAL_TOPICS
from ringwork.kernel.errors import Conflict, Fault
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Command
from ringwork.kernel.viewer import PERSON_PREFIX

Consented = Callable[[bytes, int], bool]
"""(pseudonym, now in us) -> whether what the person does may be kept for advertising."""
AHEAD_S: Final = 300
"""How far a service's clock may be ahead of ours."""


class PeopleTold:
    """Records what people did."""

    def __init__(
        self,
        *,
        personal: Personal,
        ids: IdGenerator,
        services: frozenset[str],
        retention_s: int,
        consented: Consented,
        special_topics: Collection[str] = SPECIAL_TOPICS,
    ) -> None:
        """``services``: the core services of the platform; ``special_topics``: never recorded."""
        self._special_topics = special_topics
        self._personal = personal
        self._ids = ids
        self._services = services
        self._retention_s = retention_s
        self._consented = consented

    def record(self, command: Command, events: Sequence[PersonEvent]) -> int:
        """Record those of people who consented, but of special topics; returns how many.

        Raises Conflict ``rule-violated`` that names each fault, and records nothing then.
        """
        faults = [
            fault
            for number, one in enumerate(events)
            for fault in self._faults(f"/events/{number}", one, command.now_s)
        ]
        if faults:
            text = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults[:5])
            raise Conflict("rule-violated", text, errors=faults)
        recorded = 0
        for one in events:
            if one.topic in self._special_topics:
                continue  # what is not kept can be made no profile of
            pseudonym = self._personal.pseudonym(PERSON_PREFIX + one.person)
            if not self._consented(pseudonym, command.ts_us):
                continue
            recorded += 1
            event_id = self._ids.new()
            done = Done(one.kind, one.topic, one.at_us // 1_000_000)
            subject, sealed = self._personal.seal_bytes(
                pseudonym,
                msgspec.msgpack.encode(done),
                event_id=event_id,
                member="details",
            )
            command.record(
                PersonActed(one.service, sealed),
                event_id=event_id,
                subject=subject,
                purpose=PURPOSE,
            )
        return recorded

    def _faults(self, pointer: str, event: PersonEvent, now_s: int) -> Iterator[Fault]:
        if event.service not in self._services:
            known = ", ".join(sorted(self._services))
            text = f"expected one of the core services {known}, got {event.service!r}"
            yield Fault(f"{pointer}/service", text)
        at_s = event.at_us // 1_000_000
        if at_s > now_s + AHEAD_S:
            text = f"{at_s - now_s} s ahead of this server's clock; at most {AHEAD_S} are taken"
            yield Fault(f"{pointer}/at_us", text)
        elif at_s <= now_s - self._retention_s:
            text = f"{now_s - at_s} s ago; the history keeps {self._retention_s} s"
            yield Fault(f"{pointer}/at_us", text)
