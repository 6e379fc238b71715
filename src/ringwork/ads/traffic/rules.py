"""General invalid traffic (GIVT): the rules, each with its code, its reason and whom it may wrong.

After the MRC's Invalid Traffic Detection and Filtration Standards Addendum (2020): what routine
means can find, lists and counts, is *general*; what hides on purpose (people for hire, malware in
real browsers, rotating household addresses) is *sophisticated* and is not found here. An
impression, a click or a viewable impression that is found invalid is recorded, charges nothing and
is counted apart; a click still leads to its landing page, so that a wrong verdict costs money and
annoys nobody. The rules look at one beacon and at counts in bounded memory; none looks at who
somebody is.

- ``invalid-agent-missing``: no user agent. May wrong: tools that remove it, which are rare.
- ``invalid-agent-declared``: the name of a crawler or a program. It says so itself.
- ``invalid-agent-headless``: a browser without a screen. May wrong: screenshots for a report.
- ``invalid-prefetch``: fetched ahead (``Sec-Purpose``), shown to nobody yet.
- ``invalid-data-centre``: a network of the operator's list. May wrong: people behind a VPN or a
  relay there; a ``!`` line excepts it.
- ``invalid-too-soon``: an impression sooner than an ad can travel and be drawn. Nobody, at 5 ms:
  our tag in Chromium over loopback, without a network between, takes 70 ms at the least.
- ``invalid-click-too-soon``: a click within 100 ms of its impression. May wrong: a tap meant for
  what was there before, an accident that is not worth its price.
- ``invalid-click-unseen``: a click whose impression was never reported. May wrong: who blocks
  beacons and not ads.
- ``invalid-burst``: impressions a minute of one place, network and agent. May wrong: a school, an
  operator's gateway, where many share an address and an agent; hence the high bound.
- ``invalid-click-rate``: clicks beyond what chance gives at the highest honest rate. May wrong:
  visitors of places that are nearly always clicked; raise the rate.
- ``invalid-auto-refresh``: impressions at one short interval, on and on, without a click. May
  wrong: dashboards that reload, whose ads are not looked at either.
- ``invalid-stacked``: many ads at one moment, again and again, none of them ever seen, where others
  see theirs. May wrong: who never scrolls to the place; hence the long streak. (The MRC counts
  stacking as sophisticated; this finds the crude kind, and its first ads pass.)
"""

from __future__ import annotations

from math import log
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from ringwork.ads.traffic.agents import Automation
from ringwork.ads.traffic.networks import Networks
from ringwork.ads.traffic.sender import Sender

Reason = Literal[
    "invalid-agent-missing",
    "invalid-agent-declared",
    "invalid-agent-headless",
    "invalid-prefetch",
    "invalid-data-centre",
    "invalid-too-soon",
    "invalid-click-too-soon",
    "invalid-click-unseen",
    "invalid-burst",
    "invalid-click-rate",
    "invalid-auto-refresh",
    "invalid-stacked",
]
"""Stable: events carry it, reports group by it. Every one begins with ``INVALID_PREFIX``."""
INVALID_PREFIX: Final = "invalid-"
AFTER_INVALID_CLICK: Final = "invalid-click"
"""Why a conversion is no person's: the click that it is reported for was invalid."""

_BY_AUTOMATION: Final[dict[Automation, Reason]] = {
    "missing": "invalid-agent-missing",
    "declared": "invalid-agent-declared",
    "headless": "invalid-agent-headless",
}
CHANCE_LOG: Final = log(1e-6)
"""A place and network is wronged by the click rate's bound once in a million at most."""


def is_invalid(reason: str) -> bool:
    """Whether an outcome with that reason for charging nothing is invalid traffic."""
    return reason.startswith(INVALID_PREFIX)


class TrafficSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the rules. A bound of 0 turns its rule off."""

    enabled: Annotated[
        bool, Meta(description="Judge beacons, and charge nothing for invalid traffic.")
    ] = True
    data_centre_file: Annotated[
        str, Meta(description="File of data centres' networks, a CIDR a line; `!` excepts one.")
    ] = ""
    soonest_impression_ms: Annotated[
        int, Meta(ge=0, le=60_000, description="An impression sooner after its sale is invalid.")
    ] = 5
    soonest_click_ms: Annotated[
        int, Meta(ge=0, le=60_000, description="A click sooner after its impression is invalid.")
    ] = 100
    clicks_need_impression: Annotated[
        bool, Meta(description="A tag's click before its impression beacon is invalid.")
    ] = True
    burst_per_minute: Annotated[
        int, Meta(ge=0, description="Impressions a minute of one place, network and agent.")
    ] = 120
    click_rate_max_ppm: Annotated[
        int, Meta(ge=0, le=1_000_000, description="The highest honest click rate, in 1e-6.")
    ] = 100_000
    click_rate_window_s: Annotated[
        int, Meta(ge=60, le=86_400, description="Clicks and impressions are compared over this.")
    ] = 3600
    refresh_shortest_s: Annotated[
        int, Meta(ge=0, le=3600, description="Shorter even intervals are no honest refresh.")
    ] = 25
    refresh_times: Annotated[
        int, Meta(ge=2, description="Even intervals in a row that make it an automatic refresh.")
    ] = 20
    stacked_times: Annotated[
        int, Meta(ge=0, description="Unseen stacks of ads in a row from one network.")
    ] = 130
    """At a tenth of the requests seen, 130 in a row unseen have a chance of .9^130 = 1e-6."""


def of_sender(automation: Automation, sender: Sender, data_centres: Networks) -> Reason | None:
    """What a beacon's sender says alone; ``automation`` is how its agent was read."""
    if automation:
        return _BY_AUTOMATION[automation]
    if sender.is_prefetch:
        return "invalid-prefetch"
    if sender.address is not None and sender.address in data_centres:
        return "invalid-data-centre"
    return None


def is_too_soon(since_ms: int, soonest_ms: int) -> bool:
    """Whether less time has passed than it takes; a clock that was set back says nothing."""
    return 0 <= since_ms < soonest_ms


def is_click_outlier(clicks: int, impressions: int, rate: float) -> bool:
    """Whether so many clicks have a chance below one in a million at the highest honest ``rate``.

    The Chernoff bound of the binomial tail, P(X >= k) <= exp(-n KL(k/n || p)): never below the
    tail itself, so that nothing is an outlier here that is none exactly (Hoeffding 1963, th. 1).
    """
    tries = max(clicks, impressions)
    if not 0.0 < rate < 1.0 or clicks <= rate * tries:
        return False
    share = clicks / tries
    divergence = share * log(share / rate)
    if share < 1.0:
        divergence += (1.0 - share) * log((1.0 - share) / (1.0 - rate))
    return -tries * divergence < CHANCE_LOG
