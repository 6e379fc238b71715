"""From a viewer to the terms of a request: signals, ledger and subscription, looked up together."""

from __future__ import annotations

from pathlib import Path

from ringwork.app.consent import Consent
from ringwork.app.settings import Settings
from ringwork.consent import gvl
from ringwork.consent.errors import SignalError
from ringwork.consent.gvl import VendorLists
from ringwork.consent.ledger import ConsentLedger
from ringwork.consent.policy import TermsOf
from ringwork.consent.signals import Reading
from ringwork.consent.subscriptions.register import Register
from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.ports import Clock
from ringwork.kernel.purpose import Terms
from ringwork.kernel.viewer import Viewer


class RequestTerms:
    """Decides for every ad request; a call is what ``flow.serve_ad`` begins with."""

    def __init__(
        self,
        settings: Settings,
        *,
        consent: Consent,
        ledger: ConsentLedger,
        subscriptions: Register,
        clock: Clock,
    ) -> None:
        """Raises ConfigurationError for a vendor list that cannot be read."""
        self._clock = clock
        self._subject_of = consent.consents.subject_of
        self._is_ads_free = subscriptions.is_ads_free
        self._terms_of = TermsOf(
            state=ledger.state,
            authority=consent.grants,
            reading=Reading(
                vendor_id=settings.choice.vendor_id or None,
                gdpr_default=settings.consent.gdpr_applies_by_default,
            ),
            lists=_vendor_lists(settings.consent.vendor_lists),
            visit_window_s=settings.ads.visit_window_s,
        )

    def __call__(self, viewer: Viewer, *, request_id: bytes) -> Terms:
        """The terms of one request; never an error, whatever its signals hold."""
        now_us = self._clock.wall_us()
        subject, ads_free = None, ""
        if viewer.person:
            subject = self._subject_of(viewer.person)
            ads_free = self._is_ads_free(subject, viewer.site, now_us)
        return self._terms_of(
            subject,
            viewer.signals,
            viewer.where,
            now_us=now_us,
            request_id=request_id,
            ads_free=ads_free,
        )


def _vendor_lists(folder: str) -> VendorLists | None:
    if not folder:
        return None
    lists = VendorLists()
    for path in sorted(Path(folder).glob("*.json")):
        try:
            lists.add(gvl.load(path.read_bytes()))
        except OSError as error:
            raise ConfigurationError(f"consent.vendor_lists: {path}: {error.strerror}") from None
        except SignalError as error:
            raise ConfigurationError(f"consent.vendor_lists: {path}: {error}") from None
    if not lists.numbers():
        raise ConfigurationError(f"consent.vendor_lists: no vendor list (*.json) in {folder}")
    return lists
