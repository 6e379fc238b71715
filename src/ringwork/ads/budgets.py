"""What a campaign may still spend: by its ledger account and its cap per UTC day.

The day's spend is derived from the ledger's events alone, reserved and committed together (ads
specification 3.15). A reservation counts for the day it was made on, also when its impression comes
after midnight.
"""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from ringwork.ads.model import Campaign
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.ledger import Ledger, TransferCreated, TransferExpired
from ringwork.kernel.money import MAX_NANOS

DAY_S: Final = 86_400
KEEP_DAYS: Final = 3
"""Days of spend that stay in memory: a hold made before midnight resolves on the next day, and a
clock that is set back by up to two days still meets the spend of the day it is set back to."""

CAMPAIGN_PREFIX: Final = "campaign/"
ADVERTISER_PREFIX: Final = "advertiser/"
PUBLISHER_PREFIX: Final = "publisher/"


class Budgets:
    """Spend per campaign and day; a fold of the ledger's events."""

    name: ClassVar[str] = "budgets"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (TransferCreated, TransferExpired)

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._days: dict[int, dict[str, int]] = {}
        """Day since 1970 -> account -> nanos."""
        self._holds: dict[str, tuple[str, int, int]] = {}
        """Pending transfer -> account, day, nanos."""
        self.changed: dict[str, None] = {}
        """The campaigns that may have more or less to spend than when the index last emptied it."""

    # ---- deciding -------------------------------------------------------------------------------

    def free_nanos(self, campaign: Campaign, now_s: int) -> int:
        """What may be reserved or spent now without passing a cap; 0 when nothing.

        A house campaign pays nothing, so that it always can.
        """
        if campaign.priority == "house":
            return MAX_NANOS
        account = self._ledger.accounts.get(CAMPAIGN_PREFIX + campaign.id)
        if account is None:
            return 0
        free = account.available_nanos
        if campaign.daily_budget is not None:
            day = now_s // DAY_S
            if self._days and day <= max(self._days) - KEEP_DAYS:
                return 0  # that day's spend is forgotten, so nothing can be promised
            free = min(free, campaign.daily_budget.total_nanos - self.spent_nanos(campaign.id, day))
        return max(free, 0)

    def spent_nanos(self, campaign_id: str, day: int) -> int:
        """Nanos reserved and committed on a day (days since 1970, UTC)."""
        return self._days.get(day, {}).get(CAMPAIGN_PREFIX + campaign_id, 0)

    # ---- folding --------------------------------------------------------------------------------

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        day = recorded.ts_us // (DAY_S * 1_000_000)
        if isinstance(event, TransferExpired):
            self._release(event.id)
        elif isinstance(event, TransferCreated):
            if event.kind == "pending" or event.kind == "single":
                self._spend(event, day)
            else:
                account, held_day, _ = self._release(event.pending_id)
                if event.kind == "post" and account:
                    self._add(account, held_day, event.amount_nanos)

    def _spend(self, event: TransferCreated, day: int) -> None:
        account = event.debit_account
        self._note(event.credit_account)
        if not account.startswith(CAMPAIGN_PREFIX):
            return
        self._note(account)
        if event.credit_account.startswith(ADVERTISER_PREFIX):
            return  # unspent budget that goes back to its advertiser
        self._add(account, day, event.amount_nanos)
        if event.kind == "pending":
            self._holds[event.id] = (account, day, event.amount_nanos)

    def _release(self, pending_id: str) -> tuple[str, int, int]:
        pending = self._ledger.entry(pending_id)
        if pending is not None:
            self._note(pending.transfer.debit_account)
            self._note(pending.transfer.credit_account)
        account, day, amount = self._holds.pop(pending_id, ("", 0, 0))
        if account:
            self._add(account, day, -amount)
        return account, day, amount

    def _note(self, account: str) -> None:
        if account.startswith(CAMPAIGN_PREFIX):
            self.changed[account[len(CAMPAIGN_PREFIX) :]] = None

    def _add(self, account: str, day: int, nanos: int) -> None:
        newest = max(self._days, default=day)
        if day > newest:
            for old in [known for known in self._days if known <= day - KEEP_DAYS]:
                del self._days[old]
        elif day <= newest - KEEP_DAYS:
            return
        spent = self._days.setdefault(day, {})
        spent[account] = spent.get(account, 0) + nanos

    def clear(self) -> None:
        self._days.clear()
        self._holds.clear()
        self.changed.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode((self._days, self._holds))

    def load(self, state: bytes) -> None:
        self.clear()
        days, holds = _decoder.decode(state)
        self._days.update(days)
        self._holds.update(holds)


_decoder: Final = msgspec.msgpack.Decoder(
    tuple[dict[int, dict[str, int]], dict[str, tuple[str, int, int]]]
)
