"""What keeps a bid out of a slot, each with the loss code of OpenRTB 3.0 for its bidder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from math import ceil
from typing import Final
from xml.dom.minidom import Element

from msgspec import Struct

from ringwork.ads.creatives.vast import NotReadable, children, read, seconds_of, text_of
from ringwork.ads.exchange.bidders import lies_in
from ringwork.ads.exchange.outbound import CATEGORY_TAXONOMY, PROTOCOLS, Outgoing
from ringwork.ads.exchange.replies import ReplyBid
from ringwork.ads.model import HTML_MAX_CHARS, VAST_MAX_CHARS, Slot
from ringwork.ads.openrtb import dsa
from ringwork.ads.openrtb.answer import MTYPES

INTERNAL: Final = 1
INVALID: Final = 3
DEAL: Final = 4
AUCTION: Final = 5
ADVERTISER_DOMAIN: Final = 6
NO_MARKUP: Final = 7
NO_CREATIVE_ID: Final = 8
PRICE: Final = 9
FLOOR: Final = 100
DEAL_FLOOR: Final = 101
OUTBID: Final = 102
DEAL_WON: Final = 103
SEAT: Final = 104
CREATIVE: Final = 200
SIZE: Final = 203
FORMAT: Final = 204
ADVERTISER: Final = 205
NOT_SECURE: Final = 207
LANGUAGE: Final = 208
CATEGORY: Final = 209
ATTRIBUTE: Final = 210
AD_TYPE: Final = 211
APP: Final = 215

SIDE_MAX: Final = 10_000
"""Pixels; as of a creative of ours."""
DURATION_MAX_S: Final = 3600

_DOMAIN: Final = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")
_NAMESPACE: Final = re.compile(
    r"""(?:xmlns(?::\w+)?|[\w:]*schemaLocation)\s*=\s*(?:"[^"]*"|'[^']*')|<!DOCTYPE[^>]*>""", re.I
)
"""Names that look like URLs; nothing fetches them."""
_NOT_SECURE: Final = re.compile(r"http:(?:\\?/){2}", re.I)
_VAST: Final = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<VAST[\s>/]", re.S)


class Refusal(Struct, frozen=True):
    """A rule that a bid breaks."""

    reason: int
    detail: str


class Shown(Struct, frozen=True):
    """What a bid's markup would take up."""

    width: int = 0
    height: int = 0
    duration_s: int = 0


def first_refusal(bid: ReplyBid, slot: Slot, asked: Outgoing) -> Refusal | None:
    """The first rule that the bid breaks, of those that need no look at its price or markup."""
    for rule in _RULES:
        refusal = rule(bid, slot, asked)
        if refusal is not None:
            return refusal
    return None


def domain_of(bid: ReplyBid) -> str:
    """The advertiser's domain: of several the first, with which the ad is labelled."""
    return (bid.adomain or [""])[0].lower().removeprefix("www.")


def categories_of(bid: ReplyBid) -> tuple[str, ...]:
    """Its categories, where they are of the taxonomy that is used here."""
    is_ours = bid.cattax == CATEGORY_TAXONOMY
    return tuple(dict.fromkeys(bid.cat or ())) if is_ours else ()


# ---- one rule each ------------------------------------------------------------------------------


def _deal(bid: ReplyBid, slot: Slot, asked: Outgoing) -> Refusal | None:
    if (bid.dealid or "") == slot.deal_id:
        return None
    return Refusal(DEAL, f"dealid is {str(bid.dealid)[:64]!r}, the slot's is {slot.deal_id!r}")


def _advertiser(bid: ReplyBid, slot: Slot, asked: Outgoing) -> Refusal | None:
    named = [one.lower().removeprefix("www.") for one in bid.adomain or ()]
    if not named or not all(_DOMAIN.fullmatch(one) for one in named):
        return Refusal(ADVERTISER_DOMAIN, "adomain must name the advertiser's domain")
    for one in named:
        if lies_in(one, (*asked.context.blocked_domains, *asked.bidder.blocked_domains)):
            return Refusal(ADVERTISER, f"{one} is blocked")
        for allowed in (slot.allowed_domains, asked.bidder.allowed_domains):
            if allowed and not lies_in(one, allowed):
                return Refusal(ADVERTISER, f"{one} is not among those that are allowed")
    return None


