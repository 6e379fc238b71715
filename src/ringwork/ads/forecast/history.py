"""What the log says about places that match a plan: days of opportunities and prices to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from ringwork.ads.forecast.matching import AUCTION, matching
from ringwork.ads.forecast.plan import PlannedCampaign
from ringwork.ads.outcomes import MAX_HOLD_S
from ringwork.ads.reports.facts import Range
from ringwork.ads.reports.report import Warehouse

DAY_US: Final = 86_400_000_000
SAMPLE_MAX: Final = 20_000
"""Prices that are looked at; a bootstrap sorts a few times as many for each of its replicates."""

UNREACHABLE: Final = 1e18
"""A price that no bid reaches; the market's arithmetic takes finite ones only."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Block(Struct, frozen=True):
    """A day of history, from the time of day that the plan starts at, or a part of one."""

    weekday: int
    """Of its beginning; Monday is 0."""
    requests: int
    opportunities: int
    prices: Floats
    """To beat, a sample of all; ``UNREACHABLE`` where no bid of its priority would have won."""


class History(Struct, frozen=True, kw_only=True):
    """Days of the log, oldest first."""

    days: list[Block]
    tails: list[Block]
    """The same days up to the time of day that the plan ends at; empty days where it ends at the
    time of day that it starts at."""
    placements: int
    shown_ppm: int
    pays_bid_ppm: int
    """Of the places, those where the winner pays its bid."""
    sizes_unknown_ppm: int
    """Of the banner places, those whose sizes the log does not say."""


