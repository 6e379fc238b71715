"""From an ask to the bid request of one bidder: where the ad would be seen, never by whom.

Everything in it comes from the ``Ask``, which holds no person: no address, no agent, no id of a
device or a user; what a publisher says of its pages in words of its own stays here too. Signals of
consent are passed on as they came (OpenRTB 2.6, 3.2.3). Floors are in the bidder's currency, as
what it has to bid so that it counts as the floor here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.ads.exchange.bidders import Bidder, ExchangeSettings
from ringwork.ads.exchange.worth import Worth
from ringwork.ads.model import ONE_QUANTITY_PPM, Ask, Context, Slot
from ringwork.ads.openrtb.price import to_cpm
from ringwork.ads.openrtb.structs import Dsa
from ringwork.ads.supply.schain import BadChain, Chain, Node, parse_text
from ringwork.kernel.ids import format_id
from ringwork.kernel.viewer import Signals

DEVICE_TYPES: Final = {"phone": 4, "computer": 2, "tablet": 5, "tv": 3}
"""AdCOM device types."""
CATEGORY_TAXONOMY: Final = 9
"""IAB Content Taxonomy 3.1."""
PROTOCOLS: Final = (2, 3, 5, 6, 7, 8, 11, 12, 13, 14)
"""AdCOM creative subtypes: VAST 2.0 to 4.2, in line and as wrappers."""
MIMES: Final = {
    "video": ("video/mp4", "video/webm"),
    "audio": ("audio/mpeg", "audio/mp4", "audio/ogg"),
}
"""What a place plays that does not say: what browsers do."""
TMAX_MIN_MS: Final = 10
"""A bidder that is left less time would only be late."""

_FIRST_PRICE: Final = 1
_SECOND_PRICE: Final = 2
_AGREED: Final = 3

Members = dict[str, object]


class PassedOn(Struct, frozen=True):
    """What regulates a request, as it came in, and is said on."""

    signals: Signals = Signals()
    dsa: Dsa | None = None
    unclear: str = ""
    """Why nobody outside may be asked: two strings say different things, or one cannot be read."""


class Outgoing(Struct, frozen=True):
    """What one bidder is asked, and what its answer is read by."""

    bidder: Bidder
    request_id: str
    slots: tuple[Slot, ...]
    """Those that it is asked for; the impression ``str(n)`` is the ask's slot number ``n``."""
    numbers: tuple[int, ...]
    context: Context
    worths: Mapping[str, Worth]
    """Currency -> what bids in it are worth; floors are in the first."""
    secure: bool
    dsa: Dsa | None
    body: bytes


_encoder: Final = msgspec.json.Encoder()


def outgoing(
    ask: Ask,
    bidder: Bidder,
    settings: ExchangeSettings,
    *,
    asi: str,
    worths: Mapping[str, Worth],
    tmax_ms: int,
    passed_on: PassedOn | None = None,
) -> Outgoing:
    """The request for a bidder that some slot suits and that has ``tmax_ms`` to answer.

    ``asi`` is the platform's domain; ``worths`` are those of the bidder (``worths_of``), not empty.
    """
    numbers = slots_for(ask, bidder)
    assert numbers, "whom nothing suits is not asked"
    passed_on = passed_on or PassedOn()
    theirs, worth = next(iter(worths.items()))
    request_id = format_id(ask.request_id)
    slots = tuple(ask.slots[number] for number in numbers)
    members: Members = {
        "id": request_id,
        "imp": [
            _impression(number, slot, ask, theirs, worth, is_secure=_is_secure(slot, settings))
            for number, slot in zip(numbers, slots, strict=True)
        ],
        **_place(ask.context),
        **_device(ask.context),
        "at": _auction_type(ask, slots),
        "tmax": tmax_ms,
        "cur": list(worths),
        **_blocks(ask.context, slots, bidder),
        "source": _source(ask, asi, request_id),
        **_regulations(passed_on),
    }
    return Outgoing(
        bidder,
        request_id,
        slots,
        numbers,
        ask.context,
        worths,
        settings.secure,
        passed_on.dsa,
        _encoder.encode(members),
    )


