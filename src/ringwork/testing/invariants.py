"""The named promises I1 to I9, checked from the log alone by a second reader of its format.

Nothing here calls the rules it checks: events are matched by type name and read through views of
our own, the ledger is a dozen lines of plain dictionaries, prices are recomputed with exact
fractions. It runs in tests, after every crash and in ``ringwork verify``. A promise that nothing in
the log can break yet reports 0 checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from math import ceil, floor
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.kernel.events import Envelope, Idempotency, decode_frames
from ringwork.kernel.ids import format_id
from ringwork.kernel.money import Money
from ringwork.kernel.ports import Row

_ASKED_FIRST: Final = frozenset({"priority", "house"})
"""Rules of sales outside the auction: no rival has a part in them."""
_VIOLATIONS_KEPT: Final = 20
_DAY_US: Final = 86_400_000_000

TITLES: Final = {
    "I1": "No acknowledged event is lost",
    "I2": "A key has one effect",
    "I3": "Replay gives the same state",
    "I4": "The ledger balances",
    "I5": "Spend never exceeds budget",
    "I6": "No forbidden read",
    "I7": "The erased stay unreadable",
    "I8": "One sale, one price, one trace",
    "I9": "No privacy budget exceeded",
}


class Promise(Struct):
    """One invariant: how much was checked, how often it was broken.

    And the first breaches in words.
    """

    name: str
    title: str
    checked: int = 0
    violations: int = 0
    detail: list[str] = []
    unit: str = "events"

    def expect(self, holds: bool, detail: Callable[[], str]) -> None:
        """Count one check; ``detail`` is asked for words only when it fails."""
        self.checked += 1
        self.require(holds, detail)

    def require(self, holds: bool, detail: Callable[[], str]) -> None:
        """One of several conditions of something that is counted already."""
        if not holds:
            self.violations += 1
            if len(self.detail) < _VIOLATIONS_KEPT:
                self.detail.append(detail())


def promises() -> dict[str, Promise]:
    """All nine, nothing checked yet."""
    return {name: Promise(name, title) for name, title in TITLES.items()}


class _Account(Struct, array_like=True):
    id: str
    currency: str
    limited: bool


class _Transfer(Struct, array_like=True):
    id: str
    kind: str
    debit_account: str = ""
    credit_account: str = ""
    amount_nanos: int = 0
    currency: str = ""
    pending_id: str = ""


class _Expired(Struct, array_like=True):
    id: str


class _Campaign(Struct):
    id: str
    daily_budget: Money | None = None


class _CampaignEvent(Struct, array_like=True):
    campaign: _Campaign


class _Considered(Struct, array_like=True):
    ad_id: str
    campaign_id: str
    bid_nanos: int
    p_ppb: int
    quality_ppm: int
    multiplier_ppm: int
    shift_nanos: int
    score_nanos: int


class _Slot(Struct, array_like=True):
    slot_id: str
    format: str
    rule: str
    reserve_nanos: int
    eligible: int
    excluded: dict[str, int]
    considered: list[_Considered]
    impression_id: bytes | None
    ad_id: str
    campaign_id: str
    pricing: str
    price_nanos: int
    expires_s: int
    charge_bid: bool = False
    scanned: int = 0
    deal_id: str = ""
    cost_nanos: int = 0
    """Price times the impressions that a play counts as; 0 in logs that do not say."""
    propensity_ppb: int = 0
    slate_ppm: list[int] = []


class _Context(Struct, array_like=True):
    site: str = ""
    app: str = ""
    publisher_id: str = ""
    placement_id: str = ""
    categories: list[str] = []
    region: str = ""
    device_type: str = "other"
    hour: int = 0
    blocked_categories: list[str] = []
    blocked_domains: list[str] = []
    key_values: list[list[str]] = []


_ADVERTISING_BITS: Final = 0xFFFF
"""The bits of ``reads`` that are of the purpose ``advertise``; those above are of others."""


class _Auction(Struct, array_like=True):
    source: str
    currency: str
    context: _Context
    slots: list[_Slot]
    stage_ns: dict[str, int] = {}
    supply_chain: str = ""
    model_version: int = 0
    reads: dict[str, int] = {}
    tier: str = ""


class _Billed(Struct, array_like=True):
    impression_id: bytes
    campaign_id: str
    ad_id: str
    publisher_id: str
    placement: str
    pricing: str
    price_nanos: int
    currency: str


class _Measured(Struct, array_like=True):
    impression_id: bytes
    campaign_id: str
    ad_id: str
    publisher_id: str
    measure: str
    charged_nanos: int


_CHARGED_BY: Final = {"viewable": "vcpm", "view": "cpv"}
"""Measure -> the pricing that it charges for."""


class _Heard(Struct, array_like=True):
    bidder_id: str
    outcome: str
    latency_us: int = 0
    bids: int = 0
    rejected: dict[int, int] = {}
    no_bid: int | None = None
    currency: str = ""
    rate: str = ""
    """Empty in logs that do not say."""
    adjustment_ppm: int = 0
    offered: dict[str, int] = {}


class _Gathered(Struct, array_like=True):
    bidders: list[_Heard]


class _Won(Struct, array_like=True):
    impression_id: bytes
    bidder_id: str
    bid_id: str
    seat: str
    creative_id: str
    domain: str
    bid_nanos: int
    bid_currency: str
    price_nanos: int
    currency: str
    billed_url: str
    expires_s: int
    rate: str = ""
    adjustment_ppm: int = 0


class _Epsilon(Struct):
    replace_micro: int


class _Privacy(Struct):
    episodes: int
    epsilon_max: float


class _Declared(Struct):
    ad: str
    segment: int
    privacy: _Privacy
    cost: _Epsilon


class _Charged(Struct):
    ad: str
    segment: int
    episode: int
    spent: _Epsilon


class _Flight(Struct, array_like=True):
    declared: _Declared


class _Released(Struct, array_like=True):
    charged: _Charged


class _Clusters(Struct, array_like=True):
    period: str
    declared: _Declared
    charged: _Charged


class _Audience(Struct, array_like=True):
    audience: dict[str, list[str]]
    window: int
    key: str
    declared: _Declared
    charged: _Charged


class _Model(Struct, array_like=True):
    attribute: str
    window: int
    key: str
    declared: _Declared
    charged: _Charged


class _Sold(Struct):
    price_nanos: int
    pricing: str
    ad_id: str
    request_id: bytes
    billed: int = 0
    charged: int = 0


_VIEWS: Final[dict[str, msgspec.msgpack.Decoder[Struct]]] = {
    name: msgspec.msgpack.Decoder(view)
    for name, view in (
        ("account_opened", _Account),
        ("transfer_created", _Transfer),
        ("transfer_expired", _Expired),
        ("campaign_created", _CampaignEvent),
        ("campaign_changed", _CampaignEvent),
        ("auction_cleared", _Auction),
        ("impression_billed", _Billed),
        ("impression_measured", _Measured),
        ("bids_gathered", _Gathered),
        ("external_bid_won", _Won),
        ("fairness_flight_opened", _Flight),
        ("fairness_sums_released", _Released),
        ("fairness_clusters_released", _Clusters),
        ("fairness_audience_measured", _Audience),
        ("fairness_model_measured", _Model),
    )
}


class LogReading:
    """Reads a log once, front to back, and checks I2, I4, I5, I6, I8 and I9 on the way."""

    def __init__(self) -> None:
        self.promises = promises()
        self.events = 0
        self.accounts: dict[str, dict[str, int]] = {}
        """Account -> its four totals, to be compared with the platform's own."""
        self._limited: set[str] = set()
        self._pending: dict[str, tuple[_Transfer, int]] = {}
        self._posted: dict[str, int] = {}
        self._keys: set[tuple[str, str, str]] = set()
        self._daily: dict[str, int] = {}
        self._day_spend: dict[tuple[str, int], int] = {}
        self._sold: dict[bytes, _Sold] = {}
        self._offered: dict[str, int] = {}
        """Outside ad -> what its bid counts as, of the request that is being read."""
        self._won: dict[bytes, _Won] = {}
        """The outside sales of that request."""
        self._flights: dict[tuple[str, int], tuple[_Declared, int]] = {}
        """Ad and segment -> what it declared, and how often it was released."""
        self._readers: dict[str, Callable[[Struct, Envelope], None]] = {
            "account_opened": self._account,
            "transfer_created": self._transfer,
            "transfer_expired": self._expired,
            "campaign_created": self._campaign,
            "campaign_changed": self._campaign,
            "auction_cleared": self._auction,
            "impression_billed": self._billed,
            "impression_measured": self._measured,
            "bids_gathered": self._gathered,
            "external_bid_won": self._outside_sale,
            "fairness_flight_opened": self._flight,
            "fairness_sums_released": self._released,
            "fairness_clusters_released": self._clusters,
            "fairness_audience_measured": self._measured_once,
            "fairness_model_measured": self._measured_once,
        }
        self.promises["I2"].unit = "keys"
        self.promises["I5"].unit = "postings"
        self.promises["I6"].unit = "auctions"
        self.promises["I8"].unit = "impressions"
        self.promises["I9"].unit = "releases"

    def read(self, rows: Iterable[Row], progress: Callable[[int], None] | None = None) -> None:
        """Check every frame of ``rows``; ``progress`` hears the events read so far, once a row."""
        for row in rows:
            for frame in decode_frames(row.payload):
                if frame.idempotency is not None:
                    self._key(frame.idempotency)
                for envelope in frame.events:
                    self.events += 1
                    decoder = _VIEWS.get(envelope.type)
                    if decoder is not None:
                        view = decoder.decode(envelope.payload)
                        self._readers[envelope.type](view, envelope)
            if progress is not None:
                progress(self.events)

    def _key(self, idempotency: Idempotency) -> None:
        key = (idempotency.tenant, idempotency.scope, idempotency.key)
        self.promises["I2"].expect(
            key not in self._keys, lambda: f"key {key[2]!r} of {key[1]} has a second effect"
        )
        self._keys.add(key)

    # ---- I4, I5: a ledger in plain dictionaries -----------------------------------------------

    def _account(self, view: Struct, envelope: Envelope) -> None:
        assert isinstance(view, _Account)
        self.accounts[view.id] = dict.fromkeys(
            ("debits_pending", "debits_posted", "credits_pending", "credits_posted"), 0
        )
        if view.limited:
            self._limited.add(view.id)

    def _transfer(self, view: Struct, envelope: Envelope) -> None:
        assert isinstance(view, _Transfer)
        if view.kind == "single":
            self._move(view, view.amount_nanos, "posted", envelope.ts_us)
        elif view.kind == "pending":
            self._pending[view.id] = (view, envelope.ts_us)
            self._move(view, view.amount_nanos, "pending", envelope.ts_us)
        else:
            reserved = self._release(view.pending_id)
            if reserved is not None and view.kind == "post":
                hold, held_us = reserved
                self._posted[hold.id] = view.amount_nanos
                self.promises["I5"].expect(
                    view.amount_nanos <= hold.amount_nanos,
                    lambda: f"transfer {view.id} posts more than {hold.id} reserved",
                )
                self._move(hold, view.amount_nanos, "posted", held_us)

    def _expired(self, view: Struct, envelope: Envelope) -> None:
        assert isinstance(view, _Expired)
        self._release(view.id)

    def _release(self, pending_id: str) -> tuple[_Transfer, int] | None:
        reserved = self._pending.pop(pending_id, None)
        self.promises["I8"].require(
            reserved is not None, lambda: f"pending transfer {pending_id} is resolved twice"
        )
        if reserved is not None:
            hold, held_us = reserved
            self._move(hold, -hold.amount_nanos, "pending", held_us)
        return reserved

    def _move(self, transfer: _Transfer, amount_nanos: int, phase: str, day_of_us: int) -> None:
        debit = self.accounts.get(transfer.debit_account)
        credit = self.accounts.get(transfer.credit_account)
        if debit is None or credit is None:
            self.promises["I4"].expect(
                False, lambda: f"transfer {transfer.id} is between accounts that were never opened"
            )
            return
        debit[f"debits_{phase}"] += amount_nanos
        credit[f"credits_{phase}"] += amount_nanos
        if transfer.debit_account not in self._limited:
            return
        available = debit["credits_posted"] - debit["debits_posted"] - debit["debits_pending"]
        self.promises["I5"].expect(
            available >= 0, lambda: f"{transfer.debit_account} is {-available} nanos overspent"
        )
        self._count_day(transfer, amount_nanos, day_of_us)

    def _count_day(self, transfer: _Transfer, amount_nanos: int, day_of_us: int) -> None:
        account = transfer.debit_account
        if not account.startswith("campaign/") or transfer.credit_account.startswith("advertiser/"):
            return  # money that goes back to its advertiser is not spend
        day = day_of_us // _DAY_US
        spent = self._day_spend.get((account, day), 0) + amount_nanos
        self._day_spend[account, day] = spent
        cap = self._daily.get(account)
        if cap is not None and amount_nanos > 0:
            self.promises["I5"].expect(
                spent <= cap, lambda: f"{account} spends {spent} of {cap} nanos on day {day}"
            )

    def _campaign(self, view: Struct, envelope: Envelope) -> None:
        assert isinstance(view, _CampaignEvent)
        account, daily = f"campaign/{view.campaign.id}", view.campaign.daily_budget
        if daily is None:
            self._daily.pop(account, None)
        else:
            day = envelope.ts_us // _DAY_US
            # A cap lowered below what the day already spent binds from the next day on.
            self._daily[account] = max(daily.total_nanos, self._day_spend.get((account, day), 0))

    # ---- I6, I8: sales ------------------------------------------------------------------------

    def _auction(self, view: Struct, envelope: Envelope) -> None:
        assert isinstance(view, _Auction)
        self.promises["I6"].expect(
            envelope.subject is None and envelope.purpose is None,
            lambda: f"auction {envelope.id.hex()} names a person",
        )
        self.promises["I6"].require(
            view.tier != "subscriber", lambda: f"auction {envelope.id.hex()} is of a subscriber"
        )
        self.promises["I6"].require(
            not view.reads or view.tier == "consented",
            lambda: f"auction {envelope.id.hex()} of tier {view.tier!r} read {view.reads}",
        )
        self.promises["I6"].require(
            all(bits <= _ADVERTISING_BITS for bits in view.reads.values()),
            lambda: f"auction {envelope.id.hex()} read for another purpose: {view.reads}",
        )
        seen = view.context
        self.promises["I6"].require(
            view.tier != "general"
            or (
                not (seen.categories or seen.region or seen.key_values)
                and seen.device_type == "other"
            ),
            lambda: f"auction {envelope.id.hex()} of tier 'general' knew {seen}",
        )
        for slot in view.slots:
            self._outside_bids(slot)
            if slot.impression_id is not None:
                self._sale(slot, slot.impression_id, envelope.request_id)
        self.promises["I8"].require(
            not self._won, lambda: f"outside sales {list(self._won)} are in no auction"
        )
        self._offered.clear()
        self._won.clear()

    def _gathered(self, view: Struct, envelope: Envelope) -> None:
        assert isinstance(view, _Gathered)
        for heard in view.bidders:
            for bid_id, bid_nanos in heard.offered.items():
                ad_id = f"x:{heard.bidder_id}:{bid_id}"
                self._offered[ad_id] = _counts_as(bid_nanos, heard.rate, heard.adjustment_ppm)

    def _outside_sale(self, view: Struct, envelope: Envelope) -> None:
        assert isinstance(view, _Won)
        self._won[view.impression_id] = view

    def _outside_bids(self, slot: _Slot) -> None:
        """What outside bids stood in the auction with follows from what they were bid."""
        for one in slot.considered:
            expected = self._offered.get(one.ad_id, one.bid_nanos)
            self.promises["I8"].require(
                one.bid_nanos == expected,
                lambda one=one, expected=expected: (  # type: ignore[misc]
                    f"{one.ad_id} stood with {one.bid_nanos}, its bid counts as {expected}"
                ),
            )

    def _sale(self, slot: _Slot, impression_id: bytes, request_id: bytes) -> None:
        require, name = self.promises["I8"].require, impression_id.hex()
        expected = recompute(slot)
        require(
            expected == (slot.ad_id, slot.price_nanos),
            lambda: (
                f"impression {name}: sold to {slot.ad_id} at {slot.price_nanos}, "
                f"recomputed {expected}"
            ),
        )
        require(impression_id not in self._sold, lambda: f"impression {name} is sold twice")
        cost_nanos = slot.cost_nanos or slot.price_nanos
        self._sold[impression_id] = _Sold(cost_nanos, slot.pricing, slot.ad_id, request_id)
        won = self._won.pop(impression_id, None)
        if won is None:
            return
        require(
            won.price_nanos == cost_nanos and slot.ad_id == f"x:{won.bidder_id}:{won.bid_id}",
            lambda: f"impression {name}: {won.bidder_id} owes {won.price_nanos}, not {cost_nanos}",
        )
        most = _counts_as(won.bid_nanos, won.rate, won.adjustment_ppm) if won.rate else None
        require(
            most is None or slot.price_nanos <= most,
            lambda: f"impression {name}: sold at {slot.price_nanos}, its bid counts as {most}",
        )

    def _billed(self, view: Struct, envelope: Envelope) -> None:
        assert isinstance(view, _Billed)
        name = view.impression_id.hex()
        sold = self._sold.get(view.impression_id)
        require = self.promises["I8"].require
        self.promises["I8"].expect(
            sold is not None, lambda: f"impression {name} is billed but was never sold"
        )
        if sold is None:
            return
        sold.billed += 1
        due = sold.price_nanos if sold.pricing == "cpm" else 0
        require(sold.billed == 1, lambda: f"impression {name} is billed {sold.billed} times")
        require(
            view.price_nanos == due,
            lambda: f"impression {name} is billed {view.price_nanos}, sold at {due}",
        )
        if sold.pricing not in _CHARGED_BY.values():  # those are charged by what is measured
            posted = self._posted.pop(format_id(view.impression_id), 0)
            require(
                posted == due,
                lambda: f"impression {name} is billed {due}, its hold posted {posted}",
            )
        require(
            envelope.request_id == sold.request_id,
            lambda: f"impression {name} is billed in another trace than its sale",
        )

    def _measured(self, view: Struct, envelope: Envelope) -> None:
        assert isinstance(view, _Measured)
        if not view.charged_nanos:
            return
        name, require = view.impression_id.hex(), self.promises["I8"].require
        sold = self._sold.get(view.impression_id)
        self.promises["I8"].expect(
            sold is not None, lambda: f"impression {name} is charged but was never sold"
        )
        if sold is None:
            return
        sold.charged += 1
        require(sold.charged == 1, lambda: f"impression {name} is charged {sold.charged} times")
        require(
            sold.pricing == _CHARGED_BY.get(view.measure),
            lambda: f"impression {name}, sold by {sold.pricing}, is charged for {view.measure!r}",
        )
        posted = self._posted.pop(format_id(view.impression_id), 0)
        require(
            view.charged_nanos == sold.price_nanos == posted,
            lambda: (
                f"impression {name} is charged {view.charged_nanos}, sold at {sold.price_nanos}, "
                f"its hold posted {posted}"
            ),
        )

    # ---- I9: privacy that was declared before it is spent -------------------------------------

    def _flight(self, view: Struct, envelope: Envelope) -> None:
        assert isinstance(view, _Flight)
        self._declare(view.declared)

    def _released(self, view: Struct, envelope: Envelope) -> None:
        assert isinstance(view, _Released)
        self._charge(view.charged)

    def _clusters(self, view: Struct, envelope: Envelope) -> None:
        assert isinstance(view, _Clusters)
        self._declare(view.declared)
        self._charge(view.charged)

    def _measured_once(self, view: Struct, envelope: Envelope) -> None:
        assert isinstance(view, (_Audience, _Model))
        self.promises["I9"].require(
            view.declared.segment == 0, lambda: f"{view.declared.ad} is measured twice in a window"
        )
        self._declare(view.declared)
        self._charge(view.charged)

    def _declare(self, declared: _Declared) -> None:
        key, require = (declared.ad, declared.segment), self.promises["I9"].require
        limit = floor(Fraction(str(declared.privacy.epsilon_max)) * 10**6)
        require(key not in self._flights, lambda: f"{key} declares its releases twice")
        require(
            declared.cost.replace_micro <= limit,
            lambda: f"{key} declares {declared.cost.replace_micro} of {limit} micro-epsilon",
        )
        self._flights[key] = (declared, 0)

    def _charge(self, charged: _Charged) -> None:
        key, promise = (charged.ad, charged.segment), self.promises["I9"]
        declared, releases = self._flights.get(key, (None, 0))
        promise.expect(declared is not None, lambda: f"{key} is released and declared nothing")
        if declared is None:
            return
        promise.require(
            charged.episode == releases + 1 <= declared.privacy.episodes,
            lambda: (
                f"{key}: release {charged.episode} after {releases} of {declared.privacy.episodes}"
            ),
        )
        promise.require(
            charged.spent.replace_micro <= declared.cost.replace_micro,
            lambda: (
                f"{key} spent {charged.spent.replace_micro} of "
                f"{declared.cost.replace_micro} micro-epsilon"
            ),
        )
        self._flights[key] = (declared, charged.episode)


