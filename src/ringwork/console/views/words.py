"""Every event of the log in a few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from ringwork.ads import events as ads
from ringwork.ads import special_events as special
from ringwork.ads.behavioural import events as behavioural
from ringwork.ads.exchange import events as exchange
from ringwork.ads.invoice_events import CreditNoteIssued, InvoiceIssued, PayoutMade
from ringwork.ads.model import Audience
from ringwork.ads.model_events import ModelPublished
from ringwork.ads.pacing_events import CampaignPaced
from ringwork.ads.reports.schedules import ReportMade, ReportScheduled, ReportScheduleEnded
from ringwork.consent import events as consent
from ringwork.consent.choice import events as choice
from ringwork.consent.proof_runs import ConsentProved
from ringwork.consent.subscriptions import events as paid
from ringwork.console.format import (
    count,
    day,
    duration,
    money,
    percent,
    plural,
    price,
)
from ringwork.console.pricings import per_one, priced_per
from ringwork.console.views import fairness_events as fair_words
from ringwork.fairness.delivery import events as fair
from ringwork.kernel.events import Event, UnknownEvent
from ringwork.kernel.ledger import (
    AccountOpened,
    TransferCreated,
    TransferExpired,
    TransferRefused,
)
from ringwork.web.execute import CommandAnswered
from ringwork.web.keys import ApiKeyCreated, ApiKeyRevoked

_DAY_US: Final = 86_400_000_000

Names = Mapping[str, str]
"""Ids of ads, campaigns, advertisers and publishers -> their names."""


def describe(event: Event, names: Names) -> str:
    """What happened; the type's name in words for an event no page knows."""
    known = _WORDS.get(event.TYPE)
    if known is not None:
        event_type, words = known
        if isinstance(event, event_type):
            return words(event, names)
    if isinstance(event, UnknownEvent):
        return f"{plural(len(event.raw), 'byte')} of a type this version does not know"
    return _SAID.get(event.TYPE) or event.TYPE.replace("_", " ")


def has_words(event_type: str) -> bool:
    """Whether the console knows what to say of an event."""
    return event_type in _WORDS or event_type in _SAID


def _named(id: str, names: Names) -> str:
    return names.get(id, id)


def _cleared(event: ads.AuctionCleared, names: Names) -> str:
    sold = [slot for slot in event.slots if slot.ad_id]
    if not sold:
        eligible = sum(slot.eligible for slot in event.slots)
        return "not sold: " + (
            "nobody was eligible" if not eligible else f"none of {count(eligible)} cleared"
        )
    first = sold[0]
    text = f"{_named(first.campaign_id, names)} at {price(first.price_nanos, event.currency)}"
    if first.pricing != "cpm":
        text += f" {per_one(first.pricing)}"
    return text + (f" and {len(sold) - 1} more" if len(sold) > 1 else "")


def _billed(event: ads.ImpressionBilled, names: Names) -> str:
    if event.price_nanos == 0:
        return f"{_named(event.campaign_id, names)}, paid by {priced_per(event.pricing)}"
    return f"{_named(event.campaign_id, names)}, {price(event.price_nanos, event.currency)}"


def _measured(event: ads.ImpressionMeasured, names: Names) -> str:
    what = "viewable" if event.measure == "viewable" else "viewed to the end"
    text = f"{_named(event.campaign_id, names)}, {what}"
    if event.charged_nanos:
        return f"{text}, {price(event.charged_nanos, event.currency)}"
    return f"{text}, unbilled: {event.unbilled_reason}" if event.unbilled_reason else text


def _settled(event: ads.BidSettled, names: Names) -> str:
    text = f"{_named(event.campaign_id, names)}: the exchange says {event.outcome}"
    if event.reason is not None:
        text += f", reason {event.reason}"
    return (
        text if event.price_nanos is None else f"{text}, {price(event.price_nanos, event.currency)}"
    )


def _declared(event: special.SpecialCategoriesDeclared, names: Names) -> str:
    what = " and ".join(one.lower() for one in event.categories) or "none of them any more"
    signed = f", certified {event.certified_text}" if event.certified_text else ""
    return f"{_named(event.campaign_id, names)}, for {what}{signed}"