def slots_for(ask: Ask, bidder: Bidder) -> tuple[int, ...]:
    """The numbers of the slots that a bidder can be asked for."""
    return tuple(number for number, slot in enumerate(ask.slots) if _suits(slot, bidder))


def _suits(slot: Slot, bidder: Bidder) -> bool:
    """Whether the bidder sells the format, and the slot says what a bidder has to know.

    A banner of any size cannot be asked for: without ``instl`` a banner has a size.
    """
    if not bidder.sells(slot.format):
        return False
    return slot.format != "banner" or bool(slot.sizes or slot.ratios)


def _is_secure(slot: Slot, settings: ExchangeSettings) -> bool:
    return settings.secure or "https" in slot.needs


def _impression(
    number: int, slot: Slot, ask: Ask, currency: str, worth: Worth, *, is_secure: bool
) -> Members:
    imp: Members = {"id": str(number), slot.format: _medium(slot, worth)}
    if ask.context.placement_id:
        imp["tagid"] = ask.context.placement_id
    if slot.deal_id:
        imp["pmp"] = {"private_auction": 1, "deals": [_deal(slot, currency, worth)]}
    if slot.floor_nanos:
        imp |= {"bidfloor": to_cpm(worth.theirs(slot.floor_nanos)), "bidfloorcur": currency}
    if is_secure:
        imp["secure"] = 1
    if slot.hold_s:
        imp["exp"] = slot.hold_s
    if slot.quantity_ppm != ONE_QUANTITY_PPM:
        imp["qty"] = {"multiplier": slot.quantity_ppm / ONE_QUANTITY_PPM}
    return imp


def _deal(slot: Slot, currency: str, worth: Worth) -> Members:
    deal: Members = {"id": slot.deal_id}
    if slot.charge is not None:
        types = {"bid": _FIRST_PRICE, "clearing": _SECOND_PRICE, "agreed": _AGREED}
        deal["at"] = types[slot.charge]
    if slot.floor_nanos:
        deal |= {"bidfloor": to_cpm(worth.theirs(slot.floor_nanos)), "bidfloorcur": currency}
    if slot.allowed_domains:
        deal["wadomain"] = slot.allowed_domains
    return deal


def _medium(slot: Slot, worth: Worth) -> Members:
    medium = _banner(slot) if slot.format == "banner" else _stream(slot, worth)
    if slot.blocked_attributes:
        medium["battr"] = slot.blocked_attributes
    return medium


def _banner(slot: Slot) -> Members:
    exact: list[Members] = [{"w": width, "h": height} for width, height in slot.sizes]
    flexible: list[Members] = [
        {"wmin": least, "wratio": width, "hratio": height} for least, width, height in slot.ratios
    ]
    first: Members = dict(exact[0]) if exact else {}
    return {"format": [*exact, *flexible], **first}


def _stream(slot: Slot, worth: Worth) -> Members:
    stream: Members = {"mimes": slot.mimes or MIMES[slot.format], "protocols": PROTOCOLS}
    if slot.durations_s:
        stream["rqddurs"] = slot.durations_s
    else:
        stream["minduration"] = slot.min_duration_s
        if slot.max_duration_s is not None:
            stream["maxduration"] = slot.max_duration_s
    if slot.format == "video":
        stream["linearity"] = 1
        if slot.sizes:
            stream |= {"w": slot.sizes[0][0], "h": slot.sizes[0][1]}
    if slot.nanos_per_second:
        stream["mincpmpersec"] = to_cpm(worth.theirs(slot.nanos_per_second))
    elif slot.duration_floors:
        stream["durfloors"] = [
            {
                "mindur": one.min_s,
                **({} if one.max_s is None else {"maxdur": one.max_s}),
                "bidfloor": to_cpm(worth.theirs(one.floor_nanos)),
            }
            for one in slot.duration_floors
        ]
    return stream


