"""The console's questions to the stores, one method a page.

Tables and log are read in threads. What is read from memory may be ahead of the disk by one batch;
it is answered only when that batch is durable, so that no page shows what a crash could take back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec.structs import replace

from ringwork.ads import projections as ads
from ringwork.ads.lifecycle import Noun
from ringwork.ads.model import Audience, Campaign, Creative
from ringwork.ads.projections import Kind
from ringwork.console import logged
from ringwork.console.ahead import Ahead, ahead_of
from ringwork.console.facts import (
    AccountFacts,
    AudienceFacts,
    AudiencesFacts,
    CampaignPageFacts,
    CampaignsFacts,
    Chances,
    ChangeFacts,
    ChangesFacts,
    ConversionsFacts,
    CreativeFacts,
    CreativePageFacts,
    HealthFacts,
    LedgerFacts,
    OverviewFacts,
    RequestsFacts,
    ReviewsFacts,
    Search,
    Spent,
    TraceFacts,
    TransferFacts,
    TransferLine,
)
from ringwork.console.format import day_start
from ringwork.console.lines import (
    bin_of,
    change_of,
    conversion_of,
    pace_of,
    request_line,
    resolvers_in,
    tied,
    transfer_line,
)
from ringwork.console.memory import Memory, copy_of
from ringwork.console.pages import Shell
from ringwork.console.sources import Sources
from ringwork.console.views.bins import BIN_S, DAY_US
from ringwork.console.views.found import Hit
from ringwork.console.views.ledger import account_href, transfer_href
from ringwork.console.views.matters import campaign_href
from ringwork.console.views.requests import request_href
from ringwork.kernel.events import Recorded
from ringwork.kernel.ids import format_id, parse_id

if TYPE_CHECKING:
    import sqlalchemy as sa

REQUESTS_PAGE: Final = 50
TRANSFERS_PAGE: Final = 40
CAMPAIGN_TRANSFERS: Final = 12
CAMPAIGN_PACES: Final = 1_000
"""Notes of a plan that a page reads: the tables keep some 600."""
CHANGES: Final = 20
"""On the item's own page; the others are on pages of their own."""
CHANGES_PAGE: Final = 50
CONVERSIONS_PAGE: Final = 50
REVIEWS_PAGE: Final = 50
ACCOUNTS_PAGE: Final = 100
_RESOLVERS: Final = 400
"""A post is looked for among so many of the newest; an older one stands in its request."""
_LATEST_EVENTS: Final = 12
_TRACE_EVENTS: Final = 400
_WAITS: Final = 400
_HITS: Final = 20
_SPENDERS: Final = 8

_T = TypeVar("_T")