def days_of(plan: PlannedCampaign, *, log_begins_us: int, now_us: int) -> list[int]:
    """The beginnings of whole days before now, at the plan's time of day, oldest first."""
    last_us = now_us - (now_us - plan.starts_us) % DAY_US
    count = min(plan.history_days, (last_us - log_begins_us) // DAY_US)
    return [last_us - (count - day) * DAY_US for day in range(max(count, 0))]


def log_begins_us(warehouse: Warehouse) -> int | None:
    """When the first auction of the files was; None where there is none."""
    [(first,)] = warehouse.rows("SELECT min(ts_us) FROM events WHERE type = 'auction_cleared'")
    return cast("int | None", first)


def read_history(warehouse: Warehouse, plan: PlannedCampaign, begins: Sequence[int]) -> History:
    """The days that begin so, as the plan sees them; two passes over their auctions."""
    span = Range(begins[0], begins[-1] + DAY_US)
    condition = matching(plan, from_us=span.from_us, until_us=span.until_us)
    tail_us = (plan.ends_us - plan.starts_us) % DAY_US
    cte, given = _matched(span, condition.sql), condition.parameters
    counts = warehouse.rows(cte + _counted(tail_us), given)
    places = warehouse.rows(cte + _places(span), given)
    total = sum(cast("int", row[3]) for row in counts)
    every = -(-total // SAMPLE_MAX) or 1
    sampled = warehouse.rows(cte + _sampled(plan, tail_us, every), given)
    days, tails = _blocks(begins, counts, sampled)
    placements, sold, shown, pays_bid, banners, unsized = cast("tuple[int, ...]", places[0])
    return History(
        days=days,
        tails=tails,
        placements=placements,
        shown_ppm=_ppm(shown, sold) if sold else 1_000_000,
        pays_bid_ppm=_ppm(pays_bid, total),
        sizes_unknown_ppm=_ppm(unsized, banners),
    )


def _blocks(
    begins: Sequence[int],
    counts: Sequence[tuple[object, ...]],
    sampled: Sequence[tuple[object, ...]],
) -> tuple[list[Block], list[Block]]:
    """Every day whole, and every day up to the end of the plan's last part."""
    columns = list(zip(*sampled, strict=True)) or [(), (), ()]
    day, is_tail = np.array(columns[0], np.int64), np.array(columns[1], bool)
    price = np.array(columns[2], np.float64)
    price = np.where(np.isnan(price), UNREACHABLE, price)  # SQL's NULL becomes NaN
    found = {(row[0], row[1]): cast("tuple[int, int]", row[2:]) for row in counts}
    days, tails = [], []
    for number, begin_us in enumerate(begins):
        weekday = (begin_us // DAY_US + 3) % 7  # 1970 began on a Thursday
        tail, rest = (found.get((number, one), (0, 0)) for one in (True, False))
        of_day = day == number
        days.append(Block(weekday, tail[0] + rest[0], tail[1] + rest[1], price[of_day]))
        tails.append(Block(weekday, *tail, price[of_day & is_tail]))
    return days, tails


def _ppm(part: int, whole: int) -> int:
    return min(part * 1_000_000 // whole, 1_000_000) if whole else 0


def _matched(span: Range, condition: str) -> str:
    """Places that match, one row each, as ``matched``."""
    placed = """placed AS (SELECT p.id AS placement,
    arg_max(p.width || 'x' || p.height, seq) AS size
FROM (SELECT seq, json_transform(payload->'placement',
        '{"id":"VARCHAR","width":"INTEGER","height":"INTEGER"}') AS p
    FROM events WHERE type IN ('placement_created', 'placement_changed'))
GROUP BY p.id)"""
    return f"""WITH {placed},
auctions AS (SELECT id, ts_us, e.context AS c, unnest(e.slots) AS slot
    FROM (SELECT id, ts_us, json_transform(payload, '{AUCTION}') AS e
        FROM events WHERE type = 'auction_cleared' AND {span.where})),
matched AS (SELECT id, ts_us, slot, c, size,
        (ts_us - {span.from_us}) // {DAY_US} AS day,
        (ts_us - {span.from_us}) % {DAY_US} AS into_us
    FROM auctions LEFT JOIN placed ON c.placement_id = placed.placement
    WHERE {condition})
"""  # noqa: S608  # words and integers of ours; values are parameters


def _counted(tail_us: int) -> str:
    return f"""SELECT day, into_us < {tail_us} AS is_tail, count(DISTINCT id), count(*)
FROM matched GROUP BY day, is_tail ORDER BY day, is_tail"""  # noqa: S608  # an integer of ours


def _places(span: Range) -> str:
    until = Range(span.from_us, span.until_us + MAX_HOLD_S * 1_000_000)
    return f"""SELECT count(DISTINCT (c.publisher_id, c.placement_id, c.site, c.app)),
    count(slot.impression_id),
    (SELECT count(*) FROM events WHERE type = 'impression_billed' AND {until.where}
        AND payload->>'impression_id' IN (SELECT slot.impression_id FROM matched)),
    count(*) FILTER (slot.charge_bid OR slot.rule = 'first'),
    count(*) FILTER (slot.format = 'banner'),
    count(*) FILTER (slot.format = 'banner' AND size IS NULL)
FROM matched"""  # noqa: S608  # integers and dates of ours


def _sampled(plan: PlannedCampaign, tail_us: int, every: int) -> str:
    """A sample of the prices to beat; NULL where somebody who is asked earlier had the place."""
    taken = "slot.rule = 'priority'"
    best = "coalesce(slot.considered[1].score_nanos, 0)"
    if plan.priority in ("sponsorship", "guaranteed"):
        price = f"CASE WHEN {taken} THEN NULL ELSE slot.reserve_nanos END"
    elif plan.priority == "house":
        sold = "slot.impression_id IS NOT NULL AND slot.rule <> 'house'"
        price = f"CASE WHEN {sold} THEN NULL ELSE 0 END"
    else:
        price = f"""CASE WHEN {taken} THEN NULL WHEN slot.rule = 'house' THEN slot.reserve_nanos
    ELSE greatest(slot.reserve_nanos, {best}) END"""
    return f"""SELECT day, into_us < {tail_us}, CAST({price} AS DOUBLE)
FROM matched WHERE md5_number_lower(id) % {every} = 0
ORDER BY ts_us, id, slot.reserve_nanos"""  # noqa: S608  # words and integers of ours
