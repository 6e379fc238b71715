"""Is a beacon worth charging for? One verdict each, in constant time and bounded memory.

The verdict goes into the event that the beacon records, so that replay needs no filter, and no
figure changes when a bound does. The memory is not a fold: after a start it fills again within the
rules' windows, an hour at most, in which counting rules find less. It holds counts under keyed
hashes of networks (BLAKE2b with a key of its own, RFC 7693; an IPv4 /24 or an IPv6 /56), with the
agent folded into Python's own keyed 64-bit hash; neither addresses nor agents.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, Literal

from msgspec import Struct

from ringwork.ads.tokens import Claim
from ringwork.ads.traffic.activity import Corner, Crowd, Recent, Tally
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

JUDGED_MAX: Final = 65_536
CROWDS_MAX: Final = 32_768
CORNERS_MAX: Final = 32_768
PLACES_MAX: Final = 4096
"""Entries that are remembered, the ones touched last: 40 MB when all four are full."""

_SEEN_KEPT_MS: Final = 3_600_000
"""For how long a place is known to report what is seen."""


class _Judged(Struct, frozen=True, gc=False):
    at_ms: int
    reason: Reason | None


class TrafficFilter:
    """Judges beacons; not thread-safe, like the state it stands beside."""

    def __init__(self, *, key: bytes, settings: TrafficSettings, data_centres: Networks) -> None:
        """``key``: 16 to 64 random bytes, made at every start and kept nowhere."""
        if not 16 <= len(key) <= 64:
            raise ValueError(f"the key has {len(key)} bytes, expected 16 to 64")
        self.counts: dict[tuple[Beacon, Reason | None], int] = {}
        """(beacon, why invalid or None) -> verdicts since the start."""
        self._key = key
        self._settings = settings
        self._data_centres = data_centres
        self._rate = settings.click_rate_max_ppm / 1_000_000
        self._rate_window_ms = settings.click_rate_window_s * 1000
        self._refresh_shortest_ms = settings.refresh_shortest_s * 1000
        self._judged: Recent[tuple[bytes, Beacon], _Judged] = Recent(JUDGED_MAX)
        self._crowds: Recent[tuple[str, bytes, int], Crowd] = Recent(CROWDS_MAX)
        self._corners: Recent[tuple[str, bytes], Corner] = Recent(CORNERS_MAX)
        self._seen_ms: Recent[str, int] = Recent(PLACES_MAX)

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
        key = (claim.impression_id, beacon)
        judged = self._judged.get(key)
        if judged is not None:
            return judged.reason
        reason = self._reason(claim, beacon, sender, at_ms, was_shown)
        self._judged.put(key, _Judged(at_ms, reason))
        self.counts[(beacon, reason)] = self.counts.get((beacon, reason), 0) + 1
        return reason

    def _reason(
        self, claim: Claim, beacon: Beacon, sender: Sender, at_ms: int, was_shown: bool
    ) -> Reason | None:
        reason = of_sender(sender, self._data_centres)
        if reason is not None:
            return reason
        if beacon == "impression":
            return self._of_impression(claim, sender, at_ms)
        shown = self._judged.get((claim.impression_id, "impression"))
        if shown is not None and shown.reason is not None:
            return shown.reason
        if beacon == "click":
            return self._of_click(claim, sender, at_ms, shown, was_shown)
        self._saw(claim, sender, at_ms)
        return None

    def _of_impression(self, claim: Claim, sender: Sender, at_ms: int) -> Reason | None:
        settings, place = self._settings, claim.placement or claim.publisher_id
        if not sender.by_server:
            since_ms = at_ms - id_time_us(claim.impression_id) // 1000
            if is_too_soon(since_ms, settings.soonest_impression_ms):
                return "invalid-too-soon"
        if sender.address is None:
            return None
        network = self._network(sender.address)
        crowd, corner = (
            self._crowd(claim, place, network, sender, at_ms),
            self._corner(place, network),
        )
        corner.impressions.add(at_ms, self._rate_window_ms)
        is_stacked = corner.impression(claim.auction_id, at_ms)
        a_minute = crowd.impression(
            claim.auction_id, at_ms, refresh_shortest_ms=self._refresh_shortest_ms
        )
        if settings.burst_per_minute and a_minute > settings.burst_per_minute:
            return "invalid-burst"
        if crowd.even >= settings.refresh_times:
            return "invalid-auto-refresh"
        if is_stacked and 0 < settings.stacked_times <= corner.unseen:
            seen_ms = self._seen_ms.get(place)
            if seen_ms is not None and at_ms - seen_ms < _SEEN_KEPT_MS:
                return "invalid-stacked"
        return None

    def _of_click(
        self, claim: Claim, sender: Sender, at_ms: int, shown: _Judged | None, was_shown: bool
    ) -> Reason | None:
        settings, place = self._settings, claim.placement or claim.publisher_id
        # Of an exchange's sale the impression may come by its server, up to a minute later.
        if settings.clicks_need_impression and claim.placement and not was_shown:
            return "invalid-click-unseen"
        if shown is not None and is_too_soon(at_ms - shown.at_ms, settings.soonest_click_ms):
            return "invalid-click-too-soon"
        if sender.address is None:
            return None
        network = self._network(sender.address)
        crowd = self._crowds.get((place, network, hash((network, sender.user_agent))))
        if crowd is not None:
            crowd.click()
        corner = self._corner(place, network)
        corner.seen()
        clicks = corner.clicks.add(at_ms, self._rate_window_ms)
        impressions = corner.impressions.add(at_ms, self._rate_window_ms, 0)
        return "invalid-click-rate" if is_click_outlier(clicks, impressions, self._rate) else None

    def _saw(self, claim: Claim, sender: Sender, at_ms: int) -> None:
        place = claim.placement or claim.publisher_id
        self._seen_ms.put(place, at_ms)
        if sender.address is not None:
            corner = self._corners.get((place, self._network(sender.address)))
            if corner is not None:
                corner.seen()

    def _crowd(self, claim: Claim, place: str, network: bytes, sender: Sender, at_ms: int) -> Crowd:
        key = (place, network, hash((network, sender.user_agent)))
        crowd = self._crowds.get(key)
        if crowd is None:
            crowd = Crowd(claim.auction_id, at_ms, Tally())
            self._crowds.put(key, crowd)
        return crowd

    def _corner(self, place: str, network: bytes) -> Corner:
        key = (place, network)
        corner = self._corners.get(key)
        if corner is None:
            corner = Corner(Tally(), Tally())
            self._corners.put(key, corner)
        return corner

    def _network(self, address: bytes) -> bytes:
        prefix = address[: PREFIX_BYTES[len(address)]]
        return blake2b(prefix, digest_size=8, key=self._key).digest()
