"""A provider that times out, answers twice, late or not at all, and processes that are killed."""

import pytest

from ringwork.consent.subscriptions import webhook
from ringwork.consent.subscriptions.provider import PaymentAnswer
from ringwork.kernel.errors import Invalid, Refused
from ringwork.world.payment_provider import Payment, notice
from tests.consent.subscriptions.newsstand import Newsstand, at


@pytest.fixture
def stand():
    with Newsstand() as stand:
        yield stand


def charges(stand: Newsstand) -> list[Payment]:
    return [one for one in stand.provider.ledger.values() if one.kind == "charge"]


def again(stand: Newsstand, times: int = 3) -> None:
    """Later, so that whatever waits is asked for again."""
    for _ in range(times):
        stand.wait(us=3_600_000_000)


# ---- not answered -------------------------------------------------------------------------------


@pytest.mark.parametrize("mood", ["hang", "lose", "fail"])
def test_what_is_not_answered_is_asked_again_under_the_same_key_and_charged_once(stand, mood):
    stand.provider.moods.extend([mood] * 2)
    stand.subscribe()
    assert (stand.one().state, stand.reason()) == ("pending", "")
    again(stand)
    assert stand.one().state == "active"
    assert len(set(stand.provider.asked)) == 1
    assert len(stand.provider.asked) == 3
    assert stand.provider.kept_minor == 599
    assert stand.said().count("payment_failed") == 1, "once, however often it is asked again"


def test_a_renewal_that_is_not_answered_is_in_grace_until_it_is(stand):
    stand.subscribe()
    stand.provider.moods.append("hang")
    stand.wait(us=at("2026-02-28T10:00") - stand.clock.wall_us())
    stand.work()
    assert (stand.one().state, stand.reason()) in [
        ("past_due", "subscription-grace"),
        ("active", "subscription-active"),
    ]
    assert "grace_entered" in stand.said()
    again(stand)
    assert stand.one().state == "active"
    assert len(charges(stand)) == 2


def test_a_payment_that_comes_after_the_grace_goes_back(stand):
    stand.subscribe()
    stand.provider.moods.append("late")
    stand.wait(to="2026-02-28T10:00")
    (key,) = [one.key for one in charges(stand) if one.status == "pending"]
    for day in range(1, 9):
        stand.wait(to=f"2026-03-0{day}T10:00")
    assert (stand.one().state, stand.one().reason) == ("expired", "unpaid")
    stand.provider.decide(key, "succeeded")
    assert stand.hear() == "applied"
    stand.work()
    assert stand.one().state == "expired"
    assert stand.provider.kept_minor == 599
    assert stand.balances() == {"receivable": 0, "revenue": -2 * 599, "cash": 599, "refunds": 599}


def test_a_first_payment_that_is_never_answered_is_given_up_after_a_day(stand):
    stand.provider.moods.extend(["lose"] * 100)
    stand.subscribe()
    for _ in range(25):
        stand.wait(us=3_600_000_000)
    assert (stand.one().state, stand.one().reason) == ("expired", "unpaid")
    stand.provider.moods.clear()
    again(stand)
    assert charges(stand) == []
    assert stand.balances() == {"receivable": 0, "revenue": 0}


def test_the_pause_between_two_tries_grows_and_ends_at_an_hour(stand):
    stand.provider.moods.extend(["lose"] * 10_000)
    stand.ask()
    asked = []
    for _ in range(3 * 3600):
        stand.clock.advance_us(1_000_000)
        before = len(stand.provider.asked)
        stand.work()
        asked.append(len(stand.provider.asked) - before)
    assert 6 <= sum(asked) <= 40, "three hours"
    assert sum(asked[:60]) > sum(asked[-60:])


def test_a_provider_that_answers_nothing_at_all_is_left_alone_for_a_while(stand):
    """Sixteen at once are lost; two seconds later the rest and the lost ones are asked for."""
    for number in range(20):
        stand.ask(f"s{number}", f"p{number}")
    stand.provider.moods.extend(["fail"] * 16)
    stand.work()
    stand.work()
    assert len(stand.provider.asked) == 16
    stand.wait(us=2_000_000)
    assert len(set(stand.provider.asked)) == 20
    again(stand)
    assert {one.state for one in stand.register.subscriptions.values()} == {"active"}
    assert stand.provider.kept_minor == 20 * 599


def test_another_amount_than_was_asked_for_is_not_taken_for_paid(stand):
    stand.ask()
    (charge_id,) = stand.register.open_charges
    wrong = PaymentAnswer(status="succeeded", amount_minor=598)
    billing = stand.notices._billing
    assert stand.do(lambda c: billing.settle_charge(c, charge_id, wrong)) == "mismatch"
    assert stand.one().state == "pending"


# ---- twice and late -----------------------------------------------------------------------------


def test_a_payment_that_is_told_of_three_times_counts_once(stand):
    stand.provider.moods.append("twice")
    stand.subscribe()
    assert [stand.hear(), stand.hear()] == ["repeated", "repeated"]
    assert stand.balances()["cash"] == 599
    assert stand.said().count("charge_paid") == 1


def test_a_notice_that_comes_before_the_answer_counts_and_the_answer_repeats_it(stand):
    stand.provider.moods.append("hang")
    stand.subscribe()
    stand.provider.tell(charges(stand)[0])
    assert stand.hear() == "applied"
    assert stand.one().state == "active"
    again(stand)
    assert len(stand.provider.asked) == 1, "nothing is left to ask"