def _creative(bid: ReplyBid, slot: Slot, asked: Outgoing) -> Refusal | None:
    if not bid.crid:
        return Refusal(NO_CREATIVE_ID, "crid is required")
    if not bid.adm:
        return Refusal(NO_MARKUP, "adm is required: markup is not fetched by the win notice")
    most = HTML_MAX_CHARS if slot.format == "banner" else VAST_MAX_CHARS
    if len(bid.adm) > most:
        return Refusal(CREATIVE, f"adm has {len(bid.adm)} characters, at most {most} are taken")
    return None


def _medium(bid: ReplyBid, slot: Slot, asked: Outgoing) -> Refusal | None:
    if bid.mtype is not None and bid.mtype != MTYPES[slot.format]:
        return Refusal(FORMAT, f"mtype {bid.mtype} is not that of {slot.format}")
    is_vast = _VAST.match(bid.adm or "") is not None
    if is_vast != (slot.format != "banner"):
        return Refusal(FORMAT, f"adm is {'' if is_vast else 'not '}VAST in a slot of {slot.format}")
    if is_vast and bid.protocol and bid.protocol not in PROTOCOLS:
        return Refusal(FORMAT, f"protocol {bid.protocol} was not among those asked for")
    return None


def _attributes(bid: ReplyBid, slot: Slot, asked: Outgoing) -> Refusal | None:
    blocked = sorted(set(bid.attr or ()) & set(slot.blocked_attributes))
    return Refusal(ATTRIBUTE, f"attributes {blocked} are blocked") if blocked else None


def _categories(bid: ReplyBid, slot: Slot, asked: Outgoing) -> Refusal | None:
    named = categories_of(bid)
    for allowed in (slot.allowed_categories, asked.bidder.allowed_categories):
        if allowed and not (named and set(named) <= set(allowed)):
            return Refusal(CATEGORY, "its categories are not all among those that are allowed")
    blocked = {*asked.context.blocked_categories, *asked.bidder.blocked_categories}
    found = sorted(blocked.intersection(named))
    if found:
        return Refusal(CATEGORY, f"categories {found[:5]} are blocked")
    if blocked and not named and asked.bidder.unlabelled == "refuse":
        detail = f"categories are blocked, and it names none of taxonomy {CATEGORY_TAXONOMY}"
        return Refusal(CATEGORY, detail)
    return None


def _language(bid: ReplyBid, slot: Slot, asked: Outgoing) -> Refusal | None:
    if not slot.languages:
        return None
    spoken = (bid.langb or bid.language or "").lower()
    # Basic filtering: a range is the tag or a prefix of its subtags (RFC 4647, 3.3.1).
    if any(spoken == one or spoken.startswith(f"{one}-") for one in slot.languages):
        return None
    return Refusal(LANGUAGE, f"language {spoken[:35]!r} is not among {slot.languages}")


def _app(bid: ReplyBid, slot: Slot, asked: Outgoing) -> Refusal | None:
    if bid.bundle and bid.bundle in slot.blocked_apps:
        return Refusal(APP, f"the app {bid.bundle[:64]!r} is blocked")
    return None


def _secure(bid: ReplyBid, slot: Slot, asked: Outgoing) -> Refusal | None:
    if not (asked.secure or "https" in slot.needs):
        return None
    found = _NOT_SECURE.search(_NAMESPACE.sub("", bid.adm or ""))
    return None if found is None else Refusal(NOT_SECURE, "adm names a URL without TLS")


def _statement(bid: ReplyBid, slot: Slot, asked: Outgoing) -> Refusal | None:
    given = None if bid.ext is None else bid.ext.dsa
    is_required = dsa.is_required(asked.dsa) or "statement" in slot.needs
    if given is None:
        return Refusal(CREATIVE, "a statement of the DSA is required") if is_required else None
    if is_required and not (given.behalf and given.paid):
        return Refusal(CREATIVE, "the statement of the DSA must name behalf and paid")
    stated = dsa.BidDsa(
        behalf=given.behalf or "",
        paid=given.paid or "",
        transparency=given.transparency or [],
        adrender=given.adrender or 0,
    )
    problem = dsa.refusal(asked.dsa, stated)
    return Refusal(CREATIVE, f"DSA: {problem}") if problem else None


