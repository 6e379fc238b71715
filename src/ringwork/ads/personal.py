"""The few personal members of the ad part's events, sealed before they are recorded.

A member is encrypted under its subject's key and bound to its event and name, so that a ciphertext
cannot be moved; the envelope carries the subject's pseudonym, never the subject. Erasing the key
erases it.
"""

from __future__ import annotations

from collections.abc import Callable

from ringwork.kernel.ports import KeyStore


class Personal:
    """Seals and unseals; the only place of the part that touches keys of subjects."""

    __slots__ = ("_keys", "_pseudonym")

    def __init__(self, keys: KeyStore, pseudonym: Callable[[str], bytes]) -> None:
        """``pseudonym``: subject -> 16 bytes, keyed by the tenant's secret."""
        self._keys = keys
        self._pseudonym = pseudonym

    def seal(
        self, subject: str, plain: str, *, event_id: bytes, member: str
    ) -> tuple[bytes, bytes]:
        """(the subject's pseudonym, the ciphertext)."""
        pseudonym = self._pseudonym(subject)
        return self.seal_bytes(pseudonym, plain.encode(), event_id=event_id, member=member)

    def pseudonym(self, subject: str) -> bytes:
        """The subject's pseudonym."""
        return self._pseudonym(subject)

    def seal_bytes(
        self, pseudonym: bytes, plain: bytes, *, event_id: bytes, member: str
    ) -> tuple[bytes, bytes]:
        """The same of one who is known by a pseudonym."""
        return pseudonym, self._keys.seal(pseudonym, plain, context=event_id + member.encode())

    def unseal(self, subject: str, sealed: bytes, *, event_id: bytes, member: str) -> str | None:
        """What was sealed; None once the subject was erased."""
        plain = self._keys.unseal(
            self._pseudonym(subject), sealed, context=event_id + member.encode()
        )
        return None if plain is None else plain.decode()
