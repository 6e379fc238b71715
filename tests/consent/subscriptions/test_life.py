"""A subscription's life by hand: what is charged when, what ends it, and what is booked."""

import pytest

from ringwork.consent.subscriptions import Plan, SubscriptionSettings
from ringwork.kernel.errors import Conflict, NotFound
from tests.consent.subscriptions.newsstand import CENT, Newsstand, at, iso


@pytest.fixture
def stand():
    with Newsstand() as stand:
        yield stand


def kept_cents(stand: Newsstand) -> int:
    """What the provider holds is what our own cash account says."""
    assert stand.balances().get("cash", 0) == stand.provider.kept_minor
    return stand.provider.kept_minor


def test_it_starts_when_the_first_payment_is_made_and_not_before(stand):
    stand.ask()
    assert (stand.one().state, stand.reason()) == ("pending", "")
    stand.work()
    assert (stand.one().state, stand.reason()) == ("active", "subscription-active")
    assert iso(stand.one().ends_us) == "2026-02-28 10:00"
    assert stand.said() == ["requested", "charge_requested", "charge_paid", "started"]
    assert stand.balances() == {"receivable": 0, "revenue": -599, "cash": 599}
    assert kept_cents(stand) == 599


def test_it_is_renewed_on_the_last_day_of_february_and_the_31st_of_march(stand):
    stand.subscribe()
    ends = []
    for moment in ("2026-02-28T10:00", "2026-03-31T10:00", "2026-04-30T10:00"):
        stand.wait(us=at(moment) - 1 - stand.clock.wall_us())
        assert len(stand.provider.ledger) == stand.one().period
        stand.wait(us=1)
        ends.append(iso(stand.one().ends_us))
    assert ends == ["2026-03-31 10:00", "2026-04-30 10:00", "2026-05-31 10:00"]
    assert kept_cents(stand) == 4 * 599


def test_a_first_payment_that_is_declined_starts_nothing(stand):
    stand.provider.moods.append("decline")
    stand.subscribe()
    assert (stand.one().state, stand.one().reason, stand.reason()) == ("expired", "declined", "")
    assert stand.balances() == {"receivable": 0, "revenue": 0}
    stand.subscribe("again")
    assert stand.one("again").state == "active"


def test_a_declined_renewal_is_tried_again_on_days_1_3_and_5_and_no_ad_is_shown_meanwhile(stand):
    stand.subscribe()
    stand.provider.moods.extend(["decline"] * 3)
    stand.wait(to="2026-02-28T10:00")
    assert (stand.one().state, stand.reason()) == ("past_due", "subscription-grace")
    assert iso(stand.one().grace_ends_us) == "2026-03-07 10:00"
    for day, attempts in ((1, 2), (2, 2), (3, 3)):
        stand.wait(to=f"2026-03-0{day}T10:00")
        assert len(stand.provider.asked) == 1 + attempts
    stand.wait(to="2026-03-05T10:00")
    assert stand.one().state == "active"
    assert iso(stand.one().ends_us) == "2026-03-31 10:00", "the grace is part of the period"
    assert kept_cents(stand) == 2 * 599
    assert stand.said()[-3:] == ["charge_requested", "charge_paid", "renewed"]


def test_a_renewal_that_stays_unpaid_expires_after_the_grace(stand):
    stand.subscribe()
    stand.provider.moods.extend(["decline"] * 4)
    for day in ("02-28", "03-01", "03-03", "03-05"):
        stand.wait(to=f"2026-{day}T10:00")
    stand.wait(us=at("2026-03-07T10:00") - 1 - stand.clock.wall_us())
    assert stand.reason() == "subscription-grace"
    stand.clock.advance_us(1)
    assert stand.reason() == "", "also before the process has looked"
    stand.work()
    assert (stand.one().state, stand.one().reason) == ("expired", "unpaid")
    assert kept_cents(stand) == 599


def test_another_way_to_pay_is_tried_at_once(stand):
    stand.subscribe()
    stand.provider.moods.append("decline")
    stand.wait(to="2026-02-28T10:00")
    stand.do(lambda c: stand.service.change_payment_method(c, "s", "another card"))
    stand.wait(us=1)
    assert stand.one().state == "active"
    assert [one.method for one in stand.provider.ledger.values()][-1] == "another card"


