"""A key store in memory: real encryption, keys that live as long as the process."""

from __future__ import annotations

from ringwork.kernel.errors import SealBroken
from ringwork.kernel.ports import Entropy
from ringwork.storage.sealing import KEY_BYTES, KEY_ID_BYTES, decrypt, seal_with, split_sealed


class MemoryKeyStore:
    """Data keys per subject; an erased key leaves its id, so that its values read as erased."""

    def __init__(self, *, entropy: Entropy) -> None:
        self._entropy = entropy
        self._current: dict[bytes, bytes] = {}
        self._keys: dict[tuple[bytes, bytes], bytes | None] = {}

    def seal(self, subject: bytes, plain: bytes, *, context: bytes) -> bytes:
        key_id = self._current.get(subject)
        if key_id is None:
            key_id = self._current[subject] = self._entropy.take(KEY_ID_BYTES)
            self._keys[subject, key_id] = self._entropy.take(KEY_BYTES)
        key = self._keys[subject, key_id]
        assert key is not None, "a subject's current key is never an erased one"
        return seal_with(key_id, key, plain, context=context, entropy=self._entropy)

    def unseal(self, subject: bytes, sealed: bytes, *, context: bytes) -> bytes | None:
        key_id, encrypted = split_sealed(sealed)
        try:
            key = self._keys[subject, key_id]
        except KeyError:
            raise SealBroken("a sealed member names a key that its subject never had") from None
        return None if key is None else decrypt(key, encrypted, context=context)

    def erase(self, subject: bytes) -> int:
        key_id = self._current.pop(subject, None)
        if key_id is None:
            return 0
        self._keys[subject, key_id] = None
        return 1

    def holds(self, subject: bytes) -> bool:
        return subject in self._current