def _held(event: special.CampaignHeld, names: Names) -> str:
    seems = " and ".join(one.category.lower() for one in event.suspicions)
    return f"{_named(event.campaign_id, names)}: {event.creative_id} seems to be for {seems}"


def _reviewed(name: str, decision: str, reason: str) -> str:
    word = {"approve": "approved", "reject": "rejected", "return": "returned"}.get(
        decision, decision
    )
    return f"{name}, {word}{f': {reason}' if reason else ''}"


def _paced(event: CampaignPaced, names: Names) -> str:
    where = percent(event.spent, event.budget, 0)
    plan = percent(event.due, event.budget, 0)
    return (
        f"{_named(event.campaign_id, names)}, {where} of its plan's budget spent, plan {plan}, "
        f"multiplier {percent(event.pace_ppm, 1_000_000)}"
    )


def _rules(audience: Audience) -> str:
    rules = plural(len(audience.rules), "rule")
    return rules if len(audience.rules) == 1 else f"{audience.match} of {rules}"


def _denied(event: behavioural.GrantDenied, names: Names) -> str:
    if event.reason == "uncounted":
        return f"{plural(event.count, 'more read')} of people's history denied"
    where = f" by {event.service}" if event.service else ""
    return f"history not read to {event.purpose}{where}: {event.reason}"


def _gathered(event: exchange.BidsGathered, names: Names) -> str:
    bids = sum(bidder.bids for bidder in event.bidders)
    return f"{plural(bids, 'bid')} from {plural(len(event.bidders), 'outside bidder')}"


def _external(event: exchange.ExternalBidWon, names: Names) -> str:
    words = f"{event.bidder_id} for {event.domain}, {price(event.price_nanos, event.currency)}"
    if event.bid_currency == event.currency:
        return words
    return f"{words}, bid {price(event.bid_nanos, event.bid_currency)} at {event.rate}"


def _notice(event: exchange.BillingNoticeEnded, names: Names) -> str:
    end = "taken" if event.was_taken else "given up"
    return f"billing notice to {event.bidder_id} {end} after {plural(event.attempts, 'attempt')}"


def _minor(minor: int, exponent: int, currency: str) -> str:
    return money(minor * 10 ** (9 - exponent), currency)


def _invoiced(event: InvoiceIssued, names: Names) -> str:
    net = _minor(event.net_minor, event.exponent, event.currency)
    return f"invoice {event.id} of {event.month} to {_named(event.advertiser_id, names)}, {net} net"


def _credited(event: CreditNoteIssued, names: Names) -> str:
    net = _minor(event.net_minor, event.exponent, event.currency)
    return f"credit note {event.id} on invoice {event.invoice_id}, {net} net: {event.reason}"


def _paid_out(event: PayoutMade, names: Names) -> str:
    sent = _minor(event.amount_minor, event.exponent, event.currency)
    to = _named(event.publisher_id, names)
    return f"payout {event.id} to {to} to the end of {event.month}, {sent}"


def _report(event: ReportMade, names: Names) -> str:
    end = day(event.until_us - 1)
    return f"report of {event.schedule_id} up to {end}, {plural(event.rows, 'row')}"


def _clicked(event: ads.ClickRecorded, names: Names) -> str:
    text = _named(event.campaign_id, names)
    if event.charged_nanos:
        return f"{text}, {price(event.charged_nanos, event.currency)}"
    return f"{text}, unbilled: {event.unbilled_reason}" if event.unbilled_reason else text


def _converted(event: ads.ConversionRecorded, names: Names) -> str:
    text = f"{_named(event.campaign_id, names)}, worth {price(event.value_nanos, event.currency)}"
    return f"{text}, unbilled: {event.unbilled_reason}" if event.unbilled_reason else text


def _choice_shown(event: choice.ChoiceShown, names: Names) -> str:
    order = ", ".join(one for one in event.order if one in event.offered)
    how = "asked" if event.asked else "came by themselves"
    return f"{_named(event.publisher_id, names)}, {how}: {order}"


def _choice_made(event: choice.ChoiceMade, names: Names) -> str:
    place = f", {event.place} of {len(event.order)}" if event.place else ""
    steps = plural(event.steps, "step")
    return f"{_named(event.publisher_id, names)}, {event.choice}{place}, {steps}"