def test_cancelled_it_runs_to_the_end_of_its_period_and_is_not_charged_again(stand):
    stand.subscribe()
    stand.wait(days=3)
    stand.do(lambda c: stand.service.cancel(c, "s"))
    stand.do(lambda c: stand.service.cancel(c, "s"))
    assert (stand.one().state, stand.reason()) == ("ending", "subscription-ending")
    stand.clock.advance_us(at("2026-02-28T10:00") - 1 - stand.clock.wall_us())
    assert stand.reason() == "subscription-ending"
    stand.wait(us=1)
    assert (stand.one().state, stand.reason()) == ("expired", "")
    assert stand.said()[-2:] == ["cancellation_scheduled", "expired"]
    assert kept_cents(stand) == 599


def test_cancelled_while_a_payment_is_under_way_nothing_is_kept(stand):
    stand.subscribe()
    stand.provider.moods.append("hang")  # the money is taken, the answer is lost
    stand.wait(to="2026-02-28T10:00")
    stand.do(lambda c: stand.service.cancel(c, "s"))
    assert stand.one().state == "expired"
    stand.wait(days=1)
    stand.wait(days=1)
    assert kept_cents(stand) == 599
    assert stand.said()[-3:] == ["charge_paid", "refund_requested", "refund_settled"]


def test_cancelled_before_the_provider_heard_of_it_nothing_is_charged(stand):
    stand.ask()
    stand.do(lambda c: stand.service.cancel(c, "s"))
    stand.work()
    assert stand.provider.asked == [], "it was looked up, not made"
    assert stand.balances() == {"receivable": 0, "revenue": 0}


def test_a_refund_ends_it_at_once_and_gives_everything_back(stand):
    stand.subscribe()
    stand.do(lambda c: stand.service.link(c, "s", "bob"))
    stand.work()
    stand.do(lambda c: stand.service.refund(c, "s", reason="goodwill"))
    assert (stand.one().state, stand.reason(), stand.reason("bob")) == ("refunded", "", "")
    assert stand.balances()["refunds pending"] == 999
    stand.work()
    assert kept_cents(stand) == 0
    assert stand.balances() == {"receivable": 0, "revenue": -999, "cash": 0, "refunds": 999}
    with pytest.raises(Conflict, match="nothing-to-refund"):
        stand.do(lambda c: stand.service.refund(c, "s"))


def test_a_part_goes_back_to_the_cent_from_the_newest_payment_first(stand):
    stand.subscribe()
    stand.do(lambda c: stand.service.link(c, "s", "bob"))
    stand.work()
    stand.do(lambda c: stand.service.refund(c, "s", amount_nanos=501 * CENT))
    stand.work()
    assert [one.amount_minor for one in stand.provider.ledger.values()] == [599, 400, 400, 101]
    with pytest.raises(Conflict, match="exceeds-paid"):
        stand.do(lambda c: stand.service.refund(c, "s", amount_nanos=499 * CENT))
    stand.do(lambda c: stand.service.refund(c, "s", amount_nanos=498 * CENT))
    stand.work()
    assert kept_cents(stand) == 0


@pytest.mark.parametrize("nanos", [1, 5 * CENT + 3])
def test_less_than_a_cent_cannot_go_back(stand, nanos):
    stand.subscribe()
    with pytest.raises(Conflict, match="whole smallest units"):
        stand.do(lambda c: stand.service.refund(c, "s", amount_nanos=nanos))
    assert stand.one().state == "active"


def test_a_refund_that_the_provider_declines_is_open_to_be_asked_again(stand):
    stand.subscribe()
    stand.provider.moods.append("decline")
    stand.do(lambda c: stand.service.refund(c, "s"))
    stand.work()
    assert kept_cents(stand) == 599
    stand.do(lambda c: stand.service.refund(c, "s"))
    stand.work()
    assert kept_cents(stand) == 0


# ---- linked accounts ----------------------------------------------------------------------------


def test_a_linked_account_pays_for_the_rest_of_the_period_and_then_with_each(stand):
    """14 of February's 28 days are left: half of 4.00."""
    stand.subscribe()
    stand.wait(to="2026-02-14T10:00")
    stand.do(lambda c: stand.service.link(c, "s", "bob"))
    assert stand.reason("bob") == "", "not before it is paid"
    stand.do(lambda c: stand.service.link(c, "s", "bob"))
    stand.work()
    stand.do(lambda c: stand.service.link(c, "s", "bob"))
    stand.work()
    assert stand.reason("bob") == "subscription-active"
    assert stand.provider.kept_minor == 599 + 200
    stand.wait(to="2026-02-28T10:00")
    assert stand.provider.kept_minor == 599 + 200 + 999
    assert stand.reason("bob") == "subscription-active"


