"""Is a beacon worth charging for? One verdict each, in constant time and bounded memory.

The verdict goes into the event that the beacon records, so that replay needs no filter, and no
figure changes when a bound does. The memory is not a fold: after a start it fills again within the
rules' windows, an hour at most, in which counting rules find less. That an impression was invalid
is recorded and known to ``Outcomes``, so that no click on it counts after a start either. It holds
counts under keyed hashes of networks (BLAKE2s with a key of its own, RFC 7693; an IPv4 /24 or an
IPv6 /56) and of agents (the interpreter's SipHash, whose key is its own too); neither addresses nor
agents.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import Final, Literal

from msgspec import Struct

from ringwork.ads.tokens import Claim
from ringwork.ads.traffic.activity import Corner, Recent, Tally
from ringwork.ads.traffic.agents import Automation, automation_of
from ringwork.ads.traffic.networks import PREFIX_BYTES, Networks
from ringwork.ads.traffic.rules import (
    Reason,
    TrafficSettings,
    is_click_outlier,
    is_too_soon,
    of_sender,
)
from ringwork.ads.traffic.sender import Sender
from ringwork.kernel.ids import id_time_us

Beacon = Literal["impression", "viewable", "view", "click"]

SALES_MAX: Final = 65_536
CORNERS_MAX: Final = 32_768
PLACES_MAX: Final = 4096
AGENTS_MAX: Final = 4096
"""Entries that are remembered, the newest ones: 42 MiB in all when they are full."""

_SEEN_KEPT_MS: Final = 3_600_000
"""For how long a place is known to report what is seen."""


class _Sale(Struct, gc=False):
    """A sale's verdicts: None not judged yet, empty valid, else why not."""

    shown_ms: int = 0
    impression: Reason | Literal[""] | None = None
    viewable: Reason | Literal[""] | None = None
    view: Reason | Literal[""] | None = None
    click: Reason | Literal[""] | None = None


