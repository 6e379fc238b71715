"""The catalogue's commands: what they check and move, and that a refusal leaves nothing."""

import msgspec
import pytest

from ringwork.ads.catalogue import Catalogue, page
from ringwork.ads.events import AdvertiserRegistered, CampaignChanged, CreativeChanged
from ringwork.ads.model import Targeting
from ringwork.ads.requests import (
    CampaignChange,
    CreativeChange,
    NewAdvertiser,
    NewCampaign,
    NewCreative,
    NewPlacement,
    NewPublisher,
)
from ringwork.kernel.errors import Conflict, NotFound
from ringwork.kernel.ledger import Transfer
from ringwork.kernel.money import Money
from tests.ads.house import House, euros, pseudonym

ADVERTISER = NewAdvertiser(
    id="hp", name="Harbour Paints", domain="harbourpaints.example", currency="EUR",
    contact="ana@harbourpaints.example",
)  # fmt: skip
CAMPAIGN = NewCampaign(
    id="autumn", advertiser_id="hp", name="Autumn", pricing="cpm", bid_nanos=2_500_000,
    special_ad_categories=[], budget=euros(100), daily_budget=euros(40), targeting=Targeting(regions=["PRT"]),
)  # fmt: skip
CREATIVE = NewCreative(
    id="blue", campaign_id="autumn", name="Blue", format="banner", width=300, height=250,
    landing_url="https://harbourpaints.example/blue", html="<b>blue</b>",
)  # fmt: skip
PUBLISHER = NewPublisher(
    id="daily", name="Daily", domain="daily.example", origins=["https://daily.example"]
)
PLACEMENT = NewPlacement(
    id="top", publisher_id="daily", format="banner", width=300, height=250, floor_nanos=500_000
)


@pytest.fixture
def house():
    """An advertiser with 150 nanos."""
    with House() as house:
        house.do(lambda c: house.management.register_advertiser(c, ADVERTISER))
        house.deposit("hp", 150)
        yield house


def create(house: House, new):
    method = {
        NewAdvertiser: house.management.register_advertiser,
        NewCampaign: house.management.create_campaign,
        NewCreative: house.management.create_creative,
        NewPublisher: house.management.register_publisher,
        NewPlacement: house.management.create_placement,
    }[type(new)]
    return house.do(lambda c: method(c, new))


def change(house: House, id: str, **members):
    return house.do(lambda c: house.management.change_campaign(c, id, CampaignChange(**members)))


def available(house: House, account: str) -> int:
    return house.ledger.accounts[account].available_nanos


def varied(new, **members):
    return msgspec.structs.replace(new, **members)


# ---- creating -----------------------------------------------------------------------------------


def test_a_campaign_s_budget_moves_from_its_advertiser(house):
    campaign, is_new = create(house, CAMPAIGN)
    assert (campaign.id, campaign.status, is_new) == ("autumn", "active", True)
    assert (available(house, "advertiser/hp"), available(house, "campaign/autumn")) == (50, 100)


def test_the_same_again_changes_nothing_and_other_content_is_a_conflict(house):
    for new, other in (
        (ADVERTISER, varied(ADVERTISER, name="Other")),
        (ADVERTISER, varied(ADVERTISER, contact="eve@harbourpaints.example")),
        (ADVERTISER, varied(ADVERTISER, contact=None)),
        (CAMPAIGN, varied(CAMPAIGN, bid_nanos=1)),
        (CREATIVE, varied(CREATIVE, name="Other")),
        (PUBLISHER, varied(PUBLISHER, origins=[])),
        (PLACEMENT, varied(PLACEMENT, rule="first")),
    ):
        first, _ = create(house, new)
        before = len(house.events())
        assert create(house, new) == (first, False)
        with pytest.raises(
            Conflict, match=r"(advertiser|campaign|creative|publisher|placement)-exists"
        ):
            create(house, other)
        assert len(house.events()) == before


def test_without_the_funds_nothing_is_half_done(house):
    before = house.folds.dumps()
    with pytest.raises(Conflict, match="insufficient-funds") as refused:
        create(house, varied(CAMPAIGN, budget=euros(151)))
    assert refused.value.executed
    assert house.folds.dumps() == before
    assert "campaign/autumn" not in house.ledger.accounts
    create(house, varied(CAMPAIGN, budget=euros(150)))


def test_an_account_that_is_already_there_is_not_taken_for_a_campaign_s(house):
    house.do(
        lambda c: house.ledger.open_account(c, id="campaign/autumn", currency="EUR", limited=True)
    )
    with pytest.raises(Conflict, match="account-exists"):
        create(house, CAMPAIGN)


