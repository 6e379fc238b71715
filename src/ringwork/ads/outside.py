"""How the ads of outside bidders are named among our own: ``x:<bidder>:<bid id>``.

They are in no catalogue. Their campaign is ``x:<bidder>``, and what they cost stands on
``bidder/<bidder>``, an account without a limit that is invoiced afterwards. No id that a client
gives may begin so.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "x:"
"""How the ids of outside ads and of their campaigns begin."""
BIDDER_PREFIX: Final = "bidder/"


def is_external(id: str) -> bool:
    """Whether an ad or a campaign of that id came from outside."""
    return id.startswith(PREFIX)


def bidder_of(id: str) -> str:
    """The bidder that an outside ad or campaign came from.

    >>> bidder_of("x:north-dsp:b1"), bidder_of("x:north-dsp")
    ('north-dsp', 'north-dsp')
    """
    assert is_external(id), id
    return id.split(":", 2)[1]
