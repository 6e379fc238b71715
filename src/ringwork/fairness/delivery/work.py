"""What every piece of slow work of fairness is given, and how its facts are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from ringwork.fairness.delivery.events import Audience, FairnessRecorded
from ringwork.fairness.delivery.memory import FairnessMemory
from ringwork.fairness.plan import Category, Plan
from ringwork.fairness.privacy.samplers import NoisePool
from ringwork.fairness.records import AnyBody
from ringwork.kernel.errors import Conflict
from ringwork.kernel.journal import Command, Journal
from ringwork.kernel.ports import Entropy, KeyStore

if TYPE_CHECKING:
    from ringwork.fairness.enclave import Enclave


class LiveAd(Struct, frozen=True, kw_only=True):
    """An ad of a special category, as whoever sells it knows it."""

    ad: str
    advertiser: str
    category: Category
    audience: Audience
    expected_impressions: int
    """Of the whole flight, about."""
    impressions_left: int
    """From now on, about."""
    is_over: bool = False
    """Nothing of it is sold any more."""


class Sellers(Protocol):
    """Says which special ads there are now."""

    def __call__(self) -> Iterable[LiveAd]: ...


class Work(Struct, frozen=True, kw_only=True):
    """The platform, as fairness needs it."""

    plan: Plan
    memory: FairnessMemory
    enclave: Enclave
    journal: Journal
    keys: KeyStore
    entropy: Entropy
    pool: NoisePool
    tenant: str
    subject: bytes
    """The enclave's own pseudonym, under whose key exact sums are sealed."""
    public_key: str
    software_version: str
    live: Sellers

    async def commit(self, decide: Callable[[Command], object]) -> None:
        """One command, durable when this returns. Raises Unavailable, and nothing is recorded."""
        with self.journal.command(tenant=self.tenant, request_id=self.journal.ids.new()) as command:
            decide(command)
            durable = command.commit()
        await durable

    def now_us(self) -> int:
        """Wall time."""
        return self.journal.clock.wall_us()


def record(command: Command, *bodies: AnyBody) -> None:
    """Append records to the audit log."""
    for body in bodies:
        command.record(FairnessRecorded(body))


def record_later(command: Command, memory: FairnessMemory, body: AnyBody) -> None:
    """Append what people decide to a log that has begun: its first record is its genesis.

    Raises Conflict (rule-violated) where it has not.
    """
    if memory.log.genesis is None:
        raise Conflict("rule-violated", "expected an audit log that has begun: nothing is measured")
    record(command, body)
