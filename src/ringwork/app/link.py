"""What the serving process and its follower say to each other: lines of JSON on a socket pair.

The socket is also the leash: it closes when either process ends, however it ends, and the other one
notices at once.
"""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.kernel.ports import Head
from ringwork.storage.standing import Standing

SERVERS_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""They may reach both processes; the server answers, and its follower obeys the socket alone."""
LINE_MAX_BYTES: Final = 64 * 1024
"""No message is longer: names and errors of a few projections, clipped by who sends them."""
ERROR_MAX_CHARS: Final = 500
"""What is told of an error; the follower's own log line has it all."""


class Begin(Struct, frozen=True, tag="begin"):
    """The first message to a follower: where to work, and how far the log is durable."""

    data: str
    log_level: str
    snapshot_events: int
    """Events between two snapshots, at least."""
    head: Head
    history_rows: int
    """Rows of ``history.db`` that are kept of a person."""
    learns: bool = True
    """Whether the response model is learned: not where no ads are sold."""


class Announce(Struct, frozen=True, tag="announce"):
    """The log is durable up to here."""

    head: Head


class Finish(Struct, frozen=True, tag="finish"):
    """The log ends here: save a last snapshot and end."""

    head: Head


ToFollower = Begin | Announce | Finish


class Learned(Struct, frozen=True):
    """How far the response model's learner is; as it begins, where nothing was told yet."""

    seq: int = 0
    """It has learned from every event up to this one."""
    version: int = 0
    """The version that the log says was published last, as far as that."""
    written: int = 0
    """The newest version that is on disk."""
    fresh: int = 0
    """Impressions and responses since ``version``."""
    rows: Mapping[str, int] = {}
    """Head -> rows learned."""
    tiers: Mapping[str, int] = {}
    """Tier of the request -> impressions learned from."""


class Progress(Struct, frozen=True):
    """What the follower has done, sent whenever it differs from what was sent before."""

    standing: Standing
    snapshot_trouble: str = ""
    """Why no snapshot can be made; empty when all is well."""
    learned: Learned = Learned()


_encoder: Final = msgspec.json.Encoder()
_to_follower: Final = msgspec.json.Decoder(ToFollower)
_progress: Final = msgspec.json.Decoder(Progress)


def encode(message: ToFollower | Progress) -> bytes:
    """The message as a line."""
    return _encoder.encode(message) + b"\n"


def decode_progress(line: bytes) -> Progress:
    """A follower's line. Raises msgspec.DecodeError for what is none, a torn line for example."""
    return _progress.decode(line)


class ServerGone(Exception):
    """The serving process closed its end, most likely by ending."""


class FollowerEnd:
    """The follower's end of the socket pair: blocking, one thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._torn = b""

    def receive(self, wait_s: float | None) -> list[ToFollower]:
        """Everything that has arrived; waits for the first at most ``wait_s`` (None: for ever).

        Raises ServerGone.
        """
        if not select.select([self._socket], [], [], wait_s)[0]:
            return []
        try:
            arrived = self._socket.recv(LINE_MAX_BYTES)
        except ConnectionError:
            arrived = b""
        if not arrived:
            raise ServerGone
        *lines, self._torn = (self._torn + arrived).split(b"\n")
        return [_to_follower.decode(line) for line in lines]

    def send(self, progress: Progress) -> None:
        """Tell the server. Raises ServerGone."""
        try:
            self._socket.sendall(encode(progress))
        except ConnectionError as error:
            raise ServerGone from error
