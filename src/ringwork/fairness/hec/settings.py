"""What an operator may set about ads for housing, employment and credit."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field


class SpecialAdSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which laws special ads are held to."""

    rules: Annotated[
        list[Literal["united-states", "canada"]],
        Meta(
            max_length=2,
            description="Rules of housing, employment and credit ads; each holds where an ad may "
            "show. Empty: nothing is forbidden and no ad is held.",
        ),
    ] = field(default_factory=lambda: ["united-states", "canada"])