class ConsoleData:
    """Answers the pages' questions."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources
        self._memory = Memory(sources)

    @property
    def names(self) -> Mapping[str, str]:
        """Ids of what is in the catalogue -> its names."""
        return self._memory.names

    def shell(self) -> Shell:
        """What stands around every page."""
        return self._memory.shell()

    def now_us(self) -> int:
        """The platform's wall time."""
        return self._from.clock.wall_us()

    # ---- pages ----------------------------------------------------------------------------------

    async def overview(self) -> OverviewFacts:
        """Today, the same weekday before, campaigns, promises, the newest events."""
        facts = await self.today()
        counts = await self._read(
            lambda c: ads.campaign_counts(c, since_us=day_start(facts.now_us))
        )
        spent = {id: today.spent_nanos for id, today in counts.items()}
        named = self._from.catalogue.campaigns
        first = sorted(named, key=lambda id: (-spent.get(id, 0), named[id].name))[:_SPENDERS]
        lifetime = await self._read(lambda c: ads.campaign_counts(c, first))
        latest = await self._latest()
        looked_at = self._memory.looked_at(spent)
        paces = await self._read(lambda c: ads.latest_paces(c, [each.id for each in looked_at]))
        campaigns = [
            self._memory.campaign(each, lifetime.get(each.id), spent.get(each.id, 0))
            for each in looked_at
        ]
        await self._from.journal.settled()
        return replace(
            facts,
            campaigns=campaigns,
            latest=latest,
            paces={id: pace_of(row) for id, row in paces.items()},
        )

    async def today(self) -> OverviewFacts:
        """The figures of the overview alone: what changes every second."""
        now_us = self.now_us()
        start = day_start(now_us)
        step = BIN_S // 60

        def spans(connection: sa.Connection) -> tuple[list[ads.Span], list[ads.Span], list[int]]:
            return (
                ads.minutes(connection, since_us=start, until_us=start + DAY_US, step=step),
                ads.minutes(
                    connection, since_us=start - 7 * DAY_US, until_us=start - 6 * DAY_US, step=step
                ),
                ads.waits_ns(connection, limit=_WAITS),
            )

        today, earlier, waits = await self._read(spans)
        return OverviewFacts(
            now_us=now_us,
            currency=self._from.currency,
            today=[bin_of(span) for span in today],
            earlier=[bin_of(span) for span in earlier],
            campaigns=[],
            verification=self._from.verification(),
            latest=[],
            log=self._memory.log(),
            lags=self._memory.lags(),
            balanced=self._memory.balanced(),
            in_review=self._memory.in_review(),
            waits_ns=waits[::-1],
            names=self._memory.names,
        )

    async def requests(self, search: Search) -> RequestsFacts:
        """The newest requests that fit the search."""
        wanted = _wanted(search)
        rows: list[ads.RequestRow] = []
        if wanted is not None:
            rows = await self._read(lambda c: ads.requests(c, wanted, limit=REQUESTS_PAGE + 1))
        shown = rows[:REQUESTS_PAGE]
        return RequestsFacts(
            now_us=self.now_us(),
            lines=[request_line(row) for row in shown],
            older=shown[-1].seq if len(rows) > REQUESTS_PAGE else 0,
            names=self._memory.names,
        )

    async def trace(self, id: bytes) -> TraceFacts | None:
        """Every event of a request; ``id`` may also be that of one of its impressions."""
        request_id = id
        events = await self._events(id)
        if not events:
            sale = await self._read(lambda c: ads.sale(c, id))
            if sale is None:
                return None
            request_id = sale.request_id
            events = await self._events(request_id)
        return TraceFacts(
            now_us=self.now_us(),
            request_id=format_id(request_id),
            events=events,
            names=self._memory.names,
        )

    async def campaigns(self) -> CampaignsFacts:
        """The campaigns that a page looks at, with what became of them."""
        now_us = self.now_us()
        today = await self._read(lambda c: ads.campaign_counts(c, since_us=day_start(now_us)))
        spent = {id: counts.spent_nanos for id, counts in today.items()}
        chosen = self._memory.looked_at(spent)
        ids = [each.id for each in chosen]
        counts = await self._read(lambda c: ads.campaign_counts(c, ids))
        campaigns = [
            self._memory.campaign(each, counts.get(each.id), spent.get(each.id, 0))
            for each in chosen
        ]
        await self._from.journal.settled()
        return CampaignsFacts(
            now_us=now_us,
            currency=self._from.currency,
            campaigns=campaigns,
            older=len(self._from.catalogue.campaigns) > len(chosen),
        )

    async def campaign(self, id: str) -> CampaignPageFacts | None:
        """One campaign with its spend by the hour, its ads and its latest transfers."""
        campaign = self._from.catalogue.campaigns.get(id)
        if campaign is None:
            return None
        now_us = self.now_us()
        today = day_start(now_us)
        hours = await self._read(lambda c: ads.campaign_hours(c, id))
        shown = await self._read(lambda c: ads.creative_counts(c, id))
        transfers = await self._transfers(f"campaign/{id}", limit=CAMPAIGN_TRANSFERS)
        since = today if campaign.daily_budget is not None else campaign.starts_us
        paces = await self._read(lambda c: ads.paces(c, id, since_us=since, limit=CAMPAIGN_PACES))
        changes, older = await self._changes("campaign", id)
        total = _sum([hour.counts for hour in hours])
        spent = sum(hour.counts.spent_nanos for hour in hours if hour.ts_us >= today)
        facts = self._memory.campaign(campaign, total, spent)
        await self._from.journal.settled()
        none = ads.Counts()
        return CampaignPageFacts(
            now_us=now_us,
            facts=facts,
            spent=[Spent(hour.ts_us, hour.counts.spent_nanos) for hour in hours],
            chances=Chances(
                ranked=total.ranked, won=total.sold, billed=total.impressions, clicked=total.clicks
            ),
            creatives=[
                CreativeFacts(
                    creative=creative,
                    impressions=(counts := shown.get(creative.id, none)).impressions,
                    clicks=counts.clicks,
                    nanos=counts.spent_nanos,
                )
                for creative in self._from.catalogue.creatives.values()
                if creative.campaign_id == id
            ],
            transfers=transfers,
            paces=[pace_of(row) for row in paces],
            ahead=self._ahead(paces),
            changes=changes,
            older_changes=older,
        )

    def _ahead(self, paces: list[ads.PaceRow]) -> Ahead | None:
        """What is expected from a campaign's newest note to its plan's end."""
        if not paces:
            return None
        newest = paces[-1]
        return ahead_of(self._from.forecast(), newest.ts_us // 1_000_000, newest.ends_s)

    async def creative(self, id: str) -> CreativePageFacts | None:
        """One creative with what became of it, and its changes."""
        creative = self._from.catalogue.creatives.get(id)
        if creative is None:
            return None
        campaign = self._from.catalogue.campaigns[creative.campaign_id]
        shown = await self._read(lambda c: ads.creative_counts(c, creative.campaign_id))
        counts = shown.get(id, ads.Counts())
        changes, older = await self._changes("creative", id)
        await self._from.journal.settled()
        return CreativePageFacts(
            now_us=self.now_us(),
            creative=creative,
            campaign=campaign.name,
            currency=campaign.budget.currency,
            impressions=counts.impressions,
            clicks=counts.clicks,
            nanos=counts.spent_nanos,
            changes=changes,
            older_changes=older,
        )

    async def conversions(self, id: str, *, before: int = 0) -> ConversionsFacts | None:
        """A page of a campaign's conversions."""
        campaign = self._from.catalogue.campaigns.get(id)
        if campaign is None:
            return None
        most = CONVERSIONS_PAGE
        rows = await self._read(lambda c: ads.conversions(c, id, before_seq=before, limit=most + 1))
        counts = await self._read(lambda c: ads.campaign_counts(c, [id]))
        await self._from.journal.settled()
        return ConversionsFacts(
            now_us=self.now_us(),
            campaign=campaign,
            counted=counts.get(id, ads.Counts()).conversions,
            lines=[conversion_of(row) for row in rows[:most]],
            older=rows[most - 1].seq if len(rows) > most else 0,
            names=self._memory.names,
        )

    async def changes(self, noun: Kind, id: str, *, before: int = 0) -> ChangesFacts | None:
        """A page of the changes of a campaign, a creative or an audience."""
        catalogue = self._from.catalogue
        items: dict[Kind, Mapping[str, Campaign | Creative | Audience]] = {
            "campaign": catalogue.campaigns,
            "creative": catalogue.creatives,
            "audience": catalogue.audiences,
        }
        item = items[noun].get(id)
        if item is None:
            return None
        lines, older = await self._changes(noun, id, before=before, most=CHANGES_PAGE)
        return ChangesFacts(
            now_us=self.now_us(), noun=noun, id=id, name=item.name, lines=lines, older=older
        )

    async def _changes(
        self, noun: Kind, id: str, *, before: int = 0, most: int = CHANGES
    ) -> tuple[list[ChangeFacts], int]:
        """The newest changes first, and the sequence that the next page begins before."""
        rows = await self._read(
            lambda c: ads.history(c, noun, id, before_seq=before, limit=most + 1)
        )
        older = rows[most - 1].seq if len(rows) > most else 0
        return [change_of(row) for row in rows[:most]], older

    async def reviews(self, page: int) -> ReviewsFacts:
        """A page of what waits for a reviewer."""
        waiting = self._from.catalogue.in_review

        def each(noun: Noun) -> Iterator[tuple[Noun, str, int]]:
            return ((noun, id, ts_us) for id, ts_us in waiting[noun].items())

        first = (page - 1) * REVIEWS_PAGE
        some = list(
            islice(chain(each("campaign"), each("creative")), first, first + REVIEWS_PAGE + 1)
        )
        facts = ReviewsFacts(
            now_us=self.now_us(),
            in_review=self._memory.in_review(),
            lines=[self._memory.review_line(*one) for one in some[:REVIEWS_PAGE]],
            has_more=len(some) > REVIEWS_PAGE,
        )
        await self._from.journal.settled()
        return facts

    async def audiences(self, page: int, wanted: str) -> AudiencesFacts:
        """A page of the audiences, the newest first."""
        facts = self._memory.audiences(page, wanted)
        await self._from.journal.settled()
        return facts

    async def audience(self, id: str) -> AudienceFacts | None:
        """One audience with the campaigns that name it, and its changes."""
        line = self._memory.audience(id)
        if line is None:
            return None
        changes, older = await self._changes("audience", id)
        await self._from.journal.settled()
        return AudienceFacts(now_us=self.now_us(), line=line, changes=changes, older_changes=older)

    async def ledger(self) -> LedgerFacts:
        """Sums, the first accounts, the latest transfers."""
        transfers = await self._transfers(None, limit=TRANSFERS_PAGE)
        accounts = self._from.ledger.accounts
        facts = LedgerFacts(
            now_us=self.now_us(),
            trial=self._from.ledger.trial_balance(),
            accounts=[(id, copy_of(accounts[id])) for id in sorted(accounts)[:ACCOUNTS_PAGE]],
            account_count=len(accounts),
            transfers=transfers,
            names=self._memory.names,
        )
        await self._from.journal.settled()
        return facts

    async def account(self, id: str) -> AccountFacts | None:
        """One account and its latest transfers."""
        account = self._from.ledger.accounts.get(id)
        if account is None:
            return None
        transfers = await self._transfers(id, limit=TRANSFERS_PAGE)
        facts = AccountFacts(
            now_us=self.now_us(),
            id=id,
            account=copy_of(account),
            name=self._memory.names.get(id.partition("/")[2], ""),
            transfers=transfers,
        )
        await self._from.journal.settled()
        return facts

    async def transfer(self, id: str) -> TransferFacts | None:
        """One transfer and its other half."""
        placed = await self._read(lambda c: self._from.transfers.placed(c, id))
        if placed is None:
            return None
        seq, ts_us, entry = placed
        (recorded,) = await self._at([seq])
        line = transfer_line(ts_us, entry, request_id=recorded.request_id)
        related: list[TransferLine] = []
        if line.pending_id:
            pending = await self._read(lambda c: self._from.transfers.placed(c, line.pending_id))
            if pending is not None:
                related = tied([transfer_line(pending[1], pending[2])], [line])
        elif line.kind == "pending":
            same = resolvers_in(await self._events(recorded.request_id))
            related = [each for each in same if each.pending_id == id]
            line = tied([line], related)[0]
        return TransferFacts(now_us=self.now_us(), transfer=line, related=related)

    async def health(self) -> HealthFacts:
        """What can run out, and how late things are."""
        waits = await self._read(lambda c: ads.waits_ns(c, limit=_WAITS))
        store = await asyncio.to_thread(self._from.store)
        log = self._from.journal.log
        newest = await asyncio.to_thread(logged.latest, log, self._from.journal.types, 1)
        return HealthFacts(
            now_us=self.now_us(),
            log=replace(self._memory.log(), ts_us=newest[0].ts_us if newest else 0),
            lags=self._memory.lags(),
            waits_ns=waits[::-1],
            queue_events=max(0, log.next_seq - 1 - log.head.seq),
            queue_events_max=self._from.queue_events_max,
            store_bytes=dict(store.files),
            disk_free_bytes=store.disk_free,
            disk_total_bytes=store.disk_total,
            verification=self._from.verification(),
        )

    async def find(self, wanted: str) -> list[Hit]:
        """What an id or a part of a campaign's name fits."""
        hits: list[Hit] = []
        try:
            id = parse_id(wanted)
        except ValueError:
            pass
        else:
            trace = await self.trace(id)
            if trace is not None:
                hits.append(Hit(trace.request_id, request_href(trace.request_id), "request"))
        if wanted in self._from.ledger.accounts:
            hits.append(Hit(wanted, account_href(wanted), "account"))
        if await self._read(lambda c: self._from.transfers.placed(c, wanted)) is not None:
            hits.append(Hit(wanted, transfer_href(wanted), "transfer"))
        campaigns = self._from.catalogue.campaigns
        part = wanted.casefold()
        hits += [
            Hit(each.name, campaign_href(each.id), "campaign")
            for each in campaigns.values()
            if each.id == wanted or part in each.name.casefold()
        ][:_HITS]
        return hits

    # ---- pieces ---------------------------------------------------------------------------------

    async def _read(self, ask: Callable[[sa.Connection], _T]) -> _T:
        def in_thread() -> _T:
            with self._from.state.begin() as connection:
                return ask(connection)

        return await asyncio.to_thread(in_thread)

    async def _latest(self) -> list[Recorded]:
        journal = self._from.journal
        return await asyncio.to_thread(logged.latest, journal.log, journal.types, _LATEST_EVENTS)

    async def _at(self, seqs: Sequence[int]) -> list[Recorded]:
        journal = self._from.journal
        return await asyncio.to_thread(logged.at, journal.log, journal.types, seqs)

    async def _events(self, request_id: bytes) -> list[Recorded]:
        index = self._from.request_events
        seqs = await self._read(lambda c: index.seqs(c, request_id, limit=_TRACE_EVENTS))
        return await self._at(seqs)

    async def _transfers(self, account: str | None, *, limit: int) -> list[TransferLine]:
        """The newest transfers. Posts name no account: they are found among the newest of all."""
        index = self._from.transfers

        def newest(connection: sa.Connection) -> tuple[list[TransferLine], list[TransferLine]]:
            own = index.latest(connection, limit=limit, account=account)
            recent = own if account is None else index.latest(connection, limit=_RESOLVERS)
            return (
                [transfer_line(ts_us, entry) for _, ts_us, entry in own],
                [transfer_line(ts_us, entry) for _, ts_us, entry in recent],
            )

        lines, recent = await self._read(newest)
        return tied(lines, recent)


def _sum(counts: Sequence[ads.Counts]) -> ads.Counts:
    total = ads.Counts()
    for each in counts:
        for name in total.__struct_fields__:
            setattr(total, name, getattr(total, name) + getattr(each, name))
    return total


def _wanted(search: Search) -> ads.RequestFilter | None:
    """The filter, or None for an id that cannot be one."""
    id = None
    if search.id:
        try:
            id = parse_id(search.id)
        except ValueError:
            return None
    return ads.RequestFilter(
        id=id,
        campaign_id=search.campaign,
        placement=search.placement,
        outcome=search.outcome,
        before_seq=search.before,
    )
