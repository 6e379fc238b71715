"""Whose turn it is among campaigns that are asked before the auction.

A *sponsorship* has a share of the views that it may have: one number between 0 and 1, drawn once
for a request, falls into the share of one sponsor, or of none. A *guaranteed* campaign takes part
in as many requests as its delivery needs: each has a number of its own drawn for the request.
The draws follow from the request's auction id, so that they can be repeated from the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

from ringwork.ads.model import Campaign

ONE_PPM: Final = 1_000_000


def draw_ppm(auction_id: bytes, campaign_id: str = "") -> int:
    """A number from 0 to 999,999, the same for the same request and campaign."""
    digest = hashlib.blake2b(auction_id + campaign_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") * ONE_PPM >> 64


class Turns:
    """Who of those that are asked first takes part in one request."""

    def __init__(self, auction_id: bytes, rate_ppm: Callable[[str], int]) -> None:
        """``rate_ppm``: of a guaranteed campaign, the share of requests that it needs, in 1e-6."""
        self.auction_id = auction_id
        self._rate_ppm = rate_ppm
        self._taken: dict[str, bool] = {}
        self._shared_ppm = 0

    def out_of_turn(self, campaigns: Iterable[Campaign]) -> dict[str, str]:
        """Those of ``campaigns``, best first, that stand back in this request -> why."""
        reasons = {"sponsorship": "share", "guaranteed": "pacing"}
        return {
            one.id: reasons[one.priority]
            for one in campaigns
            if one.priority in reasons and not self._takes_part(one)
        }

    def _takes_part(self, campaign: Campaign) -> bool:
        taken = self._taken.get(campaign.id)
        if taken is None:
            taken = self._taken[campaign.id] = self._drawn(campaign)
        return taken

    def _drawn(self, campaign: Campaign) -> bool:
        if campaign.priority == "guaranteed":
            return draw_ppm(self.auction_id, campaign.id) < self._rate_ppm(campaign.id)
        begin_ppm, self._shared_ppm = self._shared_ppm, self._shared_ppm + (campaign.share_ppm or 0)
        return begin_ppm <= draw_ppm(self.auction_id) < self._shared_ppm
