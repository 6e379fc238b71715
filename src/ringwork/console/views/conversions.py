"""What a campaign brought: its conversions one by one."""

from __future__ import annotations

from msgspec import Struct

from ringwork.console.facts import ConversionFacts, ConversionsFacts
from ringwork.console.format import plural
from ringwork.console.pages import Bold, Page, say
from ringwork.console.views.matters import campaign_href
from ringwork.console.views.requests import request_href


class ConversionRow(Struct, frozen=True, kw_only=True):
    """A conversion in a table."""

    ts_us: int
    conversion_id: str
    ad: str
    ad_id: str
    after: str
    value_nanos: int
    charged_nanos: int
    currency: str
    tag: str
    word: str
    request_id: str
    request_href: str


class ConversionsBody(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    campaign: str
    campaign_href: str
    rows: list[ConversionRow]
    older_href: str


def conversions(facts: ConversionsFacts) -> Page:
    """The page from its facts."""
    subject = facts.campaign
    here = f"{campaign_href(subject.id)}/conversions"
    return Page(
        name="conversions",
        title="Conversions of",
        subject=subject.id,
        question="What did the campaign bring?",
        answer=say(
            Bold(plural(facts.counted, "conversion")),
            f" followed a click on {subject.name}; those after a view alone are counted apart."
            if facts.counted or facts.lines
            else f" of {subject.name} so far.",
        ),
        now_us=facts.now_us,
        body=ConversionsBody(
            campaign=subject.name,
            campaign_href=campaign_href(subject.id),
            rows=[_row(one, facts.names.get(one.ad_id, one.ad_id)) for one in facts.lines],
            older_href=f"{here}?before={facts.older}" if facts.older else "",
        ),
        notes=("newest first",),
        command=f"ringwork ads campaigns {subject.id}",
    )


def _row(facts: ConversionFacts, ad: str) -> ConversionRow:
    charged = facts.charged_nanos > 0
    return ConversionRow(
        ts_us=facts.ts_us,
        conversion_id=facts.conversion_id,
        ad=ad,
        ad_id=facts.ad_id,
        after="a view" if facts.view_through else "a click",
        value_nanos=facts.value_nanos,
        charged_nanos=facts.charged_nanos,
        currency=facts.currency,
        tag="warn" if facts.unbilled_reason else "good" if charged else "off",
        word=facts.unbilled_reason or ("charged" if charged else "not paid for"),
        request_id=facts.request_id,
        request_href=request_href(facts.request_id),
    )