def test_who_is_unlinked_sees_ads_at_once_and_comes_back_without_paying_twice(stand):
    stand.subscribe()
    for _ in range(2):
        stand.do(lambda c: stand.service.link(c, "s", "bob"))
        stand.work()
        assert stand.reason("bob")
        stand.do(lambda c: stand.service.unlink(c, "s", "bob"))
        assert stand.reason("bob") == ""
    assert stand.provider.kept_minor == 999
    stand.wait(to="2026-02-28T10:00")
    assert stand.provider.kept_minor == 999 + 599, "an account that left is not paid for"


def test_who_was_paid_for_by_the_renewal_comes_back_without_paying_twice(stand):
    stand.subscribe()
    stand.do(lambda c: stand.service.link(c, "s", "bob"))
    stand.work()
    stand.wait(to="2026-02-28T10:00")
    stand.do(lambda c: stand.service.unlink(c, "s", "bob"))
    stand.do(lambda c: stand.service.link(c, "s", "bob"))
    assert stand.reason("bob") == "subscription-active"
    stand.work()
    assert stand.provider.kept_minor == 2 * 999


def test_an_extra_price_that_is_declined_links_nobody(stand):
    stand.subscribe()
    stand.provider.moods.append("decline")
    stand.do(lambda c: stand.service.link(c, "s", "bob"))
    stand.work()
    assert (stand.reason("bob"), stand.one().links, stand.one().state) == ("", {}, "active")
    stand.do(lambda c: stand.service.link(c, "s", "bob"))
    stand.work()
    assert stand.reason("bob") == "subscription-active"


def test_linked_accounts_follow_the_subscription_through_grace_and_end(stand):
    stand.subscribe()
    stand.do(lambda c: stand.service.link(c, "s", "bob"))
    stand.work()
    stand.provider.moods.extend(["decline"] * 9)
    stand.wait(to="2026-02-28T10:00")
    assert stand.reason("bob") == "subscription-grace"
    stand.wait(to="2026-03-07T10:00")
    assert stand.reason("bob") == ""


def test_links_that_cannot_be_are_refused(stand):
    with pytest.raises(NotFound):
        stand.do(lambda c: stand.service.link(c, "s", "bob"))
    stand.ask()
    with pytest.raises(Conflict, match="subscription-unpaid"):
        stand.do(lambda c: stand.service.link(c, "s", "bob"))
    stand.work()
    with pytest.raises(Conflict, match="own account"):
        stand.do(lambda c: stand.service.link(c, "s", "ana"))
    for number in range(10):
        stand.do(lambda c, number=number: stand.service.link(c, "s", f"b{number}"))
        stand.work()
    with pytest.raises(Conflict, match="too-many-accounts"):
        stand.do(lambda c: stand.service.link(c, "s", "bob"))
    stand.do(lambda c: stand.service.refund(c, "s"))
    with pytest.raises(Conflict, match="subscription-ended"):
        stand.do(lambda c: stand.service.link(c, "s", "bob"))


# ---- taking subscriptions -----------------------------------------------------------------------


def test_the_same_request_is_the_same_subscription_and_another_is_refused(stand):
    stand.subscribe()
    stand.ask(payment_method="another card")
    assert len(stand.provider.ledger) == 1
    with pytest.raises(Conflict, match="subscription-exists"):
        stand.ask(person="bea")
    with pytest.raises(Conflict, match="already-subscribed"):
        stand.ask("other")
    stand.do(lambda c: stand.service.refund(c, "s"))
    assert stand.subscribe("other").state == "active"


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"plan": "none"}, "/plan: no plan"),
        ({"time_zone": "Mars/Olympus"}, "expected an IANA time zone"),
        ({"channel": "ios"}, "no-price"),
        ({"currency": "USD"}, "no-price"),
    ],
)
def test_what_cannot_be_sold_is_refused_and_says_why(stand, members, says):
    with pytest.raises(Conflict, match=says):
        stand.ask(**members)
    assert stand.said() == []


def test_a_price_in_parts_of_a_cent_is_refused(stand):
    with pytest.raises(Conflict, match="/price_nanos: whole smallest units of EUR"):
        stand.price("bad", at("2027-01-01"), price_nanos=5_990_000_001)
    with pytest.raises(Conflict, match="/plan: no plan"):
        stand.price("bad", at("2027-01-01"), plan="none")


def test_an_account_of_the_ledger_that_is_in_the_way_is_said_before_anybody_is_charged(stand):
    stand.do(
        lambda c: stand.ledger.open_account(
            c, id="subscriptions/cash/EUR", currency="EUR", limited=True
        )
    )
    stand.do(
        lambda c: stand.ledger.open_account(
            c, id="subscriptions/receivable/EUR", currency="EUR", limited=False
        )
    )
    with pytest.raises(Conflict, match="insufficient-funds"):
        stand.ask()


