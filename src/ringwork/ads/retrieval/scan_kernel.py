"""The compiled scan (numba); ``scan.scan_with_numpy`` says the same in NumPy.

``query`` is the clauses of ``dimensions``, flat: reason, kind, how many values, the values.
"""

# mypy: ignore-errors
# ruff: noqa: PLR0913, PLR0917, SIM109
# What numba compiles is its own language: the explicit signature is the type that counts.

from __future__ import annotations

import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic

from ringwork.ads.rank.compiled import cross_logit
from ringwork.ads.rank.compiled import p_ppb as calibrated
from ringwork.ads.retrieval.dimensions import ADMIT, ADS, ANY, NONE, OF, REASONS, STATE
from ringwork.ads.retrieval.table import PRICINGS

# numba keeps what it compiled by this file's date: touch it whenever ``REASONS`` changes.
_COUNTS = len(REASONS) + 2
_FLOOR = REASONS.index("floor")
_TIER_SHIFT = 56
_SCORE = (1 << _TIER_SHIFT) - 1
_MOST = float(_SCORE - 64)
_ONE = np.uint64(1)
_MILLION = 1_000_000
_BILLION = 1_000_000_000


@intrinsic
def _popcount(typing_context, word):
    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def _lowest(typing_context, word):  # the number of the lowest bit
    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], context.get_constant(types.boolean, 1))

    return types.uint64(types.uint64), generate


@intrinsic
def _pointer(typing_context, address):
    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


@njit(cache=True)
def _in_tail(query, begin, end, at, tail_rows):
    """The ads of a word of the tail that name any of ``query[begin:end]``."""
    bits = np.uint64(0)
    for i in range(begin, end):
        value = query[i]
        if value < tail_rows.shape[0]:
            bits |= tail_rows[value, at]
    return bits


@njit(cache=True)
def _in_base(places, begin, end, word, rows, ends, list_words, list_bits, cursors):
    """The ads of a word of the base that name any of the values at ``places[begin:end]``."""
    bits = np.uint64(0)
    for i in range(begin, end):
        place = places[i]
        if place >= 0:
            bits |= rows[place + word]
        elif place < -1:
            last = ends[-1 - place]
            cursor = cursors[i]
            while cursor < last and list_words[cursor] < word:
                cursor += 1
            cursors[i] = cursor
            if cursor < last and list_words[cursor] == word:
                bits |= list_bits[cursor]
    return bits


@njit(cache=True)
def _precedes(key, id, best, ids, at):
    """Whether (key, id) stands before what is kept at ``at``."""
    if key != best[at, 0]:
        return key > best[at, 0]
    other = best[at, 1]
    for i in range(ids.shape[1]):
        if ids[id, i] != ids[other, i]:
            return ids[id, i] < ids[other, i]
    return False


