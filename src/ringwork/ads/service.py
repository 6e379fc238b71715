"""The ad part at work: shortlist, rank and clear the slots of a request.

Every method decides on memory and records through the command it is given; nothing here waits, so
that a decision and its events are one. A sale paid per impression, viewable impression or view
reserves its price as a pending ledger transfer with the impression's id; what became of it is
``billing``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from ringwork.ads.auction import Ranked, sell_as
from ringwork.ads.budgets import CAMPAIGN_PREFIX, PUBLISHER_PREFIX, Budgets
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.events import SlotOutcome
from ringwork.ads.exploration import explored
from ringwork.ads.index import Contender, Index, Shortlist
from ringwork.ads.model import Ask, Campaign, Pricing, Sale, Served, Slot
from ringwork.ads.outside import BIDDER_PREFIX, bidder_of, is_external
from ringwork.ads.pacing.desk import PacingDesk
from ringwork.ads.page import Page
from ringwork.ads.priorities import Turns, draw_ppm
from ringwork.ads.rank.snapshot import Snapshot
from ringwork.ads.sales import Terms, cost_of, outcome_of, served_of, terms_of
from ringwork.ads.settings import AdsSettings
from ringwork.ads.tokens import Claim, Kind, Tokens
from ringwork.ads.visits import Visits
from ringwork.kernel.ids import IdGenerator, format_id
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import CREATED, Ledger, TransferCreated
from ringwork.kernel.ports import Entropy

HELD: Final[frozenset[Pricing]] = frozenset({"cpm", "vcpm", "cpv"})
"""Pricings whose event follows the sale at once, so that its price is set aside meanwhile."""


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
    ) -> None:
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
        self.requests = 0
        """Since the start: the opportunities that pacing knows of."""
        self._guaranteed: dict[str, int] = {}
        self.pacing = PacingDesk(
            budgets,
            live=lambda: iter(list(self.index.running())),
            requests=lambda: self.requests,
            sold=lambda campaign_id: self._guaranteed.get(campaign_id, 0),
            set_pace=self.index.set_pace,
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
        self.requests += 1
        index = self.index
        page = Page(Turns(auction_id, index.pace_ppm))
        if index.model_version and self.settings.explore_ppm:
            page.explores = draw_ppm(auction_id, "explore") < self.settings.explore_ppm
        if ask.visit:
            capped = self._visits.capped(ask.visit, now_s, self.index.capped_campaigns)
            for campaign_id in capped:
                page.bar(campaign_id, "frequency")
        return page

    def candidates(self, ask: Ask, slot: Slot, page: Page, *, now_s: int) -> Shortlist:
        """The ads that may compete for ``slot``; an unregistered publisher can sell nothing."""
        context, index, now_us = ask.context, self.index, now_s * 1_000_000
        if context.publisher_id not in self._catalogue.publishers:
            return index.nobody(reason="publisher")
        while True:
            shortlist = index.shortlist(context, slot, now_us=now_us, page=page)
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
                    self.index.fits(one.id, ask.context, other, now_us=now_us)
                    for other in ask.slots
                    if other is not slot
                )
            )
        }

    def rank(self, shortlist: Shortlist, slot: Slot, page: Page) -> list[Ranked]:
        """The shortlist in the order of the auction; an exploring request draws its chances."""
        if page.explores and shortlist.ranked:
            tried = explored(shortlist, slot, self.index, self._entropy)
            if tried is not None:
                ranked, page.propensity_ppb = tried
                return ranked
        return shortlist.ranked

    def clear(
        self,
        command: Command,
        ask: Ask,
        slot: Slot,
        page: Page,
        shortlist: Shortlist,
        ranked: list[Ranked],
        *,
        auction_id: bytes,
    ) -> tuple[SlotOutcome, Served | None]:
        """Sell ``slot`` and reserve its price; the outcome holds every input of that price.

        A winner whose reservation is refused leaves the auction (reason ``budget``), so that the
        outcome still recomputes: it holds those who could pay.
        """
        running = ranked
        timeout_s = self.settings.timeout_s(slot.hold_s)
        impression_id = self._ids.new()
        won: tuple[Contender, Terms, Sale, int] | None = None
        while running:
            contender = shortlist.contenders[running[0].candidate.ad_id]
            terms = terms_of(ask, slot, contender)
            sale = sell_as(terms.charged, running, terms.reserve_nanos)
            assert sale is not None, "somebody is running"
            cost_nanos = cost_of(slot, sale.price_nanos)
            if self._reserve(command, ask, contender, cost_nanos, impression_id, timeout_s):
                won = contender, terms, sale, cost_nanos
                break
            running = running[1:]
        if won is None:
            return outcome_of(ask, slot, shortlist, running, None), None
        contender, terms, sale, cost_nanos = won
        page.sell(slot.group, contender)
        if contender.campaign.priority == "guaranteed":
            id = contender.campaign.id
            self._guaranteed[id] = self._guaranteed.get(id, 0) + 1
        if ask.visit:
            self._visits.shown(ask.visit, contender.campaign, command.now_s)
        claim = Claim(
            impression_id,
            auction_id,
            ask.request_id,
            contender.campaign.id,
            sale.ad_id,
            ask.context.publisher_id,
            ask.context.placement_id,
            contender.campaign.pricing,
            cost_nanos,
            self.currency,
            command.now_s,
            command.now_s + timeout_s,
        )
        tokens = self._tokens.sign(claim, _kinds(ask, contender))
        served = served_of(slot, contender, sale, self.currency, impression_id, tokens, running[0])
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
        return outcome, served

    def rehearse(self, ask: Ask, *, now_s: int) -> list[Served]:
        """What ``ask`` would be sold now; nothing is recorded or reserved (OpenRTB ``test``).

        There are no tokens: what was not sold can have no outcome.
        """
        served = []
        page = self.begin(replace(ask, visit=""), self._ids.new(), now_s=now_s)
        for slot in ask.slots:
            shortlist = self.candidates(ask, slot, page, now_s=now_s)
            ranked = self.rank(shortlist, slot, page)
            if ranked:
                contender = shortlist.contenders[ranked[0].candidate.ad_id]
                terms = terms_of(ask, slot, contender)
                sale = sell_as(terms.charged, ranked, terms.reserve_nanos)
                assert sale is not None, "somebody is ranked"
                page.sell(slot.group, contender)
                id = self._ids.new()
                served.append(served_of(slot, contender, sale, self.currency, id, {}, ranked[0]))
        return served

    def _reserve(
        self,
        command: Command,
        ask: Ask,
        contender: Contender,
        cost_nanos: int,
        impression_id: bytes,
        timeout_s: int,
    ) -> bool:
        """Whether the campaign can pay; what is paid for soon is set aside at once."""
        campaign = contender.campaign
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
            credit_account=PUBLISHER_PREFIX + ask.context.publisher_id,
            amount_nanos=cost_nanos,
            currency=self.currency,
            timeout_s=timeout_s,
        )
        if self._ledger.decide(command.now_s, hold) != CREATED:
            return False
        command.record(hold)  # its id is new: nothing to compare it with
        return True


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