def _decided(event: consent.ConsentRecorded, names: Names) -> str:
    what = ", ".join(event.purposes)
    joins = ", ".join(f"{source} to {target}" for source, target in event.services)
    about = f"{what}{' with ' if what and joins else ''}{joins}"
    verb = {"declare": "minor" if event.minor else "of age", "erase": "everything erased"}
    said = verb.get(event.action) or f"{event.action} {about}"
    return f"{said}{f', on {event.surface}' if event.surface else ''}"


def _proved(event: ConsentProved, names: Names) -> str:
    run = event.run
    verdict = "holds" if run.holds else "does not hold"
    return f"{verdict}, {plural(run.pairs, 'pair')}, {run.caught} of {run.planted} leaks caught"


def _transfer(event: TransferCreated, names: Names) -> str:
    if event.kind == "void":
        return "reservation released"
    verb = {"pending": "reserved", "post": "posted"}.get(event.kind, "moved")
    amount = price(event.amount_nanos, event.currency) if event.currency else ""
    if event.kind == "post":
        return f"{verb} from its reservation{', ' + amount if amount else ''}"
    return f"{amount} {verb}, {event.debit_account} to {event.credit_account}"


def _priced(event: paid.PlanPriceSet, names: Names) -> str:
    one = event.price
    text = f"{one.plan} in {one.region}, {one.channel}: {money(one.price_nanos, one.currency)}"
    if one.extra_account_nanos:
        text += f", {money(one.extra_account_nanos, one.currency)} per linked account"
    return f"{text}, from {day(one.valid_from_us)}"


def _asked(event: paid.SubscriptionChargeRequested, names: Names) -> str:
    amount = money(event.amount_nanos, event.currency)
    what = "a linked account in period" if event.kind == "extra" else "period"
    again = f", attempt {event.attempt}" if event.attempt > 1 else ""
    return f"{event.subscription_id}: {amount} asked for {what} {event.period}{again}"


def _unpaid(event: paid.SubscriptionPaymentFailed, names: Names) -> str:
    what = "declined" if event.declined else "not answered yet"
    text = f"{event.subscription_id}: payment for period {event.period} {what}"
    if event.reason:
        text += f", {event.reason}"
    return text + (f"; again on {day(event.next_try_us)}" if event.next_try_us else "")


def _given_back(event: paid.SubscriptionRefundSettled, names: Names) -> str:
    if event.paid:
        return f"{event.subscription_id}: refund made"
    return f"{event.subscription_id}: refund declined{f', {event.reason}' if event.reason else ''}"


_E = TypeVar("_E", bound=Event)
_Words = tuple[type[Event], Callable[[Event, Names], str]]


def _of(event_type: type[_E], words: Callable[[_E, Names], str]) -> tuple[str, _Words]:
    def checked(event: Event, names: Names) -> str:
        assert isinstance(event, event_type)
        return words(event, names)

    return event_type.TYPE, (event_type, checked)


