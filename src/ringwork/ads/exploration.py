"""Trying ads whose response is not known well, in a small share of requests.

In an exploring request the probabilities of the shortlist are drawn from what the model believes of
them (Thompson sampling) before it is ranked again. The draw is logged like any probability, so that
the price stays recomputable, with the chance that the winner had of winning: what off-policy
estimates need (``rank.off_policy``). Requests that do not explore have no propensity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from ringwork.ads import auction
from ringwork.ads.auction import Ranked
from ringwork.ads.model import Slot
from ringwork.ads.rank import explore
from ringwork.kernel.ports import Entropy

if TYPE_CHECKING:
    from ringwork.ads.index import Contender, Index, Shortlist

ONE_PPB: Final = 10**9


def explored(
    shortlist: Shortlist, slot: Slot, index: Index, entropy: Entropy
) -> tuple[list[Ranked], int] | None:
    """(the shortlist ranked by drawn probabilities, the winner's propensity in 1e-9).

    None where nothing is uncertain: nobody on the list is paid by a response, or whoever leads it
    is asked before the auction.
    """
    running = [
        one for one in shortlist.ranked if _contender(shortlist, one).campaign.priority == "price"
    ]
    sigmas = [index.sigma_of(one.candidate.ad_id) for one in running]
    if not any(sigmas) or running[0] is not shortlist.ranked[0]:
        return None
    p_ppb = [one.candidate.p_ppb for one in running]
    drawn = explore.draws(p_ppb, sigmas, entropy=entropy)
    candidates = [replace(one.candidate, p_ppb=p) for one, p in zip(running, drawn, strict=True)]
    again = auction.rank(
        candidate
        for candidate, one in zip(candidates, running, strict=True)
        if auction.value(candidate)
        >= slot.floor_for(_contender(shortlist, one).creative.duration_s)
    )
    if not again:
        return None
    worths = [float(one.candidate.bid_nanos * one.candidate.quality_ppm) for one in running]
    winner = [one.candidate.ad_id for one in running].index(again[0].candidate.ad_id)
    chance = explore.win_chance(winner, explore.means_of(worths, p_ppb, sigmas), sigmas)
    return again, max(min(round(chance * ONE_PPB), ONE_PPB), 1)


def _contender(shortlist: Shortlist, one: Ranked) -> Contender:
    return shortlist.contenders[one.candidate.ad_id]
