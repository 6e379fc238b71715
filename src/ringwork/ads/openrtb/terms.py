"""How this platform bids at exchanges: its seat, its currency, and what it will not take."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct

from ringwork.ads.openrtb.impressions import Imp

US_PER_S: Final = 1_000_000


class Rates(Struct, frozen=True, kw_only=True):
    """Exchange rates: a dated table is used until it is ``max_age_s`` old, then as if absent."""

    as_of_us: int | None
    """When the rates held; a table from the future is not used either. None: agreed for good."""
    units: Mapping[str, Decimal]
    """Currency -> what one unit of it is worth in the platform's currency."""
    max_age_s: int = 3 * 86_400
    """Reference rates are published on working days: three days reach over a weekend."""

    def __post_init__(self) -> None:
        for currency, rate in self.units.items():
            if not (rate.is_finite() and rate > 0):
                raise ValueError(f"the rate of {currency} must be positive, got {rate}")

    def of(self, currency: str, now_us: int) -> Decimal | None:
        """The rate of a currency, or None where it is unknown or too old."""
        return self.current(now_us).get(currency)

    def current(self, now_us: int) -> Mapping[str, Decimal]:
        """All rates, or none where they are too old."""
        if self.as_of_us is None:
            return self.units
        age_us = now_us - self.as_of_us
        return self.units if 0 <= age_us < self.max_age_s * US_PER_S else {}


class BidderTerms(Struct, frozen=True, kw_only=True):
    """What is bid on, and how."""

    currency: str
    seat: str = "ringwork"
    """Its buyer seat: what ``wseat`` must list and ``bseat`` must not."""
    min_tmax_ms: int = 5
    """A request that leaves less time gets no bid: the answer would come too late."""
    hold_s: int = 300
    """Seconds from the bid to its impression where the exchange does not say."""
    max_hold_s: int = 3600
    """The longest that budget is set aside for one impression."""
    rates: Rates | None = None
    """None bids and accepts floors in the platform's currency alone."""
    open_bids: int = 2
    """Bids of the open auction where an impression has deals too: one may be blocked there
    (implementation notes 7.3)."""
    min_refresh_s: int = 0
    """Places that refresh themselves faster get no bid; 0 takes any."""
    complete_supply: bool = False
    """Whether a supply chain that is incomplete gets no bid."""
    blocked_supply: Container[str] = frozenset()
    """Domains (``asi``) of resellers with which nothing is bought."""

    def hold_for_s(self, imp: Imp) -> int:
        """Seconds for which the price of this impression is held (``bid.exp``)."""
        return min(imp.exp or self.hold_s, self.max_hold_s)

    def currency_of_bids(self, accepted: Sequence[str] | None, now_us: int) -> str | None:
        """The currency in which an exchange is answered; None where it accepts none that is known.

        One that lists no currencies is answered in ours.
        """
        if not accepted or self.currency in accepted:
            return self.currency
        return next((one for one in accepted if self.rate(one, now_us) is not None), None)

    def rate(self, currency: str, now_us: int) -> Decimal | None:
        """The rate of another currency, or None where nothing can be exchanged."""
        return None if self.rates is None else self.rates.of(currency, now_us)
