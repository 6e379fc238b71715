"""The ledger: whether it balances, its accounts, and transfers with what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from ringwork.console.facts import AccountFacts, LedgerFacts, TransferFacts, TransferLine
from ringwork.console.format import count, exact, money, plural, price, stamp
from ringwork.console.pages import Bold, Page, say
from ringwork.kernel.ledger import Account

_CLOSED: Final = {"single": "moved", "post": "paid", "void": "released"}
"""What a transfer that closes at once did, in a word."""
_STATES: Final = {
    "pending": "open",
    "posted": "good",
    "voided": "off",
    "expired": "off",
    "closed": "good",
    "refused": "bad",
}


class BalanceRow(Struct, frozen=True, kw_only=True):
    """One currency: the sums are Python ints in nanos as text, because a sum may pass 2**63."""

    currency: str
    debits_posted: str
    credits_posted: str
    debits_pending: str
    credits_pending: str
    difference: str
    balanced: bool


class AccountRow(Struct, frozen=True, kw_only=True):
    """An account with its four totals and what is available, nanos as text to the nano."""

    id: str
    href: str
    name: str
    currency: str
    limited: bool
    debits_posted: str
    debits_pending: str
    credits_posted: str
    credits_pending: str
    available: str


class TransferRow(Struct, frozen=True, kw_only=True):
    """A transfer in a table; ``partner`` is the other half of a two-phase transfer."""

    id: str
    href: str
    ts_us: int
    kind: str
    state: str
    word: str
    tag: str
    debit: str
    credit: str
    amount: str
    moved: str
    partner: str
    partner_href: str
    partner_text: str
    request_id: str


class LedgerBody(Struct, frozen=True, kw_only=True):
    """The body of the ledger page."""

    balances: list[BalanceRow]
    accounts: list[AccountRow]
    account_count: int
    transfers: list[TransferRow]


class AccountBody(Struct, frozen=True, kw_only=True):
    """The body of one account's page."""

    account: AccountRow
    transfers: list[TransferRow]


class TransferBody(Struct, frozen=True, kw_only=True):
    """The body of one transfer's page."""

    transfer: TransferRow
    currency: str
    timeout_s: int
    reference: str
    result: str
    related: list[TransferRow]


def account_href(id: str) -> str:
    """The account's page."""
    return f"/console/ledger/accounts?id={quote(id, safe='')}"


def transfer_href(id: str) -> str:
    """The transfer's page."""
    return f"/console/ledger/transfers?id={quote(id, safe='')}"


def balance_rows(trial: dict[str, dict[str, int]]) -> list[BalanceRow]:
    """One row a currency; the difference is of both phases, and zero only if each of them is."""
    rows = []
    for currency, sums in sorted(trial.items()):
        posted = sums["debits_posted"] - sums["credits_posted"]
        pending = sums["debits_pending"] - sums["credits_pending"]
        rows.append(
            BalanceRow(
                currency=currency,
                debits_posted=exact(sums["debits_posted"]),
                credits_posted=exact(sums["credits_posted"]),
                debits_pending=exact(sums["debits_pending"]),
                credits_pending=exact(sums["credits_pending"]),
                difference=exact(abs(posted) + abs(pending)),
                balanced=posted == pending == 0,
            )
        )
    return rows


def ledger(facts: LedgerFacts) -> Page:
    """The page from its facts."""
    rows = balance_rows(facts.trial)
    body = LedgerBody(
        balances=rows,
        account_count=facts.account_count,
        accounts=[account_row(id, account, facts.names) for id, account in facts.accounts],
        transfers=[transfer_row(line) for line in facts.transfers],
    )
    return Page(
        name="ledger",
        title="Ledger",
        question="Does it balance, to the nano?",
        answer=say(*_answer(rows, facts)),
        now_us=facts.now_us,
        body=body,
        notes=(f"as of {stamp(facts.now_us)}",),
        command="ringwork verify",
    )


