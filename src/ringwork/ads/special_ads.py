"""Campaigns for housing, employment and credit: declared, suspected, decided on, and held back.

The part knows no law: what is forbidden, what stands in its place and which ad seems to be of which
category comes from a ``kernel.screening.Screen``. Decided here is what follows from it. Whoever
declares certifies a text. A targeting that is given with a declaration is refused where it is
forbidden; one that was there before is paused, with the reason and a lawful replacement, and
nothing is shown by it meanwhile. What nobody declared and an ad seems to be is held for a person.

Every function gives the campaign as it is from then on, and the events that say why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.lifecycle import Actor
from ringwork.ads.model import (
    CLEARED_MAX,
    INTEREST_PREFIX,
    Campaign,
    Certified,
    Creative,
    PausedTargeting,
    Suspected,
    Targeting,
)
from ringwork.ads.special_events import (
    CampaignHeld,
    SpecialCategoriesDeclared,
    SpecialReviewDecided,
    TargetingPaused,
)
from ringwork.kernel.errors import Conflict, Fault
from ringwork.kernel.events import Event
from ringwork.kernel.screening import (
    AdContent,
    Checked,
    Screen,
    SpecialAdCategory,
    forbidden,
)

SpecialDecision = Literal["confirm", "clear"]
"""That it is of the category, and that it is not."""

CERTIFY: Final = (
    "a campaign for housing, employment or credit needs its advertiser's certification: expected "
    "the version of the text, {expected}, got {got!r}"
)


class Screened(Struct, frozen=True):
    """A campaign as it is from now on, and why."""

    campaign: Campaign
    events: tuple[Event, ...] = ()


class SpecialAds:
    """Decides, on the catalogue; records nothing itself.

    Without a screen nothing is forbidden or suspected, and a declaration still takes a
    certification and keeps people out of the score.
    """

    def __init__(self, catalogue: Catalogue, screen: Screen | None) -> None:
        self._catalogue = catalogue
        self._screen = screen

    def created(
        self, wanted: Campaign, certified_text: str, *, actor: Actor, now_us: int
    ) -> Screened:
        """A new campaign. Raises Conflict: forbidden-targeting, rule-violated."""
        if not wanted.is_special:
            return Screened(wanted)
        screened = self._certified(wanted, wanted, certified_text, actor, now_us)
        self._refuse_forbidden(screened)
        return Screened(screened, (_declared(screened, certified_text, actor),))

    def changed(
        self,
        existing: Campaign,
        wanted: Campaign,
        certified_text: str | UnsetType,
        *,
        actor: Actor,
        now_us: int,
    ) -> Screened:
        """A changed one; ``certified_text`` is UNSET where the change certifies nothing."""
        text = "" if certified_text is UNSET else str(certified_text)
        was, now = set(existing.special_ad_categories), set(wanted.special_ad_categories)
        if was == now and certified_text is UNSET and existing.targeting == wanted.targeting:
            return Screened(wanted)
        taken = set(wanted.screening.decided) - now
        if taken:
            detail = f"a reviewer found it to be for {', '.join(sorted(taken))}: that stays"
            raise _violated(Fault("/special_ad_categories", detail))
        if not now:
            return self._undeclared(wanted, was_declared=bool(was), actor=actor)
        screened = self._certified(existing, wanted, text, actor, now_us)
        if existing.targeting != wanted.targeting:
            self._refuse_forbidden(screened)
        said = (_declared(screened, text, actor),) if was != now or text else ()
        paused = self._paused(_resolved(screened))
        return Screened(paused.campaign, (*said, *paused.events))

    def _undeclared(self, wanted: Campaign, *, was_declared: bool, actor: Actor) -> Screened:
        """One that names no category: its ads are looked at again where it did before."""
        if wanted.screening.needs_review is not None:
            return self._paused(wanted)
        if not was_declared:
            return Screened(wanted)
        screening = replace(wanted.screening, certification=None, paused=(), proposal=None)
        free = replace(wanted, screening=screening)
        told = Screened(free, (_declared(free, "", actor),))
        return self._held(told, self._first_suspected(free))

    def shown(self, campaign: Campaign, creative: Creative) -> Screened | None:
        """Hold a campaign whose new or changed ad seems to be of an undeclared category."""
        if campaign.screening.needs_review is not None:
            return None
        suspected = self._suspected(campaign, creative)
        return None if suspected is None else self._held(Screened(campaign), suspected)

    def looked_at(self, campaign: Campaign) -> Screened | None:
        """The same for all ads that it has: after the rules or the model became others."""
        if campaign.screening.needs_review is not None:
            return None
        suspected = self._first_suspected(campaign)
        if suspected is not None:
            return self._held(Screened(campaign), suspected)
        paused = self._paused(campaign) if campaign.is_special else Screened(campaign)
        return paused if paused.campaign != campaign else None

    def decided(
        self,
        campaign: Campaign,
        decision: SpecialDecision,
        categories: Sequence[SpecialAdCategory],
        reason: str,
        *,
        actor: Actor,
    ) -> Screened:
        """What a person decided on a campaign that is held. Conflict where nothing is held."""
        pending = campaign.screening.needs_review
        if pending is None:
            text = f"campaign {campaign.id!r} is not held: there is nothing to decide"
            raise Conflict("status-refused", text)
        screening = replace(campaign.screening, needs_review=None)
        if decision == "confirm":
            found = list(categories) or [one.category for one in pending.suspicions]
            special = dict.fromkeys((*campaign.special_ad_categories, *found))
            decided = tuple(dict.fromkeys((*screening.decided, *found)))
            after = replace(
                campaign,
                special_ad_categories=list(special),
                screening=replace(screening, decided=decided),
            )
        else:
            found = []
            cleared = (*screening.cleared, pending.text_hash)[-CLEARED_MAX:]
            after = replace(campaign, screening=replace(screening, cleared=cleared))
            if not after.is_special:
                freed = replace(after.screening, paused=(), proposal=None)
                after = replace(after, screening=freed)
        told = SpecialReviewDecided(
            campaign.id, pending.creative_id, decision, list(found), reason, actor.id
        )
        paused = self._paused(after) if after.is_special else Screened(after)
        screened = Screened(paused.campaign, (told, *paused.events))
        return self._held(screened, self._first_suspected(paused.campaign))

    # ---- what the screen says -------------------------------------------------------------------

    def _certified(
        self, before: Campaign, wanted: Campaign, text: str, actor: Actor, now_us: int
    ) -> Campaign:
        """With its certification: needed wherever a category is declared that was not before."""
        expected = "any" if self._screen is None else repr(self._screen.certification)
        is_new = before is wanted or set(wanted.special_ad_categories) - set(
            before.special_ad_categories
        )
        if not text and not is_new:
            return wanted
        if not text or (self._screen is not None and text != self._screen.certification):
            raise _violated(Fault("/certified_text", CERTIFY.format(expected=expected, got=text)))
        signed = Certified(by=actor.id, at_us=now_us, text=text)
        return replace(wanted, screening=replace(wanted.screening, certification=signed))

    def _checked(self, targeting: Targeting) -> Checked:
        if self._screen is None:
            return Checked()
        return self._screen.check(
            msgspec.to_builtins(targeting), audience_topics=self._topics_of(targeting)
        )

    def _topics_of(self, targeting: Targeting) -> dict[str, list[str]]:
        """What the audiences that it names are about."""
        found: dict[str, list[str]] = {}
        for id in (*targeting.audiences, *targeting.excluded.audiences):
            audience = self._catalogue.audiences.get(id)
            if id.startswith(INTEREST_PREFIX):
                found[id] = [id[len(INTEREST_PREFIX) :]]
            elif audience is not None:
                topics = (topic for rule in audience.rules for topic in rule.topics)
                found[id] = list(dict.fromkeys(topics))
        return found

    def _refuse_forbidden(self, campaign: Campaign) -> None:
        violations = self._checked(campaign.targeting).violations
        if violations:
            raise forbidden(violations)

    def _paused(self, campaign: Campaign) -> Screened:
        """What of its targeting is forbidden is paused, and the nearest lawful one proposed."""
        checked = self._checked(campaign.targeting)
        paused = tuple(
            PausedTargeting(
                pointer=one.pointer, rule=one.rule, reason=one.reason, replacement=one.replacement
            )
            for one in checked.violations
        )
        proposal = msgspec.convert(dict(checked.proposal), Targeting) if paused else None
        was = campaign.screening
        screening = replace(was, paused=paused, proposal=proposal)
        events: tuple[Event, ...] = ()
        if proposal is not None and paused != was.paused:
            events = (TargetingPaused(campaign.id, list(paused), proposal),)
        return Screened(replace(campaign, screening=screening), events)

    def _suspected(self, campaign: Campaign, creative: Creative) -> Suspected | None:
        if self._screen is None:
            return None
        content = content_of(creative)
        mark = hash_of(content)
        if mark in campaign.screening.cleared:
            return None
        found = [
            one
            for one in self._screen.suspect(content)
            if one.category not in campaign.special_ad_categories
        ]
        if not found:
            return None
        return Suspected(creative_id=creative.id, text_hash=mark, suspicions=tuple(found))

    def _first_suspected(self, campaign: Campaign) -> Suspected | None:
        creatives = self._catalogue.creatives
        found = (
            self._suspected(campaign, creatives[id])
            for id in self._catalogue.creatives_of(campaign.id)
        )
        return next((one for one in found if one is not None), None)

    def _held(self, screened: Screened, suspected: Suspected | None) -> Screened:
        """Held for a person, its forbidden targeting paused at once: both may take a while."""
        if suspected is None:
            return screened
        campaign = screened.campaign
        screening = replace(campaign.screening, needs_review=suspected)
        paused = self._paused(replace(campaign, screening=screening))
        held = CampaignHeld(
            campaign.id,
            suspected.creative_id,
            suspected.text_hash,
            list(suspected.suspicions),
        )
        return Screened(paused.campaign, (*screened.events, held, *paused.events))


def _resolved(campaign: Campaign) -> Campaign:
    """What is declared now is no suspicion any more; the other ones still wait for a person."""
    pending = campaign.screening.needs_review
    if pending is None:
        return campaign
    left = tuple(
        one for one in pending.suspicions if one.category not in campaign.special_ad_categories
    )
    waits = replace(pending, suspicions=left) if left else None
    return replace(campaign, screening=replace(campaign.screening, needs_review=waits))


def _declared(campaign: Campaign, text: str, actor: Actor) -> SpecialCategoriesDeclared:
    return SpecialCategoriesDeclared(
        campaign.id, list(campaign.special_ad_categories), text, actor.id
    )


def _violated(fault: Fault) -> Conflict:
    return Conflict("rule-violated", f"{fault.pointer}: {fault.detail}", errors=[fault])


# ---- what an ad says ----------------------------------------------------------------------------

_UNSEEN: Final = re.compile(r"<(script|style)\b.{0,100000}?</\1\s{0,9}>", re.IGNORECASE | re.DOTALL)
_TOLD: Final = re.compile(r"""\b(?:alt|title|aria-label)\s{0,9}=\s{0,9}["']([^"']{1,500})["']""")
_TAG: Final = re.compile(r"<[^>]{0,5000}>")
_WORDS: Final = re.compile(r"[^\W\d_]+")


def content_of(creative: Creative) -> AdContent:
    """What an ad says, as far as it is text: pictures and films are not read.

    Nobody fetches the page that it leads to: the words of its address stand for its title.
    """
    html = _UNSEEN.sub(" ", creative.html)
    shown = (
        creative.title,
        creative.text,
        *creative.data.values(),
        " ".join(_TOLD.findall(html)),
        _TAG.sub(" ", html),
    )
    landing = urlsplit(creative.landing_url)
    address = unquote(f"{landing.hostname or ''} {landing.path} {landing.query}")
    return AdContent(
        ad_id=creative.id,
        text=" ".join(" ".join(shown).split()),
        landing_title=" ".join(_WORDS.findall(address)),
        categories=tuple(creative.categories),
    )


def hash_of(content: AdContent) -> str:
    """Of what an ad says, whoever says it: what a person looked at once need not be seen again."""
    told = msgspec.json.encode((content.text, content.landing_title, content.categories))
    return blake2b(told, digest_size=8).hexdigest()
