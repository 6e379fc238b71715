"""The ad part at work: shortlist, rank and clear the slots of a request.

Every method decides on memory and records through the command it is given; nothing here waits, so
that a decision and its events are one. A sale paid per impression, viewable impression or view
reserves its price as a pending ledger transfer with the impression's id; what became of it is
``billing``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ringwork.ads import steering
from ringwork.ads.auction import Placed, Ranked, place, sell_as
from ringwork.ads.budgets import CAMPAIGN_PREFIX, PUBLISHER_PREFIX, Budgets
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.events import SlotOutcome
from ringwork.ads.exploration import explored
from ringwork.ads.index import Contender, Index, Shortlist
from ringwork.ads.model import (
    Ask,
    Campaign,
    Pricing,
    Sale,
    Served,
    Slot,
)
from ringwork.ads.outside import BIDDER_PREFIX, bidder_of, is_external
from ringwork.ads.pacing.desk import PacingDesk
from ringwork.ads.pacing.plans import PacingMemory
from ringwork.ads.page import Page
from ringwork.ads.priorities import Turns, draw_ppm
from ringwork.ads.rank.snapshot import Snapshot
from ringwork.ads.sales import Terms, outcome_of, served_of, terms_of
from ringwork.ads.settings import AdsSettings
from ringwork.ads.tokens import Claim, Kind, Tokens
from ringwork.ads.visits import Visits
from ringwork.ads.why import used_of
from ringwork.kernel.ids import IdGenerator, format_id
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import CREATED, Ledger, TransferCreated
from ringwork.kernel.money import MAX_NANOS
from ringwork.kernel.ports import Entropy
from ringwork.kernel.steering import Steer, Steered

HELD: Final[frozenset[Pricing]] = frozenset({"cpm", "vcpm", "cpv"})
"""Pricings whose event follows the sale at once, so that its price is set aside meanwhile."""


class _Request(Struct, gc=False):
    """One request while it is decided."""

    command: Command
    ask: Ask
    page: Page
    auction_id: bytes


class Ads:
    """Sells. Its memory is the folds it is given, kept in step by the journal."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        budgets: Budgets,
        ledger: Ledger,
        tokens: Tokens,
        ids: IdGenerator,
        entropy: Entropy,
        settings: AdsSettings,
        pacing: PacingMemory,
    ) -> None:
        self.steered_by: Steer | None = None
        """The part that moves scores before they are priced; set where one is composed."""
        self.settings = settings
        self.currency = settings.currency
        self.index = Index(catalogue, budgets, p_ppb=settings.p_ppb)
        self._catalogue = catalogue
        self._visits = Visits(window_s=settings.visit_window_s)
        self._budgets = budgets
        self._ledger = ledger
        self._tokens = tokens
        self._ids = ids
        self._entropy = entropy
        self.pacing = PacingDesk(
            budgets,
            live=lambda: iter(list(self.index.running())),
            plans=pacing.plans,
            set_pace=self.index.set_pace,
            forecast=pacing.traffic.forecast,
        )

    def use_model(self, snapshot: Snapshot) -> None:
        """Score responses by another version of the model, from the next merge of the index on."""
        self.index.use_model(snapshot)

    def warm_up(self, now_s: int) -> None:
        """Load the live ads and what is compiled, so that no request waits for it."""
        self.index.follow(now_s * 1_000_000)
        self.index.warm_up()

    def begin(self, ask: Ask, auction_id: bytes, *, now_s: int) -> Page:
        """What holds for all slots of a request: whose turn it is, whom its visit saw enough."""
        index = self.index
        page = Page(Turns(auction_id, index.pace_ppm))
        if index.model_version and self.settings.explore_ppm:
            page.explores = draw_ppm(auction_id, "explore") < self.settings.explore_ppm
        if ask.visit:
            capped = self._visits.capped(ask.visit, now_s, self.index.capped_campaigns)
            for campaign_id in capped:
                page.bar(campaign_id, "frequency")
        else:
            page.knows_viewer = False
        return page

    def candidates(self, ask: Ask, slot: Slot, page: Page, *, now_s: int) -> Shortlist:
        """The ads that may compete for ``slot``; an unregistered publisher can sell nothing."""
        context, index, now_us = ask.context, self.index, now_s * 1_000_000
        if context.publisher_id not in self._catalogue.publishers:
            return index.nobody(reason="publisher")
        while True:
            shortlist = index.shortlist(
                context, slot, now_us=now_us, page=page, is_long=self.steered_by is not None
            )
            if not index.has_turns and not index.has_roadblocks:
                return shortlist
            campaigns = [one.campaign for one in shortlist.contenders.values()]
            barred = page.turns.out_of_turn(campaigns)
            if not barred:
                barred = self._broken_roadblocks(ask, slot, page, campaigns, now_us)
            if not barred:
                return shortlist
            for campaign_id, reason in barred.items():
                page.bar(campaign_id, reason)

    def _broken_roadblocks(
        self, ask: Ask, slot: Slot, page: Page, campaigns: Sequence[Campaign], now_us: int
    ) -> dict[str, str]:
        """Roadblocks that would not have the whole page: one slot is sold, or one does not fit."""
        return {
            one.id: "roadblock"
            for one in campaigns
            if one.roadblock
            and one.id != page.roadblock
            and (
                page.sold
                or not all(
                    self.index.fits(
                        one.id, ask.context, other, now_us=now_us, audiences=page.audiences
                    )
                    for other in ask.slots
                    if other is not slot
                )
            )
        }

    def rank(self, shortlist: Shortlist, slot: Slot, page: Page) -> list[Ranked]:
        """The shortlist in the order of the auction; an exploring request draws its chances.

        Not for a slate: the chance that its winners had is not known.
        """
        if page.explores and shortlist.ranked and not slot.slate_ppm:
            tried = explored(shortlist, slot, self.index, self._entropy)
            if tried is not None:
                ranked, page.propensity_ppb = tried
                return ranked
        return shortlist.ranked

    def steer(
        self, ask: Ask, slot: Slot, page: Page, shortlist: Shortlist, ranked: list[Ranked]
    ) -> tuple[Shortlist, list[Ranked]]:
        """The same after another part has moved scores; as they were where there is none.

        Where an exploring request's winner is another one now, its propensity is not known.
        """
        if self.steered_by is None or not ranked:
            return shortlist, ranked
        offers, shifts = steering.offers_of(shortlist, ranked), {}
        if offers:
            shifts = dict(self.steered_by(steering.place_of(ask, slot, page.cluster), offers))
            page.steered.append(Steered(slot_id=slot.id, offers=offers, shifts=shifts))
        shortlist, moved = steering.steered(shortlist, ranked, slot, shifts)
        if not moved or moved[0].candidate.ad_id != ranked[0].candidate.ad_id:
            page.propensity_ppb = 0
        return shortlist, moved

    def clear(
        self,
        command: Command,
        ask: Ask,
        slots: Sequence[Slot],
        page: Page,
        shortlist: Shortlist,
        ranked: list[Ranked],
        *,
        auction_id: bytes,
    ) -> list[tuple[SlotOutcome, Served | None]]:
        """Sell the first of ``slots``, and as many of the following as one auction takes with it.

        Several are the places of a slate. Who is asked before the auction, or after it, takes one
        place alone. The outcomes hold every input of the prices; of a place that nobody took there
        is one only when it is the first.
        """
        request = _Request(command, ask, page, auction_id)
        if len(slots) > 1 and ranked and _is_priced(shortlist, ranked[0]):
            sold = self._clear_slate(request, slots, shortlist, ranked)
            if sold:
                return sold
        return [self._clear_one(request, slots[0], shortlist, ranked)]

    def _clear_one(
        self, request: _Request, slot: Slot, shortlist: Shortlist, ranked: list[Ranked]
    ) -> tuple[SlotOutcome, Served | None]:
        """Sell ``slot`` and reserve its price.

        A winner whose reservation is refused leaves the auction (reason ``budget``), so that the
        outcome still recomputes: it holds those who could pay.
        """
        ask, page, running = request.ask, request.page, ranked
        impression_id = self._ids.new()
        won: tuple[Contender, Terms, Sale, int] | None = None
        while running:
            contender = shortlist.contenders[running[0].candidate.ad_id]
            terms = terms_of(ask, slot, contender)
            sale = sell_as(terms.charged, running, terms.reserve_nanos)
            assert sale is not None, "somebody is running"
            cost_nanos = slot.cost_of(sale.price_nanos)
            if self._reserve(request, slot, contender, cost_nanos, impression_id):
                won = contender, terms, sale, cost_nanos
                break
            running = running[1:]
        if won is None:
            return outcome_of(ask, slot, shortlist, running, None), None
        contender, terms, sale, cost_nanos = won
        claim = self._sold(request, slot, contender, cost_nanos, impression_id)
        outcome = outcome_of(
            ask,
            slot,
            shortlist,
            running,
            terms,
            claim=claim,
            price_nanos=sale.price_nanos,
            propensity_ppb=page.propensity_ppb if running is ranked else 0,
        )
        page.propensity_ppb = 0
        return outcome, self._served(request, slot, contender, sale, claim, running[0])

    def _clear_slate(
        self,
        request: _Request,
        slots: Sequence[Slot],
        shortlist: Shortlist,
        ranked: list[Ranked],
    ) -> list[tuple[SlotOutcome, Served | None]]:
        """Sell the places in one auction among those that are in it.

        Who cannot pay leaves it before anything is reserved, and all prices are made again.
        """
        priced = [one for one in ranked if _is_priced(shortlist, one)]
        running, placed = priced, self._placed(slots, shortlist, priced)
        while (unable := self._unable(request, shortlist, placed)) is not None:
            running = [one for one in running if one.candidate.ad_id != unable]
            placed = self._placed(slots, shortlist, running)
        left = _without(shortlist, len(priced) - len(running))
        is_first = slots[0].rule == "first"
        terms = Terms("first" if is_first else "second", slots[0].floor_nanos)
        results: list[tuple[SlotOutcome, Served | None]] = []
        for slot, one in zip(slots, placed, strict=False):
            contender, impression_id = shortlist.contenders[one.sale.ad_id], self._ids.new()
            price_nanos = one.sale.price_nanos
            held = self._reserve(request, slot, contender, price_nanos, impression_id)
            assert held, "whoever cannot pay has left"
            claim = self._sold(request, slot, contender, price_nanos, impression_id)
            behind = [one.winner, *one.rivals]
            outcome = outcome_of(
                request.ask,
                slot,
                replace(left, ranked=behind),
                behind,
                terms,
                claim=claim,
                price_nanos=price_nanos,
            )
            served = self._served(request, slot, contender, one.sale, claim, one.winner)
            results.append((replace(outcome, slate_ppm=list(one.slot_ppm)), served))
        return results

    def _placed(
        self, slots: Sequence[Slot], shortlist: Shortlist, running: Sequence[Ranked]
    ) -> list[Placed]:
        """The winners of a slate: those apart that share a label, or a frequency cap.

        A campaign has one of its places, and so has an outside creative that was bid for several:
        nobody's other ads set their price.
        """
        labels = {
            one.candidate.ad_id: _apart(shortlist.contenders[one.candidate.ad_id].campaign)
            for one in running
        }
        owners: dict[str, Hashable] = {
            ad_id: (contender.campaign.id, contender.creative.name)
            if is_external(ad_id)
            else contender.campaign.id
            for ad_id, contender in shortlist.contenders.items()
        }
        rule = slots[0].rule
        return place(
            [one.candidate for one in running],
            slot_ppm=[one.slate_ppm for one in slots],
            rule="gsp" if rule == "second" else rule,
            reserve_nanos=slots[0].floor_nanos,
            advertisers=owners,
            groups=labels if any(labels.values()) else None,
        )

    def _unable(
        self, request: _Request, shortlist: Shortlist, placed: Sequence[Placed]
    ) -> str | None:
        """The ad of the first winner that cannot pay for all that its campaign has won."""
        due_nanos: dict[str, int] = {}
        for one in placed:
            campaign = shortlist.contenders[one.sale.ad_id].campaign
            due_nanos[campaign.id] = due_nanos.get(campaign.id, 0) + one.sale.price_nanos
            if self._free_nanos(campaign, request.command.now_s) < due_nanos[campaign.id]:
                return one.sale.ad_id
        return None

    def _free_nanos(self, campaign: Campaign, now_s: int) -> int:
        """What a campaign can pay now; nothing limits what an outside bidder owes on its account.

        That is opened at the start, or later where the disk was full then.
        """
        if is_external(campaign.id):
            has_account = BIDDER_PREFIX + bidder_of(campaign.id) in self._ledger.accounts
            return MAX_NANOS if has_account else 0
        return self._budgets.free_nanos(campaign, now_s)

    def _sold(
        self,
        request: _Request,
        slot: Slot,
        contender: Contender,
        cost_nanos: int,
        impression_id: bytes,
    ) -> Claim:
        """Take note of a sale."""
        ask, campaign, now_s = request.ask, contender.campaign, request.command.now_s
        request.page.sell(slot.group, contender)
        if ask.visit:
            self._visits.shown(ask.visit, campaign, now_s)
            if len(ask.slots) > 1:  # the places to come are of the same visit
                for id in self._visits.capped(ask.visit, now_s, self.index.capped_campaigns):
                    request.page.bar(id, "frequency")
        return Claim(
            impression_id,
            request.auction_id,
            ask.request_id,
            campaign.id,
            contender.creative.id,
            ask.context.publisher_id,
            ask.context.placement_id,
            campaign.pricing,
            cost_nanos,
            self.currency,
            now_s,
            now_s + self.settings.timeout_s(slot.hold_s),
        )

    def _served(
        self,
        request: _Request,
        slot: Slot,
        contender: Contender,
        sale: Sale,
        claim: Claim,
        winner: Ranked,
    ) -> Served:
        """What an answer needs of a sale, with its beacons."""
        tokens = self._tokens.sign(claim, _kinds(request.ask, contender))
        id = claim.impression_id
        return served_of(
            slot,
            contender,
            sale,
            self.currency,
            id,
            tokens,
            winner,
            used_of(request.ask.context, contender.campaign.id, request.page.reads),
        )

    def rehearse(self, ask: Ask, *, now_s: int) -> list[Served]:
        """What ``ask`` would be sold now; nothing is recorded or reserved (OpenRTB ``test``).

        There are no tokens: what was not sold can have no outcome.
        """
        served = []
        page = self.begin(replace(ask, visit=""), self._ids.new(), now_s=now_s)
        for slot in ask.slots:  # OpenRTB: none is a place of a slate
            shortlist = self.candidates(ask, slot, page, now_s=now_s)
            ranked = self.rank(shortlist, slot, page)
            shortlist, ranked = self.steer(ask, slot, page, shortlist, ranked)
            if ranked:
                contender = shortlist.contenders[ranked[0].candidate.ad_id]
                terms = terms_of(ask, slot, contender)
                sale = sell_as(terms.charged, ranked, terms.reserve_nanos)
                assert sale is not None, "somebody is ranked"
                page.sell(slot.group, contender)
                id = self._ids.new()
                sold = served_of(
                    slot,
                    contender,
                    sale,
                    self.currency,
                    id,
                    {},
                    ranked[0],
                    used_of(ask.context, contender.campaign.id, page.reads),
                )
                served.append(sold)
        return served

    def _reserve(
        self,
        request: _Request,
        slot: Slot,
        contender: Contender,
        cost_nanos: int,
        impression_id: bytes,
    ) -> bool:
        """Whether the campaign can pay; what is paid for soon is set aside at once."""
        command, campaign = request.command, contender.campaign
        if not cost_nanos:
            return True
        if is_external(campaign.id):  # owes it: nothing limits the account
            payer = BIDDER_PREFIX + bidder_of(campaign.id)
        else:
            payer = CAMPAIGN_PREFIX + campaign.id
            if self._budgets.free_nanos(campaign, command.now_s) < cost_nanos:
                return False
        if campaign.pricing not in HELD:
            return True
        hold = TransferCreated(
            id=format_id(impression_id),
            kind="pending",
            debit_account=payer,
            credit_account=PUBLISHER_PREFIX + request.ask.context.publisher_id,
            amount_nanos=cost_nanos,
            currency=self.currency,
            timeout_s=self.settings.timeout_s(slot.hold_s),
        )
        if self._ledger.decide(command.now_s, hold) != CREATED:
            return False
        command.record(hold)  # its id is new: nothing to compare it with
        return True