def _answer(rows: Sequence[BalanceRow], facts: LedgerFacts) -> list[str | Bold]:
    if not rows:
        return ["There is no account yet, so there is nothing to balance."]
    broken = [row.currency for row in rows if not row.balanced]
    if broken:
        return [
            Bold("It does not balance"),
            f" in {', '.join(broken)}. ",
            "Stop the server and run ringwork verify.",
        ]
    parts: list[str | Bold] = [Bold("It balances"), ": "]
    for index, row in enumerate(rows):
        moved = facts.trial[row.currency]["debits_posted"]
        parts += ["; " if index else "", Bold(money(moved, row.currency)), " moved"]
    accounts = plural(facts.account_count, "account")
    return [*parts, f" between {accounts}, and every debit has its credit."]


def account_row(id: str, account: Account, names: Mapping[str, str]) -> AccountRow:
    """An account as a row of a table."""
    return AccountRow(
        id=id,
        href=account_href(id),
        name=names.get(id.partition("/")[2], ""),
        currency=account.currency,
        limited=account.limited,
        debits_posted=exact(account.debits_posted),
        debits_pending=exact(account.debits_pending),
        credits_posted=exact(account.credits_posted),
        credits_pending=exact(account.credits_pending),
        available=exact(account.available_nanos),
    )


def transfer_row(line: TransferLine) -> TransferRow:
    """A transfer as a row of a table, tied to its other half."""
    partner = line.pending_id or line.resolved_by
    text = ""
    if partner:
        text = "resolves" if line.pending_id else f"{line.state} by"
    return TransferRow(
        id=line.id,
        href=transfer_href(line.id),
        ts_us=line.ts_us,
        kind=line.kind,
        state=line.state,
        word=_CLOSED.get(line.kind, line.state) if line.state == "closed" else line.state,
        tag=_STATES.get(line.state, "off"),
        debit=line.debit,
        credit=line.credit,
        amount=exact(line.amount_nanos),
        moved=exact(line.moved_nanos) if line.resolved_by and line.state == "posted" else "",
        partner=partner,
        partner_href=transfer_href(partner) if partner else "",
        partner_text=text,
        request_id=line.request_id,
    )


def account(facts: AccountFacts) -> Page:
    """The page of one account."""
    row = account_row(facts.id, facts.account, {})
    kind = "can never go below zero" if facts.account.limited else "may go below zero"
    available = price(facts.account.available_nanos, facts.account.currency)
    return Page(
        name="account",
        title="Account",
        subject=facts.id,
        question="What came in, what went out?",
        answer=say(Bold(available), f" is available; this account {kind}."),
        now_us=facts.now_us,
        body=AccountBody(account=row, transfers=[transfer_row(line) for line in facts.transfers]),
        notes=tuple(filter(None, (facts.name, f"as of {stamp(facts.now_us)}"))),
        command="ringwork log export --out ./export",
    )


def transfer(facts: TransferFacts) -> Page:
    """The page of one transfer."""
    line = facts.transfer
    body = TransferBody(
        transfer=transfer_row(line),
        currency=line.currency,
        timeout_s=line.timeout_s,
        reference=line.reference,
        result=line.result,
        related=[transfer_row(other) for other in facts.related],
    )
    return Page(
        name="transfer",
        title="Transfer",
        subject=line.id,
        question="What became of it?",
        answer=say(*_became(line)),
        now_us=facts.now_us,
        body=body,
        notes=(stamp(line.ts_us),),
        command=f"ringwork trace {line.request_id}" if line.request_id else "ringwork log verify",
    )


def _became(line: TransferLine) -> list[str | Bold]:
    amount = (
        Bold(price(line.amount_nanos, line.currency)) if line.currency else Bold("The transfer")
    )
    if line.state == "refused":
        return [amount, f" was refused: {line.result.replace('-', ' ')}. Nothing moved."]
    if line.kind == "single":
        return [amount, f" moved at once from {line.debit} to {line.credit}."]
    if line.kind == "post":
        return [amount, " was taken from a reservation; the rest of it was released."]
    if line.kind == "void":
        return ["A reservation was released; nothing was paid."]
    if line.state == "pending":
        return [
            amount,
            f" is reserved in {line.debit}; paid or released within {count(line.timeout_s)} s.",
        ]
    if line.state == "posted" and line.resolved_by:
        moved = price(line.moved_nanos, line.currency)
        return [amount, " was reserved; ", Bold(moved), " of it was paid, the rest released."]
    if line.state == "posted":
        return [amount, " was reserved; what was paid of it stands in its request."]
    return [amount, f" was reserved and {line.state}; nothing was paid."]
