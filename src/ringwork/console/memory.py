"""What the pages read from memory: catalogue, ledger, the log's end, and what waits for a person.

All of it on the event loop's thread, in one go, so that one page sees one moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final

from msgspec.structs import replace

from ringwork.ads.http_api import says
from ringwork.ads.lifecycle import Noun
from ringwork.ads.model import INTEREST_PREFIX, Audience, Campaign
from ringwork.ads.projections import Counts
from ringwork.console.facts import (
    AudienceLine,
    AudiencesFacts,
    CampaignFacts,
    InReview,
    Lag,
    LogFacts,
    ReviewLine,
    Use,
)
from ringwork.console.format import DAY_S, minute
from ringwork.console.pages import Shell
from ringwork.console.sources import Names, Sources
from ringwork.console.views.matters import matters
from ringwork.kernel.errors import Unavailable
from ringwork.kernel.ledger import Account

CAMPAIGNS_MAX: Final = 2_000
"""Campaigns that a page looks at: the newest ones and those that spent today."""
AUDIENCES_PAGE: Final = 50
USES: Final = 5
"""Campaigns of one audience in the list; the others are counted."""
USES_MAX: Final = 200
"""On its own page."""


class Memory:
    """Reads the process's memory for the pages."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources
        self.names = Names(sources.catalogue)

    def shell(self) -> Shell:
        """What stands around every page."""
        verification = self._from.verification()
        found = matters(
            campaigns=[self.campaign(each, None, 0) for each in self.looked_at({})],
            log=self.log(),
            lags=self.lags(),
            balanced=self.balanced(),
            verification=verification,
            in_review=self.in_review(),
            now_us=self._from.clock.wall_us(),
        )
        waiting: dict[str, int] = {}
        for matter in found:
            waiting[matter.page] = waiting.get(matter.page, 0) + matter.items
        return Shell(
            events=self._from.journal.log.head.seq,
            verified=f"Verified {minute(verification.ts_us)} UTC"
            if verification
            else "Not verified yet",
            waiting=waiting,
            source=self._from.source,
        )

    def balanced(self) -> bool:
        """Whether debits equal credits in every currency and phase."""
        return all(
            sums["debits_posted"] == sums["credits_posted"]
            and sums["debits_pending"] == sums["credits_pending"]
            for sums in self._from.ledger.trial_balance().values()
        )

    def in_review(self) -> InReview:
        """How many campaigns and creatives wait for a reviewer."""
        waiting = self._from.catalogue.in_review
        return InReview(campaigns=len(waiting["campaign"]), creatives=len(waiting["creative"]))

    def review_line(self, noun: Noun, id: str, since_us: int) -> ReviewLine:
        """An item that waits for a reviewer since then."""
        catalogue = self._from.catalogue
        item = catalogue.campaigns[id] if noun == "campaign" else catalogue.creatives[id]
        campaign = item if isinstance(item, Campaign) else catalogue.campaigns[item.campaign_id]
        return ReviewLine(
            noun=noun,
            id=id,
            name=item.name,
            advertiser=self.names.get(campaign.advertiser_id, campaign.advertiser_id),
            since_us=since_us,
        )

    def audiences(self, page: int, wanted: str) -> AudiencesFacts:
        """A page of the audiences that fit, the newest first."""
        among, uses = self._from.catalogue.audiences, self._uses()
        fitting = (one for one in reversed(among.values()) if says(wanted, one.id, one.name))
        first = (page - 1) * AUDIENCES_PAGE
        some = list(islice(fitting, first, first + AUDIENCES_PAGE + 1))
        return AudiencesFacts(
            now_us=self._from.clock.wall_us(),
            wanted=wanted,
            count=len(among),
            live=sum(one.status == "active" for one in among.values()),
            used=sum(id in uses for id in among),
            interest_campaigns=len(
                {
                    use.campaign_id
                    for id, named in uses.items()
                    if id.startswith(INTEREST_PREFIX)
                    for use in named
                }
            ),
            lines=[_line(one, uses, USES) for one in some[:AUDIENCES_PAGE]],
            has_more=len(some) > AUDIENCES_PAGE,
        )

    def audience(self, id: str) -> AudienceLine | None:
        """One audience with the campaigns that name it."""
        one = self._from.catalogue.audiences.get(id)
        return None if one is None else _line(one, self._uses(), USES_MAX)

    def _uses(self) -> dict[str, list[Use]]:
        """Audience or interest -> the campaigns that name it, the newest first."""
        found: dict[str, list[Use]] = {}
        for campaign in reversed(self._from.catalogue.campaigns.values()):
            targeting = campaign.targeting
            for ids, excludes in (
                (targeting.audiences, False), (targeting.excluded.audiences, True),
            ):  # fmt: skip
                use = Use(campaign_id=campaign.id, name=campaign.name, excludes=excludes)
                for id in dict.fromkeys(ids):
                    found.setdefault(id, []).append(use)
        return found

    def log(self) -> LogFacts:
        log = self._from.journal.log
        refuses = ""
        try:
            log.admit()
        except Unavailable as refused:
            refuses = refused.detail
        head = log.head
        return LogFacts(events=head.seq, chain=head.chain.hex(), refuses=refuses)

    def lags(self) -> list[Lag]:
        projections = self._from.projections
        troubles = "; ".join(f"{name}: {why}" for name, why in projections.troubles.items())
        return [Lag("Slowest projection", projections.seq, troubles)]

    def looked_at(self, spent: Mapping[str, int]) -> list[Campaign]:
        """The newest campaigns, and of the older ones those that spent today."""
        campaigns = self._from.catalogue.campaigns
        newest = list(campaigns)[-CAMPAIGNS_MAX:]
        ids = dict.fromkeys([*newest, *list(spent)[:CAMPAIGNS_MAX]])
        return [campaigns[id] for id in ids if id in campaigns]

    def campaign(
        self, campaign: Campaign, counts: Counts | None, today_nanos: int
    ) -> CampaignFacts:
        advertiser = self._from.catalogue.advertisers.get(campaign.advertiser_id)
        account = self._from.ledger.accounts.get(f"campaign/{campaign.id}")
        counts = counts or Counts()
        daily = campaign.daily_budget
        today = self._from.clock.wall_us() // (DAY_S * 1_000_000)
        return CampaignFacts(
            campaign=campaign,
            advertiser=advertiser.name if advertiser else campaign.advertiser_id,
            account=copy_of(account) if account else None,
            has_ad=self._has_ad(campaign.id),
            impressions=counts.impressions,
            clicks=counts.clicks,
            conversions=counts.conversions,
            today_nanos=today_nanos,
            day_free_nanos=None
            if daily is None
            else daily.total_nanos - self._from.budgets.spent_nanos(campaign.id, today),
        )

    def _has_ad(self, campaign_id: str) -> bool:
        catalogue = self._from.catalogue
        return any(
            catalogue.creatives[id].status == "active" for id in catalogue.creatives_of(campaign_id)
        )


def _line(audience: Audience, uses: Mapping[str, list[Use]], most: int) -> AudienceLine:
    named = uses.get(audience.id, [])
    return AudienceLine(audience=audience, uses=named[:most], use_count=len(named))


def copy_of(account: Account) -> Account:
    """The account as it is now: the one in memory goes on changing."""
    return replace(account)
