"""How a campaign is paced: plan and spend, its multiplier, whether it can spend its budget."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final, Literal

from msgspec import Struct

from ringwork.ads.model import Campaign
from ringwork.ads.pacing.throttle import planned_end_s
from ringwork.console.ahead import Ahead, future
from ringwork.console.facts import CampaignFacts, Pace
from ringwork.console.format import (
    DAY_S,
    MINUS,
    MISSING,
    NARROW,
    amount,
    count,
    day,
    minute,
    money,
    percent,
    share,
    short_day,
)
from ringwork.console.views.spend import time_marks
from ringwork.kernel.money import NANOS

CORRIDOR_PERMILLE: Final = 50
"""Of the budget: a twentieth off the plan is what a pacer corrects by itself."""
REACH_PERMILLE: Final = 980
"""Of the budget: what is foreseen below it will be left over."""
_S_US: Final = 1_000_000
_POINTS: Final = 400

Standing = Literal["on plan", "behind", "ahead", "cannot spend it", "spent", "too early to say"]

TAGS: Final[dict[Standing, str]] = {
    "on plan": "good",
    "behind": "warn",
    "ahead": "warn",
    "cannot spend it": "warn",
    "spent": "off",
    "too early to say": "open",
}


class Verdict(Struct, frozen=True, kw_only=True):
    """Whether the plan is kept and the budget can be spent, in a word and in a sentence."""

    standing: Standing
    tag: str
    text: str


class PaceRowView(Struct, frozen=True, kw_only=True):
    """One note in the table behind the curves; amounts are texts in the plan's unit."""

    when: str
    spent: str
    due: str
    difference: str
    pace: str
    reach: str


class Pacing(Struct, frozen=True, kw_only=True):
    """The body of the section; x is from 0 to 1 of the plan's time, y in units or impressions."""

    verdict: Verdict
    period: str
    unit: str
    title: str
    spent: list[tuple[float, float]]
    plans: list[list[tuple[float, float]]]
    """One line per plan: another begins after a change of terms."""
    forecast: list[tuple[float, float]]
    marks: list[tuple[float, str]]
    now: tuple[float, float, str] | None
    budget: float
    budget_text: str
    difference_title: str
    differences: list[tuple[float, float]]
    """Spent minus plan at each note."""
    corridor: float
    difference_now: tuple[float, float, str] | None
    pace_title: str
    paces: list[tuple[float, float]]
    """Per cent of its bid."""
    pace_now: tuple[float, float, str] | None
    pace_name: str
    facts: list[tuple[str, str]]
    rows: list[PaceRowView]


class PlanRow(Struct, frozen=True, kw_only=True):
    """A campaign that is off its plan, in the overview's table."""

    id: str
    name: str
    until: str
    spent: str
    due: str
    difference: str
    spent_share: float
    due_share: float
    pace: str
    reach: str
    tag: str
    standing: Standing


def verdict(pace: Pace, currency: str) -> Verdict:
    """What the newest note says."""
    standing = _standing(pace)
    end = _until(pace)
    reach, budget = _text(pace.reach or 0, pace, currency), _text(pace.budget, pace, currency)
    off = _text(abs(pace.spent - pace.due), pace, currency)
    text = {
        "on plan": f"Within 5{NARROW}% of its plan; it can spend its {budget} by {end}.",
        "behind": f"It is {off} behind its plan and can still spend its {budget} by {end}.",
        "ahead": f"It is {off} ahead of its plan and bids less to come back to it.",
        "cannot spend it": (
            f"It cannot spend its budget: demand allows {reach} of {budget} by {end} at its "
            "whole bid. A higher bid, wider targeting or a smaller budget would mend it."
        ),
        "spent": f"Its {budget} are spent or reserved; nothing more is planned before {end}.",
        "too early to say": (
            "Fewer than 50 requests have come since the plan was made; it bids as before."
        ),
    }[standing]
    if pace.unit == "impressions":
        text = text.replace("spend", "show").replace("its budget", "what was promised")
        text = text.replace("bids less", "takes part in less").replace(
            "at its whole bid", "at most"
        )
    return Verdict(standing=standing, tag=TAGS[standing], text=text)


def _standing(pace: Pace) -> Standing:
    if pace.spent >= pace.budget:
        return "spent"
    if pace.reach is None:
        return "too early to say"
    if pace.reach * 1000 < pace.budget * REACH_PERMILLE:
        return "cannot spend it"
    off = pace.spent - pace.due
    if abs(off) * 1000 <= pace.budget * CORRIDOR_PERMILLE:
        return "on plan"
    return "ahead" if off > 0 else "behind"


