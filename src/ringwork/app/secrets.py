"""Secrets of one installation: made on first start, owner-only, never printed, never in the log."""

from __future__ import annotations

import hmac
import os
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.ports import Entropy

FILE_NAME: Final = "secrets.json"


class Secrets(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """256-bit keys, each for one purpose."""

    pseudonym: bytes
    """Keys the pseudonyms of subjects."""
    beacon: bytes
    """Signs beacon tokens."""
    session: bytes
    """Signs console sessions."""
    fingerprint: bytes
    """Keys the fingerprints of command bodies in the log."""
    consent: bytes = b""
    """Signs the days of the consent ledger (Ed25519 seed)."""
    fairness: bytes = b""
    """Keys the clusters of requests and the control arm."""
    fairness_log: bytes = b""
    """Signs the fairness audit log (Ed25519 seed), until another key is in force."""
    fairness_log_rotated: tuple[bytes, ...] = ()
    """The seeds that came after it, oldest first: the log says whose turn it is.

    None is thrown away: the log's file is rebuilt with the keys that signed it."""

    def __repr__(self) -> str:
        return "Secrets()"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """What ``rich`` prints in place of the other."""
        return []


_MADE: Final = tuple(one.name for one in msgspec.structs.fields(Secrets) if one.type is bytes)
"""Those that every installation has."""


def load_or_make(data_dir: Path, entropy: Entropy) -> Secrets:
    """The installation's secrets; a file that others can read is refused.

    Secrets that an older version did not have are added to the file.
    """
    path = data_dir / FILE_NAME
    secrets = read(path) if path.exists() else Secrets(b"", b"", b"", b"")
    missing = [name for name in _MADE if not getattr(secrets, name)]
    if missing:
        secrets = replace(secrets, **{name: entropy.take(32) for name in missing})
        write(path, secrets)
    return secrets


def read(path: Path) -> Secrets:
    """The secrets of a directory as they are."""
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(
            f"{path}: others can read it; expected mode 0600: chmod 600 {path}"
        )
    try:
        return msgspec.json.decode(path.read_bytes(), type=Secrets)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{path}: {error}; restore it from a backup") from error


def write(path: Path, secrets: Secrets) -> None:
    """Complete and on disk when this returns; else what was there before. Raises OSError."""
    partial = path.with_suffix(".new")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(secrets))
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # or a power cut could bring the old file back
    finally:
        os.close(directory)


class Pseudonyms:
    """Subject -> 16 bytes, keyed, so that the log and its readers never hold the subject itself."""

    def __init__(self, secret: bytes) -> None:
        self._keyed = hmac.new(secret, digestmod=sha256)

    def __call__(self, subject: str) -> bytes:
        """HMAC-SHA-256 of the subject, first 16 bytes."""
        keyed = self._keyed.copy()  # its key is laid out already: an ad request needs one of these
        keyed.update(subject.encode())
        return keyed.digest()[:16]
