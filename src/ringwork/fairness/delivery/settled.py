"""Whether people are still being told of: what is measured once should be measured whole."""

from __future__ import annotations

from typing import Final

GROWN: Final = 1.1
"""What has become so many times larger has to be still anew."""


class Settled:
    """Remembers what is waited for, and since when it has not grown by a tenth."""

    def __init__(self, still_s: int) -> None:
        self.still_s = still_s
        self._seen: dict[str, tuple[int, int]] = {}
        """Key -> people when it was last seen to grow, and when that was."""

    def has(self, key: str, people: int, now_us: int) -> bool:
        """Whether it is so for ``still_s``; then it is not waited for any more."""
        grown, since_us = self._seen.get(key, (0, now_us))
        if people > GROWN * grown:
            grown, since_us = people, now_us
        self._seen[key] = grown, since_us
        if abs(now_us - since_us) < self.still_s * 1_000_000:
            return False
        del self._seen[key]
        return True
