"""Which personal data a request has read: purpose, source service and feature, a bit for each.

Every read passes a ``ReadRecorder``; its bits stand in the decision (``AuctionCleared.reads``), so
that why-this-ad, the statement of the DSA and an audit derive from what was read and not from what
should have been.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, get_args

from msgspec import Struct

from ringwork.kernel.purpose import PURPOSES, Purpose

Feature = Literal["interests", "audiences", "impressions"]
"""Topics by what was done with them; rules over what was done; ads that were shown before."""
FEATURES: Final[tuple[Feature, ...]] = get_args(Feature)
"""Appended to, never reordered: their places are bits of old events."""
FEATURES_MAX: Final = 16
"""Bits of one purpose."""


class FeatureRead(Struct, frozen=True):
    """One kind of personal data that a request read, and of whom it is."""

    purpose: str
    service: str
    """The core service that the data are of."""
    feature: str


class ReadRecorder:
    """Takes note of reads."""

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        self._bits: dict[str, int] = {}

    def note(self, purpose: Purpose, service: str, feature: Feature) -> None:
        """A request reads a feature of a service's data for a purpose."""
        bit = PURPOSES.index(purpose) * FEATURES_MAX + FEATURES.index(feature)
        self._bits[service] = self._bits.get(service, 0) | 1 << bit

    def bits(self) -> dict[str, int]:
        """Service -> bits, as the decision keeps them."""
        return dict(sorted(self._bits.items()))


def reads_of(bits: Mapping[str, int]) -> Iterator[FeatureRead]:
    """What a decision's bits say; a bit that a newer version wrote is named by its number.

    >>> [one.feature for one in reads_of({"main": 5})]
    ['interests', 'impressions']
    """
    for service, value in bits.items():
        for bit in range(value.bit_length()):
            if value >> bit & 1:
                purpose, feature = divmod(bit, FEATURES_MAX)
                yield FeatureRead(
                    PURPOSES[purpose] if purpose < len(PURPOSES) else str(purpose),
                    service,
                    FEATURES[feature] if feature < len(FEATURES) else str(feature),
                )
