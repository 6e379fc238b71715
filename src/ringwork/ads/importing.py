"""Bulk import: many lines of the catalogue as a series of small commands under one key.

A line says its type and has the members of the POST of that type. Lines are applied in order, each
an effect of its own: one that is refused undoes no other. They are committed a frame at a time,
each under the key of the whole import and its own number, so that an import that broke off goes on
where it stopped when it is sent again, and answers as the first would have. Between two frames
everybody else has a turn: no ad request waits for more than one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.ads.import_lines import (
    IMPORT_LINES_MAX,
    AdvertiserLine,
    CampaignLine,
    CreativeLine,
    Imported,
    ImportedLine,
    Line,
    LineStatus,
    PlacementLine,
    PublisherLine,
    SiteLine,
)
from ringwork.ads.index import MERGE_AT, Index
from ringwork.ads.lifecycle import Actor
from ringwork.ads.management import Management
from ringwork.kernel.errors import Fault, Invalid, Overloaded, Refused, Unavailable
from ringwork.kernel.journal import Command
from ringwork.kernel.ports import Clock
from ringwork.web.execute import Answer, Executor, Intent
from ringwork.web.idempotency import in_flight
from ringwork.web.problems import TYPE_PREFIX, Problem
from ringwork.web.strict import decode

FRAME_LINES: Final = 12
"""Lines of one command, at up to 300 us each: an ad request that comes meanwhile waits 4 ms."""
FRAME_BYTES: Final = 32 * 1024
"""The same for lines with much to check in them; a single one that is larger is a frame by itself.
"""
FULL_AT: Final = 1_600
"""Ads that may wait for a merge of the index: its tail takes 2,048, and others add to it too."""
IMPORTS_AT_ONCE: Final = 8
"""Imports that may take turns: each holds its whole body."""


class Call(Struct, frozen=True, kw_only=True):
    """Who imports, and under which key."""

    tenant: str
    request_id: bytes
    path: str
    key: str
    actor: Actor


class _Parsed(Struct):
    """A line of a body: what it asks for, or why it cannot be read."""

    number: int
    id: str
    line: Line | None = None
    problem: Problem | None = None


class _Outcomes(Struct, array_like=True):
    """The stored answer of a frame. Ids are in the body, which is the same when sent again."""

    outcomes: list[LineStatus | Problem]


class Importer:
    """Applies imports. One for all requests: their frames take turns."""

    def __init__(
        self, *, management: Management, index: Index, execute: Executor, clock: Clock
    ) -> None:
        self._management = management
        self._index = index
        self._execute = execute
        self._clock = clock
        self._turn = asyncio.Lock()
        self._unmerged = 0
        """At most so many of our ads wait to be merged."""
        self._running: set[tuple[str, str]] = set()

    async def __call__(self, call: Call, body: bytes) -> tuple[Imported, bool]:
        """Apply every line of ``body``; what became of them, and whether that was known before.

        All of it is durable. Raises Invalid for too many lines, a Refused for a key that was used
        for another body or is in use, Unavailable where the disk or the queues are full: what was
        committed by then stays, and the same request again goes on from there.
        """
        lines = body.count(b"\n") + 1
        if lines > IMPORT_LINES_MAX + body.endswith(b"\n"):
            text = f"at most {IMPORT_LINES_MAX} lines a request, got {lines}"
            raise Invalid(f"the body: {text}", [Fault("", text)])
        running = (call.tenant, call.key)
        if running in self._running:
            raise in_flight()
        if len(self._running) >= IMPORTS_AT_ONCE:
            raise Overloaded(f"{IMPORTS_AT_ONCE} imports are running, no more may at once")
        self._running.add(running)
        try:
            # In a thread: it reads all of the body, which is longer than a request may wait.
            digest = await asyncio.to_thread(lambda: sha256(body).hexdigest())
            return await self._apply(call, body, digest)
        finally:
            self._running.discard(running)

    async def _apply(self, call: Call, body: bytes, digest: str) -> tuple[Imported, bool]:
        """Frame after frame: while one is stored, the next is decided."""
        result, is_new = Imported(0, 0, 0, []), False
        waiting: list[tuple[list[_Parsed], asyncio.Task[Answer]]] = []
        try:
            for number, frame in enumerate(_frames(body)):
                async with self._turn:
                    command = self._run(call, frame, number, digest, is_new=is_new)
                    waiting.append((frame, asyncio.create_task(command)))
                    await asyncio.sleep(0)  # it is decided now, and waits for the disk
                    await self._settle()
                if waiting[-1][1].done():
                    waiting[-1][1].result()  # refused: nothing that follows may be decided
                if len(waiting) > 1:  # stored in order: where one is new, all that follow are
                    is_new = not await _take(result, *waiting.pop(0)) or is_new
            for frame, storing in waiting:
                is_new = not await _take(result, frame, storing) or is_new
        finally:
            await asyncio.gather(*(one for _, one in waiting), return_exceptions=True)
        return result, not is_new and bool(result.lines)

    async def _run(
        self, call: Call, frame: Sequence[_Parsed], number: int, digest: str, *, is_new: bool
    ) -> Answer:
        """One frame as a command.

        Its fingerprint is of the whole body and of how it is cut: a key is for one import, and
        what another version cut otherwise is not taken for what this one asks.
        """

        def decide(command: Command) -> tuple[int, Struct]:
            return 200, _Outcomes([self._outcome(command, one, call.actor) for one in frame])

        intent = Intent(
            tenant=call.tenant,
            request_id=call.request_id,
            method="POST",
            path=f"{call.path}#{number}",
            key=call.key,
            body=msgspec.json.encode({"import": digest, "frame": [FRAME_LINES, FRAME_BYTES]}),
        )
        return await self._execute(intent, decide, key_required=True, is_new=is_new)

    def _outcome(self, command: Command, parsed: _Parsed, actor: Actor) -> LineStatus | Problem:
        if parsed.line is None:
            assert parsed.problem is not None, "it was read, or there is a reason"
            return parsed.problem
        try:
            is_new = self._create(command, parsed.line, actor)
        except Unavailable:
            raise  # not about this line: the whole frame is taken back
        except Refused as refused:
            return _problem(refused)
        if is_new:
            self._note(parsed.line)
        return "created" if is_new else "exists"

    def _create(self, command: Command, line: Line, actor: Actor) -> bool:
        management = self._management
        match line:
            case CreativeLine():
                return management.create_creative(command, line, actor)[1]
            case CampaignLine():
                return management.create_campaign(command, line, actor)[1]
            case AdvertiserLine():
                return management.register_advertiser(command, line, actor)[1]
            case PublisherLine():
                return management.register_publisher(command, line, actor)[1]
            case SiteLine():
                return management.register_site(command, line, actor)[1]
            case PlacementLine():
                return management.create_placement(command, line, actor)[1]

    def _note(self, line: Line) -> None:
        """A campaign is known to the index before its ads come, so that each comes once."""
        if isinstance(line, CampaignLine):
            self._follow()
        elif isinstance(line, CreativeLine):
            self._unmerged += 1

    def _follow(self) -> None:
        self._index.follow(self._clock.wall_us() // 1_000_000 * 1_000_000)

    async def _settle(self) -> None:
        """Leave nothing of a frame for the next ad request to do.

        The index takes note of it now, and is merged in a thread before it is full.
        """
        index = self._index
        self._follow()
        if not index.is_worth_merging:  # somebody merged it: what waits is less than is worth it
            self._unmerged = min(self._unmerged, MERGE_AT)
        elif self._unmerged >= FULL_AT:
            self._unmerged = 0
            merge = index.merge()
            await asyncio.to_thread(merge.run)
            index.merged(merge)


def _frames(body: bytes) -> Iterator[list[_Parsed]]:
    """The lines, read, in groups that follow from the body alone: sent again they are the same."""
    frame: list[_Parsed] = []
    lines = size = 0
    for number, text in enumerate(body.split(b"\n"), 1):
        if not text.strip():
            continue
        parsed = _parse(number, text)
        # A contact's key is made durable before it is sealed, which takes as long as many lines.
        is_sealed = isinstance(parsed.line, AdvertiserLine) and parsed.line.contact is not None
        weight = FRAME_LINES if is_sealed else 1
        if frame and (lines + weight > FRAME_LINES or size + len(text) > FRAME_BYTES):
            yield frame
            frame, lines, size = [], 0, 0
        frame.append(parsed)
        lines += weight
        size += len(text)
    if frame:
        yield frame


def _parse(number: int, text: bytes) -> _Parsed:
    try:
        line = decode(text, _line_decoder)
    except Refused as refused:
        return _Parsed(number, _id_of(text), problem=_problem(refused))
    return _Parsed(number, line.id, line)


def _id_of(text: bytes) -> str:
    """The id of a line that is otherwise wrong."""
    try:
        return _id_decoder.decode(text).id[:64]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _problem(refused: Refused) -> Problem:
    return Problem(
        type=TYPE_PREFIX + refused.slug,
        title=refused.title,
        status=refused.status,
        detail=refused.detail,
        errors=list(refused.errors),
    )


async def _take(result: Imported, frame: Sequence[_Parsed], storing: asyncio.Task[Answer]) -> bool:
    """Add a frame's outcomes when they are durable; whether they were known before."""
    answer = await storing
    _add(result, frame, _decoder.decode(answer.body).outcomes)
    return answer.replayed


def _add(
    result: Imported, frame: Sequence[_Parsed], outcomes: Sequence[LineStatus | Problem]
) -> None:
    for parsed, outcome in zip(frame, outcomes, strict=True):
        if isinstance(outcome, Problem):
            result.refused += 1
            result.lines.append(ImportedLine(parsed.number, "refused", parsed.id, outcome))
            continue
        result.created += outcome == "created"
        result.exists += outcome == "exists"
        result.lines.append(ImportedLine(parsed.number, outcome, parsed.id))


class _Named(Struct):
    id: str = ""


_line_decoder: Final[msgspec.json.Decoder[Line]] = msgspec.json.Decoder(Line)
_id_decoder: Final = msgspec.json.Decoder(_Named)
_decoder: Final = msgspec.json.Decoder(_Outcomes)
