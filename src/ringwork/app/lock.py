"""One server per data directory: a lock that dies with its process and says who holds it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.app.settings import Settings
from ringwork.kernel.errors import Busy

FILE_NAME: Final = "LOCK"
SOCKET_NAME: Final = "admin.sock"


class Holder(Struct, frozen=True):
    """Who has the data directory."""

    pid: int
    url: str
    socket: str
    """Path of the owner-only socket that takes commands.

    Empty for a command that holds it alone.
    """


@contextmanager
def hold(settings: Settings, *, serves: bool = True) -> Iterator[None]:
    """Hold the data directory; Busy names the holder when another process has it."""
    data = settings.data_path
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(_in_use(data, _read(data))) from None
        socket = str((data / SOCKET_NAME).resolve()) if serves else ""
        holder = Holder(os.getpid(), settings.http.public_url_or_own, socket)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, msgspec.json.encode(holder), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder_of(data: Path) -> Holder | None:
    """The live server on the data directory; None when nobody holds it."""
    path = data / FILE_NAME
    if not path.exists():
        return None
    descriptor = os.open(path, os.O_RDWR)
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


def _read(data: Path) -> Holder | None:
    try:
        return msgspec.json.decode((data / FILE_NAME).read_bytes(), type=Holder)
    except msgspec.DecodeError:
        return None


def _in_use(data: Path, holder: Holder | None) -> str:
    who = "another process" if holder is None else f"process {holder.pid} ({holder.url})"
    return f"{data} is in use by {who}; stop it, or choose another directory with --data"