@pytest.mark.parametrize("new", [varied(ADVERTISER, id="x"), varied(PUBLISHER, id="x")])
def test_an_account_opened_by_hand_is_taken_over_only_if_it_is_the_same(house, new):
    id = f"{'advertiser' if isinstance(new, NewAdvertiser) else 'publisher'}/x"
    house.do(lambda c: house.ledger.open_account(c, id=id, currency="EUR", limited=False))
    with pytest.raises(Conflict, match="account-exists"):
        create(house, new)
    other = varied(new, id="y")
    id = id.replace("/x", "/y")
    house.do(lambda c: house.ledger.open_account(c, id=id, currency="EUR", limited=True))
    assert create(house, other)[1]


INVALID = [
    (varied(ADVERTISER, id="x", currency="USD"), "/currency"),
    (varied(CAMPAIGN, advertiser_id="nobody"), "/advertiser_id"),
    (varied(CAMPAIGN, budget=Money("USD", 1, 0)), "/budget/currency"),
    (varied(CAMPAIGN, budget=euros(0), daily_budget=None), "/budget"),
    (varied(CAMPAIGN, budget=euros(-5), daily_budget=None), "/budget"),
    (varied(CAMPAIGN, daily_budget=euros(0)), "/daily_budget"),
    (varied(CAMPAIGN, daily_budget=Money("USD", 0, 1)), "/daily_budget/currency"),
    (varied(CAMPAIGN, daily_budget=euros(101)), "/daily_budget"),
    (varied(CAMPAIGN, starts_us=5, ends_us=5), "/ends_us"),
    (varied(CREATIVE, campaign_id="nothing"), "/campaign_id"),
    (varied(CREATIVE, width=0), "/width"),
    (varied(CREATIVE, height=0), "/height"),
    (varied(CREATIVE, html=""), "/html"),
    (varied(CREATIVE, format="video", video_mime="video/mp4", duration_s=5), "/video_url"),
    (varied(CREATIVE, format="video", video_url="https://x.example", duration_s=5), "/video_mime"),
    (
        varied(CREATIVE, format="video", video_url="https://x.example", video_mime="video/mp4"),
        "/duration_s",
    ),
    (varied(CREATIVE, format="native"), "/title"),
    (varied(PUBLISHER, origins=["https://a.example", "https://a.example/path"]), "/origins/1"),
    (varied(PLACEMENT, publisher_id="nobody"), "/publisher_id"),
    (varied(PLACEMENT, width=0), "/width"),
]


@pytest.mark.parametrize(("new", "pointer"), INVALID)
def test_what_is_wrong_is_named_by_its_place(house, new, pointer):
    if isinstance(new, NewCreative):
        create(house, CAMPAIGN)
    if isinstance(new, NewPlacement):
        create(house, PUBLISHER)
    before = house.folds.dumps()
    with pytest.raises(Conflict) as refused:
        create(house, new)
    assert refused.value.slug == "rule-violated"
    assert [fault.pointer for fault in refused.value.errors] == [pointer]
    assert house.folds.dumps() == before


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (NewAdvertiser, b'{"id": "a b", "name": "x", "domain": "x.example", "currency": "EUR"}'),
        (NewAdvertiser, b'{"id": "a", "name": "", "domain": "x.example", "currency": "EUR"}'),
        (NewAdvertiser, b'{"id": "a", "name": "x", "domain": "X", "currency": "EUR"}'),
        (NewAdvertiser, b'{"id": "a", "name": "x", "domain": "x", "currency": "EUR", "y": 1}'),
        (CampaignChange, b'{"status": "gone"}'),
        (CampaignChange, b'{"bid_nanos": 0}'),
        (CampaignChange, b'{"pricing": "cpc"}'),
        (NewPublisher, b'{"id": "a", "name": "x", "domain": "x", "origins": ["javascript:1"]}'),
    ],
)
def test_bodies_are_strict(kind, body):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=kind)


# ---- changing -----------------------------------------------------------------------------------


def test_a_budget_goes_up_and_down_with_its_money(house):
    create(house, CAMPAIGN)
    change(house, "autumn", budget=euros(150))
    assert (available(house, "advertiser/hp"), available(house, "campaign/autumn")) == (0, 150)
    with pytest.raises(Conflict, match="insufficient-funds"):
        change(house, "autumn", budget=euros(151))
    change(house, "autumn", budget=euros(60))
    assert (available(house, "advertiser/hp"), available(house, "campaign/autumn")) == (90, 60)


def test_a_budget_never_goes_below_what_is_spent_or_reserved(house):
    create(house, CAMPAIGN)
    create(house, PUBLISHER)
    for kind, nanos in (("single", 30), ("pending", 20)):
        spend = Transfer(
            id=kind, kind=kind, debit_account="campaign/autumn", credit_account="publisher/daily",
            amount_nanos=nanos, currency="EUR",
        )  # fmt: skip
        assert house.do(lambda c, spend=spend: house.ledger.transfer(c, spend)) == "created"
    before = house.folds.dumps()
    with pytest.raises(Conflict, match="budget-below-spent"):
        change(house, "autumn", budget=euros(49), daily_budget=None)
    assert house.folds.dumps() == before
    assert change(house, "autumn", budget=euros(50)).budget == euros(50)
    assert available(house, "campaign/autumn") == 0
    day = house.now_s // 86_400
    assert house.folds.budgets.spent_nanos("autumn", day) == 50, "what went back is no spend"


