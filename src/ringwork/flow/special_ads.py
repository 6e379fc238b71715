"""Ads for housing, employment and credit in a request and after it: what fairness must know.

Three steps of the flow: what the request may be decided on becomes a cluster; who competed, and
whom it was sold for, becomes events; and so does an impression that was billed. None of these while
no campaign is of a special category; of ordinary ads it is counted, for the weights of who is
eligible, how many each described person is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.events import SlotOutcome
from ringwork.ads.model import Ask
from ringwork.ads.page import Page
from ringwork.ads.service import Ads
from ringwork.ads.tokens import Claim
from ringwork.fairness.delivery.clusters import Clusters
from ringwork.fairness.delivery.events import (
    MEASURED,
    Contest,
    PersonClustered,
    SpecialAdsCompeted,
    SpecialAdShown,
    SpecialAdSold,
)
from ringwork.fairness.delivery.memory import FairnessMemory
from ringwork.fairness.delivery.people import meet
from ringwork.fairness.delivery.showing import Showing
from ringwork.fairness.delivery.steer import AuctionSteer
from ringwork.kernel.ids import derived_id
from ringwork.kernel.journal import Command
from ringwork.kernel.purpose import Terms
from ringwork.kernel.steering import Offer, Steered
from ringwork.kernel.viewer import Viewer

NOBODY = Viewer().person
NO_CLUSTER = -1


class SpecialAds:
    """Composes the auction with the fairness of its special ads."""

    def __init__(
        self,
        *,
        ads: Ads,
        catalogue: Catalogue,
        memory: FairnessMemory,
        steer: AuctionSteer,
        clusters: Clusters,
        showing: Showing,
        subject_of: Callable[[str], bytes],
        period: Callable[[], str],
    ) -> None:
        """``subject_of``: person -> pseudonym."""
        self._ads = ads
        self._catalogue = catalogue
        self._memory = memory
        self._steer = steer
        self._clusters = clusters
        self._showing = showing
        self._subject_of = subject_of
        self.period = period
        """The plan's present one; empty while nothing is measured."""

    def enter(self, ask: Ask, page: Page, *, now_s: int) -> None:
        """Make the page's cluster, of what the tier has left of the request and nothing else.

        A person's audiences are on the page by a grant alone, the strongest interest first.
        """
        if not self._catalogue.special:
            self._ads.steered_by = None
            return
        self._ads.steered_by = self._steer
        self._steer.at(now_s)
        context = ask.context
        page.cluster = self._clusters.of(
            (
                context.placement_id or context.site or context.app,
                context.region,
                context.categories[0] if context.categories else "",
                page.audiences[0] if page.audiences else "",
            )
        )

    def record(
        self,
        command: Command,
        page: Page,
        outcomes: Sequence[SlotOutcome],
        viewer: Viewer,
        terms: Terms,
    ) -> None:
        """Record who of the special ads competed, and for whom they were sold.

        For a described person who may be measured, ordinary ads are counted. Events of a person
        have ids that are derived, not drawn: ids are handed to browsers and exchanges, and none of
        them may tell whether the person of a request was measured.
        """
        contests = [] if page.cluster == NO_CLUSTER else self._all_contests(page, outcomes)
        competed = b""
        if contests:
            told = SpecialAdsCompeted(page.cluster, [one for one, _ in contests])
            competed = command.record(told)
        described = self._memory.people.described
        may_be_measured = viewer.person != NOBODY and terms.measurement_allowed
        if not may_be_measured or not (contests or described):
            return
        subject = self._subject_of(viewer.person)
        special: set[bytes] = set()
        for contest, outcome in contests:
            if outcome is not None and outcome.impression_id is not None:
                special.add(outcome.impression_id)
                sold = SpecialAdSold(
                    outcome.impression_id, contest.ad, page.cluster, contest.is_left_alone
                )
                command.record(
                    sold,
                    event_id=derived_id(outcome.impression_id, sold.TYPE),
                    subject=subject,
                    purpose=MEASURED,
                )
        if subject in described:
            for one in outcomes:
                if one.impression_id is not None and one.impression_id not in special:
                    self._showing.sold(one.impression_id, subject)
        if contests:
            met = PersonClustered(self.period(), page.cluster)
            meet(command, self._memory.people, subject, met, competed)

    def shown(self, command: Command, claim: Claim) -> None:
        """Record that an impression was billed, if it is a special ad's; count any other."""
        self._showing.shown(claim.impression_id)
        campaign = self._catalogue.campaigns.get(claim.campaign_id)
        if campaign is None or not campaign.is_special:
            return
        sale = self._memory.flights.sales.get(claim.impression_id)
        subject = None if sale is None else sale.subject
        command.record(
            SpecialAdShown(
                claim.impression_id,
                claim.ad_id,
                NO_CLUSTER if sale is None else sale.cluster,
                sale is not None and sale.is_left_alone,
                claim.price_nanos if claim.pricing == "cpm" else 0,
                command.ts_us,
            ),
            subject=subject,
            purpose=None if subject is None else MEASURED,
        )

    def _all_contests(
        self, page: Page, outcomes: Sequence[SlotOutcome]
    ) -> list[tuple[Contest, SlotOutcome | None]]:
        return [
            contest
            for steered, of_lot in _lots(page.steered, outcomes)
            for contest in self._contests(steered, of_lot, page.cluster)
        ]

    def _contests(
        self, steered: Steered, outcomes: Sequence[SlotOutcome], cluster: int
    ) -> Iterator[tuple[Contest, SlotOutcome | None]]:
        """Each special ad of an auction, with the slot that it won."""
        special = self._catalogue.special
        moved = {one.ad_id: _moved(one, steered) for one in steered.offers}
        best = sorted(moved.values(), reverse=True)[:2]
        won = {one.ad_id: one for one in outcomes if one.impression_id is not None}
        reserve_nanos = outcomes[0].reserve_nanos if outcomes else 0
        for one in steered.offers:
            if one.campaign_id not in special or one.score_nanos <= 0:
                continue
            rival = best[0]
            if moved[one.ad_id] == rival:
                rival = best[1] if len(best) > 1 else 0
            # In the unit of its own value: what quality and pace make of it is undone.
            to_beat_nanos = max(rival, 0) * one.value_nanos // one.score_nanos
            shift, place = steered.shifts.get(one.ad_id), won.get(one.ad_id)
            contest = Contest(
                one.ad_id,
                one.value_nanos,
                max(to_beat_nanos, reserve_nanos),
                0 if shift is None else shift.shift_nanos,
                self._steer.is_left_alone(cluster, one.ad_id),
                place is not None,
                b"" if place is None or place.impression_id is None else place.impression_id,
            )
            yield contest, place


def _moved(offer: Offer, steered: Steered) -> int:
    """What an offer stands in the auction with."""
    shift = steered.shifts.get(offer.ad_id)
    if shift is None:
        return offer.score_nanos
    return offer.score_nanos * shift.multiplier_ppm // 1_000_000 + shift.shift_nanos


def _lots(
    steered: Sequence[Steered], outcomes: Sequence[SlotOutcome]
) -> Iterator[tuple[Steered, Sequence[SlotOutcome]]]:
    """Each auction with the slots that it sold: a slate's auction sells several."""
    places = {one.slot_id: number for number, one in reversed(list(enumerate(outcomes)))}
    starts = [places.get(one.slot_id, len(outcomes)) for one in steered]
    ends = [*starts, len(outcomes)][1:]
    for one, start, end in zip(steered, starts, ends, strict=True):
        yield one, outcomes[start:end]
