"""Which sold ads already had their impression, click or conversion: what makes each count once.

Ids are kept until no genuine token for them can still be in time. The end follows from the
impression's own id, which carries the time of its sale, so that replay forgets exactly what life
forgot.
"""

from __future__ import annotations

from sys import intern
from typing import ClassVar, Final, Generic, TypeVar

import msgspec

from ringwork.ads.events import (
    BidSettled,
    ClickRecorded,
    ConversionRecorded,
    ImpressionBilled,
    ImpressionMeasured,
    ImpressionUnbilled,
)
from ringwork.ads.traffic.rules import is_invalid
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.ids import id_time_us
from ringwork.kernel.ledger import RETAIN_S

MAX_HOLD_S: Final = RETAIN_S
"""The longest time from a sale to a billable beacon: the ledger remembers a closed hold as long."""
MAX_LATE_S: Final = 3600
MAX_CLICK_WINDOW_S: Final = 30 * 86_400
MAX_CONVERSION_WINDOW_S: Final = 90 * 86_400

INVALID_IMPRESSIONS_MAX: Final = 500_000
"""Invalid impressions that are remembered for their clicks, the newest ones: some 60 MB. A flood of
more is of senders whose clicks are judged invalid by the same rules as their impressions were."""

_BUCKET_S: Final = 600
"""Ids are forgotten together, ten minutes of them at a time."""

_Key = TypeVar("_Key", bytes, str)
_Kept = TypeVar("_Kept", bool, int, bytes)


