"""What the console reads, named by need: memory, tables, log, and what only the process knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from ringwork.ads.budgets import Budgets
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.pacing import Forecast
from ringwork.console.facts import Verification
from ringwork.kernel.journal import Journal
from ringwork.kernel.ledger import Entry, Ledger
from ringwork.kernel.ports import Clock

if TYPE_CHECKING:
    import sqlalchemy as sa


class Follower(Protocol):
    """The projections: how far they have read, and what stops them."""

    @property
    def seq(self) -> int: ...

    @property
    def troubles(self) -> Mapping[str, str]: ...


class RequestEvents(Protocol):
    """The index of a request's events."""

    def seqs(self, connection: sa.Connection, request_id: bytes, *, limit: int) -> list[int]:
        """The request's first ``limit`` sequence numbers, ascending."""
        ...


class Transfers(Protocol):
    """The index of transfers: (sequence, wall time in us, entry)."""

    def latest(
        self, connection: sa.Connection, *, limit: int, account: str | None = None
    ) -> list[tuple[int, int, Entry]]:
        """Newest first, of one account or of all."""
        ...

    def placed(self, connection: sa.Connection, transfer_id: str) -> tuple[int, int, Entry] | None:
        """One transfer and where it stands."""
        ...


class StoreFacts(Struct, frozen=True, kw_only=True):
    """The data directory: its files by name, and the disk below it, in bytes."""

    files: Mapping[str, int]
    disk_free: int
    disk_total: int


class Sources(Struct, frozen=True, kw_only=True):
    """Everything the console reads from; built once by the composition root."""

    clock: Clock
    journal: Journal
    catalogue: Catalogue
    ledger: Ledger
    budgets: Budgets
    state: sa.Engine
    """Reads the tables of the projections."""
    projections: Follower
    request_events: RequestEvents
    transfers: Transfers
    currency: str
    queue_events_max: int
    """Events that may wait for the disk before the log refuses more."""
    store: Callable[[], StoreFacts]
    verification: Callable[[], Verification | None]
    """The stored result of the last ``ringwork verify``."""
    forecast: Callable[[], Forecast | None] = lambda: None
    """The requests to come, once enough were seen."""
    source: str = ""
    """What the figures are of, as in "demo world, seed 7"; empty for real traffic."""


class Names(Mapping[str, str]):
    """Ids of campaigns, ads, advertisers, publishers, sites -> names, looked up when asked."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._tables: Sequence[Mapping[str, _Named]] = (
            catalogue.campaigns,
            catalogue.creatives,
            catalogue.advertisers,
            catalogue.publishers,
            catalogue.sites,
        )

    def __getitem__(self, id: str) -> str:
        for table in self._tables:
            named = table.get(id)
            if named is not None:
                return named.name
        raise KeyError(id)

    def __iter__(self) -> Iterator[str]:
        return iter({id: None for table in self._tables for id in table})

    def __len__(self) -> int:
        return len({id for table in self._tables for id in table})


class _Named(Protocol):
    @property
    def name(self) -> str: ...
