"""The ledger over HTTP: accounts, transfers, trial balance (platform specification 3.7 and 7.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, PathParameter
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from ringwork.app.platform import Platform
from ringwork.kernel.errors import Conflict, Fault, NotFound
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import CREATED, Account, Entry, Transfer
from ringwork.kernel.money import Currency, Money
from ringwork.web.app import HttpRequest, run_command
from ringwork.web.auth import needs
from ringwork.web.openapi import described

_RESOLVED: Final = ("debit", "credit", "currency", "amount")
_COMPARED: Final = (
    "kind",
    "debit",
    "credit",
    "amount",
    "currency",
    "pending-id",
    "timeout-s",
    "reference",
)
_RESOLUTION: Final = "A post or void does not fit the transfer that it resolves."
_REPEATED: Final = "The id was used for a transfer that differs in this member."

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "account-exists": (409, "An account with that id exists and is another."),
    "amount-required": (409, "A post says how much it takes."),
    "timeout-only-for-pending": (409, "Only a pending transfer can time out."),
    "amount-must-be-positive": (409, "Nothing, or less, cannot be moved or reserved."),
    "debit-account-not-found": (409, "The account to take from does not exist."),
    "credit-account-not-found": (409, "The account to give to does not exist."),
    "accounts-must-differ": (409, "An account cannot pay itself."),
    "currency-mismatch": (409, "Both accounts and the amount must be of one currency."),
    "amount-overflow": (409, "A total would pass 2**63 - 1 nanos."),
    "insufficient-funds": (409, "A limited account would have less than nothing available."),
    "pending-not-found": (409, "The transfer to resolve does not exist or was refused."),
    "pending-not-pending": (409, "The transfer to resolve is no pending one."),
    "pending-already-posted": (409, _RESOLUTION),
    "pending-already-voided": (409, _RESOLUTION),
    "pending-expired": (409, "The reservation's time ran out."),
    "exceeds-pending-amount": (409, "A post takes at most what was reserved."),
    **{f"pending-has-different-{name}": (409, _RESOLUTION) for name in _RESOLVED},
    **{f"exists-with-different-{name}": (409, _REPEATED) for name in _COMPARED},
}
"""The ledger's own slugs: the results of the transfers that it refuses."""

LedgerId = Annotated[str, Meta(min_length=1, max_length=64)]


class NewAccount(Struct, forbid_unknown_fields=True):
    """An account to open."""

    id: LedgerId
    currency: Currency
    limited: bool = False


class AccountView(Struct):
    """An account with its four totals and what is available."""

    id: str
    currency: str
    limited: bool
    debits_pending: Money
    debits_posted: Money
    credits_pending: Money
    credits_posted: Money
    available: Money


class NewTransfer(Struct, forbid_unknown_fields=True):
    """A transfer as a client asks for it."""

    id: LedgerId
    kind: Literal["single", "pending", "post", "void"]
    debit_account: Annotated[str, Meta(max_length=64)] = ""
    credit_account: Annotated[str, Meta(max_length=64)] = ""
    amount: Money | None = None
    pending_id: Annotated[str, Meta(max_length=64)] = ""
    timeout_s: Annotated[int, Meta(ge=0, le=31_622_400)] = 0
    reference: Annotated[str, Meta(max_length=255)] = ""


class TransferResult(Struct):
    """What became of a transfer that was accepted."""

    id: str
    result: str


class TransferView(Struct):
    """A transfer with its first result and its state now."""

    id: str
    kind: str
    debit_account: str
    credit_account: str
    amount: Money | None
    pending_id: str
    timeout_s: int
    reference: str
    result: str
    state: str


class Balance(Struct):
    """The four sums of one currency; debits equal credits in each phase."""

    currency: str
    debits_pending: Money
    debits_posted: Money
    credits_pending: Money
    credits_posted: Money


class TrialBalance(Struct):
    """Per currency."""

    balances: list[Balance]


TYPES: tuple[type[Struct], ...] = (
    NewAccount,
    AccountView,
    NewTransfer,
    TransferResult,
    TransferView,
    Balance,
    TrialBalance,
)


def routes(platform: Platform) -> list[ControllerRouterHandler]:
    """Every handler of the ledger."""
    return [*_accounts(platform), *_transfers(platform)]


