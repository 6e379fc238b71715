"""How likely what a pricing charges for is, for every ad of a table and one request.

A version of the response model (``ads.rank``) gives log-odds in three parts: of the request, of the
ad, and of both together, the last within ``clip``. So an ad that is known by its own part cannot
pass a bound, and every request raises or lowers all bounds of a pricing by one factor at most: what
the shift of its log-odds, in whole knots of the calibration, can make of any probability in the
range that occurs. Within a cell between knots both curves are straight, so that their ratio is
greatest at a knot.

A request's part is computed twice: from all its features for the usual ads, and from those that a
special ad may be scored by (``features.special_values``). Which of them an ad is given, its code in
the table says; there is no other way from a request to a special ad's probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringwork.ads.model import Campaign, Context, Creative, Slot
from ringwork.ads.rank import calibrate, features
from ringwork.ads.rank.snapshot import TIERS, HeadSnapshot, Snapshot, Tier

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

HEAD_NAMES: Final = ("click", "viewable", "completed", "conversion")
HEADS_OF: Final = {
    "cpm": (),
    "cpc": ("click",),
    "cpa": ("click", "conversion"),
    "vcpm": ("viewable",),
    "cpv": ("completed",),
}
"""Pricing -> the heads whose probabilities multiply to that of what it charges for."""
TIER: Final[Tier] = "less_personalised"
"""Nobody is known here: the request's own circumstances are all that is used."""
KEPT_MAX: Final = 20_000
"""Circumstances whose log-odds are kept; past that they are computed anew."""
_ONE_PPB: Final = 10**9


def head_numbers(pricing: str) -> tuple[int, ...]:
    """The numbers, in ``HEAD_NAMES``, of the heads of a pricing."""
    return tuple(HEAD_NAMES.index(name) for name in HEADS_OF[pricing])


class Circumstances:
    """What a request brings to every probability in it."""

    __slots__ = ("crosses", "logits", "ratios")

    def __init__(self, crosses: Ints, logits: Floats, ratios: Floats) -> None:
        self.crosses = crosses
        """The request's halves of the cross features: [usual or special ads, cross]."""
        self.logits = logits
        """[usual or special ads, head]."""
        self.ratios = ratios
        """By code: by how much its bounds may rise, at most."""


class Scorer:
    """One version of the model, as a table of ads needs it."""

    def __init__(self, snapshot: Snapshot, pricings: Sequence[str]) -> None:
        """``pricings``: of every code (``table.CODES``), its first half the usual ads'."""
        self.version = snapshot.version
        self._heads: list[HeadSnapshot] = [snapshot.head(name) for name in HEAD_NAMES]
        tier = TIERS.index(TIER)
        self.tables: Ints = np.ascontiguousarray([head.tables[tier] for head in self._heads])
        self.weights = np.ascontiguousarray([head.weights for head in self._heads])
        self.clips: Floats = np.array([head.clip for head in self._heads])
        self.pricing_heads: Ints = np.full((len(pricings), 2), -1, np.int64)
        for number, pricing in enumerate(pricings):
            wanted = head_numbers(pricing)
            self.pricing_heads[number, : len(wanted)] = wanted
        self._kept: dict[tuple[str, ...], Circumstances] = {}
        self._low: Floats = np.zeros(len(HEAD_NAMES))
        self._high: Floats = np.zeros(len(HEAD_NAMES))

    # ---- ads ------------------------------------------------------------------------------------

    def logits(self, keys: Ints) -> Floats:
        """[head, ad]: every ad's own part, from its keys."""
        return np.stack([head.ad_logits(keys) for head in self._heads])

    def sigma(self, pricing: int, keys: Ints) -> float:
        """How uncertain the log-odds of an ad's response are; 0 where none is paid for."""
        variance = 0.0
        for head in self.pricing_heads[pricing].tolist():
            if head >= 0:
                variance += float(self._heads[head].ad_sigmas(keys[None, :])[0]) ** 2
        return math.sqrt(variance)

    def reach_ppb(self, pricing: Ints, logits: Floats) -> Ints:
        """The most, in 1e-9, that each ad's probability can be in the model's usual circumstances.

        Notes the range of the ads' log-odds, which the bounds of requests rest on.
        """
        reach = np.full(len(pricing), _ONE_PPB, np.int64)
        for number, heads in enumerate(self.pricing_heads.tolist()):
            of = np.flatnonzero(pricing == number)
            for head in heads:
                if head < 0 or not len(of):
                    continue
                most = self._heads[head].prior + logits[head, of] + self.clips[head]
                self._low[head] = min(self._low[head], float(logits[head, of].min()))
                self._high[head] = max(self._high[head], float(logits[head, of].max()))
                p_ppb = calibrate.apply(self.tables[head], most) + 1
                reach[of] = np.minimum(reach[of] * p_ppb // _ONE_PPB + 1, _ONE_PPB)
        return reach

    # ---- requests -------------------------------------------------------------------------------

    def of_request(self, context: Context, slot: Slot) -> Circumstances:
        """What the request brings; kept, because the same circumstances come again."""
        values = features.context_values(context, slot)
        kept = self._kept.get(values)
        if kept is None:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            kept = self._kept[values] = self._computed(values)
        return kept

    def _computed(self, values: tuple[str, ...]) -> Circumstances:
        keys = np.stack(
            [features.context_keys(one) for one in (values, features.special_values(values))]
        )
        logits = np.array([[head.context_logit(row) for head in self._heads] for row in keys])
        codes = len(self.pricing_heads)
        ratios = np.ones(codes)
        for code, heads in enumerate(self.pricing_heads.tolist()):
            for head in heads:
                if head >= 0:
                    ratios[code] *= self._ratio(head, logits[2 * code // codes, head])
        crosses = np.ascontiguousarray(keys[:, -features.CROSS_COUNT :])
        return Circumstances(crosses, logits, ratios)

    def _ratio(self, head: int, logit: float) -> float:
        """By how much ``logit`` instead of the prior raises any ad's bound, at most."""
        shift = math.ceil((logit - self._heads[head].prior) * calibrate.PER_UNIT)
        base = self._heads[head].prior + self.clips[head] - calibrate.LOWEST
        first = math.floor((base + self._low[head]) * calibrate.PER_UNIT)
        last = math.ceil((base + self._high[head]) * calibrate.PER_UNIT)
        knots = np.arange(first, last + 1)
        table = self.tables[head]
        before = table[np.clip(knots, 0, calibrate.BINS)]
        after = table[np.clip(knots + shift, 0, calibrate.BINS)]
        # The tail's ads came after the range was noted; they are searched whole and need no bound.
        return float((after / before).max()) * (1 + 1e-9)


def keys_of(creative: Creative, campaign: Campaign) -> Ints:
    """What a model knows an ad by."""
    keys: Ints = features.ad_keys([features.ad_values(creative, campaign)])[0]
    return keys
