"""Findings kept for a day: within a visit the same signals come with every request.

Whole strings recur among people as well: since 2021 a TC string's dates are days, so that all who
answered alike to one publisher's question on one day send the same. What is kept is exactly what
``find`` says, and only where it says so at every moment of the day.
"""

from __future__ import annotations

from typing import Final

from ringwork.consent.gvl import VendorLists
from ringwork.consent.signals import DEFAULT_READING, Findings, Reading, find
from ringwork.consent.tcf.rules import DAY_MS
from ringwork.kernel.viewer import Signals

KEPT_MAX: Final = 8_192
"""Then all go: reading them again costs less than knowing which are old. With the next bound, 40 MB
at the very most."""
TEXT_KEPT_MAX: Final = 2_048
"""Characters: longer signals are read every time, so that nobody fills the memory with them."""
SECTIONS_KEPT_MAX: Final = 32


class DailyFindings:
    """``find`` with a memory: the same answers, most of them at once."""

    def __init__(
        self, *, reading: Reading = DEFAULT_READING, lists: VendorLists | None = None
    ) -> None:
        self._reading = reading
        self._lists = VendorLists() if lists is None else lists
        self._kept: dict[Signals, Findings] = {}
        self._day = self._edition = 0

    def __call__(self, signals: Signals, now_ms: int) -> Findings:
        """What all signals together say at ``now_ms``."""
        day, edition = now_ms // DAY_MS, self._lists.edition
        if day != self._day or edition != self._edition:
            self._kept.clear()
            self._day, self._edition = day, edition
        found = self._kept.get(signals)
        if found is None:
            found = find(signals, now_ms, reading=self._reading, lists=self._lists)
            if found.holds_all_day and _is_small(signals):
                if len(self._kept) >= KEPT_MAX:
                    self._kept.clear()
                self._kept[signals] = found
        return found


def _is_small(signals: Signals) -> bool:
    texts = len(signals.tc) + len(signals.gpp) + len(signals.us_privacy) + len(signals.country)
    return texts <= TEXT_KEPT_MAX and len(signals.gpp_sid) <= SECTIONS_KEPT_MAX