def test_the_same_notice_again_changes_and_records_nothing(stand):
    stand.provider.moods.append("late")
    stand.subscribe()
    stand.provider.decide(charges(stand)[0].key, "succeeded")
    (told,) = stand.provider.notices
    assert stand.hear(told) == "applied"
    before = stand.log.head.seq
    assert stand.hear(told) == "repeated"
    assert stand.log.head.seq == before


def test_who_says_declined_and_then_paid_is_paid_once(stand):
    """The retry is under way when the notice of the first attempt says that it was paid after all:
    it renews, and the retry's money goes back."""
    stand.subscribe()
    stand.provider.moods.extend(["decline", "late"])
    stand.wait(to="2026-02-28T10:00")
    stand.wait(to="2026-03-01T10:00")
    first, retry = charges(stand)[1:]
    assert (first.status, retry.status) == ("declined", "pending")
    stand.provider.decide(first.key, "succeeded")
    assert stand.hear() == "applied"
    assert (stand.one().state, stand.one().period) == ("active", 2)
    assert stand.one().until_us > stand.one().ends_us, "the retry says nothing of the period"
    stand.provider.decide(retry.key, "succeeded")
    assert stand.hear() == "applied"
    stand.work()
    assert stand.provider.kept_minor == 2 * 599
    assert stand.balances()["cash"] == 2 * 599
    assert stand.said().count("renewed") == 1


def test_unknown_notices_are_taken_and_recorded_without_what_they_say(stand):
    stranger = Payment("no-such-charge", "charge", 1, "EUR", "succeeded")
    assert stand.hear(notice("x1", "charge.succeeded", stranger)) == "unknown"
    assert stand.hear(notice("x2", "payout.sent", stranger)) == "unknown"
    recorded = [one.payload for one in stand.events()][-2:]
    assert [(one.type, one.outcome) for one in recorded] == [
        ("charge.succeeded", "unknown"),
        ("payout.sent", "unknown"),
    ]


# ---- signed -------------------------------------------------------------------------------------

BODY = b'{"id":"n","type":"t"}'
SECRET = b"0123456789abcdef"


def check(header: str | None, *, body=BODY, secrets=(SECRET,), now_s=1_000) -> None:
    webhook.check_signature(header, body, secrets=secrets, now_s=now_s, tolerance_s=300)


def test_a_signature_is_the_hmac_of_time_and_body():
    """Computed with `printf '1000.{"id":"n","type":"t"}' | openssl dgst -sha256 -hmac KEY`."""
    known = "da6cd5848e4ed8c546e3d16efa1fd7ce5e8be790834caaf0867fc87e2ccb5d0b"
    assert webhook.sign(BODY, SECRET, 1_000) == f"t=1000,v1={known}"
    check(f"t=1000,v1={known}")
    check(f"v1=00,t=1000,v0=aa,v1={known}")
    check(f"t=1000,v1={known}", secrets=(b"the next secret", SECRET))
    check(f"t=1000,v1={known}", now_s=1_300)
    check(f"t=1000,v1={known}", now_s=700)


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        ({"header": None}, "bad-signature"),
        ({"header": ""}, "bad-signature"),
        ({"header": "t=1000,v1=" + "0" * 64}, "bad-signature"),
        ({"header": "t=" + "9" * 999 + ",v1=" + "é" * 999}, "bad-signature"),
        ({"body": BODY + b" "}, "bad-signature"),
        ({"secrets": ()}, "bad-signature"),
        ({"now_s": 1_301}, "stale-signature"),
        ({"now_s": 699}, "stale-signature"),
    ],
)
def test_what_is_not_signed_here_and_now_is_refused(change, slug):
    given = {"header": webhook.sign(BODY, SECRET, 1_000), **change}
    with pytest.raises(Refused) as refused:
        check(**given)
    assert (refused.value.slug, refused.value.status) == (slug, 401)


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"id":""}', b'{"id":"n"}', b"[" * 100_000])
def test_a_body_that_is_no_notice_is_refused(body):
    with pytest.raises(Invalid):
        webhook.decode(body)


# ---- killed -------------------------------------------------------------------------------------


def test_a_process_that_ends_between_charge_and_record_charges_once(stand):
    """What is on disk is all that the next process knows: the charge is open, its key the same."""
    stand.ask()

    class Killed(BaseException):
        pass

    taken = stand.provider._take

    def take_and_die(*given):
        taken(*given)
        raise Killed

    stand.provider._take = take_and_die
    with pytest.raises(Killed):
        stand.work()
    stand.provider._take = taken
    assert stand.provider.kept_minor == 599
    stand.wake()
    assert stand.one().state == "pending"
    stand.work()
    assert (stand.one().state, stand.provider.kept_minor) == ("active", 599)
    assert len(set(stand.provider.asked)) == 1
    assert stand.balances() == {"receivable": 0, "revenue": -599, "cash": 599}


def test_a_notice_that_was_taken_before_a_restart_is_known_after_it(stand):
    stand.provider.moods.append("late")
    stand.subscribe()
    stand.provider.decide(charges(stand)[0].key, "succeeded")
    (told,) = stand.provider.notices
    stand.hear(told)
    stand.wake()
    assert stand.hear(told) == "repeated"
