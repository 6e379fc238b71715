"""The choice page on this platform's stores."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from litestar.types import ControllerRouterHandler

from ringwork.ads.catalogue import Catalogue
from ringwork.app.platform import Platform
from ringwork.consent.choice.http import choice_routes
from ringwork.consent.choice.lanes import ChoiceLanes
from ringwork.consent.choice.service import Choices, Held
from ringwork.consent.choice.texts import Offer
from ringwork.consent.choice.visits import Property, Seals, Visits
from ringwork.consent.subscriptions.model import ANY_REGION, Plan, PlanPrice
from ringwork.consent.subscriptions.register import Register
from ringwork.web.lane import Lane

_PURPOSE: Final = b"choice page"
"""What the key of its forms is derived for, from the secret of sessions."""


class SoldPlans:
    """The plans that are sold, as the choice page offers them."""

    def __init__(self, register: Register, currency: str) -> None:
        self._register = register
        self._currency = currency

    def offer(self, site: str, *, region: str, channel: str, now_us: int) -> Offer | None:
        """The cheapest that covers the site; of equal ones the first by its id."""
        found: list[tuple[int, str, Plan, PlanPrice]] = []
        for plan in self._register.plans.values():
            if plan.properties and site not in plan.properties:
                continue
            wanted = (plan.id, region or ANY_REGION, channel, self._currency)
            held = self._register.prices.in_force(*wanted, now_us)
            if held is not None:
                found.append((held.price.price_nanos, plan.id, plan, held.price))
        if not found:
            return None
        _, _, sold, price = min(found, key=lambda one: one[:2])
        return Offer(
            plan=sold.id,
            currency=price.currency,
            price_nanos=price.price_nanos,
            period=sold.period,
            extra_account_nanos=price.extra_account_nanos,
            tax_included=price.tax_included,
        )

    def covers(self, subject: bytes, site: str, now_us: int) -> bool:
        return bool(self._register.is_ads_free(subject, site, now_us))


class ChoicePage:
    """The choice page's lanes and handlers, on one set of seals."""

    def __init__(self, platform: Platform) -> None:
        settings, memory = platform.settings, platform.memory
        self._platform = platform
        self._url = settings.http.public_url_or_own
        self._seals = Seals(hmac.digest(platform.secrets.session, _PURPOSE, sha256))
        self._visits = Visits(self._seals, _properties(memory.catalogue))
        self._choices = Choices(
            Held(
                platform.consent.consents,
                memory.consent,
                memory.choice_showings,
                SoldPlans(memory.subscriptions, settings.ads.currency),
            ),
            journal=platform.journal,
            entropy=platform.entropy,
            settings=settings.choice,
            lock_us=settings.consent.lock_us,
            tenant=settings.tenant,
        )

    def person_of_link(self, link: str, publisher_id: str, now_us: int) -> str:
        """Whom a link names, where it is that publisher's and holds; empty: nobody."""
        return self._visits.person_of(link, publisher_id, now_us=now_us)

    def lanes(self) -> Sequence[Lane]:
        """For everybody."""
        return ChoiceLanes(
            choices=self._choices,
            visits=self._visits,
            seals=self._seals,
            clock=self._platform.clock,
            settings=self._platform.settings.choice,
            public_url=self._url,
        ).lanes()

    def routes(self) -> list[ControllerRouterHandler]:
        """For publishers' servers."""
        platform = self._platform
        showings = platform.memory.choice_showings
        return choice_routes(self._visits, showings, platform.journal, self._url)


def _properties(catalogue: Catalogue) -> Callable[[str], Property | None]:
    """The publishers of the catalogue, as the choice page knows them."""

    def property_of(publisher_id: str) -> Property | None:
        found = catalogue.publishers.get(publisher_id)
        return None if found is None else Property(found.id, found.name, tuple(found.origins))

    return property_of
