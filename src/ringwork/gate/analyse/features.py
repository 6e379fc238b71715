"""How somebody behaves, as 40 numbers that cost the same small work at every request (7.7).

``update`` takes one request into a row of state; it is written for lists in a live gate and for
rows of arrays in a log, where ``features_compiled`` runs the same source compiled. ``derive`` turns
state into features when somebody wants a score. What a log does not hold (JA4, the order of
headers) stays 0 there.
"""

from __future__ import annotations

from math import exp, log1p
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import MutableSequence

    from numpy.typing import NDArray

GAP_EDGES_US: Final = (
    50_000, 150_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
    300_000_000, 1_800_000_000,
)  # fmt: skip
"""Bounds of the 12 bins of times between requests, roughly logarithmic."""
FAST_CLICK_US: Final = 150_000
"""Nobody reads a page and clicks within this time. (Logs in whole seconds round to 0 or 1 s.)"""
SEQUENTIAL_MAX: Final = 2
"""Entity numbers this close to the one before count as a walk along them."""

FEATURES: Final = (
    "requests", "duration_s", "rate_10s", "rate_5min", "rate_1h",
    *(f"gap_share_{one}" for one in range(12)),
    "gap_entropy_bits", "gap_variation", "asset_share", "head_share", "post_share",
    "not_modified_share", "not_found_share", "refused_share", "error_share", "referrer_share",
    "referrer_chain_share", "depth_mean", "folders", "distinct_share", "unseen_share",
    "sequential_share", "entity_share", "fast_click_share", "query_share", "size_log_mean",
    "night_share", "agent_change_share", "fingerprint_change_share",
)  # fmt: skip

# Real numbers of a row.
RATE_10S, RATE_5MIN, RATE_1H, GAP_SUM, GAP_SQUARES, UNSEEN, SIZE_LOG = range(7)
REALS: Final = 7
# Whole numbers of a row; GAPS, PATH_BITS and PAGES_BEFORE are the first of several.
(
    REQUESTS, FIRST_US, LAST_US, PAGES, ASSETS, HEADS, POSTS, NOT_MODIFIED, NOT_FOUND, REFUSED,
    ERRORS, REFERRERS, CHAINED, DEPTHS, FOLDER_BITS, LAST_ENTITY, ENTITIES, SEQUENTIAL,
    LAST_PAGE_US, PAGE_GAPS, FAST, QUERIES, NIGHT, AGENT_BEFORE, AGENT_CHANGES,
    FINGERPRINT_BEFORE, FINGERPRINT_CHANGES, RING_AT,
) = range(28)  # fmt: skip
GAPS: Final = 28
PATH_BITS: Final = 40
PAGES_BEFORE: Final = 44
WHOLES: Final = 52

# Bits of a request.
IS_PAGE, IS_HEAD, IS_POST, HAS_REFERRER, HAS_QUERY = 1, 2, 4, 8, 16

_BITS: Final = 62
"""Bits used of each word, so that a word stays a positive 64-bit number in Python too."""
_WORDS: Final = 4
_RING: Final = 8
_NIGHT_ENDS_S: Final = 6 * 3600


def update(  # noqa: C901, PLR0913, PLR0917 # one request is many facts; inlined for the kernel
    real: MutableSequence[float],
    whole: MutableSequence[int],
    ts_us: int,
    status: int,
    size: int,
    flags: int,
    path: int,
    folder: int,
    referrer: int,
    depth: int,
    entity: int,
    agent: int,
    fingerprint: int,
) -> None:
    """Takes one request into a row; O(1). Late requests count at the time already reached.

    ``path``, ``folder``, ``referrer`` (the path that it names), ``agent`` and ``fingerprint`` are
    hashes of at least 32 bits that do not depend on the process; ``entity`` is -1 where the path
    names none.
    """
    count = whole[REQUESTS]
    if count == 0:
        whole[FIRST_US] = whole[LAST_US] = ts_us
        whole[LAST_PAGE_US] = whole[LAST_ENTITY] = -1
        whole[AGENT_BEFORE] = agent
        whole[FINGERPRINT_BEFORE] = fingerprint
    gap_us = max(0, ts_us - whole[LAST_US])
    whole[LAST_US] = max(whole[LAST_US], ts_us)
    gap_s = gap_us / 1e6
    if count > 0:
        place = 0
        while place < 11 and gap_us >= GAP_EDGES_US[place]:
            place += 1
        whole[GAPS + place] += 1
        real[GAP_SUM] += gap_s
        real[GAP_SQUARES] += gap_s * gap_s
    real[RATE_10S] = real[RATE_10S] * exp(-gap_s / 10.0) + 0.1
    real[RATE_5MIN] = real[RATE_5MIN] * exp(-gap_s / 300.0) + 1.0 / 300.0
    real[RATE_1H] = real[RATE_1H] * exp(-gap_s / 3600.0) + 1.0 / 3600.0
    real[SIZE_LOG] += log1p(float(size))
    whole[REQUESTS] = count + 1
    count_answer(whole, status, flags)
    if ts_us // 1_000_000 % 86_400 < _NIGHT_ENDS_S:
        whole[NIGHT] += 1
    if agent != whole[AGENT_BEFORE]:
        whole[AGENT_CHANGES] += 1
        whole[AGENT_BEFORE] = agent
    if fingerprint != whole[FINGERPRINT_BEFORE]:
        whole[FINGERPRINT_CHANGES] += 1
        whole[FINGERPRINT_BEFORE] = fingerprint
    if flags & HAS_REFERRER:
        whole[REFERRERS] += 1
        for place in range(PAGES_BEFORE, PAGES_BEFORE + _RING):
            if whole[place] == referrer:
                whole[CHAINED] += 1
                break
    if flags & IS_PAGE:
        count_page(real, whole, path, folder, depth, entity)
    else:
        whole[ASSETS] += 1


