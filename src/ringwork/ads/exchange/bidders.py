"""Outside bidders as an operator configures them: where they are asked, for what, how long."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Final, Literal, get_args
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from ringwork.ads.model import Category, Domain, Url
from ringwork.ads.openrtb.terms import US_PER_S, Rates
from ringwork.kernel.money import Currency

ExternalFormat = Literal["banner", "video", "audio"]
"""What outside bidders are asked for."""
BidderId = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description="names the account `bidder/<id>`; 1 to 40 lower-case letters, digits, '-'",
        examples=["north-dsp"],
    ),
]

FORMATS: Final[frozenset[str]] = frozenset(get_args(ExternalFormat))
ONE_PPM: Final = 1_000_000


class Bidder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One who is asked for bids, and owes what its impressions cost."""

    id: BidderId
    endpoint: Url
    """Takes OpenRTB 2.6 bid requests by POST."""
    seat: Annotated[str, Meta(max_length=64)] = ""
    """The only seat whose bids are taken (``wseat``); empty takes any."""
    formats: Annotated[list[ExternalFormat], Meta(max_length=3)] = []
    """What it sells; empty: all of them."""
    currency: Currency | None = None
    """What it bids in and is told floors in; None: the platform's. Without a current rate for it
    (``exchange.rates``) it is not asked."""
    tmax_ms: Annotated[int, Meta(ge=10, le=5000)] = 150
    """The longest that an ad request waits for it."""
    margin_ms: Annotated[int, Meta(ge=0, le=1000)] = 20
    """What of that is spent on the way there and back: it is told to answer as much earlier."""
    qps_max: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    """Requests a second that it takes; a second's worth may come at once."""
    concurrency_max: Annotated[int, Meta(ge=1, le=1000)] = 64
    """Requests that wait for it at once; the next one is not sent."""
    adjustment_ppm: Annotated[int, Meta(ge=1, le=ONE_PPM)] = ONE_PPM
    """What counts of its bids and is owed, in 1e-6: below one for a bidder that keeps a share."""
    allowed_domains: Annotated[list[Domain], Meta(max_length=1000)] = []
    """Where not empty, the advertisers that are taken from it, with their subdomains."""
    blocked_domains: Annotated[list[Domain], Meta(max_length=1000)] = []
    allowed_categories: Annotated[list[Category], Meta(max_length=1000)] = []
    """Where not empty, a bid needs at least one category and all of its own among these."""
    blocked_categories: Annotated[list[Category], Meta(max_length=1000)] = []
    unlabelled: Literal["refuse", "take"] = "refuse"
    """What becomes of a bid without categories of our taxonomy where categories are blocked: taken
    is it from one who is trusted to have kept to ``bcat``."""
    notice_domains: Annotated[list[Domain], Meta(max_length=20)] = []
    """Where its notices may be sent besides the endpoint's own host. A URL in a response is
    written by others: without this list a server could be made to call any address that it sees."""

    def sells(self, format: str) -> bool:
        """Whether it is asked for ads of a format."""
        return format in (self.formats or FORMATS)

    @property
    def notice_hosts(self) -> tuple[str, ...]:
        """Where its notices may be sent, with their subdomains."""
        return (urlsplit(self.endpoint).hostname or "", *self.notice_domains)


class Rate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one unit of a currency is worth in the platform's (``ads.currency``)."""

    currency: Currency
    rate: Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,12})?$", examples=["0.9171"])]
    """Exact, so a text: what a file's binary fractions would make of it is another number."""


class ExchangeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How outside bidders are asked; without any, nothing is asked and nothing waits."""

    bidders: Annotated[list[Bidder], Meta(max_length=50)] = []
    """Who is asked for bids: ``[[exchange.bidders]]`` with ``id``, ``endpoint`` and what else holds
    for it; none: nothing is asked."""
    rates: Annotated[list[Rate], Meta(max_length=200)] = []
    """What other currencies are worth: ``[[exchange.rates]]`` with ``currency`` and ``rate``, units
    of ``ads.currency`` for one unit of it, as an exact decimal in quotes."""
    rates_as_of: date | None = None
    """The day of the rates, from its beginning in UTC; None: agreed, and good until changed."""
    rates_max_age_s: Annotated[int, Meta(ge=60, le=366 * 86_400)] = 4 * 86_400
    """How long dated rates are used: those of a Friday over the weekend and through Monday."""
    tmax_ms: Annotated[int, Meta(ge=20, le=5000)] = 200
    """The longest that an ad request takes because of bidders, where it does not say."""
    own_margin_ms: Annotated[int, Meta(ge=0, le=1000)] = 10
    """What of that the auction itself needs."""
    secure: bool = True
    """Whether markup that names ``http://`` is refused everywhere, not only where a place says."""
    failures_to_open: Annotated[int, Meta(ge=1, le=1000)] = 10
    """Errors and late answers in a row after which a bidder is left alone."""
    pause_s: Annotated[int, Meta(ge=1, le=3600)] = 5
    """For how long; then one request tries, and each failure doubles the pause."""
    pause_max_s: Annotated[int, Meta(ge=1, le=3600)] = 300
    """The longest pause."""

    def __post_init__(self) -> None:
        ids = [one.id for one in self.bidders]
        if len(set(ids)) < len(ids):
            raise ValueError("every bidder needs an id of its own, got one twice")
        currencies = [one.currency for one in self.rates]
        if len(set(currencies)) < len(currencies):
            raise ValueError("every currency has one rate, got one twice")
        for one in self.rates:
            if not Decimal(one.rate):
                raise ValueError(f"the rate of {one.currency} must be positive, got {one.rate}")

    def table(self) -> Rates:
        """The rates as they are used."""
        day, as_of_us = self.rates_as_of, None
        if day is not None:
            as_of_us = int(datetime.combine(day, time(), UTC).timestamp()) * US_PER_S
        units = {one.currency: Decimal(one.rate) for one in self.rates}
        return Rates(as_of_us=as_of_us, units=units, max_age_s=self.rates_max_age_s)


def lies_in(domain: str, domains: tuple[str, ...] | list[str]) -> bool:
    """Whether it is one of these domains or a subdomain of one.

    >>> lies_in("shop.example.com", ["example.com"]), lies_in("badexample.com", ["example.com"])
    (True, False)
    """
    return any(domain == one or domain.endswith(f".{one}") for one in domains if one)
