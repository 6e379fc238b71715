"""Campaigns for housing, employment and credit: declared, held, decided on, paused, and shown."""

import msgspec
import pytest
from msgspec.structs import replace

from ringwork.ads.events import EVENTS, CampaignChanged, CampaignCreated
from ringwork.ads.lifecycle import Actor
from ringwork.ads.management import Management
from ringwork.ads.model import AudienceRule, Campaign, Creative, Excluded, Targeting
from ringwork.ads.personal import Personal
from ringwork.ads.requests import (
    CampaignChange,
    CreativeChange,
    NewAudience,
    NewCampaign,
    NewCreative,
    SpecialReview,
)
from ringwork.ads.special_ads import content_of
from ringwork.ads.special_events import (
    CampaignHeld,
    SpecialCategoriesDeclared,
    SpecialReviewDecided,
    TargetingPaused,
)
from ringwork.fairness.hec.screen import SpecialAdScreen
from ringwork.kernel.errors import Conflict, NotFound
from ringwork.kernel.screening import Violation
from tests.ads.house import BANNER, SITE, House, euros, pseudonym

SCREEN = SpecialAdScreen.of(["united-states", "canada"])
TEXT = SCREEN.certification
ANA = Actor("key-ana", may_approve=True)
HOMES = "Two-bedroom apartments for rent, move in today"
PAINT = "A wall in an afternoon"


class Office(House):
    """A house whose management is screened."""

    def __init__(self) -> None:
        super().__init__()
        self.management = Management(
            catalogue=self.catalogue, ledger=self.ledger, ids=self.ids,
            personal=Personal(self.keys, pseudonym), currency="EUR", services=("main",),
            screen=SCREEN,
        )  # fmt: skip
        self.open()
        self.deposit("adv", 10**12)

    def create(self, id="c", categories=(), certified=TEXT, **members):
        new = NewCampaign(
            id=id, advertiser_id="adv", name=id, pricing="cpm", bid_nanos=1000,
            budget=euros(10**9), special_ad_categories=list(categories),
            certified_text=certified if categories else "", **members,
        )  # fmt: skip
        return self.do(lambda c: self.management.create_campaign(c, new, ANA))[0]

    def change(self, id="c", **members):
        change = CampaignChange(**members)
        return self.do(lambda c: self.management.change_campaign(c, id, change, ANA))

    def show(self, text, id="a", campaign="c"):
        new = NewCreative(
            id=id, campaign_id=campaign, name=id, format="banner", width=300, height=250,
            landing_url="https://adv.example/", html=f"<p>{text}</p>",
        )  # fmt: skip
        return self.do(lambda c: self.management.create_creative(c, new, ANA))[0]

    def decide(self, decision, id="c", **members):
        review = SpecialReview(decision=decision, reason="looked at it", **members)
        return self.do(lambda c: self.management.review_special(c, id, review, ANA))

    def eligible(self):
        found = self.ads.index.shortlist(SITE, BANNER, now_us=self.clock.wall_us())
        return list(found.contenders)

    def campaign_now(self, id="c"):
        return self.catalogue.campaigns[id]


@pytest.fixture
def office():
    with Office() as house:
        yield house


def test_a_declaration_keeps_who_when_and_which_text_and_the_ad_is_shown(office):
    made = office.create(categories=["HOUSING"], targeting=Targeting(regions=[]))
    signed = made.screening.certification
    assert (signed.by, signed.text) == ("key-ana", TEXT)
    assert signed.at_us <= office.clock.wall_us()
    office.show(HOMES)
    assert office.eligible() == ["a"]
    (told,) = office.payloads(SpecialCategoriesDeclared)
    assert told == SpecialCategoriesDeclared("c", ["HOUSING"], TEXT, "key-ana")


@pytest.mark.parametrize("certified", ["", "us-2019-01"])
def test_a_declaration_without_the_text_in_force_is_refused(office, certified):
    with pytest.raises(Conflict, match=TEXT.replace("+", r"\+")) as refused:
        office.create(categories=["CREDIT"], certified=certified)
    assert [one.pointer for one in refused.value.errors] == ["/certified_text"]
    assert "c" not in office.catalogue.campaigns


