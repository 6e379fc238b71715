"""What a TC string permits one vendor: for each purpose the legal basis, or nothing.

This follows the TCF policies: a vendor has its default basis (the list that holds the purpose), and
another one only where it is flexible and the publisher asks for it. Prebid Server is laxer: there a
flexible vendor may use either basis without a restriction.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from ringwork.consent.bits import mask_of, numbers_of
from ringwork.consent.gvl import Declared, Vendor, VendorList, declared_by
from ringwork.consent.tcf.string import DISCLOSED_VENDORS, TcString

PURPOSES: Final = 24
_ALL: Final = (1 << PURPOSES) - 1
_NO_INTEREST: Final = 0b1011_1100_0000_0000_0000_0000
"""Purposes 1 and 3 to 6: their legitimate interest bits are read as 0."""
# Without a list at hand: consent alone, for what the person consented to.
_BY_CONSENT: Final = Declared(_ALL, 0, 0, 0xFFF)

Basis = Literal["consent", "legitimate-interest"]


class Permissions(Struct, frozen=True, gc=False):
    """What one vendor may do."""

    vendor_id: int
    by_consent: tuple[int, ...] = ()
    """Purposes."""
    by_interest: tuple[int, ...] = ()
    special_features: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    """What took something away."""

    def basis(self, purpose: int) -> Basis | None:
        """On which basis the vendor may act for a purpose."""
        if purpose in self.by_consent:
            return "consent"
        return "legitimate-interest" if purpose in self.by_interest else None

    @property
    def purposes(self) -> dict[int, Basis]:
        """Every permitted purpose with its basis."""
        found: dict[int, Basis] = dict.fromkeys(self.by_interest, "legitimate-interest")
        found.update(dict.fromkeys(self.by_consent, "consent"))
        return dict(sorted(found.items()))


def permissions(
    tc: TcString, vendor_id: int, gvl: VendorList | Vendor | Declared | None, now_ms: int
) -> Permissions:
    """What a valid string permits a vendor; ``verdict`` comes first.

    ``gvl`` is the list of the version that the string names, the vendor's entry of it, or that in
    masks. Without one, the vendor is taken to ask for consent to every purpose.
    """
    declared = _declared(gvl, vendor_id)
    if declared is None:
        return Permissions(vendor_id, notes=(f"vendor {vendor_id} not in the vendor list",))
    if declared.deleted_ms is not None and declared.deleted_ms <= now_ms:
        return Permissions(vendor_id, notes=(f"vendor {vendor_id} deleted from the list",))
    if DISCLOSED_VENDORS in tc.segments and not tc.vendors_disclosed.has(vendor_id):
        note = f"vendor {vendor_id} not in DisclosedVendors: nothing is permitted for it"
        return Permissions(vendor_id, notes=(note,))
    notes: list[str] = []
    given = interest = 0
    if tc.vendor_consents.has(vendor_id):
        given = mask_of(tc.purpose_consents, PURPOSES)
    asked = mask_of(tc.purpose_legitimate_interests, PURPOSES)
    if asked & _NO_INTEREST:
        notes.append("no legitimate interest for purposes 1 and 3-6")
    if tc.vendor_legitimate_interests.has(vendor_id):
        interest = asked & ~_NO_INTEREST
    may_consent, may_interest = declared.consent, declared.interest
    if tc.publisher_restrictions:
        may_consent, may_interest = _restricted(tc, vendor_id, declared, notes)
    return Permissions(
        vendor_id,
        numbers_of(given & may_consent, PURPOSES),
        numbers_of(interest & may_interest, PURPOSES),
        # Opted in to in general; it is of use to a vendor with a basis for anything.
        numbers_of(mask_of(tc.special_feature_optins, 12) & declared.special_features, 12)
        if given or interest
        else (),
        tuple(notes),
    )


def _declared(gvl: VendorList | Vendor | Declared | None, vendor_id: int) -> Declared | None:
    if gvl is None:
        return _BY_CONSENT
    if isinstance(gvl, Declared):
        return gvl
    vendor = gvl.vendor(vendor_id) if isinstance(gvl, VendorList) else gvl
    return None if vendor is None else declared_by(vendor)


def _restricted(
    tc: TcString, vendor_id: int, declared: Declared, notes: list[str]
) -> tuple[int, int]:
    """What may rest on consent, and what on legitimate interest, under the restrictions.

    Where several apply to one purpose, each takes away: the result is what all of them leave.
    """
    may_consent, may_interest = declared.consent, declared.interest
    flexible_consent = declared.consent | declared.interest & declared.flexible
    flexible_interest = declared.interest | declared.consent & declared.flexible
    asked_consent = asked_interest = forbidden = 0
    for one in tc.publisher_restrictions:
        if not 1 <= one.purpose_id <= PURPOSES or not one.vendors.has(vendor_id):
            continue
        bit = 1 << (PURPOSES - one.purpose_id)
        match one.restriction_type:
            case 1:
                asked_consent |= bit
            case 2:
                asked_interest |= bit
            case 0:
                forbidden |= bit
                notes.append(f"publisher forbids purpose {one.purpose_id}")
            case _:
                forbidden |= bit
                notes.append("undefined type read as not allowed")
    forbidden |= asked_consent & asked_interest
    may_consent = may_consent & ~asked_consent | flexible_consent & asked_consent
    may_interest = may_interest & ~asked_interest | flexible_interest & asked_interest
    return may_consent & ~asked_interest & ~forbidden, may_interest & ~asked_consent & ~forbidden
