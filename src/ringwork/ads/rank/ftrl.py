"""The learner: logistic regression by FTRL-proximal over hashed weights, one pass, any order kept.

H. B. McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013, algorithm 1, with
the parameters of ads specification 3.16. Ours differs in one point: the log-odds are separable,

    logit = (prior + bias + context weights) + ad weights + clip(cross weights, -c, c)

so that a request pays for its context once, an ad's own sum is kept per ad and model version, and
``context + ad + c`` bounds the log-odds of the ad from above without a look at its crosses. The
bound holds in floating point too, because rounding never changes an order: scanning ads by it may
stop exactly. While the clip is active, crosses learn only from gradients that lead back inside.

Rows are learned in the order given, however they are cut into calls, and the loops do no
arithmetic that differs between machines: replaying the same rows gives the same bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct

from ringwork.ads.rank.averaging import Averages
from ringwork.ads.rank.engine import warm
from ringwork.ads.rank.features import AD_WIDTH, CONTEXT_WIDTH, CROSS_COUNT

if TYPE_CHECKING:
    from numpy.typing import NDArray

BITS: Final = 20
"""2**20 weights: a table of 32 MiB that learns, one of 4 MiB that serves."""
BITS_MAX: Final = 24
"""The hash has no more bits to give."""
WEIGHT_MAX: Final = 1e6
"""Of one row, in rows: more is a mistake of the caller."""
_Z, _N, _W, _ROOT = range(4)


class Rates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast and how sparsely weights move; the defaults are the specification's."""

    alpha: Annotated[float, Meta(gt=0)] = 0.1
    beta: Annotated[float, Meta(ge=0)] = 1.0
    l1: Annotated[float, Meta(ge=0)] = 0.5
    l2: Annotated[float, Meta(gt=0)] = 1.0
    clip: Annotated[float, Meta(gt=0)] = 1.5
    """The furthest that crosses move the log-odds: a factor of 4.5 on the odds, both ways.

    A smaller clip stops a scan earlier and expresses less.
    """


class _State(Struct, frozen=True, array_like=True):
    """A learner as bytes: the rows of its table that ever learned, little-endian."""

    bits: int
    prior: float
    rates: Rates
    slots: bytes
    z: bytes
    n: bytes
    averages: bytes


def log_odds(probability: float) -> float:
    """The logit of a probability inside (0, 1).

    >>> log_odds(0.5)
    0.0
    """
    if not 0.0 < probability < 1.0:
        raise ValueError(f"expected a probability inside (0, 1), got {probability}")
    return math.log(probability / (1.0 - probability))


def undo_sampling(probability: NDArray[np.float64], negatives_kept: float) -> NDArray[np.float64]:
    """What probabilities are when all negatives count, learned from a share of them.

    ``p / (p + (1 - p) / r)`` (ads specification 3.16).

    >>> undo_sampling(np.array([0.5]), 0.25).tolist()
    [0.2]
    """
    return probability / (probability + (1.0 - probability) / negatives_kept)


