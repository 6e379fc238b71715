"""The Global Vendor List, version 3: who declares which purpose on which legal basis.

A list is read once, strictly and within bounds; what decisions need of a vendor is precomputed as
bit masks. A TC string names the version of the list that its person saw.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from ringwork.consent.bits import mask_of
from ringwork.consent.errors import SignalError
from ringwork.consent.vendors import VENDOR_MAX

BYTES_MAX: Final = 16_777_216
"""The published list has about 3 MB."""
VERSIONS_MAX: Final = 64
"""A list comes out every week, and a string is valid for 13 months."""
DECLARED_MAX: Final = 1024
"""Masks kept; a platform asks for its own id."""
SPECIFICATION: Final = 3
NO_INTEREST: Final = frozenset({1, 3, 4, 5, 6})
"""Purposes that nobody may base on a legitimate interest."""

Number = Annotated[int, Meta(ge=1, le=24)]
Text = Annotated[str, Meta(max_length=20_000)]


class Retention(Struct, frozen=True, rename="camel"):
    """Days that a vendor keeps data, in general and by purpose."""

    std_retention: int | None = None
    purposes: dict[str, int] = {}
    special_purposes: dict[str, int] = {}


class Address(Struct, frozen=True, rename="camel"):
    """Where a vendor explains itself in one language."""

    lang_id: str = ""
    privacy: str = ""
    leg_int_claim: str = ""


class Overflow(Struct, frozen=True, rename="camel"):
    """How much of a URL a vendor takes, in KB."""

    http_get_limit: int = 32


class Vendor(Struct, frozen=True, rename="camel"):
    """A vendor's declaration."""

    id: Annotated[int, Meta(ge=1, le=VENDOR_MAX)]
    name: Text
    purposes: tuple[Number, ...] = ()
    """By consent, unless a publisher says otherwise."""
    leg_int_purposes: tuple[Number, ...] = ()
    """By legitimate interest, unless a publisher says otherwise."""
    flexible_purposes: tuple[Number, ...] = ()
    """A publisher may ask for the other basis."""
    special_purposes: tuple[Number, ...] = ()
    features: tuple[Number, ...] = ()
    special_features: tuple[Number, ...] = ()
    data_retention: Retention = Retention()
    data_declaration: tuple[Number, ...] = ()
    urls: tuple[Address, ...] = ()
    deleted_date: datetime | None = None
    overflow: Overflow | None = None
    uses_cookies: bool = False
    cookie_max_age_seconds: int | None = None
    cookie_refresh: bool = False
    uses_non_cookie_access: bool = False
    device_storage_disclosure_url: str = ""


class Described(Struct, frozen=True):
    """A purpose, feature or stack in words."""

    id: int
    name: Text
    description: Text = ""


class VendorList(Struct, frozen=True, rename="camel"):
    """One version of the list; ``vendors`` by id as text, as it is published."""

    gvl_specification_version: int
    vendor_list_version: Annotated[int, Meta(ge=1, le=4095)]
    tcf_policy_version: Annotated[int, Meta(ge=1, le=63)]
    vendors: dict[str, Vendor]
    last_updated: datetime | None = None
    purposes: dict[str, Described] = {}
    special_purposes: dict[str, Described] = {}
    features: dict[str, Described] = {}
    special_features: dict[str, Described] = {}
    stacks: dict[str, Described] = {}
    data_categories: dict[str, Described] = {}

    def vendor(self, vendor_id: int) -> Vendor | None:
        """The vendor of that id."""
        return self.vendors.get(str(vendor_id))


_DECODER: Final = msgspec.json.Decoder(VendorList)


def load(data: bytes) -> VendorList:
    """Read a published list; raises SignalError naming the member at fault."""
    if len(data) > BYTES_MAX:
        raise SignalError("vendor list too large", expected=f"at most {BYTES_MAX} bytes")
    try:
        found = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SignalError(f"no vendor list: {error}", expected="GVL JSON, version 3") from None
    if found.gvl_specification_version != SPECIFICATION:
        came = found.gvl_specification_version
        raise SignalError(f"vendor list of specification {came}", expected=str(SPECIFICATION))
    for key, vendor in found.vendors.items():
        _check(key, vendor)
    return found


def _check(key: str, vendor: Vendor) -> None:
    where = f"vendors/{key}"
    if key != str(vendor.id):
        raise SignalError(f"{where}: id {vendor.id}", expected=f"id {key}")
    by_consent, by_interest = set(vendor.purposes), set(vendor.leg_int_purposes)
    if both := by_consent & by_interest:
        raise SignalError(f"{where}: purposes {sorted(both)} on two bases", expected="one basis")
    if forbidden := by_interest & NO_INTEREST:
        raise SignalError(
            f"{where}: legIntPurposes {sorted(forbidden)}", expected="none of 1, 3, 4, 5, 6"
        )
    flexible = set(vendor.flexible_purposes)
    if undeclared := flexible - by_consent - by_interest:
        raise SignalError(
            f"{where}: flexiblePurposes {sorted(undeclared)}", expected="declared purposes"
        )


class Declared(Struct, frozen=True, gc=False):
    """What a decision asks of a vendor: 24-bit masks, purpose 1 leftmost."""

    consent: int
    interest: int
    flexible: int
    special_features: int
    deleted_ms: int | None = None


def declared_by(vendor: Vendor) -> Declared:
    """The masks of a vendor; nobody is flexible in purpose 1."""
    deleted = vendor.deleted_date
    return Declared(
        mask_of(vendor.purposes, 24),
        mask_of(vendor.leg_int_purposes, 24),  # none of NO_INTEREST, or ``load`` had refused it
        mask_of(vendor.flexible_purposes, 24) & ~mask_of((1,), 24),
        mask_of(vendor.special_features, 12),
        None if deleted is None else round(deleted.timestamp() * 1000),
    )


class VendorLists:
    """The versions at hand, by number; bounded: the oldest goes first."""

    def __init__(self, lists: Iterable[VendorList] = ()) -> None:
        self._lists: dict[int, VendorList] = {}
        self._declared: dict[tuple[int, int], Declared | None] = {}
        self.edition = 0
        """Grows with every list; what was read with an earlier one may be read otherwise now."""
        for one in lists:
            self.add(one)

    def add(self, given: VendorList) -> None:
        """Keep a version, in place of one of the same number."""
        self._declared.clear()
        self.edition += 1
        self._lists[given.vendor_list_version] = given
        while len(self._lists) > VERSIONS_MAX:
            del self._lists[min(self._lists)]

    def version(self, number: int) -> VendorList | None:
        """The version that a string names."""
        return self._lists.get(number)

    def declared(self, number: int, vendor_id: int) -> Declared | None:
        """The masks of a vendor in a version at hand; None where the list has no such vendor."""
        key = number, vendor_id
        if key not in self._declared:
            if len(self._declared) >= DECLARED_MAX:
                self._declared.clear()
            vendor = self._lists[number].vendor(vendor_id)
            self._declared[key] = None if vendor is None else declared_by(vendor)
        return self._declared[key]

    def __contains__(self, number: object) -> bool:
        return number in self._lists

    def numbers(self) -> list[int]:
        """The versions at hand, in order."""
        return sorted(self._lists)