def pacing(
    facts: CampaignFacts, notes: Sequence[Pace], now_us: int, ahead: Ahead | None = None
) -> Pacing | None:
    """The section from the notes of the present plan's period; None where there is no plan.

    ``ahead``: the traffic that is expected from the newest note on, whose shape the future has.
    """
    if not notes or notes[-1].ends_s * _S_US <= now_us:
        return None
    last, campaign = notes[-1], facts.campaign
    notes = [each for each in notes if each.ends_s == last.ends_s and each.unit == last.unit]
    currency, scale = campaign.budget.currency, NANOS if last.unit == "nanos" else 1
    start_us, end_us = _begin_s(campaign, notes) * _S_US, last.ends_s * _S_US

    def at(ts_us: int, value: float) -> tuple[float, float]:
        return min(max((ts_us - start_us) / (end_us - start_us), 0.0), 1.0), value / scale

    spent_now = _spent_now(facts, last)
    spent = [at(each.ts_us, each.spent) for each in _thinned(notes)]
    here = at(now_us, spent_now)
    reach = last.reach if last.reach is not None else last.budget
    ends_at = min(max(reach, spent_now), max(last.budget, spent_now))
    plan_end_us = max(_plan_end_us(last), last.ts_us)
    # Before it has bought anything its plan is even in time; then it follows the requests.
    plan_ahead = ahead if last.spent else None
    coming = [
        at(ts_us, value)
        for ts_us, value in future(plan_ahead, (last.ts_us, last.due), (plan_end_us, last.budget))
    ][1:]
    if plan_end_us < end_us:
        coming.append(at(end_us, last.budget))
    foreseen = [
        at(ts_us, value) for ts_us, value in future(ahead, (now_us, spent_now), (end_us, ends_at))
    ][1:]
    said, corridor = verdict(last, currency), last.budget * CORRIDOR_PERMILLE // 1000
    return Pacing(
        verdict=said,
        period=_period(start_us, end_us),
        unit=currency if last.unit == "nanos" else "impressions",
        title=f"{said.standing.capitalize()}: {_text(spent_now, last, currency)} spent of "
        f"{_text(last.budget, last, currency)}, plan by the last note "
        f"{_text(last.due, last, currency)}",
        spent=[*spent, here],
        plans=[
            [
                *(at(each.ts_us, each.due) for each in _thinned(list(piece))),
                *(coming if begins_s == last.begins_s else []),
            ]
            for begins_s, piece in groupby(notes, key=lambda each: each.begins_s)
        ],
        forecast=[here, *foreseen],
        marks=_marks(start_us, end_us),
        now=(*here, f"now {_bare(spent_now, last, currency)}"),
        budget=last.budget / scale,
        budget_text=f"{'budget' if last.unit == 'nanos' else 'promised'} "
        f"{_text(last.budget, last, currency)}",
        difference_title=f"{_signed(last.spent - last.due, last, currency)} at the last note; "
        f"corridor {_text(corridor, last, currency)} either way",
        differences=[at(each.ts_us, each.spent - each.due) for each in _thinned(notes)],
        corridor=corridor / scale,
        difference_now=(
            *at(last.ts_us, last.spent - last.due),
            f"{minute(last.ts_us)}, {_signed(last.spent - last.due, last, currency)}",
        ),
        pace_title=f"Between {_pace(min(each.pace_ppm for each in notes))} and "
        f"{_pace(max(each.pace_ppm for each in notes))}, now {_pace(last.pace_ppm)}",
        paces=[
            *((at(each.ts_us, 0)[0], each.pace_ppm / 10_000) for each in _thinned(notes)),
            (here[0], last.pace_ppm / 10_000),
        ],
        pace_now=(here[0], last.pace_ppm / 10_000, f"now {_pace(last.pace_ppm)}"),
        pace_name="Share of its bid that it bids"
        if last.unit == "nanos"
        else "Share of requests that it takes part in",
        facts=_facts(last, spent_now, ends_at, currency),
        rows=[_row(each, currency, start_us, end_us) for each in reversed(_thinned(notes))],
    )


def _facts(last: Pace, spent_now: int, ends_at: int, currency: str) -> list[tuple[str, str]]:
    reach = "not known yet" if last.reach is None else _text(last.reach, last, currency)
    return [
        ("Used", f"{percent(spent_now, last.budget)} of {_text(last.budget, last, currency)}"),
        (
            "Plan by the last note",
            f"{_text(last.due, last, currency)}, {minute(last.ts_us)} UTC",
        ),
        ("Foreseen at the end", _text(ends_at, last, currency)),
        ("Demand allows", reach),
    ]


def why_unplanned(campaign: Campaign) -> str:
    """Why a campaign has no plan, in a sentence."""
    if campaign.priority in ("house", "sponsorship"):
        return f"A {campaign.priority} campaign is not paced: it takes its turn."
    if campaign.pacing == "asap" and campaign.priority == "price":
        return "It spends as soon as it can: nothing is held back for later."
    if campaign.daily_budget is None and campaign.ends_us is None:
        return "It has neither a daily budget nor an end, so that there is nothing to spread."
    if campaign.status != "active":
        return "A plan is made once it is live."
    return "Its plan is made within a minute of going live, and noted four times an hour."