class _Memory(Generic[_Key, _Kept]):
    """Key -> value, each until its impression's window has passed by the latest time ever seen."""

    __slots__ = ("_ends", "_now_s", "_window_s", "kept")

    def __init__(self, window_s: int) -> None:
        self.kept: dict[_Key, _Kept] = {}
        self._ends: dict[int, list[_Key]] = {}
        self._now_s = 0
        self._window_s = window_s

    def holds(self, impression_id: bytes) -> bool:
        """Whether something about that impression would still be remembered."""
        return self._end(impression_id) > self._now_s // _BUCKET_S

    def keep(self, impression_id: bytes, key: _Key, value: _Kept, now_s: int) -> None:
        """Remember ``key``, and forget what ended by ``now_s``."""
        self.kept[key] = value
        self._ends.setdefault(self._end(impression_id), []).append(key)
        if now_s > self._now_s:
            self._now_s = now_s
            passed = now_s // _BUCKET_S
            for bucket in sorted(bucket for bucket in self._ends if bucket <= passed):
                for ended in self._ends.pop(bucket):
                    self.kept.pop(ended, None)

    def _end(self, impression_id: bytes) -> int:
        return (id_time_us(impression_id) // 1_000_000 + self._window_s) // _BUCKET_S + 1

    def state(self) -> tuple[dict[_Key, _Kept], dict[int, list[_Key]], int]:
        return self.kept, self._ends, self._now_s

    def restore(self, state: tuple[dict[_Key, _Kept], dict[int, list[_Key]], int]) -> None:
        self.kept, self._ends, self._now_s = state


class Outcomes:
    """Impressions, clicks and conversions that count already; a fold of their events."""

    name: ClassVar[str] = "outcomes"
    version: ClassVar[int] = 4
    hears: ClassVar[tuple[type[Event], ...]] = (
        ImpressionBilled,
        ImpressionUnbilled,
        ImpressionMeasured,
        BidSettled,
        ClickRecorded,
        ConversionRecorded,
    )

    def __init__(self) -> None:
        self.clear()

    # ---- asking ---------------------------------------------------------------------------------

    def impression(self, impression_id: bytes) -> bool | None:
        """Whether the impression was billed; None when no beacon of it was recorded."""
        return self._impressions.kept.get(impression_id)

    def invalid_impression(self, impression_id: bytes) -> str:
        """Why the impression is invalid traffic; empty where it is not, or no click could count."""
        return self._invalid_impressions.get(impression_id, "")

    def measured(self, impression_id: bytes, measure: str) -> bool:
        """Whether a beacon of that measure was recorded."""
        return f"{measure} {impression_id.hex()}" in self._notes.kept

    def settled(self, impression_id: bytes, outcome: str) -> bool:
        """Whether an exchange's notice of that kind was recorded."""
        return f"{outcome} {impression_id.hex()}" in self._notes.kept

    def clicked(self, impression_id: bytes) -> bool:
        """Whether a click on the impression was recorded."""
        return impression_id in self._clicks.kept

    def clicked_invalidly(self, impression_id: bytes) -> bool:
        """Whether that click is invalid traffic; known for as long as a conversion may follow."""
        return impression_id in self._invalid_clicks.kept

    def conversion(self, campaign_id: str, conversion_id: str) -> bytes | None:
        """The impression that an advertiser's conversion was recorded for."""
        return self._conversions.kept.get(_conversion_key(campaign_id, conversion_id))

    def still_keeps_impression(self, impression_id: bytes) -> bool:
        """False once a beacon could be forgotten, so that it must not count any more.

        The latest event time decides, not the clock: after the clock was set back, what was
        forgotten stays forgotten.
        """
        return self._impressions.holds(impression_id)

    def still_keeps_click(self, impression_id: bytes) -> bool:
        """The same for a click."""
        return self._clicks.holds(impression_id)

    def still_keeps_conversion(self, impression_id: bytes) -> bool:
        """The same for a conversion."""
        return self._conversions.holds(impression_id)

    # ---- folding --------------------------------------------------------------------------------

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        now_s = recorded.ts_us // 1_000_000
        if isinstance(event, ImpressionBilled | ImpressionUnbilled):
            billed = isinstance(event, ImpressionBilled)
            self._impressions.keep(event.impression_id, event.impression_id, billed, now_s)
            if isinstance(event, ImpressionUnbilled) and is_invalid(event.reason):
                self._keep_invalid(event.impression_id, event.reason, now_s)
        elif isinstance(event, ImpressionMeasured | BidSettled):
            kind = event.measure if isinstance(event, ImpressionMeasured) else event.outcome
            note = f"{kind} {event.impression_id.hex()}"
            self._notes.keep(event.impression_id, note, True, now_s)
        elif isinstance(event, ClickRecorded):
            self._clicks.keep(event.impression_id, event.impression_id, event.charged_nanos, now_s)
            if is_invalid(event.unbilled_reason):
                self._invalid_clicks.keep(event.impression_id, event.impression_id, True, now_s)
        elif isinstance(event, ConversionRecorded):
            key = _conversion_key(event.campaign_id, event.conversion_id)
            self._conversions.keep(event.impression_id, key, event.impression_id, now_s)

    def _keep_invalid(self, impression_id: bytes, reason: str, now_s: int) -> None:
        kept = self._invalid_impressions
        kept[impression_id] = intern(reason)
        while kept:
            oldest = next(iter(kept))
            if len(kept) <= INVALID_IMPRESSIONS_MAX and not _is_past_clicks(oldest, now_s):
                break
            del kept[oldest]

    def clear(self) -> None:
        self._impressions: _Memory[bytes, bool] = _Memory(MAX_HOLD_S + MAX_LATE_S)
        self._notes: _Memory[str, bool] = _Memory(MAX_HOLD_S + MAX_LATE_S)
        """Measures and notices, each by its kind and impression."""
        self._invalid_impressions: dict[bytes, str] = {}
        """Impression -> why it is invalid, in the order in which they were reported."""
        self._clicks: _Memory[bytes, int] = _Memory(MAX_CLICK_WINDOW_S)
        self._invalid_clicks: _Memory[bytes, bool] = _Memory(MAX_CONVERSION_WINDOW_S)
        self._conversions: _Memory[str, bytes] = _Memory(MAX_CONVERSION_WINDOW_S)

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(
            (
                self._impressions.state(),
                self._notes.state(),
                self._invalid_impressions,
                self._clicks.state(),
                self._invalid_clicks.state(),
                self._conversions.state(),
            )
        )

    def load(self, state: bytes) -> None:
        impressions, notes, invalid, clicks, invalid_clicks, conversions = _decoder.decode(state)
        self._impressions.restore(impressions)
        self._notes.restore(notes)
        self._invalid_impressions = {id: intern(reason) for id, reason in invalid.items()}
        self._clicks.restore(clicks)
        self._invalid_clicks.restore(invalid_clicks)
        self._conversions.restore(conversions)


_decoder: Final = msgspec.msgpack.Decoder(
    tuple[
        tuple[dict[bytes, bool], dict[int, list[bytes]], int],
        tuple[dict[str, bool], dict[int, list[str]], int],
        dict[bytes, str],
        tuple[dict[bytes, int], dict[int, list[bytes]], int],
        tuple[dict[bytes, bool], dict[int, list[bytes]], int],
        tuple[dict[str, bytes], dict[int, list[str]], int],
    ]
)


def _is_past_clicks(impression_id: bytes, now_s: int) -> bool:
    """Whether no click on it can count any more, whatever the settings."""
    return id_time_us(impression_id) // 1_000_000 + MAX_CLICK_WINDOW_S < now_s


def _conversion_key(campaign_id: str, conversion_id: str) -> str:
    """An advertiser's conversion ids are its own: two advertisers may both have an order 1."""
    return f"{campaign_id} {conversion_id}"