class TrafficFilter:
    """Judges beacons; not thread-safe, like the state it stands beside."""

    def __init__(self, *, key: bytes, settings: TrafficSettings, data_centres: Networks) -> None:
        """``key``: 16 to 32 random bytes, made at every start and kept nowhere."""
        if not 16 <= len(key) <= 32:
            raise ValueError(f"the key has {len(key)} bytes, expected 16 to 32")
        self.counts: dict[tuple[Beacon, Reason | Literal[""]], int] = {}
        """(beacon, why invalid, empty for valid ones) -> verdicts since the start."""
        # A hash that has taken in its key: copying it costs a third of beginning anew.
        self._keyed = blake2s(key=key, digest_size=8)
        self._settings = settings
        self._data_centres = data_centres
        self._rate = settings.click_rate_max_ppm / 1_000_000
        self._rate_window_ms = settings.click_rate_window_s * 1000
        self._refresh_shortest_ms = settings.refresh_shortest_s * 1000
        self._sales: Recent[bytes, _Sale] = Recent(SALES_MAX)
        self._corners: Recent[tuple[str, bytes], Corner] = Recent(CORNERS_MAX)
        self._seen_ms: Recent[str, int] = Recent(PLACES_MAX)
        self._agents: Recent[int, Automation] = Recent(AGENTS_MAX)

    def judge(
        self,
        claim: Claim,
        beacon: Beacon,
        sender: Sender | None,
        *,
        at_ms: int,
        was_shown: bool = True,
    ) -> Reason | None:
        """Why a beacon is invalid, None for a valid one.

        The same beacon again gets the same verdict and counts nothing, while it is remembered.
        ``sender`` None is the owner's own loopback, which is not judged. ``was_shown``: an
        impression beacon of the sale is recorded, or could be forgotten by now.
        """
        if sender is None or not self._settings.enabled:
            return None
        sale = self._sales.kept.get(claim.impression_id)
        if sale is None:
            sale = _Sale()
            self._sales.put(claim.impression_id, sale)
        given: Reason | Literal[""] | None = getattr(sale, beacon)
        if given is None:
            given = self._reason(claim, beacon, sender, at_ms, was_shown, sale) or ""
            setattr(sale, beacon, given)
            self.counts[(beacon, given)] = self.counts.get((beacon, given), 0) + 1
        return given or None

    def _reason(
        self,
        claim: Claim,
        beacon: Beacon,
        sender: Sender,
        at_ms: int,
        was_shown: bool,
        sale: _Sale,
    ) -> Reason | None:
        agent = hash((sender.user_agent, sender.brands))
        automation = self._agents.kept.get(agent)
        if automation is None:
            automation = automation_of(sender.user_agent, sender.brands)
            self._agents.put(agent, automation)
        if sender.by_server and not sender.user_agent:
            automation = ""  # a server that names no device says nothing by that
        reason = of_sender(automation, sender, self._data_centres)
        if reason is not None:
            return reason
        if beacon == "impression":
            sale.shown_ms = at_ms
            return self._of_impression(claim, sender, agent, at_ms)
        if sale.impression:
            return sale.impression
        if beacon == "click":
            # Of an exchange's sale the impression may come by its server, up to a minute later.
            if self._settings.clicks_need_impression and claim.placement and not was_shown:
                return "invalid-click-unseen"
            since_ms = at_ms - sale.shown_ms
            if is_too_soon(since_ms, self._settings.soonest_click_ms):
                return "invalid-click-too-soon"
            return self._of_click(claim, sender, agent, at_ms)
        self._saw(claim, sender, at_ms)
        return None

    def _of_impression(self, claim: Claim, sender: Sender, agent: int, at_ms: int) -> Reason | None:
        settings, place = self._settings, claim.placement or claim.publisher_id
        if not sender.by_server:
            since_ms = at_ms - id_time_us(claim.impression_id) // 1000
            if is_too_soon(since_ms, settings.soonest_impression_ms):
                return "invalid-too-soon"
        if sender.address is None:
            return None
        corner, auction_id = self._corner(place, sender.address), claim.auction_id
        corner.impressions.add(at_ms, self._rate_window_ms)
        is_stacked = corner.impression(auction_id, at_ms)
        crowd = corner.crowd(agent, auction_id, at_ms)
        a_minute = crowd.impression(auction_id, at_ms, self._refresh_shortest_ms)
        if a_minute > settings.burst_per_minute > 0:
            return "invalid-burst"
        if crowd.even >= settings.refresh_times:
            return "invalid-auto-refresh"
        if is_stacked and 0 < settings.stacked_times <= corner.unseen:
            seen_ms = self._seen_ms.get(place)
            if seen_ms is not None and at_ms - seen_ms < _SEEN_KEPT_MS:
                return "invalid-stacked"
        return None

    def _of_click(self, claim: Claim, sender: Sender, agent: int, at_ms: int) -> Reason | None:
        if sender.address is None:
            return None
        corner = self._corner(claim.placement or claim.publisher_id, sender.address)
        corner.clicked(agent)
        clicks = corner.clicks.add(at_ms, self._rate_window_ms)
        impressions = corner.impressions.add(at_ms, self._rate_window_ms, 0)
        return "invalid-click-rate" if is_click_outlier(clicks, impressions, self._rate) else None

    def _saw(self, claim: Claim, sender: Sender, at_ms: int) -> None:
        place = claim.placement or claim.publisher_id
        self._seen_ms.put(place, at_ms)
        if sender.address is not None:
            self._corner(place, sender.address).seen()

    def _corner(self, place: str, address: bytes) -> Corner:
        keyed = self._keyed.copy()
        keyed.update(address[: PREFIX_BYTES[len(address)]])
        key = (place, keyed.digest())
        corner = self._corners.get(key)
        if corner is None:
            corner = Corner(Tally(), Tally(), {})
            self._corners.put(key, corner)
        return corner
