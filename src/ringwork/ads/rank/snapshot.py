"""What requests are scored with: one version of every head, immutable.

A decision logs the version and the probability. The same version (rebuilt by replaying the log, or
kept as ``dump``'s bytes) gives the same probability for the same keys, to the last digit;
``digest`` says whether two versions are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np
from msgspec import Struct

from ringwork.ads.rank import calibrate
from ringwork.ads.rank.engine import warm
from ringwork.ads.rank.features import CROSS_COUNT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Weights = NDArray[np.float32]

Tier = Literal["consented", "less_personalised", "general"]
TIERS: Final[tuple[Tier, ...]] = ("consented", "less_personalised", "general")
"""The tiers that see ads (ads specification 3.3). Each has its own calibration, none its own
weights: no weight knows who looked."""


class HeadSnapshot(Struct, frozen=True, kw_only=True):
    """One head of a version: weights, and a calibration for every tier.

    In a request: ``context_logit`` once; ``ad_logits`` came with the version; then ``logits`` and
    ``p_ppb`` of the ads that are scored, or in a compiled scan ``engine``'s ``cross_logit`` and
    ``p_ppb`` on ``weights`` and ``tables[tier]``. ``context + ad + clip`` is the most that an ad's
    log-odds can be, and ``p_ppb`` never decreases, so ``p_ppb`` of that bounds its probability.
    """

    weights: Weights
    variances: Weights
    """``Ftrl.variances``."""
    prior: float
    clip: float
    tables: Keys
    """[tier, knot], the calibrations in the order of ``TIERS``."""

    def context_logit(self, context: Keys) -> float:
        """The request's share of the log-odds, from its row of keys."""
        return float(warm().context_logit(context, CROSS_COUNT, self.prior, self.weights))

    def ad_logits(self, ads: Keys) -> Floats:
        """Every ad's share of the log-odds, from the ads' keys."""
        out = np.empty(len(ads))
        warm().ad_sums(ads, CROSS_COUNT, self.weights, out)
        return out

    def ad_sigmas(self, ads: Keys) -> Floats:
        """The standard deviation of every ad's share: how little is known about the ad."""
        out = np.empty(len(ads))
        warm().ad_sums(ads, CROSS_COUNT, self.variances, out)
        return np.sqrt(out)

    def logits(self, numbers: Keys, context: Keys, ads: Keys, ad_logits: Floats) -> Floats:
        """The log-odds of the numbered ads for one request."""
        out = np.empty(len(numbers))
        own, crosses = self.context_logit(context), context[-CROSS_COUNT:]
        warm().score(numbers, crosses, ads, own, ad_logits, self.weights, self.clip, out)
        return out

    def pair_logits(self, contexts: Keys, ads: Keys) -> Floats:
        """The log-odds of every pair of rows: what an audit of logged decisions recomputes."""
        out = np.empty(len(contexts))
        warm().predict(contexts, ads, CROSS_COUNT, self.prior, self.clip, self.weights, out)
        return out

    def logit(self, context: Keys, ad: Keys) -> float:
        """The log-odds of one ad for one request."""
        return float(self.pair_logits(context[None, :], ad[None, :])[0])

    def p_ppb(self, logit: float, tier: Tier) -> int:
        """The calibrated probability in 1e-9, from 1 to 10**9. Raises ``ValueError`` on NaN."""
        if logit != logit:  # noqa: PLR0124 # NaN, which is in no place of the table
            raise ValueError("expected log-odds, got NaN")
        return int(warm().p_ppb(logit, self.tables[TIERS.index(tier)]))

    def p_ppb_many(self, logits: Floats, tiers: Keys) -> Keys:
        """``p_ppb`` of many; ``tiers`` are numbers in ``TIERS``. NaN is the caller's mistake."""
        out = np.zeros(len(logits), dtype=np.int64)
        for tier in range(len(TIERS)):
            of = tiers == tier
            out[of] = calibrate.apply(self.tables[tier], logits[of])
        return out


class _Head(Struct, frozen=True, array_like=True):
    """A head as bytes: the non-zero weights, the variances that learning has changed."""

    prior: float
    clip: float
    size: int
    unknown: float
    """The variance of a weight that never learned."""
    weights: tuple[bytes, bytes]
    variances: tuple[bytes, bytes]
    tables: bytes


class Snapshot(Struct, frozen=True, kw_only=True):
    """One version of the response model."""

    version: int
    heads: Mapping[str, HeadSnapshot]

    def head(self, name: str) -> HeadSnapshot:
        """The head of that name; raises ``ValueError`` for another."""
        found = self.heads.get(name)
        if found is None:
            raise ValueError(f"expected one of the heads {sorted(self.heads)}, got {name!r}")
        return found

    def dump(self) -> bytes:
        """The version as bytes; equal versions give equal bytes."""
        heads = {name: _packed(head) for name, head in sorted(self.heads.items())}
        return msgspec.msgpack.encode((self.version, heads))

    @classmethod
    def load(cls, state: bytes) -> Snapshot:
        """The version that ``dump`` wrote. Raises ``msgspec.DecodeError`` on other bytes."""
        version, heads = msgspec.msgpack.decode(state, type=tuple[int, dict[str, _Head]])
        return cls(version=version, heads={name: _unpacked(head) for name, head in heads.items()})

    def digest(self) -> bytes:
        """16 bytes of BLAKE2b over ``dump``: what a published version's event says it is."""
        return hashlib.blake2b(self.dump(), digest_size=16).digest()


def _packed(head: HeadSnapshot) -> _Head:
    unknown = float(head.variances.max(initial=0.0))
    return _Head(
        head.prior,
        head.clip,
        len(head.weights),
        unknown,
        _sparse(head.weights, 0.0),
        _sparse(head.variances, unknown),
        head.tables.astype("<i8").tobytes(),
    )


def _unpacked(head: _Head) -> HeadSnapshot:
    return HeadSnapshot(
        weights=_dense(head.weights, head.size, 0.0),
        variances=_dense(head.variances, head.size, head.unknown),
        prior=head.prior,
        clip=head.clip,
        tables=np.frombuffer(head.tables, "<i8")
        .reshape(-1, calibrate.KNOTS)
        .astype(np.int64, copy=False),
    )


def _sparse(column: Weights, usual: float) -> tuple[bytes, bytes]:
    slots = np.flatnonzero(column != np.float32(usual))
    return slots.astype("<u4").tobytes(), column[slots].astype("<f4").tobytes()


def _dense(packed: tuple[bytes, bytes], size: int, usual: float) -> Weights:
    column = np.full(size, usual, dtype=np.float32)
    column[np.frombuffer(packed[0], "<u4")] = np.frombuffer(packed[1], "<f4")
    column.flags.writeable = False
    return column
