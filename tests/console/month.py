"""A month made by hand: reviews, changes, reports, invoices and statements that a person can check."""

from __future__ import annotations

from fractions import Fraction

from ringwork.ads.invoices import Balance
from ringwork.ads.payouts import Paid
from ringwork.ads.report_views import (
    CreditNoteView,
    InvoiceView,
    LineView,
    ShareView,
    StatementView,
    WholeInvoice,
)
from ringwork.ads.reports import Report, ReportRow
from ringwork.ads.reports.schedules import ReportSchedule, Scheduled
from ringwork.ads.views import AdvertiserView
from ringwork.console.book_facts import (
    AdvertiserFacts,
    AdvertiserLine,
    AdvertisersFacts,
    InvoiceFacts,
    InvoicesFacts,
    PublisherLine,
    PublishersFacts,
    StatementFacts,
    Uninvoiced,
)
from ringwork.console.editing import asked_for
from ringwork.console.facts import ChangeFacts, ChangesFacts, InReview, ReviewLine, ReviewsFacts
from ringwork.console.forms.report import ReportAsked, defaults, query_of
from ringwork.console.views.reports import Around, Asked, Made
from ringwork.kernel.money import Money
from tests.console.day import EURO, NOW

DAY_US = 86_400_000_000
REPORT_ID = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
NAMES = {"hp": "Harbour Paints", "hp-autumn-26": "Autumn exteriors", "casa": "Diário da Casa"}


def euro(nanos: int) -> Money:
    return Money.of_nanos("EUR", nanos)


REVIEWS = ReviewsFacts(
    now_us=NOW,
    in_review=InReview(campaigns=1, creatives=1),
    lines=[
        ReviewLine(
            noun="campaign", id="tram", name="Tram pass", advertiser="Trams", since_us=NOW - DAY_US
        ),
        ReviewLine(noun="creative", id="a-1", name="<b>Bold</b>", advertiser="Trams", since_us=NOW),
    ],
    has_more=True,
)
CHANGES = ChangesFacts(
    now_us=NOW,
    noun="campaign",
    id="tram",
    name="Tram pass",
    lines=[
        ChangeFacts(
            ts_us=NOW, seq=12, actor="console", label="", action="change", reason="",
            changes=[("/name", b'"Tram"', b'"Tram pass"')],
        ),
        ChangeFacts(
            ts_us=NOW - DAY_US, seq=3, actor="k1", label="ads desk", action="create", reason="",
            changes=[],
        ),
    ],
    older=3,
)  # fmt: skip

# ---- reports ------------------------------------------------------------------------------------

AROUND = Around(
    names=NAMES,
    currency="EUR",
    schedules=[
        Scheduled(
            ReportSchedule(id="d", name="Every day", every="day", measures=["clicks"]),
            NOW, REPORT_ID, NOW,
        ),
        Scheduled(ReportSchedule(id="w", name="New", every="week", measures=["clicks"]), NOW),
    ],
    now_us=NOW,
)  # fmt: skip
OPENED = Asked(typed=defaults(NOW))


def made(rows: list[ReportRow], totals: tuple[int | Fraction | None, ...], **asked: object) -> Made:
    wanted = {
        "first_day": "2026-11-25", "last_day": "2026-11-26", "time_zone": "UTC",
        "dimensions": ["campaign"], "measures": ["impressions", "ctr", "spend_nanos"],
        "filters": {}, **asked,
    }  # fmt: skip
    given = asked_for(wanted, ReportAsked)
    report = Report(
        query=query_of(given, ""), currency="EUR", rows=rows, totals=totals, is_truncated=False
    )
    return Made(id=REPORT_ID, through_seq=188, report=report, asked=given)


BY_CAMPAIGN = made(
    [
        ReportRow(("hp-autumn-26",), (400, Fraction(1, 100), 2 * EURO)),
        ReportRow(("<i>gone</i>",), (100, None, 500_000_001)),
        ReportRow(("",), (0, None, 0)),
    ],
    (500, Fraction(4, 500), 2_500_000_001),
)
BY_DAY = made(
    [ReportRow(("2026-11-26",), (400, Fraction(1, 100), 2 * EURO))],
    (400, Fraction(1, 100), 2 * EURO),
    dimensions=["day"],
)
TOTAL = made([ReportRow((), (3, None, 0))], (3, None, 0), dimensions=[])