def off_plan(
    campaigns: Sequence[CampaignFacts], paces: dict[str, Pace], now_us: int
) -> tuple[list[PlanRow], int]:
    """The campaigns that are behind, ahead or unable, the furthest first; how many have a plan."""
    found: list[tuple[float, PlanRow]] = []
    planned = 0
    for facts in campaigns:
        pace = paces.get(facts.campaign.id)
        if pace is None or pace.ends_s * _S_US <= now_us or facts.campaign.status != "active":
            continue
        planned += 1
        row = plan_row(facts.campaign, pace)
        if row.tag == "warn":
            weight = abs(row.spent_share - row.due_share) + (row.standing == "cannot spend it")
            found.append((-weight, row))
    return [row for _, row in sorted(found, key=lambda each: (each[0], each[1].name))], planned


def plan_row(campaign: Campaign, pace: Pace) -> PlanRow:
    """One campaign's newest note as a row."""
    said, currency = verdict(pace, campaign.budget.currency), campaign.budget.currency
    return PlanRow(
        id=campaign.id,
        name=campaign.name,
        until=_until(pace),
        spent=_text(pace.spent, pace, currency),
        due=_text(pace.due, pace, currency),
        difference=_signed(pace.spent - pace.due, pace, currency),
        spent_share=pace.spent / pace.budget if pace.budget else 0.0,
        due_share=pace.due / pace.budget if pace.budget else 0.0,
        pace=_pace(pace.pace_ppm),
        reach=MISSING if pace.reach is None else _text(pace.reach, pace, currency),
        tag=said.tag,
        standing=said.standing,
    )


def _begin_s(campaign: Campaign, notes: Sequence[Pace]) -> int:
    """Where the plan's time begins: its day's or flight's begin, or the first note of it."""
    first = notes[0].begins_s
    if campaign.daily_budget is not None and campaign.priority == "price":
        return min(first, max(first // DAY_S * DAY_S, campaign.starts_us // _S_US))
    starts_s = campaign.starts_us // _S_US
    return starts_s if 0 < starts_s < first else first


def _plan_end_us(last: Pace) -> int:
    """When the plan is to be fulfilled: of a promise, somewhat before its end."""
    if last.unit == "nanos":
        return last.ends_s * _S_US
    return round(planned_end_s(last.begins_s, last.ends_s)) * _S_US


def _spent_now(facts: CampaignFacts, last: Pace) -> int:
    """What memory knows of the plan's spend; of a promise, what the last note said."""
    if last.unit == "impressions":
        return last.spent
    daily = facts.campaign.daily_budget
    if daily is not None and facts.day_free_nanos is not None:
        return daily.total_nanos - facts.day_free_nanos
    if facts.account is not None:
        return facts.campaign.budget.total_nanos - facts.account.available_nanos
    return last.spent


def _thinned(notes: Sequence[Pace]) -> list[Pace]:
    """At most as many as a curve can show; the last one always."""
    step = -(-len(notes) // _POINTS)
    return [*notes[: -1 if len(notes) > 1 else 0 : step], notes[-1]]


def _row(pace: Pace, currency: str, start_us: int, end_us: int) -> PaceRowView:
    several = end_us - start_us > DAY_S * _S_US
    when = f"{short_day(pace.ts_us)} {minute(pace.ts_us)}" if several else minute(pace.ts_us)
    return PaceRowView(
        when=when,
        spent=_bare(pace.spent, pace, currency),
        due=_bare(pace.due, pace, currency),
        difference=_signed(pace.spent - pace.due, pace, currency),
        pace=share(pace.pace_ppm, 1_000_000),
        reach=MISSING if pace.reach is None else _bare(pace.reach, pace, currency),
    )


def _pace(ppm: int) -> str:
    return percent(ppm, 1_000_000)


def _text(value: int, pace: Pace, currency: str) -> str:
    return f"{count(value)} impressions" if pace.unit == "impressions" else money(value, currency)


def _bare(value: int, pace: Pace, currency: str) -> str:
    return count(value) if pace.unit == "impressions" else amount(value, currency)


def _signed(value: int, pace: Pace, currency: str) -> str:
    sign = MINUS if value < 0 else "+" if value else ""
    return f"{sign}{_bare(abs(value), pace, currency)}"


def _marks(start_us: int, end_us: int) -> list[tuple[float, str]]:
    """Midnight at the end is 24:00 of its day."""
    return [
        (x, "24:00" if x == 1.0 and text == "00:00" else text)
        for x, text in time_marks(start_us, end_us)
    ]


def _until(pace: Pace) -> str:
    return _moment(pace.ends_s * _S_US)


def _moment(ts_us: int) -> str:
    """Midnight ends the day before it."""
    if ts_us % (DAY_S * _S_US) == 0:
        return f"24:00 UTC on {short_day(ts_us - 1)}"
    return f"{minute(ts_us)} UTC on {short_day(ts_us)}"


def _period(start_us: int, end_us: int) -> str:
    if end_us - start_us <= DAY_S * _S_US and day(start_us) == day(end_us - 1):
        end = "24:00" if end_us % (DAY_S * _S_US) == 0 else minute(end_us)
        return f"{day(start_us)}, {minute(start_us)} to {end} UTC"
    return f"{day(start_us)} to {day(end_us - 1)}"