def test_forbidden_targeting_is_refused_with_every_violation_and_its_replacement(office):
    targeting = Targeting(
        audiences=["interest:483"], key_values={"age": ["25"]},
        excluded=Excluded(audiences=["interest:484"]),
    )  # fmt: skip
    with pytest.raises(Conflict) as refused:
        office.create(categories=["EMPLOYMENT"], targeting=targeting)
    assert refused.value.slug == "forbidden-targeting"
    errors = refused.value.errors
    assert all(isinstance(one, Violation) for one in errors)
    assert {one.pointer for one in errors if one.rule.startswith("us/")} == {
        "/targeting/audiences/0", "/targeting/key_values/age", "/targeting/excluded/audiences/0",
    }  # fmt: skip
    assert errors[0].replacement
    assert office.create("plain", targeting=targeting).screening.paused == ()


def test_to_declare_a_running_campaign_pauses_its_audiences_and_proposes_pages(office):
    rule = AudienceRule(within_s=3600, topics=["483", "Bollywood"])
    office.do(lambda c: office.management.create_audience(
        c, NewAudience(id="diyers", name="D", rules=[rule])))  # fmt: skip
    office.create(targeting=Targeting(audiences=["diyers"], regions=["USA-TX"]))
    office.show(PAINT)
    changed = office.change(special_ad_categories=["CREDIT"], certified_text=TEXT)
    assert changed.withheld == "forbidden-targeting"
    (paused,) = changed.screening.paused
    assert (paused.pointer, paused.rule) == ("/targeting/audiences/0", "us/audience")
    assert "483" in paused.replacement
    assert "Bollywood" not in paused.replacement
    lawful = changed.screening.proposal
    assert lawful == Targeting(regions=["USA-TX"], categories=["483"])
    assert changed.targeting.audiences == ["diyers"]  # the advertiser's own is kept
    assert office.eligible() == []
    (told,) = office.payloads(TargetingPaused)
    assert told == TargetingPaused("c", [paused], lawful)
    free = office.change(targeting=replace(lawful, categories=[], regions=[]))
    assert free.withheld == ""
    assert free.screening.proposal is None
    assert office.eligible() == ["a"]


def test_a_declared_campaign_cannot_be_given_forbidden_targeting_later(office):
    office.create(categories=["HOUSING"])
    with pytest.raises(Conflict, match="audience") as refused:
        office.change(targeting=Targeting(audiences=["interest:1"]))
    assert refused.value.slug == "forbidden-targeting"
    assert office.change(name="other").withheld == ""


def test_an_undeclared_ad_is_held_with_score_threshold_and_features(office):
    office.create(targeting=Targeting(audiences=["interest:483"]))
    office.show(PAINT, "p")
    office.show(HOMES)
    held = office.campaign_now()
    pending = held.screening.needs_review
    assert held.withheld == "needs-review"
    assert pending.creative_id == "a"
    (one,) = pending.suspicions
    assert one.category == "HOUSING"
    assert one.score_ppm >= one.threshold_ppm
    assert one.features
    assert len(held.screening.paused) == 2  # one rule each of the two jurisdictions
    assert held.special_ad_categories == []
    assert office.eligible() == []
    (told,) = office.payloads(CampaignHeld)
    assert told.suspicions == [one]
    assert told.text_hash == pending.text_hash


def test_cleared_by_a_person_it_is_shown_and_the_same_text_is_not_asked_about_again(office):
    office.create()
    office.show(HOMES)
    cleared = office.decide("clear")
    assert cleared.withheld == ""
    assert office.eligible() == ["a"]
    office.show(HOMES, "again")
    assert office.campaign_now().withheld == ""
    office.show("Homes for sale, four bedrooms", "other")
    assert office.campaign_now().screening.needs_review.creative_id == "other"
    (told,) = office.payloads(SpecialReviewDecided)
    assert (told.decision, told.reason, told.actor) == ("clear", "looked at it", "key-ana")


def test_confirmed_by_a_person_it_waits_for_the_certification_and_stays_special(office):
    office.create()
    office.show(HOMES)
    confirmed = office.decide("confirm")
    assert confirmed.special_ad_categories == ["HOUSING"]
    assert confirmed.withheld == "not-certified"
    assert office.eligible() == []
    with pytest.raises(Conflict, match="a reviewer found it to be for HOUSING"):
        office.change(special_ad_categories=[])
    assert office.change(certified_text=TEXT).withheld == ""
    assert office.eligible() == ["a"]


