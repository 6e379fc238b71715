"""One server per data directory: a lock that dies with its process and says who holds it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.app.settings import Settings
from ringwork.kernel.errors import Busy, ConfigurationError

FILE_NAME: Final = "LOCK"
SOCKET_NAME: Final = "admin.sock"
SOCKET_PATH_MAX: Final = 107
"""Bytes in the address of a unix socket on Linux, without its closing zero."""
ASKED_S: Final = 0.25
"""Who asks for the holder holds the lock for microseconds; a start waits that out."""


class Holder(Struct, frozen=True):
    """Who has the data directory."""

    pid: int
    started_us: int
    url: str
    socket: str
    """Path of the owner-only socket that takes commands.

    Empty for a command that holds it alone.
    """


@contextmanager
def hold(settings: Settings, *, serves: bool = True) -> Iterator[None]:
    """Hold the data directory, made if need be; Busy names the holder when there is one."""
    data = settings.data_path
    socket = str((data / SOCKET_NAME).resolve()) if serves else ""
    if len(os.fsencode(socket)) > SOCKET_PATH_MAX:
        raise ConfigurationError(
            f"data = {str(data)!r}: {socket} is longer than the {SOCKET_PATH_MAX} bytes that a "
            "unix socket's path may have; choose a shorter directory"
        )
    descriptor = _open_to_hold(data)
    try:
        if not _is_taken(descriptor):
            raise Busy(_in_use(data, _read(data)))
        holder = Holder(
            os.getpid(), time.time_ns() // 1000, settings.http.public_url_or_own, socket
        )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, msgspec.json.encode(holder), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder_of(data: Path) -> Holder | None:
    """The live server on the data directory; None when nobody holds it.

    Raises Busy when a command holds it that takes no others.
    """
    try:
        descriptor = os.open(data / FILE_NAME, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _read(data)
        if holder is None or not holder.socket:
            raise Busy(_in_use(data, holder)) from None
        return holder
    else:
        return None
    finally:
        os.close(descriptor)


def _open_to_hold(data: Path) -> int:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(data / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise ConfigurationError(
            f"data = {str(data)!r}: not a directory that can be written: {error.strerror}"
        ) from None


def _is_taken(descriptor: int) -> bool:
    until_ns = time.monotonic_ns() + int(ASKED_S * 1e9)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic_ns() >= until_ns:
                return False
            time.sleep(ASKED_S / 25)  # flock itself waits without a bound
        else:
            return True


def _read(data: Path) -> Holder | None:
    try:
        return msgspec.json.decode((data / FILE_NAME).read_bytes(), type=Holder)
    except msgspec.DecodeError:
        return None  # between taking the lock and saying so


def _in_use(data: Path, holder: Holder | None) -> str:
    who = "another process"
    if holder is not None:
        since = datetime.fromtimestamp(holder.started_us / 1e6, UTC)
        what = f"serves {holder.url}" if holder.socket else "runs a command"
        who = f"process {holder.pid}, which {what} since {since:%Y-%m-%d %H:%M:%S} UTC"
    return f"{data} is in use by {who}; stop it, or choose another directory with --data"
