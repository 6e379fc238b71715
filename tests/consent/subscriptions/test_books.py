"""What the ledger's owner, a full log or a provider without manners can do to the books."""

import httpx
import pytest

from ringwork.app.payment_http import ANSWER_MAX_BYTES, HttpPayments
from ringwork.consent.subscriptions.provider import (
    ChargeOrder,
    PaymentAnswer,
    RefundOrder,
    Unanswered,
)
from ringwork.consent.subscriptions.relay import RENEWED_AT_ONCE
from ringwork.kernel.errors import Conflict, Overloaded
from ringwork.kernel.ledger import CREATED, Transfer
from ringwork.world.payment_provider import notice
from tests.consent.subscriptions.newsstand import Newsstand, at


@pytest.fixture
def stand():
    with Newsstand() as stand:
        yield stand


def by_hand(stand: Newsstand, **members: object) -> str:
    return stand.do(lambda c: stand.ledger.transfer(c, Transfer(**members)))


def test_a_hold_that_was_voided_by_hand_is_booked_all_the_same_when_it_is_paid(stand):
    stand.ask()
    (charge_id,) = stand.register.open_charges
    assert by_hand(stand, id="v", kind="void", pending_id=charge_id) == CREATED
    stand.work()
    assert stand.one().state == "active"
    assert stand.balances() == {"receivable": 0, "revenue": -599, "cash": 599}


def test_a_hold_that_was_voided_by_hand_needs_no_second_void_when_it_is_declined(stand):
    stand.provider.moods.append("decline")
    stand.ask()
    (charge_id,) = stand.register.open_charges
    by_hand(stand, id="v", kind="void", pending_id=charge_id)
    stand.work()
    assert stand.one().state == "expired"
    assert stand.balances() == {"receivable": 0, "revenue": 0}


def fill(stand: Newsstand, account: str) -> None:
    """Move so much through an account that it takes nothing more."""
    own, id = stand.ledger.accounts[account], "fill"
    stand.do(lambda c: stand.ledger.open_account(c, id=id, currency="EUR", limited=False))
    rest = 2**63 - 1 - max(own.credits_posted, own.debits_posted)
    moved = by_hand(
        stand, id=id, kind="single", debit_account=id, credit_account=account, amount_nanos=rest,
        currency="EUR",
    )  # fmt: skip
    assert moved == CREATED


def test_a_renewal_that_the_ledger_cannot_take_is_put_off_an_hour_and_holds_up_nobody(stand):
    stand.subscribe()
    stand.subscribe("t", "bea")
    fill(stand, "subscriptions/revenue/EUR")
    stand.wait(to="2026-02-28T10:00")
    assert [stand.one(id).period for id in "st"] == [1, 1]
    assert stand.register.next_due(stand.clock.wall_us()) is None
    assert stand.reason() == "subscription-active", "it is not the subscriber's fault"
    assert len(stand.provider.asked) == 2
    stand.clock.advance_us(3_600_000_000)
    assert stand.register.next_due(stand.clock.wall_us()) is not None
    with pytest.raises(Conflict, match="amount-overflow"):
        stand.ask("u", "carl")


def test_money_that_the_ledger_will_not_book_is_in_the_log_as_refused(stand, caplog):
    stand.ask()
    stand.do(
        lambda c: stand.ledger.open_account(
            c, id="subscriptions/cash/EUR", currency="EUR", limited=True
        )
    )
    stand.work()
    assert stand.one().state == "active"
    assert "refused transfer" in caplog.text
    assert "transfer_refused" in [one.payload.TYPE for one in stand.events()]


def test_prices_past_what_an_account_holds_are_refused(stand):
    billing = stand.notices._billing
    assert billing.refusal("EUR", 2**63) == "amount-overflow"


def test_more_renewals_than_a_slice_are_made_in_several(stand):
    for number in range(RENEWED_AT_ONCE + 1):
        stand.ask(f"s{number}", f"p{number}")
    for _ in range(5):
        stand.work()
    stand.clock.advance_us(at("2026-02-28T10:00") - stand.clock.wall_us())

    async def run() -> None:
        assert stand.relay.renew() is True
        assert len(stand.register.open_charges) == RENEWED_AT_ONCE
        assert stand.relay.renew() is False
        assert stand.relay.renew() is False
        assert len(stand.register.open_charges) == RENEWED_AT_ONCE + 1

    stand.loop.run_until_complete(run())


def test_an_answer_that_the_log_cannot_take_is_asked_for_again(stand):
    stand.ask()
    admit = stand.log.admit

    def refuse() -> None:
        raise Overloaded("full")

    stand.log.admit = refuse
    stand.loop.run_until_complete(stand.relay.work())
    stand.log.admit = admit
    assert (stand.one().state, stand.provider.kept_minor) == ("pending", 599)
    stand.wait(us=3_600_000_000)
    assert (stand.one().state, stand.provider.kept_minor) == ("active", 599)


