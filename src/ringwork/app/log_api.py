"""The log as a client reads it: pages of events, a live stream, the trace of one request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.kernel.errors import Fault, Invalid, NotFound
from ringwork.kernel.events import Envelope, EventTypes, UnknownEvent, decode_frames
from ringwork.kernel.ids import format_id, parse_id
from ringwork.kernel.ports import EventLog
from ringwork.web.sse import HEARTBEAT, HEARTBEAT_S, message

SCANNED_MAX: Final = 50_000
"""Events looked at for one page: a rare filter gets short pages, not a long wait."""
CURSOR: Final = r"^(0|[0-9]{1,6}-[0-9]{1,18})$"
"""The form of a cursor, for the documents."""
TRACE_MAX: Final = 2_000
"""Events of one trace; a request has about ten."""
STREAM_POLL_S: Final = 0.25
STREAM_PAGE: Final = 500


class EventView(Struct, kw_only=True):
    """An event with named members; ids are text, sealed members are ``[sealed]``."""

    partition: int
    seq: int
    id: str
    ts_us: int
    type: str
    version: int
    request_id: str
    cause_id: str | None
    tenant: str
    subject: str | None
    purpose: str | None
    payload: dict[str, object]


class EventPage(Struct):
    """Events in order; ``next`` continues, and is null only on an empty page at the log's end."""

    events: list[EventView]
    next: str | None


class TraceNode(Struct):
    """An event and what it caused."""

    event: EventView
    caused: list[TraceNode]


class Trace(Struct):
    """The events of a request: those without a cause among them first, each with what it caused."""

    request_id: str
    events: int
    roots: list[TraceNode]


class LogQuery(Struct, frozen=True, kw_only=True):
    """Filters that are left empty do not restrict."""

    after: str = "0"
    limit: int = 100
    type: str = ""
    request_id: str = ""
    subject: str = ""


RequestSeqs = Callable[[bytes, int], list[int]]
"""(request id, limit) -> sequence numbers of its events, ascending; from the projection."""


