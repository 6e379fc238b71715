"""The keys that the fairness audit log was, is and will be signed with: public key -> its secret.

Which one is in force the log alone says. A secret is on disk before the log names its public key:
a crash between the two leaves a key that nobody uses, and never a log that nobody can sign.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec.structs import replace

from ringwork.app.secrets import FILE_NAME, Secrets, write
from ringwork.fairness.log import Signer
from ringwork.kernel.errors import Conflict, Refused, StorageFull
from ringwork.kernel.ports import Entropy

KEYS_MAX: Final = 1000
"""Of one log: eighty years of a key a month."""


class LogKeys:
    """Secrets stay in here; what signs is handed out."""

    def __init__(self, data_dir: Path, secrets: Secrets, entropy: Entropy) -> None:
        self._path = data_dir / FILE_NAME
        self._secrets = secrets
        self._entropy = entropy
        self.first = Signer(secrets.fairness_log)
        """What a log begins with."""
        held = [self.first, *map(Signer, secrets.fairness_log_rotated)]
        self._signers = {one.public: one for one in held}

    def of(self, public_key: str) -> Signer:
        """What signs under a public key. Refused (log-key) where its secret is not kept here."""
        signer = self._signers.get(public_key)
        if signer is None:
            raise Refused(
                "log-key",
                f"{FILE_NAME} has not the secret of the key {public_key}, which the audit log is "
                "signed with: restore it from a backup that was made after the key came into force",
                status=409,
                title="Another key signs this log",
            )
        return signer

    def add(self) -> Signer:
        """A new key, on disk when this returns.

        Raises Conflict (rule-violated) past ``KEYS_MAX``, StorageFull where the disk refuses it.
        """
        rotated = self._secrets.fairness_log_rotated
        if len(self._signers) >= KEYS_MAX:
            raise Conflict("rule-violated", f"expected at most {KEYS_MAX:,} keys of one log")
        seed = self._entropy.take(32)
        grown = replace(self._secrets, fairness_log_rotated=(*rotated, seed))
        try:
            write(self._path, grown)
        except OSError as error:
            raise StorageFull(f"{FILE_NAME} cannot be written: {error.strerror}") from error
        self._secrets, signer = grown, Signer(seed)
        self._signers[signer.public] = signer
        return signer
