"""What an operator may set about consent; every default works."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

_DAY_US: Final = 86_400_000_000
LASTS_DAYS: Final = 395
LASTS_US: Final = LASTS_DAYS * _DAY_US
"""Thirteen months, as TCF strings and most authorities have it."""


class ConsentSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Durations of the consent ledger, and the key of grants."""

    ask_again_days: Annotated[
        int,
        Meta(ge=1, le=3650, description="Days after a refusal until the purpose is asked again."),
    ] = 365
    lasts_days: Annotated[
        int, Meta(ge=1, le=3650, description="Days until a consent has to be given anew.")
    ] = LASTS_DAYS
    grant_key_file: Annotated[
        str,
        Meta(description="File with 32 or more secret bytes that sign grants; empty: random."),
    ] = ""

    gdpr_applies_by_default: Annotated[
        bool,
        Meta(description="The GDPR applies where neither a request nor its country says."),
    ] = True
    vendor_lists: Annotated[
        str,
        Meta(description="Folder of Global Vendor Lists, version 3 (*.json); empty: none."),
    ] = ""

    gpc_since: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            description="Day since which Sec-GPC is honoured, for /.well-known/gpc.json.",
        ),
    ] = "2026-11-27"

    @property
    def lock_us(self) -> int:
        """The re-ask lock in microseconds."""
        return self.ask_again_days * _DAY_US

    @property
    def lasts_us(self) -> int:
        """How long a consent lasts, in microseconds."""
        return self.lasts_days * _DAY_US