# ---- bills --------------------------------------------------------------------------------------

INVOICE = InvoiceView(
    id="hp-1", number=1, advertiser_id="hp", month="2026-10", issued_us=NOW,
    net=euro(10 * EURO), tax=euro(2_300_000_000), total=euro(12_300_000_000),
    credited_net=euro(EURO), credited_tax=euro(230_000_000),
)  # fmt: skip
NOTE = CreditNoteView(
    id="hp-c1", number=1, invoice_id="hp-1", net=euro(EURO), tax=euro(230_000_000), reason="<late>"
)
WHOLE = WholeInvoice(
    invoice=INVOICE,
    lines=[
        LineView(
            campaign_id="hp-autumn-26", pricing="cpm", month="2026-10", quantity=4000,
            spent=euro(10_004_000_000),
        )
    ],
    spent=euro(10_004_000_000), carried_in=euro(1_000_000), carried_out=euro(5_000_000),
    tax_name="IVA", tax_ppm=230_000, credit_notes=[NOTE],
)  # fmt: skip
ONE_INVOICE = InvoiceFacts(now_us=NOW, whole=WHOLE, names=NAMES)
INVOICES = InvoicesFacts(
    now_us=NOW, currency="EUR", advertiser_id="", month="2026-10", invoiced_nanos=10 * EURO,
    credited_nanos=EURO, carried_nanos=5_000_000, this_month_nanos=3 * EURO,
    uninvoiced=[
        Uninvoiced(
            advertiser_id="trams", first_month="2026-08", last_month="2026-10", nanos=7 * EURO
        )
    ],
    uninvoiced_count=3, uninvoiced_nanos=9 * EURO, invoices=[INVOICE], has_more_invoices=True,
    credit_notes=[NOTE], has_more_notes=True, names=NAMES,
)  # fmt: skip
PUBLISHERS = PublishersFacts(
    now_us=NOW, currency="EUR", month="2026-10", owed_nanos=8 * EURO, owed_count=1,
    this_month_nanos=EURO, count=1,
    lines=[
        PublisherLine(
            id="casa", name="Diário da Casa", domain="casa.example", earned_nanos=10 * EURO,
            paid_nanos=EURO, owed_nanos=8 * EURO, this_month_nanos=EURO,
        )
    ],
    has_more=False,
)  # fmt: skip
STATEMENT = StatementFacts(
    now_us=NOW,
    name="Diário da Casa",
    statement=StatementView(
        publisher_id="casa", month="2026-10", revenue_share_ppm=800_000, opening=euro(EURO),
        shares=[ShareView("cpm", 4000, euro(10 * EURO)), ShareView("cpc", 1, euro(0))],
        gross=euro(10 * EURO), fees=euro(2 * EURO), payouts=[], closing=euro(9 * EURO),
    ),
    this_month="2026-11", payable=euro(9 * EURO), account_nanos=None,
    paid=[Paid("casa-p1", NOW, "2026-09", EURO)], paid_count=1,
)  # fmt: skip
ADVERTISER = AdvertiserLine(
    advertiser=AdvertiserView(
        id="hp", name="Harbour Paints", domain="harbourpaints.example", currency="EUR"
    ),
    available_nanos=790 * EURO, campaigns=30, live=3,
)  # fmt: skip
ADVERTISERS = AdvertisersFacts(now_us=NOW, wanted="", count=60, lines=[ADVERTISER], has_more=True)
ONE_ADVERTISER = AdvertiserFacts(
    now_us=NOW,
    line=ADVERTISER,
    campaigns=[("hp-autumn-26", "Autumn exteriors", "active"), ("old", "Old", "ended")],
    balance=Balance(
        charged_nanos=14 * EURO, invoiced_nanos=10 * EURO, carried_nanos=5_000_000,
        waiting_nanos=3_995_000_000, credited_nanos=EURO, ledger_charged_nanos=14 * EURO,
    ),
    invoices=[INVOICE],
)  # fmt: skip
