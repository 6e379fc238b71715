"""Everything that the log holds about a subject, unsealed: the right of access (GDPR, 15 and 20).

The log is read and not the history: for one's own data no grant is needed, and what a projection
forgot may still be in the log. Reading it is bounded per page, as every read of the log is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from ringwork.ads.behavioural.events import PersonActed, PersonReached, decode_done, decode_shown
from ringwork.app.erasure import envelopes
from ringwork.app.log_api import EventView, LogApi, cursor
from ringwork.fairness.delivery.description import Description
from ringwork.fairness.delivery.events import PersonDescribed
from ringwork.kernel.events import Envelope, EventTypes
from ringwork.kernel.ports import EventLog, KeyStore

SCANNED_MAX: Final = 200_000
"""Events that one page looks at; the next one goes on from there."""
ERASED: Final = "[erased]"

_READ_AS: Final[Mapping[tuple[str, str], Callable[[bytes], Any]]] = {
    (PersonActed.TYPE, "details"): decode_done,
    (PersonReached.TYPE, "details"): decode_shown,
    (PersonDescribed.TYPE, "details"): msgspec.msgpack.Decoder(Description).decode,
}
"""(Event, member) -> what its plaintext is, where it is no text."""


class AccessPage(Struct, frozen=True):
    """Events that name a subject, in order; ``next`` is null at the log's end."""

    subject: str
    """Its pseudonym."""
    events: list[EventView]
    next: str | None


class Access:
    """Reads what names a subject."""

    def __init__(
        self,
        *,
        log: EventLog,
        log_api: LogApi,
        types: EventTypes,
        keys: KeyStore,
        pseudonym: Callable[[str], bytes],
    ) -> None:
        self._log = log
        self._log_api = log_api
        self._types = types
        self._keys = keys
        self._pseudonym = pseudonym

    async def page(self, subject: str, *, after_seq: int, limit: int) -> AccessPage:
        """The next events that name the subject, their personal members unsealed."""
        pseudonym = self._pseudonym(subject)
        found, end = await asyncio.to_thread(self._scan, pseudonym, after_seq, limit)
        views = [self._view(envelope, seq, pseudonym) for envelope, seq in found]
        next_ = None if end is None else cursor(self._log.partition, end)
        return AccessPage(pseudonym.hex(), views, next_)

    def _scan(
        self, pseudonym: bytes, after_seq: int, limit: int
    ) -> tuple[list[tuple[Envelope, int]], int | None]:
        found: list[tuple[Envelope, int]] = []
        for envelope, seq in envelopes(self._log.rows(after_seq)):
            if seq <= after_seq:
                continue  # a row holds several
            if envelope.subject == pseudonym:
                found.append((envelope, seq))
            if len(found) == limit or seq - after_seq >= SCANNED_MAX:
                return found, seq
        return found, None

    def _view(self, envelope: Envelope, seq: int, pseudonym: bytes) -> EventView:
        view, event = self._log_api.view(envelope, seq), self._types.decode(envelope)
        for path in event.PERSONAL:
            sealed: object = event
            holder = view.payload
            *parents, name = path.split(".")
            for parent in parents:
                sealed, holder = getattr(sealed, parent), _dict(holder[parent])
            sealed = getattr(sealed, name)
            if isinstance(sealed, bytes):
                context = envelope.id + path.encode()
                plain = self._keys.unseal(pseudonym, sealed, context=context)
                holder[name] = ERASED if plain is None else _read(envelope.type, path, plain)
        return view


def _dict(value: object) -> dict[str, object]:
    assert isinstance(value, dict), "a member with members"
    return value


def _read(type: str, member: str, plain: bytes) -> object:
    read = _READ_AS.get((type, member))
    if read is None:
        return plain.decode()
    told = read(plain)
    return [_named(one) for one in told] if isinstance(told, Iterable) else _named(told)


def _named(value: Struct) -> dict[str, object]:
    return msgspec.structs.asdict(value)
