"""``ringwork trace``: the chain of events of one request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ringwork.app.call import call, store_of
from ringwork.app.lock import holder_of
from ringwork.cli.answer import answer_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import counting
from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.ids import parse_id

if TYPE_CHECKING:
    from ringwork.kernel.ports import EventLog, Row


def trace(request_id: str, /, *, options: Options = DEFAULTS) -> None:
    """Show what a request caused, as a tree.

    Asks the running server; without one it reads the log, and changes nothing.

    Example: ringwork trace 019acf2e-8a40-7e21-9c04-5b0c33d1f0aa

    Parameters
    ----------
    request_id:
        The x-request-id of the answer.
    """
    try:
        wanted = parse_id(request_id)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    settings = options.settings()
    data = store_of(settings)
    if holder_of(data) is None:
        found = _read(data / "log", wanted)
    else:
        found = answer_of(call(settings, "GET", f"/v1/traces/{request_id}"))
    options.show(found, "\n".join(_lines(found["roots"], "")))


def _read(directory: Path, request_id: bytes) -> Any:
    from ringwork.app.log_api import LogApi  # noqa: PLC0415  # loads every part
    from ringwork.app.memory import EVENTS  # noqa: PLC0415
    from ringwork.kernel.events import EventTypes  # noqa: PLC0415
    from ringwork.storage.sqlite.reader import SqliteLogReader  # noqa: PLC0415

    reader = SqliteLogReader(directory)

    async def indexed() -> None:
        """There is no writer to wait for."""

    with counting() as progress:
        seqs = list(_seqs(reader.rows(), request_id, lambda at: progress("reading the log", at)))
    log_api = LogApi(
        log=cast("EventLog", reader),  # the half of the port that reads
        types=EventTypes(EVENTS),
        request_seqs=lambda wanted, limit: seqs[:limit],
        indexed=indexed,
    )
    return msgspec.to_builtins(asyncio.run(log_api.trace(request_id)))


def _seqs(rows: Iterator[Row], request_id: bytes, passed: Callable[[int], None]) -> Iterator[int]:
    """Sequence numbers of a request's events; rows without its 16 bytes are not decoded."""
    from ringwork.kernel.events import decode_frames  # noqa: PLC0415

    for row in rows:
        passed(row.first_seq)
        if request_id in row.payload:
            frames = decode_frames(row.payload)
            envelopes = (envelope for frame in frames for envelope in frame.events)
            for seq, envelope in enumerate(envelopes, row.first_seq):
                if envelope.request_id == request_id:
                    yield seq


def _lines(nodes: list[dict[str, Any]], indent: str) -> list[str]:
    lines: list[str] = []
    for node in nodes:
        event = node["event"]
        lines.append(f"{indent}{event['seq']:>10}  {event['type']}  {_short(event['payload'])}")
        lines += _lines(node["caused"], indent + "    ")
    return lines


def _short(payload: dict[str, Any]) -> str:
    shown = {k: v for k, v in payload.items() if v and not isinstance(v, dict | list)}
    return " ".join(f"{name}={value}" for name, value in shown.items())
