"""What is told of a person to the enclave: plain here, sealed as soon as it is taken."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Text = Annotated[str, Meta(max_length=200)]


class Description(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What the groups of one person are told or estimated from; all of it may be missing."""

    surname: Text = ""
    first_name: Text = ""
    zip: Annotated[str, Meta(max_length=10)] = ""
    tract: Annotated[str, Meta(max_length=11)] = ""
    sex: Annotated[str, Meta(max_length=32)] = ""
    """As declared: a group of the plan; any other is unknown."""
    age: Annotated[str, Meta(max_length=32)] = ""
    """Age bracket: a group of the plan; any other is unknown."""
    region: Annotated[str, Meta(max_length=16)] = ""
    """Where the person lives, as in ad requests: ISO 3166, "USA-TX"."""

    def __repr__(self) -> str:
        return "Description()"
