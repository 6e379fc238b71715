"""Whom a campaign for housing, employment or credit reaches: its figures, or why there are none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ringwork.ads.requests import NewCampaign, NewCreative
from ringwork.console.fairness_data import CAMPAIGN_ADS_MAX
from ringwork.console.fairness_facts import CampaignAd
from ringwork.console.views.fairness_words import in_words
from ringwork.console.views.measured import DUE, NO_LOG, NOBODY, NOT_IN_PERIOD, NOT_SOLD, NOT_YET
from ringwork.kernel.money import Money
from tests.console import fair as f
from tests.console.day import EURO
from tests.console.pages import html_of
from tests.console.test_forms import Person
from tests.console.town import Town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Town(tmp_path_factory.mktemp("town") / "data").serving() as running:
        yield running


def rows_of(section) -> dict[str, object]:
    return {one.name: one for one in section.rows}


def test_figures_are_stated_as_on_the_page_of_their_ad():
    """Estimated attributes as the pair with its interval, those that were declared first come."""
    row = rows_of(f.of_campaign(f.flight_log()))[f.NAMES["ad-0"]]
    stated = {
        one.attribute: in_words(one)
        for one in f.one_ad(f.flight_log()).figures
        if one.by == "impressions"
    }
    assert [one.words for one in row.variances] == [stated["race"], stated["sex"]]
    assert "(proxy) and " in row.variances[0].words
    assert "(de-attenuated; 95" in row.variances[0].words
    assert (row.href, row.reason) == ("/console/fairness/ad?id=ad-0", "")


def test_each_ad_without_a_figure_has_its_reason():
    rows = rows_of(f.of_campaign(f.flight_log()))
    assert {name: row.reason for name, row in rows.items()} == {
        f.NAMES["ad-0"]: "",
        f.NAMES["ad-2"]: "not measured now: nobody is described",
        "waits": "18 of the 30 impressions that its next release waits for",
        "due": DUE,
        "alone": "not measured now: expected somebody of a known group among 0 people",
        "new": NOT_YET,
        "idle": NOT_SOLD,
    }
    assert rows[f.NAMES["ad-2"]].variances, "what was measured before stands"
    assert not any(rows[one].href for one in ("waits", "due", "alone", "new", "idle"))
    assert [one.name for one in f.of_campaign(f.flight_log()).rows][:2] == [
        f.NAMES["ad-0"], f.NAMES["ad-2"],
    ]  # fmt: skip


def test_an_ad_of_an_earlier_period_or_of_nobody_known_says_so():
    only = [CampaignAd(ad="ad-0", name="ad-0", is_sold=True)]
    (row,) = f.of_campaign(f.unreleased(), only).rows
    assert (row.variances, row.reason) == ([], NOT_IN_PERIOD)
    (row,) = f.of_campaign(f.without_a_figure(), only).rows
    assert (row.variances, row.reason) == ([], NOBODY)
    assert row.href


@pytest.mark.parametrize(
    ("source", "category", "said"),
    [
        (None, "HOUSING", NO_LOG),
        ("log", "CREDIT", "The plan in force does not cover credit, so it is not measured."),
    ],
)
def test_a_campaign_that_is_not_measured_at_all_says_why(source, category, said):
    section = f.of_campaign(f.flight_log() if source else None, category=category)
    assert (section.nothing, section.rows, section.more) == (said, [], 0)


def test_ads_are_bounded_and_the_rest_is_counted():
    many = [CampaignAd(ad=f"x-{one}", name="x", is_sold=True) for one in range(40)]
    many.append(CampaignAd(ad="ad-1", name="last", is_sold=True))
    section = f.of_campaign(f.flight_log(), many)
    assert (len(section.rows), section.more) == (CAMPAIGN_ADS_MAX, 41 - CAMPAIGN_ADS_MAX)
    assert section.rows[0].name == "last", "who has figures comes first"
    assert f.of_campaign(f.flight_log(), []).nothing == "It has no ad yet."


def test_names_are_text():
    page = html_of("campaign-measured")
    assert "&lt;b&gt;Garden&lt;/b&gt; houses" in page
    assert "Whom it reaches" not in html_of("campaign")


def advertise(town: Town, id: str, ad: str) -> str:
    """A campaign for a job with one ad; its page."""
    manage = town.platform.management
    assert town.platform.screen is not None
    campaign = NewCampaign(
        id=id, advertiser_id="hp", name="Join us", pricing="cpm", bid_nanos=1_000_000,
        special_ad_categories=["EMPLOYMENT"], budget=Money.of_nanos("EUR", 10 * EURO),
        certified_text=town.platform.screen.certification,
    )  # fmt: skip
    creative = NewCreative(
        id=ad, campaign_id=id, name="Painters", format="banner", width=300, height=250,
        landing_url="https://hp.example/", html="<p>Join us</p>",
    )  # fmt: skip
    town.do(town.decide(lambda command: manage.create_campaign(command, campaign)))
    town.do(town.decide(lambda command: manage.create_creative(command, creative)))
    return f"/console/campaigns/{id}"


def test_on_a_platform_its_reason_is_the_desk_s_and_its_figures_are_the_log_s(town: Town) -> None:
    person, fairness = Person(town), town.platform.fairness
    assert fairness is not None
    path = advertise(town, "jobs", "ad-1")
    town.do(fairness.look())
    page = person.open(path)
    assert "Whom it reaches" in page
    assert "not measured now: nobody is described" in page
    assert "/console/fairness/ad" not in page, "the log does not know it"
    town.do(f.told(town, f.flight_log().content))
    body = person.http.get(f"{path}?format=json").json()["data"]["measured"]
    (row,) = body["rows"]
    now = person.http.get("/console/fairness/ad?id=ad-1&format=json").json()["data"]["now"]
    by_impressions = [one["figure"] for one in now if one["by"] == "by impressions"]
    assert [one["words"] for one in row["variances"]] == [one["words"] for one in by_impressions]
    assert [one["verdict"] for one in row["variances"]] == [
        one["verdict"] for one in by_impressions
    ]
    assert row["href"] == "/console/fairness/ad?id=ad-1"
    assert person.open(row["href"])
    assert "Whom it reaches" not in Person(town, "viewer").open(path), "who may not see fairness"
    assert "Whom it reaches" not in person.open("/console/campaigns/bikes")