# It keeps the interpreter's lock: to get it back costs more than a scan when other threads want it.
@njit("int64(int64, int64, int64, int64, int64)", cache=True)
def scan_kernel(  # noqa: C901, PLR0912, PLR0915  # one fused loop
    plan_address, query_address, query_length, floor_nanos, wanted
):
    """Fill the plan's ``found`` and ``counts``; returns how many were found.

    Arguments are addresses (``scan.Plan``): to hand over the arrays takes longer than the scan.
    """
    plan = carray(_pointer(plan_address), (96,), np.int64)
    query = carray(_pointer(query_address), (query_length,), np.int32)
    where = carray(_pointer(plan[0]), (plan[1],), np.int32)
    rows = carray(_pointer(plan[3]), (plan[4] * plan[5],), np.uint64)
    listed = carray(_pointer(plan[6]), (plan[7],), np.int32)
    list_words = carray(_pointer(plan[9]), (plan[10],), np.int32)
    list_bits = carray(_pointer(plan[12]), (plan[13],), np.uint64)
    bounds = carray(_pointer(plan[15]), (plan[16],), np.int64)
    tail_rows = carray(_pointer(plan[18]), (plan[19], plan[20]), np.uint64)
    state = carray(_pointer(plan[21]), (plan[22], plan[23]), np.uint64)
    ads = carray(_pointer(plan[24]), (plan[25], plan[26]), np.int64)
    ids = carray(_pointer(plan[27]), (plan[28], plan[29]), np.uint64)
    campaigns = carray(_pointer(plan[30]), (plan[31], plan[32]), np.int64)
    p_ppb = carray(_pointer(plan[33]), (plan[34],), np.int64)
    best = carray(_pointer(plan[36]), (plan[37], plan[38]), np.int64)
    counts = carray(_pointer(plan[39]), (plan[40],), np.int64)
    cursors = carray(_pointer(plan[42]), (plan[43],), np.int32)
    floors = carray(_pointer(plan[45]), (plan[46],), np.int64)
    places = carray(_pointer(plan[48]), (plan[49],), np.int64)
    segments = carray(_pointer(plan[51]), (plan[52], plan[53]), np.int64)
    keys = carray(_pointer(plan[54]), (plan[55], plan[56]), np.int64)
    logits = carray(_pointer(plan[57]), (plan[58], plan[59]), np.float64)
    weights = carray(_pointer(plan[60]), (plan[61], plan[62]), np.float32)
    tables = carray(_pointer(plan[63]), (plan[64], plan[65]), np.int64)
    clips = carray(_pointer(plan[66]), (plan[67],), np.float64)
    pricing_heads = carray(_pointer(plan[69]), (plan[70], plan[71]), np.int64)
    own_logits = carray(_pointer(plan[72]), (plan[73], plan[74]), np.float64)
    crosses = carray(_pointer(plan[75]), (plan[76], plan[77]), np.int64)
    ratios = carray(_pointer(plan[78]), (plan[79],), np.float64)
    counts[:] = 0
    kept = 0
    base_words = bounds.shape[0]
    words = state.shape[1]
    # Where the rows of each value begin: a bitmap, a list (negative), or nowhere (-1).
    row_words = plan[5]
    for i in range(query.shape[0]):
        value = query[i]
        place = np.int64(where[value]) if 0 <= value < where.shape[0] else np.int64(-1)
        if place >= 0:
            places[i] = place * row_words
        else:
            places[i] = place
            if place < -1:
                cursors[i] = listed[-2 - place]
    # The tail comes first: it is always searched, and what it offers lets the base end sooner.
    segment = -1
    word, end_word = base_words, words
    while True:
        if word >= end_word:
            segment += 1
            if segment == segments.shape[0]:
                break
            word, end_word = segments[segment, 0], segments[segment, 1]
            continue
        if segment >= 0 and kept == wanted:
            bound = bounds[word]
            if ratios[segment] != 1.0:
                most = min(np.float64(bound & _SCORE) * ratios[segment] + 2.0, _MOST)
                bound = (bound & ~_SCORE) + np.int64(most)
            if bound < best[kept - 1, 0]:
                word = end_word
                continue
        at_word = word
        word += 1
        left = state[0, at_word]
        if left == 0:
            continue
        counts[_COUNTS - 1] += np.int64(_popcount(left))
        is_tail = at_word >= base_words
        at = 0
        while at < query.shape[0] and left != 0:
            reason, kind, begin = query[at], query[at + 1], at + 3
            end = begin + query[at + 2]
            at = end
            if kind == ADMIT or kind == ANY or kind == NONE:
                first = begin + 1 if kind == ADMIT else begin
                if kind == ADMIT:
                    if is_tail:
                        concerned = left & _in_tail(query, begin, first, at_word - base_words,
                                                    tail_rows)  # fmt: skip
                    else:
                        concerned = left & _in_base(places, begin, first, at_word, rows, listed,
                                                    list_words, list_bits, cursors)  # fmt: skip
                    if concerned == 0:
                        continue
                else:
                    concerned = left
                if is_tail:
                    named = _in_tail(query, first, end, at_word - base_words, tail_rows)
                else:
                    named = _in_base(places, first, end, at_word, rows, listed, list_words,
                                     list_bits, cursors)  # fmt: skip
                admitted = ~(concerned & (named if kind == NONE else ~named))
            elif kind == STATE:
                admitted = state[query[begin], at_word]
            else:
                column = 4 if kind == ADS else 0
                listed_bits = np.uint64(0)
                survivors = left
                while survivors != 0:
                    bit = _lowest(survivors)
                    survivors &= survivors - _ONE
                    number = ads[(at_word << 6) + np.int64(bit), column]
                    for i in range(begin, end):
                        if query[i] == number:
                            listed_bits |= _ONE << bit
                admitted = listed_bits if kind == OF else ~listed_bits
            narrowed = left & admitted
            if narrowed != left:
                counts[reason] += np.int64(_popcount(left ^ narrowed))
                left = narrowed
        while left != 0:
            bit = _lowest(left)
            left &= left - _ONE
            position = (at_word << 6) + np.int64(bit)
            campaign = ads[position, 0]
            whole, pace = campaigns[campaign, 0], campaigns[campaign, 1]
            bid = whole
            if pace != _MILLION:
                bid = whole // _MILLION * pace + whole % _MILLION * pace // _MILLION
            bid = min(bid, campaigns[campaign, 2])
            p = p_ppb[ads[position, 2]]
            special = 1 if ads[position, 2] >= PRICINGS else 0
            for place in range(pricing_heads.shape[1]):
                head = pricing_heads[ads[position, 2], place]
                if head < 0:
                    break
                cross = cross_logit(
                    keys[position, keys.shape[1] - crosses.shape[1] :],
                    crosses[special],
                    weights[head],
                )
                cross = min(max(cross, -clips[head]), clips[head])
                odds = (own_logits[special, head] + logits[head, position]) + cross
                p = p * calibrated(odds, tables[head]) // _BILLION
            value = bid
            if p != _BILLION:
                value = bid // _BILLION * p + bid % _BILLION * p // _BILLION
            quality = ads[position, 1]
            score = value
            if quality != _MILLION:
                score = value // _MILLION * quality + value % _MILLION * quality // _MILLION
            floor = floor_nanos if floor_nanos >= 0 else floors[ads[position, 5]]
            if (value < floor and ads[position, 3] != 0) or score <= 0:
                counts[_FLOOR] += 1
                continue
            counts[_COUNTS - 2] += 1
            key = (ads[position, 3] << _TIER_SHIFT) + score
            if kept == wanted and not _precedes(key, position, best, ids, kept - 1):
                continue
            if kept < wanted:
                kept += 1
            place = kept - 1
            while place > 0 and _precedes(key, position, best, ids, place - 1):
                for column in range(best.shape[1]):
                    best[place, column] = best[place - 1, column]
                place -= 1
            best[place, 0], best[place, 1], best[place, 2] = key, position, bid
            best[place, 3], best[place, 4] = p, score
            best[place, 5] = ads[position, 4]
    return kept
