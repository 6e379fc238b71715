"""The choice page on this platform's stores."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

from ringwork.ads.catalogue import Catalogue
from ringwork.app.platform import Platform
from ringwork.consent.choice.lanes import ChoiceLanes
from ringwork.consent.choice.service import Choices, Held, Subscriptions
from ringwork.consent.choice.texts import Offer
from ringwork.consent.choice.visits import Property, Seals, Visits

_PURPOSE: Final = b"choice page"
"""What the key of its forms is derived for, from the secret of sessions."""


class NoSubscriptions:
    """Nobody sells subscriptions here: two options are left."""

    def offer(self, publisher: str, *, region: str, channel: str, now_us: int) -> Offer | None:
        return None

    def covers(self, subject: bytes, publisher: str, now_us: int) -> bool:
        return False


def choice_lanes(
    platform: Platform,
    subscriptions: Subscriptions = NoSubscriptions(),  # noqa: B008  # has no state
) -> ChoiceLanes:
    """The lanes of the choice page and its tag."""
    settings = platform.settings
    seals = Seals(hmac.digest(platform.secrets.session, _PURPOSE, sha256))
    choices = Choices(
        Held(
            platform.consents,
            platform.memory.consent,
            platform.memory.choice_showings,
            subscriptions,
        ),
        journal=platform.journal,
        entropy=platform.entropy,
        settings=settings.choice,
        lock_us=settings.consent.lock_us,
        tenant=settings.tenant,
    )
    return ChoiceLanes(
        choices=choices,
        visits=visits_of(platform, seals),
        seals=seals,
        clock=platform.clock,
        settings=settings.choice,
        public_url=settings.http.public_url_or_own,
    )


def visits_of(platform: Platform, seals: Seals) -> Visits:
    """Reads who comes from which publisher of the catalogue."""
    catalogue: Catalogue = platform.memory.catalogue

    def property_of(publisher_id: str) -> Property | None:
        found = catalogue.publishers.get(publisher_id)
        return None if found is None else Property(found.id, found.name, tuple(found.origins))

    return Visits(seals, property_of)
