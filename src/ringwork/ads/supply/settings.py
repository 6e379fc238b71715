"""What an operator says about the platform as a seller."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ringwork.ads.model import Domain
from ringwork.ads.supply.ads_txt import Record


class SupplySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Empty texts are left out of what is published."""

    domain: Domain | None = None
    """The platform's own domain: the advertising system in ads.txt, sellers.json and supply chains
    (``asi``). None: the host of the public URL."""
    contact_email: Annotated[str, Meta(max_length=254)] = ""
    """Whom to ask about sellers.json."""
    contact_address: Annotated[str, Meta(max_length=500)] = ""
    """Where to write about it."""
    certification: Annotated[str, Meta(pattern=r"^[^\s,;#]{0,128}$")] = ""
    """The platform's id at a certification authority (TAG-ID)."""
    records: Annotated[list[Record], Meta(max_length=5000)] = []
    """Further systems that may sell the publishers' places, for their ads.txt files."""