def recompute(slot: _Slot) -> tuple[str, int] | None:
    """Winner and price of one slot from its logged inputs.

    In exact fractions (ads specification 3.12). Who is asked before the auction pays its bid, who
    is asked after it nothing; a deal's price is the reserve.
    """
    is_house = slot.rule == "house"
    running = []
    for one in slot.considered[: 1 if slot.rule in _ASKED_FIRST else None]:
        value = one.bid_nanos * one.p_ppb // 10**9
        score = value * one.quality_ppm * one.multiplier_ppm // 10**12 + one.shift_nanos
        scales = min(one.p_ppb, one.quality_ppm, one.multiplier_ppm)
        if scales >= 1 and (is_house or value >= slot.reserve_nanos) and score > 0:
            running.append((-score, one.ad_id, one))
    running.sort(key=lambda entry: entry[:2])
    if not running:
        return None
    winner = running[0][2]
    if is_house:
        return winner.ad_id, 0
    if slot.rule in ("first", "priority") or slot.charge_bid:
        return winner.ad_id, winner.bid_nanos
    if slot.rule == "agreed":
        return winner.ad_id, ceil(Fraction(slot.reserve_nanos * 10**9, winner.p_ppb))
    scale = Fraction(winner.quality_ppm * winner.multiplier_ppm, 10**12)
    to_beat = [-minus + (winner.ad_id > ad_id) for minus, ad_id, _ in running[1:]] or [1]
    if slot.rule == "vcg" and slot.slate_ppm:
        need = _externality(slot, to_beat, Fraction(winner.shift_nanos), scale)
    else:
        need = max(slot.reserve_nanos, ceil(Fraction(to_beat[0] - winner.shift_nanos) / scale))
    return winner.ad_id, ceil(Fraction(need * 10**9, winner.p_ppb))


def _counts_as(bid_nanos: int, rate: str, adjustment_ppm: int) -> int:
    """What an outside bid is worth in the platform's currency: rounded down, once."""
    return floor(bid_nanos * Fraction(rate) * Fraction(adjustment_ppm, 10**6))


def _externality(slot: _Slot, to_beat: list[int], shift: Fraction, scale: Fraction) -> int:
    """What a winner's presence costs the others per show: VCG with the reserve inside the sum."""
    worth = [*slot.slate_ppm, 0]
    bars = [*to_beat, *[1] * len(slot.slate_ppm)]
    charge = Fraction(0)
    for here, below, bar in zip(worth, worth[1:], bars, strict=False):
        charge += (here - below) * max((bar - shift) / scale, Fraction(slot.reserve_nanos))
    return ceil(charge / worth[0])
