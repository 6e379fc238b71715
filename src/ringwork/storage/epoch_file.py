"""The table of epochs as a file that every process of a node maps.

Its content is never needed after a crash (the log counts it again), so it is never synced.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Final, Self

from ringwork.kernel.errors import StorageFull
from ringwork.storage.sqlite.files import is_full

FILE_NAME: Final = "epochs"


class EpochFile:
    """A mapped file of uint32. Use ``open`` in the process that writes, ``read`` in others."""

    def __init__(self, mapped: mmap.mmap) -> None:
        self._mapped = mapped
        self.view = memoryview(mapped).cast("I")

    @classmethod
    def open(cls, path: Path, size: int) -> Self:
        """Map the file to write, made of zeros if need be. Raises StorageFull."""
        if path.exists() and path.stat().st_size != size:
            path.unlink()  # half made, or of another version: it is filled from the log
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # All blocks now: a hole that finds no room when it is written to kills the process.
            os.posix_fallocate(descriptor, 0, size)
            return cls(mmap.mmap(descriptor, size))
        except OSError as error:
            if not is_full(error):
                raise
            raise StorageFull(f"{path}: the disk has no room for {size} bytes") from error
        finally:
            os.close(descriptor)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Map the file of a running server, read-only."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return cls(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Unmap; nobody may look into ``view`` any more."""
        self.view.release()
        self._mapped.close()