def test_a_refund_of_another_amount_is_not_taken_for_made(stand):
    stand.subscribe()
    stand.do(lambda c: stand.service.refund(c, "s"))
    (refund_id,) = stand.register.refunds
    billing = stand.notices._billing
    wrong = PaymentAnswer(status="succeeded", amount_minor=1)
    assert stand.do(lambda c: billing.settle_refund(c, refund_id, wrong)) == "mismatch"
    later = PaymentAnswer(status="pending")
    assert stand.do(lambda c: billing.settle_refund(c, refund_id, later)) == "repeated"
    assert refund_id in stand.register.refunds


def test_a_notice_that_arrives_while_the_provider_is_asked_counts_once(stand):
    """It comes when the payment is in line already: the answer to it is a repetition."""
    stand.ask()
    (charge_id,) = stand.register.open_charges
    settled = stand.journal.settled

    async def meanwhile() -> None:
        stand.journal.settled = settled
        with stand.journal.command(tenant="main", request_id=stand.ids.new()) as command:
            paid = PaymentAnswer(status="succeeded", amount_minor=599)
            stand.notices._billing.settle_charge(command, charge_id, paid)
            command.commit()

    stand.journal.settled = meanwhile
    stand.loop.run_until_complete(stand.relay.work())
    assert stand.provider.asked == []
    assert stand.one().state == "active"


def test_who_has_ended_pays_no_other_way(stand):
    stand.subscribe()
    stand.do(lambda c: stand.service.refund(c, "s"))
    with pytest.raises(Conflict, match="subscription-ended"):
        stand.do(lambda c: stand.service.change_payment_method(c, "s", "card"))


def test_old_notices_are_forgotten_and_still_change_nothing(stand, monkeypatch):
    monkeypatch.setattr("ringwork.consent.subscriptions.register.NOTICES_MAX", 2)
    stand.subscribe()
    (payment,) = stand.provider.ledger.values()
    first = notice("n1", "charge.succeeded", payment)
    for body in (first, *(notice(f"m{n}", "other", payment) for n in range(3))):
        stand.hear(body)
    assert len(stand.register.notices) == 2
    assert stand.hear(first) == "repeated"
    assert stand.balances()["cash"] == 599


# ---- the adapter --------------------------------------------------------------------------------

ORDER = ChargeOrder(key="k", payment_method="card", amount_minor=599, currency="EUR")


def asked(stand: Newsstand, answer, call=lambda client: client.charge(ORDER)):
    """What the adapter makes of an answer."""

    async def run():
        client = HttpPayments(
            url="https://pay.example/v1/", key="secret", timeout_s=1,
            transport=httpx.MockTransport(answer),
        )  # fmt: skip
        try:
            return await call(client)
        finally:
            await client.close()

    return stand.loop.run_until_complete(run())


def streamed(status: int, body: bytes):
    return lambda request: httpx.Response(status, stream=httpx.ByteStream(body))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"{}"),
        (200, b'{"status":"maybe"}'),
        (200, b"[" * 50_000),
        (200, b" " * (ANSWER_MAX_BYTES + 1)),
        (302, b'{"status":"succeeded"}'),
        (400, b'{"status":"declined"}'),
        (401, b""),
        (409, b""),
        (429, b""),
        (500, b'{"status":"succeeded"}'),
    ],
)
def test_what_is_no_clear_answer_is_none(stand, status, body):
    with pytest.raises(Unanswered) as error:
        asked(stand, streamed(status, body))
    assert "card" not in str(error.value)


def test_the_provider_is_asked_as_documented(stand):
    requests: list[tuple] = []

    def answer(request: httpx.Request) -> httpx.Response:
        key = request.headers.get("idempotency-key")
        requests.append((request.method, request.url.path, key, request.read()))
        assert request.headers["authorization"] == "Bearer secret"
        body = b'{"status":"succeeded","id":"p1","amount_minor":599,"more":[]}'
        return httpx.Response(200, stream=httpx.ByteStream(body))

    paid = asked(stand, answer)
    assert paid == PaymentAnswer(status="succeeded", reference="p1", amount_minor=599)
    assert asked(stand, answer, lambda client: client.find("k")) == paid
    back = RefundOrder(key="r", charge="k", amount_minor=599, currency="EUR")
    asked(stand, answer, lambda client: client.refund(back))
    assert requests == [
        ("POST", "/v1/charges", "k", b'{"payment_method":"card","amount_minor":599,"currency":"EUR"}'),
        ("GET", "/v1/charges/k", None, b""),
        ("POST", "/v1/refunds", "r", b'{"charge":"k","amount_minor":599,"currency":"EUR"}'),
    ]  # fmt: skip
    assert asked(stand, streamed(404, b""), lambda client: client.find("k")) is None
    declined = asked(stand, streamed(402, b'{"status":"declined","reason":"expired"}'))
    assert (declined.status, declined.reason) == ("declined", "expired")
