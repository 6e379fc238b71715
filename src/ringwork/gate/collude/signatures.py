"""Who used what: actions as a sparse table, and signatures that find rows alike without all pairs.

An action is (actor, time, object), the object being what an operator cannot have by chance: an
address, a target, a block of numbers (SynchroTrap: Cao et al., CCS 2014). Objects lie in places (an
address in its /24), so that somebody who hops about in one network is in one place.

Signatures are weighted MinHash: for every token and hash function an exponential clock with the
token's weight as its rate. Two rows agree in a place of the signature with exactly their weighted
Jaccard similarity, since the weight belongs to the token (Broder 1997; Ioffe, ICDM 2010, shows the
general case). Here a token's weight falls with its popularity: a carrier's NAT says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ringwork.kernel.errors import Refused

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Longs = NDArray[np.int64]
    Reals = NDArray[np.float64]

ACTIONS_MAX: Final = 20_000_000
"""Actions at once, 640 MB: more are to be looked at a day at a time."""
CROWD: Final = 50
"""An object used by so many actors weighs half: an office, a small carrier."""
BANDS: Final = 16
BAND_ROWS: Final = 4
"""Rows of a band: pairs with similarity 0.5 meet with 1 - (1 - 0.5**4)**16 = 64 %, those with 0.7
with 99 %; a campaign is found through any of its pairs."""


@dataclass(frozen=True, slots=True)
class Actions:
    """Columns of equal length, int64[n]. Times are microseconds; the other three are any numbers.

    ``places`` says where each object lies; an object has one place.
    """

    actors: Longs
    ts_us: Longs
    objects: Longs
    places: Longs

    @classmethod
    def of(
        cls,
        actors: ArrayLike,
        ts_us: ArrayLike,
        objects: ArrayLike,
        places: ArrayLike | None = None,
    ) -> Actions:
        """Checks and converts. Without ``places`` each object is its own.

        Raises Refused (``actions-invalid``) for columns that are no whole numbers, that differ in
        length or are too long.
        """
        named = {"actors": actors, "ts_us": ts_us, "objects": objects}
        if places is not None:
            named["places"] = places
        columns = {name: _column(name, one) for name, one in named.items()}
        lengths = {name: len(one) for name, one in columns.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise _refused(f"expected columns of equal length, got {told}")
        if lengths["actors"] > ACTIONS_MAX:
            raise _refused(f"expected at most {ACTIONS_MAX:,} actions, got {lengths['actors']:,}")
        return cls(
            columns["actors"], columns["ts_us"], columns["objects"],
            columns.get("places", columns["objects"]),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.actors)


@dataclass(frozen=True, slots=True)
class Incidence:
    """Which actor used which token, each pair once, by actor and then by token.

    ``actors`` and ``tokens`` are codes, int64[pairs]; ``starts`` int64[actors + 1] is where each
    actor's pairs begin. A token is an object, or an object within a window of time.
    """

    actor_ids: Longs
    object_ids: Longs
    """The object of every token."""
    places: Longs
    """The code of the place of every token."""
    actors: Longs
    tokens: Longs
    starts: Longs
    crowds: Longs
    """How many actors used each token."""

    @property
    def weights(self) -> Reals:
        """What it says that two share a token: 1 for a rare one, falling with its crowd."""
        return np.where(self.crowds > 1, CROWD / (CROWD + self.crowds - 2.0), 0.0)


def incidence(actions: Actions, *, window_us: int | None = None) -> Incidence:
    """The table of actors and objects; with a window, of objects at about the same time.

    Windows overlap by half, so that two actions within half a window always share a token.
    """
    actor_ids, actors = np.unique(actions.actors, return_inverse=True)
    object_ids, firsts, objects = np.unique(actions.objects, return_index=True, return_inverse=True)
    _, places = np.unique(actions.places[firsts], return_inverse=True)
    if window_us is None:
        tokens, token_objects = objects, np.arange(len(object_ids))
    else:
        half = actions.ts_us // max(window_us // 2, 1)
        half -= half.min() if len(half) else 0
        spans = int(half.max()) + 2 if len(half) else 1
        keys = np.concatenate((objects * spans + half, objects * spans + half + 1))
        found, tokens = np.unique(keys, return_inverse=True)
        token_objects = found // spans
        actors = np.concatenate((actors, actors))
    count = max(len(token_objects), 1)
    pairs = np.unique(actors * count + tokens)
    actors, tokens = pairs // count, pairs % count
    starts = np.searchsorted(actors, np.arange(len(actor_ids) + 1))
    return Incidence(
        actor_ids, object_ids[token_objects], places[token_objects], actors, tokens, starts,
        np.bincount(tokens, minlength=len(token_objects)),
    )  # fmt: skip


def candidate_pairs(table: Incidence, *, key: int = 0) -> tuple[Longs, Longs]:
    """Pairs of actor codes that may be similar: neighbours in a bucket of the LSH.

    A bucket of n gives n - 1 pairs, which join the whole of it: at most BANDS pairs an actor,
    whatever somebody sends. ``key`` makes the hashes unknown to whom they are about.
    """
    signature = _signatures(table, key)
    usable = np.flatnonzero(signature[0] >= 0)
    firsts, seconds = [], []
    for band in range(BANDS):
        rows = signature[band * BAND_ROWS : (band + 1) * BAND_ROWS, usable]
        bucket = np.zeros(len(usable), np.uint64)
        for row in rows:
            bucket = _mixed(bucket ^ row.astype(np.uint64))
        order = np.argsort(bucket, kind="stable")
        same = bucket[order[1:]] == bucket[order[:-1]]
        firsts.append(usable[order[:-1][same]])
        seconds.append(usable[order[1:][same]])
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    pairs = np.unique(np.minimum(first, second) * len(table.actor_ids) + np.maximum(first, second))
    size = max(len(table.actor_ids), 1)
    return pairs // size, pairs % size


def _signatures(table: Incidence, key: int) -> Longs:
    """int64[BANDS * BAND_ROWS, actors]: the token whose clock rings first, or -1."""
    weights = table.weights[table.tokens]
    kept = weights > 0
    actors, rates = table.actors[kept], weights[kept]
    # Only what is shared gets a clock: most tokens are somebody's own.
    ids, codes = np.unique(table.tokens[kept], return_inverse=True)
    out = np.full((BANDS * BAND_ROWS, len(table.actor_ids)), -1, np.int64)
    if not len(actors):
        return out
    begins = np.flatnonzero(np.r_[True, actors[1:] != actors[:-1]])
    present = actors[begins]
    row_of = np.cumsum(np.r_[True, actors[1:] != actors[:-1]]) - 1
    for place in range(len(out)):
        salt = _mixed(np.array([(key * 1_000_003 + place + 1) & (2**64 - 1)], np.uint64))[0]
        uniform = (_mixed(ids.astype(np.uint64) ^ salt) >> np.uint64(11)).astype(
            np.float64
        ) * 2.0**-53
        clocks = -np.log1p(-uniform)[codes] / rates
        earliest = np.minimum.reduceat(clocks, begins)
        at = np.flatnonzero(clocks == earliest[row_of])
        out[place, present[row_of[at]]] = ids[codes[at]]
    return out


def _mixed(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64: every bit of the input moves half of the bits."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _column(name: str, values: ArrayLike) -> Longs:
    found = np.asarray(values)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise _refused(
            f"{name}: expected whole numbers in one dimension, got {found.dtype} in {found.ndim}"
        )
    return np.ascontiguousarray(found, np.int64)


def _refused(detail: str) -> Refused:
    return Refused("actions-invalid", detail, status=422)