def count_answer(whole: MutableSequence[int], status: int, flags: int) -> None:
    """The part of ``update`` about the answer."""
    if status == 304:
        whole[NOT_MODIFIED] += 1
    elif status == 404:
        whole[NOT_FOUND] += 1
    elif status == 400 or status == 401 or status == 403 or status == 429:
        whole[REFUSED] += 1
    elif status >= 500:
        whole[ERRORS] += 1
    if flags & IS_HEAD:
        whole[HEADS] += 1
    if flags & IS_POST:
        whole[POSTS] += 1
    if flags & HAS_QUERY:
        whole[QUERIES] += 1


def count_page(
    real: MutableSequence[float],
    whole: MutableSequence[int],
    path: int,
    folder: int,
    depth: int,
    entity: int,
) -> None:
    """The part of ``update`` about a page, as opposed to what pages draw in."""
    now_us = whole[LAST_US]
    if whole[PAGES] > 0:
        whole[PAGE_GAPS] += 1
        if now_us - whole[LAST_PAGE_US] < FAST_CLICK_US:
            whole[FAST] += 1
    whole[LAST_PAGE_US] = now_us
    whole[PAGES] += 1
    whole[DEPTHS] += depth
    whole[FOLDER_BITS] |= 1 << (folder % _BITS)
    word = PATH_BITS + path // _BITS % _WORDS
    bit = 1 << (path % _BITS)
    is_new = 0.0 if whole[word] & bit else 1.0
    whole[word] |= bit
    # The first pages weigh fully, later ones by a sixteenth: a slope, not a total.
    share = max(1.0 / whole[PAGES], 0.0625)
    real[UNSEEN] += (is_new - real[UNSEEN]) * share
    whole[PAGES_BEFORE + whole[RING_AT]] = path
    whole[RING_AT] = (whole[RING_AT] + 1) % _RING
    if entity >= 0:
        before = whole[LAST_ENTITY]
        whole[ENTITIES] += 1
        if before >= 0 and entity != before and abs(entity - before) <= SEQUENTIAL_MAX:
            whole[SEQUENTIAL] += 1
        whole[LAST_ENTITY] = entity


def derive(real: NDArray[np.float64], whole: NDArray[np.int64]) -> NDArray[np.float32]:
    """Features, float32[rows, 40], of state float64[rows, REALS] and int64[rows, WHOLES]."""
    requests = np.maximum(whole[:, REQUESTS], 1).astype(np.float64)
    pages = np.maximum(whole[:, PAGES], 1)
    gaps = whole[:, GAPS : GAPS + 12]
    gap_count = np.maximum(gaps.sum(axis=1), 1)
    shares = gaps / gap_count[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(shares > 0, shares * np.log2(shares), 0.0).sum(axis=1)
    mean = real[:, GAP_SUM] / gap_count
    variance = np.maximum(real[:, GAP_SQUARES] / gap_count - mean * mean, 0.0)
    variation = np.sqrt(variance) / np.maximum(mean, 1e-6)
    distinct = _linear_count(
        np.bitwise_count(whole[:, PATH_BITS : PATH_BITS + _WORDS]).sum(axis=1), _BITS * _WORDS
    )
    out = np.column_stack((
        whole[:, REQUESTS],
        (whole[:, LAST_US] - whole[:, FIRST_US]) / 1e6,
        real[:, RATE_10S], real[:, RATE_5MIN], real[:, RATE_1H],
        shares, entropy, variation,
        whole[:, ASSETS] / requests, whole[:, HEADS] / requests, whole[:, POSTS] / requests,
        whole[:, NOT_MODIFIED] / requests, whole[:, NOT_FOUND] / requests,
        whole[:, REFUSED] / requests, whole[:, ERRORS] / requests,
        whole[:, REFERRERS] / requests, whole[:, CHAINED] / np.maximum(whole[:, REFERRERS], 1),
        whole[:, DEPTHS] / pages,
        _linear_count(np.bitwise_count(whole[:, FOLDER_BITS]), _BITS),
        np.minimum(distinct / pages, 1.0), real[:, UNSEEN],
        whole[:, SEQUENTIAL] / np.maximum(whole[:, ENTITIES] - 1, 1), whole[:, ENTITIES] / pages,
        whole[:, FAST] / np.maximum(whole[:, PAGE_GAPS], 1), whole[:, QUERIES] / requests,
        real[:, SIZE_LOG] / requests, whole[:, NIGHT] / requests,
        whole[:, AGENT_CHANGES] / requests, whole[:, FINGERPRINT_CHANGES] / requests,
    ))  # fmt: skip
    return out.astype(np.float32)


def _linear_count(ones: NDArray[np.integer], bits: int) -> NDArray[np.float64]:
    """How many different values set so many bits (Whang et al., TODS 1990)."""
    zeros = np.maximum(bits - ones.astype(np.float64), 0.5)
    return -bits * np.log(zeros / bits)