_WORDS: Final[Mapping[str, _Words]] = dict(
    (
        # Selling and what follows.
        _of(ads.AuctionCleared, _cleared),
        _of(ads.AnswerTimed, lambda e, _: f"waited {duration(e.disk_ns)} for the disk"),
        _of(ads.ImpressionBilled, _billed),
        _of(
            ads.ImpressionUnbilled,
            lambda e, n: f"{_named(e.campaign_id, n)}, not charged: {e.reason}",
        ),
        _of(ads.ImpressionMeasured, _measured),
        _of(ads.BidSettled, _settled),
        _of(ads.ClickRecorded, _clicked),
        _of(ads.ConversionRecorded, _converted),
        _of(CampaignPaced, _paced),
        _of(
            ModelPublished,
            lambda e, _: (
                f"version {e.version}, learned from {plural(sum(e.learned.values()), 'response')}"
            ),
        ),
        # The catalogue.
        _of(ads.AdvertiserRegistered, lambda e, _: e.advertiser.name),
        _of(ads.AdvertiserChanged, lambda e, _: f"{e.advertiser.name}, changed"),
        _of(ads.CampaignCreated, lambda e, _: f"{e.campaign.name}, budget {e.campaign.budget}"),
        _of(ads.CampaignChanged, lambda e, _: f"{e.campaign.name}, {e.campaign.status}"),
        _of(
            ads.CampaignReviewed,
            lambda e, _: _reviewed(e.campaign.name, e.decision, e.campaign.review_reason),
        ),
        _of(special.SpecialCategoriesDeclared, _declared),
        _of(special.CampaignHeld, _held),
        _of(
            special.SpecialReviewDecided,
            lambda e, n: f"{_named(e.campaign_id, n)}, {e.decision}: {e.reason}",
        ),
        _of(
            special.TargetingPaused,
            lambda e, n: (
                f"{_named(e.campaign_id, n)}, {plural(len(e.paused), 'part')} of its targeting"
            ),
        ),
        _of(ads.CreativeCreated, lambda e, _: f"{e.creative.name}, {e.creative.format}"),
        _of(ads.CreativeChanged, lambda e, _: f"{e.creative.name}, {e.creative.status}"),
        _of(
            ads.CreativeReviewed,
            lambda e, _: _reviewed(e.creative.name, e.decision, e.creative.review_reason),
        ),
        _of(ads.PublisherRegistered, lambda e, _: e.publisher.name),
        _of(ads.PublisherChanged, lambda e, _: f"{e.publisher.name}, changed"),
        _of(ads.SiteRegistered, lambda e, n: f"{e.site.name} of {_named(e.site.publisher_id, n)}"),
        _of(ads.SiteChanged, lambda e, _: f"{e.site.name}, changed"),
        _of(
            ads.PlacementCreated,
            lambda e, n: f"{e.placement.id} of {_named(e.placement.publisher_id, n)}",
        ),
        _of(ads.PlacementChanged, lambda e, _: f"{e.placement.id}, changed"),
        _of(ads.AudienceCreated, lambda e, _: f"{e.audience.name}, {_rules(e.audience)}"),
        _of(
            ads.AudienceChanged,
            lambda e, _: f"{e.audience.name}, {e.audience.status}, {_rules(e.audience)}",
        ),
        # People: the log says no more of them than this without their keys.
        _of(behavioural.PersonActed, lambda e, _: f"a person did something on {e.service}, sealed"),
        _of(
            behavioural.PersonReached,
            lambda e, _: f"ads on {e.service} went to a person who consented, sealed",
        ),
        _of(behavioural.GrantDenied, _denied),
        # Outside bidders.
        _of(exchange.BidsGathered, _gathered),
        _of(exchange.ExternalBidWon, _external),
        _of(exchange.BillingNoticeEnded, _notice),
        # Consent.
        _of(consent.ConsentRecorded, _decided),
        _of(
            consent.AdsFreeCounted,
            lambda e, _: f"{plural(e.requests, 'request')} of subscribers, answered without ads",
        ),
        _of(
            consent.ConsentDaySealed,
            lambda e, _: f"{plural(e.count, 'record')} of {day(e.day * _DAY_US)} signed",
        ),
        _of(ConsentProved, _proved),
        _of(choice.NoticePublished, lambda e, _: f"text {e.notice[:12]}, {e.locale}"),
        _of(choice.ChoiceShown, _choice_shown),
        _of(choice.ChoiceMade, _choice_made),
        # Fairness.
        _of(fair.SpecialAdRegistered, lambda e, _: fair_words.registered(e)),
        _of(fair.SpecialAdsCompeted, lambda e, _: fair_words.competed(e)),
        _of(fair.SpecialAdSold, lambda e, _: fair_words.sold(e)),
        _of(fair.SpecialAdShown, lambda e, _: fair_words.sold(e)),
        _of(fair.PersonDescribed, lambda e, _: "a person is described to the enclave, sealed"),
        _of(fair.PersonUndescribed, lambda e, _: "a person is counted no more"),
        _of(fair.PersonClustered, lambda e, _: f"a person was met, cluster {e.cluster}"),
        _of(fair.PersonShownAds, lambda e, _: fair_words.shown(e)),
        _of(fair.AudienceMeasured, lambda e, _: fair_words.measured(e)),
        _of(fair.ModelMeasured, lambda e, _: fair_words.learned(e)),
        _of(fair.FlightOpened, lambda e, _: fair_words.opened(e)),
        _of(fair.SumsReleased, lambda e, _: fair_words.released(e)),
        _of(fair.ClustersReleased, lambda e, _: f"groups by cluster of {e.period}, with noise"),
        _of(fair.FairnessRecorded, lambda e, _: fair_words.recorded(e)),
        # Money.
        _of(AccountOpened, lambda e, _: f"{e.id}, {e.currency}{', limited' if e.limited else ''}"),
        _of(TransferCreated, _transfer),
        _of(TransferRefused, lambda e, _: f"refused: {e.result}"),
        _of(TransferExpired, lambda e, _: "reservation ran out, released"),
        _of(InvoiceIssued, _invoiced),
        _of(CreditNoteIssued, _credited),
        _of(PayoutMade, _paid_out),
        # Subscriptions.
        _of(paid.PlanDefined, lambda e, _: f"{e.plan.name}, {e.plan.period}"),
        _of(paid.PlanPriceSet, _priced),
        _of(
            paid.SubscriptionRequested,
            lambda e, _: f"{e.id}: plan {e.plan} in {e.region}, {e.channel}",
        ),
        _of(paid.SubscriptionChargeRequested, _asked),
        _of(
            paid.SubscriptionChargePaid,
            lambda e, _: f"{e.subscription_id}: {money(e.amount_nanos, e.currency)} paid",
        ),
        _of(paid.SubscriptionPaymentFailed, _unpaid),
        _of(paid.SubscriptionStarted, lambda e, _: f"{e.id}: no ads until {day(e.ends_us)}"),
        _of(
            paid.SubscriptionRenewed,
            lambda e, _: f"{e.id}: period {e.period}, no ads until {day(e.ends_us)}",
        ),
        _of(
            paid.SubscriptionGraceEntered,
            lambda e, _: f"{e.id}: unpaid, no ads all the same until {day(e.grace_ends_us)}",
        ),
        _of(
            paid.SubscriptionCancellationScheduled,
            lambda e, _: f"{e.id}: cancelled, runs until {day(e.ends_us)}",
        ),
        _of(paid.SubscriptionExpired, lambda e, _: f"{e.id}: over, {e.reason}"),
        _of(
            paid.SubscriptionRefunded,
            lambda e, _: (
                f"{e.id}: over, {money(e.amount_nanos, e.currency)} goes back"
                f"{f': {e.reason}' if e.reason else ''}"
            ),
        ),
        _of(
            paid.SubscriptionRefundRequested,
            lambda e, _: (
                f"{e.subscription_id}: {money(e.amount_nanos, e.currency)} asked to go back"
                f"{f', {e.reason}' if e.reason else ''}"
            ),
        ),
        _of(paid.SubscriptionRefundSettled, _given_back),
        _of(paid.SubscriptionAccountLinked, lambda e, _: f"{e.id}: another account shares it"),
        _of(
            paid.SubscriptionAccountUnlinked,
            lambda e, _: f"{e.id}: an account shares it no longer, {e.reason}",
        ),
        _of(paid.SubscriptionPaymentMethodChanged, lambda e, _: f"{e.id}: paid another way"),
        _of(
            paid.SubscriptionNoticeReceived,
            lambda e, _: f"the payment provider says {e.type}: {e.outcome}",
        ),
        # Reports, keys, commands.
        _of(ReportScheduled, lambda e, _: f"{e.schedule.name}, every {e.schedule.every}"),
        _of(ReportScheduleEnded, lambda e, _: f"no more reports of {e.id}"),
        _of(ReportMade, _report),
        _of(
            ApiKeyCreated, lambda e, _: f"key {e.key_id} for {e.label or 'nobody named'}, {e.role}"
        ),
        _of(ApiKeyRevoked, lambda e, _: f"key {e.key_id} opens nothing from here on"),
        _of(
            CommandAnswered,
            lambda e, _: f"{e.scope}, {e.status}: nothing changed, the answer is kept",
        ),
    )
)
_SAID: Final = {
    "subject_erased": "a person's keys were deleted: what was sealed for them cannot be read again",
}
"""Of events whose struct is of a layer above the console's."""