_RULES: Final[tuple[Callable[[ReplyBid, Slot, Outgoing], Refusal | None], ...]] = (
    _deal,
    _advertiser,
    _creative,
    _medium,
    _attributes,
    _categories,
    _language,
    _app,
    _secure,
    _statement,
)


# ---- what the markup takes up -------------------------------------------------------------------


def shown(bid: ReplyBid, slot: Slot, markup: str) -> Shown | Refusal:
    """The size or the length of the ad, where it fits the slot."""
    if slot.format == "banner":
        return _sized(bid, slot)
    try:
        document = read(markup)
    except NotReadable as problem:
        return Refusal(FORMAT, f"adm: {problem}")
    in_line = children(document, "VAST", "Ad", "InLine")
    if len(in_line) + len(children(document, "VAST", "Ad", "Wrapper")) != 1:
        return Refusal(FORMAT, "adm must have one Ad, in line or as a wrapper")
    return _timed(bid, slot, in_line)


def _sized(bid: ReplyBid, slot: Slot) -> Shown | Refusal:
    width, height = bid.w or 0, bid.h or 0
    if not width and not height and len(slot.sizes) == 1 and not slot.ratios:
        width, height = slot.sizes[0]
    fits = (width, height) in slot.sizes or any(
        least <= width <= SIDE_MAX and width * tall == height * wide
        for least, wide, tall in slot.ratios
    )
    if not (fits and height > 0):
        return Refusal(SIZE, f"{width} x {height} is no size that was asked for")
    return Shown(width, height)


def _timed(bid: ReplyBid, slot: Slot, in_line: list[Element]) -> Shown | Refusal:
    """Its length in begun seconds: as the document says, else as the bid does."""
    durations = (
        children(in_line[0], "Creatives", "Creative", "Linear", "Duration") if in_line else ()
    )
    seconds = [seconds_of(text_of(one)) for one in durations]
    duration_s = bid.dur or 0
    if seconds:
        if len(seconds) > 1 or not seconds[0]:
            return Refusal(FORMAT, "adm must have one Linear of a positive duration")
        duration_s = ceil(seconds[0])
    problem = _length_problem(duration_s, slot)
    if problem:
        return Refusal(FORMAT, problem)
    if in_line:
        files = children(in_line[0], "Creatives", "Creative", "Linear", "MediaFiles", "MediaFile")
        refusal = _media(files, slot)
        if refusal is not None:
            return refusal
    return Shown(*_player(bid, slot), duration_s)


def _length_problem(duration_s: int, slot: Slot) -> str:
    matters = slot.durations_s or slot.max_duration_s is not None or slot.min_duration_s
    if not duration_s:
        priced = slot.nanos_per_second or slot.duration_floors
        return "neither the bid nor its markup says how long it is" if matters or priced else ""
    if not 0 < duration_s <= DURATION_MAX_S:
        return f"a duration of {duration_s} s is none"
    if slot.durations_s and duration_s not in slot.durations_s:
        return f"{duration_s} s is none of {slot.durations_s}"
    longest_s = slot.max_duration_s
    if duration_s < slot.min_duration_s or (longest_s is not None and duration_s > longest_s):
        return f"{duration_s} s is not within {slot.min_duration_s} to {longest_s}"
    return ""


def _media(files: Iterable[Element], slot: Slot) -> Refusal | None:
    files = list(files)
    if any(one.getAttribute("apiFramework").upper() == "VPAID" for one in files):
        return Refusal(AD_TYPE, "VPAID runs scripts in the player's page")
    types = {one.getAttribute("type").lower() for one in files}
    accepted = {one.lower() for one in slot.mimes}
    if not types or (accepted and not types & accepted):
        return Refusal(FORMAT, f"media of {sorted(types)[:5]}, accepted are {sorted(accepted)}")
    return None


def _player(bid: ReplyBid, slot: Slot) -> tuple[int, int]:
    """The size to show it at: the place's, else what the bid says."""
    if slot.sizes:
        return slot.sizes[0]
    return (
        min(max(bid.w or 0, 0), SIDE_MAX),
        min(max(bid.h or 0, 0), SIDE_MAX),
    )