class Ftrl:
    """One learner.

    ``prior``: the log-odds before anything is learned. A new platform starts from it, a new ad from
    what its campaign, advertiser and category have taught; only the difference is learned.
    """

    def __init__(self, *, prior: float, rates: Rates | None = None, bits: int = BITS) -> None:
        if not 1 <= bits <= BITS_MAX:
            raise ValueError(f"expected 1 to {BITS_MAX} bits of table, got {bits}")
        if not math.isfinite(prior):
            raise ValueError(f"expected finite log-odds of the prior, got {prior}")
        self.prior = prior
        self.rates = rates or Rates()
        self.bits = bits
        self._table: NDArray[np.float64] = np.zeros((2**bits, 4))
        self._averages = Averages()
        self._engine = warm()

    def learn(
        self,
        context: NDArray[np.int64],
        ad: NDArray[np.int64],
        label: int,
        weight: float = 1.0,
    ) -> float:
        """Learn one row (``features.context_keys``, one row of ``features.ad_keys``).

        Returns the log-odds it was given before it was learned. Raises ``ValueError`` as
        ``learn_many`` does.
        """
        labels, weights = np.array([label], dtype=np.float64), np.array([weight], dtype=np.float64)
        return float(self.learn_many(context[None, :], ad[None, :], labels, weights)[0])

    def learn_many(
        self,
        contexts: NDArray[np.int64],
        ads: NDArray[np.int64],
        labels: NDArray[np.float64],
        weights: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Learn rows in order; returns each one's log-odds before it was learned.

        Those are honest predictions (nothing of the row was known), so calibration is fitted on
        them. ``weights``: how many rows a row stands for. Raises ``ValueError`` for a label other
        than 0 and 1, a weight outside (0, 10**6], or rows of another shape; nothing is learned.
        """
        rows = len(labels)
        if weights is None:
            weights = np.ones(rows)
        check_rows(contexts, ads, labels, weights)
        labels = np.ascontiguousarray(labels, dtype=np.float64)
        weights = np.ascontiguousarray(weights, dtype=np.float64)
        contexts, ads = np.ascontiguousarray(contexts), np.ascontiguousarray(ads)
        logits = np.empty(rows)
        rates = self.rates
        parameters = np.array([rates.alpha, rates.beta, rates.l1, rates.l2, self.prior, rates.clip])
        start = 0
        while start < rows:
            part = slice(start, min(start + self._averages.rows_left, rows))
            self._engine.learn(
                self._table,
                contexts[part],
                ads[part],
                CROSS_COUNT,
                labels[part],
                weights[part],
                parameters,
                logits[part],
            )
            self._averages.count(labels[part])
            if not self._averages.rows_left:
                self._averages.take(self._table[:, _W], self._table[:, _N])
            start = part.stop
        return logits

    def weights(self) -> NDArray[np.float32]:
        """The weights as requests use them: frequent ones averaged, a copy, 4 bytes each."""
        served = self._table[:, _W].copy()
        self._averages.put(served)
        return _frozen(served)

    def variances(self) -> NDArray[np.float32]:
        """About how uncertain every weight is: ``1 / (l2 + n)``, a read-only copy.

        The expected squared gradient of the log loss is p(1 - p), so n, their sum, is the Fisher
        information of the weight, and l2 that of its prior (what Thompson sampling needs).
        """
        return _frozen(1.0 / (self.rates.l2 + self._table[:, _N]))

    def dump(self) -> bytes:
        """The state as bytes; equal states give equal bytes."""
        slots = np.flatnonzero(self._table[:, _N]).astype("<u4")
        state = _State(
            self.bits,
            self.prior,
            self.rates,
            slots.tobytes(),
            self._table[slots, _Z].astype("<f8").tobytes(),
            self._table[slots, _N].astype("<f8").tobytes(),
            self._averages.dump(),
        )
        return msgspec.msgpack.encode(state)

    @classmethod
    def load(cls, state: bytes) -> Ftrl:
        """A learner from ``dump``'s bytes, the same to the last bit.

        Raises ``msgspec.DecodeError`` or ``ValueError`` on other bytes.
        """
        told = msgspec.msgpack.decode(state, type=_State)
        learner = cls(prior=told.prior, rates=told.rates, bits=told.bits)
        slots = np.frombuffer(told.slots, "<u4")
        z, n = np.frombuffer(told.z, "<f8"), np.frombuffer(told.n, "<f8")
        if not len(slots) == len(z) == len(n) or np.any(slots >= 2**told.bits):
            raise ValueError("expected the state of a learner, got columns that do not match")
        rates, root = told.rates, np.sqrt(n)
        # The loops' own expression, so that a loaded weight has the bits of the learned one.
        shrunk = -(z - np.copysign(rates.l1, z)) / (
            root * (1.0 / rates.alpha) + (rates.beta / rates.alpha + rates.l2)
        )
        w = np.where(np.abs(z) > rates.l1, shrunk, 0.0)
        learner._table[slots] = np.stack([z, n, w, root], axis=1)
        learner._averages = Averages.load(told.averages)
        return learner


def check_rows(
    contexts: NDArray[np.int64],
    ads: NDArray[np.int64],
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> None:
    """Raise ``ValueError`` unless every row can be learned."""
    rows = len(labels)
    for name, keys, width in (("context", contexts, CONTEXT_WIDTH), ("ad", ads, AD_WIDTH)):
        if keys.shape != (rows, width) or keys.dtype != np.int64:
            raise ValueError(
                f"expected int64 {name} keys of shape {(rows, width)}, "
                f"got {keys.dtype} of {keys.shape}"
            )
    if len(weights) != rows:
        raise ValueError(f"expected a weight for each of {rows} rows, got {len(weights)}")
    if not np.all((labels == 0.0) | (labels == 1.0)):
        raise ValueError("expected labels 0 or 1")
    if not np.all((weights > 0.0) & (weights <= WEIGHT_MAX)):
        raise ValueError(f"expected finite weights above 0 and up to {WEIGHT_MAX:g}")


def _frozen(column: NDArray[np.float64]) -> NDArray[np.float32]:
    copy = column.astype(np.float32)
    copy.flags.writeable = False
    return copy
