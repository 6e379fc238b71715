"""What the choice page remembers: which texts were published, who saw the options in which order.

A fold of the log. The order is drawn once per person (Fisher-Yates from the entropy port), so that
no option gains by its place and nobody sees the page jump.
"""

from __future__ import annotations

from typing import ClassVar, Final, TypeVar

import msgspec

from ringwork.consent.choice.events import ChoiceShown, NoticePublished
from ringwork.consent.choice.texts import OPTIONS, Option
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.ports import Entropy

ORDERS_MAX: Final = 100_000
"""People whose order is kept, about 15 MB; the one who was shown longest ago goes first, and draws
again."""
NOTICES_MAX: Final = 100_000
"""Texts that are known to be in the log; each is a locale, a publisher's name and a price."""
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_EVEN: Final = 252
"""The largest multiple of 2 and 3 below 256: bytes from it on are drawn again, for even chances."""


class Showings:
    """The fold."""

    name: ClassVar[str] = "choice"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (NoticePublished, ChoiceShown)

    def __init__(self) -> None:
        self.orders: dict[bytes, tuple[str, ...]] = {}
        """Subject -> all options in the order in which they are shown."""
        self.notices: dict[str, int] = {}
        """Hash of a text -> the event that has it."""

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        if isinstance(event, NoticePublished):
            _keep(self.notices, event.notice, recorded.seq, NOTICES_MAX)
        elif isinstance(event, ChoiceShown) and recorded.subject is not None:
            _keep(self.orders, recorded.subject, event.order, ORDERS_MAX)

    def clear(self) -> None:
        self.orders.clear()
        self.notices.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode((self.orders, self.notices))

    def load(self, state: bytes) -> None:
        self.orders, self.notices = _decoder.decode(state)


_decoder: Final = msgspec.msgpack.Decoder(tuple[dict[bytes, tuple[str, ...]], dict[str, int]])


def _keep(kept: dict[_Key, _Value], key: _Key, value: _Value, at_most: int) -> None:
    kept.pop(key, None)
    if len(kept) >= at_most:
        del kept[next(iter(kept))]
    kept[key] = value


def draw_order(entropy: Entropy) -> tuple[Option, ...]:
    """All options in one of their six orders, each equally likely."""
    order = list(OPTIONS)
    for last in range(len(order) - 1, 0, -1):
        drawn = entropy.take(1)[0]
        while drawn >= _EVEN:
            drawn = entropy.take(1)[0]
        other = drawn % (last + 1)
        order[last], order[other] = order[other], order[last]
    return tuple(order)
