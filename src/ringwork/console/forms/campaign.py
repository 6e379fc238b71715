"""The form of a campaign: every member that the management API takes, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ringwork.console.forms import texts
from ringwork.console.forms.members import Group, Member, Option, options

PRICINGS: Final = options(
    ("cpm", "an impression (CPM)"),
    ("vcpm", "a viewable impression (vCPM)"),
    ("cpv", "a view (CPV)"),
    ("cpc", "a click (CPC)"),
    ("cpa", "a conversion (CPA)"),
)
PRIORITIES: Final = options(
    ("price", "price: the auction"),
    ("sponsorship", "sponsorship: a share of all views"),
    ("guaranteed", "guaranteed: a promised number of impressions"),
    ("house", "house: free, fills what nobody bought"),
)
SPECIAL: Final = options(
    ("HOUSING", "Housing: to rent, to buy, to sell, and what belongs to it"),
    ("EMPLOYMENT", "Employment: jobs, internships, recruiting"),
    ("CREDIT", "Credit: loans, cards, mortgages, payment over time"),
)
PACINGS: Final = options(
    ("even", "evenly over the day or the flight"), ("asap", "as soon as possible")
)
DEVICES: Final = options(
    ("phone", "Phone"), ("tablet", "Tablet"), ("computer", "Computer"), ("tv", "TV"),
    ("other", "Other"),
)  # fmt: skip
WEEKDAYS: Final = tuple(
    Option(str(number), name)
    for number, name in enumerate(
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    )
)
ID: Final = "1 to 64 letters, digits, '.', '_', ':' or '-'"

_STARTS: Final = texts.Codec(texts.MOMENT.write, lambda typed: texts.MOMENT.read(typed) or 0)


def campaign_groups(
    currency: str,
    *,
    is_new: bool,
    advertisers: Sequence[Option] = (),
    certification: Option | None = None,
) -> tuple[Group, ...]:
    """The members, of a new campaign or those that can be changed of one that exists.

    ``certification``: the version of the text that a special campaign certifies, and the text.
    """
    return (
        Group(title="What it is", members=_named(is_new=is_new, advertisers=advertisers)),
        Group(title="What its ads offer", members=_offers(certification), lede=_OFFERS),
        Group(title="What it pays", members=_paid(currency, is_new=is_new)),
        Group(title="When it runs", members=_times(), lede=_TIMES),
        Group(title="Which turn it has", members=_turn()),
        Group(title="Where it may show", members=_places("/targeting", ""), lede=_PLACES),
        Group(
            title="Where it must not show",
            members=_places("/targeting/excluded", ", excluded"),
            lede="One match keeps it out, whatever it is targeted at.",
        ),
        Group(title="How often, and beside whom", members=_limits()),
    )


_OFFERS: Final = (
    "Ads for housing, employment and credit are under laws of their own: no age, no sex, no small "
    "area, no audiences. Say so whoever is to see them; nothing ticked says that they offer none."
)
_TIMES: Final = "Begin and end are in UTC; hours and days of the week are those of its time zone."
_PLACES: Final = "Nothing entered means anywhere; several values mean any of them. One a line."


def _named(*, is_new: bool, advertisers: Sequence[Option]) -> tuple[Member, ...]:
    name = Member(
        pointer="/name", label="Name", size=40, is_needed=True, expected="1 to 200 characters"
    )
    if not is_new:
        return (name,)
    return (
        name,
        Member(
            pointer="/id", label="Id", size=24, is_needed=True, expected=ID,
            hint=f"As in hp-autumn-26: {ID}. It stays.",
        ),
        Member(
            pointer="/advertiser_id", label="Advertiser", size=24, is_needed=True,
            options=tuple(advertisers), expected="the id of an advertiser",
            hint="Its account pays the budget in at once.",
        ),
    )  # fmt: skip


def _offers(certification: Option | None) -> tuple[Member, ...]:
    return (
        Member(
            pointer="/special_ad_categories", label="Offers", kind="checks", codec=texts.CHOSEN,
            options=SPECIAL, expected="some of HOUSING, EMPLOYMENT and CREDIT",
        ),
        Member(
            pointer="/certified_text", label="Certification", kind="checks",
            codec=texts.ONE_OR_NONE, options=(certification,) if certification else (),
            is_apart=True, hint="Needed with any of the three, and again for each new one.",
        ),
    )  # fmt: skip


def _paid(currency: str, *, is_new: bool) -> tuple[Member, ...]:
    pricing = Member(
        pointer="/pricing", label="Pays for", kind="select", options=PRICINGS, is_needed=True
    )
    rest = (
        Member(
            pointer="/bid_nanos", label=f"Bid for one, {currency}", codec=texts.PRICE, size=16,
            empty="absent", expected="a price above zero",
            hint="For one impression, view, click or conversion: a CPM of 2.50 is 0.0025.",
        ),
        Member(
            pointer="/budget", label=f"Budget, {currency}", codec=texts.money_of(currency), size=16,
            empty="absent", hint="For its whole life; it can never spend more.",
        ),
        Member(
            pointer="/daily_budget", label=f"Daily budget, {currency}",
            codec=texts.money_of(currency), size=16, empty="null",
            hint="At most this a day (UTC); empty is no limit.",
        ),
        Member(pointer="/pacing", label="Spends", kind="select", options=PACINGS),
        Member(
            pointer="/view_through", label="Also pay for conversions after a view alone",
            kind="tick", codec=texts.TICK, hint="Only where conversions are paid for.",
        ),
    )  # fmt: skip
    return (pricing, *rest) if is_new else rest


def _times() -> tuple[Member, ...]:
    when = "As 2026-11-26 16:00."
    return (
        Member(
            pointer="/starts_us", label="Begins, UTC", codec=_STARTS, size=20,
            hint=f"{when} Empty is at once.",
        ),
        Member(
            pointer="/ends_us", label="Ends, UTC", codec=texts.MOMENT, size=20, empty="null",
            hint=f"{when} Empty is when the budget is spent.",
        ),
        Member(
            pointer="/targeting/time_zone", label="Time zone", size=24, is_needed=True,
            hint="An IANA time zone, as Europe/Lisbon.",
        ),
        Member(
            pointer="/targeting/hours", label="Hours of the day", codec=texts.HOURS, size=24,
            hint="As 8-11, 18: from 08:00 to 12:00 and from 18:00 to 19:00. Empty is all day.",
        ),
        Member(
            pointer="/targeting/weekdays", label="Days of the week", kind="checks",
            codec=texts.CHOSEN_NUMBERS, options=WEEKDAYS, hint="None chosen is every day.",
        ),
    )  # fmt: skip


def _turn() -> tuple[Member, ...]:
    return (
        Member(pointer="/priority", label="Priority", kind="select", options=PRIORITIES),
        Member(
            pointer="/share_ppm", label="Share of views, %", codec=texts.PERCENT, size=10,
            empty="null", expected="more than 0 and at most 100",
            hint="Of a sponsorship only.",
        ),
        Member(
            pointer="/goal_impressions", label="Promised impressions", codec=texts.WHOLE, size=16,
            empty="null", expected="a whole number above zero",
            hint="Of a guaranteed campaign only, by its end.",
        ),
    )  # fmt: skip


def _places(at: str, suffix: str) -> tuple[Member, ...]:
    def lines(name: str, label: str, hint: str, expected: str) -> Member:
        return Member(
            pointer=f"{at}/{name}", label=label + suffix, kind="area", codec=texts.LINES, size=3,
            hint=hint, expected=expected,
        )  # fmt: skip

    return (
        lines("sites", "Sites", "As news.example, with all below it.", "a domain in lower case"),
        lines("apps", "Apps", "Bundle ids, as com.example.app.", "a bundle id"),
        lines("categories", "Content categories", "Ids of the IAB taxonomy.", "a category id"),
        lines("regions", "Regions", "As PRT or PRT-11.", "a region such as PRT or PRT-11"),
        Member(
            pointer=f"{at}/device_types", label=f"Devices{suffix}", kind="checks",
            codec=texts.CHOSEN, options=DEVICES,
        ),
        Member(
            pointer=f"{at}/key_values", label=f"Key-values{suffix}", kind="area",
            codec=texts.PAIRS, size=3, hint="What the publisher says of a page: section = sport.",
            expected="keys of lower-case letters, digits, '.', '_' or '-', and their values",
        ),
        lines(
            "audiences", "Audiences", "Of people who consented: ids, or interest: and a topic.",
            "the id of an audience, or interest: and a topic",
        ),
    )  # fmt: skip


def _limits() -> tuple[Member, ...]:
    return (
        Member(
            pointer="/frequency_caps", label="Frequency caps", kind="area", codec=texts.CAPS,
            size=3, hint="One a line, as 3 in 1 day, or 10 in 7 days per advertiser.",
            expected="1 to 1000 impressions in 1 minute to 30 days",
        ),
        Member(
            pointer="/exclusion_labels", label="Labels", kind="area", codec=texts.LINES, size=3,
            hint="Two campaigns with one label in common never show on one page.",
            expected="lower-case letters, digits, '.', '_' or '-'",
        ),
        Member(
            pointer="/roadblock", label="All places of a page or none (roadblock)", kind="tick",
            codec=texts.TICK,
        ),
    )  # fmt: skip