def test_members_that_are_left_out_stay(house):
    create(house, CAMPAIGN)
    changed = change(house, "autumn", bid_nanos=7, daily_budget=None)
    assert (changed.bid_nanos, changed.daily_budget) == (7, None)
    assert (changed.name, changed.budget, changed.targeting) == (
        "Autumn", euros(100), CAMPAIGN.targeting,
    )  # fmt: skip


def test_a_change_that_changes_nothing_is_not_recorded(house):
    create(house, CAMPAIGN)
    create(house, CREATIVE)
    change(house, "autumn", status="active")
    house.do(lambda c: house.management.change_creative(c, "blue", CreativeChange(name="Blue")))
    assert house.payloads(CampaignChanged) + house.payloads(CreativeChanged) == []


def test_changes_keep_the_rules(house):
    create(house, CAMPAIGN)
    create(house, CREATIVE)
    with pytest.raises(Conflict, match="daily_budget"):
        change(house, "autumn", daily_budget=euros(101))
    with pytest.raises(Conflict, match="html"):
        house.do(lambda c: house.management.change_creative(c, "blue", CreativeChange(html="")))
    with pytest.raises(NotFound):
        change(house, "winter", name="x")
    with pytest.raises(NotFound):
        house.do(lambda c: house.management.change_creative(c, "red", CreativeChange()))


def test_what_has_ended_stays_ended_but_gives_its_money_back(house):
    create(house, CAMPAIGN)
    change(house, "autumn", status="ended")
    with pytest.raises(Conflict, match="campaign-ended"):
        change(house, "autumn", status="active")
    change(house, "autumn", budget=euros(40))
    assert available(house, "advertiser/hp") == 110


def test_a_creative_can_be_changed_and_paused(house):
    create(house, CAMPAIGN)
    create(house, CREATIVE)
    changed = house.do(
        lambda c: house.management.change_creative(
            c, "blue", CreativeChange(status="paused", html="<i>new</i>")
        )
    )
    assert (changed.status, changed.html, changed.width) == ("paused", "<i>new</i>", 300)
    assert house.catalogue.creatives["blue"] == changed


# ---- what is personal, and the fold -------------------------------------------------------------


def test_a_contact_is_sealed_and_never_given_back(house):
    [event] = [e for e in house.events() if isinstance(e.payload, AdvertiserRegistered)]
    sealed = event.payload.advertiser.contact
    assert b"ana@" not in b"".join(row.payload for row in house.log.rows())
    assert event.subject == pseudonym("advertiser/hp")
    context = event.id + b"advertiser.contact"
    plain = house.keys.unseal(event.subject, sealed, context=context)
    assert plain == b"ana@harbourpaints.example"
    assert create(house, ADVERTISER)[0].contact is None
    house.keys.erase(event.subject)
    assert create(house, ADVERTISER)[1] is False, "an erased contact matches anything"


def test_the_catalogue_is_a_fold(house):
    for new in (CAMPAIGN, CREATIVE, PUBLISHER, PLACEMENT):
        create(house, new)
    change(house, "autumn", name="Late autumn")
    assert house.replayed().dumps() == house.folds.dumps()
    restored = Catalogue()
    restored.load(house.catalogue.dump())
    assert restored.campaigns["autumn"].name == "Late autumn"
    assert restored.origins() == {"https://daily.example"}
    restored.clear()
    assert restored.dump() == Catalogue().dump()


def test_pages_follow_creation():
    items = {name: name for name in "cabd"}
    assert page(items, 0, 2) == (["c", "a"], 2)
    assert page(items, 2, 2) == (["b", "d"], None)
    assert page(items, 4, 2) == page(items, 9, 2) == ([], None)


def test_a_filtered_page_ends_where_it_is_full_or_has_looked_long_enough(monkeypatch):
    items = {str(n): n for n in range(10)}
    assert page(items, 0, 2, lambda n: n % 3 == 0) == ([0, 3], 4)
    assert page(items, 4, 2, lambda n: n % 3 == 0) == ([6, 9], None)
    assert page(items, 0, 2, lambda n: n > 99) == ([], None)
    monkeypatch.setattr("ringwork.ads.catalogue.SCANNED_MAX", 4)
    assert page(items, 0, 2, lambda n: n == 9) == ([], 4)
    assert page(items, 8, 2, lambda n: n == 9) == ([9], None)
