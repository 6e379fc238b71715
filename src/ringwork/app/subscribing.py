"""Subscriptions in this process: the part's services on its folds, its provider and its clock.

httpx is loaded only where a provider is set.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ringwork.app.settings import Settings
from ringwork.consent.subscriptions.accounts import Accounts
from ringwork.consent.subscriptions.billing import Billing
from ringwork.consent.subscriptions.http import SubscriptionsApi
from ringwork.consent.subscriptions.notices import Notices
from ringwork.consent.subscriptions.register import Register
from ringwork.consent.subscriptions.relay import AT_ONCE, PaymentRelay
from ringwork.consent.subscriptions.service import Subscriptions
from ringwork.kernel.errors import ConfigurationError, Unavailable
from ringwork.kernel.journal import Journal
from ringwork.kernel.ledger import Ledger
from ringwork.kernel.ports import Entropy, KeyStore
from ringwork.web.execute import Executor

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport

    from ringwork.app.payment_http import HttpPayments

LOOK_EVERY_S: Final = 1.0
SECRET_MIN_BYTES: Final = 16

_log: Final = logging.getLogger(__name__)


class Subscribing:
    """``keep`` it as a task in the running loop, ``close`` it before the journal ends."""

    def __init__(
        self,
        settings: Settings,
        *,
        register: Register,
        ledger: Ledger,
        journal: Journal,
        keys: KeyStore,
        pseudonym: Callable[[str], bytes],
        entropy: Entropy,
        network: AsyncBaseTransport | None,
    ) -> None:
        """Raises ConfigurationError for a provider that cannot be asked safely."""
        own = settings.subscriptions
        self._settings = settings
        self._journal = journal
        self._secrets = _secrets_of(own.webhook_secret_file)
        self._provider = _provider_of(settings, network)
        billing = Billing(
            register=register,
            accounts=Accounts(ledger=ledger, ids=journal.ids),
            ids=journal.ids,
            retry_days=own.retry_days,
        )
        self.subscriptions = Subscriptions(
            register=register,
            billing=billing,
            settings=own,
            keys=keys,
            pseudonym=pseudonym,
            ids=journal.ids,
            sells=self._provider is not None,
        )
        self.relay = PaymentRelay(
            register=register,
            billing=billing,
            subscriptions=self.subscriptions,
            provider=self._provider,
            journal=journal,
            entropy=entropy,
            tenant=settings.tenant,
        )
        self._notices = Notices(register=register, billing=billing)

    def api(self, execute: Executor) -> SubscriptionsApi:
        """What the part's handlers work with."""
        return SubscriptionsApi(
            subscriptions=self.subscriptions,
            notices=self._notices,
            journal=self._journal,
            execute=execute,
            tenant=self._settings.tenant,
            webhook_secrets=self._secrets,
            webhook_tolerance_s=self._settings.subscriptions.webhook_tolerance_s,
        )

    async def keep(self) -> None:
        """Renew what is due and ask for what is open, a slice at a time: requests go first."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                while self.relay.renew():  # noqa: ASYNC110  # nothing to wait for
                    await asyncio.sleep(0)
                while await self.relay.work() == AT_ONCE:
                    pass
            except Unavailable:  # the disk is full or the log overloaded: next time
                continue
            except Exception:  # the edge of a task: one payment's bug must not end all renewals
                _log.exception("subscriptions cannot be looked after")

    async def close(self) -> None:
        """Close the connections to the provider."""
        if self._provider is not None:
            await self._provider.close()


def _provider_of(settings: Settings, network: AsyncBaseTransport | None) -> HttpPayments | None:
    own = settings.subscriptions
    if not own.provider_url:
        return None
    parts = urlsplit(own.provider_url)
    if not parts.hostname or not (parts.scheme == "https" or _is_loopback(parts.hostname)):
        raise ConfigurationError(
            f"subscriptions.provider_url: expected https://HOST (http for loopback alone), got "
            f"{own.provider_url!r}"
        )
    from ringwork.app.payment_http import HttpPayments  # noqa: PLC0415  # httpx, only where used

    key = _read(own.provider_key_file, "provider_key_file").decode("ascii", "replace").strip()
    return HttpPayments(
        url=own.provider_url, key=key, timeout_s=own.timeout_ms / 1000, transport=network
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _secrets_of(path: str) -> tuple[bytes, ...]:
    """The webhook's secrets, one a line; none where no file is set, and no notice is taken."""
    if not path:
        return ()
    secrets = tuple(
        one for line in _read(path, "webhook_secret_file").splitlines() if (one := line.strip())
    )
    if not secrets or min(map(len, secrets)) < SECRET_MIN_BYTES:
        raise ConfigurationError(
            f"subscriptions.webhook_secret_file: {path}: expected secrets of at least "
            f"{SECRET_MIN_BYTES} bytes, one a line"
        )
    return secrets


def _read(path: str, setting: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"subscriptions.{setting}: {path or '(empty)'}: {error.strerror}; expected a file"
        ) from None
