"""What a part may do to an auction between ranking and pricing: scale and shift scores.

The auction knows no reasons. A part that has some (the fairness of delivery, say) is a ``Steer``:
it sees who competes for a place and answers by how much each score is to move. Prices are made
afterwards, with the move inside: a winner pays the least bid that keeps its moved place, and the
log holds every move, so that the price recomputes (ads specification 3.12).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

MULTIPLIER_MAX_PPM: Final = 100_000_000
"""A hundredfold: more decides an auction by itself."""
SHIFT_MAX_NANOS: Final = 10**15
"""As much as the most that may be bid."""


class Offer(Struct, frozen=True, kw_only=True):
    """One who competes for a place."""

    ad_id: str
    campaign_id: str
    advertiser_id: str
    value_nanos: int
    """What an impression is worth to it: bid times the probability of a response."""
    score_nanos: int
    """What it is ranked by so far."""


class Place(Struct, frozen=True, kw_only=True):
    """Where: nothing of who looks."""

    publisher_id: str
    placement_id: str
    format: str
    region: str
    cluster: int = -1
    """A coarse summary of what the request may be decided on, as a number; -1: none was made."""


class Steered(Struct, frozen=True, kw_only=True):
    """One auction that a part looked at: who competed, and by how much it moved whom."""

    slot_id: str
    offers: Sequence[Offer]
    shifts: Mapping[str, Shift]


class Shift(Struct, frozen=True, kw_only=True):
    """How the score of one moves: ``value * quality * multiplier / 10**12 + shift``.

    ValueError past the bounds. A multiplier of 0 keeps the ad out.
    """

    multiplier_ppm: int = 1_000_000
    shift_nanos: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.multiplier_ppm <= MULTIPLIER_MAX_PPM:
            raise ValueError(
                f"expected a multiplier of 0 to {MULTIPLIER_MAX_PPM} ppm, got {self.multiplier_ppm}"
            )
        if abs(self.shift_nanos) > SHIFT_MAX_NANOS:
            raise ValueError(
                f"expected a shift within {SHIFT_MAX_NANOS} nanos, got {self.shift_nanos}"
            )


class Steer(Protocol):
    """Moves scores of an auction. Called within the decision: it must not wait."""

    def __call__(self, place: Place, offers: Sequence[Offer]) -> Mapping[str, Shift]:
        """Ad id -> its move; whoever is not named stays. ``offers`` are the best first."""
        ...
