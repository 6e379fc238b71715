"""Regions of IP addresses from a MaxMind-DB file, which its publisher replaces now and then.

Any file in the format's usual layout will do (GeoLite2, DB-IP, IP2Location); none comes with the
platform. The reader is the package ``maxminddb`` (the extra ``geo``), imported when a file is
opened. Look-ups keep nothing of the address. The file is mapped into memory: replace it by a
rename, as its publishers' updaters do; cutting it short in place ends the process (SIGBUS).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ringwork.ads.geo import region_of
from ringwork.ads.model import Region
from ringwork.kernel.errors import ConfigurationError

if TYPE_CHECKING:
    from maxminddb import Reader

_log = logging.getLogger(__name__)

_Signature = tuple[int, int, int]
_MAPPED: Final = "::ffff:"
"""An IPv4 client of a socket for both versions; not every file has these twice."""


class GeoFile:
    """An ``ads.geo.Locate``: an address as text -> its region, or None."""

    def __init__(self, path: Path) -> None:
        """Open the file; ConfigurationError where it, or its reader, is not there or is broken."""
        self._path = path
        self._signature = _signature(path)
        self._reader = _opened(path)

    def __call__(self, address: str) -> Region | None:
        """The region of an address, None for an unknown one and for text that is none."""
        if address.startswith(_MAPPED) and "." in address:
            address = address[len(_MAPPED) :]
        try:
            return region_of(self._reader.get(address))
        except (ValueError, RuntimeError):
            # No address, an IPv6 one in a file of IPv4; or a record that is broken inside a file
            # that opened, which maxminddb says with a RuntimeError: not worth a request.
            return None

    def reload_if_changed(self) -> bool:
        """Take the file anew where it was replaced; whether it was.

        A new file that cannot be read leaves the old one in use, and is said once, in the log.
        Call it every minute or so, beside the request path: it asks the file system.
        """
        try:
            signature = _signature(self._path)
            if signature == self._signature:
                return False
            self._signature = signature
            self._reader = _opened(self._path)
        except ConfigurationError as error:
            _log.warning("%s; the regions of the file before it stay in use", error)
            return False
        return True


def _signature(path: Path) -> _Signature:
    """What tells a replaced file from the one before."""
    try:
        found = path.stat()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; expected a MaxMind-DB file") from error
    return found.st_ino, found.st_mtime_ns, found.st_size


def _opened(path: Path) -> Reader:
    try:
        import maxminddb  # noqa: PLC0415  # only where a file is configured
    except ImportError as error:
        raise ConfigurationError(
            f"{path}: needs the package maxminddb: pip install 'ringwork[geo]'"
        ) from error
    try:
        return maxminddb.open_database(path)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise ConfigurationError(f"{path}: {error}; expected a MaxMind-DB file") from error
