"""What the log tells of traffic: the profile that every campaign's plan follows; a fold.

A request is an opportunity, as on the desk. Minutes without one count as long as they may be a
quiet hour; a longer gap is a server that was down, and says nothing of traffic.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from ringwork.ads.events import AuctionCleared
from ringwork.ads.pacing.curve import DAY_MINUTES, Forecast, ProfileState, TrafficProfile
from ringwork.kernel.events import Event, Recorded

_MINUTE_US: Final = 60_000_000
_QUIET_MINUTES: Final = 60
_KEPT_MINUTES: Final = 15
"""A forecast is made anew after so long: it is a mean over weeks."""

State = tuple[ProfileState, int, int, int]


class KnownTraffic:
    """Requests by minute of the week."""

    name: ClassVar[str] = "known-traffic"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (AuctionCleared,)

    def __init__(self) -> None:
        self._profile = TrafficProfile()
        self._minute = -1
        self._came = 0
        self._seen = 0
        """Minutes, of the server's whole life."""
        self._forecast: Forecast | None = None
        self._made = 0

    def apply(self, recorded: Recorded) -> None:
        """Count a request."""
        minute = recorded.ts_us // _MINUTE_US
        if minute == self._minute:
            self._came += 1
        elif minute > self._minute:
            self._close(minute)
            self._minute, self._came = minute, 1
        else:  # the clock was set back: it belongs to the minute that is being counted
            self._came += 1

    def _close(self, minute: int) -> None:
        """Take note of the minutes before ``minute``."""
        if self._minute < 0:
            return
        begin_s = self._minute * 60.0
        self._profile.observe(begin_s, begin_s + 60.0, self._came)
        quiet = minute - self._minute - 1
        self._seen += 1
        if 0 < quiet <= _QUIET_MINUTES:
            self._profile.observe(begin_s + 60.0, minute * 60.0, 0)
            self._seen += quiet

    def forecast(self) -> Forecast | None:
        """What is expected of the weeks to come; None before a whole day was seen.

        Half a day has no shape that the other half would follow.
        """
        if self._seen < DAY_MINUTES:
            return None
        if self._forecast is None or self._minute >= self._made + _KEPT_MINUTES:
            self._forecast, self._made = self._profile.forecast(), self._minute
        return self._forecast

    def clear(self) -> None:
        self._profile = TrafficProfile()
        self._minute = -1
        self._came = 0
        self._seen = 0
        self._forecast = None
        self._made = 0

    def dump(self) -> bytes:
        state: State = self._profile.dump(), self._minute, self._came, self._seen
        return msgspec.msgpack.encode(state)

    def load(self, state: bytes) -> None:
        self.clear()
        profile, self._minute, self._came, self._seen = _decoder.decode(state)
        self._profile = TrafficProfile.restored(profile)


_decoder: Final = msgspec.msgpack.Decoder(State)