def _accounts(platform: Platform) -> list[ControllerRouterHandler]:
    ledger = platform.memory.ledger

    @post(
        "/v1/ledger/accounts",
        opt={**needs("ledger:write"), **described(AccountView, key="required")},
    )
    async def open_account(request: HttpRequest, data: JSONBody[NewAccount]) -> Response[bytes]:
        """Open an account; the same again is 200, a different one of that id 409."""

        def decide(command: Command) -> tuple[int, Struct]:
            result = ledger.open_account(
                command, id=data.id, currency=data.currency, limited=data.limited
            )
            if result == "account-exists":
                raise Conflict(result, f"account {data.id!r} exists and is not what was asked for")
            view = _account_view(data.id, ledger.accounts[data.id])
            return (201 if result == CREATED else 200), view

        return await run_command(request, platform.execute, decide, key_required=True)

    @get("/v1/ledger/accounts/{account_id:path}", opt=needs("ledger:read"))
    async def read_account(
        account_id: FromPath[str],
    ) -> AccountView:
        """One account. Its id may hold a slash, as ``campaign/hp-autumn-26`` does."""
        name = account_id.removeprefix("/")
        account = ledger.accounts.get(name)
        if account is None:
            raise NotFound(f"no account {name[:64]!r}")
        view = _account_view(name, account)
        await platform.journal.settled()
        return view

    @get("/v1/ledger/trial-balance", opt=needs("ledger:read"))
    async def trial_balance() -> TrialBalance:
        """Per currency the four sums; debits equal credits, always."""
        balances = [
            Balance(currency, *(Money.of_nanos(currency, sums[name]) for name in sums))
            for currency, sums in sorted(ledger.trial_balance().items())
        ]
        await platform.journal.settled()
        return TrialBalance(balances)

    return [open_account, read_account, trial_balance]


def _account_view(id: str, account: Account) -> AccountView:
    def money(nanos: int) -> Money:
        return Money.of_nanos(account.currency, nanos)

    return AccountView(
        id, account.currency, account.limited,
        money(account.debits_pending), money(account.debits_posted),
        money(account.credits_pending), money(account.credits_posted),
        money(account.available_nanos),
    )  # fmt: skip


def _transfers(platform: Platform) -> list[ControllerRouterHandler]:
    ledger = platform.memory.ledger

    @post(
        "/v1/ledger/transfers",
        opt={**needs("ledger:write"), **described(TransferResult, key="required")},
    )
    async def transfer(request: HttpRequest, data: JSONBody[NewTransfer]) -> Response[bytes]:
        """Move, reserve, take or release money; a repeated id answers what the first one did."""
        platform.log.admit()  # rather than wait for projections that a full disk has stopped
        await platform.recall_transfers(data.id, data.pending_id)

        def decide(command: Command) -> tuple[int, Struct]:
            asked = _asked(data)
            ledger.expire_due(command)
            result = ledger.transfer(command, asked)
            if result != CREATED:
                raise Conflict(result, f"transfer {asked.id!r}: {result.replace('-', ' ')}")
            return 201, TransferResult(asked.id, result)

        return await run_command(request, platform.execute, decide, key_required=True)

    @get("/v1/ledger/transfers/{transfer_id:str}", opt=needs("ledger:read"))
    async def read_transfer(
        transfer_id: Annotated[str, PathParameter(min_length=1, max_length=64)],
    ) -> TransferView:
        """A transfer with its first result, and what became of a pending one."""
        await platform.recall_transfers(transfer_id)
        entry = ledger.entry(transfer_id)
        if entry is None:
            raise NotFound(f"no transfer {transfer_id!r}")
        view = _transfer_view(entry)
        await platform.journal.settled()
        return view

    return [transfer, read_transfer]


def _asked(data: NewTransfer) -> Transfer:
    if data.kind == "post" and data.amount is None:
        fault = Fault("/amount", "required for post")
        raise Conflict("amount-required", "/amount: a post says how much it takes", errors=[fault])
    amount = data.amount
    return Transfer(
        id=data.id, kind=data.kind, debit_account=data.debit_account,
        credit_account=data.credit_account, amount_nanos=amount.total_nanos if amount else 0,
        currency=amount.currency if amount else "", pending_id=data.pending_id,
        timeout_s=data.timeout_s, reference=data.reference,
    )  # fmt: skip


def _transfer_view(entry: Entry) -> TransferView:
    members: dict[str, Any] = entry.transfer.members()
    members = {name: members[name] for name in TransferView.__struct_fields__ if name in members}
    return TransferView(**members, result=entry.result, state=entry.state)
