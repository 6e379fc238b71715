"""Keys of personal members in ``keys.db``, wrapped by a key-encryption key that lies outside it.

Erasing a subject overwrites its wrapped key (``secure_delete``, and the WAL is cut); what stays is
the key's id, so that its old values read as erased and not as damaged. Values that are sealed later
get a new key. A copy of the database without the key-encryption key opens nothing.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path
from typing import Final, Self

from ringwork.kernel.errors import Busy, ConfigurationError, SealBroken, StorageFull
from ringwork.kernel.ports import Entropy
from ringwork.storage.sealing import (
    KEY_BYTES,
    KEY_ID_BYTES,
    decrypt,
    encrypt,
    seal_with,
    split_sealed,
)
from ringwork.storage.sqlite.files import connect, is_full, sync_directory

_PRAGMAS: Final = (
    # A reader in the way of an erasure (the WAL must be cut) is waited for this long.
    "busy_timeout=500",
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
)
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS keys(key_id BLOB PRIMARY KEY, subject BLOB NOT NULL, wrapped BLOB)"
    " STRICT",
    "CREATE INDEX IF NOT EXISTS keys_subject ON keys(subject)",
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT",
)


class SqliteKeyStore:
    """Data keys per subject. One thread at a time. Use ``open``."""

    def __init__(self, connection: sqlite3.Connection, kek: bytes, *, entropy: Entropy) -> None:
        self._connection = connection
        self._kek = kek
        self._entropy = entropy

    @classmethod
    def open(cls, path: Path, kek_path: Path, *, entropy: Entropy) -> Self:
        """Open or create the store and, on first use, the key-encryption key.

        Raises ConfigurationError where the key-encryption key is missing, open to others, or not
        the one that this store was made with.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = connect(str(path))
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            for table in _TABLES:
                connection.execute(table)
            return cls(connection, _matching_kek(connection, kek_path, entropy), entropy=entropy)
        except BaseException:
            connection.close()
            raise

    def seal(self, subject: bytes, plain: bytes, *, context: bytes) -> bytes:
        query = "SELECT key_id, wrapped FROM keys WHERE subject = ? AND wrapped IS NOT NULL"
        found = self._connection.execute(query, (subject,)).fetchone()
        if found is None:
            key_id, key = self._new_key(subject)
        else:
            key_id, key = found[0], self._unwrap(subject, found[0], found[1])
        return seal_with(key_id, key, plain, context=context, entropy=self._entropy)

    def unseal(self, subject: bytes, sealed: bytes, *, context: bytes) -> bytes | None:
        key_id, encrypted = split_sealed(sealed)
        query = "SELECT wrapped FROM keys WHERE key_id = ? AND subject = ?"
        found = self._connection.execute(query, (key_id, subject)).fetchone()
        if found is None:
            raise SealBroken("a sealed member names a key that its subject never had")
        if found[0] is None:
            return None
        return decrypt(self._unwrap(subject, key_id, found[0]), encrypted, context=context)

    def erase(self, subject: bytes) -> int:
        statement = "UPDATE keys SET wrapped = NULL WHERE subject = ? AND wrapped IS NOT NULL"
        erased = self._write(statement, (subject,)).rowcount
        # The WAL still holds the page as it was. Cut it every time: an erasure that was interrupted
        # here is finished by repeating it.
        if self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] != 0:
            raise Busy("a reader holds keys.db: the key is deleted, erase again to wipe its traces")
        return erased

    def holds(self, subject: bytes) -> bool:
        query = "SELECT 1 FROM keys WHERE subject = ? AND wrapped IS NOT NULL"
        return self._connection.execute(query, (subject,)).fetchone() is not None

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _new_key(self, subject: bytes) -> tuple[bytes, bytes]:
        key_id, key = self._entropy.take(KEY_ID_BYTES), self._entropy.take(KEY_BYTES)
        wrapped = encrypt(self._kek, key, context=key_id + subject, entropy=self._entropy)
        self._write("INSERT INTO keys VALUES (?, ?, ?)", (key_id, subject, wrapped))
        return key_id, key

    def _write(self, statement: str, parameters: tuple[bytes, ...]) -> sqlite3.Cursor:
        """Execute one write; StorageFull where the disk has no room for it."""
        try:
            return self._connection.execute(statement, parameters)
        except sqlite3.Error as error:
            if not is_full(error):
                raise
            raise StorageFull("the disk of keys.db has no room") from error

    def _unwrap(self, subject: bytes, key_id: bytes, wrapped: bytes) -> bytes:
        return decrypt(self._kek, wrapped, context=key_id + subject)


def _matching_kek(connection: sqlite3.Connection, path: Path, entropy: Entropy) -> bytes:
    stored = connection.execute("SELECT value FROM meta WHERE key = 'kek'").fetchone()
    if stored is not None and not path.exists():
        raise ConfigurationError(
            f"{path}: the key-encryption key of keys.db is missing; restore it (without it no "
            "sealed member can be read)"
        )
    kek = _read_kek(path, entropy)
    fingerprint = hashlib.sha256(b"ringwork-kek-1" + kek).digest()
    if stored is None:
        connection.execute("INSERT INTO meta VALUES ('kek', ?)", (fingerprint,))
    elif stored[0] != fingerprint:
        raise ConfigurationError(f"{path}: not the key-encryption key that keys.db was made with")
    return kek


def _read_kek(path: Path, entropy: Entropy) -> bytes:
    if not path.exists():
        _create_kek(path, entropy.take(KEY_BYTES))
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise ConfigurationError(f"{path}: mode {mode:04o} lets others read it; chmod 600 {path}")
    kek = path.read_bytes()
    if len(kek) != KEY_BYTES:
        raise ConfigurationError(f"{path}: {KEY_BYTES} bytes were expected, it has {len(kek)}")
    return kek


def _create_kek(path: Path, kek: bytes) -> None:
    """Complete and on disk under its name, or not there at all."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(kek)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync_directory(path.parent)
