"""A consenting person's request from what was told to what is shown, on real stores."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from ringwork.ads.behavioural.events import PersonActed, PersonReached
from ringwork.ads.events import AuctionCleared
from ringwork.ads.model import Ask, AudienceRule, Excluded, FrequencyCap, Targeting
from ringwork.ads.reads import FeatureRead, reads_of
from ringwork.ads.requests import AudienceChange, NewAudience
from ringwork.consent.epochs import place_of
from ringwork.kernel.errors import Conflict
from ringwork.kernel.history import working_for
from ringwork.kernel.purpose import GrantRefused
from tests.ads.behavioural.authority import DAY_S, Town
from tests.ads.house import BANNER, SITE, pseudonym


@pytest.fixture
def town(tmp_path) -> Iterator[Town]:
    with Town(tmp_path) as town:
        town.clock.advance_us(365 * DAY_S * 1_000_000)
        town.open()
        town.campaign("all", bid_nanos=1_000_000)
        town.creative("all", "all")
        yield town


def sells(town: Town, id: str, **members: object) -> None:
    """A campaign that outbids the one for all."""
    town.campaign(id, bid_nanos=3_000_000, **members)
    town.creative(id, id)


def buyers(town: Town, **members: object) -> None:
    rule = AudienceRule(within_s=30 * DAY_S, topics=["shoes"], kinds=["purchase"])
    new = NewAudience(id="buyers", name="Buyers", rules=[rule])
    town.do(lambda c: town.management.create_audience(c, new))


def shown_to(town: Town, person: str, **members: object) -> list[str]:
    return [one.campaign_id for one in town.serve_to(person, **members)[1]]


# ---- audiences ----------------------------------------------------------------------------------


def test_an_interest_brings_its_ad_and_only_to_whom_it_is_of(town):
    sells(town, "shoes", targeting=Targeting(audiences=["interest:shoes"]))
    town.did("ana", "shoes", kind="cart")
    town.did("ben", "hats")
    town.follow()
    assert shown_to(town, "ana") == ["shoes"]
    assert shown_to(town, "ben") == ["all"]
    outcomes, served = town.serve()
    assert [one.campaign_id for one in served] == ["all"]
    assert outcomes[0].excluded == {"audience": 1}


def test_a_named_audience_follows_its_rule_at_once(town):
    buyers(town)
    sells(town, "again", targeting=Targeting(audiences=["buyers"]))
    town.did("ana", "shoes", kind="view")
    town.follow()
    assert shown_to(town, "ana") == ["all"]
    rule = AudienceRule(within_s=DAY_S, topics=["shoes"])
    town.do(lambda c: town.management.change_audience(c, "buyers", AudienceChange(rules=[rule])))
    assert shown_to(town, "ana") == ["again"]
    archived = AudienceChange(status="archived")
    town.do(lambda c: town.management.change_audience(c, "buyers", archived))
    assert shown_to(town, "ana") == ["all"]


def test_who_is_in_an_excluded_audience_is_left_out(town):
    buyers(town)
    sells(town, "new", targeting=Targeting(excluded=Excluded(audiences=["buyers"])))
    town.did("ana", "shoes", kind="purchase")
    town.follow()
    assert shown_to(town, "ana") == ["all"]
    assert shown_to(town, "ben") == ["new"]
    assert [one.campaign_id for one in town.serve()[1]] == ["new"], "nobody is known to be in it"


def test_only_services_of_the_grant_are_read(town):
    sells(town, "shoes", targeting=Targeting(audiences=["interest:shoes"]))
    town.did("ana", "shoes", kind="cart", service="market")
    town.follow()
    assert shown_to(town, "ana") == ["all"]
    assert shown_to(town, "ana", services=("main", "market")) == ["shoes"]


# ---- what was read ------------------------------------------------------------------------------


def test_the_decision_says_what_was_read_and_dsa_says_profiling(town):
    buyers(town)
    _, served = town.serve_to("ana", services=("main", "market"))
    assert served[0].used.parameters == (1, 2)
    (cleared,) = town.payloads(AuctionCleared)
    assert sorted(reads_of(cleared.reads), key=repr) == sorted(
        (
            FeatureRead("advertise", service, feature)
            for service in ("main", "market")
            for feature in ("interests", "audiences", "impressions")
        ),
        key=repr,
    )
    assert cleared.context == SITE, "no person in it"


def test_without_a_grant_nothing_was_read(town):
    _, served = town.serve()
    assert served[0].used.parameters == (2,)
    (cleared,) = town.payloads(AuctionCleared)
    assert cleared.reads == {}


def test_where_there_are_no_audiences_none_are_read(town):
    town.serve_to("ana")
    (cleared,) = town.payloads(AuctionCleared)
    assert {one.feature for one in reads_of(cleared.reads)} == {"interests", "impressions"}


# ---- caps by person -----------------------------------------------------------------------------


@pytest.mark.parametrize("follows", [True, False])
def test_a_cap_holds_for_the_person_whether_or_not_the_history_has_caught_up(town, follows):
    sells(town, "capped", frequency_caps=[FrequencyCap(impressions=2, window_s=DAY_S)])
    seen = []
    for _ in range(3):
        seen += shown_to(town, "ana")
        if follows:
            town.follow()
        town.clock.advance_us(60_000_000)
    assert seen == ["capped", "capped", "all"]
    assert shown_to(town, "ben") == ["capped"], "another person"
    assert [one.campaign_id for one in town.serve()[1]] == ["all"], "of nobody no cap can hold"
    town.follow()
    town.clock.advance_us(DAY_S * 1_000_000 - 180_000_000)  # a day after the first one
    assert shown_to(town, "ana") == ["capped"]


def test_what_was_shown_before_a_withdrawal_is_not_remembered_after_a_new_consent(town):
    """The history forgets it at once; so must what is remembered until the history has it."""
    sells(town, "capped", frequency_caps=[FrequencyCap(impressions=1, window_s=DAY_S)])
    assert shown_to(town, "ana") == ["capped"]
    assert shown_to(town, "ana") == ["all"]
    for _ in ("withdrawn", "granted again"):
        town.authority.epochs.bump(place_of(pseudonym("person/ana")))
    assert shown_to(town, "ana") == ["capped"]


def test_a_cap_outlives_memory(tmp_path):
    with Town(tmp_path) as town:
        town.open()
        town.campaign("all", bid_nanos=1_000_000)
        town.creative("all", "all")
        sells(town, "capped", frequency_caps=[FrequencyCap(impressions=1, window_s=DAY_S)])
        assert shown_to(town, "ana") == ["capped"]
        town.follow()
        town.behaviour.forget(pseudonym("person/ana"))  # as a restart does
        assert shown_to(town, "ana") == ["all"]


def test_another_service_shows_its_ads_apart(town):
    sells(town, "capped", frequency_caps=[FrequencyCap(impressions=1, window_s=DAY_S)])
    assert shown_to(town, "ana") == ["capped"]
    town.follow()
    assert shown_to(town, "ana", services=("market",)) == ["capped"], "not to be combined"
    assert shown_to(town, "ana", services=("market", "main")) == ["all"]


def test_nothing_sold_is_nothing_recorded(town):
    town.serve_to("ana", replace(BANNER, floor_nanos=10**9))
    assert town.payloads(PersonReached) == []


# ---- denied -------------------------------------------------------------------------------------


def denials(town: Town) -> dict[str, int]:
    """Reasons in the log -> how often; records those that wait."""
    town.loop.run_until_complete(record(town))
    return {
        one.payload.reason: one.payload.count
        for one in town.events()
        if one.payload.TYPE == "grant_denied"
    }


async def record(town: Town) -> None:
    town.denied.record(town.journal, tenant="main")
    await town.journal.settled()


@pytest.mark.parametrize(
    "reason",
    ["forged", "expired", "other-request", "other-purpose", "services", "ended", "tier"],
)
def test_a_grant_that_does_not_hold_opens_nothing(town, reason):
    town.did("ana", "shoes")
    town.follow()
    ask = Ask(request_id=town.ids.new(), source="native", context=SITE, slots=(BANNER,))
    subject = pseudonym("person/ana")
    purposes = ("measure",) if reason == "other-purpose" else ("advertise",)
    services = () if reason == "services" else ("main",)
    grant = town.authority.grant_to("ana", ask.request_id, purposes=purposes, services=services)
    if reason == "forged":
        grant = replace(grant, subject=pseudonym("person/ben"))
    elif reason == "expired":
        town.clock.advance_us(2_000_000)
    elif reason == "other-request":
        ask = replace(ask, request_id=town.ids.new())
    elif reason == "ended":
        town.authority.epochs.bump(place_of(subject))
    tier = "less-personalised" if reason == "tier" else "consented"
    with working_for(tier), pytest.raises(GrantRefused) as refused:
        town.behaviour.personal_context(ask, grant, now_s=town.now_s)
    assert refused.value.reason == reason
    assert denials(town) == {reason: 1}
    (event,) = [one for one in town.events() if one.payload.TYPE == "grant_denied"]
    assert (event.subject, event.request_id) == (None, ask.request_id)
    assert subject.hex() not in repr(event.payload)
    with working_for("consented"):
        assert town.serve_to("ana")[1], "a good one is none the worse for it"


def test_nobody_in_particular_may_not_read(town):
    """A request whose tier nobody has said is not a consenting one."""
    request_id = town.ids.new()
    grant = town.authority.grant_to("ana", request_id)
    with pytest.raises(GrantRefused, match="tier"):
        town.history.read(grant, purpose="advertise", request_id=request_id)


def test_denials_beyond_the_bound_are_counted(town, monkeypatch):
    monkeypatch.setattr("ringwork.app.history.DENIED_MAX", 2)
    grant = town.authority.grant_to("ana", b"r" * 16)
    for _ in range(5):
        with pytest.raises(GrantRefused):
            town.history.read(grant, purpose="advertise", request_id=b"x" * 16)
    assert town.denied.total == 5
    assert denials(town) == {"other-request": 1, "uncounted": 3}


# ---- what was told ------------------------------------------------------------------------------


def test_what_a_person_did_is_sealed_in_the_log(town):
    town.did("ana", "haemorrhoids", kind="search")
    (event,) = [one for one in town.events() if isinstance(one.payload, PersonActed)]
    assert (event.subject, event.purpose) == (pseudonym("person/ana"), "advertise")
    raw = b"".join(row.payload for row in town.log.rows())
    assert b"haemorrhoids" not in raw
    assert b"ana" not in raw.replace(b"manager", b"")


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"service": "elsewhere"}, "/events/0/service"),
        ({"ago_s": -301}, "/events/0/at_us"),
        ({"ago_s": 90 * DAY_S}, "/events/0/at_us"),
    ],
)
def test_what_cannot_be_is_refused(town, members, pointer):
    with pytest.raises(Conflict) as refused:
        town.did("ana", "shoes", **members)
    assert [fault.pointer for fault in refused.value.errors] == [pointer]
    assert town.payloads(PersonActed) == []


def test_nothing_is_kept_of_who_has_not_consented(town):
    town.refused.add(pseudonym("person/ben"))
    town.did("ben", "shoes")
    town.did("ana", "hats")
    acted = [one for one in town.events() if isinstance(one.payload, PersonActed)]
    assert [one.subject for one in acted] == [pseudonym("person/ana")]


def test_the_edges_of_time_are_taken(town):
    town.did("ana", "a", ago_s=-300)
    town.did("ana", "b", ago_s=90 * DAY_S - 1)
    assert len(town.payloads(PersonActed)) == 2
