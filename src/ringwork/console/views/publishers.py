"""Publishers: what they earned, what they were paid, what is owed; one month as a statement."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from ringwork.ads.charges import month_name, month_number
from ringwork.console.book_facts import PublisherLine, PublishersFacts, StatementFacts
from ringwork.console.format import exact, money, percent, plural, stamp
from ringwork.console.pages import Bold, Page, say
from ringwork.console.pricings import priced_per
from ringwork.console.views.invoices import SumRow
from ringwork.console.views.ledger import account_href
from ringwork.console.views.life import item_href

_PPM: Final = 1_000_000
_FIRST_MONTH: Final = 1970 * 12


class PublisherRow(Struct, frozen=True, kw_only=True):
    """A publisher in a table."""

    id: str
    name: str
    href: str
    domain: str
    owed: str
    this_month: str
    paid: str
    earned: str


class Publishers(Struct, frozen=True, kw_only=True):
    """The body of the list."""

    rows: list[PublisherRow]
    month: str
    next_href: str


class PayoutRow(Struct, frozen=True, kw_only=True):
    """A payout in a table."""

    id: str
    ts_us: int
    month: str
    amount: str


class PublisherBody(Struct, frozen=True, kw_only=True):
    """The body of a statement."""

    path: str
    name: str
    month: str
    sums: list[SumRow]
    equals_account: bool | None
    """Whether the account holds what the statement says; None where that was not asked."""
    before_href: str
    after_href: str
    payable: str
    """What a payout would move; empty where there is nothing to pay out."""
    why_not: str
    key: str
    trouble: str
    payouts: list[PayoutRow]
    payout_count: int
    account_href: str


def publishers(facts: PublishersFacts, *, page: int = 1) -> Page:
    """The list from its facts."""
    owed = money(facts.owed_nanos, facts.currency)
    now = money(facts.this_month_nanos, facts.currency)
    if facts.owed_count:
        answer = say(
            Bold(owed),
            f" is owed to {plural(facts.owed_count, 'publisher')} for everything earned by the end "
            f"of {facts.month}; {now} was earned since.",
        )
    elif facts.count:
        answer = say(f"Nothing is owed for the time until {facts.month} is over; ", Bold(now),
                     " was earned since.")  # fmt: skip
    else:
        answer = say("There is no publisher yet.")
    return Page(
        name="publishers",
        title="Publishers",
        question="What did they earn, and what is owed to them?",
        answer=answer,
        now_us=facts.now_us,
        body=Publishers(
            rows=[_row(line, facts.currency) for line in facts.lines],
            month=facts.month,
            next_href=f"/console/publishers?page={page + 1}" if facts.has_more else "",
        ),
        notes=("months are UTC's", f"as of {stamp(facts.now_us)}"),
    )


def _row(line: PublisherLine, currency: str) -> PublisherRow:
    return PublisherRow(
        id=line.id,
        name=line.name,
        href=item_href("publisher", line.id),
        domain=line.domain,
        owed=money(line.owed_nanos, currency),
        this_month=money(line.this_month_nanos, currency),
        paid=money(line.paid_nanos, currency),
        earned=money(line.earned_nanos, currency),
    )


def publisher(facts: StatementFacts, *, key: str, trouble: str = "", done: str = "") -> Page:
    """A publisher's month; ``key`` is that of the form that pays it out."""
    one = facts.statement
    number = month_number(one.month)
    assert number is not None, "there is a statement of it"
    path = item_href("publisher", one.publisher_id)
    is_over = one.month < facts.this_month
    net = one.gross.total_nanos - one.fees.total_nanos
    payable = facts.payable
    can_pay = payable is not None and payable.total_nanos > 0
    closing = one.closing.total_nanos
    body = PublisherBody(
        path=path,
        name=facts.name,
        month=one.month,
        sums=_sums(facts),
        equals_account=None if facts.account_nanos is None else facts.account_nanos == closing,
        before_href=f"{path}?month={month_name(number - 1)}" if number > _FIRST_MONTH else "",
        after_href=f"{path}?month={month_name(number + 1)}" if is_over else "",
        payable=money(payable.total_nanos, payable.currency) if can_pay and payable else "",
        why_not="" if can_pay else _why_not(facts),
        key=key,
        trouble=trouble,
        payouts=[
            PayoutRow(
                id=paid.id,
                ts_us=paid.ts_us,
                month=paid.month,
                amount=money(paid.amount_nanos, one.closing.currency),
            )
            for paid in facts.paid
        ],
        payout_count=facts.paid_count,
        account_href=account_href(f"publisher/{one.publisher_id}"),
    )
    return Page(
        name="publisher",
        title="Statement of",
        subject=one.publisher_id,
        question="What did it earn, and what is owed to it?",
        answer=say(
            f"{facts.name} earned ",
            Bold(money(net, one.closing.currency)),
            f" in {one.month}{'' if is_over else ' so far'}; ",
            Bold(money(closing, one.closing.currency)),
            f" stood on its account at {'its end' if is_over else 'this moment'}.",
        ),
        now_us=facts.now_us,
        body=body,
        notes=(f"share {percent(one.revenue_share_ppm, _PPM)} now", "months are UTC's"),
        done=done,
    )


def _why_not(facts: StatementFacts) -> str:
    if facts.payable is None:
        return "A month can be paid out once it is over."
    return "Nothing earned by the end of this month is left to pay out."


def _sums(facts: StatementFacts) -> list[SumRow]:
    """From the opening to the closing balance, to the nano."""
    one = facts.statement
    is_over = one.month < facts.this_month
    return [
        SumRow(text="On the account before", figure=exact(one.opening.total_nanos)),
        *[
            SumRow(
                text=f"{plural(share.quantity, priced_per(share.pricing))} charged",
                figure=exact(share.gross.total_nanos),
            )
            for share in one.shares
        ],
        SumRow(text="Kept by the platform", figure=exact(-one.fees.total_nanos)),
        SumRow(
            text="Paid out in this month",
            figure=exact(-sum(paid.amount.total_nanos for paid in one.payouts)),
        ),
        SumRow(
            text="On the account at its end" if is_over else "On the account now",
            figure=exact(one.closing.total_nanos),
            rule="pay",
        ),
    ]