def test_an_advertiser_may_declare_what_is_suspected_and_needs_no_reviewer_then(office):
    office.create()
    office.show(HOMES)
    declared = office.change(special_ad_categories=["HOUSING"], certified_text=TEXT)
    assert declared.withheld == ""
    assert office.eligible() == ["a"]


def test_another_category_than_the_suspected_one_does_not_free_it(office):
    office.create()
    office.show(HOMES)
    declared = office.change(special_ad_categories=["CREDIT"], certified_text=TEXT)
    assert declared.withheld == "needs-review"


def test_to_take_a_declaration_back_has_the_ads_looked_at_again(office):
    office.create(categories=["HOUSING"])
    office.show(HOMES)
    assert office.change(special_ad_categories=[]).withheld == "needs-review"


def test_a_changed_text_is_looked_at_and_a_changed_weight_is_not(office):
    office.create()
    office.show(PAINT)
    change = lambda **members: office.do(  # noqa: E731
        lambda c: office.management.change_creative(c, "a", CreativeChange(**members), ANA)
    )
    change(weight=2)
    assert office.campaign_now().withheld == ""
    change(html=f"<b>{HOMES}</b>")
    assert office.campaign_now().withheld == "needs-review"


def test_what_ran_before_there_were_rules_is_found_when_it_is_screened(office):
    management, office.management = office.management, Management(
        catalogue=office.catalogue, ledger=office.ledger, ids=office.ids,
        personal=Personal(office.keys, pseudonym), currency="EUR", services=("main",),
    )  # fmt: skip
    office.create()
    office.show(HOMES)
    assert office.eligible() == ["a"]
    found = office.do(lambda c: management.screen_campaign(c, "c", ANA))
    assert found.withheld == "needs-review"
    assert office.eligible() == []
    again = office.do(lambda c: management.screen_campaign(c, "c", ANA))
    assert again == found
    assert len(office.payloads(CampaignHeld)) == 1


def test_without_a_screen_a_special_campaign_has_no_audiences_all_the_same(office):
    office.management = Management(
        catalogue=office.catalogue, ledger=office.ledger, ids=office.ids,
        personal=Personal(office.keys, pseudonym), currency="EUR", services=("main",),
    )  # fmt: skip
    made = office.create(
        categories=["HOUSING"], certified="own", targeting=Targeting(audiences=["interest:1"])
    )
    office.show(PAINT)
    assert made.withheld == "forbidden-targeting"
    assert office.eligible() == []


def test_where_nothing_is_held_there_is_nothing_to_decide(office):
    office.create()
    with pytest.raises(Conflict, match="not held"):
        office.decide("clear")
    with pytest.raises(NotFound):
        office.decide("clear", id="nobody")


def test_the_same_creation_again_answers_as_before_also_when_it_is_held(office):
    made = office.create(categories=["HOUSING"])
    office.show("Now hiring nurses! Apply today")
    assert office.campaign_now().withheld == "needs-review"
    again = office.create(categories=["HOUSING"])
    assert again == office.campaign_now()
    assert again.id == made.id
    assert len(office.payloads(CampaignCreated)) == 1


def test_everything_is_the_same_after_a_replay(office):
    office.create(targeting=Targeting(audiences=["interest:483"]))
    office.show(HOMES)
    office.decide("confirm")
    kept = office.catalogue.dump()
    office.journal.refold()
    assert office.catalogue.dump() == kept
    assert office.eligible() == []


def test_a_campaign_that_was_written_before_there_were_categories_still_reads(office):
    made = office.create()
    old = msgspec.to_builtins(made)
    for name in ("special_ad_categories", "screening"):
        del old[name]
    assert msgspec.convert(old, Campaign) == made
    for kind in (CampaignCreated, CampaignChanged):
        assert kind in EVENTS
        (text,) = (msgspec.msgpack.encode([old, "ana"]),)
        assert msgspec.msgpack.decode(text, type=kind).campaign == made


def test_what_an_ad_says_is_its_texts_and_the_words_of_its_address():
    creative = Creative(
        id="a", campaign_id="c", name="internal", format="native", title="Rooms", text="to rent",
        landing_url="https://homes.example/for-rent/2br?src=x1",
        html="<style>.b{}</style><img alt='two beds'><script>var job</script><b>now</b>",
        data={"ctatext": "Book"}, categories=["441"],
    )  # fmt: skip
    content = content_of(creative)
    assert content.text == "Rooms to rent Book two beds now"
    assert content.landing_title == "homes example for rent br src x"
    assert content.categories == ("441",)