class LogApi:
    """Reads the durable log. Long reads run in a thread."""

    def __init__(
        self,
        *,
        log: EventLog,
        types: EventTypes,
        request_seqs: RequestSeqs,
        indexed: Callable[[], Awaitable[None]],
    ) -> None:
        """``indexed``: resolves when what was acknowledged is durable and in the projections."""
        self._log = log
        self._types = types
        self._request_seqs = request_seqs
        self._indexed = indexed
        self.is_closing = False

    async def events(self, query: LogQuery) -> EventPage:
        """One page."""
        after = seq_of(query.after)
        matches = _filter(query)
        if query.request_id:
            wanted = await self._of_request(_id(query.request_id, "query/request_id"))
            found = [view for view in wanted if view.seq > after and matches(view)]
            page = found[: query.limit]
            return EventPage(page, cursor(self._log.partition, page[-1].seq) if page else None)
        return await asyncio.to_thread(self._page, after, query.limit, matches)

    async def trace(self, request_id: bytes) -> Trace:
        """The tree of a request's events; NotFound when there are none."""
        views = await self._of_request(request_id)
        if not views:
            raise NotFound(f"no events of request {format_id(request_id)}")
        nodes = {view.id: TraceNode(view, []) for view in views}
        roots: list[TraceNode] = []
        for node in nodes.values():
            parent = nodes.get(node.event.cause_id or "")
            (roots if parent is None else parent.caused).append(node)
        return Trace(format_id(request_id), len(views), roots)

    async def stream(self, last_event_id: str | None) -> AsyncIterator[bytes]:
        """Events after a cursor (or from now on) as they become durable, with heartbeats."""
        if last_event_id is None:
            after = self._log.head.seq
        else:
            after = seq_of(last_event_id, pointer="header/Last-Event-ID")
        return self._follow(after)

    async def _follow(self, after: int) -> AsyncIterator[bytes]:
        quiet_s = 0.0
        while not self.is_closing:
            if self._log.head.seq > after:
                page = await asyncio.to_thread(self._page, after, STREAM_PAGE, lambda view: True)
                for view in page.events:
                    yield message(
                        msgspec.json.encode(view),
                        id=cursor(view.partition, view.seq),
                        event=view.type,
                    )
                    after = view.seq
                quiet_s = 0.0
                continue
            await asyncio.sleep(STREAM_POLL_S)
            quiet_s += STREAM_POLL_S
            if quiet_s >= HEARTBEAT_S:
                quiet_s = 0.0
                yield HEARTBEAT

    async def _of_request(self, request_id: bytes) -> list[EventView]:
        await self._indexed()
        return await asyncio.to_thread(self._read_request, request_id)

    def _read_request(self, request_id: bytes) -> list[EventView]:
        views: list[EventView] = []
        last = 0
        for seq in self._request_seqs(request_id, TRACE_MAX):
            if seq <= last:
                continue  # its whole row was read already
            for number, envelope in self._row_of(seq):
                last = number
                if envelope.request_id == request_id:
                    views.append(self.view(envelope, number))
        return views

    def _row_of(self, seq: int) -> Iterator[tuple[int, Envelope]]:
        for row in self._log.rows(seq - 1):
            number = row.first_seq
            for frame in decode_frames(row.payload):
                for envelope in frame.events:
                    yield number, envelope
                    number += 1
            return

    def _page(self, after: int, limit: int, matches: Callable[[EventView], bool]) -> EventPage:
        found: list[EventView] = []
        seq = after
        for row in self._log.rows(after):
            seq = row.first_seq - 1
            for frame in decode_frames(row.payload):
                for envelope in frame.events:
                    seq += 1
                    if seq > after:
                        view = self.view(envelope, seq)
                        if matches(view):
                            found.append(view)
                        if len(found) == limit or seq - after >= SCANNED_MAX:
                            return EventPage(found, cursor(self._log.partition, seq))
        at_end = not found and seq <= after
        return EventPage(found, None if at_end else cursor(self._log.partition, seq))

    def view(self, envelope: Envelope, seq: int) -> EventView:
        """An event as clients see it."""
        event = self._types.decode(envelope)
        if isinstance(event, UnknownEvent):
            payload: dict[str, object] = {"raw": event.raw.hex()}
        else:
            payload = _named(event.members(), event.PERSONAL)
        return EventView(
            partition=self._log.partition,
            seq=seq,
            id=format_id(envelope.id),
            ts_us=envelope.ts_us,
            type=envelope.type,
            version=envelope.version,
            request_id=format_id(envelope.request_id),
            cause_id=format_id(envelope.cause_id) if envelope.cause_id else None,
            tenant=envelope.tenant,
            subject=envelope.subject.hex() if envelope.subject else None,
            purpose=envelope.purpose,
            payload=payload,
        )


def cursor(partition: int, seq: int) -> str:
    """Opaque: clients send it back, never read it."""
    return f"{partition}-{seq}"


def seq_of(text: str, *, pointer: str = "query/after") -> int:
    """The sequence number of a cursor; ``0`` is the start. Invalid for anything else."""
    if re.fullmatch(CURSOR, text) is None:
        fault = Fault(pointer, "expected 0 or a cursor from `next` or an event stream")
        raise Invalid(f"{fault.pointer}: {fault.detail}", [fault])
    return int(text.rpartition("-")[2])


def _id(text: str, pointer: str) -> bytes:
    try:
        return parse_id(text)
    except ValueError as error:
        raise Invalid(f"{pointer}: {error}", [Fault(pointer, str(error))]) from None


def _filter(query: LogQuery) -> Callable[[EventView], bool]:
    return lambda view: (
        (not query.type or view.type == query.type)
        and (not query.subject or view.subject == query.subject)
    )


def _named(members: dict[str, object], personal: tuple[str, ...]) -> dict[str, object]:
    plain = msgspec.to_builtins(members, builtin_types=(bytes,))
    for path in personal:
        *parents, name = path.split(".")
        holder = plain
        for parent in parents:
            holder = holder[parent]
        if holder.get(name) is not None:
            holder[name] = "[sealed]"
    shown = _shown(plain)
    assert isinstance(shown, dict)
    return shown


def _shown(value: object) -> object:
    """Bytes as text: 16 bytes are an id, others hex."""
    if isinstance(value, bytes):
        return format_id(value) if len(value) == 16 else value.hex()
    if isinstance(value, dict):
        return {str(key): _shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return value