def _apart(campaign: Campaign) -> list[str]:
    """What no two ads of a slate share: exclusion labels, and the viewer that a cap counts."""
    if not campaign.frequency_caps:
        return campaign.exclusion_labels
    owners = {"campaign": campaign.id, "advertiser": campaign.advertiser_id}
    capped = dict.fromkeys(f"{one.per} {owners[one.per]}" for one in campaign.frequency_caps)
    return [*campaign.exclusion_labels, *capped]


def _without(shortlist: Shortlist, refused: int) -> Shortlist:
    """The shortlist less as many of its ads as could not pay."""
    if not refused:
        return shortlist
    excluded = shortlist.excluded
    return replace(
        shortlist,
        eligible=shortlist.eligible - refused,
        excluded={**excluded, "budget": excluded.get("budget", 0) + refused},
    )


def _is_priced(shortlist: Shortlist, ranked: Ranked) -> bool:
    """Whether an ad is in the auction: others are asked before or after it."""
    return shortlist.contenders[ranked.candidate.ad_id].campaign.priority == "price"


def _kinds(ask: Ask, contender: Contender) -> tuple[Kind, ...]:
    """The beacons of a sale: those that bill it, and those that its place can measure."""
    pricing, format = contender.campaign.pricing, contender.creative.format
    is_native = ask.source == "native"
    kinds: tuple[Kind, ...] = ("impression", "click")
    if is_external(contender.creative.id):
        kinds = ("impression",)  # its click is its bidder's, in its own markup
    if pricing == "vcpm" or (is_native and format != "audio"):
        kinds = (*kinds, "viewable")
    if pricing == "cpv" or (is_native and format in ("video", "audio")):
        kinds = (*kinds, "view")
    return kinds if is_native else (*kinds, "notice")
