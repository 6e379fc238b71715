"""Every page in every state worth looking at, from the hand-made day."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ringwork.console.facts import Chances, InReview, Search
from ringwork.console.pages import Page, Shell
from ringwork.console.render import Frame, Renderer
from ringwork.console.views.advertisers import advertiser, advertisers
from ringwork.console.views.audiences import audience, audiences
from ringwork.console.views.campaign import campaign
from ringwork.console.views.campaigns import campaigns
from ringwork.console.views.consent import consent
from ringwork.console.views.conversions import conversions
from ringwork.console.views.errors import problem
from ringwork.console.views.fairness import fairness
from ringwork.console.views.fairness_ad import fairness_ad
from ringwork.console.views.fairness_log import fairness_log
from ringwork.console.views.found import Hit, found
from ringwork.console.views.health import health
from ringwork.console.views.history import changes
from ringwork.console.views.invoices import invoice, invoices
from ringwork.console.views.ledger import account, ledger, transfer
from ringwork.console.views.overview import overview
from ringwork.console.views.person import person
from ringwork.console.views.publishers import publisher, publishers
from ringwork.console.views.reports import reports
from ringwork.console.views.requests import requests
from ringwork.console.views.reviews import reviews
from ringwork.console.views.trace import trace
from tests.console import day as d
from tests.console import fair as f
from tests.console import month as m
from tests.console import people as p

ASSETS = {
    name: f"/console/static/{name}"
    for name in ("console.css", "console.js", "mark.svg", "vendor/htmx.min.js")
}
SHELL = Shell(
    events=188, verified="Verified 16:19 UTC", waiting={"campaigns": 2}, source="demo world, seed 7"
)
NEW = replace(
    d.CAMPAIGN,
    facts=replace(d.LOANS, account=None),
    spent=[],
    chances=Chances(),
    creatives=[],
    transfers=[],
)

PAGES: dict[str, Callable[[], Page]] = {
    "overview": lambda: overview(d.OVERVIEW),
    "overview-empty": lambda: overview(d.EMPTY_OVERVIEW, live=False),
    "requests": lambda: requests(d.REQUESTS, Search()),
    "requests-none": lambda: requests(
        replace(d.REQUESTS, lines=[], older=0), Search(id="0197", outcome="billed")
    ),
    "trace": lambda: trace(d.TRACE),
    "trace-unsold": lambda: trace(
        replace(d.TRACE, events=[d.recorded(1, d.cleared(d.UNSOLD), id=d.AUCTION)])
    ),
    "trace-two-places": lambda: trace(
        replace(
            d.TRACE,
            events=[d.recorded(1, d.cleared(d.SOLD, replace(d.SOLD, slot_id="2")), id=d.AUCTION)],
        )
    ),
    "campaigns": lambda: campaigns(d.CAMPAIGN_LIST),
    "campaigns-none": lambda: campaigns(replace(d.CAMPAIGN_LIST, campaigns=[])),
    "campaign": lambda: campaign(d.foreseen(d.PLAN)),
    "campaign-measured": lambda: campaign(
        d.foreseen(d.PLAN), measured=f.of_campaign(f.flight_log())
    ),
    "campaign-unmeasured": lambda: campaign(d.foreseen(d.PLAN), measured=f.of_campaign(None)),
    "campaign-unforeseen": lambda: campaign(d.paced(d.PLAN)),
    "campaign-starved": lambda: campaign(d.foreseen(d.STARVED)),
    "campaign-early": lambda: campaign(d.paced(d.PLAN[:1])),
    "campaign-new": lambda: campaign(NEW),
    "conversions": lambda: conversions(d.CONVERSIONS),
    "conversions-none": lambda: conversions(replace(d.CONVERSIONS, lines=[], counted=0, older=0)),
    "reviews": lambda: reviews(m.REVIEWS),
    "reviews-none": lambda: reviews(
        replace(m.REVIEWS, in_review=InReview(), lines=[], has_more=False)
    ),
    "changes": lambda: changes(m.CHANGES),
    "changes-none": lambda: changes(replace(m.CHANGES, lines=[], older=0)),
    "reports": lambda: reports(m.OPENED, m.AROUND),
    "reports-made": lambda: reports(replace(m.OPENED, made=m.BY_CAMPAIGN), m.AROUND),
    "reports-days": lambda: reports(replace(m.OPENED, made=m.BY_DAY), m.AROUND),
    "reports-total": lambda: reports(replace(m.OPENED, made=m.TOTAL), m.AROUND),
    "reports-none": lambda: reports(
        replace(m.OPENED, made=m.made([], (0, None, 0))), replace(m.AROUND, schedules=[])
    ),
    "reports-wrong": lambda: reports(
        replace(m.OPENED, faults={"/first_day": "Needed"}, trouble="no", status=422), m.AROUND
    ),
    "invoices": lambda: invoices(m.INVOICES),
    "invoices-none": lambda: invoices(
        replace(
            m.INVOICES,
            advertiser_id="hp",
            uninvoiced=[],
            uninvoiced_count=0,
            uninvoiced_nanos=0,
            invoices=[],
            has_more_invoices=False,
            credit_notes=[],
            has_more_notes=False,
        )
    ),
    "invoice": lambda: invoice(m.ONE_INVOICE, done="It was issued."),
    "publishers": lambda: publishers(m.PUBLISHERS),
    "publishers-none": lambda: publishers(
        replace(m.PUBLISHERS, lines=[], count=0, owed_count=0, owed_nanos=0)
    ),
    "publisher": lambda: publisher(m.STATEMENT, key="k"),
    "publisher-now": lambda: publisher(
        replace(m.STATEMENT, this_month="2026-10", payable=None, account_nanos=1, paid=[]),
        key="k",
        trouble="2026-10 is not over yet in UTC",
    ),
    "advertisers": lambda: advertisers(m.ADVERTISERS),
    "advertisers-none": lambda: advertisers(
        replace(m.ADVERTISERS, lines=[], count=0, has_more=False)
    ),
    "advertiser": lambda: advertiser(m.ONE_ADVERTISER),
    "advertiser-new": lambda: advertiser(
        replace(m.ONE_ADVERTISER, campaigns=[], balance=None, invoices=[])
    ),
    "audiences": lambda: audiences(p.AUDIENCES),
    "audiences-none": lambda: audiences(
        replace(
            p.AUDIENCES, lines=[], count=0, live=0, used=0, interest_campaigns=0, has_more=False
        )
    ),
    "audience": lambda: audience(p.AUDIENCE, key="k"),
    "audience-archived": lambda: audience(
        replace(
            p.AUDIENCE,
            line=replace(
                p.LINE, audience=replace(p.BOATS, status="archived"), uses=[], use_count=0
            ),
        ),
        key="k",
        trouble="It was changed meanwhile.",
    ),
    "consent": lambda: consent(p.CONSENT),
    "consent-none": lambda: consent(p.EMPTY_CONSENT),
    "consent-broken": lambda: consent(p.BROKEN_CONSENT, fault="Expected 1 to 128 letters"),
    "person": lambda: person(p.PERSON, key="k"),
    "person-none": lambda: person(p.STRANGER, key="k", fault="This is the id of somebody else"),
    "person-broken": lambda: person(p.BROKEN_PERSON, key="k", trouble="It was refused."),
    "fairness": lambda: fairness(f.overview(f.town_log()), now_us=d.NOW),
    "fairness-flight": lambda: fairness(f.overview(f.flight_log()), now_us=d.NOW),
    "fairness-arm": lambda: fairness(f.overview(f.arm_log()), now_us=d.NOW),
    "fairness-sex": lambda: fairness(
        f.overview(f.town_log(), attribute="sex", sort="figure", page=2), now_us=d.NOW
    ),
    "fairness-crossed": lambda: fairness(f.crossed(), now_us=d.NOW),
    "fairness-far": lambda: fairness(f.overview(f.town_log(), page=9), now_us=d.NOW),
    "fairness-begun": lambda: fairness(f.overview(f.plan_alone()), now_us=d.NOW),
    "fairness-unreleased": lambda: fairness(f.overview(f.unreleased()), now_us=d.NOW),
    "fairness-none": lambda: fairness(None, now_us=d.NOW, has_log=False),
    "fairness_ad-arm": lambda: fairness_ad(f.one_ad(f.arm_log())),
    "fairness_ad": lambda: fairness_ad(f.one_ad(f.flight_log()), key="k", set_key="l"),
    "fairness_ad-wrong": lambda: fairness_ad(
        f.one_ad(f.flight_log(), "ad-1"),
        key="k",
        set_key="l",
        faults={"lambda-0": "A number is expected", "reason": "A reason is needed"},
        typed={"action": "set", "lambda-0": "much"},
        trouble="It was refused.",
        status=422,
    ),
    "fairness_ad-unreleased": lambda: fairness_ad(f.one_ad(f.unreleased())),
    "fairness_log": lambda: fairness_log(f.end_of(f.town_log()), now_us=d.NOW),
    "fairness_log-none": lambda: fairness_log(None, now_us=d.NOW),
    "ledger": lambda: ledger(d.LEDGER),
    "ledger-none": lambda: ledger(
        replace(d.LEDGER, trial={}, accounts=[], account_count=0, transfers=[])
    ),
    "account": lambda: account(d.ACCOUNT),
    "transfer": lambda: transfer(d.TRANSFER),
    "health": lambda: health(d.HEALTH),
    "health-new": lambda: health(replace(d.HEALTH, waits_ns=[], lags=[], store_bytes={})),
    "found": lambda: found("autumn", [Hit("Autumn exteriors", "/console/", "campaign")], d.NOW),
    "found-none": lambda: found("nothing", [], d.NOW),
    "not-found": lambda: problem(404, "There is no page here.", "0197-1", d.NOW),
    "broken": lambda: problem(500, "", "0197-2", d.NOW),
}

RENDERER = Renderer()


def html_of(name: str, *, fragment: bool = False) -> str:
    """The page as a signed-in person gets it."""
    frame = Frame(shell=SHELL, path=f"/console/{name}", csrf="token", signed_in=True, assets=ASSETS)
    return RENDERER.html(PAGES[name](), frame, fragment=fragment)
