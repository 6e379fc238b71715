"""What is asked and answered, what the platform supplies, and the policy in between."""

from __future__ import annotations

from typing import Final, Literal, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.kernel.errors import Fault, Refused

NOBODY: Final = 0
MUTUAL: Final = 1
EVERYONE: Final = 2
"""Discoverability: who finds an account by its number. Mutual: whoever it has in its own book."""


class ContactDirectory(Protocol):
    """Who is here: the platform's port. Arrays in, arrays of the same length out."""

    def accounts_of(self, numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The account of each number, -1 where there is none."""
        ...

    def number_of(self, account: int) -> int:
        """The number of an account, -1 or 0 where it has none."""
        ...

    def discoverability(self, accounts: NDArray[np.int64]) -> NDArray[np.uint8]:
        """0 nobody, 1 mutual, 2 everyone."""
        ...

    def joined_at(self, accounts: NDArray[np.int64]) -> NDArray[np.float64]:
        """When each joined, in seconds of the epoch of the guard's clock."""
        ...


class ContactStore(Protocol):
    """Where the guard's state waits for the next start."""

    def load(self) -> bytes | None:
        """What was saved last, None where nothing was."""
        ...

    def save(self, state: bytes) -> None:
        """Replace it."""
        ...


class SyncRequest(Struct, frozen=True):
    """An address book, or as much of it as the client sends.

    ``numbers``: ``uint64`` of E.164 digits, or texts with a leading ``+``. With a ``token``, the
    numbers that it proves come first, in any order among themselves. ``scope``: "full" answers
    everything, "changes" only what this account was not told yet or who joined of late.
    """

    account: int
    numbers: NDArray[np.uint64] | list[str]
    token: bytes | None = None
    scope: Literal["full", "changes"] = "full"

    def __repr__(self) -> str:
        """Without the numbers: they are other people's."""
        return f"SyncRequest(account={self.account}, {len(self.numbers)} numbers, {self.scope})"


class Match(Struct, frozen=True):
    """Somebody of the book who is here. No member but these: an importer shows no profiles."""

    number: int
    account: int

    def __repr__(self) -> str:
        return f"Match(account={self.account})"


class SyncAnswer(Struct, frozen=True):
    """What the client may see. All but ``matches`` follows from counts of the numbers it sent.

    ``floor_s``: how long after the request's arrival to answer, so that the time tells nothing.
    ``unreadable``: numbers that are none. ``token`` proves what was paid for, None unless "ok".
    """

    status: Literal["ok", "wait", "refused"]
    matches: tuple[Match, ...] = ()
    token: bytes | None = None
    retry_after_s: int | None = None
    unreadable: int = 0
    floor_s: float = 0.0


class Judged(Struct, frozen=True):
    """What the guard thought of a batch, for investigators only: counts, no numbers.

    Everything from ``matched`` on must never reach a client.
    """

    account: int
    status: str
    numbers: int
    unseen: int
    walked: int
    matched: int = 0
    mutual: int = 0
    coherent: int = 0
    is_book: bool = True
    shown: int = 0
    withheld: int = 0
    vouchers_spent: int = 0


class ContactPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """How much of whom may be learned. Counts per account; the presets are what was measured.

    Raises Refused ``contact-policy-invalid`` that points at every member that cannot be.
    """

    ceiling: Literal["mutual", "everyone"] = "mutual"
    """The most open discoverability that is honoured, whatever the directory says."""

    # What the client sees, from counts alone.
    numbers_max: int = 10_000
    """Of one request; more is answered 413."""
    numbers_burst: float = 10_000
    numbers_per_day: float = 200
    run_price: float = 3.0
    """Of a number in an over-dense block; any other costs 1."""
    run_refused_share: float = 0.5
    run_refused_min: int = 100
    """A batch with at least so many numbers in over-dense blocks, and that share, is refused."""

    # What stays inside.
    unproven_burst: float = 3
    unproven_per_day: float = 0.03
    """People shown of whom nothing says that they know the asker: a and c."""
    voucher_worth: float = 4
    """b: what a contact who has the asker's number adds, once a period in all."""
    coherent_burst: float = 16
    coherent_per_day: float = 0
    """People shown because they have others of a first book: a person with a new number."""
    coherent_batch_share: float = 0.5
    """Of those who do not have the asker, for a first book to pass on coherence."""
    coherent_p: float = 1e-3
    coherent_share: float = 0.05
    """Who is coherent: so unlikely by chance, and has at least that share of the matches."""
    coherent_quantile: float = 0.25
    """Of what confirmed friends have of each other's books, where books were imported: the share
    asked for is then at least this quantile."""
    book_min: int = 25
    book_share: float = 0.2
    book_quantile: float = 0.01
    """From so many matches on, it is no person's address book if fewer of them have the asker than
    that share, or than half of what this quantile of imported books shows."""
    established_burst: float = 160
    established_per_day: float = 2
    mutual_price: float = 0.2
    """The data limit of accounts that have a book already: taken over or merging phones."""
    first_book_days: float = 3
    inherit_new_share: float = 0.8
    inherit_book_share: float = 0.5
    """When what is new is another account's book: it holds so much of the new, and that so much of
    it. Above 1, never."""
    voucher_age_days: float = 30
    voucher_inbound: float = 8
    """When a voucher counts in full: how old, and how many have him."""
    period_days: float = 30
    changes_days: float = 10
    ttl_days: int = 180
    """How long a number that is not sent again is remembered."""
    token_days: float = 90
    floor_s: float = 0.05
    floor_s_per_number: float = 0.0001

    def __post_init__(self) -> None:
        faults = [
            Fault(f"/{name}", f"expected {wanted}, got {getattr(self, name)!r}")
            for names, holds, wanted in _RULES
            for name in names
            if not holds(getattr(self, name))
        ]
        if faults:
            raise Refused(
                "contact-policy-invalid", "a policy that cannot be", errors=faults, status=422
            )

    @classmethod
    def preset(cls, name: Literal["mutual", "everyone"]) -> ContactPolicy:
        """The default, where both must have each other; or open to whoever has the number."""
        if name == "mutual":
            return cls()
        if name == "everyone":
            return cls(ceiling="everyone", unproven_burst=24, unproven_per_day=0.4)
        raise Refused(
            "contact-policy-invalid",
            f'expected the preset "mutual" or "everyone", got {name!r}',
            status=422,
        )


_SHARES: Final = (
    "run_refused_share",
    "coherent_batch_share",
    "coherent_share",
    "coherent_quantile",
    "book_share",
    "book_quantile",
)
_ABOVE: Final = (
    "numbers_burst", "numbers_per_day", "first_book_days", "voucher_age_days", "voucher_inbound",
    "period_days", "changes_days", "token_days", "voucher_worth",
)  # fmt: skip
_FROM_ZERO: Final = (
    "unproven_burst", "unproven_per_day", "coherent_burst", "coherent_per_day",
    "established_burst", "established_per_day", "mutual_price", "floor_s", "floor_s_per_number",
)  # fmt: skip
_RULES: Final = (
    (("ceiling",), lambda v: v in ("mutual", "everyone"), '"mutual" or "everyone"'),
    (("numbers_max",), lambda v: 1 <= v <= 1_000_000, "1 to 1,000,000"),
    (("ttl_days",), lambda v: 1 <= v <= 3650, "1 to 3,650 days"),
    (("run_price",), lambda v: 1 <= v < 1e6, "at least 1"),
    (("run_refused_min", "book_min"), lambda v: v >= 1, "at least 1"),
    (("inherit_new_share", "inherit_book_share"), lambda v: 0.5 <= v < 1e6, "at least 0.5"),
    (("coherent_p",), lambda v: 0 < v < 1, "a probability"),
    (_SHARES, lambda v: 0 <= v <= 1, "a share from 0 to 1"),
    (_ABOVE, lambda v: 0 < v < 1e12, "a number above 0"),
    (_FROM_ZERO, lambda v: 0 <= v < 1e12, "a number of at least 0"),
)
