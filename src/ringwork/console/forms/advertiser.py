"""The form of an advertiser."""

from __future__ import annotations

from ringwork.console.forms import texts
from ringwork.console.forms.campaign import ID
from ringwork.console.forms.members import Group, Member


def advertiser_groups(*, is_new: bool) -> tuple[Group, ...]:
    """The members, of a new advertiser or those that can be changed of one that exists."""
    named = (
        Member(
            pointer="/name", label="Name", size=40, is_needed=True, expected="1 to 200 characters",
            hint="Who pays; as people read it beside its ads.",
        ),
        Member(
            pointer="/domain", label="Domain", size=40, is_needed=True,
            expected="a domain in lower case", hint="Its own, as harbourpaints.example: publishers "
            "block and separate advertisers by it.",
        ),
    )  # fmt: skip
    if not is_new:
        return (Group(title="Who it is", members=named),)
    own = (
        Member(
            pointer="/id", label="Id", size=24, is_needed=True, expected=ID,
            hint=f"As in harbour: {ID}. It stays.",
        ),
        Member(
            pointer="/contact", label="Contact", codec=texts.URL, size=40, empty="null",
            expected="1 to 320 characters",
            hint="A person to write to: sealed as soon as it is sent, and never shown again.",
        ),
    )  # fmt: skip
    return (Group(title="Who it is", members=(*named, *own)),)