def _place(context: Context) -> Members:
    place: Members = {"cattax": CATEGORY_TAXONOMY}
    if context.categories:
        place["cat"] = context.categories
    if context.publisher_id:
        place["publisher"] = {"id": context.publisher_id}
    if context.app:
        return {"app": {"bundle": context.app, **place}}
    return {"site": {"domain": context.site, **place}}


def _device(context: Context) -> Members:
    device: Members = {}
    kind = DEVICE_TYPES.get(context.device_type)
    if kind is not None:
        device["devicetype"] = kind
    country, _, subdivision = context.region.partition("-")
    if country:
        device["geo"] = {"country": country, **({"region": subdivision} if subdivision else {})}
    return {"device": device} if device else {}


def _auction_type(ask: Ask, slots: Sequence[Slot]) -> int:
    """First price where any slot is: who expects to pay less than its bid must not pay it all."""
    if ask.charge_bid or any(slot.rule == "first" for slot in slots):
        return _FIRST_PRICE
    return _SECOND_PRICE


def _blocks(context: Context, slots: Sequence[Slot], bidder: Bidder) -> Members:
    blocks: Members = {}
    domains = dict.fromkeys((*context.blocked_domains, *bidder.blocked_domains))
    if domains:
        blocks["badv"] = list(domains)
    apps = dict.fromkeys(one for slot in slots for one in slot.blocked_apps)
    if apps:
        blocks["bapp"] = list(apps)
    allowed = slots[0].allowed_categories
    categories = dict.fromkeys((*context.blocked_categories, *bidder.blocked_categories))
    # A request has one of the two lists (OpenRTB 2.6, 3.2.1); the answer is held to both.
    if allowed and all(slot.allowed_categories == allowed for slot in slots):
        blocks |= {"acat": allowed, "cattax": CATEGORY_TAXONOMY}
    elif categories:
        blocks |= {"bcat": list(categories), "cattax": CATEGORY_TAXONOMY}
    languages = slots[0].languages
    if languages and all(slot.languages == languages for slot in slots):
        blocks["wlangb"] = languages
    if bidder.seat:
        blocks["wseat"] = [bidder.seat]
    return blocks


def _source(ask: Ask, asi: str, request_id: str) -> Members:
    """The chain with us at its end; the final decision is ours where a publisher's page asks."""
    node = Node(asi, ask.context.publisher_id, 1, request_id)
    return {"fd": int(ask.source == "openrtb"), "schain": chain_of(ask).extended(node)}


def chain_of(ask: Ask) -> Chain:
    """How the ask came to us: straight from its publisher, or as its chain says.

    An exchange's ask without a readable chain has one that is not complete.
    """
    if ask.supply_chain:
        try:
            return parse_text(ask.supply_chain)
        except BadChain:
            return Chain(complete=0, nodes=())
    return Chain(complete=int(ask.source == "native"), nodes=())


def _regulations(passed_on: PassedOn) -> Members:
    signals = passed_on.signals
    regs: Members = {}
    for name, value in (("coppa", signals.coppa), ("gdpr", signals.gdpr)):
        if value is not None:
            regs[name] = value
    for name, text in (("us_privacy", signals.us_privacy), ("gpp", signals.gpp)):
        if text:
            regs[name] = text
    if signals.gpp_sid:
        regs["gpp_sid"] = signals.gpp_sid
    extensions: Members = {}
    if signals.gpc:
        extensions["gpc"] = "1"
    if passed_on.dsa is not None:
        extensions["dsa"] = _dsa(passed_on.dsa)
    if extensions:
        regs["ext"] = extensions
    members: Members = {"regs": regs} if regs else {}
    if signals.tc:
        members["user"] = {"consent": signals.tc}
    return members


def _dsa(dsa: Dsa) -> Members:
    names = ("dsarequired", "pubrender", "datatopub", "transparency")
    given = {name: getattr(dsa, name) for name in names}
    return {name: value for name, value in given.items() if value is not None}
