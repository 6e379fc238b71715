"""What an operator may set about the choice page; every default works."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class ChoiceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a registered consent management platform adds: TC and GPP strings."""

    cmp_id: Annotated[
        int, Meta(ge=0, le=4095, description="Your id from the CMP list; 0: no TC string is made.")
    ] = 0
    cmp_version: Annotated[int, Meta(ge=1, le=4095, description="Your CMP's version.")] = 1
    vendor_id: Annotated[
        int, Meta(ge=0, le=65_535, description="Your id in the Global Vendor List; 0: none.")
    ] = 0
    vendor_list_version: Annotated[
        int, Meta(ge=0, le=4095, description="The vendor list that TC strings refer to; 0: none.")
    ] = 0
    publisher_country: Annotated[
        str, Meta(pattern="^[A-Z]{2}$", description="Whose law TC strings name; AA: not known.")
    ] = "AA"

    @property
    def writes_strings(self) -> bool:
        """Whether TC strings can be made: all that they have to name is known."""
        return bool(self.cmp_id > 1 and self.vendor_list_version and self.vendor_id)
