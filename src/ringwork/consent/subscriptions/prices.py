"""Which price is in force when: dated records that never overlap.

For one plan, region, channel and currency each moment has one record at most. A record without an
end holds until the next one begins; one that is in force may only be ended from now on, so that
what was paid can always be explained. Where a region has no price in force, that of ``*`` holds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

from ringwork.consent.subscriptions.model import ANY_REGION, DAY_US, Offer, PlanPrice
from ringwork.kernel.errors import Fault

Key: TypeAlias = tuple[str, str, str, str]
"""Plan, region, channel, currency."""


class SetPrice(Struct, frozen=True):
    """A price record and when it was set: what its notice counts from."""

    price: PlanPrice
    set_us: int


class PriceList:
    """Every price record, by key in the order of time."""

    def __init__(self) -> None:
        self.by_id: dict[str, SetPrice] = {}
        self._by_key: dict[Key, list[SetPrice]] = {}

    def add(self, new: SetPrice) -> None:
        """Take a record whose faults were looked for."""
        self.by_id[new.price.id] = new
        records = self._by_key.setdefault(_key(new.price), [])
        records.insert(bisect_right(records, new.price.valid_from_us, key=_begin), new)

    def clear(self) -> None:
        """Forget all."""
        self.by_id.clear()
        self._by_key.clear()

    def faults(self, new: PlanPrice, now_us: int) -> Iterator[Fault]:
        """What keeps a new record from having its while for itself."""
        begin, end = new.valid_from_us, new.valid_to_us
        if end is not None and end <= begin:
            yield Fault("/valid_to_us", f"after valid_from_us {begin}, got {end}")
            return
        records = self._by_key.get(_key(new), [])
        at = bisect_right(records, begin, key=_begin)
        if at:
            before = records[at - 1].price
            if before.valid_from_us == begin:
                yield Fault("/valid_from_us", f"price {before.id!r} begins at the same time")
            elif before.valid_to_us is None:
                if begin < now_us:
                    detail = f"price {before.id!r} is in force: it can end from {now_us} on"
                    yield Fault("/valid_from_us", f"{detail}, got {begin}")
            elif before.valid_to_us > begin:
                yield Fault(
                    "/valid_from_us",
                    f"price {before.id!r} is in force until {before.valid_to_us}, got {begin}",
                )
        if at < len(records) and end is not None and end > records[at].price.valid_from_us:
            after = records[at].price
            detail = f"price {after.id!r} is in force from {after.valid_from_us} on, got {end}"
            yield Fault("/valid_to_us", detail)

    def in_force(
        self, plan: str, region: str, channel: str, currency: str, at_us: int
    ) -> SetPrice | None:
        """The record that holds at a moment, the region's own or else that of ``*``."""
        for place in dict.fromkeys((region, ANY_REGION)):
            records = self._by_key.get((plan, place, channel, currency), ())
            at = bisect_right(records, at_us, key=_begin)
            if at:
                end = records[at - 1].price.valid_to_us
                if end is None or at_us < end:
                    return records[at - 1]
        return None


def renewed(offer: Offer, found: SetPrice, at_us: int) -> Offer:
    """What a renewal at ``at_us`` pays: the price in force, a higher one only after its notice."""
    price = found.price
    new = Offer(price.id, price.price_nanos, price.extra_account_nanos)
    is_dearer = new.price_nanos > offer.price_nanos or new.extra_nanos > offer.extra_nanos
    if is_dearer and at_us < found.set_us + price.notice_days * DAY_US:
        return offer
    return new


def _key(price: PlanPrice) -> Key:
    return price.plan, price.region, price.channel, price.currency


def _begin(record: SetPrice) -> int:
    return record.price.valid_from_us