# ---- who sees no ads ----------------------------------------------------------------------------


def test_a_plan_may_cover_some_sites_only(stand):
    plan = Plan(id="one", name="One site", properties=("news",))
    stand.do(lambda c: stand.service.define_plan(c, plan))
    stand.price("p-one", stand.clock.wall_us(), plan="one")
    stand.subscribe(plan="one")
    assert stand.reason(property="news") == "subscription-active"
    assert stand.reason(property="sport") == ""
    assert stand.reason("nobody") == ""


def test_a_clock_that_goes_back_renews_nothing_twice_and_takes_nothing_away(stand):
    stand.subscribe()
    stand.wait(to="2026-02-28T10:00")
    stand.clock.set_wall_us(at("2026-02-10T00:00"))
    stand.work()
    assert stand.reason() == "subscription-active"
    stand.clock.set_wall_us(at("2026-02-28T10:01"))
    stand.work()
    assert stand.one().period == 2
    assert len(stand.provider.ledger) == 2
    assert kept_cents(stand) == 2 * 599


def test_periods_in_which_the_process_was_away_are_not_charged(stand):
    stand.subscribe()
    stand.clock.advance_us(at("2026-05-15T00:00") - stand.clock.wall_us())
    assert stand.reason() == "", "the grace is over: nobody renewed it"
    stand.work()
    assert stand.one().period == 4
    assert iso(stand.one().starts_us) == "2026-04-30 10:00"
    assert kept_cents(stand) == 2 * 599
    assert stand.reason() == "subscription-active"


def test_it_is_renewed_by_the_calendar_of_its_time_zone():
    with Newsstand(start="2026-01-31T23:30") as stand:
        stand.subscribe("lisbon", "ana", time_zone="Europe/Lisbon")
        stand.subscribe("tokyo", "bea", time_zone="Asia/Tokyo")  # 1 February there
        assert iso(stand.one("lisbon").ends_us) == "2026-02-28 23:30"
        assert iso(stand.one("tokyo").ends_us) == "2026-02-28 23:30"
        stand.wait(to="2026-02-28T23:30")
        assert iso(stand.one("lisbon").ends_us) == "2026-03-31 22:30", "summer time"
        assert iso(stand.one("tokyo").ends_us) == "2026-03-31 23:30"
        stand.wait(to="2026-03-31T23:30")
        assert iso(stand.one("lisbon").ends_us) == "2026-04-30 22:30"
        assert iso(stand.one("tokyo").ends_us) == "2026-04-30 23:30"


def test_without_grace_an_unpaid_renewal_ends_at_once():
    with Newsstand(SubscriptionSettings(grace_days=0)) as stand:
        stand.subscribe()
        stand.provider.moods.append("decline")
        stand.wait(to="2026-02-28T10:00")
        assert stand.one().state == "expired"


# ---- erasure ------------------------------------------------------------------------------------


def erase(stand: Newsstand, person: str) -> None:
    subject = stand.service.subject_of(person)
    stand.keys.erase(subject)
    stand.do(lambda c: stand.service.erased(c, subject, stand.ids.new()))


def test_who_is_erased_is_subscribed_no_more_and_charged_no_more(stand):
    stand.subscribe()
    stand.do(lambda c: stand.service.link(c, "s", "bob"))
    stand.work()
    erase(stand, "bob")
    assert (stand.reason("bob"), stand.reason()) == ("", "subscription-active")
    erase(stand, "ana")
    assert (stand.reason(), stand.one().reason) == ("", "erased")
    assert stand.service.payment_method(stand.one()) is None
    stand.wait(days=40)
    assert stand.provider.kept_minor == 999


def test_a_payment_under_way_when_its_payer_is_erased_is_looked_up_and_given_back(stand):
    stand.provider.moods.append("hang")
    stand.subscribe()
    erase(stand, "ana")
    stand.wait(days=1)
    stand.wait(days=1)
    assert stand.provider.kept_minor == 0
    assert len(stand.provider.asked) == 2, "charged once, and given back"


def test_nothing_that_names_a_person_is_in_the_log(stand):
    stand.subscribe()
    stand.do(lambda c: stand.service.link(c, "s", "bob"))
    stand.work()
    stored = b"".join(row.payload for row in stand.log.rows()) + stand.register.dump()
    for secret in (b"ana", b"bob", b"card of"):
        assert secret not in stored
