"""The consent ledger on the platform's log: epochs, grants and commands, put together."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ringwork.app.erasure import Erasures
from ringwork.app.secrets import Secrets
from ringwork.consent.epochs import TABLE_BYTES, Bumps, Epochs
from ringwork.consent.grants import KEY_BYTES_MIN, GrantAuthority
from ringwork.consent.ledger import ConsentLedger
from ringwork.consent.requests import Receipt
from ringwork.consent.service import Consents
from ringwork.consent.settings import ConsentSettings
from ringwork.consent.signing import Signer
from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.journal import Command, Journal
from ringwork.kernel.ports import Entropy, KeyStore
from ringwork.kernel.viewer import PERSON_PREFIX
from ringwork.storage.epoch_file import FILE_NAME, EpochFile

_log: Final = logging.getLogger(__name__)


class Consent:
    """What the process that holds the log has of consent. ``grants`` verifies and makes grants."""

    def __init__(
        self,
        settings: ConsentSettings,
        *,
        data: Path,
        ledger: ConsentLedger,
        journal: Journal,
        keys: KeyStore,
        pseudonym: Callable[[str], bytes],
        secrets: Secrets,
        entropy: Entropy,
    ) -> None:
        """Raises ConfigurationError for a key that cannot be used, StorageFull."""
        ledger.lasts_us = settings.lasts_us
        self._ledger = ledger
        self._journal = journal
        key = _grant_key(settings, entropy)
        self._file = EpochFile.open(data / FILE_NAME, TABLE_BYTES)
        self.epochs = Epochs(self._file.view)
        ahead = self.epochs.raise_to(ledger.counts)
        if ahead:
            _log.warning(
                "%s: %d places have seen consent records that the log does not have (an older log "
                "was put back?): no personalised ads for their people; remove the file while the "
                "server is stopped to count it again from the log",
                data / FILE_NAME,
                ahead,
            )
        bumps = Bumps(self.epochs)
        journal.when_decided(lambda: bumps.settle(journal.log.head.seq, journal.log.next_seq))
        self.grants = GrantAuthority(key, self.epochs, journal.clock)
        self.consents = Consents(
            ledger=ledger,
            settings=settings,
            keys=keys,
            pseudonym=pseudonym,
            ids=journal.ids,
            bumps=bumps,
            signer=Signer(secrets.consent),
            erase=self._erase,
        )
        self.erasures: Erasures | None = None
        """Set by the composition root: the two know each other."""
        self._receipts: list[Receipt] = []

    def erased(self, command: Command, subject: str, pseudonym: bytes, event_id: bytes) -> None:
        """Follow an erasure: a person's consents end with it."""
        if subject.startswith(PERSON_PREFIX):
            self._receipts = [self.consents.erased(command, pseudonym, event_id)]

    def _erase(self, command: Command, subject: str) -> Receipt:
        assert self.erasures is not None
        self.erasures.erase(command, subject)
        return self._receipts.pop()

    def seal_if_due(self, *, tenant: str) -> None:
        """Sign the records of a day that is over. Raises Unavailable."""
        journal = self._journal
        if not self.consents.is_seal_due(journal.clock.wall_us()):
            return
        with journal.command(tenant=tenant, request_id=journal.ids.new()) as command:
            if self.consents.seal_if_due(command):
                command.commit()

    def close(self) -> None:
        """Unmap the table."""
        with suppress(BufferError):  # somebody looks still: the process ends soon
            self._file.close()


def _grant_key(settings: ConsentSettings, entropy: Entropy) -> bytes:
    """From the file that is set, else random: grants live two seconds, no restart needs them."""
    if not settings.grant_key_file:
        return entropy.take(KEY_BYTES_MIN)
    path = Path(settings.grant_key_file)
    try:
        key, mode = path.read_bytes(), path.stat().st_mode & 0o777
    except OSError as error:
        raise ConfigurationError(f"consent.grant_key_file: {path}: {error.strerror}") from None
    if mode & 0o077:
        raise ConfigurationError(
            f"consent.grant_key_file: {path}: mode {mode:04o} lets others read it; chmod 600 {path}"
        )
    if len(key) < KEY_BYTES_MIN:
        raise ConfigurationError(
            f"consent.grant_key_file: {path}: {KEY_BYTES_MIN} bytes or more were expected, "
            f"it has {len(key)}"
        )
    return key
